//! Paying on chains from the command line: the account, the tokens, and what is signed or not.

use serde_json::{Value, json};

use super::purse::Purse;
use super::site::Site;

const WORDS: &str = "test test test test test test test test test test test junk";
const USDC: [&str; 4] = ["--chain", "84532", "--address", "0x036CbD53842c5426634e7929541eC2318f3dCF7e"];

/// A wallet of words that everybody knows.
fn known() -> Purse {
    let purse = Purse::new();
    purse.wallet_with(&["init", "--words-file", "-"], WORDS).exits(0);
    purse
}

#[test]
fn the_account_is_that_of_other_wallets() {
    let purse = known();
    let account = purse.wallet(&["address"]).exits(0).json();
    assert_eq!(account["address"], "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    let run = purse.wallet(&["deposit", "--chain", "84532", "--text"]).exits(0);
    assert!(run.stdout.contains(USDC[3]) && !run.stdout.contains("eip155:8453 "), "{}", run.stdout);
    purse.wallet(&["deposit", "--chain", "31337"]).exits(5).says("no token is known");
    Purse::new().wallet(&["address"]).exits(5);
}

#[test]
fn tokens_are_named_changed_and_blocked() {
    let purse = known();
    let place = ["--chain", "31337", "--address", "0x00000000000000000000000000000000000000aa"];
    let token = |purse: &Purse, words: &[&str]| {
        let tokens = purse.wallet(&[&["token"], words].concat()).exits(0).json();
        let all = tokens["tokens"].as_array().unwrap().clone();
        all.into_iter().find(|one| one["chain"] == json!("eip155:31337")).unwrap_or(Value::Null)
    };
    let add = |more: &[&str]| purse.wallet(&[&["token", "add"], &place[..], more].concat());
    add(&["--symbol", "TUSD"]).exits(2).says("expected --decimals");
    let whole = ["--symbol", "TUSD", "--decimals", "6", "--name", "Test Dollar", "--version", "1"];
    add(&[&whole[..], &["--counts-as", "DOLLAR"]].concat()).exits(2).says("three letters");
    add(&[&whole[..], &["--counts-as", "USD", "--rpc", "http://node.example"]].concat()).exits(2);
    add(&[&whole[..], &["--counts-as", "USD"]].concat()).exits(0);
    let named = token(&purse, &["list"]);
    assert_eq!(
        (&named["symbol"], &named["counts_as"], &named["has_node"]),
        (&json!("TUSD"), &json!("uusd"), &json!(false))
    );
    add(&["--rpc", "http://127.0.0.1:1"]).exits(0);
    assert_eq!(token(&purse, &["list"])["has_node"], true);
    purse.wallet(&["balance"]).exits(0).says("TUSD on eip155:31337 is not known");
    assert_eq!(token(&purse, &[&["remove"], &place[..]].concat()), Value::Null);
    purse.wallet(&[&["token", "remove"], &place[..]].concat()).exits(5).says("is not known");
}

#[test]
fn a_page_is_paid_on_a_chain_within_the_limits() {
    let site = Site::start();
    let purse = known();
    for path in ["/chain", "/chain-v1"] {
        let page = site.url(path);
        let quote = purse.pay(&[&page, "--dry-run"]).exits(0).json();
        assert_eq!(quote["price"]["amount"], "12345");
        assert_eq!(quote["on_chain"]["pay_to"], "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC");
        purse.pay(&[&page, "--max", "0.0123 USD"]).exits(7).says("nothing was sent");
        purse.pay(&[&page, "--dry-run", "--max", "0.0123 USD"]).exits(7);
        purse.pay(&[&page, "--with", "credits"]).exits(6).says("only credits may");
        let signed = |asked: &super::site::Asked| {
            asked.head.contains("payment-signature:") || asked.head.contains("x-payment:")
        };
        assert!(!site.asked(path).iter().any(signed));
        let run = purse
            .pay(&[&page])
            .exits(0)
            .says("paid 0.012345 USD to 0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC on eip155:84532");
        assert_eq!(run.stdout, "paid for\n");
        assert_eq!(site.asked(path).iter().filter(|asked| signed(asked)).count(), 1);
    }
    let entry = purse.wallet(&["history"]).exits(0).json()["entries"][0].clone();
    assert_eq!((&entry["kind"], &entry["on_chain"]["units"]), (&json!("pay"), &json!("12345")));
    assert_eq!(entry["on_chain"]["token"], USDC[3]);

    purse.wallet(&[&["token", "remove"], &USDC[..]].concat()).exits(0);
    purse.pay(&[&site.url("/chain")]).exits(6).says("is not known here");
}

#[test]
fn a_wallet_that_nobody_keeps_signs_nothing() {
    let site = Site::start();
    let purse = Purse::new();
    purse.pay(&[&site.url("/chain")]).exits(6).says("no wallet is here whose account could pay");
    assert_eq!(site.asked("/chain").len(), 1);
    assert!(!purse.place().exists());
    purse.pay(&[&site.url("/chain"), "-H", "PAYMENT-SIGNATURE: e30="]).exits(2);
}
