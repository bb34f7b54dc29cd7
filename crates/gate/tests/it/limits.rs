//! Cryptography in vain: who forges is cut off, and nobody else notices.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support;
use crate::support::bank::{Bank, MINT, usd};
use crate::support::pay::{Answer, cashu, credential, exchange, get, rules};
use crate::support::{Server, start, start_service};
use farthing_ecash::{Proof, Token};
use farthing_gate::crypto::Crypto;
use farthing_gate::flow::GateLayer;
use farthing_gate::limit::{Limiter, WorkLimits};
use farthing_gate::serve::Limits;
use farthing_gate::{Body, Gate, Proxy, ProxyConfig};
use farthing_money::Span;
use http::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tower::Layer;

/// With a clock that stands still, so that what is left of a bucket is known.
const WORK: WorkLimits = WorkLimits { per_second: 10, burst: 200 };

async fn limited(bank: &Arc<Bank>, upstream: SocketAddr, trusted: &[&str]) -> Server {
    let mut config = bank.config(rules());
    let trusted = trusted.iter().map(|network| network.parse().unwrap()).collect();
    config.crypto = Crypto::new(2).unwrap().limited(Limiter::new(WORK, config.clock.clone(), trusted));
    let proxy = ProxyConfig::new(format!("http://{upstream}").parse().unwrap());
    start_service(Limits::default(), Gate::new(config, Proxy::new(proxy).unwrap())).await
}

/// A connection from one of the machine's own addresses.
async fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(to).await.unwrap()
}

async fn get_from(from: &str, to: SocketAddr, headers: &str) -> Answer {
    let mut stream = connect(from, to).await;
    let request = format!("GET /paid/x HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    Answer::of(&String::from_utf8_lossy(&answer))
}

/// A token of so many credits, none of which was ever signed.
fn forged(bank: &Bank, count: usize) -> String {
    let good = bank.credits(&[1]).remove(0);
    let forge = |n: usize| Proof { secret: format!("forged {n}"), amount: 1_024, ..good.clone() };
    cashu(&Token::new(MINT, usd().unit(), None, (0..count).map(forge)).encode())
}

/// Sends the same over one connection for ever, as fast as it is answered; counts what was looked at.
async fn flood(
    mut stream: TcpStream,
    headers: String,
    looked_at: Arc<AtomicUsize>,
    refused: mpsc::Sender<Answer>,
) {
    let request = format!("GET /paid/x HTTP/1.1\r\nHost: shop.example\r\n{headers}\r\n");
    loop {
        let answer = exchange(&mut stream, &request).await;
        if answer.status == 429 {
            let _ = refused.try_send(answer);
        } else {
            looked_at.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Each forged token cost a multiplication or more, for anyone, without end: a few clients took the cores, and those who
/// paid waited.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forger_is_cut_off_and_payers_beside_it_pay() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = limited(&bank, upstream.address, &[]).await;
    let looked_at = Arc::new(AtomicUsize::new(0));
    let (sender, mut refused) = mpsc::channel(1);
    let mut forgers = Vec::new();
    for _ in 0..2 {
        let stream = connect("127.0.0.2", gate.address).await;
        forgers.push(tokio::spawn(flood(stream, forged(&bank, 10), Arc::clone(&looked_at), sender.clone())));
    }
    let answer = refused.recv().await.unwrap();
    assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}");
    assert!(answer.body.contains("rate-limited"), "{answer:?}");
    // The forgers go on while these pay: one at another address, and ten who share the forgers' own.
    let before = bank.taken();
    let paid = get_from("127.0.0.3", gate.address, &cashu(&bank.token(&[8_192, 2_048]))).await;
    assert_eq!(paid.status, 200, "at another address: {paid:?}");
    for _ in 0..10 {
        let paid = get_from("127.0.0.2", gate.address, &cashu(&bank.token(&[8_192, 2_048]))).await;
        assert_eq!(paid.status, 200, "at the same address: {paid:?}");
    }
    let pass = format!("Farthing-Pass: {}\r\n", paid.header("farthing-pass").unwrap());
    assert_eq!(get_from("127.0.0.2", gate.address, &pass).await.status, 200, "and a pass is seen");
    assert_eq!(get_from("127.0.0.2", gate.address, "").await.status, 402, "and prices are told");
    assert_eq!(bank.taken() - before, 11 * 10_000);
    // What was looked at is what the bucket held: one multiplication for each token of ten.
    let seen = looked_at.load(Ordering::SeqCst);
    assert!((150..=202).contains(&seen), "{seen} forged tokens were looked at");
    refused.recv().await.unwrap();
    assert_eq!(looked_at.load(Ordering::SeqCst), seen, "and none any more");
    bank.pass_time(Span::from_secs(5));
    while looked_at.load(Ordering::SeqCst) == seen {
        tokio::task::yield_now().await;
    }
    forgers.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Sixty-four payers behind one address, all at once and again and again: what is genuine is given back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payers_are_never_limited() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = limited(&bank, upstream.address, &[]).await;
    for round in 0..2 {
        let mut payers = Vec::new();
        for _ in 0..64 {
            let (address, headers) = (gate.address, cashu(&bank.token(&[8_192, 1_024, 1_024])));
            payers.push(tokio::spawn(async move { get(address, "/paid/x", &headers).await }));
        }
        for payer in payers {
            let answer = payer.await.unwrap();
            assert_eq!(answer.status, 200, "round {round}: {answer:?}");
        }
    }
    assert_eq!(bank.taken(), 128 * 10_000);
}

/// Passes cost a signature check too, and so do credits that were spent long ago.
#[tokio::test]
async fn forged_passes_and_spent_credits_count() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = limited(&bank, upstream.address, &[]).await;
    let spent = cashu(&bank.token(&[16_384]));
    assert_eq!(get(gate.address, "/once/x", &spent).await.status, 200);
    let pass = "Farthing-Pass: eyJhbGciOiJFZERTQSJ9.e30.AAAA\r\n".repeat(4);
    for (headers, status) in [(&spent, 402), (&pass, 402)] {
        let mut stream = connect("127.0.0.4", gate.address).await;
        let request = format!("GET /once/x HTTP/1.1\r\nHost: shop.example\r\n{headers}\r\n");
        let mut looked_at = 0;
        loop {
            let answer = exchange(&mut stream, &request).await;
            if answer.status == 429 {
                break;
            }
            assert_eq!(answer.status, status, "{answer:?}");
            looked_at += 1;
            assert!(looked_at <= 200, "it never ends");
        }
        bank.pass_time(Span::from_secs(60));
    }
}

/// Behind a proxy of ours all come from one address; those whom it names have their own buckets, and no claim of theirs is
/// believed.
#[tokio::test]
async fn a_trusted_proxy_names_its_clients() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = limited(&bank, upstream.address, &["127.0.0.0/8"]).await;
    let forger = |n: usize| format!("X-Forwarded-For: 10.{}.0.1, 203.0.113.7\r\n", n % 250);
    let bad = forged(&bank, 1);
    for n in 0..200 {
        let answer = get(gate.address, "/paid/x", &format!("{}{bad}", forger(n))).await;
        assert_eq!(answer.code(), "credit-signature", "{n}: {answer:?}");
    }
    assert_eq!(get(gate.address, "/paid/x", &format!("{}{bad}", forger(1))).await.code(), "rate-limited");
    let other = format!("X-Forwarded-For: 203.0.113.8\r\n{}", cashu(&bank.token(&[16_384])));
    assert_eq!(get(gate.address, "/paid/x", &other).await.status, 200);
}

/// Any number of payments could be under way, each with a task, a hold and a request to the upstream.
#[tokio::test]
async fn only_so_many_payments_are_under_way() {
    let bank = Bank::new();
    let go = Arc::new(Semaphore::new(0));
    let (sender, mut asked) = mpsc::channel(8);
    let upstream = start(Limits::default(), {
        let go = Arc::clone(&go);
        move |_| {
            let (go, sender) = (Arc::clone(&go), sender.clone());
            async move {
                sender.send(()).await.unwrap();
                go.acquire().await.unwrap().forget();
                Response::new(Body::from("content"))
            }
        }
    })
    .await;
    let proxy =
        Proxy::new(ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap())).unwrap();
    let layer = GateLayer::new(bank.config(rules())).payments_max(2);
    let gate = start_service(Limits::default(), layer.layer(proxy)).await;
    let mut paying = Vec::new();
    for _ in 0..2 {
        let (address, headers) = (gate.address, cashu(&bank.token(&[16_384])));
        paying.push(tokio::spawn(async move { get(address, "/paid/x", &headers).await }));
        asked.recv().await.unwrap();
    }
    let third = cashu(&bank.token(&[16_384]));
    let answer = get(gate.address, "/paid/x", &third).await;
    assert_eq!(
        (answer.status, answer.code().as_str(), answer.header("retry-after")),
        (503, "busy", Some("1"))
    );
    assert_eq!(get(gate.address, "/paid/x", "").await.status, 402, "what costs nothing to say is said");
    go.add_permits(3);
    for payer in paying {
        assert_eq!(payer.await.unwrap().status, 200);
    }
    let answer = get(gate.address, "/paid/x", &third).await;
    assert_eq!((answer.status, bank.taken()), (200, 30_000));
}

/// The limit is looked at before a credential's body is, and in every dialect.
#[tokio::test]
async fn mpp_credentials_count_like_tokens() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = limited(&bank, upstream.address, &[]).await;
    let challenge = get(gate.address, "/paid/x", "").await;
    let token = forged(&bank, 10).trim_end().strip_prefix("X-Cashu: ").unwrap().to_owned();
    let bad = credential(&challenge, &token, None);
    let mut stream = connect("127.0.0.5", gate.address).await;
    let request = format!("GET /paid/x HTTP/1.1\r\nHost: shop.example\r\n{bad}\r\n");
    let mut codes = Vec::new();
    for _ in 0..201 {
        codes.push(exchange(&mut stream, &request).await.status);
    }
    assert_eq!((codes[0], codes[199], codes[200]), (402, 402, 429));
}
