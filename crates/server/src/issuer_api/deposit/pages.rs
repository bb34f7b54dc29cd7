//! Pages of other origins pay a quote as they pay at the gate (the Fetch standard's CORS): a browser asks first whether it may
//! send a payment, and reads what is answered only if it is told so. Where a quote is paid is no secret of its origin.

use axum::extract::Request;
use axum::http::header::ACCESS_CONTROL_REQUEST_METHOD;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use farthing_gate::cors;

/// Answers the browser's question itself, and lets a page read every other answer, also refusals.
pub(in crate::issuer_api) async fn open(request: Request, next: Next) -> Response {
    let asks = request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() == Method::OPTIONS && asks {
        let mut leave = StatusCode::NO_CONTENT.into_response();
        cors::grant(leave.headers_mut(), "GET, POST");
        return leave;
    }
    let asked = request.headers().clone();
    let mut answer = next.run(request).await;
    cors::open(answer.headers_mut(), &asked);
    answer
}
