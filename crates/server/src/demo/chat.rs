//! A chat that answers word by word, as models do: a stream of events, each of which says how many words it has been so far. There is no
//! model: it knows one story.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

/// What it tells.
const STORY: &str = "A wren is a small bird with a large voice. For a hundred years it stood on the smallest coin of its country, the \
farthing, a quarter of a penny. When the coin went, the bird stayed, and sang on for nothing.";
/// How long it takes to a word.
const PACE: Duration = Duration::from_millis(30);

/// Tells the story as a stream of events.
pub(super) async fn chat() -> Response {
    let words: Vec<&str> = STORY.split(' ').collect();
    let count = words.len();
    let events = words.into_iter().enumerate().map(|(at, word)| {
        let chunk = json!({
            "object": "chat.completion.chunk",
            "choices": [{ "index": 0, "delta": { "content": format!("{word} ") } }],
            "usage": { "total_tokens": at + 1 },
        });
        format!("data: {chunk}\n\n")
    });
    let events: Vec<String> = events.chain(["data: [DONE]\n\n".to_owned()]).collect();
    let begun = Instant::now();
    let paced = stream::unfold(events.into_iter().enumerate(), move |mut events| async move {
        let (at, event) = events.next()?;
        let steps = u32::try_from(at.min(count)).unwrap_or(u32::MAX);
        sleep_until(begun + PACE.saturating_mul(steps)).await;
        Some((Ok::<_, Infallible>(Bytes::from(event)), events))
    });
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))];
    (kind, Body::from_stream(paced)).into_response()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn it_counts_its_words_and_ends() {
        let answer = chat().await;
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/event-stream");
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(text.to_vec()).unwrap();
        let count = STORY.split(' ').count();
        assert!(
            text.contains(&format!("\"total_tokens\":{count}}}")) && text.ends_with("data: [DONE]\n\n"),
            "{text}"
        );
        assert_eq!(text.matches("data: ").count(), count + 1);
    }
}
