//! What applications fetch: the key, and the list of what was taken back.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::Entitlements;

/// Where it is.
pub const ENTITLEMENTS_PATH: &str = "/.well-known/farthing/entitlements";

/// It is read from the books each time; a cache in between may keep it this long.
const CACHED: &str = "public, max-age=60";

/// The route.
pub fn routes(entitlements: Entitlements) -> Router {
    Router::new().route(ENTITLEMENTS_PATH, get(page)).with_state(entitlements)
}

async fn page(State(entitlements): State<Entitlements>) -> Response {
    match entitlements.public() {
        Ok(public) => ([(header::CACHE_CONTROL, CACHED)], Json(public)).into_response(),
        Err(error) => {
            // What is wrong inside is not for strangers.
            tracing::error!(%error, "entitlements that were taken back cannot be listed");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}
