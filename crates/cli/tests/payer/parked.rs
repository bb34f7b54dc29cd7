//! Above the owner's threshold nobody pays unasked: the payment is parked, and a yes lets it pass once.

use serde_json::{Value, json};

use super::purse::{Purse, on_terminal};
use super::shop::Shop;
use super::wiretap::{Answers, Wiretap};

/// A wallet whose owner wants to be asked, and the number of what it has parked.
fn asked(shop: &Shop) -> Purse {
    let purse = Purse::with(shop, "1.00 USD");
    purse.wallet(&["limits", "set", "--ask-above", "0.005 USD"]).exits(0);
    purse
}

fn parked(purse: &Purse) -> Vec<Value> {
    purse.wallet(&["parked"]).exits(0).json()["parked"].as_array().unwrap().clone()
}

#[test]
fn a_payment_above_the_threshold_is_parked_and_a_yes_is_good_once() {
    let shop = Shop::open();
    let purse = asked(&shop);
    let call = shop.url("/call");
    let pay = || purse.pay(&[&call, "--tool", "fetch", "--task", "t1", "--json"]);
    let run = pay().exits(7).says("0.01 USD").says("it is parked as number").says("wallet approve");
    assert!(run.stdout.is_empty() && run.stderr.contains("\"outcome\":\"parked\""), "{}", run.stderr);
    pay().exits(7);
    let waits = parked(&purse);
    assert_eq!(waits.len(), 1, "the same request is parked once: {waits:?}");
    assert_eq!(
        (&waits[0]["url"], &waits[0]["tool"], &waits[0]["task"]),
        (&json!(call), &json!("fetch"), &json!("t1"))
    );
    let number = waits[0]["number"].to_string();
    assert!(shop.site.asked("/call").is_empty());

    purse.wallet(&["approve", &number]).exits(0);
    // It is for this request alone.
    purse.pay(&[&call]).exits(7);
    purse.pay(&[&shop.url("/call?other"), "--tool", "fetch", "--task", "t1"]).exits(7);
    pay().exits(0);
    pay().exits(7);
    shop.assert_earned("0.01");

    // A yes raises no limit.
    let number = parked(&purse).last().unwrap()["number"].to_string();
    purse.wallet(&["approve", &number, "--always"]).exits(0);
    purse.wallet(&["limits", "set", "--total", "0.02 USD"]).exits(0);
    pay().exits(0);
    pay().exits(7).says("in total");
    purse.wallet(&["limits", "set", "--total", "none", "--asset", "USD"]).exits(0);
    pay().exits(0);
    purse.wallet(&["deny", &number]).exits(0);
    pay().exits(7).says("parked");
    purse.wallet(&["deny", &number]).exits(5);
    purse.wallet(&["approve", "9999"]).exits(5).says("nothing is parked under the number 9999");
    shop.assert_earned("0.03");

    // A yes that is over lets nothing pass.
    let number = parked(&purse).last().unwrap()["number"].to_string();
    purse.wallet(&["approve", &number, "--for", "0s"]).exits(0);
    pay().exits(7);
}

#[test]
fn a_parked_request_is_performed_when_the_owner_says_so() {
    let shop = Shop::open();
    let purse = asked(&shop);
    let call = shop.url("/call");
    purse.pay(&[&call, "-d", "a=b"]).exits(7);
    let number = parked(&purse)[0]["number"].to_string();
    let run = purse.wallet(&["approve", &number, "--pay"]).exits(0).says("paid 0.01 USD");
    assert_eq!(run.stdout, "this is /call\n");
    assert_eq!(shop.site.asked("/call").last().unwrap().body, "a=b");
    assert!(parked(&purse).is_empty());
    shop.assert_earned("0.01");
    // What may say who asks is not kept.
    purse.pay(&[&call, "-H", "X-Api-Key: secret"]).exits(7);
    let number = parked(&purse)[0]["number"].to_string();
    purse.wallet(&["approve", &number, "--pay"]).exits(1).says("not kept whole");
    purse.pay(&[&call, "-H", "X-Api-Key: secret"]).exits(0);
    shop.assert_earned("0.02");
}

#[test]
fn a_yes_is_used_up_with_the_money_even_if_the_payer_is_killed() {
    let shop = Shop::open();
    let purse = asked(&shop);
    let wire = Wiretap::before(shop.address());
    let call = format!("http://{}/call", wire.address);
    purse.pay(&[&call]).exits(7);
    let number = parked(&purse)[0]["number"].to_string();
    purse.wallet(&["approve", &number]).exits(0);
    wire.set(Answers::Hold("authorization: payment"));
    let mut payer = purse.start(&["pay", &call], "");
    wire.wait_for_swallowed();
    payer.kill().unwrap();
    payer.wait().unwrap();
    wire.set(Answers::Pass);
    assert!(parked(&purse).is_empty(), "the yes went with the money");
    purse.wallet(&["recover"]).exits(0);
    purse.pay(&[&call]).exits(7).says("parked");
}

#[test]
fn own_thresholds_go_before_the_one_for_everything() {
    let shop = Shop::open();
    let purse = asked(&shop);
    let host = shop.address();
    purse.wallet(&["limits", "set", "--host", host, "--ask-above", "0.02 USD"]).exits(0);
    purse.pay(&[&shop.url("/call")]).exits(0);
    purse.wallet(&["limits", "set", "--tool", "risky", "--ask-above", "0.001 USD"]).exits(0);
    purse.pay(&[&shop.url("/call"), "--tool", "risky"]).exits(7).says("above 0.001 USD");
    let run = purse.pay(&[&shop.url("/call"), "--tool", "risky", "--repeat", "9", "-j", "4"]).exits(7);
    assert_eq!(run.says("parked as number").json()["paid"], 0);
    shop.assert_earned("0.01");
}

#[test]
fn on_a_terminal_the_owner_is_asked() {
    let shop = Shop::open();
    let purse = asked(&shop);
    let call = shop.url("/call");
    let pay = |typed: &str| on_terminal(purse.path(), &["pay", &call, "--wallet", "w"], typed);
    let run =
        pay("n\n").exits(7).says("asks 0.01 USD").says("per day leaves 10.00 USD").says("the answer was no");
    assert!(run.stdout.is_empty() && shop.site.asked("/call").is_empty());
    pay("\n").exits(7).says("Pay? [y/N]");
    assert_eq!(pay("y\n").exits(0).says("paid 0.01 USD").stdout, "this is /call\n");
    assert!(parked(&purse).is_empty(), "nothing is parked where somebody was asked");
    shop.assert_earned("0.01");
}
