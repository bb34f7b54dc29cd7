//! Requests and answers of `/v1/authorize`, in JSON. Amounts are whole numbers of minor units, as text.

use axum::body::Body;
use axum::http::{HeaderMap, Response, header};
use bytes::Bytes;
use farthing_engine::{UseBy, UseId, UseState};
use farthing_gate::Feature;
use farthing_gate::flow::{UseEnded, UseTold};
use farthing_money::{Amount, Money, Timestamp};
use farthing_wire::json::{JsonError, read_object};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::refusal::{self, Refusal};

/// Bytes of a subject at the most, as in an entitlement.
const SUBJECT_BYTES_MAX: usize = 256;
/// Bytes of an `Idempotency-Key` at the most.
const KEY_BYTES_MAX: usize = 255;
/// As the draft of the IETF names it.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// May somebody use a feature?
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthorizeRequest {
    /// Which.
    pub(super) feature: String,
    /// Whom it is for, as the seller names them.
    #[serde(default)]
    pub(super) subject: Option<String>,
    /// The most that may be charged.
    #[serde(default)]
    pub(super) max: Option<Amount>,
    /// What pays.
    #[serde(default)]
    pub(super) credential: Option<String>,
    /// What entitles.
    #[serde(default)]
    pub(super) entitlement: Option<String>,
}

/// It was used.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommitRequest {
    /// What it cost; otherwise all that may be charged.
    #[serde(default)]
    pub(super) amount: Option<Amount>,
    /// Whom it was for, where the commit brings an entitlement for them.
    #[serde(default)]
    pub(super) subject: Option<String>,
}

impl AuthorizeRequest {
    /// Whom it is for, if that may stand in an entitlement.
    pub(super) fn subject(&self) -> Result<Option<&str>, Refusal> {
        let Some(subject) = self.subject.as_deref() else { return Ok(None) };
        if (1..=SUBJECT_BYTES_MAX).contains(&subject.len()) && !subject.contains(char::is_control) {
            return Ok(Some(subject));
        }
        Err(refusal::malformed(
            format!("a subject of 1 to {SUBJECT_BYTES_MAX} bytes on one line"),
            format!("one of {} bytes", subject.len()),
        ))
    }

    /// What tells this request from another one with the same `Idempotency-Key`.
    pub(super) fn print(&self) -> Result<Vec<u8>, Refusal> {
        serde_json::to_vec(self).map_err(|error| refusal::broken(&error))
    }

    /// The most that may be charged, if it is said: what a use costs at the least.
    pub(super) fn most(&self, feature: &Feature) -> Result<Option<Amount>, Refusal> {
        let (Some(most), Some(price)) = (self.max, feature.amount()) else { return Ok(None) };
        if most < price.amount() || most.to_u64().is_none() {
            let at_least = price.amount();
            return Err(refusal::malformed(
                format!("a max of {at_least} to 2^64 - 1, since a use costs {price}"),
                most.to_string(),
            ));
        }
        Ok(Some(most))
    }
}

impl CommitRequest {
    pub(super) fn judge(&self) -> Result<(), Refusal> {
        if self.amount == Some(Amount::ZERO) {
            let expected = "an amount above nothing; release what was not used";
            return Err(refusal::malformed(expected.to_owned(), "0".to_owned()));
        }
        Ok(())
    }
}

/// Reads a request; what is wrong is said with line and column.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    const EXPECTED: &str = "an object such as {\"feature\":\"export\",\"subject\":\"customer 7\",\"max\":\"50000\"}, or for a commit {\"amount\":\"30000\"}";
    read_object(body, EXPECTED).map_err(|error| {
        // What serde repeats of the body could be a credential.
        let got = match error {
            JsonError::Shape { line: 0, .. } => "no object".to_owned(),
            JsonError::Shape { line, column, .. } => format!("something else at line {line} column {column}"),
            JsonError::Number(_) => "a number out of bounds".to_owned(),
        };
        refusal::malformed(EXPECTED.to_owned(), got)
    })
}

/// An authorization's id.
pub(super) fn id(text: &str) -> Result<UseId, Refusal> {
    text.parse().map_err(|_| {
        refusal::malformed(
            "an authorization of 64 hexadecimal digits".to_owned(),
            format!("{} characters", text.chars().count()),
        )
    })
}

/// The name that the software gave to its request, with or without the quotes of a structured field.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let name = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let good = (1..=KEY_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| (byte.is_ascii_graphic() || byte == b' ') && !matches!(byte, b'"' | b'\\'));
    if good && values.next().is_none() {
        return Ok(Some(name.to_owned()));
    }
    Err(refusal::malformed(
        format!("one Idempotency-Key of 1 to {KEY_BYTES_MAX} visible characters, such as a UUID"),
        "another, or several".to_owned(),
    ))
}

fn priced(money: Money) -> Value {
    let asset = money.asset();
    json!({ "amount": money.amount(), "unit": asset.unit(), "asset": asset.code(), "scale": asset.scale() })
}

/// A use as it stands.
pub(super) fn told(told: &UseTold, now: Timestamp) -> Response<Body> {
    let row = &told.row;
    let state = match row.state {
        UseState::Open if row.has_lapsed(now) => "lapsed",
        UseState::Open => "open",
        UseState::Committed => "committed",
        UseState::Released => "released",
    };
    let mut answer = json!({
        "authorization": told.id,
        "feature": row.feature,
        "allowed": matches!(state, "open" | "committed"),
        "state": state,
        "expires": row.lapses.to_string(),
    });
    let by = match row.by {
        UseBy::Nothing => "nothing",
        UseBy::Quota { left, .. } => {
            put(&mut answer, "left", json!(left));
            "quota"
        }
        UseBy::Payment { .. } => "payment",
    };
    put(&mut answer, "by", json!(by));
    if let Some(held) = told.held() {
        put(&mut answer, "held", priced(held));
    }
    written(&answer)
}

/// Nobody may use it, whatever is paid.
pub(super) fn denied(feature: &str, code: &str, detail: &str, resets: Option<Timestamp>) -> Response<Body> {
    let mut answer = json!({ "feature": feature, "allowed": false, "reason": code, "detail": detail });
    if let Some(resets) = resets {
        put(&mut answer, "resets", json!(resets.to_string()));
    }
    written(&answer)
}

/// A use that was committed.
pub(super) fn ended(ended: &UseEnded, entitlement: Option<&str>) -> Response<Body> {
    let mut answer = json!({
        "authorization": ended.told.id,
        "feature": ended.told.row.feature,
        "state": "committed",
    });
    let told = [
        ("charged", ended.charged.map(priced)),
        ("change", ended.change.as_ref().map(|token| json!(token))),
        ("receipt", ended.receipt.as_ref().map(|receipt| json!(receipt))),
        ("entitlement", entitlement.map(|text| json!(text))),
    ];
    for (name, value) in told {
        if let Some(value) = value {
            put(&mut answer, name, value);
        }
    }
    written(&answer)
}

fn put(answer: &mut Value, name: &str, value: Value) {
    if let Some(answer) = answer.as_object_mut() {
        answer.insert(name.to_owned(), value);
    }
}

/// Answers are for one asker, and some of them are money.
fn written(answer: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.to_string()));
    let fields = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    for (name, value) in fields {
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    response
}
