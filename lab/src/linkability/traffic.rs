//! Real wallets that speak to the real gate, in the order of a schedule, and what a reverse proxy in front would log of it.
//!
//! Time is compressed: the wallets are told the times of the schedule, which lie in the past, and the proxy's log has them.
//! Requests of different wallets never overlap, and the log says which requests belong to one visit: more than a real
//! observer knows.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use farthing_money::{Amount, Span, Timestamp};
use farthing_wallet::{
    Event, Flow, HttpRequest, HttpResponse, Limits, MemoryVault, Outcome, PayFlow, PayRequest, RedeemFlow,
    SealingEntropy, Seed, Step, Unlock, Wallet,
};

use super::chance::Chance;
use super::scenario::PRICES;
use super::server::{Server, told};

/// A request as a reverse proxy logs it, but for the address.
#[derive(Clone, Debug)]
pub struct Line {
    /// When, in milliseconds from the beginning of the round.
    pub at: u64,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// The body. No log has it: one guesser is given those of top-ups, to find their rows in the folder.
    pub body: Vec<u8>,
}

/// What one wallet did at one time.
#[derive(Clone, Debug, Default)]
pub struct Visit {
    /// Its requests.
    pub lines: Vec<Line>,
}

/// A wallet with a way out.
pub struct Payer {
    wallet: Wallet,
    began: Timestamp,
}

/// A minor unit is a millionth, a cent ten thousand of them.
const CENT: u64 = 10_000;
const UNIT: &str = "uusd";

impl Payer {
    /// A new wallet; its clock begins at `began`.
    pub fn new(began: Timestamp, exact: bool, chance: &mut Chance) -> Result<Self, String> {
        let seed = Seed::from_entropy(chance.bytes()).map_err(told)?;
        let entropy = SealingEntropy { salt: [0; 16], nonce: [0; 24] };
        let mut wallet =
            Wallet::create(MemoryVault::default(), seed, Unlock::Key(&[7; 32]), &entropy).map_err(told)?;
        let none = Limits::none(UNIT.parse().map_err(told)?);
        // Nothing over the price may be sent: the wallet has to swap first.
        let cap = PRICES.iter().max().map(|cents| Amount::from(cents * CENT)).filter(|_| exact);
        wallet.set_limits(Limits { per_call: cap, ..none }).map_err(told)?;
        Ok(Self { wallet, began })
    }

    /// Redeems a code.
    pub fn top_up(&mut self, server: &Server, code: &str, at: u64) -> Result<Visit, String> {
        let mut flow = RedeemFlow::new(code, server.issuer(), None).map_err(told)?;
        let (visit, outcome) = self.run(&mut flow, at)?;
        match outcome {
            Outcome::Redeemed { .. } => Ok(visit),
            other => Err(format!("expected a top-up, got {other:?}")),
        }
    }

    /// Buys a page.
    pub fn pay(&mut self, server: &Server, path: &str, at: u64) -> Result<Visit, String> {
        let url = format!("{}{path}", server.gate());
        let (headers, body) = (Vec::new(), Vec::new());
        let request = PayRequest { method: "GET".into(), url, headers, body, max: None };
        let (visit, outcome) = self.run(&mut PayFlow::new(request).map_err(told)?, at)?;
        match outcome {
            Outcome::Paid(_) => Ok(visit),
            other => Err(format!("expected a page, got {other:?}")),
        }
    }

    fn run(&mut self, flow: &mut impl Flow, at: u64) -> Result<(Visit, Outcome), String> {
        let (mut event, mut visit, mut at) = (Event::Go, Visit::default(), at);
        loop {
            at += 20;
            let now = self.began.after(Span::from_millis(at));
            event = match flow.next(&mut self.wallet, event, now).map_err(told)? {
                Step::Send(request) => {
                    let (answer, line) = send(&request, at)?;
                    visit.lines.push(line);
                    Event::Answer(answer)
                }
                Step::Deliver => Event::Go,
                Step::Wait(_) => {
                    std::thread::sleep(std::time::Duration::from_millis(50));
                    Event::Go
                }
                Step::Done(outcome) => return Ok((visit, *outcome)),
            };
        }
    }
}

/// Sends a request on a connection of its own.
fn send(request: &HttpRequest, at: u64) -> Result<(HttpResponse, Line), String> {
    let rest = request.url.strip_prefix("http://").ok_or("expected plain HTTP to this machine")?;
    let (host, path) = rest.split_once('/').ok_or("expected a path")?;
    let first = format!("{} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n", request.method);
    let fields: Vec<String> =
        request.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = match request.method.as_str() {
        "GET" => String::new(),
        _ => format!("content-length: {}\r\n", request.body.len()),
    };
    let head = [first, fields.concat(), length, "\r\n".to_owned()].concat();
    let bytes = [head.as_bytes(), &request.body].concat();
    let mut stream = TcpStream::connect(host).map_err(told)?;
    stream.write_all(&bytes).map_err(told)?;
    let answer = read(stream)?;
    let (method, path) = (request.method.clone(), format!("/{path}"));
    let line = Line { at, method, path, status: answer.status, body: request.body.clone() };
    Ok((answer, line))
}

fn read(stream: TcpStream) -> Result<HttpResponse, String> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).map_err(told)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| format!("expected a status, got {line:?}"))?;
    let (mut headers, mut chunked) = (Vec::new(), false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).map_err(told)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        chunked |= name == "transfer-encoding";
        headers.push((name, value));
    }
    let body = if chunked { chunks(&mut reader)? } else { rest(&mut reader, &headers)? };
    Ok(HttpResponse { status, headers, body })
}

fn rest(reader: &mut impl Read, headers: &[(String, String)]) -> Result<Vec<u8>, String> {
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(u64::MAX);
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body).map_err(told)?;
    Ok(body)
}

fn chunks(reader: &mut impl BufRead) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).map_err(told)?;
        let length = u64::from_str_radix(line.trim(), 16).map_err(|_| "expected a chunk")?;
        reader.by_ref().take(length).read_to_end(&mut body).map_err(told)?;
        reader.read_line(&mut String::new()).map_err(told)?;
        if length == 0 {
            return Ok(body);
        }
    }
}
