//! The demo has an example of each kind of price: each is asked for as browsers and programs do, and paid for by the real wallet.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Run, Server, run};

/// A demo that runs, and beside it a wallet that has redeemed its code.
struct Demo {
    folder: TempDir,
    server: Server,
}

/// What came over the wire.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn fields(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn field(&self, name: &str) -> &str {
        self.fields(name).next().unwrap_or_default()
    }

    /// A cookie that is set, as a browser sends it back.
    #[track_caller]
    fn cookie(&self, name: &str) -> &str {
        let pair = |value| str::split(value, ';').next();
        let mut pairs = self.fields("set-cookie").filter_map(pair);
        let found = pairs.find(|pair| pair.split('=').next() == Some(name));
        assert!(found.is_some(), "expected the cookie {name}, got {self:?}");
        found.unwrap()
    }

    /// How much is left of what is free.
    fn left(&self) -> Option<&str> {
        self.field("farthing-quota").split("; ").find_map(|part| part.strip_prefix("left="))
    }

    /// What a 402 says to programs.
    #[track_caller]
    fn problem(&self) -> Value {
        let kind = self.field("content-type");
        assert_eq!((self.status, kind), (402, "application/problem+json"), "{self:?}");
        assert!(self.fields("x-cashu").count() > 0, "it can be paid with credits: {self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// The price in a 402, in millionths of a dollar.
    #[track_caller]
    fn price(&self) -> String {
        let price = &self.problem()["price"];
        assert_eq!(price["asset"], "USD", "{self:?}");
        price["amount"].as_str().unwrap().to_owned()
    }
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["demo", "--data", "demo", "--listen", "127.0.0.1:0"];
        let server = Server::start(folder.path(), &arguments, "Ctrl-C ends the demo");
        let redeem = ["wallet", "redeem", server.text("code"), "--mint", server.text("issuer")];
        run(folder.path(), &[&redeem[..], &["--wallet", "w"]].concat()).ok();
        Self { folder, server }
    }

    /// Asks without a wallet.
    fn ask(&self, path: &str, fields: &str) -> Answer {
        let address = self.server.text("gate").trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        // Of version 1.0, so that no body comes in chunks.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n{fields}\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// Asks with the wallet; what is delivered goes into a file.
    fn try_to_pay(&self, path: &str, more: &[&str]) -> Run {
        let url = format!("{}{path}", self.server.text("gate"));
        run(self.folder.path(), &[&["pay", &url, "--json", "-o", "came", "--wallet", "w"], more].concat())
    }

    /// What was charged, in millionths of a dollar, and what was delivered for it.
    #[track_caller]
    fn pay(&self, path: &str, more: &[&str]) -> (u64, Vec<u8>) {
        let report = self.try_to_pay(path, more).ok();
        assert_eq!((&report["outcome"], &report["status"]), (&json!("paid"), &json!(200)), "{report:#}");
        let charged = &report["charged"];
        assert_eq!(charged["unit"], "uusd", "{report:#}");
        let charged = charged["amount"].as_str().unwrap().parse().unwrap();
        (charged, std::fs::read(self.folder.path().join("came")).unwrap())
    }

    /// The same where a text is delivered.
    #[track_caller]
    fn pay_for_text(&self, path: &str, more: &[&str]) -> (u64, String) {
        let (charged, body) = self.pay(path, more);
        (charged, String::from_utf8(body).unwrap())
    }

    /// A file of the site.
    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(Path::new(self.server.text("site")).join(name)).unwrap()
    }

    /// What the wallet has, in millionths of a dollar.
    fn balance(&self) -> u64 {
        let shown = run(self.folder.path(), &["wallet", "balance", "--wallet", "w"]).ok();
        let held = &shown["balances"][0];
        assert_eq!(held["reserved"]["amount"], "0", "nothing stays set aside: {shown:#}");
        held["free"]["amount"].as_str().unwrap().parse().unwrap()
    }
}

/// Three are free for each visitor; a reload is none of them.
fn the_note_has_a_quota(demo: &Demo) -> u64 {
    let first = demo.ask("/notes.html", "");
    assert_eq!((first.status, first.left()), (200, Some("2")), "the note, for the first time: {first:?}");
    let (visitor, pass) = (first.cookie("farthing_visitor"), first.cookie("farthing_pass"));
    let reloaded = demo.ask("/notes.html", &format!("Cookie: {visitor}; {pass}\r\n"));
    assert_eq!((reloaded.status, reloaded.left()), (200, None), "the note again: {reloaded:?}");
    let cookie = format!("Cookie: {visitor}");
    for left in ["1", "0"] {
        let next = demo.ask("/notes.html", &format!("{cookie}\r\n"));
        assert_eq!((next.status, next.left()), (200, Some(left)), "the note, {left} to go: {next:?}");
    }
    let over = demo.ask("/notes.html", &format!("{cookie}\r\n"));
    assert_eq!((over.price().as_str(), over.left()), ("2000", Some("0")), "the note, once more: {over:?}");
    let page = demo.ask("/notes.html", &format!("{cookie}\r\nAccept: text/html\r\n"));
    assert_eq!(page.status, 402, "the note, once more, in a browser: {page:?}");
    let (free, rest) = ("Three a day are free", "Small change was never");
    assert!(page.body.contains(free) && !page.body.contains(rest), "its first paragraph: {}", page.body);
    let other = demo.ask("/notes.html", "");
    assert_eq!((other.status, other.left()), (200, Some("2")), "another visitor: {other:?}");
    let (charged, note) = demo.pay_for_text("/notes.html", &["-H", &cookie]);
    assert!(note.contains(rest), "{note}");
    assert_eq!(charged, 2_000, "the note");
    charged
}

/// Who asks for a picture sees one even in the 402.
fn the_picture_has_a_preview(demo: &Demo) -> u64 {
    assert_eq!(demo.ask("/picture.svg", "").price(), "2000", "the picture");
    let preview = demo.ask("/picture.svg", "Accept: image/avif,image/webp,image/svg+xml,*/*;q=0.8\r\n");
    assert_eq!(
        (preview.status, preview.field("content-type")),
        (402, "image/svg+xml"),
        "the picture's preview: {preview:?}"
    );
    assert_eq!(preview.body, demo.file("picture-small.svg"), "the preview of the picture");
    assert!(preview.body.starts_with("<svg ") && preview.body.contains("A preview of"), "{preview:?}");
    let (charged, picture) = demo.pay_for_text("/picture.svg", &[]);
    assert_eq!(picture, demo.file("picture.svg"));
    assert_eq!(charged, 2_000, "the picture");
    charged
}

/// Two seconds cost what two seconds cost, also before anybody has asked for the playlist, which costs nothing.
fn the_film_costs_by_the_second(demo: &Demo) -> u64 {
    assert_eq!(demo.ask("/film/3.ts", "").price(), "1000", "two seconds of the film");
    let playlist = demo.ask("/film/index.m3u8", "");
    assert_eq!(playlist.status, 200, "the film's playlist: {playlist:?}");
    let segments: Vec<_> = playlist.body.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(segments, ["0.ts", "1.ts", "2.ts", "3.ts", "4.ts", "5.ts"], "{playlist:?}");
    for segment in segments {
        assert_eq!(demo.ask(&format!("/film/{segment}"), "").price(), "1000", "{segment}");
    }
    let (charged, segment) = demo.pay("/film/0.ts", &[]);
    assert!(
        !segment.is_empty() && segment.chunks(188).all(|packet| packet.len() == 188 && packet[0] == 0x47),
        "expected a transport stream, got {} bytes",
        segment.len()
    );
    assert_eq!(charged, 1_000, "two seconds of the film");
    charged
}

/// The payer names the amount, above the floor.
fn the_tip_is_what_the_payer_names(demo: &Demo) -> u64 {
    let suggested = demo.ask("/thanks.html", "");
    assert_eq!(suggested.price(), "50000", "the tip that is suggested");
    assert_eq!(suggested.problem()["least"], "0.001 USD", "the least tip: {suggested:?}");
    assert_eq!(demo.ask("/thanks.html?farthing_amount=0.001", "").price(), "1000", "the least tip");
    let below = demo.ask("/thanks.html", "Farthing-Amount: 0.0009 USD\r\n").problem();
    let why = "at least 0.001 USD is asked for, 0.0009 USD was named";
    assert_eq!(below["code"], "amount-below-least", "{below:#}");
    assert!(below["detail"].as_str().unwrap().contains(why), "{below:#}");

    let before = demo.balance();
    let refused = demo.try_to_pay("/thanks.html", &["-H", "Farthing-Amount: 0.0009 USD"]);
    assert_eq!(refused.exit, 6, "a tip below the floor: {}{}", refused.stdout, refused.stderr);
    assert!(refused.stderr.contains(why), "{}", refused.stderr);
    assert_eq!(demo.balance(), before, "a tip that is not taken costs nothing");

    let (charged, page) = demo.pay_for_text("/thanks.html", &["-H", "Farthing-Amount: 0.03 USD"]);
    assert_eq!(page, demo.file("thanks.html"));
    assert_eq!(charged, 30_000, "the tip that was named");
    charged
}

/// The site's own software sells it, by the gate's desk.
fn the_export_is_sold_by_the_sites_software(demo: &Demo) -> u64 {
    let refused = demo.ask("/export", "");
    assert_eq!(refused.price(), "5000", "the export");
    assert!(refused.field("www-authenticate").starts_with("Payment "), "{refused:?}");
    assert!(!refused.body.contains("wren"), "nothing of it comes unpaid: {refused:?}");
    let (charged, export) = demo.pay_for_text("/export", &[]);
    assert!(export.starts_with("bird,grams\nwren,9\n"), "{export}");
    assert_eq!(charged, 5_000, "the export");
    charged
}

/// What is on hold for it is a cent; what it has not used comes back.
fn the_chat_costs_by_the_word(demo: &Demo) -> u64 {
    let asked = demo.ask("/api/chat", "");
    assert_eq!(asked.price(), "10000", "the most that the chat costs");
    assert_eq!(asked.problem()["meter"]["each"], "0.0001 USD", "a word of the chat: {asked:?}");
    let before = demo.balance();
    let (charged, story) = demo.pay_for_text("/api/chat", &[]);
    // After its own end the stream says what it has cost.
    let (story, cost) = story.split_once("data: [DONE]\n\n").unwrap_or((&story, ""));
    assert!(cost.contains(&format!("\"charged\":\"{charged}\"")), "expected {charged}: {story}{cost}");
    let words = u64::try_from(story.matches("\"content\":").count()).unwrap();
    assert!((1..100).contains(&words), "it costs less than the most: {story}");
    assert_eq!(charged, words * 100, "{words} words of the chat");
    assert_eq!(before - demo.balance(), charged, "the rest of the cent came back");
    charged
}

#[test]
fn every_kind_of_price_is_asked_for_and_charged() {
    let demo = Demo::start();
    let sold = [
        the_note_has_a_quota(&demo),
        the_picture_has_a_preview(&demo),
        the_film_costs_by_the_second(&demo),
        the_tip_is_what_the_payer_names(&demo),
        the_export_is_sold_by_the_sites_software(&demo),
        the_chat_costs_by_the_word(&demo),
    ];
    let sum: u64 = sold.iter().sum();
    assert_eq!(demo.balance(), 1_000_000 - sum, "the wallet has the rest of its dollar");
    let config = demo.server.text("config");
    let trial = run(demo.folder.path(), &["ledger", "trial", "--config", config]).ok();
    let rows = trial["rows"].as_array().unwrap();
    let merchant = rows.iter().find(|row| row["account"] == "merchant:demo").unwrap();
    let earned = format!("0.{sum:06}");
    assert_eq!(merchant["credits"], earned.trim_end_matches('0'), "the merchant has earned the same");
    assert_eq!(trial["balances"], true, "{trial:#}");
    demo.server.stop();
}
