//! A stop lets payments under way come to their end, takes no new ones, and does not wait for ever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::bank::{Bank, MINT, usd};
use crate::support::pay::{cashu, get, rules};
use crate::support::{Server, start, start_service};
use farthing_ecash::Token;
use farthing_gate::serve::Limits;
use farthing_gate::{Body, Gate, Proxy, ProxyConfig};
use http::Response;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};

/// A gate before an upstream that answers with a status once it is told to.
async fn scene(
    bank: &Arc<Bank>,
    status: u16,
    drain: Duration,
) -> (Server, Server, mpsc::Receiver<()>, Arc<Semaphore>) {
    let go = Arc::new(Semaphore::new(0));
    let (sender, asked) = mpsc::channel(8);
    let upstream = start(Limits::default(), {
        let go = Arc::clone(&go);
        move |_| {
            let (go, sender) = (Arc::clone(&go), sender.clone());
            async move {
                let _ = sender.send(()).await;
                go.acquire().await.unwrap().forget();
                Response::builder().status(status).body(Body::from("content")).unwrap()
            }
        }
    })
    .await;
    let proxy =
        Proxy::new(ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap())).unwrap();
    let limits = Limits { drain, ..Limits::default() };
    let gate = start_service(limits, Gate::new(bank.config(rules()), proxy)).await;
    (gate, upstream, asked, go)
}

#[tokio::test]
async fn payments_under_way_are_charged_or_given_back() {
    for (status, expected, taken, state) in [(200, 200, 10_000, "spent"), (500, 502, 0, "unspent")] {
        let bank = Bank::new();
        let (gate, _upstream, mut asked, go) = scene(&bank, status, Duration::from_secs(30)).await;
        let address = gate.address;
        let credits = bank.credits(&[16_384]);
        let headers = cashu(&Token::new(MINT, usd().unit(), None, credits.clone()).encode());
        let payer = tokio::spawn(async move { get(address, "/paid/x", &headers).await });
        asked.recv().await.unwrap();
        assert_eq!(bank.state(&credits[0]), "pending");
        let stopping = tokio::spawn(gate.stop());
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert!(!stopping.is_finished(), "it waits for the payment");
        go.add_permits(1);
        let answer = payer.await.unwrap();
        assert_eq!(answer.status, expected, "{answer:?}");
        stopping.await.unwrap();
        assert_eq!((bank.taken(), bank.state(&credits[0])), (taken, state));
    }
}

#[tokio::test]
async fn an_upstream_that_never_answers_does_not_keep_us() {
    let bank = Bank::new();
    let (gate, _upstream, mut asked, go) = scene(&bank, 200, Duration::from_millis(200)).await;
    let address = gate.address;
    let headers = cashu(&bank.token(&[16_384]));
    let payer =
        tokio::spawn(async move { TcpStream::connect(address).await.map(|stream| (stream, headers)) });
    let (mut stream, headers) = payer.await.unwrap().unwrap();
    let request = format!("GET /paid/x HTTP/1.1\r\nHost: shop.example\r\n{headers}\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
    asked.recv().await.unwrap();
    let begun = Instant::now();
    gate.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // The payment's own task still brings it to its end, as long as the process is there.
    assert_eq!(bank.taken(), 0);
    go.add_permits(1);
    while bank.taken() == 0 {
        tokio::task::yield_now().await;
    }
}
