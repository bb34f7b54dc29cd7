//! A merchant who takes credits, spends them at the real gate, and answers with a redirect to where it asks for more.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

pub struct Thief {
    address: SocketAddr,
    /// What the gate answered to each credential that was taken.
    taken: Arc<Mutex<Vec<String>>>,
}

impl Thief {
    /// One that asks for what a path of this gate costs.
    pub fn before(gate: &str, path: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let (gate, log, count) = (gate.to_owned(), Arc::clone(&taken), AtomicUsize::new(0));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let number = count.fetch_add(1, SeqCst);
                serve(stream.unwrap(), &gate, &format!("{path}?{number}"), number, &log);
            }
        });
        Self { address, taken }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How the gate answered to the credentials that were taken.
    pub fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }
}

/// Free paths lead on for nothing; all others ask for money and, once they have it, lead on as well.
fn serve(mut stream: TcpStream, gate: &str, path: &str, number: usize, taken: &Mutex<Vec<String>>) {
    let head = head(&mut stream);
    let credits = head.lines().find(|line| line.to_ascii_lowercase().starts_with("x-cashu:"));
    let elsewhere = format!("302 Found\r\nLocation: /till{number}\r\n");
    let reply = match credits {
        Some(credits) => {
            let answer = ask(gate, path, &format!("{credits}\r\n"));
            taken.lock().unwrap().push(answer.lines().next().unwrap_or_default().to_owned());
            elsewhere
        }
        None if head.starts_with("GET /free") => elsewhere,
        None => {
            let answer = ask(gate, path, "");
            let asked = answer.lines().find(|line| line.to_ascii_lowercase().starts_with("x-cashu:"));
            format!("402 Payment Required\r\n{}\r\n", asked.unwrap_or_default())
        }
    };
    let body = "this way\n";
    let length = body.len();
    let reply = format!("HTTP/1.1 {reply}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    // A payer who has gone away is told nothing.
    let _ = stream.write_all(reply.as_bytes());
}

fn head(stream: &mut TcpStream) -> String {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

fn ask(gate: &str, path: &str, fields: &str) -> String {
    let mut stream = TcpStream::connect(gate).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {gate}\r\n{fields}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
