//! Requests that are refused before anything is taken, each with its code.

use axum::http::Method;
use serde_json::{Value, json};

use super::shop::{CENT, KEY, Shop};

const PATH: &str = "/.well-known/farthing/v1/authorize";

#[tokio::test]
async fn only_the_sellers_software_asks() {
    let shop = Shop::new().await;
    let body = json!({ "feature": "export", "subject": "customer 7" });
    for fields in [&[][..], &[("authorization", "Bearer other")], &[("x-api-key", "other")]] {
        let reply = shop.send(Method::POST, PATH, fields, &body).await;
        assert_eq!(reply.refusal(), (401, "api-key-refused"));
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
        for path in ["", "/commit", "/release"] {
            let path = format!("/.well-known/farthing/v1/authorizations/{}{path}", "ab".repeat(32));
            let method = if path.ends_with('b') { Method::GET } else { Method::POST };
            assert_eq!(shop.send(method, &path, fields, &Value::Null).await.status, 401, "{path}");
        }
    }
    assert_eq!(shop.send(Method::POST, PATH, &[("x-api-key", KEY)], &body).await.status, 200);
}

#[tokio::test]
async fn what_cannot_be_read_is_told_without_repeating_it() {
    let shop = Shop::new().await;
    let token = shop.token(CENT).await;
    let paid = |extra: Value| {
        let mut body = json!({ "feature": "export", "credential": token });
        extra.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        body
    };
    for (body, status, code) in [
        (json!([]), 400, "request-malformed"),
        (json!({ "feature": "export", "maximum": "1" }), 400, "request-malformed"),
        (json!({ "feature": "export", "max": 5 }), 400, "request-malformed"),
        (json!({ "feature": "export", "max": "49999" }), 400, "request-malformed"),
        (json!({ "feature": "export", "max": "18446744073709551616" }), 400, "request-malformed"),
        (json!({ "feature": "export", "subject": "" }), 400, "request-malformed"),
        (json!({ "feature": "export", "subject": "a\nb" }), 400, "request-malformed"),
        (json!({ "feature": "taste" }), 400, "request-malformed"),
        (json!({ "feature": "nothing" }), 404, "feature-unknown"),
        (json!({ "feature": "export", "credential": "cash" }), 402, "credential-malformed"),
        (json!({ "feature": "export", "credential": "cashuBAAAA" }), 402, "token-form"),
        (paid(json!({})), 402, "insufficient"),
    ] {
        let reply = shop.authorize(&body).await;
        assert_eq!(reply.refusal(), (status, code), "{body}");
        assert!(!reply.body.to_string().contains(&token), "{body}");
    }
    let name = "x".repeat(256);
    for name in [name.as_str(), "a\"b", "\"\""] {
        assert_eq!(shop.authorize_as(name, &json!({ "feature": "export" })).await.status, 400, "{name}");
    }
    assert_eq!(shop.commit("abc", &Value::Null).await.refusal(), (400, "request-malformed"));
    let id = "ab".repeat(32);
    assert_eq!(shop.commit(&id, &json!({ "amount": "0" })).await.refusal(), (400, "request-malformed"));
    assert_eq!(shop.commit(&id, &Value::Null).await.refusal(), (404, "authorization-unknown"));
    assert_eq!(shop.release(&id).await.refusal(), (404, "authorization-unknown"));
    let token = shop.token(5 * CENT).await;
    let id = shop.authorize(&json!({ "feature": "export", "credential": token })).await.id();
    assert_eq!(
        shop.commit(&id, &json!({ "amount": "50001" })).await.refusal(),
        (422, "authorization-exceeded")
    );
    // A list was taken for an object that leaves the amount out, and all that was held was charged.
    for body in [json!([]), json!(["1"])] {
        assert_eq!(shop.commit(&id, &body).await.refusal(), (400, "request-malformed"));
    }
    assert_eq!(shop.release(&id).await.status, 200);
    assert_eq!(shop.earned(), 0);
    shop.audit();
}

/// A quoted name and a bare one are the same, as a structured field and what people write by hand.
#[tokio::test]
async fn a_name_may_stand_in_quotes() {
    let shop = Shop::new().await;
    let body = json!({ "feature": "export", "subject": "customer 7" });
    let id = shop.authorize_as("\"8e03978e\"", &body).await.id();
    assert_eq!(shop.authorize_as("8e03978e", &body).await.id(), id);
    assert_ne!(shop.authorize_as("8e03978f", &body).await.id(), id);
}
