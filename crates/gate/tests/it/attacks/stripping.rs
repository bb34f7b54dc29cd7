//! A box in the middle takes fields away, adds some, or makes a challenge weaker.
//!
//! Whoever reads the traffic can take the money itself: against that only TLS helps. What is shown here is that a box, or
//! a client that says it is one, gets nothing out of the gate that was not paid for, and no honest payer pays twice.

use std::sync::{Arc, Mutex};

use farthing_gate::serve::Limits;
use farthing_gate::{Body, Gate, Proxy, ProxyConfig};
use farthing_wire::mpp;
use http::{Request, Response};
use http_body_util::BodyExt;

use super::house::{HOUSES, House, rules};
use crate::support::bank::Bank;
use crate::support::pay::{Answer, cashu, credential, get, send};
use crate::support::{self, start, start_service};

/// A header of the server's own, sent by the client, said that all was paid.
#[tokio::test]
async fn our_own_fields_are_not_the_clients_to_send() {
    let notes = [
        "Farthing-Payment: paid\r\n",
        "farthing-payment: eyJhbGciOiJFZERTQSJ9.e30.AAAA\r\n",
        "Farthing-Receipt: paid\r\nFarthing-Pass: paid\r\nCookie: farthing_pass=paid\r\nPayment-Receipt: paid\r\n",
        "X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\nFarthing-Charge: none\r\nFarthing-Payment: x\r\n",
    ];
    for house in HOUSES {
        let (bank, upstream) = (Bank::new(), support::mirror().await);
        let door = house.open(&bank, upstream.address).await;
        let mut stolen = 0;
        for note in notes {
            stolen += usize::from(get(door.address, "/paid/x", note).await.status == 200);
            // With a payment the upstream is told of it by us alone.
            let paid =
                get(door.address, "/once/x", &format!("{note}{}", cashu(&bank.token(&[16_384])))).await;
            if house == House::Ours {
                assert!(paid.status == 200 && !paid.body.contains("paid\n"), "{paid:?}");
                assert_eq!(paid.body.matches("farthing-payment: ").count(), 1, "{paid:?}");
            }
        }
        assert_eq!(stolen > 0, house.falls(), "{house:?}: {stolen} for nothing");
    }
}

/// The price of another host was paid for this one's page.
#[tokio::test]
async fn the_host_is_the_one_that_was_asked() {
    for house in HOUSES {
        let (bank, upstream) = (Bank::new(), support::mirror().await);
        let door = house.open(&bank, upstream.address).await;
        let mut stolen = 0;
        for name in ["X-Forwarded-Host", "Forwarded", "X-Host", "X-Original-Host"] {
            let field = if name == "Forwarded" { "host=cheap.example" } else { "cheap.example" };
            let headers = format!("{name}: {field}\r\n{}", cashu(&bank.token(&[1])));
            stolen += usize::from(get(door.address, "/paid/x", &headers).await.status == 200);
        }
        assert_eq!(stolen > 0, house.falls(), "{house:?}: {stolen} for a ten-thousandth");
    }
}

/// The digest was taken out of the challenge, and the payment for one order carried another.
#[tokio::test]
async fn a_payment_for_one_order_carries_no_other() {
    for house in HOUSES {
        let orders = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&orders);
        let upstream = start(Limits::default(), move |request: Request<Body>| {
            let seen = Arc::clone(&seen);
            async move {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                seen.lock().unwrap().push(String::from_utf8(body.to_vec()).unwrap());
                Response::new(Body::from("ordered"))
            }
        })
        .await;
        let bank = Bank::new();
        let door = house.open(&bank, upstream.address).await;
        let challenge = send(door.address, "POST", "/paid/order", "", "one book").await;
        let stripped = edited(&challenge, |challenge| challenge.digest = None);
        let other = edited(&challenge, |challenge| {
            challenge.digest = Some(farthing_wire::digest::content_digest(b"1000 books"));
        });
        for (weakened, code) in [
            (&stripped, "challenge-not-ours"),
            (&other, "challenge-not-ours"),
            (&challenge, "challenge-body"),
        ] {
            let paid = credential(weakened, &bank.token(&[16_384]), None);
            let answer = send(door.address, "POST", "/paid/order", &paid, "1000 books").await;
            if !house.falls() {
                assert_eq!(answer.code(), code, "{answer:?}");
            }
        }
        let orders = orders.lock().unwrap().clone();
        assert_eq!(orders.contains(&"1000 books".to_owned()), house.falls(), "{house:?}: {orders:?}");
    }
}

/// An answer lost its receipt on the way; the client asked again, and had to pay again.
#[tokio::test]
async fn an_answer_without_its_receipt_is_asked_for_again() {
    for house in HOUSES {
        let (bank, upstream) = (Bank::new(), support::mirror().await);
        let door = house.open(&bank, upstream.address).await;
        let headers = cashu(&bank.token(&[16_384]));
        let first = get(door.address, "/paid/x", &headers).await;
        let taken = bank.taken();
        let again = get(door.address, "/paid/x", &headers).await;
        assert_eq!(again.status != 200, house.falls(), "{house:?} keeps what was paid for: {again:?}");
        if !house.falls() {
            assert_eq!(again.header("farthing-receipt"), first.header("farthing-receipt"));
            assert_eq!(bank.taken(), taken);
        }
    }
}

/// The upstream says that anyone may keep its page, and a cache in between gave what one had paid for to all.
#[tokio::test]
async fn no_cache_keeps_what_was_paid_for() {
    for house in HOUSES {
        let upstream = start(Limits::default(), async |_| {
            let response = Response::builder()
                .header("cache-control", "public, max-age=3600, s-maxage=3600")
                .header("cdn-cache-control", "max-age=3600")
                .header("surrogate-control", "max-age=3600");
            response.body(Body::from("content")).unwrap()
        })
        .await;
        let bank = Bank::new();
        let door = house.open(&bank, upstream.address).await;
        let answer = get(door.address, "/paid/x", &cashu(&bank.token(&[16_384]))).await;
        assert_eq!(answer.status, 200);
        assert_eq!(may_keep(&answer), house.falls(), "{house:?}: {answer:?}");
        if !house.falls() {
            let receipt = answer.receipt();
            let pass = format!("Farthing-Pass: {}\r\n", answer.header("farthing-pass").unwrap());
            let again = get(door.address, "/paid/x", &pass).await;
            assert!(again.status == 200 && !may_keep(&again), "{receipt:?} {again:?}");
            assert!(!may_keep(&get(door.address, "/paid/x", "").await), "nor a challenge");
        }
    }
}

/// What a shared cache would keep (RFC 9111; and the fields that only some caches know, RFC 9213).
fn may_keep(answer: &Answer) -> bool {
    let control = answer.all("cache-control").join(",").to_ascii_lowercase();
    let targeted =
        ["cdn-cache-control", "surrogate-control"].iter().any(|name| answer.header(name).is_some());
    targeted || !(control.contains("private") || control.contains("no-store"))
}

/// A proxy said that the payer came by http, and what was given out was for http.
#[tokio::test]
async fn https_is_not_talked_down() {
    let claims = "X-Forwarded-Proto: http\r\nX-Forwarded-Ssl: off\r\nForwarded: proto=http\r\n";
    for house in HOUSES {
        let (bank, upstream) = (Bank::new(), support::mirror().await);
        let door = match house {
            House::Naive => house.open(&bank, upstream.address).await,
            House::Ours => {
                let mut config = bank.config(rules());
                config.names.https = Some(true);
                let proxy = ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap());
                start_service(Limits::default(), Gate::new(config, Proxy::new(proxy).unwrap())).await
            }
        };
        let challenge = get(door.address, "/paid/x", claims).await;
        let paid = credential(&challenge, &bank.token(&[16_384]), None);
        let answer = get(door.address, "/paid/x", &format!("{claims}{paid}")).await;
        assert_eq!(answer.status, 200, "{house:?}: {answer:?}");
        let for_http = match house {
            House::Naive => answer.header("x-receipt").unwrap().starts_with("http "),
            House::Ours => {
                let cookie = answer.header("set-cookie").unwrap().to_owned();
                !cookie.contains("; Secure") || !answer.receipt().resource.starts_with("https://")
            }
        };
        assert_eq!(for_http, house.falls(), "{house:?}: {answer:?}");
    }
}

/// A challenge of a 402, changed on its way, as its payer would answer it.
pub fn edited(answer: &Answer, edit: impl FnOnce(&mut mpp::Challenge)) -> Answer {
    let mut challenge = mpp::Challenge::parse_all(&answer.all("www-authenticate")).remove(0);
    edit(&mut challenge);
    let field = challenge.to_header().unwrap();
    Answer { status: 402, head: format!("HTTP/1.1 402\r\nWWW-Authenticate: {field}"), body: String::new() }
}
