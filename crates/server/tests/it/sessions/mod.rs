//! Sessions from the outside, on a real folder: opened with credits, paid with links, lost and found again, closed with change.

mod restored;
mod shop;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use farthing_channel::ChainSecret;
use farthing_ecash::BlindSignature;
use farthing_engine::{Command, Mode};
use farthing_wire::SessionStanding;
use serde_json::json;

use self::shop::{CENT, Session, Shop, chain};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once_are_each_paid_with_a_step_and_the_rest_comes_back() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 100).await;
    let mut order: Vec<u32> = (1..=40).collect();
    order.reverse();
    order.swap(3, 30);
    let replies = futures_util::future::join_all(order.iter().map(|step| shop.call(&session, *step))).await;
    assert!(replies.iter().all(|reply| reply.status == StatusCode::OK));
    assert_eq!(shop.site.delivered.load(SeqCst), 40);
    let standing = shop.call(&session, 41).await.standing();
    assert_eq!(standing, SessionStanding { generation: 0, high: 41, left: 59 });
    assert_eq!(shop.look(&session).await.body["left"], 59, "also before the books know it");

    let keyset = shop.keyset().await;
    let (blanks, _) = shop.outputs(&[1; 30], &keyset);
    let closed = shop.close(&session, &blanks).await;
    assert_eq!(closed.status, StatusCode::OK, "{}", closed.body);
    let back: Vec<BlindSignature> = serde_json::from_value(closed.body["signatures"].clone()).unwrap();
    assert_eq!(back.iter().map(|signature| signature.amount).sum::<u64>(), 59 * CENT);
    assert_eq!(shop.close(&session, &blanks).await.body, closed.body, "the answer that was lost comes again");
    let (others, _) = shop.outputs(&[1; 30], &keyset);
    let other = shop.close(&session, &others).await;
    assert_eq!((other.status, other.code()), (StatusCode::CONFLICT, "session-closed"));
    let late = shop.call(&session, 42).await;
    assert_eq!((late.status, late.code()), (StatusCode::CONFLICT, "session-closed"));
    assert_eq!((shop.taken(), shop.in_sessions(), shop.site.delivered.load(SeqCst)), (41, 0, 41));
    shop.audit();
}

/// What went wrong: the gate counted back from the shown step by its own price, so that a call that was made at a lower price paid more
/// than its payer allowed, with steps of other calls.
#[tokio::test]
async fn a_call_that_names_its_steps_pays_as_many_or_none() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 20).await;
    let dear = async |step: u32, steps: u32| {
        let header = format!("{}; steps={steps}", session.header(step));
        shop.send(Method::GET, "/dear", &[("farthing-session", header)], String::new()).await
    };
    for (step, steps) in [(1, 1), (5, 1), (5, 2), (9, 4)] {
        let refused = dear(step, steps).await;
        assert_eq!((refused.status, refused.code()), (StatusCode::PAYMENT_REQUIRED, "session-price"));
        assert!(refused.headers.contains_key("x-cashu"), "with the offers of now");
    }
    assert_eq!(dear(5, 3).await.standing(), SessionStanding { generation: 0, high: 5, left: 17 });
    // What was used is told before anything of the price.
    assert_eq!(dear(5, 1).await.code(), "session-step-used");
    shop.fold().await;
    assert_eq!((shop.taken(), shop.site.delivered.load(SeqCst)), (3, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_step_sixteen_times_is_one_delivery() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 10).await;
    let replies = futures_util::future::join_all((0..16).map(|_| shop.call(&session, 3))).await;
    let (good, bad): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == StatusCode::OK);
    assert_eq!((good.len(), bad.len(), shop.site.delivered.load(SeqCst)), (1, 15, 1));
    let codes: BTreeSet<_> = bad.iter().map(|reply| (reply.status, reply.code().to_owned())).collect();
    assert_eq!(codes, [(StatusCode::CONFLICT, "session-step-used".to_owned())].into());
    assert!(bad.iter().all(|reply| reply.standing().high == 3), "it says where to go on");
    shop.fold().await;
    assert_eq!((shop.taken(), shop.in_sessions()), (1, 9));
}

/// Went wrong: whoever left as soon as the upstream had begun was served whatever it did, and paid nothing.
#[tokio::test]
async fn who_leaves_while_the_upstream_works_pays_all_the_same() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 10).await;
    shop.site.slow.store(true, SeqCst);
    tokio::select! {
        biased;
        _ = shop.call(&session, 3) => unreachable!("it waits"),
        () = shop.site.begun.notified() => {}
    }
    shop.site.slow.store(false, SeqCst);
    shop.site.go_on.notify_one();
    let ended = tokio::time::timeout(Duration::from_secs(20), shop.site.ended.notified()).await;
    assert!(ended.is_ok(), "the upstream goes on without its client");
    let again = shop.call(&session, 3).await;
    assert_eq!((again.status, again.code()), (StatusCode::CONFLICT, "session-step-used"));
    assert_eq!(shop.call(&session, 4).await.status, StatusCode::OK);
    shop.fold().await;
    assert_eq!((shop.taken(), shop.site.delivered.load(SeqCst)), (2, 2));
}

#[tokio::test]
async fn what_fails_gives_its_step_back_before_it_is_said() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 10).await;
    shop.site.failures.store(1, SeqCst);
    let failed = shop.call(&session, 2).await;
    assert_eq!((failed.status, failed.code()), (StatusCode::BAD_GATEWAY, "upstream-failed"));
    assert_eq!(shop.call(&session, 2).await.status, StatusCode::OK, "the same step is good");
    assert_eq!(shop.call(&session, 1).await.status, StatusCode::OK, "and the one below it");
    shop.fold().await;
    assert_eq!(shop.taken(), 2);
}

#[tokio::test]
async fn refusals_say_where_the_session_stands_and_take_nothing() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 10).await;
    shop.call(&session, 4).await;
    let (right, other) = (session.header(6), session.header(5));
    let forged = other.replace(".5.", ".6.");
    let refused = shop.call_with(forged).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "session-link"));
    assert_eq!(refused.standing(), SessionStanding { generation: 0, high: 4, left: 9 });
    let below = session.header(3).replace(".3.", ".2.");
    assert_eq!(shop.call_with(below).await.code(), "session-link", "of a step below as well");
    let beyond = right.replace(".6.", ".11.");
    assert_eq!(shop.call_with(beyond).await.status, StatusCode::CONFLICT);
    let malformed = shop.call_with("abc".to_owned()).await;
    assert_eq!((malformed.status, malformed.code()), (StatusCode::BAD_REQUEST, "session-malformed"));
    let stranger = Session { id: "ab".repeat(16), ..session.clone() };
    let unknown = shop.call(&stranger, 1).await;
    assert_eq!((unknown.status, unknown.code()), (StatusCode::PAYMENT_REQUIRED, "unknown-session"));
    assert!(unknown.headers.contains_key("www-authenticate"), "and how to pay otherwise");
    let both = [("farthing-session", session.header(5)), ("x-cashu", "cashuBx".to_owned())];
    let several = shop.send(Method::GET, "/report", &both, String::new()).await;
    assert_eq!(several.code(), "session-several");

    // Two and a half steps are three.
    let dear = [("farthing-session", session.header(7))];
    let reply = shop.send(Method::GET, "/dear", &dear, String::new()).await;
    assert_eq!((reply.status, reply.standing().left), (StatusCode::OK, 6));
    assert!(reply.headers.contains_key("farthing-pass"), "a rule's own pass comes with it");
    let short = [("farthing-session", session.header(2))];
    let reply = shop.send(Method::GET, "/dear", &short, String::new()).await;
    assert_eq!((reply.status, reply.code()), (StatusCode::PAYMENT_REQUIRED, "session-exhausted"));

    shop.time.fetch_add(31 * 24 * 3600, SeqCst);
    let ended = shop.call(&session, 8).await;
    assert_eq!((ended.status, ended.code()), (StatusCode::PAYMENT_REQUIRED, "session-ended"));
    shop.fold().await;
    assert_eq!((shop.taken(), shop.site.delivered.load(SeqCst)), (4, 2));
    let (blanks, _) = shop.outputs(&[1; 30], &shop.keyset().await);
    let thief = Session { secret: ChainSecret::from_bytes([9; 32]), ..session.clone() };
    let locked = shop.close(&thief, &blanks).await;
    assert_eq!((locked.status, locked.code()), (StatusCode::FORBIDDEN, "session-locked"));
    let closed = shop.close(&session, &blanks).await;
    assert_eq!(closed.body["change"], (6 * CENT).to_string(), "what is left waits for its payer for good");
}

/// A crash between the tape and the books: what was answered is charged, once, and the payer goes on with the next step.
#[tokio::test]
async fn a_kill_loses_no_step_and_charges_none_twice() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 50).await;
    for step in [1, 2, 3] {
        shop.call(&session, step).await;
    }
    shop.fold().await;
    for step in [4, 6, 7] {
        shop.call(&session, step).await;
    }
    assert_eq!(shop.taken(), 3, "the rest is on the tape");
    let killed = shop.after_kill().await;
    assert_eq!((killed.taken(), killed.in_sessions()), (6, 44), "a start brings the tape into the books");
    for step in [3, 4, 7] {
        assert_eq!(killed.call(&session, step).await.code(), "session-step-used");
    }
    assert_eq!(killed.call(&session, 5).await.status, StatusCode::OK, "what was skipped is still good");
    // The payer has lost its count: it asks, and goes on.
    let high = u32::try_from(killed.look(&session).await.body["high"].as_u64().unwrap()).unwrap();
    assert_eq!(killed.call(&session, high + 1).await.standing().left, 42);
    killed.fold().await;
    assert_eq!((killed.taken(), killed.in_sessions()), (8, 42));
    killed.audit();
}

/// The payer's next link proves what was paid before it, beyond what may be on its way at once.
#[tokio::test]
async fn a_link_far_ahead_pays_for_all_below_it() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 3_000).await;
    shop.call(&session, 1).await;
    assert_eq!(shop.call(&session, 1_026).await.standing().left, 2_998, "so many may be on their way");
    let far = shop.call(&session, 2_500).await;
    assert_eq!((far.status, far.standing().left), (StatusCode::OK, 1_524));
    shop.fold().await;
    assert_eq!(shop.taken(), 2 + 1_474);
    assert_eq!(shop.call(&session, 1_000).await.status, StatusCode::OK, "what was free before still is");
}

#[tokio::test]
async fn a_top_up_goes_on_with_another_chain() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 10).await;
    for step in 1..=4 {
        shop.call(&session, step).await;
    }
    let next = ChainSecret::from_bytes([2; 32]);
    let inputs = shop.credits(10 * CENT).await;
    let path = format!("/v1/sessions/{}/top-up", session.id);
    let body =
        |key: [u8; 32]| json!({ "key": hex::encode(key), "inputs": inputs, "chain": chain(&next, 16) });
    let stolen = shop.post(&path, &body(next.key())).await;
    assert_eq!((stolen.status, stolen.code()), (StatusCode::FORBIDDEN, "session-locked"));
    let topped = shop.post(&path, &body(session.secret.key())).await;
    assert_eq!(topped.status, StatusCode::OK, "{}", topped.body);
    assert_eq!((&topped.body["generation"], &topped.body["left"]), (&json!(1), &json!(16)));
    assert_eq!(shop.post(&path, &body(session.secret.key())).await.body, topped.body);
    let old = shop.call(&session, 5).await;
    assert_eq!(
        (old.status, old.code(), old.standing().generation),
        (StatusCode::CONFLICT, "session-link", 1)
    );
    let session = Session { secret: next, steps: 16, ..session };
    assert_eq!(shop.call(&session, 1).await.status, StatusCode::OK);
    let (blanks, _) = shop.outputs(&[1; 30], &shop.keyset().await);
    assert_eq!(shop.close(&session, &blanks).await.body["change"], (15 * CENT).to_string());
    assert_eq!((shop.taken(), shop.in_sessions()), (5, 0));
    shop.audit();
}

#[tokio::test]
async fn a_pause_stops_calls_and_takes_nothing() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 10).await;
    shop.call(&session, 1).await;
    shop.installation.writer.execute(Command::SetMode(Mode::Paused)).await.unwrap();
    shop.fold().await;
    assert_eq!(shop.taken(), 1, "what was spent comes into the books all the same");
    let paused = shop.call(&session, 2).await;
    assert_eq!((paused.status, paused.code()), (StatusCode::SERVICE_UNAVAILABLE, "paused"));
    shop.installation.writer.execute(Command::SetMode(Mode::Open)).await.unwrap();
    shop.fold().await;
    assert_eq!(shop.call(&session, 2).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_closed_session_is_forgotten_when_its_time_is_over_and_an_open_one_is_not() {
    let shop = Shop::new().await;
    let (closed, open) = (shop.open_session(1, 10).await, shop.open_session(2, 10).await);
    shop.call(&closed, 1).await;
    let (blanks, _) = shop.outputs(&[0; 24], &shop.keyset().await);
    let first = shop.close(&closed, &blanks).await;
    shop.time.fetch_add(29 * 24 * 3600, SeqCst);
    assert_eq!(farthing_server::life::forget(&shop.installation).await.unwrap(), 0);
    assert_eq!(shop.close(&closed, &blanks).await.body, first.body);
    shop.time.fetch_add(2 * 24 * 3600, SeqCst);
    assert_eq!(farthing_server::life::forget(&shop.installation).await.unwrap(), 1);
    let gone = shop.close(&closed, &blanks).await;
    assert_eq!((gone.status, gone.code()), (StatusCode::NOT_FOUND, "unknown-session"));
    // What is left in the other one still comes back.
    let (others, _) = shop.outputs(&[0; 24], &shop.keyset().await);
    let last = shop.close(&open, &others).await;
    assert_eq!((last.status, &last.body["change"]), (StatusCode::OK, &json!((10 * CENT).to_string())));
}
