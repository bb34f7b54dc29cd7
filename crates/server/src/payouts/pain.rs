//! Writes a customer credit transfer initiation of ISO 20022 (`pain.001.001.09`): what banks take as an order to pay.
//!
//! Amounts are exact decimals of the currency's own minor unit. Transfers in euros ask for SEPA's service level.

use std::io;

use farthing_money::{Amount, Asset, Money, Timestamp, iso_scale};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use crate::config::Debtor;

const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09";

/// What an amount and a sum have at the most: 18 digits.
const DIGITS_MOST: u32 = 18;

/// An order of payments from one account.
pub struct File<'a> {
    /// What the bank knows it by.
    pub message: &'a str,
    /// When it was made.
    pub at: Timestamp,
    /// On which day it is to be carried out.
    pub day: &'a str,
    /// Who pays.
    pub debtor: &'a Debtor,
    /// In what.
    pub asset: Asset,
    /// The payments.
    pub transfers: &'a [Transfer<'a>],
}

/// One payment.
pub struct Transfer<'a> {
    /// What both sides know it by.
    pub end_to_end: String,
    /// How much.
    pub money: Money,
    /// Who is paid.
    pub holder: &'a str,
    /// On which account.
    pub iban: &'a str,
    /// At which bank.
    pub bic: Option<&'a str>,
    /// Where the holder is.
    pub country: Option<&'a str>,
    /// What it is for.
    pub text: String,
}

/// The decimals of a currency's minor unit; nothing if banks do not know it.
pub fn decimals(asset: Asset) -> Option<u8> {
    iso_scale(asset.code().as_str())
}

/// The most that one payment may be.
pub fn most(asset: Asset) -> Amount {
    let scale = u32::from(asset.scale());
    let units = u32::from(decimals(asset).unwrap_or_default());
    // 999 999 999.99, the most of SEPA; nobody is paid more by a file of ours.
    let whole = 10_u128.pow(9).saturating_mul(10_u128.saturating_pow(scale));
    let step = 10_u128.saturating_pow(scale.saturating_sub(units));
    Amount::new(whole.saturating_sub(step))
}

/// An amount as banks write it, or why they cannot.
pub fn decimal(money: Money) -> Result<String, String> {
    let asset = money.asset();
    let unknown = || format!("expected an active currency of ISO 4217 for a bank, got {asset}");
    let places = usize::from(decimals(asset).ok_or_else(unknown)?);
    let scale = usize::from(asset.scale());
    let wrong = || format!("expected an amount of at most {places} decimals for a bank, got {money}");
    let digits = format!("{:0>width$}", money.amount().value(), width = scale.saturating_add(1));
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(scale));
    let (kept, rest) = fraction.split_at(places.min(fraction.len()));
    if rest.bytes().any(|digit| digit != b'0') {
        return Err(wrong());
    }
    if money.amount().is_zero() || money.amount() > most(asset) {
        return Err(format!("expected an amount above zero and below 1 000 000 000 for a bank, got {money}"));
    }
    Ok(if places == 0 { whole.to_owned() } else { format!("{whole}.{kept:0<places$}") })
}

/// The text of a file.
pub fn write(file: &File<'_>) -> Result<String, String> {
    let sum = Amount::try_sum(file.transfers.iter().map(|one| one.money.amount()));
    let sum = sum.ok_or("the sum of a bank file does not fit")?;
    let sum = total(file.asset.money(sum))?;
    let mut amounts = Vec::with_capacity(file.transfers.len());
    for transfer in file.transfers {
        amounts.push(decimal(transfer.money)?);
    }
    let mut bytes = Vec::new();
    draw(&mut Writer::new_with_indent(&mut bytes, b' ', 2), file, &sum, &amounts)
        .map_err(|error| format!("a bank file cannot be written: {error}"))?;
    bytes.push(b'\n');
    String::from_utf8(bytes).map_err(|error| format!("a bank file is no text: {error}"))
}

/// A sum may be larger than a payment.
fn total(money: Money) -> Result<String, String> {
    let places = usize::from(decimals(money.asset()).unwrap_or_default());
    let scale = usize::from(money.asset().scale());
    let digits = format!("{:0>width$}", money.amount().value(), width = scale.saturating_add(1));
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(scale));
    let kept: String = fraction.chars().take(places).collect();
    let most = usize::try_from(DIGITS_MOST).unwrap_or_default().saturating_sub(places);
    if whole.len() > most {
        return Err(format!("the sum of a bank file has more than {DIGITS_MOST} digits: {money}"));
    }
    Ok(if places == 0 { whole.to_owned() } else { format!("{whole}.{kept:0<places$}") })
}

type Xml<'a> = Writer<&'a mut Vec<u8>>;

fn draw(xml: &mut Xml<'_>, file: &File<'_>, sum: &str, amounts: &[String]) -> io::Result<()> {
    let count = file.transfers.len().to_string();
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let root = BytesStart::new("Document").with_attributes([("xmlns", NAMESPACE)]);
    xml.write_event(Event::Start(root))?;
    within(xml, "CstmrCdtTrfInitn", |xml| {
        within(xml, "GrpHdr", |xml| {
            leaf(xml, "MsgId", file.message)?;
            leaf(xml, "CreDtTm", &seconds(file.at))?;
            leaf(xml, "NbOfTxs", &count)?;
            leaf(xml, "CtrlSum", sum)?;
            within(xml, "InitgPty", |xml| leaf(xml, "Nm", &file.debtor.name))
        })?;
        within(xml, "PmtInf", |xml| {
            leaf(xml, "PmtInfId", file.message)?;
            leaf(xml, "PmtMtd", "TRF")?;
            leaf(xml, "NbOfTxs", &count)?;
            leaf(xml, "CtrlSum", sum)?;
            if is_sepa(file.asset) {
                within(xml, "PmtTpInf", |xml| within(xml, "SvcLvl", |xml| leaf(xml, "Cd", "SEPA")))?;
            }
            within(xml, "ReqdExctnDt", |xml| leaf(xml, "Dt", file.day))?;
            within(xml, "Dbtr", |xml| leaf(xml, "Nm", &file.debtor.name))?;
            within(xml, "DbtrAcct", |xml| account(xml, &file.debtor.iban))?;
            within(xml, "DbtrAgt", |xml| bank(xml, file.debtor.bic.as_deref()))?;
            leaf(xml, "ChrgBr", if is_sepa(file.asset) { "SLEV" } else { "SHAR" })?;
            for (transfer, amount) in file.transfers.iter().zip(amounts) {
                within(xml, "CdtTrfTxInf", |xml| pay(xml, file.asset, transfer, amount))?;
            }
            Ok(())
        })
    })?;
    xml.write_event(Event::End(BytesEnd::new("Document")))
}

fn pay(xml: &mut Xml<'_>, asset: Asset, transfer: &Transfer<'_>, amount: &str) -> io::Result<()> {
    within(xml, "PmtId", |xml| leaf(xml, "EndToEndId", &transfer.end_to_end))?;
    within(xml, "Amt", |xml| {
        let code = asset.code();
        let start = BytesStart::new("InstdAmt").with_attributes([("Ccy", code.as_str())]);
        xml.write_event(Event::Start(start))?;
        xml.write_event(Event::Text(BytesText::new(amount)))?;
        xml.write_event(Event::End(BytesEnd::new("InstdAmt")))
    })?;
    if transfer.bic.is_some() {
        within(xml, "CdtrAgt", |xml| bank(xml, transfer.bic))?;
    }
    within(xml, "Cdtr", |xml| {
        leaf(xml, "Nm", transfer.holder)?;
        match transfer.country {
            Some(country) => within(xml, "PstlAdr", |xml| leaf(xml, "Ctry", country)),
            None => Ok(()),
        }
    })?;
    within(xml, "CdtrAcct", |xml| account(xml, transfer.iban))?;
    within(xml, "RmtInf", |xml| leaf(xml, "Ustrd", &transfer.text))
}

/// A bank by its BIC; without one it is found by the account.
fn bank(xml: &mut Xml<'_>, bic: Option<&str>) -> io::Result<()> {
    within(xml, "FinInstnId", |xml| match bic {
        Some(bic) => leaf(xml, "BICFI", bic),
        None => within(xml, "Othr", |xml| leaf(xml, "Id", "NOTPROVIDED")),
    })
}

fn account(xml: &mut Xml<'_>, iban: &str) -> io::Result<()> {
    within(xml, "Id", |xml| leaf(xml, "IBAN", iban))
}

fn within(
    xml: &mut Xml<'_>,
    name: &str,
    inner: impl FnOnce(&mut Xml<'_>) -> io::Result<()>,
) -> io::Result<()> {
    xml.write_event(Event::Start(BytesStart::new(name)))?;
    inner(xml)?;
    xml.write_event(Event::End(BytesEnd::new(name)))
}

fn leaf(xml: &mut Xml<'_>, name: &str, text: &str) -> io::Result<()> {
    within(xml, name, |xml| xml.write_event(Event::Text(BytesText::new(text))))
}

fn is_sepa(asset: Asset) -> bool {
    asset.code().as_str() == "EUR"
}

/// A moment without its milliseconds.
fn seconds(at: Timestamp) -> String {
    Timestamp::from_secs(at.secs()).to_string().replace(".000Z", "Z")
}

#[cfg(test)]
mod tests {
    use farthing_money::AssetError;

    use super::*;

    fn euros(minor: u128) -> Money {
        Asset::micro("EUR").unwrap().money(Amount::new(minor))
    }

    fn text(amounts: &[u128]) -> String {
        let debtor = Debtor { name: "Example <Ltd>".into(), iban: "FI2112345600000785".into(), bic: None };
        let transfer = |minor: &u128| Transfer {
            end_to_end: "ab".repeat(16),
            money: euros(*minor),
            holder: "A + B",
            iban: "DE89370400440532013000",
            bic: Some("COBADEFFXXX"),
            country: Some("DE"),
            text: "Payout 2026-11".into(),
        };
        let transfers: Vec<_> = amounts.iter().map(transfer).collect();
        let at = Timestamp::from_millis(1_764_000_000_123);
        let asset = euros(0).asset();
        write(&File { message: "FT-1", at, day: "2025-11-24", debtor: &debtor, asset, transfers: &transfers })
            .unwrap()
    }

    #[test]
    fn sums_and_counts_are_exact() {
        let text = text(&[10_000, 999_999_990_000]);
        assert_eq!(text.matches("<NbOfTxs>2</NbOfTxs>").count(), 2);
        assert_eq!(text.matches("<CtrlSum>1000000.00</CtrlSum>").count(), 2, "{text}");
        assert!(text.contains("<InstdAmt Ccy=\"EUR\">0.01</InstdAmt>"));
        assert!(text.contains("<InstdAmt Ccy=\"EUR\">999999.99</InstdAmt>"));
        assert!(text.contains("<CreDtTm>2025-11-24T16:00:00Z</CreDtTm>"), "{text}");
        assert!(text.contains("Example &lt;Ltd&gt;") && text.contains("<Cd>SEPA</Cd>"));
    }

    #[test]
    fn amounts_are_of_the_currencys_own_unit() {
        assert_eq!(decimal(euros(1_230_000)), Ok("1.23".to_owned()));
        for wrong in [0, 1, 1_234_500, 1_000_000_000_000_000] {
            assert!(decimal(euros(wrong)).is_err(), "{wrong}");
        }
        assert_eq!(decimal(euros(999_999_999_990_000)), Ok("999999999.99".to_owned()));
        let of = |code, scale, unit, minor| Asset::new(code, scale, unit).unwrap().money(Amount::new(minor));
        assert_eq!(decimal(of("JPY", 0, "jpy", 500)), Ok("500".to_owned()));
        assert_eq!(decimal(of("KWD", 6, "ukwd", 1_234_000)), Ok("1.234".to_owned()));
        assert_eq!(decimal(of("EUR", 1, "deci", 15)), Ok("1.50".to_owned()));
        assert_eq!(decimal(of("CLF", 6, "uclf", 1_234_500)), Ok("1.2345".to_owned()));
        for (code, scale, unit) in [("SAT", 0, "sat"), ("BGN", 2, "bgn"), ("XAU", 6, "uxau")] {
            let told = format!("expected an active currency of ISO 4217 for a bank, got {code}");
            assert_eq!(decimal(of(code, scale, unit, 5)), Err(told));
        }
    }

    #[test]
    fn banks_know_every_currency() {
        // Some seventy were known once: BDT and others were refused as not in ISO 4217.
        for code in ["BDT", "GHS", "LKR"] {
            let money = Asset::micro(code).unwrap().money(Amount::new(1_230_000));
            assert_eq!(decimal(money), Ok("1.23".to_owned()), "{code}");
        }
    }

    #[test]
    fn a_banks_decimals_are_those_of_the_unit() {
        let letters = || b'A'..=b'Z';
        let codes = letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [a, b, c])));
        let mut known = 0;
        for code in codes {
            let code = std::str::from_utf8(&code).unwrap();
            let fixed = match Asset::new(code, 18, &code.to_ascii_lowercase()) {
                Err(AssetError::IsoScale { expected, .. }) => Some(expected),
                _ => None,
            };
            // NUT-01 fixes a satoshi as well, which is no bank's.
            let fixed = fixed.filter(|_| code != "SAT");
            assert_eq!(decimals(Asset::new(code, 6, "x").unwrap()), fixed, "{code}");
            known += usize::from(fixed.is_some());
        }
        assert!(known > 150, "{known}");
    }
}
