//! A proxy between payers and the gate that writes into every request who asks, as browsers and other proxies do, and keeps
//! what it saw.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use tokio::net::TcpSocket;

/// The address from which the gate is asked.
pub const PEER: &str = "127.0.0.77";

/// What is written into every request.
pub const PLANTED: &str = "User-Agent: PlantedAgent/7.7\r\n\
    X-Forwarded-For: 203.0.113.77, 2001:db8:77::7\r\n\
    Forwarded: for=203.0.113.77, for=\"[2001:db8:77::7]\"\r\n\
    X-Real-IP: 203.0.113.77\r\n\
    Cookie: id=planted-cookie\r\n\
    Referer: http://planted-referer.example/\r\n\
    From: planted@payer.example\r\n\
    Accept-Language: x-planted-language\r\n";

/// The words of [`PLANTED`] that tell of a payer, and what else the story plants.
pub const WORDS: [&str; 16] = [
    "PlantedAgent",
    "203.0.113.77",
    "2001:db8:77",
    PEER,
    "planted-cookie",
    "planted-referer",
    "planted@payer",
    "x-planted-language",
    "planted-query",
    "planted-token",
    "planted-secret",
    "planted-witness",
    "planted-memo",
    "planted-body",
    "planted-pass",
    "FT-PLANTED",
];

type Seen = Arc<Mutex<Vec<(Vec<u8>, Vec<u8>)>>>;

/// The proxy. It goes on until the test ends.
pub struct Tap {
    pub address: SocketAddr,
    seen: Seen,
}

impl Tap {
    pub fn before(gate: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Seen::default();
        let (gate, keep) = (gate.to_owned(), Arc::clone(&seen));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (gate, seen) = (gate.clone(), Arc::clone(&keep));
                // Who leaves early ends its own connection only.
                std::thread::spawn(move || pass_on(&client, &gate, &seen).ok());
            }
        });
        Self { address, seen }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Requests and their answers, as they went over the wire.
    pub fn seen(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.seen.lock().unwrap().clone()
    }
}

/// A connection to the gate that comes from [`PEER`].
pub fn connect(gate: &str) -> std::io::Result<TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(format!("{PEER}:0").parse().unwrap())?;
        socket.connect(gate.parse().unwrap()).await
    })?;
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// One request of a connection.
fn pass_on(mut client: &TcpStream, gate: &str, seen: &Seen) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let (mut first, mut head, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
        if !lower.starts_with("connection:") && !lower.starts_with("user-agent:") {
            head.push_str(&line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let asked = [format!("{first}{head}{PLANTED}Connection: close\r\n\r\n").into_bytes(), body].concat();
    let mut answer = Vec::new();
    let mut stream = connect(gate)?;
    stream.write_all(&asked)?;
    let ended = stream.read_to_end(&mut answer);
    client.write_all(&answer)?;
    seen.lock().unwrap().push((asked, answer));
    client.shutdown(Shutdown::Both)?;
    ended.map(drop)
}
