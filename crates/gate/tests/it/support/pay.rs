//! A gate with prices, and clients that pay it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use farthing_channel::{SigningKey, bytes_to_hex, message_digest};
use farthing_gate::proxy::Timeouts;
use farthing_gate::serve::Limits;
use farthing_gate::{Gate, PassScope, Price, Proxy, ProxyConfig, Rule, Rules};
use farthing_money::{Amount, Span};
use farthing_wire::mpp::{self, credit};
use farthing_wire::x402::extension::sign_in::{self, SignIn, SignInInfo};
use farthing_wire::x402::{PaymentFlow, PaymentRequired};
use farthing_wire::{Problem, Receipt, header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::bank::{Bank, signing_key, usd};
use super::{Server, raw, read_until, start_service, status};

pub fn cent() -> Price {
    Price::Paid { amount: usd().money(Amount::new(10_000)) }
}

pub fn rules() -> Rules {
    Rules::new(vec![
        Rule::new("/paid/**", cent()).unwrap().description("An <article>"),
        Rule::new("/once/**", cent()).unwrap().pass(Span::ZERO, PassScope::Url),
        Rule::new("/all/**", cent()).unwrap().pass(Span::from_secs(60), PassScope::Rule),
        Rule::new("/any-query/**", cent()).unwrap().pass(Span::from_secs(60), PassScope::Path),
        Rule::new("/first/**", cent()).unwrap().settled(PaymentFlow::Upfront),
        Rule::new("/paid/free", Price::Free).unwrap(),
    ])
    .unwrap()
}

pub async fn gate(bank: &Arc<Bank>, upstream: SocketAddr) -> Server {
    let mut config = ProxyConfig::new(format!("http://{upstream}").parse().unwrap());
    config.timeouts = Timeouts { answer: Duration::from_millis(500), ..Timeouts::default() };
    start_service(Limits::default(), Gate::new(bank.config(rules()), Proxy::new(config).unwrap())).await
}

/// An answer in parts.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        Self { status: status(text), head: head.to_owned(), body: body.to_owned() }
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        let field = |line: &'_ str| line.split_once(": ").map(|(name, _)| name.to_ascii_lowercase());
        let lines =
            self.head.lines().filter(|line| field(line).is_some_and(|own| own.eq_ignore_ascii_case(name)));
        lines.filter_map(|line| line.split_once(": ").map(|(_, value)| value)).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub fn problem(&self) -> Problem {
        Problem::from_json(self.body.as_bytes()).unwrap_or_else(|_| panic!("no problem in {self:?}"))
    }

    pub fn code(&self) -> String {
        self.problem().code
    }

    pub fn receipt(&self) -> Receipt {
        Receipt::verify(self.header(header::FARTHING_RECEIPT).unwrap(), Some(&signing_key().verifying_key()))
            .unwrap()
    }
}

pub async fn send(gate: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{length}{headers}\r\n"
    );
    Answer::of(&raw(gate, head + body).await)
}

pub async fn get(gate: SocketAddr, path: &str, headers: &str) -> Answer {
    send(gate, "GET", path, headers, "").await
}

pub fn cashu(token: &str) -> String {
    format!("X-Cashu: {token}\r\n")
}

/// One request and its whole answer, on a connection that stays open.
pub async fn exchange(stream: &mut TcpStream, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = read_until(stream, "\r\n\r\n").await;
    let head = text.find("\r\n\r\n").unwrap() + 4;
    let length: usize = Answer::of(&text).header("content-length").unwrap().parse().unwrap();
    let mut rest = vec![0; (head + length).saturating_sub(text.len())];
    stream.read_exact(&mut rest).await.unwrap();
    text.push_str(&String::from_utf8(rest).unwrap());
    Answer::of(&text)
}

/// Answers the sign-in of a 402.
pub fn signed(required: &PaymentRequired, key: &SigningKey) -> SignIn {
    let declared = &required.extensions[sign_in::NAME];
    let info: SignInInfo = serde_json::from_value(declared["info"].clone()).unwrap();
    let mut sign_in = SignIn {
        info,
        address: key.address().to_string(),
        chain_id: declared["supportedChains"][0]["chainId"].as_str().unwrap().into(),
        kind: "eip191".into(),
        signature_scheme: None,
        signature: String::new(),
    };
    let digest = message_digest(sign_in.message().unwrap().as_bytes());
    sign_in.signature = bytes_to_hex(&key.sign(&digest).to_bytes());
    sign_in
}

/// The credential that pays the MPP challenge of a 402.
pub fn credential(challenge: &Answer, token: &str, outputs: Option<Vec<credit::OutputText>>) -> String {
    let challenges = mpp::Challenge::parse_all(&challenge.all("www-authenticate"));
    let payload = credit::Payload { token: token.to_owned(), outputs };
    let credential = mpp::Credential {
        challenge: challenges[0].clone(),
        source: None,
        payload: payload.to_json().unwrap(),
    };
    format!("Authorization: {}\r\n", credential.encode().unwrap())
}
