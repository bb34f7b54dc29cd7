//! Killed between hold and post: the payer's money is whole again after the restart.

use farthing_ecash::Proof;
use farthing_engine::{
    Answer, Command, CreditId, Hold, Input, Marks, PaymentId, RequestTag, credits_account,
};
use farthing_money::{Amount, Asset};
use serde_json::json;

use super::support::{Mint, Payer, swap, ys};

async fn hold(mint: &Mint, credits: &[Proof], resource: &str) -> PaymentId {
    let asset: Asset = mint.installation().assets.by_unit("sat").unwrap();
    let inputs: Vec<Input> = credits
        .iter()
        .map(|credit| Input {
            credit: CreditId::from_bytes(credit.y().to_bytes()),
            account: credits_account(asset, &credit.id.to_string()).id(),
            amount: credit.amount,
            witness: None,
        })
        .collect();
    let ids: Vec<CreditId> = inputs.iter().map(|input| input.credit).collect();
    let payment = PaymentId::of_credits(&ids);
    let command = Hold {
        payment,
        funds: inputs.into(),
        price: Amount::new(1),
        asset,
        merchant: mint.installation().merchant_account(asset).into(),
        resource: resource.to_owned(),
        tag: RequestTag::of_parts("test", [resource.as_bytes()]),
        tax_code: None,
        marks: Marks::default(),
    };
    let answer = mint.execute(Command::Hold(command)).await.unwrap();
    assert!(matches!(answer, Answer::Held(_)), "{answer:?}");
    payment
}

#[tokio::test]
async fn credits_on_hold_are_neither_spent_nor_free() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[8, 4]).await;
    hold(&mint, &credits[..1], "/article").await;
    assert_eq!(mint.states(&ys(&credits)).await, ["PENDING", "UNSPENT"]);
    let before = mint.snapshot(&credits).await;
    let outputs = payer.outputs(&[8, 4]);
    let refused = mint.post("/v1/swap", &swap(&credits, &outputs)).await;
    assert_eq!(refused.refusal(), (400, "credit-pending".to_owned(), 11_002));
    let open = json!({ "unit": "sat", "request": "ab".repeat(32), "amount": 8 });
    let quote = mint.post("/v1/melt/quote/code", &open).await.ok();
    let melt = mint.post("/v1/melt/code", &json!({ "quote": quote["quote"], "inputs": credits[..1] })).await;
    assert_eq!(melt.refusal(), (400, "credit-pending".to_owned(), 11_002));
    assert_eq!(mint.snapshot(&credits).await, before);
}

#[tokio::test]
async fn a_restart_releases_what_was_on_hold() {
    let mut mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[8, 4, 2]).await;
    hold(&mint, &credits[..2], "/article").await;
    hold(&mint, &credits[2..], "/picture").await;
    assert!(!mint.trial().settled);

    let killed = mint.after_kill().await;
    mint.restart("test_funding = true").await;
    for mint in [&killed, &mint] {
        assert_eq!(mint.installation().released, 2);
        assert_eq!(mint.states(&ys(&credits)).await, ["UNSPENT"; 3]);
        assert!(mint.trial().settled);
        mint.audit();
    }
    let mut payer = payer.with_words_alone();
    let _counted = payer.outputs(&[0; 3]);
    payer.swapped(&mint, &credits, &[8, 4, 2]).await;
    mint.restart("test_funding = true").await;
    assert_eq!(mint.installation().released, 0);
    mint.audit();
}

/// Whatever was answered before the kill is there afterwards: nothing is answered before it is written.
#[tokio::test]
async fn answers_outlive_a_kill() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let mut credits = payer.funded(&mint, &[8]).await;
    for _ in 0..5 {
        let spent = credits.clone();
        let outputs = payer.outputs(&[8]);
        let body = swap(&spent, &outputs);
        let answer = mint.post("/v1/swap", &body).await;
        credits = payer.credits(&outputs, &answer.ok()["signatures"]);
        let killed = mint.after_kill().await;
        assert_eq!(killed.states(&ys(&[spent, credits.clone()].concat())).await, ["SPENT", "UNSPENT"]);
        assert_eq!(killed.post("/v1/swap", &body).await, answer);
        killed.audit();
    }
}
