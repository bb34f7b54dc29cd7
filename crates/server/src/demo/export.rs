//! The demo's own software: an export that it sells by the use. It asks the gate's desk as any seller's software would, hands the
//! offers on to its customer, and commits what was used.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::State;
use axum::http::request::Builder;
use axum::http::response::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::features::FEATURES_PATH;

/// What it is called in the configuration.
pub(super) const FEATURE: &str = "export";

/// What the export is.
const EXPORT: &str = "bird,grams\nwren,9\ngoldcrest,6\nfirecrest,6\n";

const ANSWER_BYTES_MAX: usize = 256 * 1024;
const X_CASHU: &str = "x-cashu";
const RECEIPT: &str = "farthing-receipt";
const TOLD: [HeaderName; 2] = [header::WWW_AUTHENTICATE, HeaderName::from_static(X_CASHU)];

/// The software.
pub(super) struct Software {
    /// Where the gate is, once it answers.
    gate: OnceLock<String>,
    key: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Software {
    /// With its API key.
    pub(super) fn new(key: String) -> Arc<Self> {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Arc::new(Self { gate: OnceLock::new(), key, client })
    }

    /// The gate answers there.
    pub(super) fn found(&self, gate: &str) {
        // The first one is the one that serves.
        let _ = self.gate.set(gate.to_owned());
    }

    async fn ask(&self, path: &str, asked: &Value, name: Option<&str>) -> Option<(Parts, Value)> {
        let url = format!("{}{FEATURES_PATH}/v1/{path}", self.gate.get()?);
        let request: Builder = Request::builder().method(Method::POST).uri(url);
        let request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.key));
        let request = match name {
            Some(name) => request.header("idempotency-key", name),
            None => request,
        };
        let request = request.body(Full::from(asked.to_string())).ok()?;
        let (parts, body) = self.client.request(request).await.ok()?.into_parts();
        let bytes = Limited::new(body, ANSWER_BYTES_MAX).collect().await.ok()?.to_bytes();
        Some((parts, serde_json::from_slice(&bytes).ok()?))
    }
}

/// What a customer pays with.
fn credential(headers: &HeaderMap) -> Option<&str> {
    let of = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    of(X_CASHU).or_else(|| of(header::AUTHORIZATION.as_str()))
}

/// Sells one export.
pub(super) async fn export(State(software): State<Arc<Software>>, headers: HeaderMap) -> Response {
    sell(&software, &headers).await.unwrap_or_else(|| StatusCode::SERVICE_UNAVAILABLE.into_response())
}

async fn sell(software: &Software, headers: &HeaderMap) -> Option<Response> {
    let credential = credential(headers);
    // Whoever sends the same credential again, since the answer was lost, asks for the same use.
    let name = credential.map(|credential| hex::encode(Sha256::digest(credential)));
    let asked = json!({ "feature": FEATURE, "credential": credential });
    let (parts, told) = software.ask("authorize", &asked, name.as_deref()).await?;
    if told.get("allowed") != Some(&Value::Bool(true)) {
        let mut refused = Response::new(Body::from(told.to_string()));
        *refused.status_mut() = parts.status;
        for name in TOLD {
            for value in parts.headers.get_all(&name) {
                refused.headers_mut().append(name.clone(), value.clone());
            }
        }
        let kind = HeaderValue::from_static("application/problem+json");
        refused.headers_mut().insert(header::CONTENT_TYPE, kind);
        return Some(refused);
    }
    let authorization = told.get("authorization").and_then(Value::as_str)?;
    let path = format!("authorizations/{authorization}/commit");
    let (_, done) = software.ask(&path, &json!({}), None).await?;
    let mut sold = ([(header::CONTENT_TYPE, "text/csv")], EXPORT).into_response();
    for (field, member) in [(X_CASHU, "change"), (RECEIPT, "receipt")] {
        let text = done.get(member).and_then(Value::as_str);
        if let Some(value) = text.and_then(|text| HeaderValue::from_str(text).ok()) {
            sold.headers_mut().insert(HeaderName::from_static(field), value);
        }
    }
    Some(sold)
}
