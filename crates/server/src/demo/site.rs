//! The site behind the demo's gate: files with ranges, and an API of two calls. It knows nothing of money, but for
//! its export.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use farthing_wire::PASSES_PATH;
use serde_json::json;
use tokio::net::TcpListener;
use tower_http::services::ServeDir;

use super::export::{Software, export};
use super::{chat, film};

/// Answers for ever.
pub(super) async fn serve(listener: TcpListener, files: PathBuf, software: Arc<Software>) {
    let routes = router(files).route("/export", get(export).with_state(software));
    if let Err(error) = axum::serve(listener, routes).await {
        tracing::error!(%error, "the demo's site has closed");
    }
}

fn router(files: PathBuf) -> Router {
    Router::new()
        .route("/api/wren", get(wren))
        .route("/api/echo", post(echo))
        .route("/api/chat", get(chat::chat).post(chat::chat))
        .route("/film/{name}", get(film))
        .route("/pass/{name}", get(pass))
        .fallback_service(ServeDir::new(files))
}

async fn wren(RawQuery(query): RawQuery) -> Response {
    let answer = json!({ "bird": "wren", "grams": 9, "coins": ["farthing"], "query": query });
    // With a line's end, so that a terminal shows whatever comes next on a line of its own.
    ([(header::CONTENT_TYPE, "application/json")], format!("{answer}\n")).into_response()
}

/// The playlist of the film, or one of its segments.
async fn film(Path(name): Path<String>) -> Response {
    let number = name.strip_suffix(".ts").and_then(|number| number.parse().ok());
    match number.filter(|number| *number < film::SEGMENTS) {
        Some(number) => ([(header::CONTENT_TYPE, "video/mp2t")], film::segment(number)).into_response(),
        None if name == "index.m3u8" => {
            ([(header::CONTENT_TYPE, "application/vnd.apple.mpegurl")], film::playlist()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A plain place for what the gate sells; a browser comes back to the front page with it.
async fn pass(Path(name): Path<String>) -> Response {
    match name.as_str() {
        "day" => Redirect::to(&format!("{PASSES_PATH}day?then=/")).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Sends back what came, as it comes.
async fn echo(headers: HeaderMap, body: Body) -> Response {
    let mut answer = Response::new(body);
    if let Some(kind) = headers.get(header::CONTENT_TYPE) {
        answer.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    answer
}

#[cfg(test)]
mod tests {
    use axum::http::{Method, Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn ask(request: http::request::Builder, body: &'static str) -> (StatusCode, HeaderMap, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.txt"), "0123456789").unwrap();
        let request = request.body(Body::from(body)).unwrap();
        let answer = router(folder.path().to_owned()).oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        (parts.status, parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
    }

    #[tokio::test]
    async fn files_have_ranges_and_heads() {
        let (status, headers, body) = ask(Request::get("/a.txt").header("range", "bytes=2-4"), "").await;
        assert_eq!((status, body.as_slice()), (StatusCode::PARTIAL_CONTENT, b"234".as_slice()));
        assert_eq!(headers[header::CONTENT_RANGE], "bytes 2-4/10");
        let (status, headers, body) = ask(Request::builder().method(Method::HEAD).uri("/a.txt"), "").await;
        assert_eq!((status, body.len()), (StatusCode::OK, 0));
        assert_eq!(headers[header::CONTENT_LENGTH], "10");
    }

    #[tokio::test]
    async fn the_api_answers() {
        let (_, _, body) = ask(Request::get("/api/wren?a=1"), "").await;
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&answer["bird"], &answer["query"]), (&json!("wren"), &json!("a=1")));
        let (_, headers, body) =
            ask(Request::post("/api/echo").header("content-type", "text/plain"), "hello").await;
        assert_eq!(
            (body.as_slice(), &headers[header::CONTENT_TYPE]),
            (b"hello".as_slice(), &"text/plain".parse().unwrap())
        );
    }
}
