//! The page on which people get their money back, as browsers use it: by cookies, with one click, and by nobody else's form.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use farthing_ecash::Token;
use farthing_engine::{Chart, Command, GrantRefund, Refund, RequestTag};
use farthing_gate::serve::Limits;
use farthing_gate::{Covers, Gate, PassScope, Plan, Proxy, ProxyConfig, Refunds, Rule, Rules};
use farthing_money::{Amount, Span};
use farthing_wire::{Pass, REFUNDS_PATH, RefundCookie};
use support::bank::{Bank, signing_key, usd};
use support::pay::{Answer, cashu, cent, get, send};
use support::{Server, start_service};

const CENT: u128 = 10_000;
const WITHIN: Span = Span::from_secs(600);
const OWN: &str = "Sec-Fetch-Site: same-origin\r\n";
const PAGE: &str = "Accept: text/html\r\n";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const DAY: &str = "/.well-known/farthing/passes/day";

async fn gate_with(bank: &Arc<Bank>, upstream: SocketAddr, refunds: Refunds) -> Server {
    let hour = Span::from_secs(3_600);
    let paid = Rule::new("/paid/**", cent()).unwrap().pass(hour, PassScope::Url).refunding(refunds);
    let wide = Rule::new("/wide/**", cent()).unwrap().pass(hour, PassScope::Rule).refunding(refunds);
    let kept = Rule::new("/kept/**", cent()).unwrap();
    let covers = Covers::parse(&["/paid/**".to_owned()], &[]).unwrap();
    let price = usd().money(Amount::new(100 * CENT));
    let day = Span::from_secs(24 * 3_600);
    let week = Plan::new("week", price, covers.clone(), day).unwrap();
    let day = Plan::new("day", price, covers, day).unwrap().refunding(refunds);
    let rules = Rules::new(vec![paid, wide, kept]).unwrap().selling(vec![day, week]).unwrap();
    let config = ProxyConfig::new(format!("http://{upstream}").parse().unwrap());
    start_service(Limits::default(), Gate::new(bank.config(rules), Proxy::new(config).unwrap())).await
}

async fn gate(bank: &Arc<Bank>, upstream: SocketAddr) -> Server {
    gate_with(bank, upstream, Refunds { within: WITHIN, per_payer: 70, rate_most: 100 }).await
}

/// A browser: it keeps cookies, and sends each where its path says.
#[derive(Clone, Default)]
struct Browser(Vec<(String, String, String)>);

impl Browser {
    fn keep(&mut self, answer: &Answer) {
        for field in answer.all("set-cookie") {
            let (name, rest) = field.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            let path = rest.split("; Path=").nth(1).unwrap().split(';').next().unwrap();
            self.0.retain(|(own, _, place)| own != name || place != path);
            if !field.contains("Max-Age=0;") {
                self.0.push((name.to_owned(), value.to_owned(), path.to_owned()));
            }
        }
    }

    fn sent_to(&self, path: &str) -> String {
        let meant = |place: &str| place == "/" || path.split('?').next() == Some(place);
        let pairs = self.0.iter().filter(|(_, _, place)| meant(place));
        let pairs: Vec<_> = pairs.map(|(name, value, _)| format!("{name}={value}")).collect();
        if pairs.is_empty() { String::new() } else { format!("Cookie: {}\r\n", pairs.join("; ")) }
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _, _)| own == name)
    }

    async fn open(&mut self, gate: &Server, path: &str) -> Answer {
        let answer = get(gate.address, path, &format!("{PAGE}{}", self.sent_to(path))).await;
        self.keep(&answer);
        answer
    }

    async fn pay(&mut self, gate: &Server, bank: &Bank, path: &str) -> Answer {
        let token = cashu(&bank.token(&[if path.contains("passes") { 1_048_576 } else { 16_384 }]));
        let paid = get(gate.address, path, &format!("{token}{}", self.sent_to(path))).await;
        assert_eq!(paid.status, 200, "{paid:?}");
        self.keep(&paid);
        paid
    }

    /// What the page lists: what it was and how it stands, and what its button sends.
    async fn list(&mut self, gate: &Server) -> Vec<(String, String)> {
        let page = self.open(gate, REFUNDS_PATH).await;
        assert_eq!(page.status, 200, "{page:?}");
        let lines = page.body.split("<li>").skip(1);
        let told = |line: &str| line.split("\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
        lines.map(|line| (told(line), between(line, "value=\"", "\"").to_owned())).collect()
    }

    async fn click(&mut self, gate: &Server, payment: &str) -> Answer {
        self.send(gate, payment, &format!("{OWN}{PAGE}")).await
    }

    async fn send(&mut self, gate: &Server, payment: &str, fields: &str) -> Answer {
        let fields = format!("{FORM}{fields}{}", self.sent_to(REFUNDS_PATH));
        let answer = send(gate.address, "POST", REFUNDS_PATH, &fields, &format!("payment={payment}")).await;
        self.keep(&answer);
        answer
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split(before).nth(1).unwrap_or_else(|| panic!("{before} in {text}")).split(after).next().unwrap()
}

fn token(given: &Answer) -> &str {
    assert_eq!(given.status, 200, "{given:?}");
    between(&given.body, "readonly>", "</textarea>")
}

/// The code on a page that says why nothing came.
fn code(refused: &Answer) -> (u16, &str) {
    assert!(refused.header("content-type").unwrap().starts_with("text/html"), "{refused:?}");
    (refused.status, between(&refused.body, "<code>", "</code>"))
}

/// What the merchant has: taken, less what went back.
fn earned(bank: &Bank) -> u128 {
    (-bank.debit(Chart::of(usd()).merchant("shop").id()).0).try_into().unwrap()
}

#[tokio::test]
async fn a_person_gets_a_payment_back_with_one_click() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let mut person = Browser::default();
    let asked = person.open(&gate, "/paid/1").await;
    assert!(asked.body.contains("<a href=\"/.well-known/farthing/refunds\">"), "told beforehand: {asked:?}");
    let paid = person.pay(&gate, &bank, "/paid/1?q=secret").await;
    let cookies = paid.all("set-cookie");
    let cookie = cookies.iter().find(|cookie| cookie.starts_with("farthing_refund_")).unwrap();
    // As long as the window, and a day.
    let kept = "; Path=/.well-known/farthing/refunds; Max-Age=87000; HttpOnly; SameSite=Lax";
    assert!(cookie.ends_with(kept), "{cookie}");
    assert_eq!(person.open(&gate, "/paid/1?q=secret").await.status, 200);

    let before = bank.everything();
    let page = person.open(&gate, REFUNDS_PATH).await;
    assert_eq!(bank.everything(), before, "to look changes nothing");
    let until = bank.time().after(WITHIN);
    let line = format!("http://shop.example/paid/1: 0.01 USD, until <time datetime=\"{until}\">");
    assert!(page.body.contains(&line) && !page.body.contains("secret"), "{page:?}");
    for (name, value) in [
        ("cache-control", "private, no-store"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), Some(value));
    }
    let policy = page.header("content-security-policy").unwrap();
    for part in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'"] {
        assert!(policy.contains(part), "{policy}");
    }

    let list = person.list(&gate).await;
    let given = person.click(&gate, &list[0].1).await;
    assert!(
        given.body.contains("Nothing of it was kept") && given.body.contains("farthing wallet receive -")
    );
    assert_eq!(given.header("cache-control"), Some("private, no-store"));
    let worth = Token::decode(token(&given)).unwrap().total().unwrap();
    assert_eq!((u128::from(worth), earned(&bank)), (CENT, 0));
    assert_ne!(bank.everything(), before);

    // Loaded again, and pressed again on the list, it is the same and comes once.
    assert_eq!(person.click(&gate, &list[0].1).await.body, given.body);
    assert_eq!(person.list(&gate).await[0].0, "http://shop.example/paid/1: came back");
    assert_eq!(earned(&bank), 0);
    assert_eq!(person.open(&gate, "/paid/1?q=secret").await.status, 402, "its pass is refused");
    assert_eq!(get(gate.address, "/kept/1", &cashu(token(&given))).await.status, 200, "it is money");
}

/// Cookies come along whoever has made the browser send a form.
#[tokio::test]
async fn forms_of_other_sites_give_nothing_back() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let mut person = Browser::default();
    person.pay(&gate, &bank, "/paid/1").await;
    let payment = person.list(&gate).await[0].1.clone();
    let before = bank.everything();
    for foreign in [
        "",
        "Origin: null\r\n",
        "Origin: https://evil.example\r\n",
        "Origin: http://shop.example:81\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\nOrigin: http://shop.example\r\n",
    ] {
        let refused = person.send(&gate, &payment, &format!("{foreign}{PAGE}")).await;
        assert_eq!(code(&refused), (403, "refund-cross-origin"), "{foreign}");
        assert_eq!(refused.header("access-control-allow-origin"), None);
        let refused = person.send(&gate, &payment, foreign).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "refund-cross-origin"));
    }
    assert_eq!(bank.everything(), before);
    // A browser without Fetch Metadata says its origin.
    let given = person.send(&gate, &payment, &format!("Origin: http://shop.example\r\n{PAGE}")).await;
    assert_eq!((token(&given).is_empty(), earned(&bank)), (false, 0));
}

/// Who shows nothing is told the same of every payment, whether it is in the books or not.
#[tokio::test]
async fn nothing_comes_and_nothing_is_told_without_the_cookie() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let mut person = Browser::default();
    person.pay(&gate, &bank, "/paid/1").await;
    let payment = person.list(&gate).await[0].1.clone();
    let mut other = Browser::default();
    other.pay(&gate, &bank, "/paid/1").await;
    let before = bank.everything();
    let mut stranger = Browser::default();
    let mut forger = Browser(person.0.clone());
    forger.0.retain(|(name, _, _)| name.starts_with("farthing_refund"));
    for (_, value, _) in &mut forger.0 {
        let known: String = value.chars().rev().collect();
        *value = known;
    }
    // Signed as another gate would.
    let mut elsewhere = Browser(forger.0.clone());
    let id: [u8; 32] = hex::decode(&payment).unwrap().try_into().unwrap();
    let cookie = RefundCookie { payment: id, until: bank.time().after(WITHIN) };
    elsewhere.0[0].1 = cookie.sign(&[99; 32]).unwrap();
    for browser in [&mut stranger, &mut other, &mut forger, &mut elsewhere] {
        let told = browser.click(&gate, &payment).await;
        assert_eq!(code(&told), (400, "refund-unproven"));
        let unknown = browser.click(&gate, &"ab".repeat(32)).await;
        assert_eq!(unknown.body, told.body, "no telling which payments there are");
    }
    for browser in [&mut stranger, &mut forger, &mut elsewhere] {
        assert_eq!(browser.list(&gate).await, []);
    }
    assert_eq!(bank.everything(), before);
    assert_eq!(get(gate.address, REFUNDS_PATH, "").await.status, 405, "programs have POST");
}

/// A pass for all pages of a rule, and one that was bought, are kept for the whole site: they go with their payment, and only they.
#[tokio::test]
async fn each_payment_comes_back_by_itself_and_takes_its_pass_along() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let mut person = Browser::default();
    for path in ["/paid/1", "/paid/2", "/wide/1", DAY] {
        person.pay(&gate, &bank, path).await;
        bank.wait_secs(10);
    }
    let list = person.list(&gate).await;
    let names: Vec<_> = list.iter().map(|(told, _)| told.split(": ").next().unwrap()).collect();
    let page = "http://shop.example/paid/";
    // Those whose pass is shown here stand before the others, which come last one first.
    assert_eq!(
        names,
        ["http://shop.example/wide/1", "the pass day", &format!("{page}2"), &format!("{page}1")]
    );
    assert!(list[1].0.contains("1.00 USD, until"), "{list:?}");

    let given = person.click(&gate, &list[1].1).await;
    assert_eq!(u128::from(Token::decode(token(&given)).unwrap().total().unwrap()), 100 * CENT);
    assert!(!person.has("farthing_pass_day") && person.has("farthing_pass"), "{:?}", given.all("set-cookie"));
    assert_eq!(earned(&bank), 3 * CENT);
    token(&person.click(&gate, &list[0].1).await);
    let passes: Vec<_> = person.0.iter().filter(|(name, _, _)| name == "farthing_pass").collect();
    assert_eq!(passes.iter().map(|(_, _, path)| path.as_str()).collect::<Vec<_>>(), ["/paid/1", "/paid/2"]);
    assert_eq!(person.open(&gate, "/wide/1").await.status, 402);
    assert_eq!(person.open(&gate, "/paid/2").await.status, 200, "what was not given back stays open");
    assert_eq!(earned(&bank), 2 * CENT);
}

#[tokio::test]
async fn what_is_set_aside_waits_for_whoever_has_the_pass() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let mut person = Browser::default();
    let bought = person.pay(&gate, &bank, "/.well-known/farthing/passes/week").await;
    assert!(!person.0.iter().any(|(name, _, _)| name.starts_with("farthing_refund")), "it has no window");
    assert_eq!(person.list(&gate).await, []);
    let pass =
        Pass::verify(bought.header("farthing-pass").unwrap(), &signing_key().verifying_key(), bank.time());
    let payment = pass.unwrap().payment.parse().unwrap();
    let row = bank.payment(payment).unwrap();
    let grant = GrantRefund {
        payment,
        merchant: row.merchant.clone(),
        asset: usd(),
        marks: row.marks,
        fare: None,
        amount: Amount::new(30 * CENT),
        code: None,
        why: "it rained".into(),
        tag: RequestTag::from_bytes([1; 16]),
    };
    bank.decide(&Command::Refund(Refund::Grant(grant))).unwrap();
    let list = person.list(&gate).await;
    assert_eq!(list[0].0, "the pass week: 0.30 USD, set aside for you");
    let given = person.click(&gate, &list[0].1).await;
    assert_eq!(u128::from(Token::decode(token(&given)).unwrap().total().unwrap()), 30 * CENT);
    assert!(given.body.contains("0.70 USD of it are kept"), "{given:?}");
    assert!(person.has("farthing_pass_week"), "a part of it ends nothing");
    assert_eq!(person.open(&gate, "/paid/7").await.status, 200);
}

#[tokio::test]
async fn after_its_time_nothing_comes_but_what_came_is_shown_for_a_day() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let mut person = Browser::default();
    person.pay(&gate, &bank, "/paid/1").await;
    person.pay(&gate, &bank, "/paid/2").await;
    let list = person.list(&gate).await;
    let given = person.click(&gate, &list[0].1).await;
    bank.wait_secs(600);
    let late = person.click(&gate, &list[1].1).await;
    assert_eq!(code(&late), (409, "refund-over"));
    assert!(late.body.contains("ask the seller"), "{late:?}");
    assert_eq!(person.click(&gate, &list[0].1).await.body, given.body, "an answer may have been lost");
    let left = person.list(&gate).await;
    assert_eq!((left.len(), left[0].1.as_str()), (1, list[0].1.as_str()));
    bank.wait_secs(24 * 3_600);
    assert_eq!(code(&person.click(&gate, &list[0].1).await), (400, "refund-unproven"));
    assert_eq!((person.list(&gate).await.len(), earned(&bank)), (0, CENT));
}

#[tokio::test]
async fn refusals_are_pages_for_people_and_problems_for_programs() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate =
        gate_with(&bank, upstream.address, Refunds { within: WITHIN, per_payer: 1, rate_most: 100 }).await;
    let mut person = Browser::default();
    person.pay(&gate, &bank, "/paid/1").await;
    person.pay(&gate, &bank, "/paid/2").await;
    let list = person.list(&gate).await;
    token(&person.click(&gate, &list[0].1).await);
    let refused = person.click(&gate, &list[1].1).await;
    assert_eq!(code(&refused), (429, "refund-payer-limit"));
    assert!(refused.header("retry-after").is_some());
    let refused = person.send(&gate, &list[1].1, OWN).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "refund-payer-limit"));
    assert_eq!(code(&person.click(&gate, "nonsense").await), (400, "refund-malformed"));
    assert_eq!(
        code(&person.click(&gate, &format!("{0}&payment={0}", list[0].1)).await),
        (400, "refund-malformed")
    );
    // What curl sends without a word is the JSON that it was before.
    let receipt = format!(
        "{{\"receipt\":\"{}\"}}",
        person.pay(&gate, &bank, "/paid/3").await.header("farthing-receipt").unwrap()
    );
    let by_json = send(gate.address, "POST", REFUNDS_PATH, FORM, &receipt).await;
    assert_eq!((by_json.status, by_json.code().as_str()), (429, "refund-payer-limit"));
}

/// A request asks the books for so many payments and no more, whatever cookies it brings.
#[tokio::test]
async fn a_page_looks_at_few_payments() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let mut person = Browser::default();
    for page in 0..40 {
        person.pay(&gate, &bank, &format!("/paid/{page}")).await;
        bank.wait_secs(1);
    }
    let page = person.open(&gate, REFUNDS_PATH).await;
    assert_eq!(page.body.matches("<button").count(), 32);
    assert!(page.body.contains("There are more"), "{page:?}");
    let list = person.list(&gate).await;
    let first = list[0].0.split(": ").next();
    assert_eq!(first, Some("http://shop.example/paid/39"), "the last one is what somebody did not like");
    token(&person.click(&gate, &list[31].1).await);
}
