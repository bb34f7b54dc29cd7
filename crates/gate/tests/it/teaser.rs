//! Part free and the rest paid, between real sockets: what is shown, to whom, how often the upstream is asked, and that not a byte more goes out.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use crate::support::bank::{Bank, signing_key};
use crate::support::pay::{Answer, cashu, cent, get, send};
use crate::support::{Server, raw_upstream, read_until, start, start_service};
use bytes::Bytes;
use farthing_gate::serve::Limits;
use farthing_gate::teaser::{KEEP_DEFAULT, Part, Teaser};
use farthing_gate::{Body, BoxError, Gate, Proxy, ProxyConfig, Rule, Rules};
use farthing_wire::PaymentNote;
use farthing_wire::upstream::Standing;
use http::{HeaderMap, Request, Response, header};
use http_body::Frame;
use serde_json::json;

const HTML: &str = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";
const PICTURE: &str = "Accept: image/avif,image/webp,image/*,*/*;q=0.8\r\n";
const JSON: &str = "Accept: application/json\r\n";

const ARTICLE: &str = "<!doctype html><html lang=\"en\"><head><title>Wrens</title><link rel=\"stylesheet\" href=\"/s.css\">\
    <script>var all = 'SECRET';</script></head><body><article><h1>Wrens</h1><p>A wren is small.</p><!-- farthing:rest -->\
    <p>SECRET: it weighs nine grams.</p></article></body></html>";

/// What the upstream has, and what it was asked.
#[derive(Clone, Default)]
struct Press {
    asked: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<HeaderMap>>>,
    broken: Arc<AtomicBool>,
}

/// A script without end.
struct Endless(Bytes);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(Some(Ok(Frame::data(self.0.clone()))))
    }
}

fn film() -> Vec<u8> {
    (0..5_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

fn answer(request: &Request<Body>) -> Response<Body> {
    let typed =
        |kind: &str, body: Body| Response::builder().header(header::CONTENT_TYPE, kind).body(body).unwrap();
    match request.uri().path() {
        "/pages/wren" | "/marked/wren" => {
            let mut answer = typed("text/html; charset=utf-8", Body::from(ARTICLE));
            let headers = answer.headers_mut();
            headers.insert(header::CONTENT_SECURITY_POLICY, "img-src 'self'".parse().unwrap());
            headers.insert(header::SET_COOKIE, "upstream=1".parse().unwrap());
            headers.insert(header::ETAG, "\"whole\"".parse().unwrap());
            answer
        }
        "/pages/latin" => typed("text/html; charset=iso-8859-1", Body::from(ARTICLE)),
        "/pages/coded" => {
            let mut answer = typed("text/html", Body::from(ARTICLE));
            answer.headers_mut().insert(header::CONTENT_ENCODING, "br".parse().unwrap());
            answer
        }
        "/pages/script" => {
            let body = Body::boxed(Endless(Bytes::from("<script>".to_owned() + &"SECRET ".repeat(1_000))));
            typed("text/html", body)
        }
        "/pages/plain" => typed("text/plain", Body::from("A wren.\n\nSECRET")),
        "/lists/birds" => {
            typed("application/json", Body::from(json!({ "birds": ["wren", "SECRET"] }).to_string()))
        }
        "/films/small" => typed("video/webm", Body::from("tiny")),
        "/films/film" => {
            let range = request.headers().get(header::RANGE).map(|range| range.to_str().unwrap().to_owned());
            let ignores = request.uri().query() == Some("ignores");
            let Some((first, last)) = range
                .as_deref()
                .filter(|_| !ignores)
                .and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
            else {
                return typed("video/webm", Body::from(Bytes::from(film())));
            };
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            let mut answer = typed("video/webm", Body::from(Bytes::copy_from_slice(&film()[first..=last])));
            *answer.status_mut() = http::StatusCode::PARTIAL_CONTENT;
            let range = format!("bytes {first}-{last}/5000");
            answer.headers_mut().insert(header::CONTENT_RANGE, range.parse().unwrap());
            answer
        }
        "/pictures/wren.png" => typed("image/png", Body::from("SECRET picture")),
        "/small/pictures/wren.png" => typed("image/webp", Body::from("a blurred wren")),
        _ => Response::builder().status(404).body(Body::from("no such thing")).unwrap(),
    }
}

impl Press {
    async fn open(&self) -> Server {
        let press = self.clone();
        start(Limits::default(), move |request: Request<Body>| {
            let press = press.clone();
            async move {
                press.asked.fetch_add(1, Ordering::SeqCst);
                press.seen.lock().unwrap().push(request.headers().clone());
                if press.broken.load(Ordering::SeqCst) {
                    return Response::builder().status(500).body(Body::from("SECRET trouble")).unwrap();
                }
                answer(&request)
            }
        })
        .await
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn teasing() -> Rules {
    let rule = |path: &str, part: Part| {
        Rule::new(path, cent()).unwrap().description("All of it").showing(Teaser { part, keep: KEEP_DEFAULT })
    };
    Rules::new(vec![
        rule("/pages/**", Part::Paragraphs(1)),
        rule("/marked/**", Part::Until("<!-- farthing:rest -->".into())),
        rule("/lists/**", Part::Items { count: 1, at: "/birds".into() }),
        rule("/films/**", Part::Bytes(1_000)),
        rule("/pictures/**", "preview /small{path}".parse().unwrap()),
    ])
    .unwrap()
}

async fn shop(bank: &Arc<Bank>, upstream: SocketAddr) -> Server {
    let proxy = ProxyConfig::new(format!("http://{upstream}").parse().unwrap());
    start_service(Limits::default(), Gate::new(bank.config(teasing()), Proxy::new(proxy).unwrap())).await
}

fn paying(bank: &Bank) -> String {
    cashu(&bank.token(&[8_192, 2_048]))
}

fn holds_no_secret(answer: &Answer) {
    assert!(!format!("{answer:?}").contains("SECRET"), "{answer:?}");
}

#[tokio::test]
async fn a_page_shows_its_beginning_with_the_402_and_is_whole_when_paid() {
    let (bank, press) = (Bank::new(), Press::default());
    let upstream = press.open().await;
    let gate = shop(&bank, upstream.address).await;
    for path in ["/pages/wren", "/marked/wren"] {
        let private =
            "Cookie: who=planted\r\nX-Api-Key: planted\r\nIf-None-Match: \"whole\"\r\nRange: bytes=0-3\r\n";
        let shown = get(gate.address, path, &format!("{HTML}{private}")).await;
        assert_eq!(
            (shown.status, shown.header("content-type")),
            (402, Some("text/html; charset=utf-8")),
            "{shown:?}"
        );
        holds_no_secret(&shown);
        let start = "<!doctype html><html lang=\"en\"><head><title>Wrens</title><link href=\"/s.css\" rel=\"stylesheet\"></head><body><article>\
                     <h1>Wrens</h1><p>A wren is small.</p>\n<section class=\"farthing-paywall\">";
        assert!(shown.body.starts_with(start), "{}", shown.body);
        for words in [
            "\"isAccessibleForFree\":false",
            "The rest costs 0.01 USD",
            "farthing pay",
            "</section>\n</article></body></html>",
        ] {
            assert!(shown.body.contains(words), "{words}: {}", shown.body);
        }
        assert_eq!(shown.header("cache-control"), Some("no-store"));
        assert_eq!(shown.header("vary"), Some("accept, accept-language"));
        assert_eq!(
            (shown.all("set-cookie").len(), shown.header("etag")),
            (0, None),
            "nothing else of the upstream's"
        );
        let policies = shown.all("content-security-policy");
        assert!(
            policies.iter().any(|policy| policy.contains("script-src 'none'"))
                && policies.contains(&"img-src 'self'"),
            "{policies:?}"
        );
    }
    let seen = format!("{:?}", press.seen.lock().unwrap());
    assert!(
        !seen.contains("planted") && !seen.contains("if-none-match") && !seen.contains("bytes=0-3"),
        "{seen}"
    );
    let note = press.seen.lock().unwrap()[0].get("farthing-payment").unwrap().to_str().unwrap().to_owned();
    let lifetime = farthing_money::Span::from_secs(60);
    let note = PaymentNote::verify(&note, &signing_key().verifying_key(), bank.time(), lifetime).unwrap();
    assert_eq!((note.standing, note.amount.is_zero()), (Standing::Teaser, true));
    let paid = get(gate.address, "/pages/wren", &format!("{HTML}{}", paying(&bank))).await;
    assert_eq!((paid.status, paid.body.as_str(), bank.taken()), (200, ARTICLE, 10_000));
    let refused = get(gate.address, "/pages/wren", &format!("{HTML}{}", cashu("cashuBxx"))).await;
    assert_eq!(refused.status, 400);
    holds_no_secret(&refused);
}

#[tokio::test]
async fn the_upstream_is_asked_once_for_all_who_come_and_for_a_while() {
    let (bank, press) = (Bank::new(), Press::default());
    let upstream = press.open().await;
    let gate = shop(&bank, upstream.address).await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let address = gate.address;
        asking.spawn(async move { get(address, "/pages/wren", HTML).await });
    }
    assert!(asking.join_all().await.iter().all(|answer| answer.body.contains("A wren is small.")));
    assert_eq!(press.asked(), 1);
    for program in ["", JSON] {
        let told = get(gate.address, "/pages/wren", program).await.problem();
        assert_eq!(told.extra["teaser"]["free"], "the first paragraph");
    }
    for method in ["HEAD", "POST"] {
        assert_eq!(send(gate.address, method, "/pages/wren", HTML, "").await.status, 402);
    }
    assert_eq!(press.asked(), 1, "programs are told, and nobody else has asked the upstream");
    bank.now.fetch_add(KEEP_DEFAULT.millis(), Ordering::SeqCst);
    assert_eq!(get(gate.address, "/pages/wren", HTML).await.status, 402);
    assert_eq!(press.asked(), 2, "it may have changed");
    press.broken.store(true, Ordering::SeqCst);
    let other = get(gate.address, "/pages/wren?x", HTML).await;
    assert!(other.status == 402 && other.body.contains("Payment required"), "{other:?}");
    holds_no_secret(&other);
    press.broken.store(false, Ordering::SeqCst);
    assert!(
        get(gate.address, "/pages/wren?x", HTML).await.body.contains("A wren is small."),
        "a failure is not kept"
    );
}

#[tokio::test]
async fn what_cannot_be_cut_is_not_shown() {
    let (bank, press) = (Bank::new(), Press::default());
    let upstream = press.open().await;
    let gate = shop(&bank, upstream.address).await;
    for path in ["/pages/latin", "/pages/coded", "/pages/script", "/pages/none", "/marked/none"] {
        let shown = get(gate.address, path, HTML).await;
        assert!(shown.status == 402 && shown.body.contains("<h1>Payment required</h1>"), "{path}: {shown:?}");
        holds_no_secret(&shown);
    }
    let text = get(gate.address, "/pages/plain", HTML).await;
    assert!(text.body.contains("<pre>A wren.</pre>"), "{}", text.body);
    holds_no_secret(&text);
}

#[tokio::test]
async fn a_list_shows_its_first_items_to_programs() {
    let (bank, press) = (Bank::new(), Press::default());
    let upstream = press.open().await;
    let gate = shop(&bank, upstream.address).await;
    let shown = get(gate.address, "/lists/birds", JSON).await;
    holds_no_secret(&shown);
    let expected =
        json!({ "free": "the first 1 items of /birds", "at": "/birds", "items": ["wren"], "of": 2 });
    assert_eq!(shown.problem().extra["teaser"], expected);
    let none = get(gate.address, "/lists/none", JSON).await;
    assert_eq!(none.problem().extra["teaser"], json!({ "free": "the first 1 items of /birds" }));
}

#[tokio::test]
async fn a_range_of_the_first_bytes_is_free_and_no_other() {
    let (bank, press) = (Bank::new(), Press::default());
    let upstream = press.open().await;
    let gate = shop(&bank, upstream.address).await;
    for path in ["/films/film", "/films/film?ignores"] {
        for (asked, first, length) in
            [("0-", 0, 1_000), ("0-9", 0, 10), ("990-2000", 990, 10), ("999-", 999, 1)]
        {
            let (head, bytes) = raw_bytes(gate.address, path, asked).await;
            assert!(head.starts_with("HTTP/1.1 206"), "{path} {asked}: {head}");
            let range = format!("content-range: bytes {first}-{}/5000", first + length - 1);
            assert!(head.contains(&range) && head.contains("cache-control: private"), "{head}");
            assert_eq!(bytes, film()[first..first + length], "{path} {asked}");
        }
        for asked in ["1000-", "1000-1001", "-5", "0-1,3-4"] {
            let paid = get(gate.address, path, &format!("Range: bytes={asked}\r\n")).await;
            assert_eq!(paid.status, 402, "{path} {asked}");
            assert_eq!(paid.problem().extra["teaser"]["range"], "bytes=0-999");
        }
    }
    let small = get(gate.address, "/films/small", "Range: bytes=0-\r\n").await;
    assert_eq!(small.status, 402, "there is no rest: {small:?}");
    let paid =
        get(gate.address, "/films/film", &format!("Range: bytes=4000-4009\r\n{}", paying(&bank))).await;
    assert_eq!((paid.status, bank.taken()), (206, 10_000), "who pays has any range");
}

#[tokio::test]
async fn a_body_beside_a_range_does_not_become_the_next_request() {
    let bank = Bank::new();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    let upstream = raw_upstream(move |_, mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            let head = read_until(&mut stream, "\r\n\r\n").await.to_ascii_lowercase();
            seen.lock().unwrap().push(head);
            let head = "HTTP/1.1 206 X\r\nContent-Range: bytes 0-0/5000\r\nContent-Length: 1\r\n\r\nf";
            tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
        }
    });
    let gate = shop(&bank, upstream.await).await;
    let fields = "Range: bytes=0-0\r\nContent-Type: text/plain\r\n";
    let body = "GET /films/film HTTP/1.1\r\nX: y";
    let answer = send(gate.address, "GET", "/films/film", fields, body).await;
    assert_eq!(answer.status, 206, "{answer:?}");
    let heads = heads.lock().unwrap();
    assert!(!heads[0].contains("content-length") && !heads[0].contains("content-type"), "{heads:?}");
}

/// The head and the bytes of an answer.
async fn raw_bytes(gate: SocketAddr, path: &str, range: &str) -> (String, Vec<u8>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(gate).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nRange: bytes={range}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    (
        String::from_utf8(bytes[..at].to_vec()).unwrap().to_ascii_lowercase().replace("http/1.1", "HTTP/1.1"),
        bytes[at + 4..].to_vec(),
    )
}

#[tokio::test]
async fn a_picture_is_shown_by_its_preview() {
    let (bank, press) = (Bank::new(), Press::default());
    let upstream = press.open().await;
    let gate = shop(&bank, upstream.address).await;
    let shown = get(gate.address, "/pictures/wren.png", PICTURE).await;
    assert_eq!((shown.status, shown.header("content-type")), (402, Some("image/webp")), "{shown:?}");
    assert!(shown.body.contains("a blurred wren") && shown.header("www-authenticate").is_some(), "{shown:?}");
    assert_eq!(
        (shown.header("cache-control"), shown.header("x-content-type-options")),
        (Some("no-store"), Some("nosniff"))
    );
    let page = get(gate.address, "/pictures/wren.png", HTML).await;
    assert!(page.body.contains("<img src=\"/pictures/wren.png\" alt=\"A preview\">"), "{}", page.body);
    assert!(page.header("content-security-policy").unwrap().ends_with("img-src 'self'"), "{page:?}");
    assert_eq!(press.asked(), 1, "the page's picture comes by itself");
    let missing = get(gate.address, "/pictures/other.png", PICTURE).await;
    assert_eq!((missing.status, missing.code().as_str()), (402, "payment-required"));
    let paid = get(gate.address, "/pictures/wren.png", &format!("{PICTURE}{}", paying(&bank))).await;
    assert_eq!((paid.status, paid.body.as_str()), (200, "SECRET picture"));
    for shown in [shown, page, missing] {
        holds_no_secret(&shown);
    }
}
