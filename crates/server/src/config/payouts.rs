//! `[payouts]`, `[[operator]]` and `[[merchant]]`: whom merchants' money goes to, when, and who says that it is right.

use std::collections::BTreeSet;

use farthing_channel::{Address, ChainId};
use farthing_engine::{Needs, OperatorKey};
use farthing_money::{Amount, Asset, AssetTable};

use super::chains::Chains;
use super::section::Section;
use super::server::merchant as plain_name;
use crate::payouts::bank_names;

/// All of payouts in the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayoutsConfig {
    /// Whose word it takes.
    pub needs: Needs,
    /// Whose money goes where.
    pub merchants: Vec<MerchantTerms>,
    /// From which bank account.
    pub debtor: Option<Debtor>,
    /// What the books call it, after `own:`.
    pub bank: String,
}

/// Where a bank file pays from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debtor {
    /// Whose account it is.
    pub name: String,
    /// Which.
    pub iban: String,
    /// At which bank, where that must be named.
    pub bic: Option<String>,
}

/// How a merchant is paid in one asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerchantTerms {
    /// Its name, as accounts carry it.
    pub name: String,
    /// In what.
    pub asset: Asset,
    /// Where it goes.
    pub way: PayoutWay,
    /// How often.
    pub every: Option<Every>,
    /// From how much on.
    pub from: Option<Amount>,
    /// Less than this is not proposed.
    pub least: Amount,
    /// What stays in the books.
    pub keep: Amount,
}

impl MerchantTerms {
    /// Whether payouts are proposed when their time has come.
    pub const fn is_automatic(&self) -> bool {
        self.every.is_some() || self.from.is_some()
    }
}

/// Where the money of a payout goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayoutWay {
    /// To an account on a chain.
    Evm {
        /// Which chain.
        chain: ChainId,
        /// Which token.
        token: Address,
        /// Whose account.
        to: Address,
    },
    /// Into a top-up code.
    Credits,
    /// To an account at a bank.
    Bank {
        /// Whose.
        holder: String,
        /// Which.
        iban: String,
        /// At which bank, where that must be named.
        bic: Option<String>,
        /// Where the holder is, where that must be named.
        country: Option<String>,
    },
}

/// How often a payout is proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// Each day.
    Day,
    /// Each week, which begins on Monday.
    Week,
    /// Each month.
    Month,
}

const BANK: &str = "bank";
const APPROVALS: u32 = 2;
const NAME_MAX: usize = 64;

/// Reads all of it.
pub(super) fn read(root: &Section<'_>, assets: &AssetTable, chains: &Chains, torn: bool) -> PayoutsConfig {
    let section = root.section("payouts", "[payouts]");
    let approvals = section.given_or("approvals", APPROVALS, |key| section.number(key, 0..=16));
    let debtor = read_debtor(&section, torn);
    let bank = section.given_or("bank", BANK.to_owned(), |key| section.parsed(key, plain_name));
    let trusted = read_operators(root.sections("operator", "[[operator]]"), torn);
    let mut merchants: Vec<MerchantTerms> = Vec::new();
    for one in root.sections("merchant", "[[merchant]]") {
        if let Some(terms) = read_merchant(&one, assets, chains, torn) {
            if merchants.iter().any(|known| (&known.name, known.asset) == (&terms.name, terms.asset)) {
                let message =
                    format!("expected each merchant once in {}, got {} again", terms.asset, terms.name);
                one.remark("name", message, None);
            } else if matches!(terms.way, PayoutWay::Bank { .. }) && debtor.is_none() && !torn {
                let hint = "write name and iban in [payouts]: the account that bank files pay from";
                one.remark("payout", "expected an account to pay from, got none", Some(hint.to_owned()));
            } else {
                merchants.push(terms);
            }
        }
        one.finish();
    }
    let needed = approvals.and_then(|approvals| usize::try_from(approvals).ok()).unwrap_or_default();
    if !merchants.is_empty() && needed > trusted.len() && !torn {
        let message =
            format!("expected at least {needed} [[operator]] who can approve payouts, got {}", trusted.len());
        let hint = "name them, or set approvals = 1 or 0 if that is what you want";
        section.remark("approvals", message, Some(hint.to_owned()));
    }
    section.finish();
    let needs = Needs { approvals: needed, trusted };
    PayoutsConfig { needs, merchants, debtor, bank: bank.unwrap_or_else(|| BANK.to_owned()) }
}

fn read_debtor(section: &Section<'_>, torn: bool) -> Option<Debtor> {
    let name = section.judged("name", bank_names::name);
    let iban = section.judged("iban", bank_names::iban);
    let bic = section.judged("bic", bank_names::bic);
    if section.has("name") || section.has("iban") || section.has("bic") {
        section.require("name", torn);
        section.require("iban", torn);
    }
    Some(Debtor { name: name?, iban: iban?, bic })
}

fn read_operators(sections: Vec<Section<'_>>, torn: bool) -> Vec<(String, OperatorKey)> {
    let (mut known, mut names, mut keys) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for section in sections {
        section.require("name", torn);
        section.require("key", torn);
        let name = section.judged("name", |text| match text.trim() {
            "" => Err("expected a name, got nothing"),
            name => Ok(name.to_owned()),
        });
        let name = name.filter(|_| section.line("name", NAME_MAX).is_some());
        let key = section.parsed("key", operator_key);
        if let (Some(name), Some(key)) = (name, key) {
            if !names.insert(name.clone()) {
                section.remark("name", format!("expected each person once, got {name:?} again"), None);
            } else if keys.insert(*key.as_bytes()) {
                known.push((name, key));
            } else {
                section.remark("key", "expected a key of the person's own, got another one's", None);
            }
        }
        section.finish();
    }
    known
}

/// A point of the curve: what is none could never sign.
fn operator_key(text: &str) -> Option<OperatorKey> {
    let key: OperatorKey = text.parse().ok()?;
    let point = ed25519_dalek::VerifyingKey::from_bytes(key.as_bytes()).ok()?;
    (!point.is_weak()).then_some(key)
}

fn read_merchant(
    section: &Section<'_>,
    assets: &AssetTable,
    chains: &Chains,
    torn: bool,
) -> Option<MerchantTerms> {
    section.require("name", torn);
    section.require("payout", torn);
    let name = section.parsed("name", plain_name);
    let asset = section.given_or("asset", assets.iter().next(), |key| {
        section.judged(key, |code| assets.by_code(code).ok_or_else(|| unknown_asset(code, assets))).map(Some)
    });
    let asset = asset.flatten();
    let amount = |key: &'static str| {
        section
            .given_or(key, None, |key| section.judged(key, |text| amount_of(text, asset, assets)).map(Some))
    };
    let (from, least, keep) = (amount("from"), amount("least"), amount("keep"));
    let every = section.given_or("every", None, |key| section.parsed(key, every).map(Some));
    let evm = read_evm(section, asset, chains, torn);
    let bank = read_bank(section, torn);
    let way = match section.parsed("payout", way)? {
        Way::Evm => evm,
        Way::Credits => Some(PayoutWay::Credits),
        Way::Bank => bank,
    };
    let asset = asset?;
    let way = way?;
    if matches!(way, PayoutWay::Bank { .. }) && crate::payouts::pain::decimals(asset).is_none() {
        let message = format!("expected an active currency of ISO 4217 for a bank, got {asset}");
        section.remark("payout", message, None);
        return None;
    }
    Some(MerchantTerms {
        name: name?,
        asset,
        way,
        every: every?,
        from: from?,
        least: least?.unwrap_or_default(),
        keep: keep?.unwrap_or_default(),
    })
}

fn read_evm(section: &Section<'_>, asset: Option<Asset>, chains: &Chains, torn: bool) -> Option<PayoutWay> {
    let chain = section.number("chain", 1..=u32::MAX).map(|id| ChainId::new(id.into()));
    let symbol = section.line("token", 32);
    let to = section.judged("address", |text| match text.parse::<Address>() {
        Ok(to) if to.is_zero() => Err("expected an account, got the address of nobody".to_owned()),
        Ok(to) => Ok(to),
        Err(error) => Err(error.to_string()),
    });
    if !is_way(section, "evm") {
        return None;
    }
    for key in ["chain", "token", "address"] {
        section.require(key, torn);
    }
    let (chain, symbol, to, asset) = (chain?, symbol?, to?, asset?);
    let Some(known) = chains.read.iter().find(|known| known.id() == chain) else {
        if chains.whole {
            let hint = format!("write [[chain]] with id = {}", chain.number());
            section.remark("chain", format!("there is no chain {chain}"), Some(hint));
        }
        return None;
    };
    let token = known.tokens().iter().find(|token| token.symbol == symbol && token.asset == asset);
    let Some(token) = token else {
        if chains.whole {
            let message = format!("expected a [[token]] of {chain} that counts as {asset}, got {symbol:?}");
            section.remark("token", message, None);
        }
        return None;
    };
    if to == token.address {
        section.remark("address", "expected the merchant's account, got the token's own contract", None);
        return None;
    }
    Some(PayoutWay::Evm { chain, token: token.address, to })
}

fn read_bank(section: &Section<'_>, torn: bool) -> Option<PayoutWay> {
    let holder = section.judged("holder", bank_names::name);
    let iban = section.judged("iban", bank_names::iban);
    let bic = section.given_or("bic", None, |key| section.judged(key, bank_names::bic).map(Some));
    let country = section.given_or("country", None, |key| section.parsed(key, bank_names::country).map(Some));
    if !is_way(section, "bank") {
        return None;
    }
    section.require("holder", torn);
    section.require("iban", torn);
    Some(PayoutWay::Bank { holder: holder?, iban: iban?, bic: bic?, country: country? })
}

#[derive(Clone, Copy)]
enum Way {
    Evm,
    Credits,
    Bank,
}

fn way(text: &str) -> Option<Way> {
    match text {
        "evm" => Some(Way::Evm),
        "credits" => Some(Way::Credits),
        "bank" => Some(Way::Bank),
        _ => None,
    }
}

fn every(text: &str) -> Option<Every> {
    match text {
        "day" => Some(Every::Day),
        "week" => Some(Every::Week),
        "month" => Some(Every::Month),
        _ => None,
    }
}

fn is_way(section: &Section<'_>, way: &str) -> bool {
    section.text("payout") == Some(way)
}

fn unknown_asset(code: &str, assets: &AssetTable) -> String {
    let known: Vec<String> = assets.iter().map(|asset| asset.to_string()).collect();
    format!("expected an asset of {}, got {code:?}", known.join(", "))
}

fn amount_of(text: &str, asset: Option<Asset>, assets: &AssetTable) -> Result<Amount, String> {
    let money = assets.parse_money(text).map_err(|error| error.to_string())?;
    match asset {
        Some(asset) if money.asset() != asset => Err(format!("expected an amount of {asset}, got {money}")),
        _ => Ok(money.amount()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    const ANNA: &str = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29";
    const BEN: &str = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
    const SERVER: &str = "[server]\nupstream = \"http://127.0.0.1:3000\"\n";
    const CHAIN: &str = "[[chain]]\nid = 8453\nnodes = \"http://127.0.0.1:8545\"\n[[token]]\nchain = 8453\naddress = \"0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913\"\nsymbol = \"USDC\"\nname = \"USD Coin\"\nversion = \"2\"\ncounts_as = \"USD\"\n";
    const TO: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

    fn persons() -> String {
        format!(
            "[[operator]]\nname = \"anna\"\nkey = \"{ANNA}\"\n[[operator]]\nname = \"ben\"\nkey = \"{BEN}\"\n"
        )
    }

    fn read(rest: &str) -> Result<PayoutsConfig, String> {
        let text = format!("{SERVER}{rest}");
        let read = Config::read(&text, Path::new("farthing.toml"));
        read.map(|config| config.payouts)
            .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn merchants_are_paid_as_it_is_written() {
        let assets = "[[asset]]\ncode = \"USD\"\n[[asset]]\ncode = \"EUR\"\n";
        let evm = format!(
            "[[merchant]]\nname = \"shop\"\npayout = \"evm\"\nchain = 8453\ntoken = \"USDC\"\naddress = \"{TO}\"\nevery = \"week\"\nfrom = \"50 USD\"\nkeep = \"5 USD\"\n"
        );
        let bank = "[[merchant]]\nname = \"shop\"\npayout = \"bank\"\nasset = \"EUR\"\nholder = \"Müller\"\niban = \"DE89 3704 0044 0532 0130 00\"\n";
        let debtor = "[payouts]\nname = \"Example Ltd\"\niban = \"FI2112345600000785\"\n";
        let config = read(&format!("{debtor}{assets}{CHAIN}{}{evm}{bank}", persons())).unwrap();
        assert_eq!((config.needs.approvals, config.needs.trusted.len()), (2, 2));
        let [first, second] = config.merchants.as_slice() else { panic!("two: {config:?}") };
        assert_eq!(
            (first.every, first.from, first.keep),
            (Some(Every::Week), Some(Amount::new(50_000_000)), Amount::new(5_000_000))
        );
        assert!(matches!(&first.way, PayoutWay::Evm { to, .. } if to.to_string() == TO));
        let PayoutWay::Bank { holder, iban, .. } = &second.way else { panic!("a bank") };
        assert_eq!(
            (holder.as_str(), iban.as_str(), second.is_automatic()),
            ("Muller", "DE89370400440532013000", false)
        );
    }

    #[test]
    fn every_mistake_is_named_with_what_was_expected() {
        let evm = |rest: &str| {
            format!("{CHAIN}{}[[merchant]]\nname = \"shop\"\npayout = \"evm\"\n{rest}", persons())
        };
        let whole = |chain: &str, token: &str, to: &str| {
            evm(&format!("chain = {chain}\ntoken = \"{token}\"\naddress = \"{to}\"\n"))
        };
        let bank = |rest: &str| {
            format!(
                "[payouts]\nname = \"Us\"\niban = \"FI2112345600000785\"\n{}[[merchant]]\nname = \"shop\"\npayout = \"bank\"\n{rest}",
                persons()
            )
        };
        let credits = "[[merchant]]\nname = \"shop\"\npayout = \"credits\"\n";
        for (text, told) in [
            (evm(""), "expected the key \"address\" in [[merchant]]"),
            (whole("1", "USDC", TO), "there is no chain"),
            (
                whole("8453", "EURC", TO),
                "expected a [[token]] of eip155:8453 that counts as USD, got \"EURC\"",
            ),
            (whole("8453", "USDC", "0x70997970c51812dc3A010C7d01b50e0d17dc79C8"), "address in [[merchant]]"),
            (whole("8453", "USDC", "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"), "the token's own contract"),
            (bank("holder = \"A\"\niban = \"DE89370400440532013001\"\n"), "look for a slip"),
            (bank("holder = \"東京\"\niban = \"DE89370400440532013000\"\n"), "in Latin letters"),
            (bank("iban = \"DE89370400440532013000\"\n"), "expected the key \"holder\""),
            (credits.to_owned(), "expected at least 2 [[operator]] who can approve payouts, got 0"),
            (format!("{}{credits}from = \"5 EUR\"\n", persons()), "EUR is not configured"),
            (
                format!("{}{credits}{credits}", persons()),
                "expected each merchant once in USD, got shop again",
            ),
            (format!("{}{credits}every = \"year\"\n", persons()), "expected day, week or month"),
            (format!("{0}{0}", persons()), "expected each person once, got \"anna\" again"),
            (
                format!(
                    "[[operator]]\nname = \"a\"\nkey = \"{ANNA}\"\n[[operator]]\nname = \"b\"\nkey = \"{ANNA}\"\n"
                ),
                "a key of the person's own",
            ),
            (
                format!("[[operator]]\nname = \"a\"\nkey = \"{}\"\n", "0".repeat(64)),
                "expected a public key of 64",
            ),
            (
                "[payouts]\napprovals = 0\nname = \"Us\"\n".to_owned(),
                "expected the key \"iban\" in [payouts]",
            ),
            (
                format!(
                    "[payouts]\napprovals = 0\n{}holder = \"A\"\niban = \"DE89370400440532013000\"\n",
                    credits.replace("credits", "bank")
                ),
                "expected an account to pay from",
            ),
        ] {
            let got = read(&text).unwrap_err();
            assert!(got.contains(told), "{told}\n{got}\n{text}");
        }
        assert!(read(&format!("[payouts]\napprovals = 0\n{credits}")).is_ok());
    }

    #[test]
    fn banks_pay_in_every_active_currency() {
        let paid_in = |code: &str| {
            read(&format!(
                "[payouts]\napprovals = 0\nname = \"Us\"\niban = \"FI2112345600000785\"\n[[asset]]\ncode = \"{code}\"\n[[merchant]]\nname = \"shop\"\npayout = \"bank\"\nholder = \"A\"\niban = \"DE89370400440532013000\"\n"
            ))
        };
        for code in ["BDT", "EUR", "GHS", "LKR"] {
            let config = paid_in(code).unwrap();
            assert_eq!(config.merchants.first().unwrap().asset.code().as_str(), code);
        }
        for code in ["BGN", "XAU", "POINTS"] {
            let told = format!("expected an active currency of ISO 4217 for a bank, got {code}");
            let got = paid_in(code).unwrap_err();
            assert!(got.contains(&told), "{got}");
        }
    }
}
