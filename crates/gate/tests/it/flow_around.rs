//! Ways round a price, each of which was open once.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::support;
use crate::support::bank::{Bank, usd};
use crate::support::pay::{Answer, cashu, cent, get, send};
use crate::support::{Server, raw, start, start_service};
use farthing_engine::PaymentId;
use farthing_gate::serve::Limits;
use farthing_gate::{Body, Gate, Price, Proxy, ProxyConfig, Rule, Rules};
use farthing_money::Amount;
use http::{HeaderName, Request, Response};
use http_body_util::BodyExt;

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

/// A preflight is free, and was passed on with its body and with an override of its method: frameworks that follow such
/// overrides did the work and said its result in a header.
#[tokio::test]
async fn a_preflight_does_nothing_that_has_a_price() {
    let upstream = start(Limits::default(), async |request: Request<Body>| {
        let override_of = |name: &HeaderName| name.as_str().contains("override");
        let overridden = request.headers().keys().any(override_of);
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let result = if overridden || !body.is_empty() { "work" } else { "none" };
        let answer = Response::builder().header("access-control-allow-origin", "*").header("vary", "origin");
        answer
            .header("x-result", result)
            .header("access-control-seen", result)
            .body(Body::from("OK"))
            .unwrap()
    })
    .await;
    let bank = Bank::new();
    let gate = gate_of(&bank, vec![Rule::new("/**", cent()).unwrap()], upstream.address).await;
    let ask = "Origin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n";
    let headers = format!("{ask}X-HTTP-Method-Override: POST\r\nX_Method_Override: POST\r\n");
    let answer = send(gate.address, "OPTIONS", "/paid/x", &headers, "work").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{answer:?}");
    assert_eq!(
        (answer.header("access-control-allow-origin"), answer.header("vary")),
        (Some("*"), Some("origin"))
    );
    assert_eq!((answer.header("x-result"), answer.header("content-length")), (None, Some("0")), "{answer:?}");
    assert_eq!(answer.header("access-control-seen"), Some("none"));
    // A pass opens what it paid for, and nothing that changes things.
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate_of(&bank, vec![Rule::new("/**", cent()).unwrap()], upstream.address).await;
    let pass = pass_of(&bank, gate.address, "/x").await;
    let answer = get(gate.address, "/x", &format!("{pass}X-HTTP-Method-Override: POST\r\n")).await;
    assert!(answer.status == 200 && !answer.body.contains("override"), "{answer:?}");
}

/// `Connection` names what is for one connection only, and a client that named our note there kept it from the upstream.
#[tokio::test]
async fn the_note_is_not_the_clients_to_take_away() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate_of(&bank, vec![Rule::new("/**", cent()).unwrap()], upstream.address).await;
    let headers =
        format!("{}Connection: Farthing-Payment, x-own\r\nX-Own: 1\r\n", cashu(&bank.token(&[16_384])));
    let answer = get(gate.address, "/x", &headers).await;
    assert!(answer.status == 200 && answer.body.contains("\nfarthing-payment: "), "{answer:?}");
    assert!(!answer.body.contains("x-own"), "{answer:?}");
}

/// One letter outside ASCII in any cookie, and the pass went to the upstream and was not seen by the gate.
#[tokio::test]
async fn a_pass_among_cookies_of_any_bytes_is_seen_and_kept() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (bank, cookies) = (Bank::new(), Arc::clone(&seen));
    let upstream = start(Limits::default(), move |request: Request<Body>| {
        cookies
            .lock()
            .unwrap()
            .extend(request.headers().get_all("cookie").iter().map(|c| c.as_bytes().to_vec()));
        async { Response::new(Body::from("content")) }
    })
    .await;
    let gate = gate_of(&bank, vec![Rule::new("/paid/**", cent()).unwrap()], upstream.address).await;
    let pass = pass_of(&bank, gate.address, "/paid/x").await;
    let pass = pass.trim_end().strip_prefix("Farthing-Pass: ").unwrap();
    for (path, status) in [("/paid/x", 200), ("/open", 200), ("/paid/y", 402)] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nCookie: n=");
        let rest = format!("; farthing_pass={pass}; b=2;farthing_pass =x\r\n\r\n");
        let request = [head.as_bytes(), b"\xe9", rest.as_bytes()].concat();
        assert_eq!(Answer::of(&raw(gate.address, request).await).status, status, "{path}");
    }
    assert_eq!(*seen.lock().unwrap(), vec![b"n=\xe9; b=2".to_vec(); 2]);
}

/// The books kept the whole URL of each payment for ever, and with it whatever a query said of the payer.
#[tokio::test]
async fn the_books_keep_no_query() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate_of(&bank, vec![Rule::new("/**", cent()).unwrap()], upstream.address).await;
    let headers = cashu(&bank.token(&[16_384]));
    let answer = get(gate.address, "/paid/x?email=alice@example.org", &headers).await;
    let receipt = answer.receipt();
    assert_eq!(receipt.resource, "http://shop.example/paid/x?email=alice@example.org");
    let resource = {
        let id: PaymentId = receipt.payment.parse().unwrap();
        bank.payment(id).unwrap().resource
    };
    let code = resource.strip_prefix("GET http://shop.example/paid/x?").unwrap();
    assert!(code.len() == 16 && code.bytes().all(|byte| byte.is_ascii_hexdigit()), "{resource}");
    // The code tells queries apart as well as the query did.
    for (path, expected) in [
        ("/paid/x?email=bob@example.org", 400),
        ("/paid/x", 400),
        ("/paid/x?", 400),
        ("/paid/x?email=alice@example.org", 200),
    ] {
        assert_eq!(get(gate.address, path, &headers).await.status, expected, "{path}");
    }
}
