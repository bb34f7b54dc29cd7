//! From a receipt down to the journal; statements and earnings.

use farthing_money::Amount;
use farthing_server::operator::{Merchants, OperatorError, ReportLine};
use farthing_wire::Receipt;

use super::shop::Shop;

#[tokio::test]
async fn a_receipt_leads_to_its_entries() {
    let shop = Shop::open("2026-10-03").await;
    for _ in 0..3 {
        shop.sale("0.10 USD", 20_000, Some("reduced")).await;
    }
    shop.at("2026-10-20T10:15:00Z");
    let payment = shop.sale("0.10 USD", 30_000, Some("standard")).await;
    let paid_at = "2026-10-20T10:15:00Z".parse().unwrap();
    shop.at("2026-11-03");
    for _ in 0..3 {
        shop.sale("0.10 USD", 20_000, Some("reduced")).await;
    }
    let money = shop.asset("USD").money(Amount::new(30_000));
    let url = "https://shop.example/page".to_owned();
    let receipt = Receipt::new(payment.to_string(), url, "cashu", money, paid_at);
    let text = receipt.sign(&shop.installation.receipts).unwrap();
    let trail = shop.operator.trail(&text).unwrap();
    assert_eq!(trail, {
        let mut by_id = shop.operator.trail(&payment.to_string()).unwrap();
        by_id.receipt = Some(receipt.clone());
        by_id
    });
    let books = trail.books.unwrap();
    assert_eq!(
        (books.charged.as_str(), books.held.as_str(), books.change.as_str()),
        ("0.03", "0.10", "0.07")
    );
    assert_eq!(books.tax_code.map(|code| code.to_string()).as_deref(), Some("standard"));
    assert_eq!(books.resource_hash.len(), 64);
    let kinds: Vec<_> = trail.entries.iter().map(|line| (line.kind.as_str(), line.step.as_str())).collect();
    assert_eq!(kinds, [("hold", "hold"), ("post", "post-held"), ("post", "post"), ("post", "post")]);
    assert_eq!(trail.entries[1].tax_code.map(|code| code.to_string()).as_deref(), Some("standard"));

    let mut dear = receipt;
    dear.amount = Amount::new(40_000);
    dear.decimal = "0.04".to_owned();
    let text = dear.sign(&shop.installation.receipts).unwrap();
    let error = shop.operator.trail(&text).unwrap_err();
    assert!(error.to_string().contains("the receipt says 0.04 USD, the books say 0.03 USD"), "{error}");
    let stranger = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let error = shop.operator.trail(&dear.sign(&stranger).unwrap()).unwrap_err();
    assert!(matches!(error, OperatorError::Signed(_)), "{error}");
}

#[tokio::test]
async fn what_was_given_back_is_found_in_the_journal_alone() {
    let shop = Shop::open("2026-10-03").await;
    let input = shop.credit("0.10 USD").await;
    let payment = shop.hold(&input, "USD", 20_000, None).await;
    shop.release(payment).await;
    for _ in 0..40 {
        shop.operator.create_codes("1.00 USD", 1, None).await.unwrap();
    }
    let trail = shop.operator.trail(&payment.to_string()).unwrap();
    assert_eq!(trail.books, None);
    let kinds: Vec<_> = trail.entries.iter().map(|line| line.kind.as_str()).collect();
    assert_eq!(kinds, ["hold", "release"]);
    let nobody = shop.operator.trail(&"ab".repeat(32)).unwrap_err();
    assert!(matches!(nobody, OperatorError::Missing(_)), "{nobody}");
}

#[tokio::test]
async fn customers_credits_are_a_debt_until_they_are_spent() {
    let shop = Shop::open("2026-10-03").await;
    shop.operator.create_codes("3.00 USD", 1, None).await.unwrap();
    shop.sale("1.00 USD", 250_000, None).await;
    let held = shop.credit("0.50 USD").await;
    shop.hold(&held, "USD", 500_000, None).await;
    shop.sale("9 SAT", 4, None).await;
    for (merchants, earned, owed) in
        [(Merchants::Income, "income", "0.00"), (Merchants::Owed, "merchants", "0.25")]
    {
        let statement = shop.operator.statement(merchants).unwrap();
        assert!(statement.assets.iter().all(|part| part.balances), "{statement:#?}");
        let usd = statement.assets.iter().find(|part| part.asset == "USD").unwrap();
        let total = |name: &str| {
            usd.sections.iter().find(|section| section.name == name).map(|section| section.total.as_str())
        };
        assert_eq!(total("assets"), Some("4.50"));
        assert_eq!(total("customers"), Some("4.25"), "3.00 of codes, 0.75 unspent, 0.50 on hold");
        assert_eq!((total(earned), total("merchants")), (Some("0.25"), Some(owed)));
        assert_eq!(usd.on_hold, "0.50");
        let sat = statement.assets.iter().find(|part| part.asset == "SAT").unwrap();
        let customers = sat.sections.iter().find(|section| section.name == "customers").unwrap();
        assert_eq!(customers.total, "5");
    }
}

#[tokio::test]
async fn earnings_are_summed_by_tax_code_and_period() {
    let shop = Shop::open("2026-10-31T23:30:00Z").await;
    shop.sale("1.00 USD", 100_000, Some("standard")).await;
    shop.at("2026-11-01T00:30:00Z");
    for (charged, tax) in
        [(200_000, Some("standard")), (300_000, Some("standard")), (50_000, Some("7%")), (1, None)]
    {
        shop.sale("1.00 USD", charged, tax).await;
    }
    shop.sale("9 SAT", 4, Some("standard")).await;
    let period = |from: &str, until: &str| {
        let day = |text: &str| format!("{text}T00:00:00Z").parse().unwrap();
        shop.operator.report(day(from), day(until)).unwrap().lines
    };
    let line = |tax: Option<&str>, asset: &str, payments, amount: &str| ReportLine {
        account: "merchant:example".to_owned(),
        tax_code: tax.map(|tax| tax.parse().unwrap()),
        asset: asset.to_owned(),
        payments,
        amount: amount.to_owned(),
    };
    assert_eq!(period("2026-10-01", "2026-11-01"), [line(Some("standard"), "USD", 1, "0.10")]);
    let mut november = period("2026-11-01", "2026-12-01");
    november.sort_by_key(|line| (line.asset.clone(), line.tax_code));
    assert_eq!(
        november,
        [
            line(Some("standard"), "SAT", 1, "4"),
            line(None, "USD", 1, "0.000001"),
            line(Some("7%"), "USD", 1, "0.05"),
            line(Some("standard"), "USD", 2, "0.50"),
        ]
    );
}
