//! Sessions of books that were restored from a backup, and do not know the last steps.

use std::sync::atomic::Ordering::SeqCst;

use axum::http::{Method, StatusCode};
use farthing_channel::ChainSecret;
use farthing_wire::SessionStanding;
use serde_json::json;

use super::shop::{CENT, Session, Shop, chain};

#[tokio::test]
async fn a_backup_has_the_tape() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 50).await;
    shop.call(&session, 1).await;
    shop.fold().await;
    shop.call(&session, 2).await;
    let restored = shop.restored(&shop.backup().await).await;
    assert_eq!((restored.taken(), restored.in_sessions()), (2, 48));
    assert_eq!(restored.call(&session, 3).await.code(), "paused", "as any issuer that was restored");
    restored.resume().await;
    assert_eq!(restored.call(&session, 2).await.code(), "session-step-used");
    assert_eq!(restored.call(&session, 3).await.status, StatusCode::OK);
    restored.fold().await;
    restored.audit();
}

/// What went wrong: books of an older backup left up to a thousand steps to the payer that it had been served for.
#[tokio::test]
async fn the_first_link_after_a_restore_pays_for_all_that_the_books_lost() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 100).await;
    for step in [1, 2, 3, 5] {
        shop.call(&session, step).await;
    }
    let backup = shop.backup().await;
    for step in 6..=30 {
        shop.call(&session, step).await;
    }
    let restored = shop.restored(&backup).await;
    restored.resume().await;
    let standing = SessionStanding { generation: 0, high: 5, left: 96 };
    assert_eq!(restored.call(&session, 5).await.standing(), standing, "the books know nothing of the others");
    // What is refused, and what they know of, proves nothing.
    let unmeant = format!("{}; steps=2", session.header(31));
    assert_eq!(restored.call_with(unmeant).await.code(), "session-price");
    let forged = session.header(30).replace(".30.", ".31.");
    assert_eq!(restored.call_with(forged).await.code(), "session-link");
    assert_eq!(
        restored.call(&session, 4).await.standing().left,
        95,
        "a call that was on its way when it was made"
    );
    restored.fold().await;
    assert_eq!(restored.taken(), 5);

    // Four calls were on their way, and the last of them comes first.
    assert_eq!(
        restored.call(&session, 34).await.standing(),
        SessionStanding { generation: 0, high: 34, left: 66 }
    );
    restored.fold().await;
    assert_eq!(restored.taken(), 34);
    restored.site.failures.store(1, SeqCst);
    assert_eq!(restored.call(&session, 33).await.code(), "upstream-failed");
    let replies =
        futures_util::future::join_all([31, 32, 33].map(|step| restored.call(&session, step))).await;
    assert!(
        replies.iter().all(|reply| reply.status == StatusCode::OK),
        "the others are good for their calls"
    );
    assert_eq!(restored.call(&session, 33).await.code(), "session-step-used");
    // From here on it is a session like any other: what is skipped stays free.
    assert_eq!(restored.call(&session, 40).await.standing().left, 65);
    assert_eq!(restored.call(&session, 36).await.standing().left, 64);
    restored.fold().await;
    assert_eq!((restored.taken(), restored.site.delivered.load(SeqCst)), (36, 7));
    restored.audit();

    let killed = restored.after_kill().await;
    assert_eq!(killed.call(&session, 45).await.standing().left, 63, "also after a kill");
    let (blanks, _) = killed.outputs(&[1; 30], &killed.keyset().await);
    assert_eq!(killed.close(&session, &blanks).await.body["change"], (63 * CENT).to_string());
    killed.audit();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_first_links_after_a_restore_pay_once() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 3_000).await;
    let backup = shop.backup().await;
    shop.call(&session, 1_500).await;
    let restored = shop.restored(&backup).await;
    restored.resume().await;
    let steps: Vec<u32> = (1_501..=1_540).rev().collect();
    let replies =
        futures_util::future::join_all(steps.iter().map(|step| restored.call(&session, *step))).await;
    assert!(replies.iter().all(|reply| reply.status == StatusCode::OK));
    restored.fold().await;
    assert_eq!((restored.taken(), restored.site.delivered.load(SeqCst)), (1_540, 40));
    // A price of three steps pays for what is below its own.
    let (other, backup) = (restored.open_session(2, 3_000).await, restored.backup().await);
    let again = restored.restored(&backup).await;
    again.resume().await;
    let dear = async |step: u32| {
        again.send(Method::GET, "/dear", &[("farthing-session", other.header(step))], String::new()).await
    };
    assert_eq!(dear(2_503).await.standing(), SessionStanding { generation: 0, high: 2_503, left: 497 });
    assert_eq!(dear(2_500).await.standing().left, 497);
    assert_eq!(dear(1_000).await.code(), "session-step-used", "no more than may be on their way are good");
    again.fold().await;
    assert_eq!(again.taken(), 1_540 + 2_503);
    again.audit();
}

/// What is no claim is refused by what was expected, and charges nothing.
#[tokio::test]
async fn what_is_no_claim_is_refused_by_name() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 10).await;
    let restored = shop.restored(&shop.backup().await).await;
    restored.resume().await;
    let path = format!("/v1/sessions/{}", session.id);
    let link = "ab".repeat(32);
    for body in [
        json!(null),
        json!([]),
        json!({}),
        json!({ "generation": 0, "step": 3 }),
        json!({ "generation": 0, "step": 3, "link": "" }),
        json!({ "generation": 0, "step": 3, "link": "ab" }),
        json!({ "generation": 0, "step": 3, "link": "zz".repeat(32) }),
        json!({ "generation": 0, "step": 3, "link": "ab".repeat(33) }),
        json!({ "generation": 0, "step": -1, "link": link }),
        json!({ "generation": 0, "step": 1_u64 << 32, "link": link }),
        json!({ "generation": "0", "step": 3, "link": link }),
    ] {
        let refused = restored.post(&path, &body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{body}");
        let said = refused.body["detail"].as_str().unwrap();
        assert!(!said.is_empty(), "{body}");
    }
    let nobody =
        restored.post("/v1/sessions/abc", &json!({ "generation": 0, "step": 3, "link": link })).await;
    assert!(nobody.status.is_client_error());
    assert_eq!(restored.own_up(&session, 0, 0).await.body["left"], 10, "none was charged, says the payer");
    assert_eq!((restored.taken(), restored.in_sessions()), (0, 10));
}

/// What went wrong: a session that was opened again, or topped up again, in books that had lost that was like a new one, and what its next link
/// skipped stayed with the payer.
#[tokio::test]
async fn what_restored_books_are_asked_again_is_marked_as_well() {
    let shop = Shop::new().await;
    let older = shop.open_session(1, 10).await;
    let (secret, next) = (ChainSecret::from_bytes([2; 32]), ChainSecret::from_bytes([3; 32]));
    let opening = json!({ "inputs": shop.credits(100 * CENT).await, "chain": chain(&secret, 100) });
    let top_up = json!({ "key": hex::encode(older.secret.key()), "inputs": shop.credits(90 * CENT).await, "chain": chain(&next, 100) });
    let backup = shop.backup().await;
    let younger = shop.post("/v1/sessions", &opening).await.body["session"].as_str().unwrap().to_owned();
    let younger = Session { id: younger, secret, steps: 100 };
    let path = format!("/v1/sessions/{}/top-up", older.id);
    assert_eq!(shop.post(&path, &top_up).await.body["left"], 100);
    let topped = Session { secret: next, steps: 100, ..older };
    for session in [&younger, &topped] {
        for step in 1..=30 {
            shop.call(session, step).await;
        }
    }
    let restored = shop.restored(&backup).await;
    restored.resume().await;
    assert_eq!(restored.post("/v1/sessions", &opening).await.body["left"], 100);
    assert_eq!(restored.post(&path, &top_up).await.body["left"], 100);
    for session in [&younger, &topped] {
        assert_eq!(restored.call(session, 33).await.standing().left, 67);
        assert_eq!(restored.call(session, 31).await.standing().left, 67);
        assert_eq!(restored.call(session, 40).await.standing().left, 66, "once");
    }
    restored.fold().await;
    assert_eq!(restored.taken(), 2 * 34);
    // When no session is left that the books may have lost, new ones are like any other.
    restored.time.fetch_add(31 * 24 * 3600, SeqCst);
    let new = restored.open_session(4, 10).await;
    assert_eq!(restored.call(&new, 5).await.standing().left, 9);
    restored.audit();
}

/// Who closes a session, or tops it up, shows no next link: he says what was charged. So does whose session is younger than the backup.
#[tokio::test]
async fn a_payer_says_what_restored_books_lack() {
    let shop = Shop::new().await;
    let older = shop.open_session(1, 100).await;
    shop.call(&older, 1).await;
    let secret = ChainSecret::from_bytes([2; 32]);
    let opening = json!({ "inputs": shop.credits(100 * CENT).await, "chain": chain(&secret, 100) });
    let backup = shop.backup().await;
    let younger = shop.post("/v1/sessions", &opening).await.body["session"].as_str().unwrap().to_owned();
    let younger = Session { id: younger, secret, steps: 100 };
    for session in [&older, &younger] {
        for step in 2..=30 {
            shop.call(session, step).await;
        }
    }
    // What is known is not charged again, and takes no hash.
    assert_eq!(shop.own_up(&older, 0, 30).await.body["left"], 70);
    let forged = Session { secret: younger.secret.clone(), ..older.clone() };
    assert_eq!(shop.own_up(&forged, 0, 30).await.body["left"], 70);
    // Books that were not restored lack nothing: nobody moves what others earn by saying so.
    assert_eq!(shop.own_up(&older, 0, 40).await.body["left"], 70);
    assert_eq!(shop.call(&older, 31).await.standing().left, 69);

    let restored = shop.restored(&backup).await;
    restored.resume().await;
    let gone = restored.own_up(&younger, 0, 30).await;
    assert_eq!((gone.status, gone.code()), (StatusCode::NOT_FOUND, "unknown-session"));
    // By the books its credits are not spent yet.
    assert_eq!(restored.post("/v1/sessions", &opening).await.status, StatusCode::OK);
    let refused = restored.own_up(&forged, 0, 30).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "session-link"));
    let beyond = restored.own_up(&older, 0, u32::MAX).await;
    assert_eq!((beyond.status, beyond.code()), (StatusCode::CONFLICT, "session-link"), "and no hash is made");
    assert_eq!(restored.own_up(&older, 1, 30).await.body["left"], 99, "of another chain nothing is charged");
    for session in [&older, &younger] {
        for _ in 0..2 {
            let told = restored.own_up(session, 0, 30).await;
            assert_eq!(
                (&told.body["high"], &told.body["change"]),
                (&json!(30), &json!((70 * CENT).to_string()))
            );
        }
    }
    assert_eq!(restored.taken(), 60);
    assert_eq!(restored.call(&younger, 31).await.standing().left, 69);
    assert_eq!(restored.call(&younger, 30).await.status, StatusCode::OK, "it may have been on its way");
    let (blanks, _) = restored.outputs(&[1; 30], &restored.keyset().await);
    assert_eq!(restored.close(&older, &blanks).await.body["change"], (70 * CENT).to_string());
    assert_eq!(restored.own_up(&older, 0, 40).await.body["state"], "CLOSED");
    restored.fold().await;
    assert_eq!(restored.taken(), 61);
    restored.audit();
}
