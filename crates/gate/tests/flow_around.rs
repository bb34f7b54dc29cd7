//! Ways round a price, each of which was open once.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use farthing_gate::serve::Limits;
use farthing_gate::{Gate, Price, Proxy, ProxyConfig, Rule, Rules};
use farthing_money::Amount;
use support::bank::{Bank, usd};
use support::pay::{Answer, cashu, cent, get};
use support::{Server, raw, start_service};

async fn gate_of(bank: &Arc<Bank>, rules: Vec<Rule>, upstream: SocketAddr) -> Server {
    let proxy = Proxy::new(ProxyConfig::new(format!("http://{upstream}").parse().unwrap())).unwrap();
    start_service(Limits::default(), Gate::new(bank.config(Rules::new(rules).unwrap()), proxy)).await
}

/// Buys a page and gives the header that opens it again.
async fn pass_of(bank: &Arc<Bank>, gate: SocketAddr, path: &str) -> String {
    let answer = get(gate, path, &cashu(&bank.token(&[16_384]))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    format!("Farthing-Pass: {}\r\n", answer.header("farthing-pass").unwrap())
}

/// The scope of a pass was the decoded path, so that one payment opened every URL that decodes to the same text, and a
/// cheap search opened a dear file whose name has an encoded question mark.
#[tokio::test]
async fn a_pass_opens_the_url_as_it_was_spelled() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let dear = Price::Paid { amount: usd().money(Amount::new(5_000_000)) };
    let rules = vec![
        Rule::new("/**", cent()).unwrap(),
        Rule::new("/search*", dear).unwrap(),
        Rule::new("/search", cent()).unwrap(),
    ];
    let gate = gate_of(&bank, rules, upstream.address).await;
    for (bought, other) in [
        ("/caf%E9", "/caf%E8"),
        ("/a?b=1", "/a%3Fb=1"),
        ("/a?", "/a"),
        ("/d%2Fe", "/d%252Fe"),
        ("/g%2541", "/g%41"),
        ("/i", "/i/"),
        ("/j/k", "/j//k"),
        ("/f%5Cg", "/f/g"),
        ("/search?why.pdf", "/search%3Fwhy.pdf"),
    ] {
        let pass = pass_of(&bank, gate.address, bought).await;
        assert_eq!(get(gate.address, bought, &pass).await.status, 200, "{bought}");
        assert_eq!(get(gate.address, other, &pass).await.status, 402, "{bought} opened {other}");
    }
}

/// A rule for one host, an upstream that does not look at the host, and a client that names another host or none: the page
/// was served for nothing.
#[tokio::test]
async fn another_host_is_no_way_round() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let shop = || Rule::new("/paid/**", cent()).unwrap().host("shop.example").unwrap();
    let gate = gate_of(&bank, vec![shop(), Rule::new("/cheap", cent()).unwrap()], upstream.address).await;
    assert_eq!(get(gate.address, "/paid/x", "").await.status, 402);
    assert_eq!(get(gate.address, "/open", "").await.status, 200);
    for head in ["1.1\r\nHost: x", "1.1\r\nHost: 127.0.0.1", "1.1\r\nHost: www.shop.example", "1.0"] {
        for path in ["/paid/x", "/robots.txt", "/cheap"] {
            let text = format!("GET {path} HTTP/{head}\r\nConnection: close\r\n\r\n");
            let answer = Answer::of(&raw(gate.address, text).await);
            assert_eq!((answer.status, answer.code().as_str()), (421, "host-unknown"), "{head} {answer:?}");
        }
    }
    // The gate's own name, and every name once a rule says that all are meant.
    let own = "GET /open HTTP/1.1\r\nHost: gate.example:8402\r\nConnection: close\r\n\r\n";
    assert_eq!(Answer::of(&raw(gate.address, own).await).status, 200);
    let all = Rule::new("/cheap", cent()).unwrap().host("*").unwrap();
    let gate = gate_of(&bank, vec![shop(), all], upstream.address).await;
    let other = "GET /open HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(Answer::of(&raw(gate.address, other).await).status, 200);
}
