//! Sessions of the wallet: one deposit, many calls, change in the end; budgets and mandates hold, and what is killed or lost costs no
//! more than the step that was on its way.

use serde_json::{Value, json};

use super::purse::{Purse, farthing};
use super::shop::Shop;
use super::wiretap::{Answers, Wiretap};

const PAID: &str = "farthing-session";

impl Purse {
    fn sessions(&self) -> Vec<Value> {
        let list = self.wallet(&["sessions", "list"]).exits(0).json();
        list["sessions"].as_array().unwrap().clone()
    }

    fn spent_today(&self) -> String {
        let shown = self.wallet(&["limits", "show"]).exits(0).json();
        shown["limits"][0]["spent_today"]["decimal"].as_str().unwrap_or("none").to_owned()
    }
}

#[test]
fn one_deposit_pays_for_many_calls_and_the_rest_comes_back() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "2.00 USD");
    let call = shop.url("/call");
    let run = purse.pay(&[&call, "--session"]).exits(0).says("paid 0.01 USD (by a session)");
    assert_eq!(run.stdout, "this is /call\n");
    purse.assert_has("1.00");
    let run = purse.pay(&[&call, "--session", "--repeat", "60", "-j", "16"]).exits(0).json();
    assert_eq!((&run["paid"], &run["charged"][0]["decimal"]), (&json!(60), &json!("0.60")));
    let sessions = purse.sessions();
    assert_eq!((sessions.len(), &sessions[0]["state"]), (1, &json!("open")), "{sessions:?}");
    // What fails costs nothing, and its step is good for the next call.
    purse.pay(&[&shop.url("/broken"), "--session"]).exits(1);

    let closed = purse.wallet(&["sessions", "close", "--all"]).exits(0).json();
    assert_eq!(closed["closed"][0]["back"]["decimal"], "0.39");
    purse.assert_has("1.39");
    shop.assert_earned("0.61");
    assert_eq!(purse.sessions(), Vec::<Value>::new());
    let history = purse.wallet(&["history"]).exits(0).json();
    let kinds: Vec<_> = history["entries"].as_array().unwrap().iter().map(|entry| &entry["kind"]).collect();
    assert_eq!(kinds, ["session-close", "session-deposit", "redeem"]);
    assert_eq!(shop.site.asked("/call").len(), 61);
}

#[test]
fn a_session_that_is_used_up_is_closed_and_another_one_is_opened() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    let call = shop.url("/call");
    let few = ["--session", "--session-deposit", "0.05 USD"];
    let run = purse.pay(&[&[call.as_str(), "--repeat", "12", "-j", "4"], &few[..]].concat()).exits(0).json();
    assert_eq!((&run["paid"], &run["failed"]), (&json!(12), &json!(0)), "{run}");
    let open = purse.sessions();
    assert_eq!((open.len(), &open[0]["left"]["decimal"]), (1, &json!("0.03")), "{open:?}");
    // More goes into the one that is there.
    let id = open[0]["session"].as_str().unwrap();
    let filled = purse.wallet(&["sessions", "topup", id, "0.07 USD"]).exits(0).json();
    let filled = &filled["sessions"][0];
    assert_eq!((&filled["left"]["decimal"], &filled["generation"]), (&json!("0.10"), &json!(1)));
    let run = purse.pay(&[&[call.as_str(), "--repeat", "10"], &few[..]].concat()).exits(0).json();
    assert_eq!(run["paid"], 10);
    purse.wallet(&["sessions", "close", "--all"]).exits(0);
    purse.assert_has("0.78");
    shop.assert_earned("0.22");
}

#[test]
fn limits_hold_for_what_is_put_in_and_for_each_call() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "2.00 USD");
    let call = shop.url("/call");
    let set = |about: &[&str]| {
        purse.wallet(&[&["limits", "set"], about].concat()).exits(0);
    };
    // A run counts its calls, to the last unit.
    let run = purse.pay(&[&call, "--session", "--max-total", "5c", "--repeat", "100", "-j", "16"]);
    assert_eq!(run.exits(7).says("5 of 100 were paid, 0.05 USD in all").json()["paid"], 5);
    purse.pay(&[&call, "--session", "--max", "0.009 USD"]).exits(7).says("for this call");
    purse.wallet(&["sessions", "close", "--all"]).exits(0);
    shop.assert_earned("0.05");
    assert_eq!(purse.spent_today(), "0.05");
    // What is put in is a payment: no more than a payment may cost, nor than the day leaves.
    set(&["--per-call", "0.20 USD", "--per-day", "0.12 USD"]);
    purse.pay(&[&call, "--session", "--session-deposit", "0.10 USD"]).exits(7).says("per day");
    purse.pay(&[&call, "--session"]).exits(0);
    assert_eq!(purse.spent_today(), "0.10", "five calls fit, and no more of a size that chains have");
    purse.wallet(&["sessions", "close", "--all"]).exits(0);
    assert_eq!(purse.spent_today(), "0.06");
    // A session serves what the same rules meet.
    purse.pay(&[&call, "--session", "--session-deposit", "0.02 USD"]).exits(0);
    set(&["--tool", "fetch", "--total", "0.01 USD"]);
    purse.pay(&[&call, "--session", "--tool", "fetch"]).exits(0);
    assert_eq!(purse.sessions().len(), 1, "one for the tool was opened, and is used up already");
    purse.pay(&[&call, "--session", "--tool", "fetch"]).exits(7).says("the tool fetch");
    purse.pay(&[&call, "--session"]).exits(0);
    purse.wallet(&["sessions", "close", "--all"]).exits(0);
    // The last one was closed when it was used up, which brings its calls into the books.
    shop.assert_earned("0.09");
}

#[test]
fn a_killed_payer_loses_the_step_that_was_on_its_way_at_most() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    let wire = Wiretap::before(shop.address());
    let call = format!("http://{}/call", wire.address);
    purse.pay(&[&call, "--session", "--session-deposit", "0.20 USD"]).exits(0);
    for _ in 0..2 {
        wire.set(Answers::Hold(PAID));
        let mut payer = purse.start(&["pay", &call, "--session"], "");
        wire.wait_for_swallowed();
        payer.kill().unwrap();
        payer.wait().unwrap();
        wire.set(Answers::Pass);
    }
    purse.pay(&[&call, "--session"]).exits(0).says("paid 0.01 USD");
    purse.wallet(&["sessions", "close", "--all"]).exits(0);
    purse.assert_has("0.96");
    shop.assert_earned("0.04");
}

#[test]
fn the_words_bring_a_session_back() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    let call = shop.url("/call");
    purse.pay(&[&call, "--session", "--session-deposit", "0.50 USD", "--repeat", "3"]).exits(0);
    let again = Purse::new();
    again.wallet_with(&["restore", "-", "--mint", &shop.mint], &purse.words()).exits(0);
    let found = again.wallet(&["sessions", "find", &shop.mint]).exits(0).json();
    assert_eq!(found["sessions"][0]["left"]["decimal"], "0.47", "{found}");
    // It pays, with the next step.
    again.pay(&[&call, "--session"]).exits(0);
    again.wallet(&["sessions", "close", "--all"]).exits(0);
    again.assert_has("0.96");
    shop.assert_earned("0.04");
    // The lost one learns that another copy has closed it.
    purse.pay(&[&call, "--session"]).exits(0);
    assert_eq!(farthing(shop.path(), &["ledger", "verify"]).exit, 0);
}
