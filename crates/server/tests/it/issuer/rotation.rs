//! Keysets that retire and expire.

use farthing_ecash::Proof;
use serde_json::json;

use super::support::{Mint, Payer, swap, ys};

const OLD: &str = "test_funding = true";
const NEW: &str = "test_funding = true\nkeyset_orders = 20";

#[tokio::test]
async fn a_retired_keyset_redeems_but_no_longer_signs() {
    let mut mint = Mint::with(OLD).await;
    let mut old = Payer::of(&mint, "sat", 1).await;
    let credits = old.funded(&mint, &[8, 4, 2, 1]).await;
    mint.restart(NEW).await;
    let mut new = Payer::of(&mint, "sat", 2).await;
    assert_ne!(old.keyset.id, new.keyset.id);
    let listed = mint.get("/v1/keysets").await.ok();
    let active = |id: String| {
        listed["keysets"].as_array().unwrap().iter().find(|keyset| keyset["id"] == id).unwrap()["active"]
            == true
    };
    assert!(active(new.keyset.id.to_string()) && !active(old.keyset.id.to_string()));
    let shown = mint.get(&format!("/v1/keys/{}", old.keyset.id)).await.ok();
    assert_eq!(shown["keysets"][0]["active"], json!(false));

    let before = mint.snapshot(&credits).await;
    let refused = mint.post("/v1/swap", &swap(&credits, &old.outputs(&[8, 4, 2, 1]))).await;
    assert_eq!(refused.refusal(), (400, "keyset-inactive".to_owned(), 12_002));
    // Key confusion: a credit of the one keyset under the name of the other, of equal amount.
    let renamed = [Proof { id: new.keyset.id, ..credits[0].clone() }];
    let refused = mint.post("/v1/swap", &swap(&renamed, &new.outputs(&[8]))).await;
    assert_eq!(refused.refusal(), (400, "credit-signature".to_owned(), 10_001));
    assert_eq!(mint.snapshot(&credits).await, before);

    let fresh = new.funded(&mint, &[16]).await;
    new.swapped(&mint, &[fresh, credits.clone()].concat(), &[16, 8, 4, 2, 1]).await;
    assert_eq!(mint.states(&ys(&credits)).await, ["SPENT"; 4], "two keysets of one unit swap together");
    mint.audit();
}

/// The answer was lost and the keysets changed meanwhile: the same request still gets it (NUT-19).
#[tokio::test]
async fn a_repetition_is_answered_after_a_rotation() {
    let mut mint = Mint::with(OLD).await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[8, 2]).await;
    let body = swap(&credits[..1], &payer.outputs(&[4, 4]));
    let swapped = mint.post("/v1/swap", &body).await;
    swapped.ok();
    let quote = mint.post("/v1/mint/quote/bolt11", &json!({ "unit": "sat", "amount": 8 })).await.ok();
    let mint_body = json!({ "quote": quote["quote"], "outputs": payer.outputs(&[8]).messages });
    let minted = mint.post("/v1/mint/bolt11", &mint_body).await;
    minted.ok();
    let open = json!({ "unit": "sat", "request": "ab".repeat(32), "amount": 1 });
    let quote = mint.post("/v1/melt/quote/code", &open).await.ok();
    let melt_body =
        json!({ "quote": quote["quote"], "inputs": credits[1..], "outputs": payer.outputs(&[0]).messages });
    let melted = mint.post("/v1/melt/code", &melt_body).await;
    melted.ok();

    mint.restart(NEW).await;
    assert_eq!(mint.post("/v1/swap", &body).await, swapped);
    assert_eq!(mint.post("/v1/mint/bolt11", &mint_body).await, minted);
    assert_eq!(mint.post("/v1/melt/code", &melt_body).await, melted);
    let other = mint.post("/v1/swap", &swap(&credits[..1], &payer.outputs(&[8]))).await;
    assert_eq!(other.refusal(), (400, "keyset-inactive".to_owned(), 12_002));
    mint.audit();
}

#[tokio::test]
async fn an_expired_keyset_is_worth_nothing() {
    let mut mint = Mint::with("test_funding = true\nfinal_expiry = \"1h\"").await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    assert_eq!(payer.keyset.final_expiry, Some(mint.now().secs() + 3_600));
    let credits = payer.funded(&mint, &[8, 4]).await;
    mint.wait_secs(3_599);
    let (spent, outputs) = (credits, payer.outputs(&[8, 4]));
    let answer = mint.post("/v1/swap", &swap(&spent, &outputs)).await;
    let credits = payer.credits(&outputs, &answer.ok()["signatures"]);
    mint.wait_secs(1);
    assert_eq!(
        mint.post("/v1/swap", &swap(&spent, &outputs)).await,
        answer,
        "a repetition is still answered"
    );
    let before = mint.snapshot(&credits).await;
    let late = mint.post("/v1/swap", &swap(&credits, &payer.outputs(&[8, 4]))).await;
    assert_eq!(late.refusal(), (400, "keyset-expired".to_owned(), 12_003));
    let quote = mint.post("/v1/mint/quote/bolt11", &json!({ "unit": "sat", "amount": 8 })).await.ok();
    let body = json!({ "quote": quote["quote"], "outputs": payer.outputs(&[8]).messages });
    let late = mint.post("/v1/mint/bolt11", &body).await;
    assert_eq!(late.refusal(), (400, "keyset-expired".to_owned(), 12_003));
    assert_eq!(mint.snapshot(&credits).await, before);
    mint.restart("test_funding = true\nfinal_expiry = \"1h\"").await;
    let mut next = Payer::of(&mint, "sat", 2).await;
    assert_ne!(next.keyset.id, payer.keyset.id);
    next.funded(&mint, &[8]).await;
}

/// A keyset was used until its last second: credits that were bought then were worth nothing a moment later.
#[tokio::test]
async fn a_keyset_makes_room_when_half_of_its_life_is_over() {
    let issuer = "test_funding = true\nfinal_expiry = \"30d\"";
    let mut mint = Mint::with(issuer).await;
    let first = Payer::of(&mint, "sat", 1).await.keyset.id;
    mint.wait_secs(14 * 86_400);
    mint.restart(issuer).await;
    assert_eq!(Payer::of(&mint, "sat", 1).await.keyset.id, first, "it is young");
    mint.wait_secs(15 * 86_400);
    mint.restart(issuer).await;
    let mut payer = Payer::of(&mint, "sat", 2).await;
    assert_ne!(payer.keyset.id, first, "a restart a day before the end does not keep it");
    let credits = payer.funded(&mint, &[8]).await;
    mint.wait_secs(2 * 86_400);
    payer.swapped(&mint, &credits, &[4, 4]).await;
    mint.audit();
}

/// A server that ran past the expiry of its keyset could sell no more.
#[tokio::test]
async fn a_running_issuer_rotates_by_itself() {
    let mint = Mint::with("test_funding = true\nfinal_expiry = \"30d\"").await;
    let first = Payer::of(&mint, "sat", 1).await.keyset.id;
    let keysets = &mint.installation().keysets;
    assert!(!keysets.rotate(mint.now()).await.unwrap(), "nothing to do yet");
    mint.wait_secs(31 * 86_400);
    assert!(keysets.rotate(mint.now()).await.unwrap());
    let mut payer = Payer::of(&mint, "sat", 2).await;
    assert_ne!(payer.keyset.id, first);
    payer.funded(&mint, &[8]).await;
    mint.audit();
}
