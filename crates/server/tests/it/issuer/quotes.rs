//! Quotes: what opens them, what they refuse, and the keys that lock them (NUT-20).

use farthing_ecash::{SecretKey, quote_signature};
use farthing_money::Span;
use farthing_server::operator::Operator;
use serde_json::{Value, json};

use super::support::{Mint, Payer};

fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes([n; 32]).unwrap()
}

/// A path below `/v1`, a body, and the refusal that is expected: status, stable code, NUT-00 number.
type Case<'a> = (&'a str, Value, u16, &'a str, u64);

const MALFORMED: (u16, &str, u64) = (400, "malformed-body", 10_000);

async fn refused(mint: &Mint, path: &str, body: Value, (status, reject, number): (u16, &str, u64)) {
    let reply = mint.post(&format!("/v1/{path}"), &body).await;
    assert_eq!(reply.refusal(), (status, reject.to_owned(), number), "{path} {body}");
}

#[tokio::test]
async fn mint_quotes_are_refused_clearly() {
    let mint = Mint::new().await;
    let before = mint.snapshot(&[]).await;
    let cases: [Case<'_>; 8] = [
        ("mint/quote/cash", json!({ "unit": "uusd" }), 404, "unknown-method", 10_000),
        ("mint/quote/%00", json!({ "unit": "uusd" }), 404, "unknown-method", 10_000),
        ("mint/quote/%ff", json!({ "unit": "uusd" }), 400, "malformed-path", 10_000),
        ("mint/quote/code", json!({ "unit": "usd", "code": "x" }), 400, "unknown-unit", 11_013),
        ("mint/quote/code", json!({ "unit": "", "code": "x" }), 400, "unknown-unit", 11_013),
        ("mint/quote/code", json!({ "unit": "uusd", "code": "FT-NO" }), 400, "unknown-code", 10_000),
        ("mint/quote/code", json!({ "unit": "uusd", "code": "" }), 400, "unknown-code", 10_000),
        ("mint/quote/code", json!({ "unit": "uusd", "code": "\0" }), 400, "unknown-code", 10_000),
    ];
    for (path, body, status, reject, number) in cases {
        refused(&mint, path, body, (status, reject, number)).await;
    }
    for body in [json!({}), json!({ "code": 5 }), json!({ "code": "x", "pubkey": "02" })] {
        let mut body = body;
        body["unit"] = json!("uusd");
        refused(&mint, "mint/quote/code", body, MALFORMED).await;
    }
    for amount in [json!(null), json!(0), json!(-1), json!(1.5), json!("1")] {
        refused(&mint, "mint/quote/bolt11", json!({ "unit": "sat", "amount": amount }), MALFORMED).await;
    }
    assert_eq!(mint.snapshot(&[]).await, before);
}

#[tokio::test]
async fn melt_quotes_are_refused_clearly() {
    let mint = Mint::new().await;
    let before = mint.snapshot(&[]).await;
    let hash = "ab".repeat(32);
    let invoice = mint.post("/v1/mint/quote/bolt11", &json!({ "unit": "sat", "amount": 21 })).await.ok();
    let broken = invoice["request"].as_str().unwrap().replacen("210n", "220n", 1);
    let cash = json!({ "unit": "uusd", "request": hash });
    refused(&mint, "melt/quote/cash", cash, (404, "unknown-method", 10_000)).await;
    let euros = json!({ "unit": "eur", "request": hash, "amount": 1 });
    refused(&mint, "melt/quote/code", euros, (400, "unknown-unit", 11_013)).await;
    for (request, amount) in
        [(hash.as_str(), json!(null)), (&hash, json!(0)), ("ab", json!(1)), ("", json!(1))]
    {
        let body = json!({ "unit": "uusd", "request": request, "amount": amount });
        refused(&mint, "melt/quote/code", body, MALFORMED).await;
    }
    for request in ["", "lnbc", &broken, &"1".repeat(100_000)] {
        refused(&mint, "melt/quote/bolt11", json!({ "unit": "sat", "request": request }), MALFORMED).await;
    }
    assert_eq!(mint.snapshot(&[]).await, before);
}

#[tokio::test]
async fn unknown_quotes_are_named() {
    let mint = Mint::new().await;
    let quote = mint.post("/v1/mint/quote/bolt11", &json!({ "unit": "sat", "amount": 21 })).await.ok();
    let id = quote["quote"].as_str().unwrap();
    let foreign = [format!("mint/quote/code/{id}"), format!("melt/quote/bolt11/{id}")];
    let unknown = ["mint/quote/code/00", "mint/quote/code/%00", "melt/quote/bolt11/zz"].map(str::to_owned);
    for path in foreign.into_iter().chain(unknown) {
        let reply = mint.get(&format!("/v1/{path}")).await;
        assert_eq!(reply.refusal(), (404, "unknown-quote".to_owned(), 10_000), "{path}");
    }
    let method = mint.get(&format!("/v1/mint/quote/cash/{id}")).await;
    assert_eq!(method.refusal(), (404, "unknown-method".to_owned(), 10_000));
}

#[tokio::test]
async fn the_largest_amount_is_quoted_exactly() {
    let mint = Mint::new().await;
    let open = json!({ "unit": "sat", "amount": u64::MAX });
    let quote = mint.post("/v1/mint/quote/bolt11", &open).await.ok();
    assert_eq!(quote["amount_paid"], json!(u64::MAX));
    let beyond = r#"{"unit":"sat","amount":18446744073709551616}"#;
    let reply = mint.post_text("/v1/mint/quote/bolt11", beyond).await;
    assert_eq!(reply.refusal(), (400, "malformed-body".to_owned(), 10_000));
}

#[tokio::test]
async fn codes_are_of_one_unit_and_end() {
    let mint = Mint::with("").await;
    let code = mint.code("1 USD").await;
    let wrong = mint.post("/v1/mint/quote/code", &json!({ "unit": "sat", "code": code })).await;
    assert_eq!(wrong.refusal(), (400, "wrong-asset".to_owned(), 11_010));
    let lifetime = Some(Span::from_secs(60));
    let codes = Operator::new(mint.installation()).create_codes("1 USD", 1, lifetime).await.unwrap().codes;
    mint.wait_secs(60);
    let late = mint.post("/v1/mint/quote/code", &json!({ "unit": "uusd", "code": codes[0] })).await;
    assert_eq!(late.refusal(), (400, "code-expired".to_owned(), 20_007));
    mint.audit();
}

/// A claimed code is paid: its quote does not run out, or the money would be gone.
#[tokio::test]
async fn a_claimed_code_waits_for_its_payer() {
    let mint = Mint::with("").await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let code = mint.code("0.000008 USD").await;
    let quote = mint.post("/v1/mint/quote/code", &json!({ "unit": "uusd", "code": code })).await.ok();
    mint.wait_secs(1_000_000);
    let outputs = payer.outputs(&[8]);
    let body = json!({ "quote": quote["quote"], "outputs": outputs.messages });
    let minted = mint.post("/v1/mint/code", &body).await.ok();
    payer.credits(&outputs, &minted["signatures"]);
}

/// Who claims a code with a key keeps it: the code alone no longer opens the quote for others.
#[tokio::test]
async fn a_code_claimed_with_a_key_is_used_for_others() {
    let mint = Mint::with("").await;
    let code = mint.code("1 USD").await;
    let claim = |pubkey: Option<SecretKey>| json!({ "unit": "uusd", "code": code, "pubkey": pubkey.map(|key| key.public_key()) });
    let quote = mint.post("/v1/mint/quote/code", &claim(Some(key(7)))).await;
    quote.ok();
    let before = mint.snapshot(&[]).await;
    for other in [None, Some(key(8))] {
        let reply = mint.post("/v1/mint/quote/code", &claim(other)).await;
        assert_eq!(reply.refusal(), (400, "code-used".to_owned(), 20_002));
    }
    assert_eq!(mint.post("/v1/mint/quote/code", &claim(Some(key(7)))).await, quote);
    assert_eq!(mint.snapshot(&[]).await, before);
}

#[tokio::test]
async fn minting_is_for_exactly_what_was_paid() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let sats = mint.post("/v1/mint/quote/bolt11", &json!({ "unit": "sat", "amount": 8 })).await.ok();
    let dollars = mint.post("/v1/mint/quote/bolt11", &json!({ "unit": "uusd", "amount": 8 })).await.ok();
    let before = mint.snapshot(&[]).await;
    let cases: [(&Value, &[u64], u16, &str, u64); 5] = [
        (&sats["quote"], &[8, 1], 400, "quote-amount", 11_005),
        (&sats["quote"], &[4], 400, "quote-amount", 11_005),
        (&sats["quote"], &[1 << 31, 1 << 31], 400, "quote-amount", 11_005),
        (&dollars["quote"], &[8], 400, "wrong-asset", 11_010),
        (&json!("00"), &[8], 404, "unknown-quote", 10_000),
    ];
    for (quote, amounts, status, reject, number) in cases {
        let outputs = payer.outputs(amounts);
        let reply =
            mint.post("/v1/mint/bolt11", &json!({ "quote": quote, "outputs": outputs.messages })).await;
        assert_eq!(reply.refusal(), (status, reject.to_owned(), number), "{quote} {amounts:?}");
    }
    let none = mint.post("/v1/mint/bolt11", &json!({ "quote": sats["quote"], "outputs": [] })).await;
    assert_eq!(none.refusal(), (400, "nothing-given".to_owned(), 11_005));
    let outputs = payer.outputs(&[8]);
    let body = json!({ "quote": sats["quote"], "outputs": outputs.messages });
    let elsewhere = mint.post("/v1/mint/code", &body).await;
    assert_eq!(elsewhere.refusal(), (404, "unknown-quote".to_owned(), 10_000));
    assert_eq!(mint.snapshot(&[]).await, before);

    mint.post("/v1/mint/bolt11", &json!({ "quote": sats["quote"], "outputs": outputs.messages })).await.ok();
    let more = payer.outputs(&[8]);
    let twice =
        mint.post("/v1/mint/bolt11", &json!({ "quote": sats["quote"], "outputs": more.messages })).await;
    assert_eq!(twice.refusal(), (400, "quote-used".to_owned(), 20_002));
    mint.audit();
}

/// NUT-20: who overhears a quote's id gets nothing for it.
#[tokio::test]
async fn a_locked_quote_needs_its_key() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let open = json!({ "unit": "sat", "amount": 8, "pubkey": key(7).public_key() });
    let quote = mint.post("/v1/mint/quote/bolt11", &open).await.ok();
    assert_eq!(quote["pubkey"], open["pubkey"]);
    let id = quote["quote"].as_str().unwrap();
    let (outputs, others) = (payer.outputs(&[8]), payer.outputs(&[8]));
    let sign = |n, outputs: &[_]| quote_signature::sign(id, outputs, &key(n));
    let good = sign(7, &outputs.messages);
    let refused = [
        (None, "quote-signature-missing"),
        (Some(String::new()), "quote-signature-invalid"),
        (Some("zz".repeat(64)), "quote-signature-invalid"),
        (Some("00".repeat(64)), "quote-signature-invalid"),
        (Some(sign(8, &outputs.messages)), "quote-signature-invalid"),
        (Some(sign(7, &others.messages)), "quote-signature-invalid"),
        (Some(quote_signature::sign("other", &outputs.messages, &key(7))), "quote-signature-invalid"),
        (Some(good[..126].to_owned()), "quote-signature-invalid"),
    ];
    let before = mint.snapshot(&[]).await;
    for (signature, reject) in refused {
        let body = json!({ "quote": id, "outputs": outputs.messages, "signature": signature });
        let reply = mint.post("/v1/mint/bolt11", &body).await;
        assert_eq!(reply.refusal(), (400, reject.to_owned(), 20_008), "{signature:?}");
    }
    assert_eq!(mint.snapshot(&[]).await, before);
    let body = json!({ "quote": id, "outputs": outputs.messages, "signature": good });
    let minted = mint.post("/v1/mint/bolt11", &body).await.ok();
    payer.credits(&outputs, &minted["signatures"]);
}
