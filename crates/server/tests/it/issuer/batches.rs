//! Several quotes at once (NUT-29).

use farthing_ecash::{SecretKey, quote_signature};
use serde_json::{Value, json};

use super::support::{Mint, Payer};

async fn quotes(mint: &Mint, amounts: &[u64], locked: Option<&SecretKey>) -> Vec<String> {
    let mut quotes = Vec::new();
    for amount in amounts {
        let body = json!({ "unit": "sat", "amount": amount, "pubkey": locked.map(SecretKey::public_key) });
        let quote = mint.post("/v1/mint/quote/bolt11", &body).await.ok();
        quotes.push(quote["quote"].as_str().unwrap().to_owned());
    }
    quotes
}

#[tokio::test]
async fn several_quotes_are_checked_and_minted_together() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let key = SecretKey::from_bytes([7; 32]).unwrap();
    let open = quotes(&mint, &[1, 2], None).await;
    let all = [open, quotes(&mint, &[4], Some(&key)).await].concat();
    let checked = mint.post("/v1/mint/quote/bolt11/check", &json!({ "quotes": all })).await.ok();
    let states: Vec<_> = checked.as_array().unwrap().iter().map(|quote| &quote["state"]).collect();
    assert_eq!(states, ["PAID"; 3]);

    let outputs = payer.outputs(&[4, 2, 1]);
    let signature = quote_signature::sign(&all[2], &outputs.messages, &key);
    let body = json!({
        "quotes": all,
        "quote_amounts": [1, 2, 4],
        "outputs": outputs.messages,
        "signatures": [null, null, signature],
    });
    let minted = mint.post("/v1/mint/bolt11/batch", &body).await;
    payer.credits(&outputs, &minted.ok()["signatures"]);
    assert_eq!(mint.post("/v1/mint/bolt11/batch", &body).await, minted, "NUT-19");
    let checked = mint.post("/v1/mint/quote/bolt11/check", &json!({ "quotes": all })).await.ok();
    assert!(checked.as_array().unwrap().iter().all(|quote| quote["state"] == "ISSUED"));

    // One of them by itself, later: used.
    let late = payer.outputs(&[1]);
    let again = mint.post("/v1/mint/bolt11", &json!({ "quote": all[0], "outputs": late.messages })).await;
    assert_eq!(again.refusal(), (400, "quote-used".to_owned(), 20_002));
    mint.audit();
}

#[tokio::test]
async fn batches_are_refused_whole() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let key = SecretKey::from_bytes([7; 32]).unwrap();
    let [a, b]: [String; 2] = quotes(&mint, &[1, 2], None).await.try_into().unwrap();
    let [c]: [String; 1] = quotes(&mint, &[4], Some(&key)).await.try_into().unwrap();
    let used = quotes(&mint, &[8], None).await;
    let spent = payer.outputs(&[8]);
    mint.post("/v1/mint/bolt11", &json!({ "quote": used[0], "outputs": spent.messages })).await.ok();
    let (three, seven, eleven) =
        (payer.outputs(&[2, 1]), payer.outputs(&[4, 2, 1]), payer.outputs(&[8, 2, 1]));
    let forged = quote_signature::sign(&c, &seven.messages, &SecretKey::from_bytes([8; 32]).unwrap());
    let many: Vec<&String> = std::iter::repeat_n(&a, 101).collect();
    let three = &three.messages;
    let cases: Vec<(Value, &str, u64)> = vec![
        (json!({ "quotes": [], "outputs": three }), "nothing-given", 11_005),
        (json!({ "quotes": many, "outputs": three }), "too-many", 10_000),
        (json!({ "quotes": [a, a], "outputs": three }), "quote-duplicate", 20_008),
        (json!({ "quotes": [a, b], "outputs": [] }), "nothing-given", 11_005),
        (json!({ "quotes": [a, b], "outputs": three, "quote_amounts": [3] }), "malformed-body", 10_000),
        (json!({ "quotes": [a, b], "outputs": three, "quote_amounts": [2, 2] }), "unbalanced", 11_005),
        (json!({ "quotes": [a, b], "outputs": three, "quote_amounts": [2, 1] }), "quote-amount", 11_005),
        (json!({ "quotes": [a, b], "outputs": seven.messages }), "unbalanced", 11_005),
        (
            json!({ "quotes": [a, b], "outputs": three, "signatures": [null] }),
            "quote-signature-count",
            20_008,
        ),
        (
            json!({ "quotes": [a, b], "outputs": three, "signatures": [forged, null] }),
            "quote-signature-unexpected",
            20_008,
        ),
        (json!({ "quotes": [a, b, c], "outputs": seven.messages }), "quote-signature-missing", 20_008),
        (
            json!({ "quotes": [a, b, c], "outputs": seven.messages, "signatures": [null, null, forged] }),
            "quote-signature-invalid",
            20_008,
        ),
        (json!({ "quotes": [a, b, used[0]], "outputs": eleven.messages }), "quote-used", 20_002),
    ];
    let before = mint.snapshot(&[]).await;
    for (body, reject, number) in cases {
        let reply = mint.post("/v1/mint/bolt11/batch", &body).await;
        assert_eq!(reply.refusal(), (400, reject.to_owned(), number), "{body}");
    }
    let too_many = mint.post("/v1/mint/quote/bolt11/check", &json!({ "quotes": many })).await;
    assert_eq!(too_many.refusal(), (400, "too-many".to_owned(), 10_000));
    let unknown = mint.post("/v1/mint/quote/bolt11/check", &json!({ "quotes": [a, "00".repeat(16)] })).await;
    assert_eq!(unknown.refusal(), (404, "unknown-quote".to_owned(), 10_000));
    assert_eq!(mint.snapshot(&[]).await, before);
}
