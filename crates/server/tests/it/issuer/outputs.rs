//! Outputs that are refused; none of them costs the payer a credit.

use farthing_ecash::{BlindedMessage, KeysetId};
use serde_json::{Value, json};

use super::support::{Mint, Payer};

#[tokio::test]
async fn bad_outputs_cost_nothing() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let dollars = Payer::of(&mint, "uusd", 2).await;
    let credits = payer.funded(&mint, &[8]).await;
    let used = payer.outputs(&[8]);
    payer.funded_as(&mint, &used).await;
    let [a, b]: [BlindedMessage; 2] = payer.outputs(&[4, 4]).messages.try_into().unwrap();
    let zero = BlindedMessage { amount: 0, ..b };
    let cases: Vec<(Vec<BlindedMessage>, &str, u64)> = vec![
        (vec![a, a], "duplicate-output", 11_008),
        (vec![BlindedMessage { amount: 8, ..a }, zero], "output-amount", 11_006),
        (vec![BlindedMessage { amount: 3, ..a }, BlindedMessage { amount: 5, ..b }], "output-amount", 11_006),
        (used.messages.clone(), "output-signed", 11_003),
        (vec![a, BlindedMessage { id: KeysetId::V1([0; 8]), ..b }], "keyset-unknown", 12_001),
        (vec![a, BlindedMessage { id: dollars.keyset.id, ..b }], "wrong-unit", 11_010),
    ];
    let before = mint.snapshot(&credits).await;
    for (outputs, reject, number) in cases {
        let reply = mint.post("/v1/swap", &json!({ "inputs": credits, "outputs": outputs })).await;
        assert_eq!(reply.refusal(), (400, reject.to_owned(), number), "{outputs:?}");
    }
    let quote = mint.post("/v1/mint/quote/bolt11", &json!({ "unit": "sat", "amount": 8 })).await.ok();
    let mixed = json!([a, BlindedMessage { id: dollars.keyset.id, ..b }]);
    let doubled = json!([a, a]);
    let signed = json!(used.messages);
    let cases: [(Value, &str, u64); 3] = [
        (mixed, "wrong-unit", 11_010),
        (doubled, "duplicate-output", 11_008),
        (signed, "output-signed", 11_003),
    ];
    for (outputs, reject, number) in cases {
        let reply =
            mint.post("/v1/mint/bolt11", &json!({ "quote": quote["quote"], "outputs": outputs })).await;
        assert_eq!(reply.refusal(), (400, reject.to_owned(), number), "{outputs}");
    }
    assert_eq!(mint.snapshot(&credits).await, before);
    let restored = mint.post("/v1/restore", &json!({ "outputs": [a, b] })).await.ok();
    assert_eq!(restored, json!({ "outputs": [], "signatures": [] }));
}

/// The largest denominations: sums beyond 64 bits are sums, not wraps.
#[tokio::test]
async fn sums_beyond_64_bits_balance() {
    let mint = Mint::with("test_funding = true\nkeyset_orders = 64").await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let one = payer.funded(&mint, &[1 << 63]).await;
    let two = payer.funded(&mint, &[1 << 63]).await;
    let three = payer.funded(&mint, &[1]).await;
    let before = mint.snapshot(&one).await;
    // 2^64 + 1 in, 1 out: equal only for who counts modulo 2^64.
    let inputs = [one.clone(), two.clone(), three].concat();
    let reply =
        mint.post("/v1/swap", &json!({ "inputs": inputs, "outputs": payer.outputs(&[1]).messages })).await;
    assert_eq!(reply.refusal(), (400, "unbalanced".to_owned(), 11_005));
    assert_eq!(mint.snapshot(&one).await, before);
    payer.swapped(&mint, &[one, two].concat(), &[1 << 62, 1 << 62, 1 << 63]).await;
    mint.audit();
}
