//! Trials: what a newcomer gets for nothing, how many, and what it costs whom.

use std::net::SocketAddr;

use axum::body::Body;
use farthing_ecash::{SecretKey, quote_signature};
use farthing_engine::{Command, Mode};
use farthing_gate::Peer;
use http::Request;
use serde_json::{Value, json};

use super::support::{Mint, Payer, Reply};

const TRIAL: &str = "test_funding = false\n[trial]\namount = \"0.000064 USD\"\nvisitors = 2\nmost = 3";

fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes([n; 32]).unwrap()
}

/// A request for a trial from an address, with a key.
fn asking(address: &str, key: &SecretKey) -> Request<Body> {
    let body = json!({ "unit": "uusd", "pubkey": key.public_key().to_string() }).to_string();
    let mut request = Request::post("/v1/mint/quote/trial").body(Body::from(body)).unwrap();
    let address: SocketAddr = format!("{address}:1234").parse().unwrap();
    request.extensions_mut().insert(Peer::new(address, false));
    request
}

async fn mint_with(mint: &Mint, quote: &Value, key: &SecretKey, number: u8) -> Reply {
    let mut payer = Payer::of(mint, "uusd", number).await;
    let outputs = payer.outputs(&[64]);
    let id = quote["quote"].as_str().unwrap();
    let signature = quote_signature::sign(id, &outputs.messages, key);
    mint.post("/v1/mint/trial", &json!({ "quote": id, "outputs": outputs.messages, "signature": signature }))
        .await
}

#[tokio::test]
async fn a_newcomer_gets_it_once_and_the_merchant_bears_it() {
    let mint = Mint::with(TRIAL).await;
    let quote = mint.send(asking("203.0.113.1", &key(1))).await.ok();
    assert_eq!(
        (&quote["state"], &quote["amount"], &quote["method"]),
        (&json!("PAID"), &json!(64), &json!("trial"))
    );
    let again = mint.send(asking("198.51.100.9", &key(1))).await.ok();
    assert_eq!(again, quote, "the same key has the same, and is not counted again");
    let looked = mint.get(&format!("/v1/mint/quote/trial/{}", quote["quote"].as_str().unwrap())).await.ok();
    assert_eq!(looked, quote);
    assert_eq!(
        mint_with(&mint, &quote, &key(2), 1).await.refusal().1,
        "quote-signature-invalid",
        "it is for its key alone"
    );
    let first = mint_with(&mint, &quote, &key(1), 1).await;
    let repeated = mint_with(&mint, &quote, &key(1), 1).await;
    assert_eq!((first.ok(), &repeated), (repeated.ok(), &first));
    assert_eq!(mint_with(&mint, &quote, &key(1), 2).await.refusal().1, "quote-used");
    assert_eq!(mint.totals("marketing"), ("0.000064".into(), "0.00".into()), "it is an expense");
    assert_eq!(mint.send(asking("203.0.113.1", &key(1))).await.ok()["state"], "ISSUED");
    mint.audit();
}

#[tokio::test]
async fn sixty_four_at_once_get_what_there_is_and_no_more_also_after_a_restart() {
    let mut mint = Mint::with(TRIAL).await;
    let mut asking_at_once = tokio::task::JoinSet::new();
    for n in 1..=64_u8 {
        // Three networks, of which each may have two, and all together three.
        let (router, request) = (mint.router(), asking(&format!("203.0.{}.{n}", n % 3), &key(n)));
        asking_at_once.spawn(async move {
            tower::ServiceExt::oneshot(router, request).await.unwrap().status().as_u16()
        });
    }
    let answers = asking_at_once.join_all().await;
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 3);
    assert_eq!(answers.iter().filter(|status| **status == 400).count(), 61);
    mint.restart(TRIAL).await;
    assert_eq!(mint.send(asking("192.0.2.1", &key(99))).await.refusal().1, "trials-given");
    mint.wait_secs(31 * 24 * 3_600);
    for (address, n, refusal) in [
        ("192.0.2.1", 99, None),
        ("192.0.2.77", 98, None),
        ("192.0.2.78", 97, Some("trial-network-full")),
        ("192.1.2.1", 96, None),
    ] {
        let reply = mint.send(asking(address, &key(n))).await;
        assert_eq!((!reply.status.is_success()).then(|| reply.refusal().1).as_deref(), refusal, "{address}");
    }
}

#[tokio::test]
async fn what_is_no_trial_is_refused_clearly() {
    let none = Mint::new().await;
    assert_eq!(none.send(asking("203.0.113.1", &key(1))).await.refusal().1, "unknown-method");
    let info = none.get("/v1/info").await.ok();
    assert!(!info["nuts"]["4"].to_string().contains("trial"), "{info}");
    let mint = Mint::with(TRIAL).await;
    let info = mint.get("/v1/info").await.ok();
    let offered = json!({ "method": "trial", "unit": "uusd", "min_amount": 64, "max_amount": 64 });
    assert!(info["nuts"]["4"]["methods"].as_array().unwrap().contains(&offered), "{info}");
    assert!(!info["nuts"]["5"].to_string().contains("trial"), "nothing is paid out by it: {info}");
    let pubkey = key(1).public_key().to_string();
    for body in [
        json!({ "unit": "uusd" }),
        json!({ "unit": "sat", "pubkey": pubkey }),
        json!({ "unit": "uusd", "pubkey": pubkey, "amount": 65 }),
    ] {
        assert_eq!(mint.post("/v1/mint/quote/trial", &body).await.refusal().1, "malformed-body", "{body}");
    }
    let melt = json!({ "unit": "uusd", "request": "x", "amount": 64 });
    assert_eq!(mint.post("/v1/melt/quote/trial", &melt).await.refusal().1, "unknown-method");
    for (mode, refusal) in [(Mode::Paused, "paused"), (Mode::Sunset, "sunset")] {
        mint.execute(Command::SetMode(mode)).await.unwrap();
        assert_eq!(mint.send(asking("203.0.113.1", &key(1))).await.refusal().1, refusal);
    }
    mint.execute(Command::SetMode(Mode::Open)).await.unwrap();
    let mut quotes = std::collections::BTreeSet::new();
    for n in 1..=2 {
        quotes.insert(mint.send(asking("203.0.113.1", &key(n))).await.ok()["quote"].to_string());
    }
    assert_eq!(quotes.len(), 2, "nothing that was refused is counted");
}

#[tokio::test]
async fn rows_do_not_say_who_came() {
    let mint = Mint::with(TRIAL).await;
    mint.send(asking("203.0.113.77", &key(1))).await.ok();
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(mint.folder.path().join("data")).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            bytes.extend(std::fs::read(entry.path()).unwrap());
        }
    }
    let books = mint.installation();
    let rows = books.books.quotas_after(None, 10).unwrap();
    assert_eq!(rows.len(), 2, "one count of the network, and one of all");
    assert!(
        !format!("{rows:?}").contains("203, 0, 113") && !bytes.windows(10).any(|part| part == b"203.0.113.")
    );
}
