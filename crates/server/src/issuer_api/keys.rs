//! `GET /v1/keys`, `/v1/keys/{id}` and `/v1/keysets` (NUT-01, NUT-02).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use farthing_ecash::{Keyset, KeysetId};
use farthing_engine::KeyringReject;
use serde_json::json;

use super::extract::Named;
use super::{Issuer, IssuerError, body};

pub(super) async fn active_keys(State(issuer): State<Arc<Issuer>>) -> Result<Response, IssuerError> {
    let keyring = issuer.keyring();
    let keysets: Vec<Keyset> = keyring.published().filter(|keyset| keyset.active).collect();
    body::write(&json!({ "keysets": keysets }))
}

pub(super) async fn keys(
    State(issuer): State<Arc<Issuer>>,
    Named(id): Named<String>,
) -> Result<Response, IssuerError> {
    let id: KeysetId = id.parse().map_err(|error: farthing_ecash::KeysetIdError| {
        IssuerError::malformed(format!("{error}; /v1/keysets lists them"))
    })?;
    let keyset = issuer
        .keyring()
        .published()
        .find(|keyset| keyset.id == id)
        .ok_or(KeyringReject::UnknownKeyset(id))?;
    body::write(&json!({ "keysets": [keyset] }))
}

pub(super) async fn keysets(State(issuer): State<Arc<Issuer>>) -> Result<Response, IssuerError> {
    let keysets: Vec<_> = issuer.keyring().published().map(|keyset| keyset.info()).collect();
    body::write(&json!({ "keysets": keysets }))
}
