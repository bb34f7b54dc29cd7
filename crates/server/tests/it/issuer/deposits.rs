//! Buying credits with money on a chain (NUT-04, method `evm`).

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;

use axum::body::Body;
use farthing_channel::keccak256;
use farthing_ecash::{SecretKey, quote_signature};
use farthing_engine::{CallId, Command, Mode, Outcome};
use farthing_gate::chain::ChainRefusal;
use farthing_wire::mpp::{self, evm};
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::v1::PayloadV1;
use farthing_wire::x402::{
    Eip3009, Payload, PaymentRequired, Reason, Requirements, SchemePayload, SettleResponse,
};
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::support::chain::{Fate, PAYER, RESERVE, payload};
use super::support::{Mint, Payer};

/// What came back from where a quote is paid.
#[derive(Debug)]
pub struct Paid {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Paid {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn code(&self) -> &str {
        self.body["code"].as_str().or_else(|| self.body["reject"].as_str()).unwrap_or_default()
    }

    fn required(&self) -> PaymentRequired {
        PaymentRequired::from_header(self.field("payment-required").unwrap()).unwrap()
    }

    fn response(&self) -> SettleResponse {
        SettleResponse::from_header(self.field("payment-response").unwrap()).unwrap()
    }
}

pub async fn quote(mint: &Mint, amount: u64) -> Value {
    mint.post("/v1/mint/quote/evm", &json!({ "unit": "uusd", "amount": amount })).await.ok()
}

pub fn path(quote: &Value) -> String {
    let url = quote["request"].as_str().unwrap();
    url.strip_prefix("http://mint.example").unwrap().to_owned()
}

/// Asks for the place where a quote is paid, with these fields.
pub async fn ask(mint: &Mint, quote: &Value, fields: &[(&str, &str)]) -> Paid {
    let mut request = Request::get(path(quote));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let response = mint.router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    Paid { status, headers, body: serde_json::from_slice(&body).unwrap() }
}

async fn offer(mint: &Mint, quote: &Value) -> Requirements {
    ask(mint, quote, &[]).await.required().accepts[0].clone()
}

/// A payment of what the place asks for. Other numbers are other authorizations.
pub async fn payment(mint: &Mint, quote: &Value, number: u8) -> Payload {
    payload(&offer(mint, quote).await, quote["request"].as_str().unwrap(), number)
}

pub async fn pay(mint: &Mint, quote: &Value, payment: &Payload) -> Paid {
    ask(mint, quote, &[("payment-signature", &payment.to_header().unwrap())]).await
}

pub async fn state(mint: &Mint, quote: &Value) -> Value {
    mint.get(&format!("/v1/mint/quote/evm/{}", quote["quote"].as_str().unwrap())).await.ok()
}

/// The transactions that have settled payments, as the chain writes them.
fn transactions(mint: &Mint) -> Vec<String> {
    let books = &mint.installation().books;
    let settled = |payment| match books.settlement(CallId::of_payment(payment)).unwrap()?.outcome {
        Outcome::Settled { transaction, .. } => Some(format!("0x{transaction}")),
        Outcome::Failed { .. } => None,
    };
    let payments = books.payments_after(None, 100).unwrap();
    payments.into_iter().filter_map(|(payment, _)| settled(payment)).collect()
}

#[tokio::test]
async fn money_on_a_chain_becomes_credits() {
    let mint = Mint::on_chain().await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let key = SecretKey::from_bytes([5; 32]).unwrap();
    let body = json!({ "unit": "uusd", "amount": 96, "pubkey": key.public_key().to_string() });
    let quote = mint.post("/v1/mint/quote/evm", &body).await.ok();
    assert_eq!(
        (&quote["method"], &quote["amount"], &quote["amount_paid"], &quote["amount_issued"], &quote["state"]),
        (&json!("evm"), &json!(96), &json!(0), &json!(0), &json!("UNPAID"))
    );
    let asked = ask(&mint, &quote, &[]).await;
    assert_eq!((asked.status, asked.code()), (402, "payment-required"));
    let required = asked.required();
    assert_eq!(required.resource.url, quote["request"].as_str().unwrap());
    assert_eq!(required.accepts[0].amount.amount().unwrap().value(), 96);
    assert_eq!(asked.body["accepts"][0]["maxAmountRequired"], "96", "clients of version 1 read the body");

    let paid = pay(&mint, &quote, &payment(&mint, &quote, 1).await).await;
    assert_eq!(paid.status, 200, "{paid:?}");
    let settled = paid.response();
    assert!(settled.success);
    assert_eq!((vec![settled.transaction], settled.payer.as_deref()), (transactions(&mint), Some(PAYER)));
    assert_eq!((&paid.body["amount_paid"], &paid.body["state"]), (&json!(96), &json!("PAID")));
    assert_eq!(state(&mint, &quote).await, paid.body);
    assert_eq!(mint.totals("deposits"), ("0.00".into(), "0.000096".into()));

    // Whoever saw the quote cannot mint it: it is locked to the payer's key.
    let outputs = payer.outputs(&[64, 32]);
    let name = quote["quote"].as_str().unwrap();
    let bare = json!({ "quote": name, "outputs": outputs.messages });
    assert_eq!(mint.post("/v1/mint/evm", &bare).await.refusal().1, "quote-signature-missing");
    let signature = quote_signature::sign(name, &outputs.messages, &key);
    let signed = json!({ "quote": name, "outputs": outputs.messages, "signature": signature });
    let minted = mint.post("/v1/mint/evm", &signed).await;
    payer.credits(&outputs, &minted.ok()["signatures"]);
    assert_eq!(mint.post("/v1/mint/evm", &signed).await, minted, "once more is the same");
    assert_eq!(state(&mint, &quote).await["state"], "ISSUED");
    assert_eq!(mint.totals("deposits"), ("0.000096".into(), "0.000096".into()));
    assert_eq!(mint.totals(RESERVE), ("0.000096".into(), "0.00".into()));
    assert_eq!(mint.script().units(), (96, 0));
    mint.audit();
}

#[tokio::test]
async fn every_dialect_of_chains_pays_a_quote() {
    let mint = Mint::on_chain().await;
    let first = quote(&mint, 50).await;
    let SchemePayload::Eip3009(signed) = payment(&mint, &first, 1).await.payload else { panic!("signed") };
    let old = PayloadV1 { scheme: "exact".into(), network: "base-sepolia".into(), payload: signed };
    let paid = ask(&mint, &first, &[("x-payment", &old.to_header().unwrap())]).await;
    assert_eq!((paid.status, &paid.body["state"]), (200, &json!("PAID")), "{paid:?}");
    assert!(paid.field("x-payment-response").is_some());

    let (second, third) = (quote(&mint, 50).await, quote(&mint, 50).await);
    let asked = ask(&mint, &second, &[]).await;
    let challenge = mpp::Challenge::parse_all(&[asked.field("www-authenticate").unwrap()]).remove(0);
    let SchemePayload::Eip3009(mut signed) = payment(&mint, &second, 2).await.payload else {
        panic!("signed")
    };
    let credential = |signed: &Eip3009| {
        let payload = evm::payload_to_json(signed).unwrap();
        mpp::Credential { challenge: challenge.clone(), source: None, payload }.encode().unwrap()
    };
    let unbound = ask(&mint, &second, &[("authorization", &credential(&signed))]).await;
    assert_eq!((unbound.status, unbound.code()), (402, "challenge-elsewhere"), "any number will not do");
    signed.authorization.nonce = HexText(*keccak256(&evm::nonce_source(&challenge)).as_bytes());
    let elsewhere = ask(&mint, &third, &[("authorization", &credential(&signed))]).await;
    assert_eq!(
        (elsewhere.status, elsewhere.code()),
        (402, "challenge-elsewhere"),
        "a challenge is for one quote"
    );
    let paid = ask(&mint, &second, &[("authorization", &credential(&signed))]).await;
    assert_eq!((paid.status, &paid.body["state"]), (200, &json!("PAID")), "{paid:?}");
    let receipt = mpp::Receipt::decode(paid.field("payment-receipt").unwrap()).unwrap();
    assert_eq!(receipt.method, "evm");
    assert!(transactions(&mint).contains(&receipt.reference));
    // Long after the challenge is over the payment is found by its own name.
    mint.wait_secs(400);
    let again = ask(&mint, &second, &[("authorization", &credential(&signed))]).await;
    assert_eq!((again.status, again.body), (200, paid.body));
    assert_eq!(mint.script().units().0, 100);
    mint.audit();
}

/// A time-out of the settlement that is answered with a fresh 402 makes honest clients pay twice.
#[tokio::test]
async fn an_unknown_outcome_is_joined_by_a_retry() {
    let mint = Mint::on_chain().await;
    let quote = quote(&mint, 50).await;
    let (own, other) = (payment(&mint, &quote, 1).await, payment(&mint, &quote, 2).await);
    for _ in 0..2 {
        mint.script().then(Fate::Silent);
        let unknown = pay(&mint, &quote, &own).await;
        assert_eq!((unknown.status, unknown.code()), (503, "payment-settling"), "{unknown:?}");
        assert_eq!(unknown.field("retry-after"), Some("2"));
        let reason = unknown.response().error_reason;
        assert_eq!(reason.as_deref(), Some(Reason::SettlementPending.as_str()));
        assert!(unknown.field("payment-required").is_none(), "nothing more is asked for");
    }
    assert_eq!(state(&mint, &quote).await["state"], "UNPAID");
    assert_eq!(ask(&mint, &quote, &[]).await.code(), "payment-settling");
    let second = pay(&mint, &quote, &other).await;
    assert_eq!((second.status, second.code()), (409, "quote-under-way"));
    assert_eq!(pay(&mint, &quote, &own).await.status, 200);
    assert_eq!((mint.script().units().0, mint.script().verified.load(SeqCst)), (50, 1));
    let late = pay(&mint, &quote, &other).await;
    assert_eq!((late.status, late.code()), (409, "quote-paid"));
    let again = pay(&mint, &quote, &own).await;
    assert!(again.status == 200 && again.response().success, "the same payment finds what it paid");
    assert_eq!(ask(&mint, &quote, &[]).await.body, again.body, "whoever asks without one sees it paid");
    assert_eq!(mint.script().units().0, 50);
    mint.audit();
}

#[tokio::test]
async fn a_deposit_that_fails_leaves_the_quote_to_be_paid() {
    let mint = Mint::on_chain().await;
    let quote = quote(&mint, 50).await;
    let own = payment(&mint, &quote, 1).await;
    mint.script().then(Fate::Fails(Reason::TransactionFailed));
    let failed = pay(&mint, &quote, &own).await;
    assert_eq!((failed.status, failed.code()), (402, "not-settled"), "{failed:?}");
    let said = failed.response();
    assert_eq!(
        (said.success, said.error_reason.as_deref()),
        (false, Some(Reason::TransactionFailed.as_str()))
    );
    assert_eq!(failed.required().error.as_deref(), Some(Reason::TransactionFailed.as_str()));
    assert!(mint.trial().settled, "nothing is on hold");
    // The very same payment may be good by now.
    assert_eq!(pay(&mint, &quote, &own).await.status, 200);
    assert_eq!(mint.script().units().0, 50);
    mint.audit();
}

#[tokio::test]
async fn what_a_chain_takes_back_is_not_minted() {
    let mint = Mint::on_chain().await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let quote = quote(&mint, 64).await;
    let own = payment(&mint, &quote, 1).await;
    assert_eq!(pay(&mint, &quote, &own).await.status, 200);
    let books = &mint.installation().books;
    let (payment, _) = books.payments_after(None, 1).unwrap().remove(0);
    mint.chain().take_back(payment).await;
    assert_eq!(state(&mint, &quote).await["state"], "UNPAID");
    let outputs = payer.outputs(&[64]);
    let body = json!({ "quote": quote["quote"], "outputs": outputs.messages });
    assert_eq!(mint.post("/v1/mint/evm", &body).await.refusal(), (400, "quote-not-paid".to_owned(), 20_001));
    mint.script().then(Fate::Silent);
    assert_eq!(pay(&mint, &quote, &own).await.code(), "payment-settling");
    assert_eq!(pay(&mint, &quote, &own).await.body["state"], "PAID");
    payer.credits(&outputs, &mint.post("/v1/mint/evm", &body).await.ok()["signatures"]);
    assert_eq!(mint.script().units().0, 64);
    mint.audit();
}

#[tokio::test]
async fn what_will_not_do_is_refused_and_nothing_is_taken() {
    let mint = Mint::on_chain().await;
    let (quote, other) = (quote(&mint, 50).await, quote(&mint, 51).await);
    let own = payment(&mint, &quote, 1).await;
    let before = mint.snapshot(&[]).await;
    let elsewhere = pay(&mint, &other, &own).await;
    assert_eq!((elsewhere.status, elsewhere.code()), (402, "resource-elsewhere"));
    let unnamed = pay(&mint, &other, &Payload { resource: None, ..own.clone() }).await;
    assert_eq!((unnamed.status, unnamed.code()), (402, "offer-unknown"));
    let nonsense = ask(&mint, &quote, &[("payment-signature", "nonsense")]).await;
    assert_eq!((nonsense.status, nonsense.code()), (402, "credential-malformed"));
    assert_eq!(nonsense.required().accepts.len(), 1, "with what would be taken");
    let credits = ask(&mint, &quote, &[("x-cashu", "cashuBo2F0")]).await;
    assert_eq!((credits.status, credits.code()), (402, "credential-method-unsupported"));
    let refuse = |reason| ChainRefusal::Invalid { reason, message: "no".into() };
    for (refusal, status, code) in [
        (refuse(Reason::InsufficientBalance), 402, "chain-payment-invalid"),
        (refuse(Reason::Permit2AllowanceRequired), 412, "chain-payment-invalid"),
        (ChainRefusal::Unreachable("it is down".into()), 503, "chain-unreachable"),
    ] {
        *mint.script().refusal.lock().unwrap() = Some(refusal.clone());
        let refused = pay(&mint, &quote, &own).await;
        assert_eq!(refused.status, status, "{refused:?}");
        assert_eq!(refused.body["reject"].as_str().unwrap_or(refused.code()), code);
    }
    *mint.script().refusal.lock().unwrap() = None;
    mint.wait_secs(600);
    let late = pay(&mint, &quote, &own).await;
    assert_eq!(late.body["reject"], "quote-expired");
    assert_eq!(mint.snapshot(&[]).await, before);
    assert_eq!(mint.script().units(), (0, 0));

    let issuer = &mint;
    let open = |body: Value| async move { issuer.post("/v1/mint/quote/evm", &body).await.refusal().1 };
    assert_eq!(open(json!({ "unit": "uusd" })).await, "malformed-body");
    assert_eq!(open(json!({ "unit": "uusd", "amount": 9 })).await, "amount-out-of-bounds");
    assert_eq!(open(json!({ "unit": "uusd", "amount": 1_001 })).await, "amount-out-of-bounds");
    assert_eq!(open(json!({ "unit": "sat", "amount": 50 })).await, "unknown-unit");
    let bolt = mint.post("/v1/mint/quote/bolt11", &json!({ "unit": "uusd", "amount": 50 })).await.ok();
    let pay_bolt = mint.get(&format!("/v1/mint/quote/bolt11/{}/pay", bolt["quote"].as_str().unwrap())).await;
    assert_eq!(pay_bolt.refusal().1, "quote-method");
    assert_eq!(
        mint.get("/v1/mint/quote/evm/t200/pay").await.refusal(),
        (404, "unknown-quote".to_owned(), 10_000)
    );
    for (mode, reject) in [(Mode::Sunset, "sunset"), (Mode::Paused, "paused")] {
        mint.execute(Command::SetMode(mode)).await.unwrap();
        assert_eq!(open(json!({ "unit": "uusd", "amount": 50 })).await, reject);
    }
}

/// Without chains there is no such method, and with them it is announced for the units that they know.
#[tokio::test]
async fn the_method_is_announced_where_there_are_chains() {
    let without = Mint::new().await;
    assert!(!without.get("/v1/info").await.ok().to_string().contains("evm"));
    let body = json!({ "unit": "uusd", "amount": 50 });
    assert_eq!(without.post("/v1/mint/quote/evm", &body).await.refusal().1, "unknown-method");
    let mint = Mint::on_chain().await;
    let nuts = mint.get("/v1/info").await.ok()["nuts"].clone();
    let entry = json!({ "method": "evm", "unit": "uusd", "min_amount": 10, "max_amount": 1_000 });
    for nut in ["4", "5"] {
        let of_evm = |method: &&Value| method["method"] == "evm";
        let methods = nuts[nut]["methods"].as_array().unwrap();
        assert_eq!(methods.iter().filter(of_evm).collect::<Vec<_>>(), [&entry]);
    }
    assert!(nuts["17"].to_string().contains("evm_mint_quote"));
    mint.execute(Command::SetMode(Mode::Sunset)).await.unwrap();
    let nuts = mint.get("/v1/info").await.ok()["nuts"].clone();
    assert!(!nuts["4"].to_string().contains("evm"), "no new money comes in");
    assert!(nuts["5"].to_string().contains("evm"), "and money goes out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_at_once_are_one_deposit() {
    let mint = std::sync::Arc::new(Mint::on_chain().await);
    for same in [true, false] {
        let quote = quote(&mint, 50).await;
        let mut tasks = Vec::new();
        for n in 0..16 {
            let number = if same { 100 } else { n };
            let (mint, quote) = (std::sync::Arc::clone(&mint), quote.clone());
            tasks.push(tokio::spawn(async move {
                let payment = payload(&mint_offer(&quote), quote["request"].as_str().unwrap(), number);
                pay(&mint, &quote, &payment).await
            }));
        }
        let mut outcomes = BTreeMap::new();
        for task in tasks {
            let paid = task.await.unwrap();
            *outcomes.entry(paid.status).or_insert(0) += 1;
        }
        let expected = if same { BTreeMap::from([(200, 16)]) } else { BTreeMap::from([(200, 1), (409, 15)]) };
        assert_eq!(outcomes, expected);
    }
    assert_eq!(mint.script().units().0, 100);
    mint.audit();
}

/// The offer as the place would make it.
fn mint_offer(quote: &Value) -> Requirements {
    use super::support::chain::{OURS, TOKEN};
    let offer = json!({
        "scheme": "exact", "network": "eip155:84532", "amount": quote["amount"].to_string(), "asset": TOKEN,
        "payTo": OURS, "maxTimeoutSeconds": 60, "extra": { "name": "USDC", "version": "2" },
    });
    serde_json::from_value(offer).unwrap()
}

/// A kill at any moment after the money was asked for leaves the call in the outbox: it is not given back, and not lost.
#[tokio::test]
async fn a_deposit_that_is_under_way_outlives_a_kill() {
    let mut mint = Mint::on_chain().await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let quote = quote(&mint, 64).await;
    let own = payment(&mint, &quote, 1).await;
    mint.script().then(Fate::Silent);
    assert_eq!(pay(&mint, &quote, &own).await.status, 503);
    let killed = mint.after_kill().await;
    mint.restart("test_funding = true").await;
    for mint in [&killed, &mint] {
        assert_eq!(mint.installation().books.calls().unwrap().len(), 1, "it is still to be sent");
        assert!(!mint.trial().settled, "and still promised");
        mint.chain().end_all(Fate::Settles).await;
        assert_eq!(state(mint, &quote).await["state"], "PAID");
        let again = pay(mint, &quote, &own).await;
        assert!(again.status == 200 && again.response().success);
        mint.audit();
    }
    let outputs = payer.outputs(&[64]);
    let body = json!({ "quote": quote["quote"], "outputs": outputs.messages });
    payer.credits(&outputs, &mint.post("/v1/mint/evm", &body).await.ok()["signatures"]);
    mint.audit();
}

/// Anyone can fill a disk where every quote is written down.
#[tokio::test]
async fn a_quote_that_nobody_pays_is_not_written_down() {
    let mut mint = Mint::on_chain().await;
    let before = mint.installation().books.head().unwrap();
    let quotes = [quote(&mint, 50).await, quote(&mint, 50).await];
    assert_ne!(quotes[0]["quote"], quotes[1]["quote"]);
    assert_eq!(mint.installation().books.head().unwrap(), before);
    let mut written = Vec::new();
    super::privacy::bytes(mint.folder.path(), &mut written);
    let name = quotes[0]["quote"].as_str().unwrap().as_bytes();
    assert!(!written.windows(name.len()).any(|window| window == name));
    mint.restart("test_funding = true").await;
    assert_eq!(state(&mint, &quotes[0]).await, quotes[0], "it is known after a restart all the same");
    let checked = mint.post("/v1/mint/quote/evm/check", &json!({ "quotes": [quotes[0]["quote"]] })).await;
    assert_eq!(checked.ok(), json!([quotes[0]]));
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let body = json!({ "quote": quotes[0]["quote"], "outputs": payer.outputs(&[32, 16, 2]).messages });
    assert_eq!(mint.post("/v1/mint/evm", &body).await.refusal(), (400, "quote-not-paid".to_owned(), 20_001));
}
