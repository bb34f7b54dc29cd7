//! Subscriptions against the real server: bought once, renewed from a timer or on the spot, and ended.

use serde_json::{Value, json};

use super::purse::Purse;
use super::shop::Shop;
use super::wiretap::{Answers, Wiretap};

const PLACE: &str = "/.well-known/farthing/passes";
const PASSES: &str = r#"
[[pass]]
name = "day"
amount = "0.03 USD"
lasts = "1d"
covers = "/call"
[[pass]]
name = "moment"
amount = "0.03 USD"
lasts = "8s"
covers = "/toll"
"#;

fn shop() -> Shop {
    Shop::open_with(PASSES, &[])
}

impl Purse {
    fn subscriptions(&self) -> Vec<Value> {
        let list = self.wallet(&["subscriptions"]).exits(0).json();
        list["subscriptions"].as_array().unwrap().clone()
    }

    /// Looks until the first subscription is due.
    pub fn until_due(&self) {
        while self.subscriptions()[0]["standing"] != "due" {}
    }
}

#[test]
fn a_subscription_buys_once_whatever_is_asked_and_ends_when_it_is_told() {
    let shop = shop();
    let purse = Purse::with(&shop, "1.00 USD");
    let day = shop.url(&format!("{PLACE}/day"));
    purse.wallet(&["subscribe", &shop.url("/call"), "--max", "1 USD"]).exits(2).says("a pass for sale");
    purse.wallet(&["subscribe", &shop.url(&format!("{PLACE}/year")), "--max", "1 USD"]).exits(1).says("404");
    purse.wallet(&["subscribe", &day, "--max", "0.02 USD"]).exits(7).says("costs 0.03 USD now");
    assert!(purse.subscriptions().is_empty());
    let made = purse.wallet(&["subscribe", &day, "--max", "0.03 USD", "--every", "day"]).exits(0).json();
    assert_eq!(made["subscriptions"][0]["charged"]["decimal"], "0.03", "{made}");
    for _ in 0..2 {
        let looked = purse.wallet(&["renew"]).exits(0).json();
        assert_eq!(looked["subscriptions"][0]["charged"], Value::Null, "{looked}");
    }
    let run = purse.pay(&[&shop.url("/call")]).exits(0).says("a pass opens it");
    assert_eq!(run.stdout, "this is /call\n");
    let list = purse.subscriptions();
    assert_eq!((&list[0]["standing"], &list[0]["cost"][0]["decimal"]), (&json!("stands"), &json!("0.03")));
    let number = list[0]["subscription"].to_string();
    let sums = purse.wallet(&["history", "--by", "subscription"]).exits(0).json();
    assert_eq!(sums["sums"][0]["subscription"], number, "{sums}");
    purse.wallet(&["subscribe", &day, "--max", "0.02 USD"]).exits(7).says("it cost 0.03 USD before");
    purse.wallet(&["unsubscribe", &number]).exits(0);
    purse.wallet(&["unsubscribe", &day]).exits(5).says("there is no subscription");
    purse.pay(&[&shop.url("/call")]).exits(0).says("a pass opens it");
    shop.assert_earned("0.03");
}

#[test]
fn a_page_whose_pass_has_ended_renews_it_within_the_limits() {
    let shop = shop();
    let purse = Purse::with(&shop, "1.00 USD");
    let (moment, toll) = (shop.url(&format!("{PLACE}/moment")), shop.url("/toll"));
    purse.wallet(&["subscribe", &moment, "--max", "0.03 USD", "--times", "2"]).exits(0);
    purse.until_due();
    purse.pay(&[&toll, "--max", "0.02 USD"]).exits(7).says("for this call").says("--no-renew");
    let run = purse.pay(&[&toll]).exits(0).says("bought the pass at").says("for 0.03 USD");
    assert_eq!(run.stdout, "pass through\n");
    shop.assert_earned("0.06");
    // Two were wanted.
    assert_eq!(purse.subscriptions()[0]["standing"], "over");
    purse.wallet(&["renew"]).exits(0);
    shop.assert_earned("0.06");
}

#[test]
fn one_that_has_to_be_asked_for_does_not_keep_the_others_from_going_on() {
    let shop = shop();
    let purse = Purse::with(&shop, "1.00 USD");
    let (day, moment) = (shop.url(&format!("{PLACE}/day")), shop.url(&format!("{PLACE}/moment")));
    let place = format!("{}{PLACE}/day", shop.address());
    purse.wallet(&["limits", "set", "--path", &place, "--ask-above", "0.01 USD"]).exits(0);
    purse.wallet(&["subscribe", &day, "--max", "0.03 USD"]).exits(7).says("it is subscribed").says("parked");
    purse.wallet(&["subscribe", &moment, "--max", "0.03 USD", "--times", "1"]).exits(0);
    let run = purse.wallet(&["renew"]).exits(7).says("1 of 2 subscriptions");
    assert_eq!(run.json()["subscriptions"].as_array().unwrap().len(), 2);
    shop.assert_earned("0.03");
    let parked = purse.wallet(&["parked"]).exits(0).json();
    assert_eq!(parked["parked"].as_array().unwrap().len(), 1, "the same request is parked once");
    purse.wallet(&["approve", &parked["parked"][0]["number"].to_string()]).exits(0);
    purse.wallet(&["renew"]).exits(0);
    purse.wallet(&["renew"]).exits(0);
    shop.assert_earned("0.06");
}

/// What went wrong: a renewal that was parked and then paid with the yes counted in no subscription, which would have bought it again.
#[test]
fn a_parked_renewal_that_is_paid_with_the_yes_counts_in_its_subscription() {
    let shop = shop();
    let purse = Purse::with(&shop, "1.00 USD");
    purse.wallet(&["limits", "set", "--ask-above", "0.01 USD"]).exits(0);
    let moment = shop.url(&format!("{PLACE}/moment"));
    let terms = ["subscribe", &moment, "--max", "0.03 USD", "--times", "1"];
    purse.wallet(&terms).exits(7).says("it is subscribed").says("parked");
    // By hand it is the same request.
    purse.pay(&[&moment]).exits(7);
    let parked = purse.wallet(&["parked"]).exits(0).json();
    let waits = parked["parked"].as_array().unwrap();
    let number = purse.subscriptions()[0]["subscription"].clone();
    assert_eq!((waits.len(), &waits[0]["subscription"]), (1, &number));
    let yes = || purse.wallet(&["approve", &waits[0]["number"].to_string(), "--pay"]);
    let looked = yes().exits(0).json();
    assert_eq!(looked["subscriptions"][0]["charged"]["decimal"], "0.03", "{looked}");
    let one = &purse.subscriptions()[0];
    assert_eq!((&one["left"], &one["standing"]), (&json!(0), &json!("over")), "{one}");
    assert_eq!(one["cost"][0]["decimal"], "0.03", "{one}");
    yes().exits(5).says("nothing is parked");
    purse.wallet(&["renew"]).exits(0);
    shop.assert_earned("0.03");
}

/// What went wrong: the yes to a parked renewal that is not due any more bought nothing, and exited with 0.
#[test]
fn a_yes_to_a_parked_renewal_that_is_not_due_any_more_says_that_nothing_is_bought() {
    let shop = shop();
    let purse = Purse::with(&shop, "1.00 USD");
    let day = shop.url(&format!("{PLACE}/day"));
    purse.wallet(&["limits", "set", "--ask-above", "0.01 USD"]).exits(0);
    purse.wallet(&["subscribe", &day, "--max", "0.03 USD"]).exits(7).says("parked");
    // Meanwhile one is bought by hand.
    purse.wallet(&["limits", "set", "--ask-above", "1.00 USD"]).exits(0);
    purse.pay(&[&day]).exits(0);
    shop.assert_earned("0.03");
    purse.wallet(&["limits", "set", "--ask-above", "0.01 USD"]).exits(0);
    let number = purse.wallet(&["parked"]).exits(0).json()["parked"][0]["number"].to_string();
    let run = purse.wallet(&["approve", &number, "--pay"]).exits(1).says("nothing is bought");
    run.says("not due before").says(&format!("farthing pay {day}"));
    shop.assert_earned("0.03");
    // It does what it says.
    purse.pay(&[&day]).exits(0);
    purse.wallet(&["approve", &number]).exits(5);
    shop.assert_earned("0.06");
}

#[test]
fn a_renewal_that_is_killed_is_carried_on_with() {
    let shop = shop();
    let purse = Purse::with(&shop, "1.00 USD");
    let wire = Wiretap::before(shop.address());
    let day = format!("http://{}{PLACE}/day", wire.address);
    wire.set(Answers::Hold("authorization: payment"));
    let mut payer = purse.start(&["wallet", "subscribe", &day, "--max", "0.03 USD"], "");
    wire.wait_for_swallowed();
    payer.kill().unwrap();
    payer.wait().unwrap();
    wire.set(Answers::Pass);
    let looked = purse.wallet(&["renew"]).exits(0).json();
    assert_eq!(looked["subscriptions"][0]["charged"]["decimal"], "0.03", "{looked}");
    purse.wallet(&["renew"]).exits(0);
    purse.pay(&[&format!("http://{}/call", wire.address)]).exits(0).says("a pass opens it");
    purse.assert_has("0.97");
    shop.assert_earned("0.03");
}
