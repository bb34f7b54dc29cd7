//! The JSON that a mint takes and gives (NUT-02 to NUT-09).

use farthing_ecash::{BlindSignature, BlindedMessage, Keyset, KeysetInfo, Proof, PublicKey, Y};
use farthing_money::Unit;
use farthing_wire::json;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::WalletError;
use crate::http::{HttpRequest, HttpResponse};
use crate::outcome::Transfer;

#[derive(Deserialize)]
struct KeysetList {
    keysets: Vec<Value>,
}

#[derive(Serialize)]
struct QuoteBody<'a> {
    unit: Unit,
    code: &'a str,
    pubkey: String,
}

#[derive(Serialize)]
struct TrialBody {
    unit: Unit,
    pubkey: String,
}

/// A mint quote, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Quote {
    #[serde(rename = "quote")]
    pub(crate) id: String,
    pub(crate) unit: Unit,
    pub(crate) amount: u64,
    #[serde(default)]
    pub(crate) pubkey: Option<PublicKey>,
}

#[derive(Serialize)]
struct OrderBody {
    unit: Unit,
    amount: u64,
    pubkey: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    transfer: bool,
}

/// A mint quote of the method `evm`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Order {
    #[serde(rename = "quote")]
    pub(crate) id: String,
    pub(crate) unit: Unit,
    pub(crate) amount: u64,
    /// Where it is paid.
    pub(crate) request: String,
    #[serde(default)]
    pub(crate) amount_paid: u64,
    #[serde(default)]
    pub(crate) amount_issued: u64,
    #[serde(default)]
    pub(crate) expiry: Option<u64>,
    #[serde(default)]
    pub(crate) transfer: Option<Transfer>,
}

#[derive(Serialize)]
struct MintBody<'a> {
    quote: &'a str,
    outputs: &'a [BlindedMessage],
    signature: String,
}

#[derive(Serialize)]
struct SwapBody<'a> {
    inputs: &'a [Proof],
    outputs: &'a [BlindedMessage],
}

#[derive(Serialize)]
struct MeltQuoteBody<'a> {
    request: &'a str,
    unit: Unit,
    amount: u64,
}

#[derive(Serialize)]
struct MeltBody<'a> {
    quote: &'a str,
    inputs: &'a [Proof],
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<&'a [BlindedMessage]>,
}

/// A melt quote of the method `code`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct MeltQuote {
    /// Its name.
    #[serde(rename = "quote")]
    pub(crate) id: String,
    /// What the amount counts.
    pub(crate) unit: Unit,
    /// What the code will be worth.
    pub(crate) amount: u64,
    /// What is kept back for the mint's cost of paying.
    #[serde(default)]
    pub(crate) fee_reserve: u64,
    /// Whether it is paid.
    #[serde(default)]
    pub(crate) paid: bool,
    /// What came back.
    #[serde(default)]
    pub(crate) change: Option<Vec<BlindSignature>>,
}

#[derive(Serialize)]
struct RestoreBody<'a> {
    outputs: &'a [BlindedMessage],
}

#[derive(Deserialize)]
struct Signatures {
    signatures: Vec<BlindSignature>,
}

/// What a mint remembers of outputs: those that it signed, and the signatures, in the same order.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Restored {
    pub(crate) outputs: Vec<BlindedMessage>,
    pub(crate) signatures: Vec<BlindSignature>,
}

#[derive(Serialize)]
struct StateBody<'a> {
    #[serde(rename = "Ys")]
    ys: &'a [Y],
}

#[derive(Deserialize)]
struct States {
    states: Vec<StateOf>,
}

/// What a mint says of a credit.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct StateOf {
    #[serde(rename = "Y")]
    pub(crate) y: Y,
    pub(crate) state: SpentState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum SpentState {
    Unspent,
    Pending,
    Spent,
}

/// A refusal: `{detail, code}`, or a problem of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) detail: String,
    pub(crate) code: u64,
}

/// Said of credits that are part of another transaction.
pub(crate) const CODE_PENDING: u64 = 11_002;
/// An output was signed before.
pub(crate) const CODE_SIGNED: u64 = 11_003;
/// The first and the last of what is said of keysets: they are not known, sign no more, or are over.
pub(crate) const CODE_KEYSET_UNKNOWN: u64 = 12_001;
pub(crate) const CODE_KEYSET_EXPIRED: u64 = 12_003;
/// The quote was issued before.
pub(crate) const CODE_ISSUED: u64 = 20_002;

pub(crate) fn keysets_request(mint: &str) -> HttpRequest {
    HttpRequest::get(format!("{mint}/v1/keysets"))
}

pub(crate) fn keys_request(mint: &str, keyset: &KeysetInfo) -> HttpRequest {
    HttpRequest::get(format!("{mint}/v1/keys/{}", keyset.id))
}

fn post<T: Serialize>(url: String, body: &T) -> Result<HttpRequest, WalletError> {
    let body =
        serde_json::to_vec(body).map_err(|_| WalletError::Misuse("a body that can be written as JSON"))?;
    Ok(HttpRequest::post(url, body))
}

pub(crate) fn quote_request(
    mint: &str,
    unit: Unit,
    code: &str,
    pubkey: String,
) -> Result<HttpRequest, WalletError> {
    post(format!("{mint}/v1/mint/quote/code"), &QuoteBody { unit, code, pubkey })
}

/// Asks for credits that are given to newcomers. The same key gets the same.
pub(crate) fn trial_request(mint: &str, unit: Unit, pubkey: String) -> Result<HttpRequest, WalletError> {
    post(format!("{mint}/v1/mint/quote/trial"), &TrialBody { unit, pubkey })
}

/// Asks for a quote that money on a chain pays.
pub(crate) fn order_request(
    mint: &str,
    (unit, amount): (Unit, u64),
    pubkey: String,
    transfer: bool,
) -> Result<HttpRequest, WalletError> {
    post(format!("{mint}/v1/mint/quote/evm"), &OrderBody { unit, amount, pubkey, transfer })
}

/// Asks how such a quote stands.
pub(crate) fn order_state_request(mint: &str, quote: &str) -> HttpRequest {
    HttpRequest::get(format!("{mint}/v1/mint/quote/evm/{quote}"))
}

/// Such a quote.
pub(crate) fn order(mint: &str, answer: &HttpResponse) -> Result<Result<Order, Refusal>, WalletError> {
    read(mint, "a mint quote", answer)
}

pub(crate) fn mint_request(
    mint: &str,
    (method, quote): (&str, &str),
    outputs: &[BlindedMessage],
    signature: String,
) -> Result<HttpRequest, WalletError> {
    post(format!("{mint}/v1/mint/{method}"), &MintBody { quote, outputs, signature })
}

pub(crate) fn swap_request(
    mint: &str,
    inputs: &[Proof],
    outputs: &[BlindedMessage],
) -> Result<HttpRequest, WalletError> {
    post(format!("{mint}/v1/swap"), &SwapBody { inputs, outputs })
}

/// Asks what it takes to fund a code that only its hash tells of.
pub(crate) fn melt_quote_request(
    mint: &str,
    unit: Unit,
    code_hash: &str,
    amount: u64,
) -> Result<HttpRequest, WalletError> {
    post(format!("{mint}/v1/melt/quote/code"), &MeltQuoteBody { request: code_hash, unit, amount })
}

pub(crate) fn melt_request(
    mint: &str,
    quote: &str,
    inputs: &[Proof],
    outputs: Option<&[BlindedMessage]>,
) -> Result<HttpRequest, WalletError> {
    post(format!("{mint}/v1/melt/code"), &MeltBody { quote, inputs, outputs })
}

/// Asks whether a melt quote is paid.
pub(crate) fn melt_state_request(mint: &str, quote: &str) -> HttpRequest {
    HttpRequest::get(format!("{mint}/v1/melt/quote/code/{quote}"))
}

pub(crate) fn restore_request(mint: &str, outputs: &[BlindedMessage]) -> Result<HttpRequest, WalletError> {
    post(format!("{mint}/v1/restore"), &RestoreBody { outputs })
}

pub(crate) fn state_request(mint: &str, ys: &[Y]) -> Result<HttpRequest, WalletError> {
    post(format!("{mint}/v1/checkstate"), &StateBody { ys })
}

/// The answer's JSON, or the mint's refusal, or an error if it is neither.
pub(crate) fn read<T: DeserializeOwned>(
    mint: &str,
    expected: &'static str,
    answer: &HttpResponse,
) -> Result<Result<T, Refusal>, WalletError> {
    if answer.is_success() {
        let body = json::read(&answer.body, expected);
        return body.map(Ok).map_err(|error| WalletError::bad_answer(mint, expected, error.to_string()));
    }
    match (answer.status, refusal(answer)) {
        (400..=404 | 409 | 410 | 422, Some(refusal)) => Ok(Err(refusal)),
        (status, refusal) => {
            let detail = refusal.map(|refusal| format!(": {}", refusal.detail)).unwrap_or_default();
            Err(WalletError::bad_answer(mint, expected, format!("status {status}{detail}")))
        }
    }
}

fn refusal(answer: &HttpResponse) -> Option<Refusal> {
    let body: Value = json::read(&answer.body, "a refusal of detail and code").ok()?;
    let detail: String =
        body.get("detail")?.as_str()?.chars().filter(|c| !c.is_control()).take(300).collect();
    let code = body.get("code").and_then(Value::as_u64).unwrap_or_default();
    Some(Refusal { detail, code })
}

impl Refusal {
    pub(crate) fn at(self, mint: &str) -> WalletError {
        WalletError::Refused { mint: mint.to_owned(), detail: self.detail, code: self.code }
    }
}

fn accepted<T: DeserializeOwned>(
    mint: &str,
    expected: &'static str,
    answer: &HttpResponse,
) -> Result<T, WalletError> {
    read(mint, expected, answer)?.map_err(|refusal| refusal.at(mint))
}

/// The keysets that can be read; a mint may have others, of a later version or an odd unit.
pub(crate) fn keysets(mint: &str, answer: &HttpResponse) -> Result<Vec<KeysetInfo>, WalletError> {
    let list: KeysetList = accepted(mint, "a list of keysets", answer)?;
    Ok(list.keysets.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect())
}

/// The keys of the keyset that was asked for.
pub(crate) fn keys(mint: &str, asked: &KeysetInfo, answer: &HttpResponse) -> Result<Keyset, WalletError> {
    let expected = "the keys of one keyset";
    let list: KeysetList = accepted(mint, expected, answer)?;
    let mut found = list.keysets.into_iter().filter_map(|value| serde_json::from_value::<Keyset>(value).ok());
    let keyset = found.find(|keyset| keyset.id == asked.id && keyset.unit == asked.unit);
    let keyset = keyset.ok_or_else(|| WalletError::bad_answer(mint, expected, "other keysets"))?;
    keyset
        .check_id()
        .map_err(|source| WalletError::Keyset { mint: mint.to_owned(), source: Box::new(source) })?;
    Ok(keyset)
}

pub(crate) fn quote(mint: &str, answer: &HttpResponse) -> Result<Result<Quote, Refusal>, WalletError> {
    read(mint, "a mint quote", answer)
}

pub(crate) fn melt_quote(
    mint: &str,
    answer: &HttpResponse,
) -> Result<Result<MeltQuote, Refusal>, WalletError> {
    read(mint, "a melt quote", answer)
}

pub(crate) fn signatures(
    mint: &str,
    answer: &HttpResponse,
) -> Result<Result<Vec<BlindSignature>, Refusal>, WalletError> {
    let signatures = read::<Signatures>(mint, "signatures", answer)?;
    Ok(signatures.map(|signatures| signatures.signatures))
}

pub(crate) fn restored(mint: &str, answer: &HttpResponse) -> Result<Restored, WalletError> {
    let restored: Restored = accepted(mint, "restored signatures", answer)?;
    if restored.outputs.len() == restored.signatures.len() {
        Ok(restored)
    } else {
        Err(WalletError::bad_answer(mint, "as many signatures as outputs", "another number"))
    }
}

/// The states of the credits that were asked for, each found under its own point.
pub(crate) fn states(mint: &str, asked: &[Y], answer: &HttpResponse) -> Result<Vec<StateOf>, WalletError> {
    let states: States = accepted(mint, "states of credits", answer)?;
    let states = states.states;
    if states.len() == asked.len() && asked.iter().all(|y| states.iter().any(|state| state.y == *y)) {
        Ok(states)
    } else {
        Err(WalletError::bad_answer(mint, "the state of each credit", "those of others"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16, body: &Value) -> HttpResponse {
        HttpResponse { status, headers: Vec::new(), body: body.to_string().into_bytes() }
    }

    #[test]
    fn refusals_are_told_from_failures() {
        let said = |status, body: Value| quote("m", &answer(status, &body));
        let refusal = Refusal { detail: "spent".into(), code: 11_001 };
        assert_eq!(said(400, json!({"detail": "sp\u{7}ent", "code": 11_001})).unwrap(), Err(refusal));
        assert_eq!(said(500, json!({"detail": "x"})).unwrap_err().code(), "wallet-bad-answer");
        assert_eq!(said(400, json!("x")).unwrap_err().code(), "wallet-bad-answer");
        assert_eq!(said(200, json!({})).unwrap_err().code(), "wallet-bad-answer");
        let quote =
            said(200, json!({"quote": "q", "unit": "uusd", "amount": 5, "request": "c", "more": [1]}));
        assert_eq!(quote.unwrap().unwrap().amount, 5);
    }

    #[test]
    fn keysets_of_later_versions_are_passed_over() {
        let body = json!({"keysets": [
            {"id": "009a1f293253e41e", "unit": "sat", "active": true},
            {"id": format!("02{}", "00".repeat(32)), "unit": "sat", "active": true},
            {"id": "009a1f293253e41f", "unit": "An Odd Unit", "active": true},
        ]});
        assert_eq!(keysets("m", &answer(200, &body)).unwrap().len(), 1);
    }
}
