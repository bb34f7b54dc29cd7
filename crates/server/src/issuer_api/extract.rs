//! What axum takes from a request, refused in our own words: every answer of the issuer is JSON.

use std::time::Duration;

use axum::extract::rejection::BytesRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::{IssuerError, MAX_BODY_BYTES};

/// How long a body may take: the largest at half a megabit each second.
const BODY_WAIT: Duration = Duration::from_secs(30);

/// The body, within the limit.
pub(super) struct Content(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Content {
    type Rejection = IssuerError;

    async fn from_request(request: Request, state: &S) -> Result<Self, IssuerError> {
        let bytes = within(BODY_WAIT, Bytes::from_request(request, state)).await?;
        bytes.map(Self).map_err(|rejection: BytesRejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => IssuerError::too_large(MAX_BODY_BYTES),
            _ => IssuerError::malformed("the body broke off; send it again"),
        })
    }
}

/// Waits for a body, but not for ever.
async fn within<T>(wait: Duration, body: impl Future<Output = T>) -> Result<T, IssuerError> {
    tokio::time::timeout(wait, body).await.map_err(|_| IssuerError::slow(wait.as_secs()))
}

/// What the path names.
pub(super) struct Named<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = IssuerError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, IssuerError> {
        let named = Path::<T>::from_request_parts(parts, state).await;
        named.map(|Path(named)| Self(named)).map_err(|_| IssuerError::malformed_path())
    }
}

/// A request to speak over a WebSocket.
pub(super) struct Upgrade(pub(super) WebSocketUpgrade);

impl<S: Send + Sync> FromRequestParts<S> for Upgrade {
    type Rejection = IssuerError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, IssuerError> {
        let upgrade = WebSocketUpgrade::from_request_parts(parts, state).await;
        upgrade.map(Self).map_err(|rejection| IssuerError::not_a_socket(&rejection.body_text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body that never came kept its connection for ever.
    #[tokio::test]
    async fn a_body_must_come() {
        let waited = within(Duration::from_millis(1), std::future::pending::<()>()).await;
        assert_eq!(waited, Err(IssuerError::slow(0)));
        assert_eq!(within(BODY_WAIT, std::future::ready(1)).await, Ok(1));
    }
}
