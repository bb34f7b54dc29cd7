//! The JSON of an issuer's sessions (docs/sessions.md).

use farthing_channel::{ChainLinks, ChainSecret};
use farthing_ecash::{BlindSignature, BlindedMessage, Proof};
use farthing_money::Unit;
use farthing_wire::json;
use serde::{Deserialize, Serialize};

use super::row::Shown;
use crate::api::{Refusal, read};
use crate::error::WalletError;
use crate::http::{HttpRequest, HttpResponse};

/// A refusal with our own stable code beside that of the mint API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionRefusal {
    pub(crate) reject: String,
    pub(crate) refusal: Refusal,
}

#[derive(Serialize)]
struct ChainBody {
    salt: String,
    anchor: String,
    lock: String,
    step: u64,
    steps: u32,
}

#[derive(Serialize)]
struct PutBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    inputs: &'a [Proof],
    chain: ChainBody,
}

#[derive(Serialize)]
struct ShownBody {
    generation: u32,
    step: u32,
    link: String,
}

#[derive(Serialize)]
struct CloseBody<'a> {
    key: String,
    outputs: &'a [BlindedMessage],
}

/// Whether an issuer has sessions, and what they may be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Offered {
    /// How many steps a chain has at the most.
    pub(crate) steps: u32,
}

#[derive(Deserialize)]
struct InfoBody {
    #[serde(default)]
    sessions: Option<Offered>,
}

/// A session as an issuer tells it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Told {
    pub(crate) session: String,
    pub(crate) unit: Unit,
    pub(crate) state: SessionState,
    pub(crate) generation: u32,
    pub(crate) step: u64,
    pub(crate) steps: u32,
    pub(crate) high: u32,
    pub(crate) left: u32,
    /// What would come back now.
    #[serde(deserialize_with = "amount")]
    pub(crate) change: u64,
    pub(crate) ends_at: u64,
    #[serde(default)]
    pub(crate) signatures: Vec<BlindSignature>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum SessionState {
    Open,
    Closed,
}

fn amount<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let amount = farthing_money::Amount::deserialize(deserializer)?;
    amount.to_u64().ok_or_else(|| serde::de::Error::custom("expected an amount of 64 bits"))
}

fn post<T: Serialize>(url: String, body: &T) -> Result<HttpRequest, WalletError> {
    let body =
        serde_json::to_vec(body).map_err(|_| WalletError::Misuse("a body that can be written as JSON"))?;
    Ok(HttpRequest::post(url, body))
}

pub(crate) fn info_request(mint: &str) -> HttpRequest {
    HttpRequest::get(format!("{mint}/v1/info"))
}

/// What an issuer says of its sessions; none where it has none.
pub(crate) fn offered(mint: &str, answer: &HttpResponse) -> Result<Option<Offered>, WalletError> {
    let info: InfoBody = read(mint, "what a mint offers", answer)?.map_err(|refusal| refusal.at(mint))?;
    Ok(info.sessions)
}

/// Puts credits in. With a key they go into a session that is there.
pub(crate) fn put_request(
    mint: &str,
    session: Option<(&str, String)>,
    inputs: &[Proof],
    (secret, links, step): (&ChainSecret, &ChainLinks, u64),
) -> Result<HttpRequest, WalletError> {
    let chain = ChainBody {
        salt: hex::encode(secret.salt().as_bytes()),
        anchor: hex::encode(links.anchor().as_bytes()),
        lock: hex::encode(secret.lock().as_bytes()),
        step,
        steps: links.steps(),
    };
    match session {
        None => post(format!("{mint}/v1/sessions"), &PutBody { key: None, inputs, chain }),
        Some((id, key)) => {
            post(format!("{mint}/v1/sessions/{id}/top-up"), &PutBody { key: Some(key), inputs, chain })
        }
    }
}

pub(crate) fn look_request(mint: &str, session: &str) -> HttpRequest {
    HttpRequest::get(format!("{mint}/v1/sessions/{session}"))
}

/// The same question; what is known to be charged goes with it.
pub(crate) fn own_up_request(mint: &str, session: &str, shown: &Shown) -> Result<HttpRequest, WalletError> {
    let Shown { generation, step, link } = *shown;
    let body = ShownBody { generation, step, link: hex::encode(link.as_bytes()) };
    post(format!("{mint}/v1/sessions/{session}"), &body)
}

pub(crate) fn close_request(
    mint: &str,
    session: &str,
    key: String,
    outputs: &[BlindedMessage],
) -> Result<HttpRequest, WalletError> {
    post(format!("{mint}/v1/sessions/{session}/close"), &CloseBody { key, outputs })
}

/// What an issuer tells of the session that was asked for.
pub(crate) fn told(
    mint: &str,
    session: &str,
    answer: &HttpResponse,
) -> Result<Result<Told, SessionRefusal>, WalletError> {
    const EXPECTED: &str = "a session";
    match read::<Told>(mint, EXPECTED, answer)? {
        Ok(told) if told.session == session => Ok(Ok(told)),
        Ok(_) => Err(WalletError::bad_answer(mint, EXPECTED, "another one")),
        Err(refusal) => Ok(Err(SessionRefusal { reject: reject(answer), refusal })),
    }
}

fn reject(answer: &HttpResponse) -> String {
    let body = json::read::<serde_json::Value>(&answer.body, "a refusal").unwrap_or_default();
    let text = ["reject", "code"].iter().find_map(|name| body.get(*name)?.as_str());
    text.unwrap_or_default().chars().filter(char::is_ascii_graphic).take(64).collect()
}
