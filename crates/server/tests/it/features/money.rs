//! Uses that cost something, or are free a few times: charged once, counted once, given back whole.

use axum::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::shop::{CENT, Shop};

#[tokio::test]
async fn a_use_is_held_then_charged_what_it_cost_and_the_rest_comes_back() {
    let shop = Shop::new().await;
    let asked = shop.authorize(&json!({ "feature": "export" })).await;
    assert_eq!(asked.refusal(), (402, "payment-required"));
    assert_eq!((&asked.body["allowed"], &asked.body["price"]["amount"]), (&json!(false), &json!("50000")));
    let offers = asked.body["offers"].as_array().unwrap();
    assert!(offers.iter().any(|offer| offer["header"] == "X-Cashu"), "{offers:?}");
    assert!(asked.headers["www-authenticate"].to_str().unwrap().starts_with("Payment "));

    let token = shop.token(20 * CENT).await;
    let body = json!({ "feature": "export", "subject": "customer 7", "max": "120000", "credential": token });
    let allowed = shop.authorize(&body).await;
    let id = allowed.id();
    assert_eq!((&allowed.body["by"], &allowed.body["held"]["amount"]), (&json!("payment"), &json!("120000")));
    assert_eq!(shop.worth(&token).await, (20 * CENT, "PENDING".to_owned()));
    let again = shop.authorize(&body).await;
    assert_eq!(again.refusal(), (409, "payment-under-way"), "without a name it is another request");

    let done = shop.commit(&id, &json!({ "amount": "70000" })).await;
    assert_eq!(done.ok()["charged"]["amount"], "70000");
    let change = done.body["change"].as_str().unwrap();
    assert_eq!(shop.worth(change).await, (13 * CENT, "UNSPENT".to_owned()));
    assert_eq!(shop.worth(&token).await.1, "SPENT");
    let receipt = farthing_wire::Receipt::verify(
        done.body["receipt"].as_str().unwrap(),
        Some(&shop.installation.receipts.verifying_key()),
    );
    assert_eq!(receipt.unwrap().resource, "feature:export");
    // Said again, also by whoever has lost the answer and does not say how much, it is the same.
    for body in [json!({ "amount": "70000" }), Value::Null] {
        assert_eq!(shop.commit(&id, &body).await.ok(), &done.body);
    }
    assert_eq!(
        shop.commit(&id, &json!({ "amount": "60000" })).await.refusal(),
        (409, "authorization-committed")
    );
    assert_eq!(shop.release(&id).await.refusal(), (409, "authorization-committed"));
    assert_eq!(shop.authorize(&body).await.refusal().1, "payment-elsewhere");
    assert_eq!(shop.look(&id).await.ok()["state"], "committed");
    assert_eq!(shop.earned(), 7 * CENT);
    shop.audit();
}

#[tokio::test]
async fn what_was_not_used_goes_back_and_pays_for_something_else() {
    let shop = Shop::new().await;
    let token = shop.token(5 * CENT).await;
    let body = json!({ "feature": "export", "credential": token });
    let id = shop.authorize_as("one", &body).await.id();
    // The same credits buy nothing else meanwhile.
    let page = |token: String| {
        let shop = &shop;
        async move { shop.send(Method::GET, "/page", &[("x-cashu", &token)], &Value::Null).await }
    };
    assert_eq!(page(token.clone()).await.refusal().1, "payment-under-way");
    assert_eq!(shop.release(&id).await.ok()["state"], "released");
    assert_eq!(shop.release(&id).await.ok()["allowed"], false);
    assert_eq!(shop.commit(&id, &Value::Null).await.refusal(), (410, "authorization-over"));
    let late = shop.authorize_as("one", &body).await;
    assert_eq!((&late.ok()["state"], &late.body["allowed"]), (&json!("released"), &json!(false)));
    assert_eq!(shop.worth(&token).await, (5 * CENT, "UNSPENT".to_owned()));
    assert_eq!(page(token).await.status, 200);
    assert_eq!(shop.earned(), 5 * CENT);
    shop.audit();
}

/// A mail program that is slow, a network that repeats: however often one request comes, it is one use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_at_once_with_one_name_are_one_use() {
    let shop = Shop::new().await;
    let token = shop.token(6 * CENT).await;
    let body = json!({ "feature": "export", "credential": token });
    let replies = join_all((0..64).map(|_| shop.authorize_as("order 7", &body))).await;
    let ids: Vec<String> = replies.iter().map(super::shop::Reply::id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "one use");
    let replies = join_all((0..64).map(|_| shop.commit(&ids[0], &Value::Null))).await;
    assert!(replies.iter().all(|reply| reply.ok() == &replies[0].body));
    assert_eq!(shop.earned(), 5 * CENT);
    for other in [json!({ "feature": "export" }), json!({ "feature": "month", "credential": token })] {
        assert_eq!(shop.authorize_as("order 7", &other).await.refusal(), (422, "idempotency-key-reused"));
    }
    shop.audit();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_at_once_have_what_is_free_and_no_more() {
    let shop = Shop::new().await;
    let body = json!({ "feature": "export", "subject": "customer 7" });
    let replies = join_all((0..64).map(|_| shop.authorize(&body))).await;
    let allowed: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
    assert_eq!(allowed.len(), 2);
    assert!(replies.iter().filter(|reply| reply.status != 200).all(|reply| reply.refusal().0 == 402));
    assert!(allowed.iter().all(|reply| reply.body["by"] == "quota"));
    // What is given back is free again, for this subject and no other.
    assert_eq!(shop.release(&allowed[0].id()).await.status, 200);
    shop.commit(&allowed[1].id(), &Value::Null).await.ok();
    assert_eq!(shop.authorize(&body).await.ok()["left"], 0);
    assert_eq!(shop.authorize(&body).await.status, 402);
    assert_eq!(shop.authorize(&json!({ "feature": "export", "subject": "another" })).await.ok()["left"], 1);
    // The next day it is free again; what costs nothing else is denied until the next week.
    shop.wait_secs(24 * 3_600);
    assert_eq!(shop.authorize(&body).await.ok()["left"], 1);
    let taste = json!({ "feature": "taste", "subject": "customer 7" });
    shop.authorize(&taste).await.id();
    let denied = shop.authorize(&taste).await;
    assert_eq!((&denied.ok()["allowed"], &denied.body["reason"]), (&json!(false), &json!("quota-used-up")));
    assert!(denied.body["resets"].as_str().unwrap().ends_with("T00:00:00.000Z"), "{}", denied.body);
    shop.audit();
}

#[tokio::test]
async fn a_kill_leaves_what_is_open_and_the_clock_ends_it() {
    let shop = Shop::new().await;
    let (first, second) = (shop.token(5 * CENT).await, shop.token(5 * CENT).await);
    let body = |token: &str| json!({ "feature": "export", "credential": token });
    let free = json!({ "feature": "export", "subject": "customer 7" });
    let kept = shop.authorize_as("kept", &body(&first)).await.id();
    let left = shop.authorize_as("left", &body(&second)).await.id();
    let counted = shop.authorize(&free).await.id();

    let shop = shop.after_kill().await;
    assert_eq!(shop.installation.released, 0, "a start leaves it to whoever uses it");
    assert_eq!(shop.worth(&first).await.1, "PENDING");
    assert_eq!(shop.authorize_as("kept", &body(&first)).await.id(), kept, "the same request is the same use");
    let done = shop.commit(&kept, &Value::Null).await;
    let shop = shop.after_kill().await;
    assert_eq!(shop.commit(&kept, &Value::Null).await.ok(), done.ok());

    shop.wait_secs(299);
    assert_eq!(shop.lapse().await, 0);
    shop.wait_secs(1);
    // It is over at its time, whether or not the worker has come by.
    assert_eq!(shop.look(&left).await.ok()["state"], "lapsed");
    assert_eq!(shop.commit(&left, &Value::Null).await.refusal(), (410, "authorization-over"));
    assert_eq!(shop.lapse().await, 2);
    assert_eq!(shop.worth(&second).await, (5 * CENT, "UNSPENT".to_owned()));
    assert_eq!(shop.look(&counted).await.ok()["state"], "released");
    assert_eq!(shop.authorize(&free).await.ok()["left"], 1, "what nobody had is not counted");
    assert_eq!(shop.earned(), 5 * CENT);

    shop.wait_secs(24 * 3_600);
    assert_eq!(shop.lapse().await, 1);
    assert_eq!(farthing_server::features::forget(&shop.installation).await.unwrap(), 3);
    assert_eq!(shop.look(&kept).await.refusal(), (404, "authorization-unknown"));
    shop.audit();
}

/// The folder does not say for whom a feature was used.
#[tokio::test]
async fn the_folder_knows_no_subject() {
    let shop = Shop::new().await;
    let token = shop.token(5 * CENT).await;
    let subject = "subject-marked-7261";
    let paid = json!({ "feature": "export", "subject": subject, "credential": token });
    let id = shop.authorize_as("name-marked-8812", &paid).await.id();
    shop.commit(&id, &Value::Null).await.ok();
    shop.authorize(&json!({ "feature": "export", "subject": subject })).await.id();
    let mut looked = 0;
    let mut folders = vec![shop.folder.path().join("data")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let bytes = std::fs::read(entry.path()).unwrap_or_default();
            looked += bytes.len();
            for mark in [subject, "name-marked-8812", super::shop::KEY] {
                let found = bytes.windows(mark.len()).any(|window| window == mark.as_bytes());
                assert!(!found, "{mark} in {}", entry.path().display());
            }
        }
    }
    assert!(looked > 1_000);
}
