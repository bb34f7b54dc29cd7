//! The cheapest client that still is one: HTTP/1.1 over one kept-alive connection, the request's bytes made beforehand,
//! of the answer only what a figure needs.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::failure::{Failure, Result};

/// A kept-alive connection; one request at a time.
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer, valid until the next request.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    /// The fields as they came.
    pub head: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// The bytes of a POST of JSON.
pub fn post(address: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The bytes of a GET; `fields` are whole lines, each with its end.
pub fn get(address: &str, path: &str, fields: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{fields}\r\n").into_bytes()
}

impl Connection {
    /// Connects to `host:port`.
    pub async fn open(address: &str) -> Result<Self> {
        let doing = format!("connecting to {address}");
        let stream = TcpStream::connect(address).await.map_err(Failure::at(&doing))?;
        stream.set_nodelay(true).map_err(Failure::at(&doing))?;
        Ok(Self { stream, read: Vec::with_capacity(64 * 1024) })
    }

    /// Sends a request and reads its answer to the end.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await.map_err(Failure::at("sending a request"))?;
        self.read.clear();
        let head = loop {
            self.more().await?;
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = || self.read.get(..head).and_then(|head| std::str::from_utf8(head).ok());
        let shape = text().and_then(shape);
        let (status, length) = shape.ok_or_else(|| {
            Failure::new(format!(
                "expected a status and a content-length, got {:?}",
                text().unwrap_or_default()
            ))
        })?;
        let end = head + length;
        while self.read.len() < end {
            self.more().await?;
        }
        let head_text = self.read.get(..head).and_then(|head| std::str::from_utf8(head).ok());
        Ok(Answer {
            status,
            head: head_text.unwrap_or_default(),
            body: self.read.get(head..end).unwrap_or_default(),
        })
    }

    async fn more(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.read).await.map_err(Failure::at("reading an answer"))? {
            0 => Err(Failure::new("the server closed the connection before its answer was complete")),
            _ => Ok(()),
        }
    }
}

impl Answer<'_> {
    /// The values of one field.
    pub fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        fields(self.head).filter(move |(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// What it says, for people.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.body).chars().take(500).collect()
    }

    /// Refuses another status than this one.
    pub fn expect(&self, status: u16) -> Result<()> {
        if self.status == status {
            return Ok(());
        }
        Err(Failure::new(format!("expected status {status}, got {}: {}", self.status, self.text())))
    }
}

fn fields(head: &str) -> impl Iterator<Item = (&str, &str)> {
    head.split("\r\n")
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name, value.trim()))
}

/// Status and body length.
fn shape(head: &str) -> Option<(u16, usize)> {
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let length = fields(head).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    Some((status, length?.1.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_tells_status_and_length() {
        assert_eq!(shape("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"), Some((200, 12)));
        assert_eq!(shape("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), None);
        assert_eq!(shape("HTTP/2 200\r\ncontent-length: 1\r\n\r\n"), None);
    }

    #[test]
    fn fields_are_found_whatever_their_case() {
        let answer =
            Answer { status: 402, head: "HTTP/1.1 402 X\r\nX-Cashu: a\r\nx-cashu:b\r\n\r\n", body: b"no" };
        assert_eq!(answer.fields("x-CASHU").collect::<Vec<_>>(), ["a", "b"]);
        assert!(answer.expect(200).unwrap_err().to_string().contains("got 402: no"));
    }

    #[test]
    fn requests_end_where_they_should() {
        let get = get("h:1", "/a", "x: y\r\n");
        assert_eq!(get, b"GET /a HTTP/1.1\r\nhost: h:1\r\nx: y\r\n\r\n");
        assert!(post("h:1", "/a", "{}").ends_with(b"content-length: 2\r\n\r\n{}"));
    }
}
