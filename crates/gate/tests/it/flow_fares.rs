//! Fare caps between real sockets: single payments count toward a pass, and past it nothing more is charged.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::support;
use crate::support::bank::{Bank, signing_key, usd};
use crate::support::pay::{Answer, cashu, cent, credential, get, rules};
use crate::support::site::Site;
use crate::support::{Server, start_service};
use farthing_engine::Read;
use farthing_gate::serve::Limits;
use farthing_gate::{Covers, Gate, Plan, Proxy, ProxyConfig, Refunds, Rule, Rules};
use farthing_money::{Amount, Span};
use farthing_wire::mpp::{self, credit};
use farthing_wire::{Fare, Pass, REFUNDS_PATH};
use http::StatusCode;

const DAY: &str = "/.well-known/farthing/passes/day";
/// What a page costs: a cent.
const CENT: u128 = 10_000;
/// What the day costs: two and a half pages.
const CAP: u128 = 25_000;

async fn gate(bank: &Arc<Bank>, upstream: SocketAddr) -> Server {
    gate_of(bank, upstream, rules()).await
}

async fn gate_of(bank: &Arc<Bank>, upstream: SocketAddr, rules: Rules) -> Server {
    let covers = Covers::parse(&["/paid/**".to_owned()], &[]).unwrap();
    let price = usd().money(Amount::new(CAP));
    let day = Plan::new("day", price, covers, Span::from_secs(24 * 3_600)).unwrap().capping();
    let rules = rules.selling(vec![day]).unwrap();
    let config = ProxyConfig::new(format!("http://{upstream}").parse().unwrap());
    start_service(Limits::default(), Gate::new(bank.config(rules), Proxy::new(config).unwrap())).await
}

/// A token of a cent and more, so that there is change.
fn token(bank: &Bank) -> String {
    bank.token(&[16_384])
}

fn fare(answer: &Answer) -> String {
    let text = answer.header("farthing-fare").unwrap_or_else(|| panic!("no fare in {answer:?}"));
    format!("Farthing-Fare: {text}\r\n")
}

fn price(answer: &Answer) -> u128 {
    answer.problem().extra["price"]["amount"].as_str().unwrap().parse().unwrap()
}

fn pass(bank: &Bank, answer: &Answer) -> Pass {
    Pass::verify(answer.header("farthing-pass").unwrap(), &signing_key().verifying_key(), bank.time())
        .unwrap()
}

/// The list had buttons for payments of a fare that was paid, and each was refused.
#[tokio::test]
async fn what_has_paid_a_fare_is_not_offered_back() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let refunds = Refunds { within: Span::from_secs(600), per_payer: 9, rate_most: 100 };
    let rules = Rules::new(vec![Rule::new("/paid/**", cent()).unwrap().refunding(refunds)]).unwrap();
    let gate = gate_of(&bank, upstream.address, rules).await;
    let (mut fare_field, mut cookies) = (String::new(), Vec::new());
    for (page, offered) in [1, 2, 0].into_iter().enumerate() {
        let (path, fields) = (format!("/paid/{page}"), format!("{fare_field}{}", cashu(&token(&bank))));
        let paid = get(gate.address, &path, &fields).await;
        fare_field = fare(&paid);
        let own = paid.all("set-cookie").into_iter().filter(|cookie| cookie.starts_with("farthing_refund_"));
        cookies.extend(own.map(|cookie| cookie.split(';').next().unwrap().to_owned()));
        assert_eq!(cookies.len(), page + 1);
        let fields = format!("Accept: text/html\r\nCookie: {}\r\n", cookies.join("; "));
        let list = get(gate.address, REFUNDS_PATH, &fields).await;
        assert_eq!((list.status, list.body.matches("<button").count()), (200, offered), "{list:?}");
    }
}

#[tokio::test]
async fn single_payments_count_and_past_the_cap_all_is_free() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let first = get(gate.address, "/paid/1", &cashu(&token(&bank))).await;
    assert_eq!((first.status, bank.taken()), (200, CENT), "{first:?}");
    let text = first.header("farthing-fare").unwrap();
    let known = Fare::verify(text, &signing_key().verifying_key(), bank.time()).unwrap();
    assert_eq!((known.plan.as_str(), known.expires), ("day", bank.time().after(Span::from_secs(86_400))));
    let cookies = first.all("set-cookie");
    let cookie = cookies.iter().find(|cookie| cookie.starts_with("farthing_fare_day=")).unwrap();
    let fare = fare(&first);
    assert!(!first.body.contains("farthing-fare"), "the upstream is not told");

    let second = get(gate.address, "/paid/2", &format!("{fare}{}", cashu(&token(&bank)))).await;
    assert_eq!((second.status, bank.taken()), (200, 2 * CENT));
    // What is left is the price, for whoever brings the fare, and the pass itself costs no more either.
    let asked = get(gate.address, "/paid/3", &fare).await;
    assert_eq!((asked.status, price(&asked)), (402, CAP - 2 * CENT));
    let by_cookie = format!("Cookie: a=1; {}\r\n", cookie.split(';').next().unwrap());
    assert_eq!(price(&get(gate.address, "/paid/3", &by_cookie).await), CAP - 2 * CENT);
    assert_eq!(price(&get(gate.address, "/paid/3", "").await), CENT);
    assert_eq!(price(&get(gate.address, "/all/3", &fare).await), CENT, "not covered");
    assert_eq!(price(&get(gate.address, DAY, &fare).await), CAP - 2 * CENT);

    let paying = format!("{fare}{}", cashu(&token(&bank)));
    let third = get(gate.address, "/paid/3", &paying).await;
    assert_eq!((third.status, third.receipt().amount.value(), bank.taken()), (200, 5_000, CAP));
    let day = pass(&bank, &third);
    assert_eq!((day.expires, day.bought.as_ref().unwrap().plan.as_str()), (known.expires, "day"));

    // A retry of the last payment is still the same payment, with its change.
    let again = get(gate.address, "/paid/3", &paying).await;
    assert_eq!((again.status, again.header("x-cashu")), (200, third.header("x-cashu")));
    // Free by the pass, by the fare alone, and for a credential that comes all the same.
    let by_pass = format!("Farthing-Pass: {}\r\n", third.header("farthing-pass").unwrap());
    assert_eq!(get(gate.address, "/paid/4", &by_pass).await.status, 200);
    let by_fare = get(gate.address, "/paid/5", &fare).await;
    assert_eq!((by_fare.status, pass(&bank, &by_fare).expires), (200, known.expires));
    let token = bank.credits(&[16_384]);
    let text = farthing_ecash::Token::new(support::bank::MINT, usd().unit(), None, token.clone()).encode();
    let kept = get(gate.address, "/paid/6", &format!("{fare}{}", cashu(&text))).await;
    assert_eq!(
        (kept.status, kept.header("farthing-charge"), bank.state(&token[0])),
        (200, Some("none"), "unspent")
    );
    assert_eq!(bank.taken(), CAP);
    // Until it ends.
    bank.wait_secs(86_400);
    assert_eq!(price(&get(gate.address, "/paid/7", &fare).await), CENT);
    assert_eq!(get(gate.address, "/paid/7", &by_pass).await.status, 402);
}

/// A fare ties pages together while they are under way. Once they are charged no row, no entry and no line of the journal does.
#[tokio::test]
async fn what_counted_in_a_fare_is_not_in_the_books() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let asker = "X-Forwarded-For: 203.0.113.77\r\nUser-Agent: planted/1\r\n";
    let mut brought = String::new();
    for page in 1..=2 {
        let paying = format!("{asker}{brought}{}", cashu(&token(&bank)));
        brought = fare(&get(gate.address, &format!("/paid/{page}"), &paying).await);
    }
    let (id, row) = bank.rows.fares_after(None, 2).unwrap().remove(0);
    assert_eq!(row.spent, Amount::new(2 * CENT));
    assert_eq!(bank.tables_with(id.as_bytes()), ["fares"]);
    for planted in [&b"planted"[..], b"203.0.113", &[203, 0, 113]] {
        assert_eq!(bank.tables_with(planted), [""; 0], "{planted:?}");
    }
    assert!(!bank.tables_with(b"/paid/2").is_empty(), "bytes that are there are found");
}

/// Went wrong in the design: a price that a fare has lowered would have been paid without the fare, again and again.
#[tokio::test]
async fn a_lowered_price_holds_for_its_fare_alone() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let mut brought = String::new();
    for page in 1..=2 {
        let paying = format!("{brought}{}", cashu(&token(&bank)));
        brought = fare(&get(gate.address, &format!("/paid/{page}"), &paying).await);
    }
    let asked = get(gate.address, "/paid/3", &brought).await;
    let challenge = &mpp::Challenge::parse_all(&asked.all("www-authenticate"))[0];
    assert_eq!(credit::Request::of(challenge).unwrap().amount, Amount::new(5_000));
    let paying = credential(&asked, &token(&bank), None);
    let refused = get(gate.address, "/paid/3", &paying).await;
    assert_eq!((refused.status, refused.code()), (402, "challenge-elsewhere".to_owned()));
    let paid = get(gate.address, "/paid/3", &format!("{brought}{paying}")).await;
    assert_eq!((paid.status, bank.taken()), (200, CAP), "{paid:?}");
    // One that was made at the full price is good with the fare as well, and charges what is left.
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = self::gate(&bank, upstream.address).await;
    let asked = get(gate.address, "/paid/1", "").await;
    let paying = credential(&asked, &token(&bank), None);
    let first = get(gate.address, "/paid/1", &paying).await;
    let again = get(gate.address, "/paid/1", &format!("{}{paying}", fare(&first))).await;
    assert_eq!((again.status, again.header("farthing-fare")), (200, first.header("farthing-fare")));
    assert_eq!(bank.taken(), CENT);
}

#[tokio::test]
async fn what_fails_does_not_count() {
    let (bank, site) = (Bank::new(), Site::new());
    let upstream = site.open().await;
    let gate = gate(&bank, upstream.address).await;
    let brought = fare(&get(gate.address, "/paid/1", &cashu(&token(&bank))).await);
    *site.status.lock().unwrap() = StatusCode::NOT_FOUND;
    let paying = format!("{brought}{}", cashu(&token(&bank)));
    let failed = get(gate.address, "/paid/2", &paying).await;
    assert_eq!((failed.status, bank.taken()), (404, CENT));
    assert_eq!(price(&get(gate.address, DAY, &brought).await), CAP - CENT);
    *site.status.lock().unwrap() = StatusCode::OK;
    assert_eq!(get(gate.address, "/paid/2", &paying).await.status, 200);
    assert_eq!(price(&get(gate.address, DAY, &brought).await), CAP - 2 * CENT);
}

#[tokio::test]
async fn sixty_four_at_once_pay_no_more_than_the_cap() {
    let (bank, site) = (Bank::new(), Site::waiting());
    let upstream = site.open().await;
    let gate = gate(&bank, upstream.address).await;
    site.go.add_permits(1);
    let brought = fare(&get(gate.address, "/paid/1", &cashu(&token(&bank))).await);
    site.go.add_permits(100_000);
    let asks = (0..64).map(|page| {
        let (address, brought, token) = (gate.address, brought.clone(), token(&bank));
        tokio::spawn(async move {
            let paying = format!("{brought}{}", cashu(&token));
            loop {
                let answer = get(address, &format!("/paid/{page}/x"), &paying).await;
                // Others hold what is left: a moment later it is paid, or free again.
                if answer.status != 409 {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        })
    });
    let asks: Vec<_> = asks.collect();
    let mut charged = 0;
    for ask in asks {
        let answer = ask.await.unwrap();
        assert!([200, 402].contains(&answer.status), "{answer:?}");
        charged += u128::from(answer.header("farthing-receipt").is_some());
    }
    assert_eq!(bank.taken(), CAP, "{charged} were charged");
    assert_eq!(get(gate.address, "/paid/last", &brought).await.status, 200);
}

/// The singles count toward the pass that is bought, which lasts from then on.
#[tokio::test]
async fn who_buys_the_pass_pays_what_is_left_of_it() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let shown = fare(&get(gate.address, "/paid/1", &cashu(&token(&bank))).await);
    bank.wait_secs(3_600);
    let bought = get(gate.address, DAY, &format!("{shown}{}", cashu(&token(&bank)))).await;
    assert_eq!((bought.status, bank.taken()), (200, CAP), "{bought:?}");
    assert_eq!(pass(&bank, &bought).expires, bank.time().after(Span::from_secs(86_400)));
    // The fare is paid: another pass costs what a pass costs.
    assert_eq!(price(&get(gate.address, DAY, &shown).await), CAP);
}
