//! Bundles between real sockets: a pass that opens something so often, and not once more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support;
use crate::support::bank::{Bank, usd};
use crate::support::pay::{Answer, cashu, get, rules, send};
use crate::support::site::Site;
use crate::support::{Server, start, start_service};
use farthing_gate::serve::Limits;
use farthing_gate::{Body, Covers, Gate, Plan, Proxy, ProxyConfig, Refunds};
use farthing_money::{Amount, Span};
use farthing_wire::{REFUNDS_PATH, RefundAnswer};
use http::StatusCode;

const TEN: &str = "/.well-known/farthing/passes/ten";
/// What ten uses cost: five cents.
const PRICE: u128 = 50_000;

async fn gate(bank: &Arc<Bank>, upstream: SocketAddr) -> Server {
    let covers = Covers::parse(&["/paid/**".to_owned()], &[]).unwrap();
    let refunds = Refunds { within: Span::from_secs(600), per_payer: 9, rate_most: 100 };
    let year = Span::from_secs(366 * 86_400);
    let ten =
        Plan::new("ten", usd().money(Amount::new(PRICE)), covers, year).unwrap().uses(10).refunding(refunds);
    let rules = rules().selling(vec![ten]).unwrap();
    let config = ProxyConfig::new(format!("http://{upstream}").parse().unwrap());
    start_service(Limits::default(), Gate::new(bank.config(rules), Proxy::new(config).unwrap())).await
}

async fn buy(gate: &Server, bank: &Bank) -> Answer {
    let bought = get(gate.address, TEN, &cashu(&bank.token(&[65_536]))).await;
    assert_eq!(bought.status, 200, "{bought:?}");
    bought
}

fn shown(bought: &Answer) -> String {
    format!("Farthing-Pass: {}\r\n", bought.header("farthing-pass").unwrap())
}

#[tokio::test]
async fn ten_pages_are_ten_pages_and_a_reload_is_none() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let pass = shown(&buy(&gate, &bank).await);
    for page in 1..=10 {
        for _ in 0..2 {
            let answer = get(gate.address, &format!("/paid/{page}"), &pass).await;
            let left = format!("left={}; of=10", 10 - page);
            assert_eq!((answer.status, answer.header("farthing-uses")), (200, Some(left.as_str())), "{page}");
        }
    }
    let more = get(gate.address, "/paid/11", &pass).await;
    let told = &more.problem().extra["pass"]["code"];
    assert_eq!((more.status, told.as_str()), (402, Some("bundle-used-up")), "{more:?}");
    assert_eq!(get(gate.address, "/paid/3", &pass).await.status, 200, "coming back is free");
    assert_eq!(get(gate.address, "/all/1", &pass).await.status, 402, "not covered");
    // HEAD delivers nothing and takes nothing; and who brings money pays.
    assert_eq!(send(gate.address, "HEAD", "/paid/12", &pass, "").await.status, 402);
    let paid = get(gate.address, "/paid/12", &format!("{pass}{}", cashu(&bank.token(&[16_384])))).await;
    assert_eq!((paid.status, bank.taken()), (200, PRICE + 10_000));
    // After the rule's pass the same page is another use, and there is none.
    bank.wait_secs(61);
    assert_eq!(get(gate.address, "/paid/3", &pass).await.status, 402);
}

#[tokio::test]
async fn sixty_four_at_once_open_ten() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let pass = shown(&buy(&gate, &bank).await);
    let mut asking = tokio::task::JoinSet::new();
    for page in 0..64 {
        let (address, pass) = (gate.address, pass.clone());
        asking.spawn(async move { get(address, &format!("/paid/{page}"), &pass).await.status });
    }
    let answers = asking.join_all().await;
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 10);
    assert_eq!(answers.iter().filter(|status| **status == 402).count(), 54);
}

#[tokio::test]
async fn what_fails_is_not_counted_and_only_what_is_left_comes_back() {
    let (bank, site) = (Bank::new(), Site::new());
    let upstream = site.open().await;
    let gate = gate(&bank, upstream.address).await;
    let bought = buy(&gate, &bank).await;
    let pass = shown(&bought);
    *site.status.lock().unwrap() = StatusCode::NOT_FOUND;
    let failed = get(gate.address, "/paid/1", &pass).await;
    assert_eq!((failed.status, failed.header("farthing-charge")), (404, Some("none")));
    *site.status.lock().unwrap() = StatusCode::OK;
    let first = get(gate.address, "/paid/1", &pass).await;
    assert_eq!(first.header("farthing-uses"), Some("left=9; of=10"));
    let receipt = bought.header("farthing-receipt").unwrap();
    let body = format!(r#"{{"receipt":"{receipt}"}}"#);
    let given = send(gate.address, "POST", REFUNDS_PATH, "", &body).await;
    let answer = RefundAnswer::parse(given.body.as_bytes()).unwrap();
    assert_eq!((answer.refunded.amount, answer.kept.amount), (Amount::new(45_000), Amount::new(5_000)));
    assert_eq!(get(gate.address, "/paid/2", &pass).await.status, 402, "nothing is left of it");
    assert_eq!(get(gate.address, "/paid/1", &pass).await.status, 200, "what was opened stays open");
}

/// A page was delivered although its use could not be counted, and the use was given back: it had cost nothing.
#[tokio::test]
async fn nothing_goes_out_whose_use_is_not_counted() {
    let (bank, asked) = (Bank::new(), Arc::new(AtomicUsize::new(0)));
    let (busy, count) = (Arc::clone(&bank), Arc::clone(&asked));
    let upstream = start(Limits::default(), move |_| {
        // The writer has no time for a moment, then for longer than anybody waits.
        let commands = [3, 53, 0][count.fetch_add(1, Ordering::SeqCst).min(2)];
        busy.busy.store(commands, Ordering::SeqCst);
        async move { http::Response::new(Body::from("content")) }
    })
    .await;
    let gate = gate(&bank, upstream.address).await;
    let pass = shown(&buy(&gate, &bank).await);
    let first = get(gate.address, "/paid/1", &pass).await;
    assert_eq!((first.status, first.header("farthing-uses")), (200, Some("left=9; of=10")));
    let second = get(gate.address, "/paid/2", &pass).await;
    assert_eq!(
        (second.status, second.code().as_str(), second.header("retry-after")),
        (503, "busy", Some("1"))
    );
    bank.busy.store(0, Ordering::SeqCst);
    let again = get(gate.address, "/paid/2", &pass).await;
    assert_eq!((again.status, again.header("farthing-uses")), (200, Some("left=8; of=10")), "{again:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}
