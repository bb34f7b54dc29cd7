//! The web server behind the gate: a page for every turn that an answer can take.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use farthing_wire::x402::PaymentRequired;

/// A site, and what it was asked.
pub struct Site {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub head: String,
    pub body: String,
}

impl Site {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let seen = Arc::clone(&seen);
                // A client that leaves early ends its own connection only.
                std::thread::spawn(move || answer(stream.unwrap(), &seen).ok());
            }
        });
        Self { address, asked }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests for a path.
    pub fn asked(&self, path: &str) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|asked| asked.path == path).cloned().collect()
    }
}

fn answer(stream: TcpStream, seen: &Mutex<Vec<Asked>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let asked = Asked {
        method: method.to_owned(),
        path: path.to_owned(),
        head: head.to_ascii_lowercase(),
        body: String::from_utf8(body).unwrap(),
    };
    let reply = reply(&asked);
    seen.lock().unwrap().push(asked);
    let mut stream = stream;
    stream.write_all(&reply)
}

/// An offer of x402, as base64 has it.
fn asked_for() -> String {
    let required: PaymentRequired = serde_json::from_str(OFFER).unwrap();
    required.to_header().unwrap()
}

const OFFER: &str = r#"{"resource":{"url":"http://shop.example/chain"},"accepts":[{"scheme":"exact","network":"eip155:84532",
    "amount":"12345","asset":"0x036CbD53842c5426634e7929541eC2318f3dCF7e","payTo":"0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
    "maxTimeoutSeconds":60,"extra":{"name":"USDC","version":"2"}}]}"#;
const OFFER_V1: &str = r#"{"x402Version":1,"accepts":[{"scheme":"exact","network":"base-sepolia","maxAmountRequired":"12345",
    "resource":"http://shop.example/chain","description":"","mimeType":"","payTo":"0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
    "maxTimeoutSeconds":60,"asset":"0x036CbD53842c5426634e7929541eC2318f3dCF7e","extra":{"name":"USDC","version":"2"}}]}"#;

fn reply(asked: &Asked) -> Vec<u8> {
    let whole = |status: &str, fields: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{fields}Connection: close\r\n\r\n{body}")
            .into_bytes()
    };
    let text = "Content-Type: text/plain\r\n";
    match asked.path.as_str() {
        path if ["/page?", "/call?", "/euros?"].iter().any(|page| path.starts_with(page)) => {
            whole("200 OK", text, "a page\n")
        }
        "/page" | "/euros" | "/free" | "/dear" | "/call" => {
            whole("200 OK", text, &format!("this is {}\n", asked.path))
        }
        "/broken" => whole("500 Internal Server Error", text, "oh no\n"),
        "/toll" => whole("302 Found", "Location: /page\r\n", "pass through\n"),
        "/moved" => whole("302 Found", "Location: /page\r\n", "over there\n"),
        path if path.starts_with("/away?") => {
            whole("307 Temporary Redirect", &format!("Location: {}\r\n", &path["/away?".len()..]), "")
        }
        "/chain" if asked.head.contains("payment-signature:") => whole("200 OK", text, "paid for\n"),
        "/chain" => whole("402 Payment Required", &format!("PAYMENT-REQUIRED: {}\r\n", asked_for()), "{}"),
        "/chain-v1" if asked.head.contains("x-payment:") => whole("200 OK", text, "paid for\n"),
        "/chain-v1" => whole("402 Payment Required", "Content-Type: application/json\r\n", OFFER_V1),
        "/echo" => whole("200 OK", text, &format!("{} {}", asked.method, asked.body)),
        "/cut" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nonly this".to_vec(),
        _ => whole("404 Not Found", text, "nothing here\n"),
    }
}
