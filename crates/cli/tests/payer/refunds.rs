//! A payment comes back to the wallet that made it: by its own asking within the window, and by the operator's word, with the real
//! program.

use super::purse::{Purse, farthing};
use super::shop::Shop;

const MORE: &str = r#"
[[price]]
path = "/euros"
amount = "0.10 USD"
pass = "1h"
[price.refund]
within = "10m"
per_payer = 1
"#;

fn merchant(shop: &Shop) -> (String, String) {
    let trial = farthing(shop.path(), &["ledger", "trial", "--json"]).exits(0).json();
    let rows = trial["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["account"] == "merchant:corner-shop").unwrap();
    let figure = |name: &str| row[name].as_str().unwrap().to_owned();
    (figure("credits"), figure("debits"))
}

#[test]
fn a_payer_gets_back_what_it_asks_for_in_time() {
    let shop = Shop::open_with(MORE, &[]);
    let purse = Purse::with(&shop, "1.00 USD");
    let url = shop.url("/euros");
    let page = purse.pay(&["--json", &url]).exits(0);
    assert!(page.stdout.contains("this is /euros"), "{}", page.stdout);
    purse.assert_has("0.90");
    let back = purse.wallet(&["refund-payment", &url, "--json"]).exits(0).json();
    assert_eq!(back["received"]["decimal"], "0.10", "{back}");
    purse.assert_has("1.00");
    assert_eq!(merchant(&shop), ("0.10".into(), "0.10".into()));
    // The pass that the wallet still has opens nothing: the page is paid for again, and once a day is enough.
    purse.pay(&[&url]).exits(0);
    purse.assert_has("0.90");
    let refused = purse.wallet(&["refund-payment", &url]).exits(1);
    assert!(refused.stderr.contains("refund-payer-limit"), "{}", refused.stderr);
    let rates = farthing(shop.path(), &["refund", "rates", "--json"]).exits(0).json();
    assert_eq!(
        (&rates[0]["paid"], &rates[0]["refunded"], &rates[0]["rate"]),
        (&2.into(), &1.into(), &5_000.into())
    );
    assert!(rates[0]["item"].as_str().unwrap().ends_with("/euros"), "{rates}");
    farthing(shop.path(), &["ledger", "verify"]).exits(0);
}

#[test]
fn the_operator_gives_back_a_part_once_and_the_payer_fetches_it() {
    let mut shop = Shop::open_with(MORE, &[]);
    let purse = Purse::with(&shop, "1.00 USD");
    let url = shop.url("/page");
    purse.pay(&[&url]).exits(0);
    let refused = purse.wallet(&["refund-payment", &url]).exits(1);
    assert!(refused.stderr.contains("refund-not-offered"), "{}", refused.stderr);
    let number = purse.wallet(&["history"]).exits(0).json()["entries"][0]["number"].to_string();
    let receipt = purse.wallet(&["history", "--receipt", &number]).exits(0).stdout;
    let receipt = receipt.trim();
    let refund = |more: &[&str]| farthing(shop.path(), &[&["refund", receipt, "--json"], more].concat());
    let part = ["--amount", "0.004 USD", "--why", "half of it was missing"];
    assert_eq!(refund(&part).exits(0).json()["due"], "0.004 USD");
    let again = refund(&part).exits(0).says("done before").json();
    assert_eq!((&again["repeated"], &again["kept"]), (&true.into(), &"0.006 USD".into()));
    let code = refund(&["--amount", "0.001 USD", "--why", "asked by telephone", "--code"]).exits(0).json();
    let text = code["code"].as_str().unwrap().to_owned();
    let much = refund(&["--amount", "0.0051 USD", "--why", "kindness"]);
    assert!(much.exit != 0 && much.stderr.contains("refund-too-much"), "{}", much.stderr);
    let nothing = farthing(shop.path(), &["refund", receipt]).exits(2);
    assert!(nothing.stderr.contains("--why"), "{}", nothing.stderr);
    purse.wallet(&["refund-payment", &url]).exits(0);
    purse.assert_has("0.994");
    purse.wallet(&["redeem", &text, "--mint", &shop.mint]).exits(0);
    purse.assert_has("0.995");
    assert_eq!(merchant(&shop), ("0.01".into(), "0.005".into()));
    let journal = farthing(shop.path(), &["ledger", "journal", "--json"]).exits(0).stdout;
    assert!(journal.contains("half of it was missing"), "{journal}");
    // In the open folder, without a server, it is the same.
    shop.stop();
    let rest = farthing(shop.path(), &["refund", receipt, "--json", "--why", "the rest"]).exits(0).json();
    assert_eq!((&rest["refunded"], &rest["kept"]), (&"0.005 USD".into(), &"0.00 USD".into()));
    farthing(shop.path(), &["ledger", "verify"]).exits(0);
}
