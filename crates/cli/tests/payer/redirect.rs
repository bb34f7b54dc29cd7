//! Redirects and money: one command pays once, within one limit, and tells all of what it cost.

use serde_json::Value;

use super::purse::Purse;
use super::shop::Shop;
use super::thief::Thief;

#[test]
fn a_merchant_who_takes_the_money_cannot_ask_for_more_by_a_redirect() {
    // A payer with `-L --max "0.01 USD"` paid at every hop, 0.11 USD in all, and was told of the last 0.01.
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    let thief = Thief::before(shop.address(), "/page");
    for (url, arguments) in [(thief.url("/till"), &["--max", "0.01 USD"][..]), (thief.url("/free"), &[])] {
        let before = thief.taken().len();
        let run = purse.pay(&[&["-L", &url, "--json"], arguments].concat()).exits(1);
        let run = run.says("which is not followed").says("0.01 USD was charged all the same");
        assert!(run.stderr.contains("with a redirect to /till"), "{}", run.stderr);
        assert_eq!(run.stdout, "this way\n", "it is delivered as it is");
        assert_eq!(thief.taken().len(), before + 1);
        let report: Value = serde_json::from_str(object_in(&run.stderr)).unwrap();
        assert_eq!((&report["outcome"], &report["status"]), (&"refused".into(), &302.into()));
        assert_eq!(report["charged"]["decimal"], "0.01");
    }
    let answers = thief.taken();
    assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200")), "{answers:?}");
    purse.assert_has("0.98");
    shop.assert_earned("0.02");
    let limits = purse.wallet(&["limits", "show"]).exits(0).json();
    assert_eq!(limits["limits"][0]["spent_total"]["decimal"], "0.02");
}

/// The object among the talk.
fn object_in(talk: &str) -> &str {
    let (start, end) = (talk.find('{').unwrap(), talk.rfind('}').unwrap());
    &talk[start..=end]
}

#[test]
fn a_limit_holds_wherever_a_redirect_leads() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "4.00 USD");
    let thief = Thief::before(shop.address(), "/dear");
    purse.pay(&["-L", &thief.url("/free"), "--max", "1.49 USD"]).exits(7).says("for this call");
    purse.pay(&["-L", &thief.url("/free")]).exits(7).says("per call of 1.00 USD");
    purse.pay(&["-L", &shop.url(&format!("/away?{}", thief.url("/till")))]).exits(7);
    assert!(thief.taken().is_empty());
    purse.assert_has("4.00");
}

#[test]
fn a_priced_redirect_costs_nothing_and_is_not_followed() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    let run = purse.pay(&["-L", &shop.url("/toll")]).exits(1).says("nothing was charged");
    let run = run.says("with a redirect to /page, which is not followed");
    assert_eq!(run.stdout, "pass through\n");
    assert!(shop.site.asked("/page").is_empty());
    purse.assert_has("1.00");
}
