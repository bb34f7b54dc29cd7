//! Replay: one credential for another resource, and one credential many times at once.

use std::sync::Arc;

use farthing_gate::Body;
use farthing_gate::serve::Limits;
use http::Response;
use tokio::sync::{Semaphore, mpsc};

use super::house::HOUSES;
use crate::support::bank::Bank;
use crate::support::pay::{cashu, credential, get, send};
use crate::support::{self, start};

/// What was bought for one page opened every other: the credential names the money, not what it buys.
#[tokio::test]
async fn a_credential_buys_one_resource() {
    for house in HOUSES {
        let (bank, upstream) = (Bank::new(), support::mirror().await);
        let door = house.open(&bank, upstream.address).await;
        let token = bank.token(&[16_384]);
        assert_eq!(get(door.address, "/paid/x", &cashu(&token)).await.status, 200);
        let challenge = get(door.address, "/paid/z", "").await;
        let paid = credential(&challenge, &bank.token(&[16_384]), None);
        assert_eq!(get(door.address, "/paid/z", &paid).await.status, 200);
        let charged = bank.taken();
        let mut stolen = 0;
        for (method, path, headers, code) in [
            ("GET", "/paid/y", cashu(&token), "payment-elsewhere"),
            ("GET", "/paid/x?page=2", cashu(&token), "payment-elsewhere"),
            ("GET", "/dear/x", cashu(&token), "payment-elsewhere"),
            ("GET", "/paid/y", paid.clone(), "challenge-elsewhere"),
            ("DELETE", "/paid/z2", paid.clone(), "challenge-elsewhere"),
        ] {
            let answer = send(door.address, method, path, &headers, "").await;
            stolen += usize::from(answer.status == 200);
            if !house.falls() {
                assert_eq!(answer.code(), code, "{method} {path}: {answer:?}");
            }
        }
        assert_eq!(bank.taken(), charged, "{house:?}");
        assert_eq!(stolen > 0, house.falls(), "{house:?}: {stolen} pages for nothing");
    }
}

/// Sixteen requests came before the first of them was remembered, and sixteen were served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_at_once_are_one() {
    for house in HOUSES {
        let bank = Bank::new();
        let (sender, mut events) = mpsc::unbounded_channel();
        let (go, asked) = (Arc::new(Semaphore::new(0)), sender.clone());
        let waiting = Arc::clone(&go);
        let upstream = start(Limits::default(), move |_| {
            let (go, asked) = (Arc::clone(&waiting), asked.clone());
            async move {
                asked.send(None).unwrap();
                go.acquire().await.unwrap().forget();
                Response::new(Body::from("content"))
            }
        })
        .await;
        let door = house.open(&bank, upstream.address).await;
        let headers = cashu(&bank.token(&[16_384]));
        for _ in 0..16 {
            let (sender, headers, address) = (sender.clone(), headers.clone(), door.address);
            tokio::spawn(async move {
                sender.send(Some(get(address, "/once/x", &headers).await.status)).unwrap();
            });
        }
        // Each is either at the upstream or has its answer; then the upstream answers all.
        let mut answers = Vec::new();
        let mut at_upstream = 0;
        while answers.len() + at_upstream < 16 {
            match events.recv().await.unwrap() {
                Some(status) => answers.push(status),
                None => at_upstream += 1,
            }
        }
        go.add_permits(16);
        while answers.len() < 16 {
            answers.extend(events.recv().await.unwrap());
        }
        let served = answers.iter().filter(|status| **status == 200).count();
        assert_eq!((served, at_upstream), if house.falls() { (16, 16) } else { (1, 1) }, "{house:?}");
        assert_eq!(bank.taken(), if house.falls() { 16_384 } else { 10_000 }, "{house:?}: one charge");
    }
}

/// What was remembered was the text of the credential: the same credits in other letters, or in another form of token,
/// were new.
#[tokio::test]
async fn the_same_credits_are_the_same_payment_however_they_are_written() {
    for house in HOUSES {
        let (bank, upstream) = (Bank::new(), support::mirror().await);
        let door = house.open(&bank, upstream.address).await;
        let proofs = bank.credits(&[8_192, 2_048]);
        let written = |id: &dyn Fn(String) -> String, reversed: bool| {
            let mut list: Vec<_> = proofs
                .iter()
                .map(|proof| {
                    let (keyset, c) = (id(proof.id.to_string()), id(proof.c.to_string()));
                    serde_json::json!({ "amount": proof.amount, "id": keyset, "secret": proof.secret, "C": c })
                })
                .collect();
            if reversed {
                list.reverse();
            }
            support::token_v3(&list)
        };
        let texts = [
            written(&|text| text, false),
            written(&|text| text.to_uppercase(), false),
            written(&|text| text, true),
            farthing_ecash::Token::new(
                support::bank::MINT,
                support::bank::usd().unit(),
                None,
                proofs.clone(),
            )
            .encode(),
        ];
        let mut served = 0;
        for text in &texts {
            let answer = get(door.address, "/once/x", &cashu(text)).await;
            served += usize::from(answer.status == 200);
            if !house.falls() && served == 1 && answer.status != 200 {
                assert_eq!(answer.code(), "payment-used", "{text}");
            }
        }
        assert_eq!(served > 1, house.falls(), "{house:?}: {served} times for one price");
    }
}
