//! A price in euros, paid with dollars by the real program: the rates come from a file, wild ones are refused, and those that
//! were accepted outlive the server and the file.

use std::time::SystemTime;

use farthing_money::Timestamp;
use serde_json::Value;

use super::purse::{Purse, farthing};
use super::shop::Shop;

const MORE: &str = r#"
[[asset]]
code = "USD"
[[asset]]
code = "EUR"
[rates]
source = "file:rates.json"
format = "json"
spread = "2"
[gate]
accepts = ["USD"]
[[price]]
path = "/euros"
amount = "0.05 EUR"
[[price.split]]
merchant = "author"
share = 70
"#;

/// A feed of today.
fn feed(dollars: &str) -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let now = Timestamp::from_secs(since.as_secs());
    format!(r#"{{"base": "EUR", "date": "{now}", "rates": {{"USD": {dollars}}}}}"#)
}

/// What an account was credited, less what it was debited, as the trial balance writes it.
fn figures(trial: &Value, account: &str, asset: &str) -> (String, String) {
    let rows = trial["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["account"] == account && row["asset"] == asset);
    let row = row.unwrap_or_else(|| panic!("no {account} in {trial}"));
    (row["debits"].as_str().unwrap().to_owned(), row["credits"].as_str().unwrap().to_owned())
}

#[test]
fn dollars_pay_a_price_in_euros_and_bad_rates_change_nothing() {
    let mut shop = Shop::open_with(MORE, &[("rates.json", &feed("1.10"))]);
    farthing(shop.path(), &["rates", "refresh"]).exits(0);
    let listed = farthing(shop.path(), &["rates", "--json"]).exits(0).json();
    assert_eq!((&listed["in_force"], &listed["rates"][0]["rate"]), (&true.into(), &"1.1".into()));
    let purse = Purse::new();
    let code = shop.code("1.00 USD");
    purse.wallet(&["redeem", &code, "--mint", &shop.mint, "--unit", "uusd"]).exits(0);
    // 0.05 EUR are 0.055 USD, and two per cent more.
    let run = purse.pay(&[&shop.url("/euros")]).exits(0).says("paid 0.0561 USD to corner-shop");
    assert_eq!(run.stdout, "this is /euros\n");
    purse.assert_has("0.9439");
    let trial = farthing(shop.path(), &["ledger", "trial", "--json"]).exits(0).json();
    let credits = |account, asset| figures(&trial, account, asset).1;
    assert_eq!(
        (credits("merchant:author", "EUR"), credits("merchant:corner-shop", "EUR")),
        ("0.035".into(), "0.015".into())
    );
    assert_eq!((credits("fx:EUR", "USD"), credits("fx-earned", "USD")), ("0.055".into(), "0.0011".into()));
    assert_eq!(figures(&trial, "fx:USD", "EUR").0, "0.05");
    farthing(shop.path(), &["ledger", "verify"]).exits(0);
    let journal = farthing(shop.path(), &["ledger", "journal", "--json"]).exits(0).stdout;
    assert!(
        journal.contains("0.0561 USD for 0.05 EUR at 1.1 USD/EUR, spread 2 %, file:rates.json at 20"),
        "{journal}"
    );

    // A bank gives 0.049 EUR for what was taken: 0.001 EUR are lost.
    let arguments = ["--gave", "0.055 USD", "--from", "own:bank", "--got", "0.049 EUR", "--into", "own:bank"];
    let arguments = ["ledger", "exchange"].into_iter().chain(arguments).chain(["--memo", "at the bank"]);
    let before = farthing(shop.path(), &["ledger", "fx", "--json"]).exits(0).json();
    let position = &before["positions"][0];
    let figures = ["asset", "taken", "other", "given", "gain"].map(|name| position[name].as_str().unwrap());
    assert_eq!(figures, ["USD", "0.055", "EUR", "0.05", "0.00"]);
    assert_eq!(before["earned"][0]["amount"], "0.0011");
    let arguments: Vec<&str> = arguments.collect();
    farthing(shop.path(), &arguments).exits(0);
    farthing(shop.path(), &arguments).exits(0);
    let after = farthing(shop.path(), &["ledger", "fx", "--json"]).exits(0).json();
    assert_eq!(
        (&after["positions"][0]["gain"], &after["positions"][0]["given"]),
        (&"-0.001".into(), &"0.001".into())
    );
    farthing(shop.path(), &["ledger", "verify"]).exits(0);

    for (text, expected) in [
        (feed("11.0"), "expected USD within 10 % of the last accepted rate, got 1000 % of it"),
        (feed("0"), "expected a rate of USD above zero"),
        (feed("-1.1"), "in plain decimals"),
        (
            r#"{"base":"EUR","date":"2020-01-02","rates":{"USD":1.1}}"#.to_owned(),
            "expected rates of the last 5d",
        ),
        (feed("1.1")[..30].to_owned(), "expected a whole feed in the format \"json\""),
    ] {
        std::fs::write(shop.path().join("rates.json"), text).unwrap();
        farthing(shop.path(), &["rates", "refresh"]).exits(1).says(expected);
        let check = farthing(shop.path(), &["check"]).exits(0);
        assert!(check.stderr.contains("warning: ") || expected.contains("last accepted"), "{}", check.stderr);
    }
    shop.stop();
    std::fs::remove_file(shop.path().join("rates.json")).unwrap();
    let listed = farthing(shop.path(), &["rates", "--json"]).exits(0).json();
    assert_eq!((&listed["in_force"], &listed["rates"][0]["exact"]), (&true.into(), &"110/100".into()));
}

#[test]
fn a_session_in_dollars_pays_calls_that_are_priced_in_euros() {
    let shop = Shop::open_with(MORE, &[("rates.json", &feed("1.10"))]);
    farthing(shop.path(), &["rates", "refresh"]).exits(0);
    let purse = Purse::new();
    let code = shop.code("1.00 USD");
    purse.wallet(&["redeem", &code, "--mint", &shop.mint, "--unit", "uusd"]).exits(0);
    let run = purse.pay(&[&shop.url("/euros"), "--session", "--repeat", "7", "-j", "3"]).exits(0).json();
    assert_eq!((&run["paid"], &run["charged"][0]["decimal"]), (&7.into(), &"0.3927".into()));
    purse.wallet(&["sessions", "close", "--all"]).exits(0);
    purse.assert_has("0.6073");
    // The fold exchanges what it charges: seven times 0.05 EUR, to the last unit.
    let trial = farthing(shop.path(), &["ledger", "trial", "--json"]).exits(0).json();
    let credits = |account, asset| figures(&trial, account, asset).1;
    assert_eq!(
        (credits("merchant:author", "EUR"), credits("merchant:corner-shop", "EUR")),
        ("0.245".into(), "0.105".into())
    );
    assert_eq!((credits("fx:EUR", "USD"), credits("fx-earned", "USD")), ("0.385".into(), "0.0077".into()));
    farthing(shop.path(), &["ledger", "verify"]).exits(0);
}

/// Who has credits of both kinds could not say with which to pay.
#[test]
fn a_payer_names_the_asset_that_pays() {
    let shop = Shop::open_with(MORE, &[("rates.json", &feed("1.10"))]);
    farthing(shop.path(), &["rates", "refresh"]).exits(0);
    let purse = Purse::new();
    for (amount, unit) in [("1.00 USD", "uusd"), ("1.00 EUR", "ueur")] {
        let code = shop.code(amount);
        purse.wallet(&["redeem", &code, "--mint", &shop.mint, "--unit", unit]).exits(0);
    }
    let url = |query: &str| shop.url(&format!("/euros?{query}"));
    let (dollars, euros) = ("paid 0.0561 USD to corner-shop", "paid 0.05 EUR to corner-shop");
    purse.pay(&[&url("1")]).exits(0).says(euros);
    purse.pay(&[&url("2"), "--asset", "USD"]).exits(0).says(dollars);
    purse.pay(&[&url("3"), "--asset", "EUR"]).exits(0).says(euros);
    let refused = purse.pay(&[&url("4"), "--asset", "JPY"]).exits(6);
    let refused = refused.says("it could be paid in EUR, but only JPY may pay").says("in USD, but");
    assert_eq!(refused.stderr.matches("only JPY").count(), 2, "each is said once: {}", refused.stderr);
    purse.pay(&[&url("4"), "--asset", "usd"]).exits(2).says("upper-case letters");

    // Also by a session, though one in euros is open.
    let repeated = |asset| {
        let arguments = [&url("5"), "--asset", asset, "--session", "--repeat", "3", "-j", "2"];
        let run = purse.pay(&arguments).exits(0).json();
        (run["charged"][0]["asset"].clone(), run["charged"][0]["decimal"].clone())
    };
    assert_eq!(repeated("EUR"), ("EUR".into(), "0.15".into()));
    assert_eq!(repeated("USD"), ("USD".into(), "0.1683".into()));
    assert_eq!(repeated("EUR"), ("EUR".into(), "0.15".into()));

    // What was parked in dollars is paid in dollars.
    purse.wallet(&["limits", "set", "--ask-above", "0.005 USD"]).exits(0);
    purse.pay(&[&url("6"), "--asset", "USD"]).exits(7).says("asks 0.0561 USD");
    let number = purse.wallet(&["parked"]).exits(0).json()["parked"][0]["number"].to_string();
    purse.wallet(&["approve", &number, "--pay"]).exits(0).says(dollars);
    farthing(shop.path(), &["ledger", "verify"]).exits(0);
}

const MOMENT: &str = r#"
[[pass]]
name = "moment"
amount = "0.05 EUR"
lasts = "1s"
covers = ["/euros"]
"#;

/// Euros that came later were tried first for a subscription in dollars, whose most allows nothing of them.
#[test]
fn a_subscription_is_paid_in_the_asset_of_its_own_most() {
    let shop = Shop::open_with(&format!("{MORE}{MOMENT}"), &[("rates.json", &feed("1.10"))]);
    farthing(shop.path(), &["rates", "refresh"]).exits(0);
    let purse = Purse::new();
    let redeem = |amount, unit| {
        let code = shop.code(amount);
        purse.wallet(&["redeem", &code, "--mint", &shop.mint, "--unit", unit]).exits(0);
    };
    redeem("1.00 USD", "uusd");
    let moment = shop.url("/.well-known/farthing/passes/moment");
    purse.wallet(&["subscribe", &moment, "--max", "0.10 USD"]).exits(0);
    redeem("1.00 EUR", "ueur");
    purse.until_due();
    purse.wallet(&["renew"]).exits(0);
    let trial = farthing(shop.path(), &["ledger", "trial", "--json"]).exits(0).json();
    assert_eq!(figures(&trial, "fx:EUR", "USD").1, "0.11");
}
