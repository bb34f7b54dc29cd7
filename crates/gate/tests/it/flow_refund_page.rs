//! The page on which people get their money back, as browsers use it: by cookies, with one click, and by nobody else's form.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::support;
use crate::support::bank::{Bank, signing_key, usd};
use crate::support::pay::{Answer, cashu, cent, exchange, get, send};
use crate::support::{Server, start_service};
use farthing_ecash::Token;
use farthing_engine::{Chart, Command, GrantRefund, Refund, RefundTies, RequestTag};
use farthing_gate::crypto::Crypto;
use farthing_gate::limit::{Limiter, WorkLimits};
use farthing_gate::serve::Limits;
use farthing_gate::{Covers, Gate, GateConfig, PassScope, Plan, Proxy, ProxyConfig, Refunds, Rule, Rules};
use farthing_money::{Amount, Span};
use farthing_wire::{Pass, REFUNDS_PATH, RefundCookie};
use tokio::net::TcpStream;

const CENT: u128 = 10_000;
const WITHIN: Span = Span::from_secs(600);
const EASY: Refunds = Refunds { within: WITHIN, per_payer: 70, rate_most: 100 };
/// What a browser says of a form of ours.
const OWN: &str = "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
const PAGE: &str = "Accept: text/html\r\n";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const DAY: &str = "/.well-known/farthing/passes/day";

fn rules(refunds: Refunds) -> Rules {
    let hour = Span::from_secs(3_600);
    let paid = Rule::new("/paid/**", cent()).unwrap().pass(hour, PassScope::Url).refunding(refunds);
    let wide = Rule::new("/wide/**", cent()).unwrap().pass(hour, PassScope::Rule).refunding(refunds);
    let soon = Refunds { within: Span::from_secs(100), ..refunds };
    let soon = Rule::new("/soon/**", cent()).unwrap().refunding(soon);
    let kept = Rule::new("/kept/**", cent()).unwrap();
    let covers = Covers::parse(&["/paid/**".to_owned()], &[]).unwrap();
    let price = usd().money(Amount::new(100 * CENT));
    let day = Span::from_secs(24 * 3_600);
    let week = Plan::new("week", price, covers.clone(), day).unwrap();
    let day = Plan::new("day", price, covers, day).unwrap().refunding(refunds);
    Rules::new(vec![paid, wide, soon, kept]).unwrap().selling(vec![day, week]).unwrap()
}

async fn gate_with(config: GateConfig, upstream: SocketAddr) -> Server {
    let proxy = ProxyConfig::new(format!("http://{upstream}").parse().unwrap());
    start_service(Limits::default(), Gate::new(config, Proxy::new(proxy).unwrap())).await
}

async fn gate(bank: &Arc<Bank>, upstream: SocketAddr) -> Server {
    gate_with(bank.config(rules(EASY)), upstream).await
}

/// A gate on its books, and a person who has paid for nothing yet.
struct Scene {
    bank: Arc<Bank>,
    gate: Server,
    person: Browser,
    _upstream: Server,
}

async fn scene() -> Scene {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    Scene { bank, gate, person: Browser::default(), _upstream: upstream }
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

/// The id in what a button sends.
fn id(button: &str) -> &str {
    button.split('.').next().unwrap()
}

fn worth(given: &Answer) -> u128 {
    Token::decode(token(given)).unwrap().total().unwrap().into()
}

/// The operator gives so much back, for the payer to come for.
fn set_aside(bank: &Arc<Bank>, payment: &str, cents: u128) {
    let payment = payment.parse().unwrap();
    let row = bank.payment(payment).unwrap();
    let grant = GrantRefund {
        payment,
        merchant: row.merchant.clone(),
        asset: usd(),
        marks: row.marks,
        ties: RefundTies::default(),
        amount: Amount::new(cents * CENT),
        code: None,
        why: "it rained".into(),
        tag: RequestTag::from_bytes([1; 16]),
    };
    bank.decide(&Command::Refund(Refund::Grant(grant))).unwrap();
}

/// What the merchant has: taken, less what went back.
fn earned(bank: &Bank) -> u128 {
    (-bank.debit(Chart::of(usd()).merchant("shop").id()).0).try_into().unwrap()
}

#[tokio::test]
async fn a_person_gets_a_payment_back_with_one_click() {
    let Scene { bank, gate, mut person, _upstream } = scene().await;
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
    assert_eq!((worth(&given), earned(&bank)), (CENT, 0));
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
    let Scene { bank, gate, mut person, _upstream } = scene().await;
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
        "Sec-Fetch-Site: none\r\nOrigin: https://evil.example\r\n",
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
    let Scene { bank, gate, mut person, _upstream } = scene().await;
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
    let other_id: [u8; 32] = hex::decode(id(&payment)).unwrap().try_into().unwrap();
    let cookie = RefundCookie { payment: other_id, until: bank.time().after(WITHIN) };
    elsewhere.0[0].1 = cookie.sign(&[99; 32]).unwrap();
    for browser in [&mut stranger, &mut other, &mut forger, &mut elsewhere] {
        let told = browser.click(&gate, &payment).await;
        assert_eq!(code(&told), (400, "refund-unproven"));
        let unknown = browser.click(&gate, &format!("{}.0", "ab".repeat(32))).await;
        assert_eq!(unknown.body, told.body, "no telling which payments there are");
    }
    for browser in [&mut stranger, &mut forger, &mut elsewhere] {
        assert_eq!(browser.list(&gate).await, []);
    }
    assert_eq!(bank.everything(), before);
}

/// A pass for all pages of a rule, and one that was bought, are kept for the whole site: they go with their payment, and only they.
#[tokio::test]
async fn each_payment_comes_back_by_itself_and_takes_its_pass_along() {
    let Scene { bank, gate, mut person, _upstream } = scene().await;
    for path in ["/paid/1", "/paid/2", "/wide/1", DAY] {
        person.pay(&gate, &bank, path).await;
        bank.wait_secs(10);
    }
    let list = person.list(&gate).await;
    let names: Vec<_> = list.iter().map(|(told, _)| told.split(": ").next().unwrap()).collect();
    let page = "http://shop.example/paid/";
    // Whose time is over first stands first.
    assert_eq!(
        names,
        [&format!("{page}1"), &format!("{page}2"), "http://shop.example/wide/1", "the pass day"]
    );
    assert!(list[3].0.contains("1.00 USD, until"), "{list:?}");

    let given = person.click(&gate, &list[3].1).await;
    assert_eq!(worth(&given), 100 * CENT);
    assert!(!person.has("farthing_pass_day") && person.has("farthing_pass"), "{:?}", given.all("set-cookie"));
    assert_eq!(earned(&bank), 3 * CENT);
    token(&person.click(&gate, &list[2].1).await);
    let passes: Vec<_> = person.0.iter().filter(|(name, _, _)| name == "farthing_pass").collect();
    assert_eq!(passes.iter().map(|(_, _, path)| path.as_str()).collect::<Vec<_>>(), ["/paid/1", "/paid/2"]);
    assert_eq!(person.open(&gate, "/wide/1").await.status, 402);
    assert_eq!(person.open(&gate, "/paid/2").await.status, 200, "what was not given back stays open");
    assert_eq!(earned(&bank), 2 * CENT);
}

#[tokio::test]
async fn what_is_set_aside_waits_for_whoever_has_the_pass() {
    let Scene { bank, gate, mut person, _upstream } = scene().await;
    let bought = person.pay(&gate, &bank, "/.well-known/farthing/passes/week").await;
    assert!(!person.0.iter().any(|(name, _, _)| name.starts_with("farthing_refund")), "it has no window");
    assert_eq!(person.list(&gate).await, []);
    let pass =
        Pass::verify(bought.header("farthing-pass").unwrap(), &signing_key().verifying_key(), bank.time());
    set_aside(&bank, &pass.unwrap().payment, 30);
    let list = person.list(&gate).await;
    assert_eq!(list[0].0, "the pass week: 0.30 USD, set aside for you");
    let given = person.click(&gate, &list[0].1).await;
    assert_eq!(worth(&given), 30 * CENT);
    assert!(given.body.contains("0.70 USD of it are kept"), "{given:?}");
    assert!(person.has("farthing_pass_week"), "a part of it ends nothing");
    assert_eq!(person.open(&gate, "/paid/7").await.status, 200);
}

#[tokio::test]
async fn after_its_time_nothing_comes_but_what_came_is_shown_for_a_day() {
    let Scene { bank, gate, mut person, _upstream } = scene().await;
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
    let once = Refunds { per_payer: 1, ..EASY };
    let gate = gate_with(bank.config(rules(once)), upstream.address).await;
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

/// A page had the payments with the most time left: the one whose window was about to end stood behind 32 that had weeks, and could not
/// be given back at all.
#[tokio::test]
async fn what_ends_soonest_is_listed_and_all_that_is_shown_can_be_given_back() {
    let Scene { bank, gate, mut person, _upstream } = scene().await;
    let mut paid = Vec::new();
    for page in 0..40 {
        paid.push(person.pay(&gate, &bank, &format!("/paid/{page}")).await.receipt().payment);
        bank.wait_secs(1);
    }
    person.pay(&gate, &bank, "/soon/1").await;
    let page = person.open(&gate, REFUNDS_PATH).await;
    assert_eq!(page.body.matches("<button").count(), 32);
    assert!(page.body.contains("There are more; these are those whose time is over first"), "{page:?}");
    let names = |list: &[(String, String)]| -> Vec<String> {
        list.iter()
            .map(|(told, _)| told.split(": ").next().unwrap().replace("http://shop.example", ""))
            .collect()
    };
    let list = person.list(&gate).await;
    assert_eq!(names(&list)[..2], ["/soon/1", "/paid/0"]);
    token(&person.click(&gate, &list[0].1).await);
    let after = person.list(&gate).await;
    assert_eq!((after.len(), names(&after)[0].as_str()), (32, "/paid/0"), "what is settled stands behind");
    let hidden = format!("{}.0", paid[39]);
    assert!(!after.iter().any(|(_, button)| *button == hidden));
    token(&person.click(&gate, &hidden).await);
    assert_eq!(earned(&bank), 39 * CENT);
}

/// The form for the 0.30 that was set aside, loaded again, gave back the other 0.70 as well, for which nobody had asked.
#[tokio::test]
async fn a_form_that_is_sent_again_is_one_request() {
    let Scene { bank, gate, mut person, _upstream } = scene().await;
    let payment = person.pay(&gate, &bank, DAY).await.receipt().payment;
    set_aside(&bank, &payment, 30);
    let list = person.list(&gate).await;
    assert_eq!((list.len(), list[0].0.as_str()), (1, "the pass day: 0.30 USD, set aside for you"));
    let given = person.click(&gate, &list[0].1).await;
    assert_eq!(worth(&given), 30 * CENT);
    assert_eq!(person.click(&gate, &list[0].1).await.body, given.body);
    assert_eq!(earned(&bank), 70 * CENT);

    // The credits are shown again without anything else.
    let list = person.list(&gate).await;
    let told: Vec<_> = list.iter().map(|(told, _)| told.as_str()).collect();
    assert_eq!(told, ["the pass day: 0.70 USD, until ", "the pass day: a part of it came back"]);
    assert_eq!(person.click(&gate, &list[1].1).await.body, given.body);
    assert_eq!(earned(&bank), 70 * CENT);
    for place in ["", "01", "+1", "33", "1.1", "-1", "x"] {
        let refused = person.click(&gate, &format!("{payment}.{place}")).await;
        assert_eq!(code(&refused), (400, "refund-malformed"), "{place}");
    }
    assert_eq!(code(&person.click(&gate, &payment).await), (400, "refund-malformed"), "of which step?");
    for place in [2, 32] {
        let refused = person.click(&gate, &format!("{payment}.{place}")).await;
        assert_eq!(code(&refused), (409, "refund-stale"));
        assert!(refused.body.contains("<a href=\"/.well-known/farthing/refunds\">"), "{refused:?}");
    }
    assert_eq!(earned(&bank), 70 * CENT);

    // Pressed twice at once, the rest comes once. It comes with what was not taken in yet.
    let mut twice = person.clone();
    let (one, other) = tokio::join!(person.click(&gate, &list[0].1), twice.click(&gate, &list[0].1));
    assert_eq!((worth(&one), one.body == other.body, earned(&bank)), (100 * CENT, true, 0));
    let done = person.list(&gate).await;
    assert_eq!((done.len(), done[0].0.as_str()), (1, "the pass day: came back"));
    assert_eq!(person.click(&gate, &done[0].1).await.body, one.body);
}

/// Any script of the seller's own pages, an advertisement's as well, could read the list and send the form, and had the money as JSON.
#[tokio::test]
async fn scripts_are_shown_nothing_and_given_nothing() {
    let Scene { bank, gate, mut person, _upstream } = scene().await;
    person.pay(&gate, &bank, "/paid/1").await;
    let payment = person.list(&gate).await[0].1.clone();
    let before = bank.everything();
    for (mode, dest) in [
        ("cors", "empty"),
        ("same-origin", "empty"),
        ("no-cors", "image"),
        ("navigate", "iframe"),
        ("navigate", ""),
        ("", "document"),
        ("", ""),
    ] {
        let mut fields = "Sec-Fetch-Site: same-origin\r\n".to_owned();
        for (name, value) in [("Mode", mode), ("Dest", dest)] {
            if !value.is_empty() {
                let _ = write!(fields, "Sec-Fetch-{name}: {value}\r\n");
            }
        }
        let refused = person.send(&gate, &payment, &format!("{fields}{PAGE}")).await;
        assert_eq!(code(&refused), (403, "refund-by-script"), "{fields}");
        let asked = format!("{fields}{PAGE}{}", person.sent_to(REFUNDS_PATH));
        let refused = get(gate.address, REFUNDS_PATH, &asked).await;
        assert_eq!(code(&refused), (403, "refund-by-script"), "{fields}");
        assert!(!refused.body.contains(id(&payment)) && !refused.body.contains("/paid/1"), "{refused:?}");
    }
    assert_eq!(bank.everything(), before);
    // A form is answered with a page, whatever it says that it takes; and no other site's script reads that.
    let fields = format!("{OWN}Origin: http://shop.example\r\nAccept: application/json\r\n");
    let given = person.send(&gate, &payment, &fields).await;
    assert_eq!(given.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!((worth(&given), given.header("access-control-allow-origin")), (CENT, None));
}

/// The cookie of the pass that was bought in time went, and with it the day that was paid for before.
#[tokio::test]
async fn a_renewed_pass_leaves_the_one_before_it() {
    let Scene { bank, gate, mut person, _upstream } = scene().await;
    person.pay(&gate, &bank, DAY).await;
    bank.wait_secs(10);
    person.pay(&gate, &bank, DAY).await;
    let list = person.list(&gate).await;
    assert_eq!(list.len(), 1, "the later one has the time of the earlier");
    assert_eq!(worth(&person.click(&gate, &list[0].1).await), 100 * CENT);
    assert_eq!(person.open(&gate, "/paid/7").await.status, 200, "a day is paid for");
    bank.wait_secs(24 * 3_600 - 11);
    assert_eq!(person.open(&gate, "/paid/7").await.status, 200);
    bank.wait_secs(2);
    assert_eq!(person.open(&gate, "/paid/7").await.status, 402, "and no more than that");
}

/// When nothing of the plan is left, its cookie goes.
#[tokio::test]
async fn the_last_pass_of_a_plan_is_taken_out() {
    let Scene { bank, gate, mut person, _upstream } = scene().await;
    person.pay(&gate, &bank, DAY).await;
    bank.wait_secs(10);
    let earlier = person.list(&gate).await;
    person.pay(&gate, &bank, DAY).await;
    let refused = person.click(&gate, &earlier[0].1).await;
    assert_eq!(code(&refused), (409, "refund-extended"), "of a list that was true before");
    let later = person.list(&gate).await;
    assert_eq!((later.len(), id(&later[0].1) != id(&earlier[0].1)), (1, true));
    token(&person.click(&gate, &later[0].1).await);
    assert!(person.has("farthing_pass_day"));
    token(&person.click(&gate, &earlier[0].1).await);
    assert!(!person.has("farthing_pass_day"));
    assert_eq!((person.open(&gate, "/paid/7").await.status, earned(&bank)), (402, 0));
}

/// Passes were checked as work beside that of the form itself, and once more when the money had come back: whoever shares an
/// address with a forger had no room for both, and could lose the answer.
#[tokio::test]
async fn who_can_do_one_thing_at_a_time_gets_a_payment_back() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let open = gate(&bank, upstream.address).await;
    let mut config = bank.config(rules(EASY));
    let work = WorkLimits { per_second: 1, burst: 1 };
    config.crypto = Crypto::new(1).unwrap().limited(Limiter::new(work, config.clock.clone(), Vec::new()));
    let limited = gate_with(config, upstream.address).await;
    let mut person = Browser::default();
    person.pay(&open, &bank, DAY).await;
    let button = person.list(&open).await[0].1.clone();
    let mut connection = TcpStream::connect(limited.address).await.unwrap();
    let host = "Host: shop.example\r\n";
    let forged = format!("GET /paid/1 HTTP/1.1\r\n{host}Farthing-Pass: x\r\n\r\n");
    assert_eq!(exchange(&mut connection, &forged).await.status, 402);
    assert_eq!(exchange(&mut connection, &forged).await.status, 429, "nothing is left");
    bank.wait_secs(1);
    let form = format!("payment={button}");
    let fields = format!("{host}{FORM}{OWN}{PAGE}{}", person.sent_to(REFUNDS_PATH));
    let length = form.len();
    let request = format!("POST {REFUNDS_PATH} HTTP/1.1\r\n{fields}Content-Length: {length}\r\n\r\n{form}");
    for _ in 0..2 {
        let given = exchange(&mut connection, &request).await;
        assert_eq!((worth(&given), earned(&bank)), (100 * CENT, 0));
        assert!(given.header("set-cookie").unwrap().starts_with("farthing_pass_day=;"), "{given:?}");
    }
}

#[tokio::test]
async fn the_methods_of_the_page_are_told() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    for (method, accepts) in [("GET", ""), ("PUT", ""), ("DELETE", PAGE)] {
        let refused = send(gate.address, method, REFUNDS_PATH, accepts, "").await;
        assert_eq!((refused.status, refused.code().as_str()), (405, "method-refused"), "{method}");
        assert_eq!(refused.header("allow"), Some("GET, HEAD, POST, OPTIONS"));
        assert!(refused.body.contains("text/html"), "how people get the list: {refused:?}");
    }
    let head = send(gate.address, "HEAD", REFUNDS_PATH, PAGE, "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}
