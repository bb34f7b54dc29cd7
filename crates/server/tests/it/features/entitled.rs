//! Entitlements: bought with a use, shown instead of a payment, needed for what is not sold otherwise.

use farthing_entitlement::{Check, Feature, read_key};
use farthing_money::Span;
use farthing_server::entitlements::IssueRequest;
use serde_json::{Value, json};

use super::shop::{CENT, Shop};

#[tokio::test]
async fn who_has_paid_is_entitled_and_pays_no_more() {
    let shop = Shop::new().await;
    let token = shop.token(100 * CENT).await;
    let body = json!({ "feature": "month", "subject": "customer 7", "credential": token });
    let id = shop.authorize(&body).await.id();
    assert_eq!(shop.commit(&id, &Value::Null).await.refusal(), (422, "subject-differs"));
    let named = json!({ "subject": "customer 7" });
    let done = shop.commit(&id, &named).await;
    let text = done.ok()["entitlement"].as_str().unwrap();
    let key = read_key(&shop.entitlements().key_text()).unwrap();
    let held = Check::new(&key, shop.now()).subject("customer 7").entitlement(text).unwrap();
    assert_eq!(held.until, shop.now().after(Span::from_secs(30 * 24 * 3_600)));
    // The answer is the same after a kill, and nobody else gets one.
    let shop = shop.after_kill().await;
    assert_eq!(shop.commit(&id, &named).await.ok(), &done.body);
    assert_eq!(shop.commit(&id, &json!({ "subject": "another" })).await.refusal().1, "subject-differs");
    assert_eq!(shop.entitlements().list().unwrap().len(), 1);

    let shown = |subject: &str| json!({ "feature": "month", "subject": subject, "entitlement": text });
    let allowed = shop.authorize(&shown("customer 7")).await;
    assert_eq!(allowed.ok()["by"], "nothing");
    let used = shop.commit(&allowed.id(), &Value::Null).await;
    assert_eq!(
        (used.ok().get("entitlement"), used.body.get("charged")),
        (None, None),
        "nothing renews itself"
    );
    let reason = |reply: super::shop::Reply| reply.ok()["reason"].as_str().unwrap().to_owned();
    assert_eq!(reason(shop.authorize(&shown("another")).await), "entitlement-subject");
    let other = json!({ "feature": "seats", "subject": "customer 7", "entitlement": text });
    assert_eq!(reason(shop.authorize(&other).await), "entitlement-feature");
    shop.entitlements().revoke(text).await.unwrap();
    assert_eq!(reason(shop.authorize(&shown("customer 7")).await), "entitlement-revoked");
    shop.wait_secs(30 * 24 * 3_600 + 60);
    assert_eq!(reason(shop.authorize(&shown("customer 7")).await), "entitlement-ended");
    assert_eq!(shop.earned(), 100 * CENT);
}

#[tokio::test]
async fn what_needs_an_entitlement_is_denied_without_one() {
    let shop = Shop::new().await;
    let denied = shop.authorize(&json!({ "feature": "seats" })).await;
    assert_eq!(
        (&denied.ok()["allowed"], &denied.body["reason"]),
        (&json!(false), &json!("entitlement-missing"))
    );
    let request = IssueRequest {
        features: vec![Feature { name: "seats".to_owned(), limit: Some(5) }],
        from: None,
        until: shop.now().after(Span::from_secs(60)),
        subject: None,
        hashed: false,
    };
    let issued = shop.entitlements().issue(&request).await.unwrap();
    let body = json!({ "feature": "seats", "entitlement": issued.text });
    let id = shop.authorize_as("n", &body).await.id();
    shop.wait_secs(200);
    assert_eq!(shop.authorize_as("n", &body).await.id(), id, "what was answered is answered alike");
    assert_eq!(shop.authorize(&body).await.ok()["reason"], "entitlement-ended");
    shop.commit(&id, &Value::Null).await.ok();
}
