//! Requests to the real gate, and what an operator would have who records all of it: a reverse proxy's log, and every byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use farthing_wallet::{HttpRequest, HttpResponse};

use super::server::told;

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
    /// The body. No log has it; one guesser is given all that was said.
    pub body: Vec<u8>,
    /// The body of the answer.
    pub answer: Vec<u8>,
    /// The fields of both.
    fields: String,
}

impl Line {
    /// All that was said. The date of the answer is left out: time is compressed, and the line has its own.
    pub fn text(&self) -> String {
        let Self { method, path, status, fields, body, answer, .. } = self;
        let [body, answer] = [body, answer].map(|bytes| String::from_utf8_lossy(bytes));
        format!("{method} {path} {status}\n{fields}{body}\n{answer}\n")
    }
}

/// What one wallet did at one time.
#[derive(Clone, Debug, Default)]
pub struct Visit {
    /// Its requests.
    pub lines: Vec<Line>,
}

impl Visit {
    /// Whether a session was opened in it.
    pub fn opens_a_session(&self) -> bool {
        self.lines.iter().any(|line| line.method == "POST" && line.path.ends_with("/v1/sessions"))
    }
}

/// Sends a request on a connection of its own.
pub fn send(request: &HttpRequest, at: u64) -> Result<(HttpResponse, Line), String> {
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
    let fields = request.headers.iter().chain(answer.headers.iter().filter(|(name, _)| name != "date"));
    let fields: Vec<String> = fields.map(|(name, value)| format!("{name}: {value}\n")).collect();
    let (status, body) = (answer.status, request.body.clone());
    let line = Line { at, method, path, status, body, answer: answer.body.clone(), fields: fields.concat() };
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
