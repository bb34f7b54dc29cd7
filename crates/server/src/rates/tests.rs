//! Feeds as banks write them, and as nobody should: each wrong one has its own refusal, and the rates before it stay.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use farthing_engine::{Command, Execute, ExecuteFuture, RateSet};
use farthing_money::{Asset, AssetTable, Span, Timestamp};
use proptest::prelude::*;

use super::feed::{Feed, Format, FormatError, read};
use super::judge::{RateRefusal, is_not_wild, judge};
use super::source::{Source, SourceError, fetch};
use super::{RateDesk, RateListing};
use crate::config::{Config, RatesConfig};

/// As the bank writes it, shortened.
const DAILY: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
	<gesmes:subject>Reference rates</gesmes:subject>
	<gesmes:Sender>
		<gesmes:name>European Central Bank</gesmes:name>
	</gesmes:Sender>
	<Cube>
		<Cube time='2026-11-26'>
			<Cube currency='USD' rate='1.0853'/>
			<Cube currency='JPY' rate='164.25'/>
			<Cube currency='IDR' rate='17225.46'/>
			<Cube currency='GBP' rate='0.83375'/>
		</Cube>
	</Cube>
</gesmes:Envelope>"#;
const PAGE: &str = r#"{"base":"EUR","date":"2026-11-26","rates":{"USD":"1.0853","JPY":164.25,"IDR":17225.46,"GBP":0.83375}}"#;

fn now() -> Timestamp {
    "2026-11-27T12:00:00Z".parse().unwrap()
}

fn assets() -> AssetTable {
    let micro = |code| Asset::micro(code).unwrap();
    AssetTable::new(vec![micro("EUR"), micro("USD"), Asset::new("JPY", 0, "jpy").unwrap()]).unwrap()
}

fn config() -> RatesConfig {
    RatesConfig {
        source: Source::File("rates.xml".into()),
        format: Format::Ecb,
        every: Span::from_secs(3_600),
        max_age: Span::from_secs(5 * 86_400),
        max_change: 10,
        spread: 0,
    }
}

fn feed() -> Feed {
    read(Format::Ecb, DAILY.as_bytes()).unwrap()
}

fn set(feed: Feed) -> Result<RateSet, RateRefusal> {
    judge(feed, "test", &assets(), config().max_age, now())
}

#[test]
fn both_formats_say_the_same() {
    let feed = feed();
    assert_eq!(read(Format::Json, PAGE.as_bytes()).unwrap(), feed);
    assert_eq!((feed.base.as_str(), feed.at.to_string().as_str()), ("EUR", "2026-11-26T00:00:00.000Z"));
    let rate = |code: &str| feed.rates.iter().find(|(known, _)| known.as_str() == code).unwrap().1;
    assert_eq!((rate("USD"), rate("IDR")), ((10_853, 10_000), (1_722_546, 100)));
    let set = set(feed).unwrap();
    let codes: Vec<_> = set.quotations.iter().map(|quotation| quotation.code.to_string()).collect();
    assert_eq!(codes, ["USD", "JPY"], "only what the configuration counts in is kept");
}

/// A text and what is wrong with it.
type Case = (String, Box<dyn Fn(&FormatError) -> bool>);

#[test]
fn what_is_no_feed_is_refused() {
    let torn = |format| move |error: &FormatError| matches!(error, FormatError::Torn { format: got, .. } if *got == format);
    let cut = DAILY.len() - 30;
    let ecb: Vec<Case> = vec![
        (DAILY[..cut].to_owned(), Box::new(torn("ecb"))),
        (DAILY.replace("</Cube>\n\t</Cube>", "</Cube>"), Box::new(torn("ecb"))),
        (String::new(), Box::new(torn("ecb"))),
        ("<html>busy</html>".to_owned(), Box::new(|error| matches!(error, FormatError::Day(_)))),
        (DAILY.replace("time='2026-11-26'", ""), Box::new(|error| matches!(error, FormatError::Day(_)))),
        (DAILY.replace("2026-11-26", "yesterday"), Box::new(|error| matches!(error, FormatError::Day(_)))),
        (DAILY.replace("1.0853", "-1.0853"), Box::new(|error| matches!(error, FormatError::Rate { .. }))),
        (DAILY.replace("1.0853", "1,0853"), Box::new(|error| matches!(error, FormatError::Rate { .. }))),
        (DAILY.replace("'GBP'", "'USD'"), Box::new(|error| matches!(error, FormatError::Twice(_)))),
        (DAILY.replace("'GBP'", "'&lol;'"), Box::new(|error| matches!(error, FormatError::Code(_)))),
        (
            DAILY.replace("<gesmes:Envelope", "<!DOCTYPE x [<!ENTITY a 'b'>]><gesmes:Envelope"),
            Box::new(torn("ecb")),
        ),
        (DAILY.replace("<Cube time=", "<Cube time='2026-11-25'/><Cube time="), Box::new(torn("ecb"))),
    ];
    for (text, expected) in ecb {
        let error = read(Format::Ecb, text.as_bytes()).unwrap_err();
        assert!(expected(&error), "{error:?}: {text}");
    }
    for (text, expected) in [
        (PAGE[..60].to_owned(), "format \"json\""),
        (PAGE.replace("1.0853", "1e0"), "plain decimals"),
        (PAGE.replace("164.25", "1.6425e2"), "plain decimals"),
        (PAGE.replace("164.25", "null"), "plain decimals"),
        (PAGE.replace("164.25", "-164.25"), "plain decimals"),
        (PAGE.replace("GBP", "USD"), "one rate of USD"),
        (PAGE.replace("EUR", "euro"), "code of a currency"),
        (PAGE.replace("2026-11-26", "26.11.2026"), "the day of the rates"),
        (r#"{"base":"EUR","date":"2026-11-26","rates":{}}"#.to_owned(), "expected rates in the feed"),
    ] {
        let told = read(Format::Json, text.as_bytes()).unwrap_err().to_string();
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

#[test]
fn rates_that_are_not_believed_are_refused_by_type() {
    let at = |text: &str| Feed { at: text.parse().unwrap(), ..feed() };
    assert!(matches!(set(at("2026-11-22T11:59:59Z")), Err(RateRefusal::Stale { .. })));
    assert!(set(at("2026-11-22T12:00:00Z")).is_ok());
    assert!(matches!(set(at("2026-11-28T12:00:01Z")), Err(RateRefusal::Future { .. })));
    assert!(set(at("2026-11-28T00:00:00Z")).is_ok(), "somewhere it is tomorrow");
    let with = |code: &str, rate| {
        let mut feed = feed();
        feed.rates.retain(|(known, _)| known.as_str() != code);
        feed.rates.push((code.parse().unwrap(), rate));
        feed
    };
    assert_eq!(set(with("USD", (0, 10))), Err(RateRefusal::Zero("USD".parse().unwrap())));
    assert_eq!(set(with("EUR", (2, 1))), Err(RateRefusal::Base("EUR".parse().unwrap())));
    assert!(set(with("EUR", (10, 10))).is_ok());
    let strange = Feed { rates: vec![("GBP".parse().unwrap(), (5, 6))], ..feed() };
    assert_eq!(set(strange), Err(RateRefusal::Strange(1)));
}

#[test]
fn a_wild_rate_is_refused_as_long_as_the_last_one_holds() {
    let known = set(feed()).unwrap();
    let with = |numerator| {
        let mut set = known.clone();
        set.quotations[0].numerator = numerator;
        set
    };
    let wild = |set: &RateSet, now| is_not_wild(set, Some(&known), &config(), now);
    // Ten per cent of 10853 are 1085.3.
    assert_eq!(wild(&with(11_938), now()), Ok(()));
    assert_eq!(wild(&with(9_768), now()), Ok(()));
    let refused = |got| Err(RateRefusal::Wild { code: "USD".parse().unwrap(), most: 10, got });
    assert_eq!(wild(&with(11_939), now()), refused(110));
    assert_eq!(wild(&with(9_767), now()), refused(90));
    assert_eq!(wild(&with(108_530), now()), refused(1_000));
    // What is too old to be used is no measure any more.
    assert_eq!(wild(&with(108_530), "2026-12-02T00:00:01Z".parse().unwrap()), Ok(()));
    assert_eq!(is_not_wild(&with(1), None, &config(), now()), Ok(()));
    // Another base is looked at through the old one: a dollar is still 1 / 1.0853 euros.
    let dollars = RateSet {
        base: "USD".parse().unwrap(),
        quotations: vec![farthing_engine::Quotation {
            code: "EUR".parse().unwrap(),
            numerator: 10_000,
            denominator: 10_853,
        }],
        ..known.clone()
    };
    assert_eq!(wild(&dollars, now()), Ok(()));
    let mut turned = dollars;
    turned.quotations[0].numerator = 13_000;
    assert!(matches!(wild(&turned, now()), Err(RateRefusal::Wild { .. })));
}

#[tokio::test]
async fn sources_are_read_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rates.xml");
    std::fs::write(&file, DAILY).unwrap();
    let text = |name: &str| Source::parse(name, |path| folder.path().join(path)).unwrap();
    assert_eq!(fetch(&text("file:rates.xml")).await.unwrap(), DAILY);
    assert_eq!(fetch(&text(&format!("command:cat {}", file.display()))).await.unwrap(), DAILY);
    let missing = fetch(&text("file:missing.xml")).await;
    assert!(matches!(missing, Err(SourceError::Silent { .. })), "{missing:?}");
    let failed = fetch(&text("command:false")).await;
    assert!(matches!(failed, Err(SourceError::Silent { .. })), "{failed:?}");
    assert!(matches!(fetch(&text("command:yes")).await, Err(SourceError::Huge(_))));
    std::fs::write(&file, vec![b'x'; 1024 * 1024 + 1]).unwrap();
    assert!(matches!(fetch(&text("file:rates.xml")).await, Err(SourceError::Huge(_))));
}

#[tokio::test]
async fn pages_that_lead_elsewhere_or_never_end_are_refused() {
    use axum::Router;
    use axum::response::Redirect;
    use axum::routing::get;
    let routes = Router::new()
        .route("/daily.xml", get(|| async { DAILY }))
        .route("/moved", get(|| async { Redirect::temporary("/daily.xml") }))
        .route("/huge", get(|| async { "x".repeat(2 * 1024 * 1024) }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let page = |path: &str| Source::parse(&format!("http://{address}{path}"), |_| unreachable!()).unwrap();
    assert_eq!(fetch(&page("/daily.xml")).await.unwrap(), DAILY);
    assert!(matches!(fetch(&page("/moved")).await, Err(SourceError::Redirect { .. })));
    assert!(matches!(fetch(&page("/huge")).await, Err(SourceError::Huge(_))));
    assert!(matches!(fetch(&page("/missing")).await, Err(SourceError::Silent { .. })));
}

fn whole_config(source: &str) -> Config {
    let text = format!(
        "[server]\nupstream = \"http://127.0.0.1:1\"\n[[asset]]\ncode = \"USD\"\n[[asset]]\ncode = \"EUR\"\n\
         [rates]\nsource = \"{source}\"\nformat = \"json\"\n"
    );
    Config::read(&text, Path::new("farthing.toml")).unwrap()
}

/// What went wrong: a source that was being asked when the configuration named another one put its rates into force all the same, and
/// the other one was not asked for an hour.
#[tokio::test]
async fn what_a_source_says_that_is_named_no_more_is_dropped() {
    use axum::Router;
    use axum::routing::get;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = |path: &str| whole_config(&format!("http://{address}/{path}"));
    let desk = crate::sandbox::in_memory(&config("old")).await.unwrap().rates;
    let (changed, other) = (desk.clone(), config("new").rates);
    let old = move || async move {
        changed.reload(other.as_ref(), &[]).await;
        PAGE
    };
    let routes = Router::new().route("/old", get(old)).route("/new", get(|| async { PAGE }));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let in_force = desk.in_force();
    desk.turn().await;
    assert_eq!(in_force.borrow().current, None, "the old one is not believed any more");
    assert!(matches!(desk.listing().unwrap(), RateListing { refusal: None, .. }));
    desk.turn().await;
    let source = in_force.borrow().current.as_ref().map(|set| set.source.clone());
    assert_eq!(source.as_deref(), Some("127.0.0.1/new"), "and the new one is asked at once");
}

/// The books, and what happens in the moment before they take a command.
struct Before<F> {
    books: Arc<dyn Execute>,
    happens: F,
}

impl<F: Fn() + Send + Sync + 'static> Execute for Before<F> {
    fn execute(&self, command: Command) -> ExecuteFuture {
        (self.happens)();
        let books = Arc::clone(&self.books);
        Box::pin(async move {
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
            books.execute(command).await
        })
    }
}

/// What went wrong: the configuration changed after the old source's rates were judged and before the books had them, and they came into
/// force when it was named no more.
#[tokio::test]
async fn a_reload_waits_for_rates_that_are_judged_already() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("old.json"), PAGE).unwrap();
    std::fs::write(folder.path().join("new.json"), PAGE).unwrap();
    let config = |name: &str| whole_config(&format!("file:{}", folder.path().join(name).display()));
    let (changed, other) =
        (crate::sandbox::in_memory(&config("old.json")).await.unwrap().rates, config("new.json").rates);
    let in_force = changed.in_force();
    let source = move || in_force.borrow().current.as_ref().map(|set| set.source.clone());
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let (reloading, seen) = (changed.clone(), source.clone());
    let happens = move || {
        let (desk, other, tell, seen) = (reloading.clone(), other.clone(), tell.clone(), seen.clone());
        tokio::spawn(async move {
            desk.reload(other.as_ref(), &[]).await;
            tell.send(seen()).unwrap();
        });
    };
    let books = Arc::clone(&changed.execute);
    let desk = RateDesk { execute: Arc::new(Before { books, happens }), ..changed.clone() };
    desk.refresh().await.unwrap();
    let at_the_reload = told.recv().await.unwrap();
    assert!(at_the_reload.is_some());
    assert_eq!(source(), at_the_reload, "nothing has come into force since");
    // The new one is asked at once.
    changed.turn().await;
    assert_ne!(source(), at_the_reload);
}

proptest! {
    #[test]
    fn whatever_the_bytes_are_there_is_an_answer(bytes: Vec<u8>, at in 0usize..800, byte: u8) {
        for format in [Format::Ecb, Format::Json] {
            let _ = read(format, &bytes);
        }
        let turned = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            bytes
        };
        let _ = read(Format::Ecb, &turned(DAILY));
        let _ = read(Format::Json, &turned(PAGE));
    }
}
