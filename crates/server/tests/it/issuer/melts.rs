//! Melting: change (NUT-08) and what is refused.

use farthing_ecash::denomination::blank_outputs;
use farthing_engine::CodeId;
use serde_json::{Value, json};

use super::support::{Mint, Payer, ys};

async fn code_quote(mint: &Mint, code: &str, unit: &str, amount: u64) -> Value {
    let body = json!({ "unit": unit, "request": CodeId::of_text(code).to_string(), "amount": amount });
    mint.post("/v1/melt/quote/code", &body).await.ok()
}

#[tokio::test]
async fn an_invoice_is_melted_with_change() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[64, 32]).await;
    let invoice = mint.post("/v1/mint/quote/bolt11", &json!({ "unit": "sat", "amount": 21 })).await.ok();
    let open = json!({ "unit": "sat", "request": invoice["request"] });
    let quote = mint.post("/v1/melt/quote/bolt11", &open).await.ok();
    assert_eq!((&quote["amount"], &quote["state"]), (&json!(21), &json!("UNPAID")));

    let blanks = payer.outputs(&vec![1; usize::try_from(blank_outputs(96 - 21)).unwrap()]);
    let body = json!({ "quote": quote["quote"], "inputs": credits, "outputs": blanks.messages });
    let paid = mint.post("/v1/melt/bolt11", &body).await.ok();
    assert_eq!(paid["state"], json!("PAID"));
    assert!(paid["payment_preimage"].is_string());
    let change = payer.credits(&blanks, &paid["change"]);
    assert_eq!(change.iter().map(|credit| credit.amount).collect::<Vec<_>>(), [1, 2, 8, 64]);
    payer.swapped(&mint, &change, &[64, 8, 2, 1]).await;
    mint.audit();
}

/// Change is signed for whatever amount the blanks name: the issuer decides what it is worth.
#[tokio::test]
async fn blanks_do_not_choose_their_worth() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[8]).await;
    let quote = code_quote(&mint, "one", "sat", 6).await;
    let blanks = payer.outputs(&[1 << 20, 0]);
    let body = json!({ "quote": quote["quote"], "inputs": credits, "outputs": blanks.messages });
    let paid = mint.post("/v1/melt/code", &body).await.ok();
    let change = payer.credits(&blanks, &paid["change"]);
    assert_eq!(change.iter().map(|credit| credit.amount).collect::<Vec<_>>(), [2]);
    mint.audit();
}

#[tokio::test]
async fn melts_are_refused_clearly() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let mut other = Payer::of(&mint, "uusd", 2).await;
    let credits = payer.funded(&mint, &[8, 8, 4, 1]).await;
    let dollars = other.funded(&mint, &[8]).await;
    let foreign = other.outputs(&[0; 4]);
    let quote = code_quote(&mint, "one", "sat", 16).await;
    let (quote, blanks) = (&quote["quote"], payer.outputs(&[1, 1, 1]));
    let taken = payer.funded_as(&mint, &blanks).await;
    let free = payer.outputs(&[1]);
    let twice = [free.messages[0], free.messages[0], free.messages[0]];
    let all = &credits;
    let cases: Vec<(&str, Value, u16, &str, u64)> = vec![
        ("code", json!({ "quote": "00", "inputs": all }), 404, "unknown-quote", 10_000),
        ("bolt11", json!({ "quote": quote, "inputs": all }), 404, "unknown-quote", 10_000),
        ("cash", json!({ "quote": quote, "inputs": all }), 404, "unknown-method", 10_000),
        ("code", json!({ "quote": quote, "inputs": [] }), 400, "nothing-given", 11_005),
        ("code", json!({ "quote": quote, "inputs": all[..1] }), 400, "unbalanced", 11_005),
        ("code", json!({ "quote": quote, "inputs": all }), 400, "unbalanced", 11_005),
        (
            "code",
            json!({ "quote": quote, "inputs": all, "outputs": free.messages }),
            400,
            "blank-outputs",
            11_005,
        ),
        ("code", json!({ "quote": quote, "inputs": all, "outputs": twice }), 400, "duplicate-output", 11_008),
        (
            "code",
            json!({ "quote": quote, "inputs": all, "outputs": blanks.messages }),
            400,
            "output-signed",
            11_003,
        ),
        (
            "code",
            json!({ "quote": quote, "inputs": all, "outputs": foreign.messages }),
            400,
            "wrong-unit",
            11_010,
        ),
        ("code", json!({ "quote": quote, "inputs": [all[0], all[0]] }), 400, "duplicate-credit", 11_007),
        ("code", json!({ "quote": quote, "inputs": [all[0], dollars[0]] }), 400, "wrong-unit", 11_010),
    ];
    let every = [all.as_slice(), &dollars, &taken].concat();
    let before = mint.snapshot(&every).await;
    for (method, body, status, reject, number) in cases {
        let reply = mint.post(&format!("/v1/melt/{method}"), &body).await;
        assert_eq!(reply.refusal(), (status, reject.to_owned(), number), "{method} {body}");
    }
    assert_eq!(mint.snapshot(&every).await, before);

    let cheap = code_quote(&mint, "two", "sat", 8).await;
    let crossed = mint.post("/v1/melt/code", &json!({ "quote": cheap["quote"], "inputs": dollars })).await;
    assert_eq!(crossed.refusal(), (400, "wrong-asset".to_owned(), 11_010));
    mint.wait_secs(600);
    let late = mint.post("/v1/melt/code", &json!({ "quote": quote, "inputs": all[..2] })).await;
    assert_eq!(late.refusal(), (400, "quote-expired".to_owned(), 20_007));
    assert_eq!(mint.snapshot(&every).await, before);
    assert_eq!(mint.states(&ys(&every)).await, vec!["UNSPENT"; every.len()]);
}

/// Two payers fund the same code: the second is told, and keeps the money.
#[tokio::test]
async fn a_code_is_funded_once() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[8, 8]).await;
    let (one, two) = (code_quote(&mint, "c", "sat", 8).await, code_quote(&mint, "C", "sat", 8).await);
    mint.post("/v1/melt/code", &json!({ "quote": one["quote"], "inputs": credits[..1] })).await.ok();
    let before = mint.snapshot(&credits).await;
    let second = mint.post("/v1/melt/code", &json!({ "quote": two["quote"], "inputs": credits[1..] })).await;
    assert_eq!(second.refusal(), (400, "code-exists".to_owned(), 10_000));
    let paid = mint.post("/v1/melt/code", &json!({ "quote": one["quote"], "inputs": credits[1..] })).await;
    assert_eq!(paid.refusal(), (400, "quote-used".to_owned(), 20_002));
    let third = json!({ "unit": "sat", "request": CodeId::of_text("c").to_string(), "amount": 8 });
    let third = mint.post("/v1/melt/quote/code", &third).await;
    assert_eq!(third.refusal(), (400, "code-exists".to_owned(), 10_000));
    assert_eq!(mint.snapshot(&credits).await, before);
    mint.audit();
}

/// Every quote that somebody opened was a row for ever: anyone could fill the disk by asking.
#[tokio::test]
async fn a_quote_that_nobody_pays_is_not_written_down() {
    let mut mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[8, 8]).await;
    let quotes = [code_quote(&mint, "one", "sat", 8).await, code_quote(&mint, "one", "sat", 8).await];
    let mut written = Vec::new();
    super::privacy::bytes(mint.folder.path(), &mut written);
    let request = quotes[0]["request"].as_str().unwrap().as_bytes();
    assert!(!written.windows(request.len()).any(|window| window == request));
    assert_ne!(quotes[0]["quote"], quotes[1]["quote"]);

    mint.restart("test_funding = true").await;
    let path = |quote: &Value| format!("/v1/melt/quote/code/{}", quote["quote"].as_str().unwrap());
    assert_eq!(mint.get(&path(&quotes[0])).await.ok(), quotes[0], "it is known after a restart all the same");
    let body = json!({ "quote": quotes[0]["quote"], "inputs": credits[..1] });
    let paid = mint.post("/v1/melt/code", &body).await.ok();
    assert_eq!(paid["state"], json!("PAID"));
    assert_eq!(mint.get(&path(&quotes[0])).await.ok(), paid);
    let again = json!({ "quote": quotes[0]["quote"], "inputs": credits[1..] });
    assert_eq!(mint.post("/v1/melt/code", &again).await.refusal(), (400, "quote-used".to_owned(), 20_002));
    let other = json!({ "quote": quotes[1]["quote"], "inputs": credits[1..] });
    assert_eq!(mint.post("/v1/melt/code", &other).await.refusal().1, "code-exists");
    let mut forged = quotes[1]["quote"].as_str().unwrap().to_owned();
    forged.replace_range(4..5, if &forged[4..5] == "0" { "1" } else { "0" });
    assert_eq!(mint.get(&format!("/v1/melt/quote/code/{forged}")).await.refusal().1, "unknown-quote");
    mint.audit();
}
