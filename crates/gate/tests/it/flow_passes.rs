//! Passes between real sockets: named by a 402, bought like a page, good for what they cover and for nothing else.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::support;
use crate::support::bank::{Bank, signing_key, usd};
use crate::support::pay::{Answer, cashu, credential, get, rules, send};
use crate::support::{Server, start_service};
use farthing_gate::serve::Limits;
use farthing_gate::{Covers, Gate, Plan, Proxy, ProxyConfig, Rules};
use farthing_money::{Amount, Span};
use farthing_wire::Pass;

const DAY: &str = "/.well-known/farthing/passes/day";
const DAY_SECS: u64 = 24 * 3_600;

fn plan(name: &str, price: u128, covers: &[&str], methods: &[&str]) -> Plan {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let covers = Covers::parse(&texts(covers), &texts(methods)).unwrap();
    Plan::new(name, usd().money(Amount::new(price)), covers, Span::from_secs(DAY_SECS)).unwrap()
}

fn selling() -> Rules {
    let day = plan("day", 1_000_000, &["/paid/**"], &[]).description("All that is <paid>");
    rules().selling(vec![day, plan("orders", 500_000, &["/once/**"], &["POST"])]).unwrap()
}

async fn gate(bank: &Arc<Bank>, upstream: SocketAddr, rules: Rules) -> Server {
    let config = ProxyConfig::new(format!("http://{upstream}").parse().unwrap());
    start_service(Limits::default(), Gate::new(bank.config(rules), Proxy::new(config).unwrap())).await
}

/// A dollar, with as much change as a binary sum leaves.
const DOLLAR: [u64; 7] = [524_288, 262_144, 131_072, 65_536, 16_384, 512, 64];

fn with(pass: &str) -> String {
    format!("Farthing-Pass: {pass}\r\n")
}

fn verified(bank: &Bank, answer: &Answer) -> Pass {
    let text = answer.header("farthing-pass").unwrap_or_else(|| panic!("no pass in {answer:?}"));
    Pass::verify(text, &signing_key().verifying_key(), bank.time()).unwrap()
}

#[tokio::test]
async fn a_402_names_the_passes_that_cover_it() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address, selling()).await;
    let answer = get(gate.address, "/paid/x?a=1", "").await;
    let link = format!("<{DAY}>; rel=\"payment\"; title=\"day: 1.00 USD for 1d\"");
    assert_eq!(answer.all("link"), [link.as_str()], "{answer:?}");
    let passes = &answer.problem().extra["passes"];
    assert_eq!(passes.as_array().unwrap().len(), 1);
    assert_eq!((&passes[0]["name"], &passes[0]["url"]), (&"day".into(), &DAY.into()));
    assert_eq!((&passes[0]["price"]["amount"], &passes[0]["lasts"]), (&"1000000".into(), &"1d".into()));
    let page = get(gate.address, "/paid/x?a=1", "Accept: text/html\r\n").await;
    let item =
        format!("<a href=\"{DAY}?then=/paid/x%3Fa%3D1\">All that is &lt;paid&gt;</a>: 1.00 USD for 1d");
    assert!(page.body.contains(&item), "{page:?}");
    // By POST it is not covered, and another path is not.
    assert!(send(gate.address, "POST", "/paid/x", "", "").await.header("link").is_none());
    assert!(get(gate.address, "/all/x", "").await.header("link").is_none());
    assert_eq!(get(gate.address, "/.well-known/farthing/passes/year", "").await.code(), "pass-unknown");
    let refused = send(gate.address, "POST", DAY, "", "").await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
}

#[tokio::test]
async fn a_pass_is_bought_like_a_page_and_opens_what_it_covers() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address, selling()).await;
    let asked = get(gate.address, DAY, "").await;
    assert_eq!((asked.status, &asked.problem().extra["price"]["amount"]), (402, &"1000000".into()));
    let token = bank.token(&DOLLAR);
    let bought = get(gate.address, DAY, &cashu(&token)).await;
    assert_eq!((bought.status, bank.taken()), (200, 1_000_000), "{bought:?}");
    let pass = verified(&bank, &bought);
    let ends = bank.time().after(Span::from_secs(DAY_SECS));
    assert_eq!((pass.expires, pass.payment.as_str()), (ends, bought.receipt().payment.as_str()));
    assert_eq!(bought.receipt().pass_until, Some(ends));
    let text = bought.header("farthing-pass").unwrap();
    let body: serde_json::Value = serde_json::from_str(&bought.body).unwrap();
    assert_eq!((&body["pass"], &body["plan"]), (&text.into(), &"day".into()));
    let cookie = bought.header("set-cookie").unwrap();
    assert!(cookie.starts_with("farthing_pass_day=") && cookie.contains("Path=/; Max-Age=86400"), "{cookie}");

    for (headers, path, status) in [
        (with(text), "/paid/x", 200),
        (with(text), "/paid/y?z", 200),
        (format!("Cookie: a=1; farthing_pass_day={text}\r\n"), "/paid/x", 200),
        (with(text), "/all/x", 402),
        (with(text), "/PAID/x", 402),
        (with(text), "/paid/..%2fall/x", 400),
        (with(&text[..text.len() - 4]), "/paid/x", 402),
    ] {
        let answer = get(gate.address, path, &headers).await;
        assert_eq!(answer.status, status, "{path} {answer:?}");
        assert!(!answer.body.contains(text), "the pass went to the upstream");
    }
    assert_eq!(send(gate.address, "POST", "/paid/x", &with(text), "").await.status, 402);
    assert_eq!(send(gate.address, "HEAD", "/paid/x", &with(text), "").await.status, 200);
    assert_eq!(bank.taken(), 1_000_000, "nothing more was charged");

    // The same credential later is the same pass, and no second charge.
    bank.wait_secs(3_600);
    let again = get(gate.address, DAY, &cashu(&token)).await;
    assert_eq!((again.status, again.header("farthing-pass"), bank.taken()), (200, Some(text), 1_000_000));
    bank.wait_secs(DAY_SECS);
    assert_eq!(get(gate.address, "/paid/x", &with(text)).await.status, 402);
    assert_eq!(get(gate.address, DAY, &cashu(&token)).await.code(), "payment-used");
}

/// What was sold stays good when the plan is gone, because the pass says itself what it covers.
#[tokio::test]
async fn a_pass_outlives_its_plan() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let before = gate(&bank, upstream.address, selling()).await;
    let bought = get(before.address, DAY, &cashu(&bank.token(&DOLLAR))).await;
    let after = gate(&bank, upstream.address, rules()).await;
    assert_eq!(get(after.address, DAY, "").await.code(), "pass-unknown");
    let text = bought.header("farthing-pass").unwrap();
    assert_eq!(get(after.address, "/paid/x", &with(text)).await.status, 200);
}

#[tokio::test]
async fn a_pass_for_what_changes_things_says_so() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address, selling()).await;
    let asked = get(gate.address, "/.well-known/farthing/passes/orders", "").await;
    let paid = credential(&asked, &bank.token(&[262_144, 131_072, 65_536, 32_768, 8_192, 256, 32]), None);
    let bought = get(gate.address, "/.well-known/farthing/passes/orders", &paid).await;
    assert_eq!((bought.status, bank.taken()), (200, 500_000), "{bought:?}");
    let pass = with(bought.header("farthing-pass").unwrap());
    assert_eq!(send(gate.address, "POST", "/once/x", &pass, "an order").await.status, 200);
    assert_eq!(get(gate.address, "/once/x", &pass).await.status, 402);
}

#[tokio::test]
async fn a_pass_that_is_shown_is_extended_from_its_end() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address, selling()).await;
    let first = get(gate.address, DAY, &cashu(&bank.token(&DOLLAR))).await;
    let ends = verified(&bank, &first).expires;
    bank.wait_secs(3_600);
    let shown = with(first.header("farthing-pass").unwrap());
    let asked = get(gate.address, DAY, &shown).await;
    assert_eq!(asked.status, 402, "a pass does not buy another");
    let told = &asked.problem().extra["extends"];
    let payment = verified(&bank, &first).payment;
    assert_eq!(
        (told["payment"].as_str(), told["ends"].as_str()),
        (Some(&*payment), Some(&*ends.to_string()))
    );
    let page = get(gate.address, DAY, &format!("{shown}Accept: text/html\r\n")).await;
    assert!(
        page.body.contains(&format!("You have one until {ends}. This one goes on from there")),
        "{page:?}"
    );
    let token = bank.token(&DOLLAR);
    let second = get(gate.address, DAY, &format!("{shown}{}", cashu(&token))).await;
    assert_eq!(verified(&bank, &second).expires, ends.after(Span::from_secs(DAY_SECS)));
    // A retry that shows nothing any more gets what was bought.
    let again = get(gate.address, DAY, &cashu(&token)).await;
    assert_eq!(again.header("farthing-pass"), second.header("farthing-pass"));
    // One that has ended counts for nothing.
    bank.wait_secs(3 * DAY_SECS);
    let third = get(gate.address, DAY, &format!("{shown}{}", cashu(&bank.token(&DOLLAR)))).await;
    assert_eq!(verified(&bank, &third).expires, bank.time().after(Span::from_secs(DAY_SECS)));
    assert_eq!(bank.taken(), 3_000_000);
}

/// A bundle of which most had come back lent its whole time to the pass that its plan had become.
#[tokio::test]
async fn a_bundle_lends_no_time() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let ten = plan("day", 1_000_000, &["/paid/**"], &[]).uses(10);
    let before = gate(&bank, upstream.address, rules().selling(vec![ten]).unwrap()).await;
    let bundle = get(before.address, DAY, &cashu(&bank.token(&DOLLAR))).await;
    let after = gate(&bank, upstream.address, selling()).await;
    let asked = get(after.address, DAY, &with(bundle.header("farthing-pass").unwrap())).await;
    assert_eq!((asked.status, asked.problem().extra.get("extends")), (402, None));
}

#[tokio::test]
async fn a_browser_goes_back_to_where_it_came_from() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address, selling()).await;
    let html = "Accept: text/html\r\n";
    let path = format!("{DAY}?then=/paid/x%3Fa%3D1");
    let bought = get(gate.address, &path, &format!("{html}{}", cashu(&bank.token(&DOLLAR)))).await;
    assert_eq!((bought.status, bought.header("location")), (303, Some("/paid/x?a=1")), "{bought:?}");
    let cookie = bought.header("set-cookie").unwrap().split(';').next().unwrap();
    assert_eq!(get(gate.address, "/paid/x?a=1", &format!("Cookie: {cookie}\r\n")).await.status, 200);
    let path = format!("{DAY}?then=//evil.example/");
    let bought = get(gate.address, &path, &format!("{html}{}", cashu(&bank.token(&DOLLAR)))).await;
    assert_eq!((bought.status, bought.header("location")), (200, None));
    // A page of another site may ask for leave and pay.
    let asked = "Origin: https://reader.example\r\nAccess-Control-Request-Method: GET\r\n";
    let leave = send(gate.address, "OPTIONS", DAY, asked, "").await;
    assert_eq!((leave.status, leave.header("access-control-allow-origin")), (204, Some("*")), "{leave:?}");
}
