//! Requests that are no requests: each is refused in JSON, and nothing changes.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use super::support::{Mint, Payer, swap, ys};

const POSTS: [&str; 10] = [
    "swap",
    "checkstate",
    "restore",
    "mint/bolt11",
    "mint/bolt11/batch",
    "mint/quote/bolt11",
    "mint/quote/bolt11/check",
    "melt/bolt11",
    "melt/quote/bolt11",
    "melt/quote/code",
];

#[tokio::test]
async fn every_endpoint_refuses_what_is_no_body() {
    let mint = Mint::new().await;
    let before = mint.snapshot(&[]).await;
    let deep = "[".repeat(100_000);
    let bodies: [&[u8]; 9] =
        [b"", b"{", b"null", b"[]", b"{}", b"{}{}", b"\xff\xfe", b"{\"a\":\"\0\"}", deep.as_bytes()];
    for path in POSTS {
        for body in bodies {
            let reply = mint.post_text(&format!("/v1/{path}"), body.to_vec()).await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(20)]);
            assert_eq!(reply.refusal(), (400, "malformed-body".to_owned(), 10_000), "{path} {shown}");
            assert!(reply.body.len() < 500, "the answer does not repeat the body");
        }
        let large = vec![b' '; 2 * 1024 * 1024 + 1];
        let reply = mint.post_text(&format!("/v1/{path}"), large).await;
        assert_eq!(reply.refusal(), (413, "body-too-large".to_owned(), 10_000), "{path}");
    }
    assert_eq!(mint.snapshot(&[]).await, before);
}

#[tokio::test]
async fn a_truncated_request_does_nothing() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[4, 2]).await;
    let before = mint.snapshot(&credits).await;
    let text = swap(&credits, &payer.outputs(&[2, 4])).to_string();
    for end in 0..text.len() {
        let reply = mint.post_text("/v1/swap", text[..end].to_owned()).await;
        assert_eq!(reply.refusal(), (400, "malformed-body".to_owned(), 10_000), "{}", &text[..end]);
    }
    assert_eq!(mint.snapshot(&credits).await, before);
    mint.post_text("/v1/swap", text).await.ok();
}

/// A body that breaks off on the wire.
#[tokio::test]
async fn a_broken_body_does_nothing() {
    let mint = Mint::new().await;
    let pieces: [Result<&str, std::io::Error>; 2] = [Ok("{"), Err(std::io::Error::other("gone"))];
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    let reply = mint.post_text("/v1/swap", body).await;
    assert_eq!(reply.refusal(), (400, "malformed-body".to_owned(), 10_000));
}

#[tokio::test]
async fn the_content_type_does_not_matter() {
    let mint = Mint::new().await;
    for kind in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/cbor")]
    {
        let mut request = Request::post("/v1/checkstate");
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let reply = mint.send(request.body(Body::from(r#"{"Ys":[]}"#)).unwrap()).await;
        assert_eq!(reply.ok(), json!({ "states": [] }), "{kind:?}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_named() {
    let mint = Mint::new().await;
    let cases = [
        ("GET", "/", 404, "unknown-endpoint"),
        ("GET", "/v1", 404, "unknown-endpoint"),
        ("GET", "/v2/info", 404, "unknown-endpoint"),
        ("GET", "/v1/keys/", 404, "unknown-endpoint"),
        ("POST", "/v1/swap/", 404, "unknown-endpoint"),
        ("GET", "/v1/swap", 405, "method-not-allowed"),
        ("POST", "/v1/info", 405, "method-not-allowed"),
        ("DELETE", "/v1/keys", 405, "method-not-allowed"),
        ("PUT", "/v1/mint/quote/code", 405, "method-not-allowed"),
        ("GET", "/v1/keys/%ff", 400, "malformed-path"),
        ("GET", "/v1/keys/%00", 400, "malformed-body"),
        ("GET", "/v1/keys/00ff", 400, "malformed-body"),
        ("GET", "/v1/ws", 400, "not-a-websocket"),
    ];
    for (method, path, status, reject) in cases {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let (got, code, _) = mint.send(request).await.refusal();
        assert_eq!((got, code.as_str()), (status, reject), "{method} {path}");
    }
    let unknown = mint.get("/v1/keys/00ffffffffffffff").await;
    assert_eq!(unknown.refusal(), (400, "keyset-unknown".to_owned(), 12_001));
}

/// Numbers and points at and beyond their edges, each in place of a sound one.
#[tokio::test]
async fn every_member_is_checked() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[4]).await;
    let body = swap(&credits, &payer.outputs(&[4]));
    let c = credits[0].c.to_string();
    let numbers = ["-1", "-0", "18446744073709551616", "1e3", "4.0", "\"4\"", "null", "true", "[4]", "NaN"];
    let off_curve = format!("\"02{}\"", "f".repeat(64));
    let infinity = format!("\"{}\"", "0".repeat(66));
    let uncompressed = format!("\"04{}{}\"", &c[2..], &c[2..]);
    let (short, long, spaced) = (format!("\"{}\"", &c[2..]), format!("\"{c}00\""), format!("\" {c}\""));
    let prefixed = format!("\"0x{c}\"");
    let points = [
        "\"\"",
        "\"zz\"",
        "null",
        "5",
        &off_curve,
        &infinity,
        &uncompressed,
        &short,
        &long,
        &spaced,
        &prefixed,
    ];
    let ids = ["\"\"", "\"00\"", "null", "0", "\"02ffffffffffffff\"", "\"0000000000000000000\""];
    let secrets = ["null", "5", "{}", "\"\\ud800\"", "\"\0\""];
    let cases =
        [("inputs", "amount", &numbers[..]), ("outputs", "amount", &numbers), ("inputs", "C", &points)]
            .into_iter()
            .chain([("outputs", "B_", &points[..]), ("inputs", "id", &ids), ("outputs", "id", &ids)])
            .chain([("inputs", "secret", &secrets[..])]);
    let before = mint.snapshot(&credits).await;
    for (list, member, values) in cases {
        for value in values {
            let mut marked = body.clone();
            marked[list][0][member] = json!("HERE");
            let text = marked.to_string().replace("\"HERE\"", value);
            let reply = mint.post_text("/v1/swap", text).await;
            assert_eq!(
                reply.refusal(),
                (400, "malformed-body".to_owned(), 10_000),
                "{list} {member} {value}"
            );
        }
        let mut without = body.clone();
        without[list][0].as_object_mut().unwrap().remove(member);
        let reply = mint.post("/v1/swap", &without).await;
        assert_eq!(reply.refusal(), (400, "malformed-body".to_owned(), 10_000), "no {member} in {list}");
    }
    let twice = body.to_string().replacen("\"inputs\":", "\"inputs\":[],\"inputs\":", 1);
    assert_eq!(mint.post_text("/v1/swap", twice).await.refusal().1, "malformed-body");
    assert_eq!(mint.snapshot(&credits).await, before);
}

#[tokio::test]
async fn lists_are_bounded() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[4]).await;
    let inputs: Vec<Value> = vec![json!(credits[0]); 1001];
    let outputs = payer.outputs(&[1; 1001]);
    let y = &ys(&credits)[0];
    let cases = [
        ("swap", json!({ "inputs": inputs, "outputs": outputs.messages }), "too-many", 11_014),
        ("swap", json!({ "inputs": credits, "outputs": outputs.messages }), "too-many", 11_015),
        ("swap", json!({ "inputs": [], "outputs": outputs.messages }), "nothing-given", 11_005),
        ("swap", json!({ "inputs": credits, "outputs": [] }), "nothing-given", 11_005),
        ("restore", json!({ "outputs": outputs.messages }), "too-many", 11_015),
        ("checkstate", json!({ "Ys": vec![y; 1001] }), "too-many", 10_000),
        ("checkstate", json!({ "Ys": ["02"] }), "malformed-body", 10_000),
        ("checkstate", json!({ "Ys": [format!("02{}", "f".repeat(64))] }), "malformed-body", 10_000),
    ];
    let before = mint.snapshot(&credits).await;
    for (path, body, reject, number) in cases {
        let reply = mint.post(&format!("/v1/{path}"), &body).await;
        assert_eq!(reply.refusal(), (400, reject.to_owned(), number), "{path}");
    }
    assert_eq!(mint.states(&vec![y.clone(); 1000]).await, vec!["UNSPENT"; 1000]);
    assert_eq!(mint.snapshot(&credits).await, before);
}
