//! Pause and sunset with the real program: what the operator turns, what payers see, and how everybody gets his money.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::purse::{Purse, Run, farthing};
use super::shop::Shop;

/// The operator, over the socket of the server that runs.
fn operator(shop: &Shop, arguments: &[&str]) -> Run {
    farthing(shop.path(), arguments)
}

/// What anybody is answered, head and body.
fn get(shop: &Shop, path: &str) -> String {
    let mut stream = TcpStream::connect(shop.address()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", shop.address()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn mode(shop: &Shop, turn: &str) -> Value {
    operator(shop, &["issuer", turn, "--json"]).exits(0).json()["mode"].clone()
}

#[test]
fn a_paused_shop_asks_for_no_money() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    // Bought before: the pass stays good.
    purse.pay(&[&shop.url("/page")]).exits(0);
    purse.assert_has("0.99");
    assert_eq!(mode(&shop, "pause"), "paused");
    purse.pay(&[&shop.url("/page")]).exits(0);
    let refused = purse.pay(&[&shop.url("/toll")]);
    assert!(refused.exit != 0 && refused.stderr.contains("503"), "{}", refused.stderr);
    let answer = get(&shop, "/toll");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("\r\nretry-after: 60\r\n"), "{answer}");
    assert!(answer.contains(r#""code":"paused""#) && !answer.contains("WWW-Authenticate"), "{answer}");
    purse.pay(&[&shop.url("/free")]).exits(0);
    purse.assert_has("0.99");
    let code = operator(&shop, &["code", "create", "--amount", "1.00 USD"]);
    assert!(code.exit != 0 && code.stderr.contains("paused"), "{}", code.stderr);
    assert_eq!(mode(&shop, "resume"), "open");
    purse.pay(&[&shop.url("/page?again")]).exits(0);
    purse.assert_has("0.98");
    shop.assert_earned("0.02");
}

/// The end: no code is sold, two wallets turn what they have into codes, the operator takes those back and pays; then
/// nothing is owed, and the books say so.
#[test]
fn everybody_gets_his_money_at_the_end() {
    let shop = Shop::open();
    let (first, second) = (Purse::with(&shop, "1.00 USD"), Purse::with(&shop, "2.50 USD"));
    first.pay(&[&shop.url("/page")]).exits(0);
    let unused = shop.code("0.30 USD");
    assert_eq!(mode(&shop, "sunset"), "sunset");
    let sold = operator(&shop, &["code", "create", "--amount", "1.00 USD"]);
    assert!(sold.exit != 0 && sold.stderr.contains("sunset"), "{}", sold.stderr);

    let page = get(&shop, "/toll");
    assert!(page.starts_with("HTTP/1.1 402 ") && page.contains(r#""issuer_mode":"sunset""#), "{page}");
    let about = get(&shop, "/.well-known/farthing.json");
    assert!(about.contains(r#""issuer_mode":"sunset""#), "{about}");

    let mut codes = vec![unused];
    let part = second.wallet(&["refund", &shop.mint, "--amount", "0.50 USD", "--json"]).exits(0).json();
    assert_eq!(part["refunded"]["decimal"], "0.50");
    codes.push(part["code"].as_str().unwrap().to_owned());
    for (purse, amount) in [(&first, "0.99"), (&second, "2.00")] {
        let all = purse.wallet(&["refund", &shop.mint, "--json"]).exits(0).says("whoever has the code");
        let all = all.json();
        assert_eq!((&all["refunded"]["decimal"], &all["fee"]["decimal"]), (&json!(amount), &json!("0.00")));
        codes.push(all["code"].as_str().unwrap().to_owned());
        let nothing = purse.wallet(&["refund", &shop.mint]);
        assert_eq!(nothing.exit, 6, "{}", nothing.stderr);
        assert!(purse.wallet(&["history", "--json"]).exits(0).stdout.contains(&codes[codes.len() - 1]));
    }

    std::fs::write(shop.path().join("codes"), format!("# of payers\n{}\n", codes.join("\n"))).unwrap();
    let paid = operator(&shop, &["code", "refund", "codes", "--json"]).exits(0).json();
    assert_eq!(paid["now"], json!([{ "asset": "USD", "amount": "3790000", "shown": "3.79 USD" }]));
    let again = operator(&shop, &["code", "refund", "codes", "--text"]).exits(0);
    assert!(again.stdout.starts_with("to be paid now: nothing\n"), "{}", again.stdout);
    assert!(!again.stdout.contains(&codes[0]), "codes are not repeated");
    std::fs::write(shop.path().join("codes"), "FT-NO-SUCH-CODE\n").unwrap();
    operator(&shop, &["code", "refund", "codes"]).exits(5).says("1 code cannot be taken back");

    let status = operator(&shop, &["issuer", "status", "--json"]).exits(0).json();
    assert_eq!(
        (&status["assets"][0]["outstanding"], &status["assets"][0]["codes"]),
        (&json!("0"), &json!("0"))
    );
    let text = operator(&shop, &["issuer", "status", "--text"]).exits(0).stdout;
    assert!(
        text.starts_with("the issuer is sunset\nowed: 0.00 USD in credits, 0.00 USD in unused codes\n"),
        "{text}"
    );
    operator(&shop, &["ledger", "verify"]).exits(0);
    shop.assert_earned("0.01");
}
