//! Prices by what was used, where that is counted while the answer flows: slow streams, payers who leave, upstreams that break
//! off, the ceiling, and a crash in the middle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::bank::Bank;
use crate::support::chain::{TestChain, payload};
use crate::support::meter::{meter, metered, purse};
use crate::support::pay::{Answer, cashu, cent, get};
use crate::support::{raw, raw_upstream, read_until, start, start_service};
use farthing_engine::{Keyring, PaymentId, PaymentState};
use farthing_gate::chain::Chains;
use farthing_gate::serve::Limits;
use farthing_gate::{Body, Gate, GateConfig, Meter, Proxy, ProxyConfig, Refunds, Rule, Rules};
use farthing_money::{Amount, Span};
use farthing_wire::x402::PaymentRequired;
use farthing_wire::{MeterEnd, REFUNDS_PATH};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
const TEXT: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n";

/// What an upstream does next.
enum Say {
    Text(String),
    /// It resets the connection.
    Break,
}

/// An upstream that says what a test tells it, to one client.
async fn told() -> (SocketAddr, mpsc::UnboundedSender<Say>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
    let address = raw_upstream(move |_, mut stream| {
        let receiver = Arc::clone(&receiver);
        async move {
            read_until(&mut stream, "\r\n\r\n").await;
            let mut receiver = receiver.lock().await;
            while let Some(Say::Text(text)) = receiver.recv().await {
                if stream.write_all(text.as_bytes()).await.is_err() {
                    // Nobody listens any more.
                    return receiver.close();
                }
            }
        }
    })
    .await;
    (address, sender)
}

/// An upstream that says one thing and closes.
async fn saying(text: String) -> SocketAddr {
    let (address, sender) = told().await;
    sender.send(Say::Text(text)).ok();
    sender.send(Say::Break).ok();
    address
}

/// The body of an answer that comes in chunks, and whether it ended as it should.
fn unchunked(body: &str) -> (String, bool) {
    let (mut rest, mut text) = (body, String::new());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        if size == 0 {
            return (text, true);
        }
        if after.len() < size {
            return (text + after, false);
        }
        text.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
    }
    (text, false)
}

/// The last event of a stream.
fn last_event(text: &str) -> Value {
    let (_, last) =
        text.rsplit_once("event: farthing\ndata: ").unwrap_or_else(|| panic!("no last event in {text}"));
    serde_json::from_str(last.lines().next().unwrap()).unwrap()
}

/// Waits until something is so.
async fn until(mut is_so: impl FnMut() -> bool) {
    let waited = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.unwrap();
}

async fn ask(gate: SocketAddr, fields: &str) -> TcpStream {
    let mut stream = TcpStream::connect(gate).await.unwrap();
    let request = format!("GET /x HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

fn charged(bank: &Arc<Bank>, payment: PaymentId) -> u128 {
    bank.payment(payment).map_or(0, |row| row.charged.value())
}

#[tokio::test]
async fn a_stream_of_events_flows_and_its_last_event_has_receipt_and_change() {
    let bank = Bank::new();
    let (upstream, say) = told().await;
    let gate = metered(&bank, upstream, meter("events", 100, 1)).await;
    let (_, token, payment) = purse(&bank);
    let mut stream = ask(gate.address, &cashu(&token)).await;
    say.send(Say::Text(format!("{EVENTS}data: one\n\n"))).ok();
    let head = read_until(&mut stream, "data: one").await;
    assert!(head.contains("farthing-meter: by=events; each=0.0001 USD; per=1; most=0.01 USD\r\n"), "{head}");
    assert_eq!(bank.payment(payment).unwrap().state, PaymentState::Held, "it flows before it is charged");
    let second = get(gate.address, "/x", &cashu(&token)).await;
    assert_eq!((second.status, second.code().as_str()), (409, "payment-under-way"));
    say.send(Say::Text(": nothing\n\ndata: two\n\ndata: three\n\n".to_owned())).ok();
    say.send(Say::Break).ok();
    let rest = read_until(&mut stream, "\r\n0\r\n").await;
    let last = last_event(&rest);
    assert_eq!((bank.taken(), last["charged"].as_str()), (300, Some("300")), "{last}");
    assert!(last["meter"].as_str().unwrap().ends_with("counted=3; end=whole"), "{last}");
    assert!(last["receipt"].is_string() && last["problem"].is_null());
    let change = farthing_ecash::Token::decode(last["change"].as_str().unwrap()).unwrap();
    assert_eq!(change.total(), Some(16_384 - 300));
    assert_eq!(get(gate.address, "/x", &cashu(&token)).await.code(), "payment-used");
}

/// A browser was not given the cookie of a payment that was counted while its answer flowed, though the 402 had told the way back.
#[tokio::test]
async fn what_is_counted_while_it_flows_can_be_had_back_in_the_browser() {
    let bank = Bank::new();
    let (upstream, say) = told().await;
    let refunds = Refunds { within: Span::from_secs(600), per_payer: 9, rate_most: 100 };
    let rule = Rule::new("/**", cent()).unwrap().metered(meter("events", 100, 1)).refunding(refunds);
    let proxy = ProxyConfig::new(format!("http://{upstream}").parse().unwrap());
    let config = bank.config(Rules::new(vec![rule]).unwrap());
    let gate = start_service(Limits::default(), Gate::new(config, Proxy::new(proxy).unwrap())).await;
    let mut stream = ask(gate.address, &cashu(&purse(&bank).1)).await;
    say.send(Say::Text(format!("{EVENTS}data: one\n\n"))).ok();
    let head = Answer::of(&read_until(&mut stream, "data: one").await);
    let cookie = head.header("set-cookie").unwrap();
    assert!(cookie.starts_with("farthing_refund_") && cookie.contains("; Max-Age=87000;"), "{cookie}");
    let fields = format!("Accept: text/html\r\nCookie: {}\r\n", cookie.split(';').next().unwrap());
    let list = get(gate.address, REFUNDS_PATH, &fields).await;
    assert_eq!((list.status, list.body.matches("<button").count()), (200, 0), "not charged yet");
    say.send(Say::Break).ok();
    read_until(&mut stream, "\r\n0\r\n").await;
    let list = get(gate.address, REFUNDS_PATH, &fields).await;
    assert!(list.body.contains("http://shop.example/x: 0.0001 USD, until"), "{list:?}");
}

#[tokio::test]
async fn at_the_ceiling_a_stream_of_events_ends_with_a_problem() {
    let bank = Bank::new();
    let events = "data: .\n\n".repeat(12);
    let upstream = saying(format!("{EVENTS}{events}")).await;
    let gate = metered(&bank, upstream, meter("events", 1_000, 1)).await;
    let (_, token, _) = purse(&bank);
    let answer = get(gate.address, "/x", &cashu(&token)).await;
    let (text, is_whole) = unchunked(&answer.body);
    assert!(is_whole && text.matches("data: .\n\n").count() == 10, "{text}");
    let last = last_event(&text);
    assert_eq!((bank.taken(), last["problem"]["code"].as_str()), (10_000, Some("meter-ceiling")), "{last}");
}

#[tokio::test]
async fn the_number_that_events_say_is_charged() {
    let bank = Bank::new();
    let events = "data: {\"t\":\"a\"}\n\ndata: {\"usage\":{\"total_tokens\":40}}\n\ndata: [DONE]\n\n";
    let upstream = saying(format!("{EVENTS}{events}")).await;
    let gate = metered(&bank, upstream, meter("json usage.total_tokens", 2_000, 1_000)).await;
    let (_, token, _) = purse(&bank);
    let answer = get(gate.address, "/x", &cashu(&token)).await;
    let (text, _) = unchunked(&answer.body);
    assert!(text.starts_with(events), "{text}");
    assert_eq!((bank.taken(), last_event(&text)["charged"].as_str()), (80, Some("80")));
}

#[tokio::test]
async fn at_the_ceiling_bytes_and_rows_break_off() {
    for (count, each, body, delivered) in [
        ("bytes", 1_000, "0123456789abc", "0123456789"),
        ("rows", 2_500, "a\nb\n\nc\nd\ne\n", "a\nb\n\nc\nd\n"),
    ] {
        let bank = Bank::new();
        let upstream = saying(format!("{TEXT}{body}")).await;
        let gate = metered(&bank, upstream, meter(count, each, 1)).await;
        let (_, token, _) = purse(&bank);
        let answer = get(gate.address, "/x", &cashu(&token)).await;
        assert_eq!(unchunked(&answer.body), (delivered.to_owned(), false), "{count}: no clean end");
        until(|| bank.taken() == 10_000).await;
        // With a length that was said the body is too short for it.
        let upstream =
            saying(format!("{}\r\nContent-Length: {}\r\n\r\n{body}", TEXT.trim_end(), body.len())).await;
        let gate = metered(&bank, upstream, meter(count, each, 1)).await;
        let (_, token, _) = purse(&bank);
        let answer = get(gate.address, "/x", &cashu(&token)).await;
        assert_eq!(
            (answer.body.as_str(), answer.header("content-length")),
            (delivered, Some(&*body.len().to_string()))
        );
    }
}

#[tokio::test]
async fn trailers_have_the_last_words_for_who_takes_them() {
    let bank = Bank::new();
    let upstream = saying(format!("{TEXT}hello")).await;
    let gate = metered(&bank, upstream, meter("bytes", 10, 1)).await;
    let (_, token, _) = purse(&bank);
    let answer = get(gate.address, "/x", &format!("{}TE: trailers\r\n", cashu(&token))).await;
    let (_, trailers) = answer.body.split_once("\r\n0\r\n").unwrap();
    let said = Answer::of(&format!("HTTP/1.1 200 OK\r\n{trailers}"));
    assert_eq!((said.meter().counted, said.meter().end), (Some(5), Some(MeterEnd::Whole)), "{answer:?}");
    assert_eq!((said.receipt().amount.value(), said.change()), (50, 16_334));
}

#[tokio::test]
async fn who_leaves_pays_for_what_was_sent() {
    let bank = Bank::new();
    let (upstream, say) = told().await;
    let gate = metered(&bank, upstream, meter("events", 100, 1)).await;
    let (_, token, payment) = purse(&bank);
    let mut stream = ask(gate.address, &cashu(&token)).await;
    say.send(Say::Text(format!("{EVENTS}data: one\n\ndata: two\n\n"))).ok();
    read_until(&mut stream, "data: two").await;
    drop(stream);
    until(|| bank.payment(payment).is_some_and(|row| row.state == PaymentState::Posted)).await;
    assert_eq!(bank.taken(), 200);
    until(|| say.send(Say::Text("data: x\n\n".repeat(1_000))).is_err()).await;
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_paid_for_what_it_sent() {
    let bank = Bank::new();
    let upstream = raw_upstream(|_, mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(format!("{head}b\r\ndata: one\n\n\r\n").as_bytes()).await.unwrap();
    })
    .await;
    let gate = metered(&bank, upstream, meter("events", 100, 1)).await;
    let (_, token, _) = purse(&bank);
    let answer = get(gate.address, "/x", &cashu(&token)).await;
    let (text, is_whole) = unchunked(&answer.body);
    let last = last_event(&text);
    assert_eq!(
        (bank.taken(), last["problem"]["code"].as_str(), is_whole),
        (100, Some("upstream-failed"), false)
    );

    // Before anything of its body has come, nothing is charged.
    let upstream = raw_upstream(|_, mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n").await.unwrap();
    })
    .await;
    let costly = Meter { least: Amount::new(50), ..meter("bytes", 100, 1) };
    let gate = metered(&bank, upstream, costly).await;
    let (credits, token, _) = purse(&bank);
    get(gate.address, "/x", &cashu(&token)).await;
    until(|| credits.iter().all(|credit| bank.state(credit) == "unspent")).await;
    assert_eq!(bank.taken(), 100);
}

#[tokio::test]
async fn what_has_flowed_is_written_down_and_charged_after_a_crash() {
    let bank = Bank::new();
    let (upstream, say) = told().await;
    let gate = metered(&bank, upstream, meter("bytes", 1, 100)).await;
    let (credits, token, payment) = purse(&bank);
    let mut stream = ask(gate.address, &cashu(&token)).await;
    say.send(Say::Text(format!("{TEXT}{}", "x".repeat(300_000)))).ok();
    let mut sent = 0;
    let mut buffer = vec![0; 65_536];
    while sent < 300_000 {
        sent += stream.read(&mut buffer).await.unwrap();
    }
    // Nothing more flows before what has flowed is written down.
    until(|| charged(&bank, payment) > 0).await;
    say.send(Say::Text("y".repeat(50_000))).ok();
    until(|| charged(&bank, payment) >= 3_000).await;
    let row = bank.payment(payment).unwrap();
    assert_eq!((row.state, bank.taken()), (PaymentState::Held, 0), "no money has moved yet");
    let change: u64 = row.change.iter().map(|part| part.amount).sum();
    assert_eq!(u128::from(change) + row.charged.value(), 16_384);
    assert!(row.charged.value() <= 3_500, "never more than what was sent");

    // The gate is gone; the next start charges what is written down.
    bank.restart(payment, &row);
    let posted = bank.payment(payment).unwrap();
    assert_eq!(
        (posted.state, posted.charged, bank.taken()),
        (PaymentState::Posted, row.charged, row.charged.value())
    );
    assert!(credits.iter().all(|credit| bank.state(credit) == "spent"));
}

#[tokio::test]
async fn seconds_are_over_when_they_are_used_up() {
    let bank = Bank::new();
    let (upstream, say) = told().await;
    // A cent is half a second.
    let gate = metered(&bank, upstream, meter("seconds", 20_000, 1)).await;
    let (_, token, _) = purse(&bank);
    say.send(Say::Text(format!("{TEXT}first"))).ok();
    let begun = std::time::Instant::now();
    let request =
        format!("GET /x HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{}\r\n", cashu(&token));
    let answer = Answer::of(&raw(gate.address, request).await);
    assert_eq!(unchunked(&answer.body), ("first".to_owned(), false));
    assert!(begun.elapsed() >= Duration::from_millis(500));
    until(|| bank.taken() == 10_000).await;
}

#[tokio::test]
async fn who_has_the_credential_is_told_what_became_of_the_payment() {
    const PAYMENTS: &str = farthing_gate::flow::PAYMENTS_PATH;
    let bank = Bank::new();
    let (upstream, say) = told().await;
    let gate = metered(&bank, upstream, meter("bytes", 10, 1)).await;
    let (_, token, payment) = purse(&bank);
    let unknown = get(gate.address, PAYMENTS, &cashu(&token)).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "payment-unknown"));
    let mut stream = ask(gate.address, &cashu(&token)).await;
    say.send(Say::Text(format!("{TEXT}hello"))).ok();
    read_until(&mut stream, "hello").await;
    let held = get(gate.address, PAYMENTS, &cashu(&token)).await;
    let told: Value = serde_json::from_str(&held.body).unwrap();
    assert_eq!((held.status, told["state"].as_str()), (200, Some("held")), "{held:?}");
    say.send(Say::Break).ok();
    until(|| bank.taken() == 50).await;

    let answer = get(gate.address, PAYMENTS, &cashu(&token)).await;
    let told: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((told["state"].as_str(), told["charged"]["amount"].as_str()), (Some("charged"), Some("50")));
    assert_eq!(told["payment"].as_str(), Some(payment.to_string().as_str()));
    assert_eq!((answer.receipt().amount.value(), answer.change()), (50, 16_334));
    assert_eq!(answer.receipt().resource, "http://shop.example/x");
    assert_eq!(bank.taken(), 50, "asking costs nothing");

    let none = get(gate.address, PAYMENTS, "").await;
    assert_eq!((none.status, none.code().as_str()), (401, "credential-missing"));
    let forged = get(gate.address, PAYMENTS, &cashu("cashuBo2F0gaJ")).await;
    assert!(forged.status == 400 && !forged.body.contains(&payment.to_string()), "{forged:?}");
    let (_, other, _) = purse(&bank);
    assert_eq!(get(gate.address, PAYMENTS, &cashu(&other)).await.status, 404);
}

#[tokio::test]
async fn a_writer_without_time_costs_nobody_anything() {
    let bank = Bank::new();
    let (upstream, say) = told().await;
    let gate = metered(&bank, upstream, meter("bytes", 10, 1)).await;
    let (_, token, payment) = purse(&bank);
    let mut stream = ask(gate.address, &cashu(&token)).await;
    say.send(Say::Text(format!("{TEXT}hello"))).ok();
    read_until(&mut stream, "hello").await;
    // More often than a payer waits: the charge is tried on when the answer is gone.
    bank.busy.store(54, Ordering::SeqCst);
    say.send(Say::Break).ok();
    until(|| bank.payment(payment).is_some_and(|row| row.state == PaymentState::Posted)).await;
    assert_eq!(bank.taken(), 50);
}

/// What a chain pays for needs no secret to be asked for again.
#[tokio::test]
async fn what_a_chain_has_paid_for_flows_once() {
    let bank = Bank::new();
    let chain = TestChain::new(&bank);
    let page = "http://shop.example/x";
    let upstream = start(Limits::default(), |_| async { http::Response::new(Body::from("a film")) }).await;
    let rule = Rule::new("/**", cent()).unwrap().metered(meter("bytes", 100, 1));
    let mut config = bank.config(Rules::new(vec![rule]).unwrap());
    config.chains = Some(Arc::clone(&chain) as Arc<dyn Chains>);
    let proxy = ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap());
    let gate = start_service(Limits::default(), Gate::new(config, Proxy::new(proxy).unwrap())).await;
    let asked = get(gate.address, "/x", "").await;
    let offers = PaymentRequired::from_header(asked.header("payment-required").unwrap()).unwrap().accepts;
    let upto = offers.iter().find(|offer| offer.scheme == "upto").unwrap();
    let field = format!("Payment-Signature: {}\r\n", payload(upto, page, 1).to_header().unwrap());
    let first = get(gate.address, "/x", &field).await;
    assert_eq!((first.status, first.body.as_str()), (200, "a film"), "{first:?}");
    until(|| bank.taken() == 600).await;
    let again = get(gate.address, "/x", &field).await;
    assert_eq!((again.status, again.code().as_str()), (402, "payment-used"), "{again:?}");
    assert_eq!(bank.taken(), 600);
}

/// Where the outputs for the change could not be made when it began, a stream flowed on and nothing of it was written down.
#[tokio::test]
async fn what_cannot_be_written_down_is_tried_again_and_then_ends_the_stream() {
    for is_back in [true, false] {
        let bank = Bank::new();
        let (upstream, say) = told().await;
        let rules =
            Rules::new(vec![Rule::new("/**", cent()).unwrap().metered(meter("bytes", 1, 100))]).unwrap();
        let (keys, keyring) = watch::channel(Arc::clone(&bank.keyring));
        let config = GateConfig { keyring, ..bank.config(rules) };
        let proxy = Proxy::new(ProxyConfig::new(format!("http://{upstream}").parse().unwrap())).unwrap();
        let gate = start_service(Limits::default(), Gate::new(config, proxy)).await;
        let (_, token, payment) = purse(&bank);
        let mut stream = ask(gate.address, &cashu(&token)).await;
        until(|| bank.payment(payment).is_some()).await;
        keys.send_replace(Arc::new(Keyring::new(&[7; 32], &[]).unwrap()));
        say.send(Say::Text(format!("{TEXT}hello"))).ok();
        read_until(&mut stream, "hello").await;
        if is_back {
            keys.send_replace(Arc::clone(&bank.keyring));
        }
        say.send(Say::Text("x".repeat(300_000))).ok();
        let mut reading = tokio::spawn(async move {
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all).await;
            all
        });
        if is_back {
            until(|| charged(&bank, payment) > 0).await;
            reading.abort();
        } else {
            let all = tokio::time::timeout(Duration::from_secs(20), &mut reading).await.unwrap().unwrap();
            assert!(!all.ends_with(b"0\r\n\r\n"), "it breaks off");
            assert_eq!((charged(&bank, payment), bank.taken()), (0, 0));
        }
    }
}
