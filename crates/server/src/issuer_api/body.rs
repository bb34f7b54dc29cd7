//! Bodies in and out, by NUT-03 to NUT-09, NUT-20 and NUT-29.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use farthing_ecash::{BlindSignature, BlindedMessage, Proof};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::IssuerError;

/// Reads a JSON body; what is wrong is said with line and column.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, IssuerError> {
    serde_json::from_slice(body)
        .map_err(|error| IssuerError::malformed(format!("the body cannot be read: {error}")))
}

/// Writes a JSON answer.
pub(super) fn write(body: &impl Serialize) -> Result<Response, IssuerError> {
    let text = serde_json::to_vec(body).map_err(|_| IssuerError::internal("the answer cannot be written"))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

#[derive(Deserialize)]
pub(super) struct SwapRequest {
    pub(super) inputs: Vec<Proof>,
    pub(super) outputs: Vec<BlindedMessage>,
}

#[derive(Serialize)]
pub(super) struct Signatures {
    pub(super) signatures: Vec<BlindSignature>,
}

#[derive(Deserialize)]
pub(super) struct MintQuoteRequest {
    pub(super) unit: String,
    #[serde(default)]
    pub(super) amount: Option<u64>,
    #[serde(default)]
    pub(super) pubkey: Option<String>,
    #[serde(default)]
    pub(super) code: Option<String>,
    #[serde(default)]
    pub(super) description: Option<String>,
    /// Method `evm`: whether the quote shall take a plain transfer.
    #[serde(default)]
    pub(super) transfer: bool,
}

/// Where a mint quote takes a plain transfer.
#[derive(Serialize)]
pub(super) struct Transfer {
    pub(super) address: String,
    pub(super) ways: Vec<TransferWay>,
}

/// What may be sent there.
#[derive(Serialize)]
pub(super) struct TransferWay {
    pub(super) chain_id: u64,
    pub(super) token: String,
    pub(super) symbol: String,
    pub(super) units: String,
    pub(super) uri: String,
}

#[derive(Serialize)]
pub(super) struct MintQuote {
    pub(super) quote: String,
    pub(super) request: String,
    pub(super) unit: String,
    pub(super) method: String,
    pub(super) amount: u64,
    pub(super) amount_paid: u64,
    pub(super) amount_issued: u64,
    pub(super) updated_at: u64,
    pub(super) state: &'static str,
    pub(super) expiry: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pubkey: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) transfer: Option<Transfer>,
}

#[derive(Deserialize)]
pub(super) struct QuoteCheckRequest {
    pub(super) quotes: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct MintRequest {
    pub(super) quote: String,
    pub(super) outputs: Vec<BlindedMessage>,
    #[serde(default)]
    pub(super) signature: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct BatchMintRequest {
    pub(super) quotes: Vec<String>,
    #[serde(default)]
    pub(super) quote_amounts: Option<Vec<u64>>,
    pub(super) outputs: Vec<BlindedMessage>,
    #[serde(default)]
    pub(super) signatures: Option<Vec<Option<String>>>,
}

#[derive(Deserialize)]
pub(super) struct MeltQuoteRequest {
    pub(super) request: String,
    pub(super) unit: String,
    #[serde(default)]
    pub(super) amount: Option<u64>,
    #[serde(default)]
    pub(super) options: Option<MeltOptions>,
}

/// Some wallets put the amount of a request that has none here.
#[derive(Deserialize)]
pub(super) struct MeltOptions {
    #[serde(default)]
    pub(super) amount: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct MeltQuote {
    pub(super) quote: String,
    pub(super) request: String,
    pub(super) amount: u64,
    pub(super) unit: String,
    pub(super) method: String,
    pub(super) fee_reserve: u64,
    pub(super) state: &'static str,
    pub(super) paid: bool,
    pub(super) expiry: u64,
    pub(super) payment_preimage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) change: Option<Vec<BlindSignature>>,
}

#[derive(Deserialize)]
pub(super) struct MeltRequest {
    pub(super) quote: String,
    pub(super) inputs: Vec<Proof>,
    #[serde(default)]
    pub(super) outputs: Option<Vec<BlindedMessage>>,
    #[serde(default)]
    pub(super) prefer_async: bool,
}

#[derive(Deserialize)]
pub(super) struct CheckRequest {
    #[serde(rename = "Ys")]
    pub(super) ys: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct ProofState {
    #[serde(rename = "Y")]
    pub(super) y: String,
    pub(super) state: &'static str,
    pub(super) witness: Option<String>,
}

#[derive(Serialize)]
pub(super) struct States {
    pub(super) states: Vec<ProofState>,
}

#[derive(Deserialize)]
pub(super) struct RestoreRequest {
    pub(super) outputs: Vec<BlindedMessage>,
}

#[derive(Serialize)]
pub(super) struct Restored {
    pub(super) outputs: Vec<BlindedMessage>,
    pub(super) signatures: Vec<BlindSignature>,
}
