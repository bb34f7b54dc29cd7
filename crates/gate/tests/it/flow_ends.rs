//! Every hold comes to its end, whatever breaks between the hold and the answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::bank::{Bank, MINT, usd};
use crate::support::pay::{Answer, cashu, gate, get, rules};
use crate::support::{start, start_service};
use farthing_ecash::Token;
use farthing_gate::serve::Limits;
use farthing_gate::{Body, Gate, UpstreamError};
use http::{Request, Response};

/// Asks until the payment is no longer under way.
async fn get_in_the_end(gate: SocketAddr, path: &str, headers: &str) -> Answer {
    loop {
        let answer = get(gate, path, headers).await;
        if !matches!(answer.status, 409 | 503) {
            return answer;
        }
    }
}

/// A writer that had no time for seconds after the hold left the credits pending until the next start, and the payer was
/// told that nothing had happened to them.
#[tokio::test]
async fn a_busy_writer_strands_no_money() {
    for first_status in [500, 404, 200] {
        let bank = Bank::new();
        let (busy, asked) = (Arc::clone(&bank), Arc::new(AtomicUsize::new(0)));
        let upstream = start(Limits::default(), move |_| {
            let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
            if first {
                busy.busy.store(53, Ordering::SeqCst);
            }
            let status = if first { first_status } else { 200 };
            async move { Response::builder().status(status).body(Body::from("content")).unwrap() }
        })
        .await;
        let gate = gate(&bank, upstream.address).await;
        let credits = bank.credits(&[16_384]);
        let headers = cashu(&Token::new(MINT, usd().unit(), None, credits.clone()).encode());
        let answer = get(gate.address, "/paid/x", &headers).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "charge-unknown"), "{answer:?}");
        assert!(answer.problem().next.unwrap().contains("same credential again"), "{answer:?}");
        assert_eq!((bank.state(&credits[0]), bank.taken()), ("pending", 0));
        let answer = get_in_the_end(gate.address, "/paid/x", &headers).await;
        assert_eq!((answer.status, answer.body.as_str(), bank.taken()), (200, "content", 10_000));
    }
}

/// A route that panicked behind the tower layer took the task of the payment with it, and the hold stayed.
#[tokio::test]
async fn a_panic_behind_the_layer_releases() {
    let bank = Bank::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let inner = tower::service_fn(move |_: Request<Body>| {
        let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            assert!(!first, "a bug of the route, as this story wants it");
            Ok::<_, UpstreamError>(Response::new(Body::from("content")))
        }
    });
    let gate = start_service(Limits::default(), Gate::new(bank.config(rules()), inner)).await;
    let credits = bank.credits(&[16_384]);
    let headers = cashu(&Token::new(MINT, usd().unit(), None, credits.clone()).encode());
    let answer = get(gate.address, "/paid/x", &headers).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"), "{answer:?}");
    assert_eq!((bank.state(&credits[0]), bank.taken()), ("unspent", 0));
    let answer = get(gate.address, "/paid/x", &headers).await;
    assert_eq!((answer.status, bank.taken()), (200, 10_000), "{answer:?}");
}
