//! Races between settling and serving: what is settled after it was served can be gone by then.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use farthing_ecash::Token;
use farthing_gate::Body;
use farthing_gate::serve::Limits;
use http::Response;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};

use super::house::HOUSES;
use crate::support::bank::{Bank, MINT, usd};
use crate::support::pay::{cashu, get};
use crate::support::start;

/// Between the check and the charge the credits were spent elsewhere: the page was served and nobody paid for it.
#[tokio::test]
async fn credits_are_spent_nowhere_else_meanwhile() {
    for house in HOUSES {
        let bank = Bank::new();
        let credits = bank.credits(&[16_384]);
        let (thief, loot) = (Arc::clone(&bank), credits.clone());
        let upstream = start(Limits::default(), move |_| {
            // The upstream works, and meanwhile the same credits buy something at another merchant.
            let _ = thief.charge(&loot, 16_384, "elsewhere");
            async { Response::new(Body::from("content")) }
        })
        .await;
        let door = house.open(&bank, upstream.address).await;
        let headers = cashu(&Token::new(MINT, usd().unit(), None, credits).encode());
        let answer = get(door.address, "/once/x", &headers).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "content"), "{house:?}");
        assert_eq!(bank.taken() == 0, house.falls(), "{house:?} served it for {}", bank.taken());
    }
}

/// The client left while the upstream worked; the handler was dropped with it, and the charge never came.
#[tokio::test]
async fn who_leaves_pays_for_the_work() {
    for house in HOUSES {
        let bank = Bank::new();
        let (sender, mut events) = mpsc::unbounded_channel();
        let go = Arc::new(Semaphore::new(0));
        let waiting = Arc::clone(&go);
        let upstream = start(Limits::default(), move |_| {
            let (go, sender) = (Arc::clone(&waiting), sender.clone());
            // The work goes on whether or not anybody still listens: a message is sent, a machine is started.
            let work = tokio::spawn(async move {
                sender.send("begun").unwrap();
                go.acquire().await.unwrap().forget();
                sender.send("done").unwrap();
            });
            async move {
                work.await.unwrap();
                Response::new(Body::from("content"))
            }
        })
        .await;
        let door = house.open(&bank, upstream.address).await;
        let headers = cashu(&bank.token(&[16_384]));
        let mut client = TcpStream::connect(door.address).await.unwrap();
        let request = format!("GET /once/x HTTP/1.1\r\nHost: shop.example\r\n{headers}\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(events.recv().await, Some("begun"));
        drop(client);
        // The server has seen that the client is gone once it has ended all that it does for its connections.
        let stopping = tokio::spawn(door.stop());
        if house.falls() {
            stopping.await.unwrap();
            go.add_permits(1);
        } else {
            go.add_permits(1);
            stopping.await.unwrap();
        }
        assert_eq!(events.recv().await, Some("done"));
        if !house.falls() {
            while bank.taken() == 0 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(bank.taken() == 0, house.falls(), "{house:?} worked for {}", bank.taken());
    }
}

/// The other way round: the upstream failed, and the charge came all the same.
#[tokio::test]
async fn who_gets_nothing_pays_nothing() {
    for house in HOUSES {
        let bank = Bank::new();
        let asked = AtomicUsize::new(0);
        let asked = Arc::new(asked);
        let upstream = start(Limits::default(), move |_| {
            let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
            let status = if first { 500 } else { 200 };
            async move { Response::builder().status(status).body(Body::from("answer")).unwrap() }
        })
        .await;
        let door = house.open(&bank, upstream.address).await;
        let headers = cashu(&bank.token(&[16_384]));
        let failed = get(door.address, "/once/x", &headers).await;
        assert!(failed.status >= 500, "{house:?}: {failed:?}");
        let charged = bank.taken();
        let again = get(door.address, "/once/x", &headers).await;
        let denied = charged > 0 && again.status != 200;
        assert_eq!(denied, house.falls(), "{house:?}: {charged} for {again:?}");
        if !house.falls() {
            assert_eq!((charged, again.status, bank.taken()), (0, 200, 10_000));
        }
    }
}
