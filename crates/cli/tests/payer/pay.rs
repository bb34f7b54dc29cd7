//! `farthing pay`: what is free passes, what has a price is paid once, within limits.

use serde_json::{Value, json};

use super::purse::{Purse, farthing};
use super::shop::Shop;
use super::site::Site;

#[test]
fn a_page_is_paid_once_and_then_a_pass_opens_it() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    let page = shop.url("/page");
    let run =
        purse.pay(&[&page, "--receipt", "receipt"]).exits(0).says("paid 0.01 USD to corner-shop (receipt ");
    assert_eq!(run.stdout, "this is /page\n");
    let run = purse.pay(&[&page]).exits(0).says("nothing to pay: a pass opens it");
    assert_eq!(run.stdout, "this is /page\n");
    let report = purse.pay(&[&page, "--json"]).exits(0).stderr;
    assert_eq!(serde_json::from_str::<Value>(&report).unwrap()["outcome"], "pass");
    purse.assert_has("0.99");
    shop.assert_earned("0.01");

    let run = farthing(purse.path(), &["receipt", "verify", "receipt"]).exits(0);
    assert_eq!(run.json()["receipt"]["decimal"], "0.01");
    let entries = purse.wallet(&["history"]).exits(0).json();
    let entry = &entries["entries"][0];
    assert_eq!((&entry["kind"], &entry["url"]), (&json!("pay"), &json!(page)));
    let kept = purse.wallet(&["history", "--receipt", &entry["number"].to_string()]).exits(0).stdout;
    assert_eq!(kept, std::fs::read_to_string(purse.path().join("receipt")).unwrap());
    purse.wallet(&["history", "--receipt", "0"]).exits(5);
}

#[test]
fn what_is_not_delivered_is_not_charged() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    let run = purse.pay(&[&shop.url("/nowhere")]).exits(1).says("404").says("nothing was charged");
    assert_eq!(run.stdout, "nothing here\n", "the answer is the user's to see");
    purse.pay(&[&shop.url("/broken")]).exits(1).says("nothing was charged");
    purse.assert_has("1.00");
    let limits = purse.wallet(&["limits", "show"]).exits(0).json();
    assert_eq!(limits["limits"][0]["spent_total"]["decimal"], "0.00");
}

#[test]
fn without_a_wallet_what_is_free_passes() {
    let shop = Shop::open();
    let purse = Purse::new();
    let run = purse.pay(&[&shop.url("/free")]).exits(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("this is /free\n", ""));
    let run = purse.pay(&[&shop.site.url("/none")]).exits(1).says("the server answered 404 Not Found");
    assert_eq!(run.stdout, "nothing here\n");
    purse.pay(&[&shop.url("/page")]).exits(6).says("0.01 USD is needed, 0.00 USD is there");
    assert!(!purse.place().exists(), "nothing was made");
    assert!(shop.site.asked("/page").is_empty());
}

#[test]
fn limits_hold_before_anything_is_sent() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "4.00 USD");
    let (page, dear) = (shop.url("/page"), shop.url("/dear"));
    purse.pay(&[&page, "--max", "0.009 USD"]).exits(7).says("for this call");
    purse.pay(&[&page, "--max", "5 EUR"]).exits(7);
    purse.pay(&[&dear]).exits(7).says("per call of 1.00 USD");
    purse.pay(&[&dear, "--dry-run"]).exits(7);
    let run = purse.pay(&[&dear, "--dry-run", "--max", "1.50 USD"]).exits(0);
    assert_eq!((&run.json()["outcome"], &run.json()["price"]["decimal"]), (&json!("priced"), &json!("1.50")));
    assert!(shop.site.asked("/dear").is_empty());
    purse.assert_has("4.00");

    purse.pay(&[&dear, "--max", "1.50 USD"]).exits(0).says("paid 1.50 USD");
    purse.wallet(&["limits", "set", "--per-day", "1.509 USD", "--per-call", "none"]).exits(0);
    purse.pay(&[&page, "--max", "9 USD"]).exits(7).says("per day").says("leaves 0.009 USD");
    purse
        .wallet(&["limits", "set", "--per-day", "none", "--per-host", "1.51 USD", "--asset", "USD"])
        .exits(0);
    purse.pay(&[&page]).exits(0);
    purse.pay(&[&shop.url("/page?again")]).exits(7).says("per host");
    let run = purse.wallet(&["limits", "show"]).exits(0).json();
    assert_eq!(run["limits"][0]["spent_total"]["decimal"], "1.51");
    purse.wallet(&["limits", "set"]).exits(2);
    purse.wallet(&["limits", "set", "--per-day", "1 USD", "--total", "1 EUR"]).exits(2);
    shop.assert_earned("1.51");
}

#[test]
fn a_request_is_what_the_user_wrote() {
    let shop = Shop::open();
    let purse = Purse::new();
    let echo = shop.url("/echo");
    assert_eq!(purse.pay(&[&echo, "-d", "a=b"]).exits(0).stdout, "POST a=b");
    assert_eq!(
        purse.pay_with(&[&echo, "-d", "@-", "-X", "PUT"], "from\nstdin").exits(0).stdout,
        "PUT from\nstdin"
    );
    std::fs::write(purse.path().join("body"), "from file").unwrap();
    let run =
        purse.pay(&[&echo, "-d", "@body", "-H", "Content-Type: text/x", "-H", "X-One: 1", "-i"]).exits(0);
    assert!(run.stdout.starts_with("HTTP/1.1 200 OK\r\n"), "{}", run.stdout);
    assert!(run.stdout.ends_with("\r\n\r\nPOST from file"), "{}", run.stdout);
    let asked = shop.site.asked("/echo");
    assert!(asked[0].head.contains("content-type: application/x-www-form-urlencoded"), "{}", asked[0].head);
    assert!(asked[2].head.contains("content-type: text/x") && asked[2].head.contains("x-one: 1"));
    let run = purse.pay(&[&echo, "-o", "out"]).exits(0);
    assert_eq!(std::fs::read_to_string(purse.path().join("out")).unwrap(), "GET ");
    assert_eq!(run.json()["outcome"], "free");

    for wrong in [
        &["-H", "no colon"][..],
        &["-H", "Content-Length: 1"],
        &["-X", "G T"],
        &["--max", "1"],
        &["--max", "USD"],
    ] {
        purse.pay(&[&[echo.as_str()], wrong].concat()).exits(2);
    }
    purse.pay(&[&echo, "-d", "@absent"]).exits(5);
    purse.pay(&[&echo, "-o", "no/such/folder"]).exits(1);
    purse.pay(&["http://pay.example/"]).exits(2).says("not encrypted");
    purse.pay(&["ftp://127.0.0.1/"]).exits(2);
    assert_eq!(shop.site.asked("/echo").len(), 4, "what cannot be delivered is not asked for");
}

#[test]
fn redirects_are_followed_when_asked_and_secrets_stay_home() {
    let (shop, other) = (Shop::open(), Site::start());
    let purse = Purse::with(&shop, "1.00 USD");
    let run = purse.pay(&[&shop.site.url("/moved")]).exits(0);
    assert_eq!(run.stdout, "over there\n");
    let run = purse.pay(&["-L", &shop.site.url("/moved")]).exits(0).says("redirects to");
    assert_eq!(run.stdout, "this is /page\n");
    let priced = shop.url("/away?/page");
    assert_eq!(purse.pay(&["-L", &priced]).exits(0).says("paid 0.01 USD").stdout, "this is /page\n");
    purse.pay(&["-L", &shop.url("/away?/away?/page")]).exits(0).says("a pass opens it");

    let away = shop.url(&format!("/away?{}", other.url("/free")));
    purse.pay(&["-L", &away, "-H", "Authorization: Bearer x", "-H", "X-Other: y"]).exits(0);
    let head = &other.asked("/free")[0].head;
    assert!(head.contains("x-other: y") && !head.contains("authorization"), "{head}");
    purse.pay(&["-L", &shop.url("/away?mailto:a@b.example")]).exits(1).says("where HTTP does not go");
    purse.assert_has("0.99");
}

#[test]
fn nobody_there_is_told_apart() {
    let purse = Purse::new();
    // A port that was free a moment ago, and that nobody took since.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    purse.pay(&[&format!("http://{free}/")]).exits(3).says("cannot be reached");
    purse.wallet(&["redeem", "FT-CODE", "--mint", &format!("http://{free}")]).exits(3);
}

#[test]
fn an_answer_that_breaks_off_is_told_and_the_pass_is_kept() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    let cut = shop.url("/cut");
    let run =
        purse.pay(&[&cut]).exits(1).says("broke off after 9 bytes").says("costs nothing while it lasts");
    assert_eq!(run.stdout, "only this");
    purse.pay(&[&cut]).exits(1).says("a pass opens it");
    purse.assert_has("0.99");
}

#[test]
fn commands_on_one_wallet_take_turns() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    let urls: Vec<String> = (0..6).map(|number| shop.url(&format!("/page?{number}"))).collect();
    let runs: Vec<_> = urls.iter().map(|url| purse.start(&["pay", url, "--max", "0.01 USD"], "")).collect();
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    purse.assert_has("0.94");
    shop.assert_earned("0.06");
}
