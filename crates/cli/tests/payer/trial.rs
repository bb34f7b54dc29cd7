//! A newcomer's first credits with the real programs: a 402 says where they are, the wallet takes them and pays, and a lost answer loses nothing.

use super::purse::{Purse, farthing};
use super::shop::Shop;

const TRIAL: &str = "[trial]\namount = \"0.05 USD\"\nvisitors = 2\n";

#[test]
fn a_newcomer_tries_without_money() {
    let shop = Shop::open_with(TRIAL, &[]);
    let (first, second, third) = (Purse::new(), Purse::new(), Purse::new());
    let asked = first.pay(&["--dry-run", &shop.url("/page")]);
    assert_ne!(asked.exit, 0, "there is nothing to pay with: {}", asked.stdout);
    let got = first.wallet(&["trial", &shop.mint, "--json"]).exits(0).json();
    assert_eq!(got["received"]["decimal"], "0.05");
    first.pay(&[&shop.url("/page")]).exits(0);
    first.assert_has("0.04");
    second.wallet(&["trial", &shop.mint]).exits(0);
    let refused = third.wallet(&["trial", &shop.mint]);
    assert!(refused.exit != 0 && refused.stderr.contains("newcomers of this network"), "{}", refused.stderr);
    assert_eq!(third.balance().0, "none");
    shop.assert_earned("0.01");
    let trial = farthing(shop.path(), &["ledger", "trial", "--json"]).exits(0).json();
    let marketing =
        trial["rows"].as_array().unwrap().iter().find(|row| row["account"] == "marketing").unwrap();
    assert_eq!(marketing["debits"], "0.10");
    let empty = first.wallet(&["redeem", "", "--mint", &shop.mint]);
    assert!(empty.exit == 2 && empty.stderr.contains("farthing wallet trial"), "{}", empty.stderr);
}
