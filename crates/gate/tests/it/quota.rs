//! What is free up to a limit, between real sockets: exact for many at once, given back when the upstream fails, and told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::bank::{Bank, signing_key};
use crate::support::pay::{Answer, cashu, cent, get, send};
use crate::support::site::Site;
use crate::support::{Server, mirror, start_service};
use farthing_engine::Read;
use farthing_gate::serve::Limits;
use farthing_gate::{Body, Gate, Per, Proxy, ProxyConfig, Quota, Rule, Rules, UpstreamError};
use farthing_money::Timestamp;
use farthing_wire::upstream::Standing;
use farthing_wire::{PaymentNote, QuotaBy, QuotaField, header};
use http::{Request, Response, StatusCode};

fn quota(free: u32, per: Per, by: QuotaBy) -> Quota {
    Quota { free, per, by, newcomers: 4 }
}

fn quota_rules() -> Rules {
    let rule = |path: &str, quota: Quota| Rule::new(path, cent()).unwrap().free_up_to(quota);
    Rules::new(vec![
        rule("/visitor/**", quota(3, Per::Day, QuotaBy::Visitor)),
        rule("/network/**", quota(3, Per::Month, QuotaBy::Network)),
        rule("/key/**", quota(2, Per::Week, QuotaBy::Key)),
    ])
    .unwrap()
}

async fn shop(bank: &Arc<Bank>, upstream: SocketAddr) -> Server {
    let proxy = ProxyConfig::new(format!("http://{upstream}").parse().unwrap());
    start_service(Limits::default(), Gate::new(bank.config(quota_rules()), Proxy::new(proxy).unwrap())).await
}

fn left(answer: &Answer) -> Option<u32> {
    answer.header("farthing-quota")?.parse::<QuotaField>().unwrap().left
}

/// The cookies of an answer, as a browser sends them back.
fn cookie(answer: &Answer, name: &str) -> String {
    let cookies = answer.all("set-cookie");
    let pair =
        cookies.iter().filter_map(|cookie| cookie.split(';').next()).find(|pair| pair.starts_with(name));
    format!("Cookie: {}\r\n", pair.unwrap())
}

fn from(address: &str) -> String {
    format!("X-Forwarded-For: {address}\r\n")
}

#[tokio::test]
async fn sixty_four_at_once_have_what_is_free_and_no_more() {
    let (bank, site) = (Bank::new(), Site::new());
    let upstream = site.open().await;
    let gate = shop(&bank, upstream.address).await;
    let visitor = get(gate.address, "/visitor/first", "").await;
    assert_eq!((visitor.status, left(&visitor)), (200, Some(2)), "{visitor:?}");
    let known = cookie(&visitor, header::VISITOR_COOKIE);
    for (path, headers, free) in [
        ("/network/page", String::new(), 3),
        ("/visitor/page", known, 2),
        ("/key/page", "X-Api-Key: k\r\n".into(), 2),
    ] {
        let asked = site.asked();
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..64 {
            let (address, headers) = (gate.address, headers.clone());
            asking.spawn(async move { get(address, path, &headers).await });
        }
        let answers = asking.join_all().await;
        let served = answers.iter().filter(|answer| answer.status == 200).count();
        let refused = answers.iter().filter(|answer| answer.status == 402).count();
        assert_eq!((served, refused), (free, 64 - free), "{path}");
        assert_eq!(site.asked() - asked, free, "nobody else has reached the upstream: {path}");
        assert!(answers.iter().filter(|answer| answer.status == 402).all(|answer| left(answer) == Some(0)));
    }
    assert_eq!(bank.taken(), 0);
}

#[tokio::test]
async fn a_reload_does_not_count_and_the_next_period_begins_anew() {
    let (bank, upstream) = (Bank::new(), mirror().await);
    let gate = shop(&bank, upstream.address).await;
    let one = get(gate.address, "/visitor/one", "").await;
    let (known, pass) = (cookie(&one, header::VISITOR_COOKIE), cookie(&one, header::PASS_COOKIE));
    assert!(one.header("cache-control").unwrap().starts_with("private"), "{one:?}");
    for _ in 0..8 {
        let again = get(gate.address, "/visitor/one", &format!("{known}{pass}")).await;
        assert_eq!((again.status, left(&again)), (200, None), "a pass covers it: {again:?}");
    }
    let second = get(gate.address, "/visitor/two", &known).await;
    assert_eq!((second.status, left(&second)), (200, Some(1)));
    assert!(
        !second.body.contains("farthing_visitor"),
        "the upstream sees no cookie of ours: {}",
        second.body
    );
    assert!(second.all("set-cookie").iter().all(|cookie| !cookie.starts_with(header::VISITOR_COOKIE)));
    let third = get(gate.address, "/visitor/three", &known).await;
    assert_eq!((third.status, left(&third)), (200, Some(0)));
    let over = get(gate.address, "/visitor/four", &known).await;
    assert_eq!((over.status, left(&over)), (402, Some(0)));
    let problem = over.problem();
    assert_eq!(problem.extra["quota"]["refused"], "quota-used-up");
    let page = get(gate.address, "/visitor/four", &format!("{known}Accept: text/html\r\n")).await;
    assert!(page.body.contains("3 a day are free for each visitor; you have had them."), "{}", page.body);

    let day = 24 * 3_600_000;
    bank.now.fetch_add(day, Ordering::SeqCst);
    let tomorrow = get(gate.address, "/visitor/four", &known).await;
    assert_eq!(
        (tomorrow.status, left(&tomorrow)),
        (200, Some(2)),
        "a new day, and a new number: {tomorrow:?}"
    );
    assert!(!cookie(&tomorrow, header::VISITOR_COOKIE).is_empty());
    // The clock is put back, and forth again: both days are as they were.
    bank.now.fetch_sub(day, Ordering::SeqCst);
    let yesterday = get(gate.address, "/visitor/five", &known).await;
    assert_eq!((yesterday.status, left(&yesterday)), (402, Some(0)));
    bank.now.fetch_add(day, Ordering::SeqCst);
    let anew = get(gate.address, "/visitor/six", &cookie(&tomorrow, header::VISITOR_COOKIE)).await;
    assert_eq!((anew.status, left(&anew)), (200, Some(1)));
}

#[tokio::test]
async fn what_fails_is_not_counted() {
    let (bank, site) = (Bank::new(), Site::new());
    let upstream = site.open().await;
    let gate = shop(&bank, upstream.address).await;
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::NOT_FOUND, StatusCode::NOT_MODIFIED] {
        site.answers(status);
        for _ in 0..5 {
            let failed = get(gate.address, "/network/x", "").await;
            assert_eq!(left(&failed), Some(3), "{failed:?}");
            assert_ne!(failed.status, 402);
        }
    }
    // Who has had nothing was not let in either.
    for _ in 0..9 {
        assert_eq!(left(&get(gate.address, "/visitor/x", "").await), Some(3));
    }
    site.answers(StatusCode::OK);
    assert_eq!(left(&get(gate.address, "/network/x", "").await), Some(2));
    assert_eq!(left(&get(gate.address, "/visitor/x", "").await), Some(2));
    drop(upstream);
    let gone = get(gate.address, "/network/x", "").await;
    assert_eq!((gone.status, left(&gone)), (502, Some(2)), "{gone:?}");
}

#[tokio::test]
async fn a_client_that_leaves_is_counted_once_at_the_most() {
    let (bank, site) = (Bank::new(), Site::waiting());
    let upstream = site.open().await;
    let gate = shop(&bank, upstream.address).await;
    let address = gate.address;
    let asking = tokio::spawn(async move { get(address, "/network/slow", "").await });
    site.arrived.acquire().await.unwrap().forget();
    asking.abort();
    site.answers(StatusCode::INTERNAL_SERVER_ERROR);
    site.go.add_permits(1_000);
    gate.stop().await;
    site.answers(StatusCode::OK);
    let gate = shop(&bank, upstream.address).await;
    let next = get(gate.address, "/network/x", "").await;
    assert_eq!(left(&next), Some(2), "what failed for who had left was given back: {next:?}");
}

#[tokio::test]
async fn dropping_the_cookie_is_no_flood() {
    let (bank, upstream) = (Bank::new(), mirror().await);
    let gate = shop(&bank, upstream.address).await;
    let mut served = 0;
    for n in 0..40 {
        let answer = get(gate.address, "/visitor/x", &from(&format!("203.0.113.{n}"))).await;
        served += u32::from(answer.status == 200);
        if answer.status == 402 {
            assert_eq!(answer.problem().extra["quota"]["refused"], "quota-crowded");
        }
    }
    assert_eq!(served, 4, "so many newcomers of one network");
    for n in 0..40 {
        let answer =
            get(gate.address, "/key/x", &format!("{}X-Api-Key: made-up-{n}\r\n", from("203.0.113.1"))).await;
        assert_eq!(answer.status == 200, n < 4, "made-up keys are newcomers too");
    }
    let elsewhere = get(gate.address, "/visitor/x", &from("203.0.114.1")).await;
    assert_eq!(elsewhere.status, 200, "another network");
    let forged = format!("{}Cookie: farthing_visitor=AAAA\r\n", from("203.0.113.9"));
    assert_eq!(get(gate.address, "/visitor/x", &forged).await.status, 402, "a forged cookie is none");
}

#[tokio::test]
async fn networks_are_counted_as_our_own_proxies_say() {
    let (bank, upstream) = (Bank::new(), mirror().await);
    let gate = shop(&bank, upstream.address).await;
    for (address, expected) in [
        ("203.0.113.1", Some(2)),
        ("203.0.113.2", Some(1)),
        ("2001:db8:1::1", Some(2)),
        ("2001:db8:1:2::1", Some(1)),
        ("9.9.9.9, 203.0.113.3", Some(0)),
        ("203.0.114.3", Some(2)),
    ] {
        assert_eq!(left(&get(gate.address, "/network/x", &from(address)).await), expected, "{address}");
    }
}

#[tokio::test]
async fn who_brings_money_pays_and_head_takes_nothing() {
    let (bank, upstream) = (Bank::new(), mirror().await);
    let gate = shop(&bank, upstream.address).await;
    let head = send(gate.address, "HEAD", "/network/x", "", "").await;
    assert_eq!((head.status, left(&head)), (402, None));
    let paid = get(gate.address, "/network/x", &cashu(&bank.token(&[8_192, 2_048]))).await;
    assert_eq!((paid.status, bank.taken()), (200, 10_000), "{paid:?}");
    let free = get(gate.address, "/network/y", "").await;
    assert_eq!(left(&free), Some(2), "neither of them was counted");
    let text = free.body.lines().find_map(|line| line.strip_prefix("farthing-payment: ")).unwrap();
    let (now, lifetime) = (bank.time(), farthing_money::Span::from_secs(60));
    let note = PaymentNote::verify(text, &signing_key().verifying_key(), now, lifetime).unwrap();
    assert_eq!((note.standing, note.amount.is_zero()), (Standing::Free, true));
    let keyless = get(gate.address, "/key/x", "").await;
    assert_eq!((keyless.status, left(&keyless)), (402, None), "without a key nobody is counted");
    assert!(keyless.header("farthing-quota").unwrap().starts_with("free=2; by=key; resets="), "{keyless:?}");
}

#[tokio::test]
async fn rows_and_keys_say_nothing_of_who_asked() {
    let (bank, upstream) = (Bank::new(), mirror().await);
    let gate = shop(&bank, upstream.address).await;
    let (network, key) = (from("203.0.113.77"), "X-Api-Key: planted-key\r\n");
    for path in ["/network/planted", "/visitor/planted", "/key/planted"] {
        assert_eq!(get(gate.address, path, &format!("{network}{key}")).await.status, 200);
    }
    let words = ["203.0.113", "planted", "/network/"].map(str::as_bytes);
    for planted in words.into_iter().chain([&[203, 0, 113][..]]) {
        assert_eq!(bank.tables_with(planted), [""; 0], "{planted:?}");
    }
    let today = u32::try_from(bank.time().secs() / 86_400).unwrap();
    let row = bank.rows.quota_key(today).unwrap();
    assert!(row.is_some_and(|row| row.until > Timestamp::from_secs(u64::from(today) * 86_400)));
}

/// A route that panicked behind the tower layer kept what it had taken of the quota: nothing was had, and it was counted.
#[tokio::test]
async fn a_panic_behind_the_layer_counts_nothing() {
    let bank = Bank::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let inner = tower::service_fn(move |_: Request<Body>| {
        let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            assert!(!first, "a bug of the route, as this story wants it");
            Ok::<_, UpstreamError>(Response::new(Body::from("content")))
        }
    });
    let gate = start_service(Limits::default(), Gate::new(bank.config(quota_rules()), inner)).await;
    let broken = get(gate.address, "/key/page", "X-Api-Key: k\r\n").await;
    assert_eq!((broken.status, left(&broken)), (503, Some(2)), "{broken:?}");
    for free in [1, 0] {
        let answer = get(gate.address, "/key/page", "X-Api-Key: k\r\n").await;
        assert_eq!((answer.status, left(&answer)), (200, Some(free)), "{answer:?}");
    }
}
