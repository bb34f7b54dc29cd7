//! Exports. That the real hledger and beancount accept them is told in e2e/books.

use std::collections::BTreeMap;

use farthing_money::Money;
use farthing_server::operator::{ExportQuery, Format, JournalLine, Merchants};

use super::shop::Shop;

fn text(shop: &Shop, query: &ExportQuery) -> String {
    shop.operator.export(query).unwrap().map(Result::unwrap).collect()
}

fn whole(format: Format) -> ExportQuery {
    ExportQuery { format, from: None, until: None, merchants: Merchants::Income }
}

/// Balances by account and asset, in minor units, of the postings of an hledger or beancount file.
fn balances(shop: &Shop, text: &str) -> BTreeMap<(String, String), i128> {
    let mut balances = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("  ") && line.contains(':')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [account, amount, code] = words[..] else { continue };
        if account.starts_with(';') || account.ends_with(':') {
            continue;
        }
        let minor = Money::from_decimal(amount.trim_start_matches('-'), shop.asset(code)).unwrap().amount();
        let minor = i128::try_from(minor.value()).unwrap();
        let signed = if amount.starts_with('-') { -minor } else { minor };
        *balances.entry((account.to_owned(), code.to_owned())).or_default() += signed;
    }
    balances
}

/// The trial balance, under the names that `text` gives the accounts.
fn expected(shop: &Shop) -> BTreeMap<(String, String), i128> {
    let name = |account: &str, kind: &str| {
        let part = |text: &str| format!("{}{}", text[..1].to_uppercase(), &text[1..]);
        match account.split_once(':') {
            Some(("credits", id)) => format!("Liabilities:Customers:Credits:{id}"),
            Some(("merchant", name)) => format!("Income:Sales:{}", part(name)),
            Some(("own", name)) => format!("Assets:Own:{}", part(name)),
            _ if account == "codes" => "Liabilities:Customers:Codes".to_owned(),
            _ if kind == "asset" => format!("Assets:{}", part(account)),
            _ => format!("Liabilities:{}", part(account)),
        }
    };
    let rows = shop.trial().rows.into_iter();
    rows.map(|row| {
        let asset = shop.asset(&row.asset);
        let minor =
            |text: &str| i128::try_from(Money::from_decimal(text, asset).unwrap().amount().value()).unwrap();
        ((name(&row.account, &row.kind), row.asset), minor(&row.debits) - minor(&row.credits))
    })
    .collect()
}

async fn busy() -> Shop {
    let shop = Shop::open("2026-10-03").await;
    shop.sale("1.00 USD", 250_000, Some("standard")).await;
    shop.sale("9 SAT", 4, None).await;
    shop.enter("2026-10-02", "own:bank", "codes-sold", "1.00 USD").await.unwrap();
    let back = shop.credit("0.10 USD").await;
    let payment = shop.hold(&back, "USD", 20_000, None).await;
    shop.release(payment).await;
    let held = shop.credit("0.50 USD").await;
    shop.hold(&held, "USD", 500_000, None).await;
    shop
}

#[tokio::test]
async fn every_file_has_the_balances_of_the_trial() {
    let shop = busy().await;
    for format in [Format::Hledger, Format::Beancount] {
        let text = text(&shop, &whole(format));
        assert_eq!(balances(&shop, &text), expected(&shop), "{text}");
        assert!(text.contains("\n2026-10-02 * "), "an entry stands under its own day: {text}");
        assert!(text.contains("standard"), "{text}");
        assert!(text.trim_end().ends_with("transactions."), "{text}");
    }
}

#[tokio::test]
async fn lines_and_cells_have_everything_and_holds_too() {
    let shop = busy().await;
    let journal = shop.operator.journal(1, 1_000).unwrap();
    let lines: Vec<JournalLine> =
        text(&shop, &whole(Format::Jsonl)).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, journal);
    let statuses: Vec<_> = lines.iter().map(|line| line.status.as_str()).collect();
    assert!(["posted", "pending", "released"].iter().all(|status| statuses.contains(status)), "{statuses:?}");
    let csv = text(&shop, &whole(Format::Csv));
    assert_eq!(csv.lines().count(), journal.len() + 1);
    assert!(csv.starts_with("batch,entry,at,date,kind,reference,tax_code,memo,"), "{csv}");
    assert!(csv.contains(",merchant:example,0.250000,,USD,uusd\r\n"), "{csv}");
}

#[tokio::test]
async fn a_period_has_its_own_entries_alone() {
    let shop = busy().await;
    shop.at("2026-11-02");
    shop.sale("1.00 USD", 500_000, Some("standard")).await;
    let day = |text: &str| Some(format!("{text}T00:00:00Z").parse().unwrap());
    let query = ExportQuery { from: day("2026-11-01"), until: day("2026-12-01"), ..whole(Format::Beancount) };
    let november = text(&shop, &query);
    let earned =
        |text: &str| balances(&shop, text).get(&("Income:Sales:Example".into(), "USD".into())).copied();
    assert_eq!(earned(&november), Some(-500_000), "{november}");
    let query = ExportQuery { from: day("2026-10-01"), until: day("2026-11-01"), ..whole(Format::Hledger) };
    assert_eq!(earned(&text(&shop, &query)), Some(-250_000));
    let query = ExportQuery { from: day("2027-01-01"), ..whole(Format::Jsonl) };
    assert_eq!(text(&shop, &query), "");
}

#[tokio::test]
async fn a_long_journal_goes_out_in_pieces() {
    let shop = Shop::open("2026-10-03").await;
    for _ in 0..400 {
        shop.operator.create_codes("1.00 USD", 1, None).await.unwrap();
    }
    let chunks: Vec<String> =
        shop.operator.export(&whole(Format::Hledger)).unwrap().map(Result::unwrap).collect();
    assert!(chunks.len() > 1, "{} pieces", chunks.len());
    assert!(chunks.iter().all(|chunk| chunk.len() < 80_000), "no piece is the whole");
    assert_eq!(balances(&shop, &chunks.concat()), expected(&shop));
}
