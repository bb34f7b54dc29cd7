//! What the data folder, the log and the operator's commands tell of payers, with the real program: nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, Sender, channel};

use farthing_gate::flow::system_clock;
use farthing_money::Timestamp;

use super::tap::{PEER, PLANTED, Tap, WORDS, connect};
use super::{Run, Server, farthing, folder, run};

/// What the operator may ask; the last leaves a file.
const COMMANDS: [&str; 13] = [
    "ledger trial",
    "ledger journal",
    "ledger verify",
    "ledger export --format csv",
    "ledger export --format jsonl",
    "ledger export --format hledger",
    "ledger export --format beancount",
    "ledger statement",
    "ledger report",
    "ledger heads",
    "ledger closes",
    "issuer status",
    "backup --to copy",
];

/// What is counted, cut and told apart by who asks.
const COUNTED: &str = "[[crawler]]\nname = \"findbot\"\nclass = \"search\"\nagent = \"FindBot\"\n\
    [[price]]\npath = \"/counted/**\"\namount = \"0.01 USD\"\n\
    [[price.case]]\ncrawler = \"search\"\namount = \"0.001 USD\"\n\
    [price.quota]\nfree = 1\nper = \"month\"\nby = \"visitor\"\n[price.teaser]\nshow = \"1 word\"\n\
    [[price]]\npath = \"/keyed/**\"\namount = \"0.01 USD\"\n\
    [price.quota]\nfree = 1\nper = \"month\"\nby = \"key\"\n[price.teaser]\nshow = \"2 bytes\"\n";

/// A crawler's signature that is none.
const SIGNED: &str = "Signature-Agent: \"https://planted-referer.example\"\r\nSignature: planted=:cGxhbnRlZC1zZWNyZXQ=:\r\n\
    Signature-Input: planted=(\"@authority\");tag=\"web-bot-auth\";keyid=\"planted-secret\";created=1;expires=2\r\n";

/// Bytes as a text that is searched fast, in lower case: a letter for each.
fn letters(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect()
}

/// Every file below a folder, its name before it.
fn bytes(folder: &Path, into: &mut Vec<u8>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        into.extend(entry.file_name().as_encoded_bytes());
        if entry.file_type().unwrap().is_dir() {
            bytes(&entry.path(), into);
        } else if entry.file_type().unwrap().is_file() {
            into.extend(std::fs::read(entry.path()).unwrap());
        }
    }
}

/// A site whose every answer is another trouble. It tells which paths were asked.
fn site(asked: Sender<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let asked = asked.clone();
            std::thread::spawn(move || {
                let mut first = String::new();
                let mut reader = BufReader::new(&stream);
                reader.read_line(&mut first).ok()?;
                while reader.read_line(&mut String::new()).ok()? > 2 {}
                let path = first.split(['?', ' ']).nth(1).unwrap_or_default().to_owned();
                asked.send(path.clone()).ok()?;
                let page = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\n";
                let reply = match path.as_str() {
                    "/broken" => {
                        "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
                    }
                    "/cut" => "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nonly".to_owned(),
                    "/nonsense" => "HTTP/9 planted-body\r\n\r\n".to_owned(),
                    "/tunnel" => {
                        "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\u{1}".to_owned()
                    }
                    "/hang" => {
                        // Until the gate is gone.
                        let _ = reader.read_to_end(&mut Vec::new());
                        return None;
                    }
                    _ => format!("{page}page"),
                };
                (&stream).write_all(reply.as_bytes()).ok()
            });
        }
    });
    format!("http://{address}")
}

/// A payer's program in a folder of its own.
fn payer(purse: &Path, arguments: &[&str]) -> Run {
    run(purse, &[arguments, &["--wallet", "w"]].concat())
}

/// Sends bytes from the payer's address and reads whatever comes. Of a request that is not whole, and of a tunnel, the payer
/// leaves in the middle.
fn raw(gate: &str, request: &str) -> String {
    let mut stream = connect(gate.trim_start_matches("http://")).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    if request.ends_with("planted-body") {
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Requests that are refused, broken off or misused, each with something planted where it hurts.
fn trouble(gate: &str, host: &str, issuer: &str) -> usize {
    let head = |line: &str, more: &str| {
        let close = if more.contains("Connection:") { "" } else { "Connection: close\r\n" };
        format!("{line} HTTP/1.1\r\nHost: {host}\r\n{PLANTED}{close}{more}\r\n")
    };
    let post = |path: &str, body: &str| {
        let length = body.len();
        head(&format!("POST {issuer}{path}"), &format!("Content-Length: {length}\r\n")) + body
    };
    let socket = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let long = format!("X-Long: planted-token{}\r\n", "x".repeat(200_000));
    let proof = r#"{"amount":1,"id":"00","secret":"planted-secret","C":"02","witness":"planted-witness"}"#;
    let requests = [
        head("GET /page?who=planted-query", ""),
        head("GET /page?who=planted-query", "Authorization: Payment planted-token\r\n"),
        head("GET /page?who=planted-query", "X-Cashu: cashuBplanted-token\r\n"),
        head("GET /page?who=planted-query", "X-Cashu: cashuAeyJwbGFudGVkLXRva2VuIjoxfQ\r\n"),
        head("GET /page?who=planted-query", "Farthing-Pass: planted-pass\r\n"),
        head("GET /counted/page?who=planted-query", "Accept: text/html\r\n"),
        head(
            "GET /counted/page?who=planted-query",
            "Accept: text/html\r\nCookie: farthing_visitor=planted-cookie\r\n",
        ),
        head("GET /counted/broken?who=planted-query", "User-Agent: PlantedAgent FindBot\r\n"),
        head("GET /counted/page?who=planted-query", SIGNED),
        head("GET /keyed/page?who=planted-query", "X-Api-Key: planted-token\r\nRange: bytes=0-1\r\n"),
        head("GET /keyed/page?who=planted-query", "Authorization: Bearer planted-token\r\n"),
        head("GET /page/../page?who=planted-query", ""),
        head("GET //page?planted-query", "Host: planted-referer.example\r\n"),
        head("GET /page?who=planted-query", &long),
        head(&format!("GET /page?who=planted-query{}", "y".repeat(70_000)), ""),
        head("POST /page?who=planted-query", "Content-Length: 1000\r\n") + "planted-body",
        head("POST /free?who=planted-query", "Transfer-Encoding: chunked\r\n") + "zz\r\nplanted-body",
        head("GET /nonsense?who=planted-query", ""),
        head("GET /tunnel?who=planted-query", socket) + "planted-body",
        head(&format!("GET {issuer}/v1/ws?planted-query"), socket) + "planted-body",
        head("CONNECT planted-referer.example:443", ""),
        "planted-body\r\n\r\n".to_owned(),
        head("BREW /page?planted-query", "X-\u{7f}: planted-token\r\n"),
        post(
            "/v1/mint/quote/code",
            r#"{"unit":"uusd","code":"FT-PLANTED-CODE","description":"planted-memo"}"#,
        ),
        post("/v1/mint/quote/code", r#"{"unit":"planted-body"}"#),
        post("/v1/mint/quote/code", r#"{"planted-body"#),
        post("/v1/mint/code", r#"{"quote":"planted-token","outputs":[],"memo":"planted-memo"}"#),
        post("/v1/swap", &format!(r#"{{"inputs":[{proof}],"outputs":[]}}"#)),
        post("/v1/melt/quote/code", r#"{"unit":"uusd","request":"FT-PLANTED-CODE","amount":1}"#),
        post("/v1/melt/code", &format!(r#"{{"quote":"planted-token","inputs":[{proof}]}}"#)),
        post("/v1/checkstate", r#"{"Ys":["planted-secret"]}"#),
        post("/v1/restore", r#"{"outputs":[{"amount":1,"id":"planted-body","B_":"planted-secret"}]}"#),
        post("/v1/planted-body", "{}"),
        head(&format!("GET {issuer}/v1/keys/planted-body"), ""),
        head(&format!("GET {issuer}/v1/mint/quote/code/planted-token"), ""),
    ];
    requests.iter().filter(|request| !raw(gate, request).is_empty()).count()
}

/// The letters and digits of base64url.
fn is_text(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn decode(text: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for letter in text {
        let value = LETTERS.iter().position(|one| one == letter).unwrap();
        bits = bits << 6 | u32::try_from(value).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    bytes
}

/// The secrets of credits in a text, in digits and in bytes: 64 hexadecimal digits, also below layers of base64. In a token's
/// CBOR the three letters of what comes next touch them.
fn secrets(text: &[u8], depth: u8, found: &mut Vec<Vec<u8>>) {
    for word in text.split(|byte| !is_text(*byte)) {
        let digits = word.get(..64).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        if let (Some(digits), 64 | 67) = (digits, word.len()) {
            let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
            found.push(pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect());
            found.push(digits.to_vec());
        } else if word.len() > 64 && depth > 0 {
            secrets(&decode(word.strip_prefix(b"cashuB").unwrap_or(word)), depth - 1, found);
        }
    }
}

/// What payers sent and got that is money or the right to something: it must be nowhere.
fn bearer(tap: &Tap) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for (asked, answer) in tap.seen() {
        for (text, is_answer) in [(asked, false), (answer, true)] {
            let text = String::from_utf8_lossy(&text).into_owned();
            for line in text.lines().take_while(|line| !line.is_empty()) {
                let Some((name, value)) = line.split_once(": ") else { continue };
                let (name, value) = (name.to_ascii_lowercase(), value.trim());
                let ours = [
                    "authorization",
                    "payment-authorization",
                    "x-cashu",
                    "farthing-pass",
                    "payment-receipt",
                    "set-cookie",
                ];
                // The 402's own X-Cashu is a price, not money.
                let offer = is_answer && value.starts_with("creq");
                if !ours.contains(&name.as_str()) || offer || value.len() < 80 {
                    continue;
                }
                let middle = value.len() / 2;
                found.push(value.as_bytes()[middle - 16..middle + 16].to_vec());
                // A pass names its payment, as the books do; it has no secrets of credits.
                if !is_answer && name != "farthing-pass" {
                    secrets(value.as_bytes(), 3, &mut found);
                }
            }
            for part in text.split("\"secret\":\"").skip(1) {
                found.push(part.split('"').next().unwrap().as_bytes().to_vec());
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether any millisecond of a span is in the bytes, as the rows have numbers: seven bits a byte, the lowest first.
fn has_time(hay: &[u8], (from, to): (Timestamp, Timestamp)) -> bool {
    // Forty-one bits, for the times of this century.
    hay.windows(6).any(|window| {
        let (last, first) = window.split_last().unwrap();
        let whole = first.iter().all(|byte| byte & 0x80 != 0) && last & 0x80 == 0;
        let number = window.iter().rev().fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7f));
        whole && (from.millis()..=to.millis()).contains(&number)
    })
}

fn timed(what: impl FnOnce() -> Run) -> (Run, (Timestamp, Timestamp)) {
    let now = system_clock();
    let from = now();
    let run = what();
    (run, (from, now()))
}

fn serve(folder: &Path) -> Server {
    Server::start(folder, &["serve", "--log", "debug"], "listening on ")
}

/// A shop behind a tap, on an address that stays the same when it starts again; and what the shop's site is asked.
fn shop() -> (tempfile::TempDir, Tap, String, Receiver<String>) {
    let (tell, asked) = channel();
    let free =
        ["/free", "/tunnel", "/nonsense"].map(|path| format!("[[free]]\npath = \"{path}\"\n")).concat();
    let rules = format!("[[price]]\npath = \"/**\"\namount = \"0.01 USD\"\npass = \"10m\"\n{COUNTED}{free}");
    let shop = folder(&site(tell), &rules);
    let server = serve(shop.path());
    let gate = server.text("gate").trim_start_matches("http://").to_owned();
    server.stop();
    let tap = Tap::before(&gate);
    let file = shop.path().join("farthing.toml");
    let config = std::fs::read_to_string(&file).unwrap().replace("127.0.0.1:0", &gate);
    let more = format!("public_url = \"{}\"\ntrusted_proxies = [\"{PEER}/32\"]\n", tap.url(""));
    std::fs::write(&file, config.replacen("[server]\n", &format!("[server]\n{more}"), 1)).unwrap();
    (shop, tap, gate, asked)
}

#[test]
fn folder_log_and_commands_know_no_payer() {
    let (shop, tap, gate, asked) = shop();
    let path = shop.path();
    let mut server = serve(path);
    let code = run(path, &["code", "create", "--amount", "1.00 USD", "--text"]).stdout.trim().to_owned();
    let (purse, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mint = server.text("issuer").to_owned();
    let redeem = ["wallet", "redeem", &code, "--mint", &mint];
    let (redeemed, issued) = timed(|| payer(purse.path(), &redeem));
    assert_eq!(redeemed.exit, 0, "{}", redeemed.stderr);
    let page = tap.url("/planted-path?who=planted-query");
    let (bought, paid) = timed(|| payer(purse.path(), &["pay", &page]));
    assert_eq!((bought.exit, bought.stdout.as_str()), (0, "page"), "{}", bought.stderr);
    for (page, exit) in [("/planted-path", 0), ("/broken", 1), ("/cut", 1), ("/planted-path/again", 0)] {
        let again = payer(purse.path(), &["pay", &tap.url(&format!("{page}?who=planted-query"))]);
        assert_eq!(again.exit, exit, "{page}: {}", again.stderr);
    }
    let sent = payer(purse.path(), &["wallet", "send", "0.10 USD", "--memo", "planted-memo"]).stdout;
    let received = payer(other.path(), &["wallet", "receive", sent.trim(), "--any-mint"]);
    assert_eq!(received.exit, 0, "{}", received.stderr);
    let answered = trouble(&gate, &tap.address.to_string(), mint.trim_start_matches(&tap.url("")));
    assert!(answered > 20, "only {answered} of the troubles were answered");

    // A payment is on hold when the program is killed, and released by the next one.
    let page = tap.url("/hang?who=planted-query");
    let mut hanging =
        farthing(purse.path()).args(["pay", &page, "--wallet", "w"]).stderr(Stdio::null()).spawn().unwrap();
    assert!(asked.iter().any(|path| path == "/hang"));
    server.signal("KILL");
    let (_, mut log) = server.end();
    server = serve(path);
    log += &server.said;
    assert!(server.said.contains("1 payment on hold: released"), "{}", server.said);
    let _ = hanging.kill();
    hanging.wait().unwrap();
    let published = lists(path, &gate, &tap.address.to_string(), mint.trim_start_matches(&tap.url("")));
    let mut said = std::fs::read(path.join("ready.json")).unwrap();
    for command in COMMANDS {
        let run = run(path, &command.split(' ').collect::<Vec<_>>());
        assert_eq!(run.exit, 0, "{command}: {}", run.stderr);
        said.extend(format!("{}{}", run.stdout, run.stderr).into_bytes());
    }
    let copy = std::fs::read(path.join("copy")).unwrap();
    assert!(letters(&copy).contains("planted-path") && !has_time(&copy, issued), "a backup is as the folder");
    said.extend([copy, published.into_bytes()].concat());
    server.signal("TERM");
    log += &server.end().1;

    let mut folder = Vec::new();
    bytes(&path.join("farthing-data"), &mut folder);
    let [kept, written, told] = [&folder[..], log.as_bytes(), &said[..]].map(letters);
    // What is kept by design is found, so the search would find the rest as well.
    assert!(kept.contains("planted-path") && kept.contains("merchant:example"), "the search finds nothing");
    assert!(has_time(&folder, paid), "the time of a payment is kept");
    assert!(written.contains("debug") && told.contains("merchant:example"), "{log}");
    let needles = needles(&tap, &code, &sent);
    let secrets = needles.iter().filter(|needle| needle.len() == 64).count();
    assert!(secrets > 10, "only {secrets} secrets of {} things to look for", needles.len());
    for needle in needles.iter().map(|needle| letters(needle)) {
        assert!(!kept.contains(&needle), "the folder has {needle:?}");
        assert!(!written.contains(&needle), "the log has {needle:?}:\n{log}");
        assert!(!told.contains(&needle), "a command says {needle:?}");
    }
    assert!(!has_time(&folder, issued), "the folder says when credits were issued");
    let (from, to) = (issued.0.to_string(), issued.1.to_string());
    let then = |line: &&str| line.get(..23).is_some_and(|at| from[..23] <= *at && at <= &to[..23]);
    assert_eq!(log.lines().find(then), None, "the log says when credits were issued");
}

/// What everybody may read once an epoch has ended: statements, and the lists of what was signed and spent.
fn lists(shop: &Path, gate: &str, host: &str, issuer: &str) -> String {
    let ended = run(shop, &["issuer", "epoch"]);
    assert_eq!(ended.exit, 0, "{}", ended.stderr);
    let get =
        |path: &str| raw(gate, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
    let keysets = get(&format!("{issuer}/v1/keysets"));
    let keyset = keysets.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap();
    let place = "/.well-known/farthing/liabilities";
    let lists = ["issued", "redeemed"].map(|side| get(&format!("{place}/{keyset}/0/{side}")));
    assert!(lists.iter().all(|list| list.starts_with("HTTP/1.1 200")), "{lists:?}");
    ended.stdout + &get(place) + &lists.concat()
}

/// Everything that must be nowhere.
fn needles(tap: &Tap, code: &str, token: &str) -> Vec<Vec<u8>> {
    let mut needles: Vec<Vec<u8>> = WORDS.iter().map(|word| word.as_bytes().to_vec()).collect();
    let plain = code.replace('-', "");
    needles.extend([code, &plain, &plain[2..]].map(|text| text.as_bytes().to_vec()));
    // The second address in bytes; four bytes of the first would be found by accident.
    needles.push(vec![0x20, 0x01, 0x0d, 0xb8, 0, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
    needles.push(b"correct horse battery staple".to_vec());
    secrets(token.trim().as_bytes(), 3, &mut needles);
    needles.extend(bearer(tap));
    needles
}
