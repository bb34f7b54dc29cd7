//! The web server behind the gate: answers what it is told to, and says what it was asked.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const HEAD_BYTES_MOST: usize = 64 * 1024;

/// A request as the gate passes it on.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// All lines of the head after the first.
    pub head: String,
}

/// What to answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: String,
    /// How long the answer takes.
    pub after: Duration,
}

/// A running site. Dropping it stops it.
pub struct Site {
    address: String,
    accepting: JoinHandle<()>,
}

impl Asked {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    /// What the gate says of the payment: the payload of the signed `Farthing-Payment`. Its signature is the gate's
    /// tests' business.
    pub fn note(&self) -> Option<Value> {
        let payload = self.field("farthing-payment")?.split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}

impl Reply {
    /// A page.
    pub fn page(body: impl Into<String>) -> Self {
        Self { status: 200, body: body.into(), after: Duration::ZERO }
    }
}

impl Site {
    /// Listens on a free port of the loopback.
    pub async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Result<Self, String> {
        let failed = |error| format!("opening the upstream: {error}");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?.to_string();
        let answer: Arc<dyn Fn(&Asked) -> Reply + Send + Sync> = Arc::new(answer);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&answer)));
            }
        });
        Ok(Self { address, accepting })
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One connection to its end.
async fn serve(mut stream: TcpStream, answer: Arc<dyn Fn(&Asked) -> Reply + Send + Sync>) {
    drop(stream.set_nodelay(true));
    let mut read = Vec::new();
    while let Some(asked) = next(&mut stream, &mut read).await {
        let Reply { status, body, after } = answer(&asked);
        if !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let body = if asked.method == "HEAD" { "" } else { body.as_str() };
        if stream.write_all(format!("{head}{body}").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The next request, its body read and forgotten.
async fn next(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<Asked> {
    let end = loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break end.checked_add(4)?;
        }
        if read.len() > HEAD_BYTES_MOST || stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(read.get(..end)?).into_owned();
    let (first, head) = text.split_once("\r\n")?;
    let mut words = first.split(' ');
    let asked =
        Asked { method: words.next()?.to_owned(), target: words.next()?.to_owned(), head: head.to_owned() };
    let length: usize = asked.field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let whole = end.checked_add(length)?;
    while read.len() < whole {
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
    read.drain(..whole);
    Some(asked)
}

#[cfg(test)]
mod tests {
    use farthing_bench::connection::{Connection, get, post};

    use super::*;

    #[tokio::test]
    async fn requests_on_one_connection_are_answered_in_turn() {
        let site = Site::start(|asked| match asked.method.as_str() {
            "POST" => Reply { status: 500, ..Reply::page(asked.target.clone()) },
            _ => Reply::page(format!("{:?}", asked.field("X-A"))),
        });
        let site = site.await.unwrap();
        let mut connection = Connection::open(site.address()).await.unwrap();
        let answer = connection.exchange(&get(site.address(), "/a", "x-a: b\r\n")).await.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "Some(\"b\")"));
        let answer = connection.exchange(&post(site.address(), "/c?d", "{\"e\":1}")).await.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (500, "/c?d"));
        let answer = connection.exchange(&get(site.address(), "/a", "")).await.unwrap();
        assert_eq!(answer.text(), "None");
    }

    #[test]
    fn notes_are_read() {
        let note = URL_SAFE_NO_PAD.encode(r#"{"standing":"held"}"#);
        let head = format!("host: x\r\nFarthing-Payment: e30.{note}.c2ln\r\n");
        let asked = Asked { method: "GET".into(), target: "/".into(), head };
        assert_eq!(asked.note().unwrap()["standing"], "held");
        assert_eq!(Asked { head: String::new(), ..asked }.note(), None);
    }
}
