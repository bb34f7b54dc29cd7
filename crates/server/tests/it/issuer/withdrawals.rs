//! Selling credits for money on a chain (NUT-05, method `evm`).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use farthing_ecash::Proof;
use farthing_engine::{Command, Mode};
use farthing_gate::chain::ChainRefusal;
use farthing_wire::x402::Reason;
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::deposits::{pay, payment, quote as deposit_quote};
use super::support::chain::{FEE, Fate, PAYER, RESERVE, TOKEN};
use super::support::{Mint, Payer, ys};

async fn quote(mint: &Mint, amount: u64) -> Value {
    let body = json!({ "unit": "uusd", "request": PAYER, "amount": amount });
    mint.post("/v1/melt/quote/evm", &body).await.ok()
}

async fn state(mint: &Mint, quote: &Value) -> Value {
    mint.get(&format!("/v1/melt/quote/evm/{}", quote["quote"].as_str().unwrap())).await.ok()
}

fn melt(quote: &Value, credits: &[Proof]) -> Value {
    json!({ "quote": quote["quote"], "inputs": credits })
}

/// Credits for money that came in on the chain.
async fn bought(mint: &Mint, payer: &mut Payer, amounts: &[u64]) -> Vec<Proof> {
    let quote = deposit_quote(mint, amounts.iter().sum()).await;
    assert_eq!(pay(mint, &quote, &payment(mint, &quote, 1).await).await.status, 200);
    let outputs = payer.outputs(amounts);
    let body = json!({ "quote": quote["quote"], "outputs": outputs.messages });
    let minted = mint.post("/v1/mint/evm", &body).await.ok();
    payer.credits(&outputs, &minted["signatures"])
}

#[tokio::test]
async fn money_becomes_credits_and_money_again() {
    let mint = Mint::on_chain().await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let credits = bought(&mint, &mut payer, &[64, 32]).await;
    let credits = payer.swapped(&mint, &credits, &[64, 32]).await;
    let quote = quote(&mint, 80).await;
    let place = format!("eip155:84532:{TOKEN}/{PAYER}");
    assert_eq!(
        (&quote["amount"], &quote["fee_reserve"], &quote["state"], &quote["request"]),
        (&json!(80), &json!(FEE), &json!("UNPAID"), &json!(place))
    );
    let blanks = payer.outputs(&[0; 4]);
    let body = json!({ "quote": quote["quote"], "inputs": credits, "outputs": blanks.messages });
    let paid = mint.post("/v1/melt/evm", &body).await.ok();
    assert_eq!(paid["state"], "PAID");
    let change = payer.credits(&blanks, &paid["change"]);
    assert_eq!(change.iter().map(|credit| credit.amount).sum::<u64>(), 96 - 80 - FEE);
    assert_eq!(mint.states(&ys(&credits)).await, ["SPENT", "SPENT"]);
    assert_eq!(mint.post("/v1/melt/evm", &body).await.ok(), paid, "asked again it is the same");
    assert_eq!(state(&mint, &quote).await, paid);
    assert_eq!(mint.script().units(), (96, 80));
    assert_eq!(mint.totals(RESERVE), ("0.000096".into(), "0.00008".into()));
    assert_eq!(mint.totals("fees").1, "0.000005");
    payer.swapped(&mint, &change, &[8, 2, 1]).await;
    mint.audit();
}

#[tokio::test]
async fn credits_are_whole_again_when_a_withdrawal_fails() {
    let mint = Mint::on_chain().await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let credits = payer.funded(&mint, &[32, 4, 1]).await;
    let quote = quote(&mint, 32).await;
    mint.script().then(Fate::Fails(Reason::TransactionFailed));
    let failed = mint.post("/v1/melt/evm", &melt(&quote, &credits)).await;
    assert_eq!(failed.refusal(), (400, "withdrawal-failed".to_owned(), 20_004));
    assert_eq!(mint.states(&ys(&credits)).await, ["UNSPENT"; 3]);
    assert_eq!(state(&mint, &quote).await, quote, "it may be paid anew");
    assert!(mint.trial().settled);
    let others = payer.swapped(&mint, &credits, &[32, 4, 1]).await;
    assert_eq!(mint.post("/v1/melt/evm", &melt(&quote, &others)).await.ok()["state"], "PAID");
    assert_eq!(mint.script().units(), (0, 32));
    mint.audit();
}

#[tokio::test]
async fn what_is_under_way_is_joined_and_never_paid_twice() {
    let mint = Mint::on_chain().await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let credits = payer.funded(&mint, &[32, 4, 1]).await;
    let others = payer.funded(&mint, &[32, 4, 1]).await;
    let quote = quote(&mint, 32).await;
    let mut body = melt(&quote, &credits);
    for _ in 0..2 {
        mint.script().then(Fate::Silent);
        assert_eq!(mint.post("/v1/melt/evm", &body).await.ok()["state"], "PENDING");
        assert_eq!(mint.states(&ys(&credits)).await, ["PENDING"; 3]);
    }
    assert_eq!(state(&mint, &quote).await["state"], "PENDING");
    let second = mint.post("/v1/melt/evm", &melt(&quote, &others)).await;
    assert_eq!(second.refusal(), (400, "quote-under-way".to_owned(), 20_005));
    let swap = super::support::swap(&credits, &payer.outputs(&[32, 4, 1]));
    assert_eq!(mint.post("/v1/swap", &swap).await.refusal().1, "credit-pending");
    // Who does not want to wait is told at once.
    body["prefer_async"] = json!(true);
    assert_eq!(mint.post("/v1/melt/evm", &body).await.ok()["state"], "PENDING");
    assert_eq!(mint.script().units(), (0, 0));
    mint.chain().end_all(Fate::Settles).await;
    assert_eq!(mint.post("/v1/melt/evm", &body).await.ok()["state"], "PAID");
    let late = mint.post("/v1/melt/evm", &melt(&quote, &others)).await;
    assert_eq!(late.refusal(), (400, "quote-used".to_owned(), 20_002));
    assert_eq!(mint.states(&ys(&others)).await, ["UNSPENT"; 3]);
    assert_eq!(mint.script().units(), (0, 32));
    mint.audit();
}

/// A kill at any moment after the credits were taken leaves the call in the outbox: they are not free, and not lost.
#[tokio::test]
async fn a_withdrawal_that_is_under_way_outlives_a_kill() {
    let mut mint = Mint::on_chain().await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let credits = payer.funded(&mint, &[32, 4, 1]).await;
    let quote = quote(&mint, 32).await;
    let body = json!({ "quote": quote["quote"], "inputs": credits, "prefer_async": true });
    let pending = mint.post("/v1/melt/evm", &body).await.ok();
    let killed = mint.after_kill().await;
    mint.restart("test_funding = true").await;
    for (mint, fate, end) in
        [(&killed, Fate::Settles, "SPENT"), (&mint, Fate::Fails(Reason::TransactionFailed), "UNSPENT")]
    {
        assert_eq!(state(mint, &quote).await, pending);
        assert_eq!(mint.post("/v1/melt/evm", &body).await.ok(), pending);
        assert_eq!(mint.states(&ys(&credits)).await, ["PENDING"; 3]);
        mint.chain().end_all(fate).await;
        assert_eq!(mint.states(&ys(&credits)).await, [end; 3]);
        mint.audit();
    }
    assert_eq!(state(&mint, &quote).await["state"], "UNPAID");
    assert_eq!(state(&killed, &quote).await["state"], "PAID");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_at_once_are_one_withdrawal() {
    let mint = Arc::new(Mint::on_chain().await);
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let credits = payer.funded(&mint, &[32, 4, 1]).await;
    let quote = quote(&mint, 32).await;
    let body = melt(&quote, &credits).to_string();
    let one = || {
        let (mint, body) = (Arc::clone(&mint), body.clone());
        tokio::spawn(async move {
            let request = Request::post("/v1/melt/evm").body(Body::from(body)).unwrap();
            let response = mint.router().oneshot(request).await.unwrap();
            let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            let body: Value = serde_json::from_slice(&bytes).unwrap();
            body["state"].as_str().or_else(|| body["reject"].as_str()).unwrap().to_owned()
        })
    };
    let tasks: Vec<_> = (0..16).map(|_| one()).collect();
    let mut outcomes = BTreeMap::new();
    for task in tasks {
        *outcomes.entry(task.await.unwrap()).or_insert(0) += 1;
    }
    assert_eq!(outcomes, BTreeMap::from([("PAID".to_owned(), 16)]));
    assert_eq!(mint.script().units(), (0, 32));
    mint.audit();
}

#[tokio::test]
async fn withdrawals_are_refused_clearly() {
    let mint = Mint::on_chain().await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let credits = payer.funded(&mint, &[32, 8, 4, 1]).await;
    let before = mint.snapshot(&credits).await;
    let issuer = &mint;
    let open = |body: Value| async move { issuer.post("/v1/melt/quote/evm", &body).await.refusal().1 };
    let zero = format!("0x{}", "00".repeat(20));
    let foreign = format!("eip155:1:{TOKEN}/{PAYER}");
    for (request, unit, amount, reject) in [
        ("alice", "uusd", 32, "malformed-body"),
        (&zero, "uusd", 32, "withdrawal-refused"),
        (&foreign, "uusd", 32, "withdrawal-refused"),
        (PAYER, "sat", 32, "unknown-unit"),
        (PAYER, "uusd", 0, "malformed-body"),
        (PAYER, "uusd", 9, "amount-out-of-bounds"),
        (PAYER, "uusd", 1_001, "amount-out-of-bounds"),
    ] {
        let body = json!({ "request": request, "unit": unit, "amount": amount });
        assert_eq!(open(body).await, reject, "{request} {unit} {amount}");
    }
    let elsewhere = json!({ "request": PAYER, "unit": "uusd", "options": { "amount": 32 } });
    assert_eq!(mint.post("/v1/melt/quote/evm", &elsewhere).await.ok()["amount"], 32);
    *mint.script().refusal.lock().unwrap() = Some(ChainRefusal::Unreachable("it is down".into()));
    let body = json!({ "request": PAYER, "unit": "uusd", "amount": 32 });
    let down = mint.post("/v1/melt/quote/evm", &body).await;
    assert_eq!(down.refusal(), (503, "chain-unreachable".to_owned(), 10_000));
    *mint.script().refusal.lock().unwrap() = None;

    let quote = quote(&mint, 32).await;
    let pay = |credits: &[Proof]| melt(&quote, credits);
    for (body, reject) in [
        (pay(&credits[..1]), "unbalanced"), // the withdrawal has its fee
        (pay(&credits), "unbalanced"),      // and without blank outputs no change is given
        (melt(&json!({ "quote": "00" }), &credits), "unknown-quote"),
    ] {
        assert_eq!(mint.post("/v1/melt/evm", &body).await.refusal().1, reject);
    }
    let of_code =
        mint.post("/v1/melt/code", &pay(&[credits[0].clone(), credits[2].clone(), credits[3].clone()])).await;
    assert_eq!(of_code.refusal().1, "unknown-quote", "no other method pays it");
    assert_eq!(mint.snapshot(&credits).await, before);
    mint.execute(Command::SetMode(Mode::Paused)).await.unwrap();
    assert_eq!(open(body).await, "paused");
    mint.execute(Command::SetMode(Mode::Open)).await.unwrap();
    mint.wait_secs(600);
    let exact = [credits[0].clone(), credits[2].clone(), credits[3].clone()];
    assert_eq!(mint.post("/v1/melt/evm", &pay(&exact)).await.refusal().1, "quote-expired");
    assert_eq!(mint.states(&ys(&credits)).await, ["UNSPENT"; 4]);
    assert_eq!(mint.script().units(), (0, 0));
}
