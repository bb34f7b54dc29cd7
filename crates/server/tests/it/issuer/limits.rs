//! What clients ask of the issuer in vain is limited by their address; what is carried out is not.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use farthing_ecash::{Lock, Proof, SecretKey, Witness};
use farthing_gate::Peer;
use farthing_gate::crypto::Crypto;
use farthing_gate::limit::{Limiter, WorkLimits};
use farthing_server::config::Passphrase;
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::support::{Mint, Payer, Reply, swap, ys};

/// With a clock that stands still, so that what is left of a bucket is known.
pub fn limited(mint: &Mint, burst: u32) -> Router {
    let clock = Arc::clone(&mint.installation().clock);
    let limits = WorkLimits { per_second: 1, burst };
    mint.router_with(Crypto::new(2).unwrap().limited(Limiter::new(limits, clock, Vec::new())))
}

pub async fn ask(
    router: &Router,
    peer: &Peer,
    method: &str,
    path: &str,
    body: &Value,
) -> (Reply, Option<String>) {
    let mut request = Request::builder().method(method).uri(path).body(Body::from(body.to_string())).unwrap();
    request.extensions_mut().insert(peer.clone());
    let response = router.clone().oneshot(request).await.unwrap();
    let retry = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec();
    (Reply { status, json: true, body }, retry)
}

pub async fn post(router: &Router, peer: &Peer, path: &str, body: &Value) -> Reply {
    ask(router, peer, "POST", path, body).await.0
}

/// A new connection from an address.
pub fn peer(address: &str) -> Peer {
    Peer::new(format!("{address}:1").parse().unwrap(), false)
}

/// A swap of credits that were never signed cost a multiplication each, a thousand in one request, for anyone.
#[tokio::test]
async fn forged_swaps_are_cut_off_and_payers_are_not() {
    let mint = Mint::new().await;
    let router = limited(&mint, 100);
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let good = payer.funded(&mint, &[1]).await.remove(0);
    let forge = |n: usize| Proof { secret: format!("forged {n}"), ..good.clone() };
    let forged: Vec<_> = (0..20).map(forge).collect();
    let body = swap(&forged, &payer.outputs(&[16, 4]));
    let liar = peer("1.1.1.1");
    let mut looked_at = 0;
    let (refused, retry) = loop {
        let (reply, retry) = ask(&router, &liar, "POST", "/v1/swap", &body).await;
        if reply.status == 429 {
            break (reply, retry);
        }
        assert_eq!(reply.refusal().1, "credit-signature");
        looked_at += 1;
        assert!(looked_at < 100, "it never ends");
    };
    assert_eq!(refused.refusal(), (429, "rate-limited".to_owned(), 10_000));
    assert!(retry.unwrap().parse::<u64>().unwrap() >= 1);

    for (address, what) in [("2.2.2.2", "another address"), ("1.1.1.1", "the same")] {
        let credits = payer.funded(&mint, &[8, 4]).await;
        let outputs = payer.outputs(&[8, 4]);
        let reply = post(&router, &peer(address), "/v1/swap", &swap(&credits, &outputs)).await;
        payer.credits(&outputs, &reply.ok()["signatures"]);
        assert_eq!(mint.states(&ys(&credits)).await, ["SPENT", "SPENT"], "{what}");
    }
    assert_eq!(post(&router, &liar, "/v1/swap", &body).await.status, 429, "the liar stays out");
    let info = ask(&router, &liar, "GET", "/v1/keysets", &Value::Null).await.0;
    assert_eq!(info.status, 200, "and may read what all may read");
    mint.wait_secs(100);
    assert_eq!(post(&router, &liar, "/v1/swap", &body).await.refusal().1, "credit-signature");
}

/// Sixty-four swaps at once from one address, each of them heavier than the whole bucket's share of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payers_are_never_limited() {
    let mint = Mint::new().await;
    let router = limited(&mint, 2_000);
    let mut payer = Payer::of(&mint, "sat", 1).await;
    for _ in 0..2 {
        let mut swaps = Vec::new();
        for _ in 0..64 {
            let credits = payer.funded(&mint, &[8, 4]).await;
            swaps.push(swap(&credits, &payer.outputs(&[8, 4])));
        }
        let tasks: Vec<_> = swaps
            .into_iter()
            .map(|body| {
                let router = router.clone();
                tokio::spawn(async move { post(&router, &peer("3.3.3.3"), "/v1/swap", &body).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().ok();
        }
    }
    mint.audit();
}

/// Spent credits, used quotes, wrong codes and endless restoring cost the issuer as much as forgeries do.
#[tokio::test]
async fn whatever_is_in_vain_counts() {
    let mint = Mint::new().await;
    let router = limited(&mint, 60);
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let spent = payer.funded(&mint, &[8]).await;
    let first = payer.outputs(&[8]);
    mint.post("/v1/swap", &swap(&spent, &first)).await.ok();
    let outputs = payer.outputs(&[8]);
    let code = json!({ "unit": "uusd", "code": "FT-GUESSED" });
    for (n, path, body) in [
        (1, "/v1/swap", swap(&spent, &outputs)),
        (2, "/v1/mint/quote/code", code),
        (3, "/v1/restore", json!({ "outputs": first.messages })),
        (4, "/v1/checkstate", json!({ "Ys": vec![ys(&spent)[0].clone(); 200] })),
        (5, "/v1/mint/bolt11", json!({ "quote": "00".repeat(16), "outputs": outputs.messages })),
    ] {
        let client = peer(&format!("4.4.4.{n}"));
        let mut asked = 0;
        while post(&router, &client, path, &body).await.status != 429 {
            asked += 1;
            assert!(asked <= 60, "{path} never ends");
        }
        assert!(asked > 1, "{path}");
    }
}

/// A thousand credits, each with eleven keys and eleven signatures that fit none: 121,000 signature checks.
#[tokio::test]
async fn locks_ask_for_no_more_checks_than_anyone_needs() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let key = |n: u8| SecretKey::from_bytes([n; 32]).unwrap().public_key();
    let lock = Lock { keys: (3..13).map(key).collect(), ..Lock::to_key(key(2)) };
    let outputs = payer.locked_outputs(&[1; 34], &lock);
    let credits = payer.funded_as(&mint, &outputs).await;
    let witness = Witness { signatures: vec!["00".repeat(64); 11], preimage: None }.to_text();
    let heavy: Vec<_> =
        credits.iter().map(|credit| Proof { witness: Some(witness.clone()), ..credit.clone() }).collect();
    let outputs = payer.outputs(&[32, 2]);
    let reply = mint.post("/v1/swap", &swap(&heavy, &outputs)).await;
    assert_eq!(reply.refusal(), (400, "lock-checks".to_owned(), 10_001));
    let fewer = payer.outputs(&[32, 1]);
    let reply = mint.post("/v1/swap", &swap(&heavy[..33], &fewer)).await;
    assert_eq!(reply.refusal(), (400, "lock-signatures".to_owned(), 10_001));
}

/// Compiles only as long as a passphrase has no `==`: with one, two implementations would fit.
#[test]
fn a_passphrase_has_no_equality() {
    trait Fits<Which> {
        fn which() {}
    }
    struct Comparable;
    impl<T: ?Sized> Fits<()> for T {}
    impl<T: ?Sized + PartialEq> Fits<Comparable> for T {}
    <Passphrase as Fits<_>>::which();
}
