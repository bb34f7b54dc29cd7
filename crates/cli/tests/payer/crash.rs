//! Lost answers and killed programs: the money is whole, or it bought the page, and never twice.

use super::purse::Purse;
use super::shop::Shop;
use super::wiretap::{Answers, Wiretap};

const PAID: &str = "authorization: payment";

#[test]
fn a_lost_answer_is_a_payment_that_the_same_command_finishes() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    let wire = Wiretap::before(shop.address());
    let page = format!("http://{}/page", wire.address);
    wire.set(Answers::Lose(PAID));
    purse.pay(&[&page]).exits(8).says("run the same command again");
    let (free, reserved) = purse.balance();
    assert_ne!((free.as_str(), reserved.as_str()), ("1.00", "0.00"), "the credits stay set aside");
    purse.pay(&[&page, "--dry-run"]).exits(8).says("under way already");

    wire.set(Answers::Pass);
    let run = purse.pay(&[&page]).exits(0).says("paid 0.01 USD to corner-shop");
    assert_eq!(run.stdout, "this is /page\n");
    purse.assert_has("0.99");
    shop.assert_earned("0.01");
}

#[test]
fn a_lost_answer_is_found_out_by_recovery() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    let wire = Wiretap::before(shop.address());
    wire.set(Answers::Lose(PAID));
    purse.pay(&[&format!("http://{}/page", wire.address)]).exits(8);
    let run = purse.wallet(&["recover"]).exits(0).json();
    assert_eq!((&run["attempts"][0]["kind"], &run["attempts"][0]["end"]), (&"pay".into(), &"charged".into()));
    purse.assert_has("0.99");
    shop.assert_earned("0.01");
}

#[test]
fn a_payer_killed_in_the_middle_loses_nothing() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    let wire = Wiretap::before(shop.address());
    let page = format!("http://{}/page", wire.address);
    wire.set(Answers::Hold(PAID));
    let mut payer = purse.start(&["pay", &page], "");
    wire.wait_for_swallowed();
    payer.kill().unwrap();
    payer.wait().unwrap();

    wire.set(Answers::Pass);
    let run = purse.pay(&[&page]).exits(0).says("paid 0.01 USD");
    assert_eq!(run.stdout, "this is /page\n");
    purse.assert_has("0.99");
    shop.assert_earned("0.01");
}

#[test]
fn a_code_redeemed_into_a_killed_wallet_is_not_lost() {
    let shop = Shop::open();
    let purse = Purse::new();
    let wire = Wiretap::before(shop.address());
    let mint = shop.mint.replace(shop.address(), &wire.address.to_string());
    let code = shop.code("0.50 USD");
    // Once while the quote is asked for, once while the credits are signed.
    for asked in ["/v1/mint/quote/code", "/v1/mint/code"] {
        wire.set(Answers::Hold(asked));
        let mut redeemer = purse.start(&["wallet", "redeem", &code, "--mint", &mint], "");
        wire.wait_for_swallowed();
        redeemer.kill().unwrap();
        redeemer.wait().unwrap();
    }
    wire.set(Answers::Pass);
    purse.wallet(&["balance"]).exits(0).says("recovered: an earlier top-up code brought 0.50 USD");
    purse.assert_has("0.50");
}

#[test]
fn what_no_pass_keeps_open_is_not_paid_for_again_unasked() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "4.00 USD");
    let wire = Wiretap::before(shop.address());
    let dear = format!("http://{}/dear", wire.address);
    wire.set(Answers::Lose(PAID));
    purse.pay(&[&dear, "--max", "1.50 USD"]).exits(8);
    wire.set(Answers::Pass);
    purse.pay(&[&dear, "--max", "1.50 USD"]).exits(1).says("1.50 USD was charged").says("a new payment");
    purse.assert_has("2.50");
    shop.assert_earned("1.50");
    purse.pay(&[&dear, "--max", "1.50 USD"]).exits(0);
    shop.assert_earned("3.00");
}

#[test]
fn a_call_that_may_cost_less_does_not_carry_on_with_a_dearer_payment() {
    // `--max` held for new payments only: one that an earlier call had left open was sent whatever it was worth.
    let shop = Shop::open();
    let purse = Purse::with(&shop, "4.00 USD");
    let wire = Wiretap::before(shop.address());
    let dear = format!("http://{}/dear", wire.address);
    wire.set(Answers::Lose(PAID));
    purse.pay(&[&dear, "--max", "1.50 USD"]).exits(8);
    wire.set(Answers::Pass);
    let away = shop.url(&format!("/away?{dear}"));
    for arguments in [&[&dear, "--max", "1.49 USD"][..], &["-L", &away, "--max", "1.49 USD"], &[&dear]] {
        let run = purse.pay(arguments).exits(7).says("1.50 USD is asked for");
        assert!(run.stderr.contains("an earlier payment of it is open"), "{}", run.stderr);
    }
    purse.wallet(&["recover"]).exits(0);
    purse.assert_has("2.50");
    shop.assert_earned("1.50");
}
