//! What was paid for comes again: to the payer who lost the answer, and never twice to one who did not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support;
use crate::support::bank::Bank;
use crate::support::pay::{cashu, credential, gate, get, rules, send};
use crate::support::{start, start_service};
use farthing_gate::serve::Limits;
use farthing_gate::{Body, Gate, Proxy, ProxyConfig};
use farthing_money::Span;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// A payment could be made in the last second of its challenge, and two seconds later its retry was refused with
/// `challenge-expired`: charged and denied.
#[tokio::test]
async fn a_retry_outlives_the_challenge_that_it_paid() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let challenge = get(gate.address, "/paid/x", "").await;
    let paid = credential(&challenge, &bank.token(&[16_384]), None);
    let unpaid = credential(&challenge, &bank.token(&[16_384]), None);
    bank.pass_time(Span::from_secs(299));
    let first = get(gate.address, "/paid/x", &paid).await;
    assert_eq!((first.status, bank.taken()), (200, 10_000));
    bank.pass_time(Span::from_secs(2));
    let again = get(gate.address, "/paid/x", &paid).await;
    assert_eq!((again.status, again.header("farthing-receipt")), (200, first.header("farthing-receipt")));

    // An old challenge still makes no payment, and opens nothing else.
    assert_eq!(get(gate.address, "/paid/x", &unpaid).await.code(), "challenge-expired");
    assert_eq!(get(gate.address, "/paid/y", &paid).await.code(), "challenge-elsewhere");
    bank.pass_time(Span::from_secs(60));
    assert_eq!(get(gate.address, "/paid/x", &paid).await.code(), "payment-used");
    assert_eq!(bank.taken(), 10_000);
}

/// With the default pass of one minute, one charge for a POST sent the message fifty times.
#[tokio::test]
async fn what_changes_things_is_done_once_unless_the_rule_says_otherwise() {
    let done = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&done);
    let upstream = start(Limits::default(), move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
        async { Response::new(Body::from("sent")) }
    })
    .await;
    let bank = Bank::new();
    let gate = gate(&bank, upstream.address).await;
    let headers = cashu(&bank.token(&[16_384]));
    let first = send(gate.address, "POST", "/paid/sms", &headers, "to=1").await;
    assert_eq!((first.status, first.receipt().pass_until), (200, None));
    for _ in 0..3 {
        let again = send(gate.address, "POST", "/paid/sms", &headers, "to=1").await;
        assert_eq!((again.status, again.code().as_str()), (402, "payment-used"), "{again:?}");
    }
    assert_eq!((bank.taken(), done.load(Ordering::SeqCst)), (10_000, 1));
    // A pass that the rule names holds for every method, with the very credential that paid.
    let headers = cashu(&bank.token(&[16_384]));
    for _ in 0..2 {
        let answer = send(gate.address, "POST", "/all/sms", &headers, "to=1").await;
        assert!(answer.status == 200 && answer.header("farthing-pass").is_none(), "{answer:?}");
    }
    assert_eq!((bank.taken(), done.load(Ordering::SeqCst)), (20_000, 3));
}

/// Where a payment buys one delivery, a client that lost its connection before the answer was charged, and its retry was
/// told to pay again.
#[tokio::test]
async fn an_answer_that_nobody_got_comes_again_once() {
    let large = "x".repeat(70_000);
    for (method, path, body) in
        [("GET", "/once/x", ""), ("POST", "/paid/sms", "to=1"), ("POST", "/paid/u", &large)]
    {
        let (bank, go, asked) = (Bank::new(), Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (let_go, was_asked) = (Arc::clone(&go), Arc::clone(&asked));
        let upstream = start(Limits::default(), move |request: Request<Body>| {
            let (go, asked) = (Arc::clone(&let_go), Arc::clone(&was_asked));
            async move {
                request.into_body().collect().await.unwrap();
                asked.add_permits(1);
                go.acquire().await.unwrap().forget();
                Response::new(Body::from("content"))
            }
        })
        .await;
        let config = ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap());
        let gate = Gate::new(bank.config(rules()), Proxy::new(config).unwrap());
        let gate = start_service(Limits::default(), gate).await;
        let headers = cashu(&bank.token(&[16_384]));
        let length = format!("Content-Length: {}\r\n", body.len());
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: shop.example\r\n{length}{headers}\r\n{body}");
        let mut stream = TcpStream::connect(gate.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        asked.acquire().await.unwrap().forget();
        drop(stream);
        go.add_permits(100);
        let again = loop {
            let answer = send(gate.address, method, path, &headers, body).await;
            if answer.status != 409 {
                break answer;
            }
        };
        assert_eq!((again.status, again.body.as_str(), bank.taken()), (200, "content", 10_000), "{again:?}");
        again.receipt();
        let third = send(gate.address, method, path, &headers, body).await;
        assert_eq!((third.status, third.code().as_str()), (402, "payment-used"), "{third:?}");
        assert_eq!((asked.available_permits(), bank.taken()), (1, 10_000), "asked twice, charged once");
    }
}
