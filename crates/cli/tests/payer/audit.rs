//! `farthing wallet audit`: an honest issuer passes, and one that shows other lists than it signed is caught.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::purse::{Purse, farthing};
use super::shop::Shop;

/// Ends the epoch; what is then stated, in minor units and for the only keyset: issued, redeemed.
fn end_epoch(shop: &Shop) {
    let ended = farthing(shop.path(), &["issuer", "epoch", "--json"]).exits(0).json();
    assert_eq!(ended["statements"], 1, "{ended}");
}

/// An issuer in the middle: everything is the shop's, but one of these answers is changed.
fn meddler(shop: &Shop, path: &'static str, change: fn(&mut Value)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, shop) = (format!("http://{}", listener.local_addr().unwrap()), shop.address().to_owned());
    std::thread::spawn(move || {
        for client in listener.incoming() {
            // A client that has seen enough ends its own connection only.
            let _ = pass_on(client.unwrap(), &shop, path, change);
        }
    });
    url
}

fn pass_on(client: TcpStream, shop: &str, path: &str, change: fn(&mut Value)) -> std::io::Result<()> {
    let mut lines = BufReader::new(client.try_clone()?).lines();
    let first = lines.next().unwrap()?;
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let mut server = TcpStream::connect(shop)?;
    write!(server, "{first}\r\nHost: {shop}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    server.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut body: Value = serde_json::from_str(body).unwrap();
    if first.contains(path) {
        change(&mut body);
    }
    let (status, body) = (head.lines().next().unwrap(), body.to_string());
    let mut client = client;
    write!(client, "{status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

#[test]
fn an_honest_issuer_passes_and_goes_on_passing() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    purse.pay(&[&shop.url("/page")]).exits(0);
    end_epoch(&shop);
    let audit = purse.wallet(&["audit", &shop.mint]).exits(0).json();
    let keyset = &audit["keysets"][0];
    assert_eq!((&audit["honest"], &audit["key_known"]), (&true.into(), &true.into()), "{audit}");
    assert_eq!(keyset["own"]["listed"]["amount"], "990000", "{audit}");
    let statement = &keyset["statement"];
    assert_eq!((&statement["outstanding"], &statement["unit"]), (&"990000".into(), &"uusd".into()));
    assert_eq!(statement["redeemed"]["unlisted"], "0");

    // New credits are not stated yet; then they are, and what was stated before still stands.
    purse.wallet(&["redeem", &shop.code("0.50 USD")]).exits(0);
    let own = &purse.wallet(&["audit", &shop.url("/page")]).exits(0).json()["keysets"][0]["own"];
    assert_eq!(own["too_new"]["amount"], "500000", "{own}");
    purse.pay(&[&shop.url("/page?again")]).exits(0);
    end_epoch(&shop);
    let text = purse.wallet(&["audit", &shop.mint, "--full", "--text"]).exits(0).stdout;
    assert!(text.contains("yours: ") && text.contains("of 1.48 USD: listed as issued"), "{text}");
    assert!(text.contains("nothing is wrong with what"), "{text}");
    let again = purse.wallet(&["audit", &shop.mint, "--full"]).exits(0).json();
    let checked = again["keysets"][0]["own"]["earlier_statements_checked"].as_u64().unwrap();
    assert_eq!(again["keysets"][0]["statements"], checked + 1, "{again}");
    // The ledger says the same.
    let verified = farthing(shop.path(), &["ledger", "verify", "--json"]).exits(0).json();
    assert_eq!(verified["statements"], checked + 1, "{verified}");
}

#[test]
fn an_issuer_that_lies_is_caught_with_evidence() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    purse.pay(&[&shop.url("/page")]).exits(0);
    end_epoch(&shop);
    let drop_one = |page: &mut Value| drop(page["leaves"].as_array_mut().unwrap().remove(0));
    let inflate = |page: &mut Value| page["leaves"][0][1] = (1_u64 << 30).into();
    let alter = |page: &mut Value| {
        let texts = page["statements"].as_array_mut().unwrap();
        let text = texts.pop().unwrap();
        texts.push(text.as_str().unwrap().replacen('.', ".e", 1).into());
    };
    for (place, (path, change, code)) in [
        ("/issued", drop_one as fn(&mut Value), "audit-list"),
        ("/redeemed", drop_one, "audit-list"),
        ("/issued", inflate, "audit-list"),
        ("/liabilities HTTP", alter, "audit-malformed"),
    ]
    .into_iter()
    .enumerate()
    {
        let url = meddler(&shop, path, change);
        let file = format!("evidence-{place}.json");
        let run = purse.wallet(&["audit", &url, "--full", "--evidence", &file]).exits(1).says("was caught");
        assert_eq!(run.json()["findings"][0]["code"], code, "{}", run.stdout);
        let path = purse.path().join(&file);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let evidence: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(evidence["findings"][0]["code"], code);
        assert!(evidence["findings"][0]["evidence"]["statement"].as_str().unwrap().len() > 100, "{evidence}");
    }
    // Without a name the evidence goes into the wallet's folder.
    let url = meddler(&shop, "/issued", drop_one);
    let run = purse.wallet(&["audit", &url, "--full"]).exits(1);
    let path = run.json()["evidence"].as_str().unwrap().to_owned();
    assert!(purse.path().join(path).exists());
    // The wallet goes on as before.
    purse.wallet(&["audit", &shop.mint]).exits(0);
    purse.assert_has("0.99");
}

#[test]
fn who_publishes_nothing_is_told_so() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "0.10 USD");
    purse.wallet(&["audit", &shop.site.url("/")]).exits(5).says("publishes no statements");
    purse.wallet(&["audit", "nonsense"]).exits(2);
    Purse::new().wallet(&["audit", &shop.mint]).exits(5).says("farthing wallet init");
}
