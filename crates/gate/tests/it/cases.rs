//! Prices that depend on who asks and on when, and those that the payer names, between real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::support::bank::{Bank, signing_key, usd};
use crate::support::pay::{Answer, cashu, cent, credential, get};
use crate::support::{Server, mirror, start_service};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use farthing_gate::rule::{Case, Crawler, CrawlerCase, CrawlerClass, Group, Hours, People, When};
use farthing_gate::serve::Limits;
use farthing_gate::{Gate, Per, Price, Proxy, ProxyConfig, Quota, Rule, Rules};
use farthing_money::{Amount, Span, Timestamp};
use farthing_wire::http_signature::thumbprint;
use farthing_wire::{Bought, Pass, QuotaBy};
use sha2::{Digest, Sha256};

fn units(units: u128) -> Price {
    Price::Paid { amount: usd().money(Amount::new(units)) }
}

fn crawler_key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn people() -> People {
    let key = crawler_key().verifying_key();
    let crawler = |name: &str, class| Crawler {
        name: name.into(),
        class,
        agent: Some(name.into()),
        networks: vec!["203.0.113.0/24".parse().unwrap()],
        keys: [(thumbprint(&key), key)].into(),
    };
    let staff = Group {
        name: "staff".into(),
        keys: [Sha256::digest("staff-key").into()].into(),
        networks: vec!["192.0.2.0/24".parse().unwrap()],
        passes: vec!["patron".into()],
    };
    let crawlers =
        vec![crawler("findbot", CrawlerClass::Search), crawler("trainbot", CrawlerClass::Training)];
    People { groups: vec![staff], crawlers }
}

fn case(crawler: Option<CrawlerCase>, group: Option<&str>, hours: Option<&str>, price: Price) -> Case {
    let when = When { hours: hours.map(|hours| Hours::parse(hours).unwrap()), ..When::default() };
    Case { crawler, group: group.map(str::to_owned), when, price }
}

async fn shop(bank: &Arc<Bank>, upstream: SocketAddr) -> Server {
    let cases = vec![
        case(None, Some("staff"), None, Price::Free),
        case(Some(CrawlerCase::Class(CrawlerClass::Training)), None, None, units(50_000)),
        case(Some(CrawlerCase::Class(CrawlerClass::Search)), None, None, units(1_000)),
        case(None, None, Some("17:00-19:00"), units(5_000)),
    ];
    let quota = Quota { free: 1, per: Per::Day, by: QuotaBy::Network, newcomers: 1 };
    let rules = vec![
        Rule::new("/cases/**", cent()).unwrap().in_case(cases.clone()),
        Rule::new("/both/**", cent()).unwrap().in_case(cases).free_up_to(quota),
        Rule::new("/tip/**", cent()).unwrap().at_least(usd().money(Amount::new(1_000))),
    ];
    let rules = Rules::new(rules).unwrap().knowing(people());
    let proxy = ProxyConfig::new(format!("http://{upstream}").parse().unwrap());
    start_service(Limits::default(), Gate::new(bank.config(rules), Proxy::new(proxy).unwrap())).await
}

fn at(bank: &Bank, text: &str) {
    bank.now.store(text.parse::<Timestamp>().unwrap().millis(), Ordering::SeqCst);
}

/// The price that a 402 asks for; nothing if it is no 402.
fn price(answer: &Answer) -> Option<String> {
    (answer.status == 402).then(|| answer.problem().extra["price"]["amount"].as_str().unwrap().to_owned())
}

fn from(address: &str, agent: &str) -> String {
    format!("X-Forwarded-For: {address}\r\nUser-Agent: {agent}\r\n")
}

#[tokio::test]
async fn who_asks_and_when_makes_the_price() {
    let (bank, upstream) = (Bank::new(), mirror().await);
    let gate = shop(&bank, upstream.address).await;
    let anybody = "198.51.100.7";
    for (moment, headers, expected) in [
        ("2026-11-27T12:00:00Z", from(anybody, "Mozilla/5.0"), Some("10000")),
        ("2026-11-27T17:30:00Z", from(anybody, "Mozilla/5.0"), Some("5000")),
        ("2026-11-27T12:00:00Z", from("203.0.113.5", "FindBot/1"), Some("1000")),
        ("2026-11-27T12:00:00Z", from("203.0.113.5", "TrainBot/1"), Some("50000")),
        // Who only says so is asked for more, and never for less.
        ("2026-11-27T12:00:00Z", from(anybody, "FindBot/1"), Some("10000")),
        ("2026-11-27T12:00:00Z", from(anybody, "TrainBot/1"), Some("50000")),
        ("2026-11-27T12:00:00Z", from("192.0.2.1", "Mozilla/5.0"), None),
        ("2026-11-27T12:00:00Z", format!("{}X-Api-Key: staff-key\r\n", from(anybody, "x")), None),
        ("2026-11-27T12:00:00Z", format!("{}X-Api-Key: other\r\n", from(anybody, "x")), Some("10000")),
    ] {
        at(&bank, moment);
        let answer = get(gate.address, "/cases/x", &headers).await;
        assert_eq!(price(&answer).as_deref(), expected, "{moment} {headers}");
        if expected.is_none() {
            assert_eq!(answer.status, 200);
            assert!(
                answer.header("cache-control").unwrap().starts_with("private"),
                "it is free for them alone"
            );
        }
    }
    let staff = from("192.0.2.1", "x");
    let token = bank.token(&[16_384]);
    let free = get(gate.address, "/cases/x", &format!("{staff}{}", cashu(&token))).await;
    assert_eq!((free.status, bank.taken()), (200, 0), "money that is not asked for is not taken");
    let paid = get(gate.address, "/cases/x", &format!("{}{}", from(anybody, "x"), cashu(&token))).await;
    assert_eq!((paid.status, bank.taken()), (200, 10_000), "and stays good: {paid:?}");
}

#[tokio::test]
async fn crawlers_have_no_quota_and_people_have_theirs_in_any_hour() {
    let (bank, upstream) = (Bank::new(), mirror().await);
    let gate = shop(&bank, upstream.address).await;
    at(&bank, "2026-11-27T17:30:00Z");
    let crawler = get(gate.address, "/both/x", &from("203.0.113.5", "FindBot/1")).await;
    assert_eq!((price(&crawler).as_deref(), crawler.header("farthing-quota")), (Some("1000"), None));
    let person = from("198.51.100.7", "Mozilla/5.0");
    assert_eq!(get(gate.address, "/both/x", &person).await.status, 200);
    assert_eq!(price(&get(gate.address, "/both/x", &person).await).as_deref(), Some("5000"));
}

/// The fields of a request that a crawler has signed.
fn signed(bank: &Bank, nonce: &str, host: &str) -> String {
    let key = crawler_key();
    let (keyid, created) = (thumbprint(&key.verifying_key()), bank.time().secs());
    let params = format!(
        "(\"@authority\");created={created};expires={};keyid=\"{keyid}\";nonce=\"{nonce}\";tag=\"web-bot-auth\"",
        created + 60
    );
    let base = format!("\"@authority\": {host}\n\"@signature-params\": {params}");
    let signature = STANDARD.encode(key.sign(base.as_bytes()).to_bytes());
    format!("Signature-Input: sig={params}\r\nSignature: sig=:{signature}:\r\n")
}

#[tokio::test]
async fn a_crawler_that_signs_is_believed_once_and_in_one_place() {
    let (bank, upstream) = (Bank::new(), mirror().await);
    let gate = shop(&bank, upstream.address).await;
    let crawler = from("198.51.100.7", "Mozilla/5.0");
    let fields = format!("{crawler}{}", signed(&bank, "1", "shop.example"));
    for _ in 0..2 {
        let asked = get(gate.address, "/cases/x", &fields).await;
        assert_eq!(price(&asked).as_deref(), Some("1000"), "the same again, as with a payment: {asked:?}");
    }
    let paid = get(gate.address, "/cases/x", &format!("{fields}{}", cashu(&bank.token(&[1_024])))).await;
    assert_eq!((paid.status, bank.taken()), (200, 1_000), "{paid:?}");
    for (path, headers) in [
        ("/cases/y", fields.clone()),
        ("/cases/x", format!("{}{}", from("198.51.100.8", "x"), signed(&bank, "1", "shop.example"))),
        ("/cases/z", format!("{crawler}{}", signed(&bank, "2", "other.example"))),
        (
            "/cases/z",
            format!("{crawler}{}", signed(&bank, "3", "shop.example").replace("nonce=\"3\"", "nonce=\"4\"")),
        ),
    ] {
        let refused = get(gate.address, path, &headers).await;
        assert_eq!(price(&refused).as_deref(), Some("10000"), "{path} {headers}");
    }
    let old = format!("{crawler}{}", signed(&bank, "5", "shop.example"));
    bank.now.fetch_add(60_000, Ordering::SeqCst);
    assert_eq!(
        price(&get(gate.address, "/cases/x", &old).await).as_deref(),
        Some("10000"),
        "its time is over"
    );
}

#[tokio::test]
async fn the_payer_names_the_amount_above_the_floor() {
    let (bank, upstream) = (Bank::new(), mirror().await);
    let gate = shop(&bank, upstream.address).await;
    assert_eq!(price(&get(gate.address, "/tip/x", "").await).as_deref(), Some("10000"), "what is suggested");
    let named = "Farthing-Amount: 0.25 USD\r\n";
    assert_eq!(price(&get(gate.address, "/tip/x", named).await).as_deref(), Some("250000"));
    assert_eq!(price(&get(gate.address, "/tip/x?farthing_amount=0.002", "").await).as_deref(), Some("2000"));
    let below = get(gate.address, "/tip/x", "Farthing-Amount: 0.0001 USD\r\n").await;
    let problem = below.problem();
    assert_eq!((below.status, problem.code.as_str()), (402, "amount-below-least"), "{below:?}");
    assert!(problem.detail.contains("at least 0.001 USD is asked for, 0.0001 USD was named"), "{problem:?}");
    assert_eq!((price(&below).as_deref(), &problem.extra["least"]), (Some("10000"), &"0.001 USD".into()));
    assert_eq!(get(gate.address, "/tip/x", "Farthing-Amount: much\r\n").await.code(), "amount-malformed");

    // A challenge is for the amount that was named, and pays no other.
    let answer = get(gate.address, "/tip/x", "Farthing-Amount: 0.002 USD\r\n").await;
    let pay = credential(&answer, &bank.token(&[2_048]), None);
    let other = get(gate.address, "/tip/x", &format!("{named}{pay}")).await;
    assert_eq!((other.code().as_str(), bank.taken()), ("challenge-elsewhere", 0), "{other:?}");
    let paid = get(gate.address, "/tip/x", &format!("Farthing-Amount: 0.002 USD\r\n{pay}")).await;
    assert_eq!((paid.status, bank.taken()), (200, 2_000), "{paid:?}");
    assert!(
        !paid.body.to_lowercase().contains("farthing-amount"),
        "the upstream sees no amount: {}",
        paid.body
    );
    let by_page = get(gate.address, "/tip/x?farthing_amount=0.004+USD", &cashu(&bank.token(&[4_096]))).await;
    assert_eq!((by_page.status, bank.taken()), (200, 6_000), "{by_page:?}");
    assert!(by_page.body.starts_with("GET /tip/x\n"), "{}", by_page.body);

    let page = get(gate.address, "/tip/x", "Accept: text/html\r\n").await;
    assert!(page.body.contains("<form method=\"get\">") && page.body.contains("name=\"farthing_amount\""));
    assert!(page.header("content-security-policy").unwrap().contains("form-action 'self'"));
}

#[tokio::test]
async fn a_pass_makes_a_member_of_what_it_does_not_cover() {
    let (bank, upstream) = (Bank::new(), mirror().await);
    let gate = shop(&bank, upstream.address).await;
    let pass = |plan: &str, ends: Timestamp, key: &SigningKey| {
        let bought =
            Bought { plan: plan.into(), covers: vec!["/other/**".into()], methods: Vec::new(), uses: None };
        let scope = format!("plan {plan}");
        let pass =
            Pass { payment: "00".repeat(32), scope, expires: ends, checked: false, bought: Some(bought) };
        format!("{}Farthing-Pass: {}\r\n", from("198.51.100.7", "x"), pass.sign(key).unwrap())
    };
    let (now, later) = (bank.time(), bank.time().after(Span::from_secs(60)));
    for (headers, member) in [
        (pass("patron", later, &signing_key()), true),
        (pass("day", later, &signing_key()), false),
        (pass("patron", now, &signing_key()), false),
        (pass("patron", later, &SigningKey::from_bytes(&[77; 32])), false),
    ] {
        let answer = get(gate.address, "/cases/x", &headers).await;
        assert_eq!(answer.status == 200, member, "{headers}: {answer:?}");
        assert!(!answer.body.contains("Farthing-Pass"), "the upstream sees no pass");
    }
}
