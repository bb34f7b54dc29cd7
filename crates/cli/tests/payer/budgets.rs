//! Budgets that hold: limits of every kind, many payments at once up to the last unit, and what would be paid.

use serde_json::json;

use super::purse::Purse;
use super::shop::Shop;
use super::wiretap::{Answers, Wiretap};

#[test]
fn own_limits_hold_for_hosts_paths_tools_and_tasks() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    let call = shop.url("/call");
    let set = |about: &[&str]| {
        purse.wallet(&[&["limits", "set"], about].concat()).exits(0);
    };
    let host = shop.address().split(':').next().unwrap();
    for (about, beside) in [
        (vec!["--host", host, "--per-day", "0.01 USD"], vec![]),
        (vec!["--path", "*/call", "--per-month", "0.01 USD"], vec![]),
        (vec!["--tool", "Fetch", "--total", "0.01 USD"], vec!["--tool", "fetch"]),
        (vec!["--task", "t-1", "--total", "1c"], vec!["--task", "T-1"]),
    ] {
        set(&about);
        let pay = |url: &str| purse.pay(&[&[url], beside.as_slice()].concat());
        pay(&call).exits(0);
        pay(&call).exits(7).says(about[1].to_lowercase().trim_start_matches("*/"));
        if !beside.is_empty() {
            purse.pay(&[&call]).exits(0);
        }
        let shown = purse.wallet(&["limits", "show"]).exits(0).json();
        let rules = shown["rules"].as_array().unwrap();
        let rule = rules.iter().find(|rule| rule["limit"]["unit"] == "uusd").unwrap();
        assert_eq!((&rule["used"]["decimal"], &rule["left"]["decimal"]), (&json!("0.01"), &json!("0.00")));
        purse.wallet(&["limits", "remove", about[0], about[1]]).exits(0);
        purse.wallet(&["limits", "remove", about[0], about[1]]).exits(5);
    }
    set(&["--per-month", "0.06 USD"]);
    purse.pay(&[&call]).exits(7).says("per month");
    let shown = purse.wallet(&["limits", "show"]).exits(0).json();
    assert_eq!(shown["limits"][0]["left_this_month"]["decimal"], "0.00");
    assert_eq!(shown["rules"], json!([]));
    for wrong in [
        &["--host", "a b", "--total", "1 USD"][..],
        &["--path", "a.example", "--total", "1 USD"],
        &["--tool", "a/b", "--total", "1 USD"],
        &["--host", "a.example", "--per-host", "1 USD"],
        &["--host", "a.example", "--tool", "x", "--total", "1 USD"],
    ] {
        purse.wallet(&[&["limits", "set"], wrong].concat()).exits(2);
    }
    shop.assert_earned("0.06");
}

#[test]
fn sixteen_at_once_stop_at_exactly_the_limit() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    let call = shop.url("/call");
    let run = purse.pay(&[&call, "--max-total", "5c", "--repeat", "1000", "-j", "16"]).exits(7);
    let run =
        run.says("5 of 1000 were paid, 0.05 USD in all").says("for this run of 0.05 USD leaves 0.00 USD");
    let told = run.json();
    assert_eq!((&told["paid"], &told["failed"]), (&json!(5), &json!(0)), "{told}");
    assert_eq!(told["charged"][0]["decimal"], "0.05");
    shop.assert_earned("0.05");
    purse.assert_has("0.95");
    // What does not come out even stops before the limit, and limits of the wallet hold in the same way.
    purse.pay(&[&call, "--max-total", "$0.059999", "--repeat", "100", "-j", "16"]).exits(7);
    shop.assert_earned("0.10");
    purse.wallet(&["limits", "set", "--per-day", "0.17 USD"]).exits(0);
    purse.pay(&[&call, "--repeat", "100", "-j", "16"]).exits(7).says("per day");
    shop.assert_earned("0.17");
    // A limit that is not reached stops nothing.
    purse.wallet(&["limits", "set", "--per-day", "none", "--asset", "USD"]).exits(0);
    let run = purse.pay(&[&call, "--max-total", "3c", "--repeat", "3", "-j", "16"]).exits(0);
    assert_eq!(run.json()["paid"], 3);
    purse.assert_has("0.80");
    shop.assert_earned("0.20");
    // All that there is can be spent, down to the last credit.
    let run = purse.pay(&[&call, "--repeat", "1000", "-j", "16"]).exits(6);
    assert_eq!(run.json()["paid"], 80);
    shop.assert_earned("1.00");
}

#[test]
fn a_run_killed_in_the_middle_stays_within_its_limits() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    purse.wallet(&["limits", "set", "--total", "0.08 USD"]).exits(0);
    let wire = Wiretap::before(shop.address());
    let call = format!("http://{}/call", wire.address);
    let arguments = [call.as_str(), "--max-total", "5c", "--repeat", "100", "-j", "4"];
    wire.set(Answers::Hold("authorization: payment"));
    let mut payer = purse.start(&[&["pay"], &arguments[..]].concat(), "");
    wire.wait_for_swallowed();
    payer.kill().unwrap();
    payer.wait().unwrap();
    wire.set(Answers::Pass);
    purse.wallet(&["recover"]).exits(0);
    purse.pay(&arguments).exits(7);
    purse.pay(&[&call, "--repeat", "100"]).exits(7).says("in total");
    purse.assert_has("0.92");
    shop.assert_earned("0.08");
}

#[test]
fn a_dry_run_tells_what_would_be_done_and_writes_nothing() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    let call = shop.url("/call");
    let history = || purse.wallet(&["history"]).exits(0).stdout;
    let before = history();
    let told = purse.pay(&[&call, "--dry-run"]).exits(0).json();
    assert_eq!((&told["would"], &told["price"]["decimal"]), (&json!("pay"), &json!("0.01")));
    assert!(told["mint"].as_str().unwrap().contains(shop.address()), "{told}");
    assert_eq!(told["limits"][0]["limit"], "per day");
    purse.wallet(&["limits", "set", "--ask-above", "0.005 USD"]).exits(0);
    let run = purse.pay(&[&call, "--dry-run"]).exits(7);
    assert_eq!(run.json()["would"], "ask");
    assert_eq!(purse.wallet(&["parked"]).exits(0).json()["parked"], json!([]), "nothing is parked");
    purse.wallet(&["limits", "set", "--total", "0.001 USD", "--ask-above", "none"]).exits(0);
    let run = purse.pay(&[&call, "--dry-run"]).exits(7);
    assert_eq!(run.json()["would"], "refuse");
    assert_eq!(history(), before);
    purse.assert_has("1.00");
    assert!(shop.site.asked("/call").is_empty());

    let told = purse.pay(&[&shop.url("/free"), "--dry-run"]).exits(0).json();
    assert_eq!(told["outcome"], "free");
    let quote =
        |purse: &Purse, url: &str| super::purse::farthing(purse.path(), &["quote", url, "--wallet", "w"]);
    let told = quote(&purse, &call).exits(0).json();
    let dialects: Vec<&str> =
        told["offers"].as_array().unwrap().iter().map(|offer| offer["dialect"].as_str().unwrap()).collect();
    assert_eq!(dialects, ["mpp", "cashu"]);
    assert!(told["offers"].as_array().unwrap().iter().all(|offer| offer["payable"] == true), "{told}");
    let poor = quote(&Purse::new(), &call).exits(6);
    assert_eq!(poor.json()["offers"][0]["why_not"], "0.00 USD is there of credits that are taken");
    let chain = quote(&purse, &shop.site.url("/chain")).exits(0).json();
    assert_eq!(chain["offers"][0]["on_chain"]["symbol"], "USDC");
    quote(&purse, &shop.url("/free")).exits(0);
}

#[test]
fn the_history_is_summed_up() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    let call = shop.url("/call");
    purse.pay(&[&call, "--tool", "fetch", "--task", "One"]).exits(0);
    purse.pay(&[&call, "--tool", "fetch", "--task", "two", "--repeat", "2"]).exits(0);
    purse.pay(&[&call]).exits(0);
    let sums = |by: &str| {
        let told = purse.wallet(&["history", "--by", by]).exits(0).json();
        let row = |sum: &serde_json::Value| {
            (sum[by].clone(), sum["payments"].clone(), sum["amount"]["decimal"].clone())
        };
        told["sums"].as_array().unwrap().iter().map(row).collect::<Vec<_>>()
    };
    let one = |name: serde_json::Value, count: u32, amount: &str| (name, json!(count), json!(amount));
    assert_eq!(sums("host"), [one(json!(shop.address()), 4, "0.04")]);
    assert_eq!(sums("tool"), [one(json!(null), 1, "0.01"), one(json!("fetch"), 3, "0.03")]);
    assert_eq!(
        sums("task"),
        [one(json!(null), 1, "0.01"), one(json!("one"), 1, "0.01"), one(json!("two"), 2, "0.02")]
    );
    assert_eq!((sums("day").len(), sums("month").len()), (1, 1));
    let entry = &purse.wallet(&["history"]).exits(0).json()["entries"][1];
    assert_eq!((&entry["tool"], &entry["task"]), (&json!("fetch"), &json!("two")));
}
