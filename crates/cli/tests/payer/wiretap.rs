//! A wire that can swallow the answers to chosen requests: the request arrives, the answer never does.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// What happens to the answers of requests in which the text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// They arrive.
    Pass,
    /// They are swallowed and the connection is closed.
    Lose(&'static str),
    /// They are swallowed and nothing more happens.
    Hold(&'static str),
}

pub struct Wiretap {
    pub address: SocketAddr,
    answers: Arc<Mutex<Answers>>,
    swallowed: Receiver<()>,
}

impl Wiretap {
    pub fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Arc::new(Mutex::new(Answers::Pass));
        let (tell, swallowed) = channel();
        let (server, mode) = (server.to_owned(), Arc::clone(&answers));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                join(client.unwrap(), TcpStream::connect(&server).unwrap(), &mode, &tell);
            }
        });
        Self { address, answers, swallowed }
    }

    pub fn set(&self, answers: Answers) {
        *self.answers.lock().unwrap() = answers;
    }

    /// Waits until an answer was swallowed: the server has done what it was asked.
    pub fn wait_for_swallowed(&self) {
        self.swallowed.recv().unwrap();
    }
}

fn join(client: TcpStream, server: TcpStream, mode: &Arc<Mutex<Answers>>, tell: &Sender<()>) {
    let fate = Arc::new(Mutex::new(Answers::Pass));
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (mode, decided) = (Arc::clone(mode), Arc::clone(&fate));
    std::thread::spawn(move || {
        let mut seen = String::new();
        pump(&mut from, |bytes| {
            seen.push_str(&String::from_utf8_lossy(bytes).to_ascii_lowercase());
            let now = *mode.lock().unwrap();
            if let Answers::Lose(text) | Answers::Hold(text) = now
                && seen.contains(text)
            {
                *decided.lock().unwrap() = now;
            }
            to.write_all(bytes).is_ok()
        });
        let _ = to.shutdown(Shutdown::Both);
    });
    let (mut from, mut to, tell) = (server, client, tell.clone());
    std::thread::spawn(move || {
        pump(&mut from, |bytes| match *fate.lock().unwrap() {
            Answers::Pass => to.write_all(bytes).is_ok(),
            Answers::Lose(_) => tell.send(()).is_err(),
            Answers::Hold(_) => tell.send(()).is_ok(),
        });
        let _ = to.shutdown(Shutdown::Both);
    });
}

/// Reads until the other side ends, or until it shall end.
fn pump(from: &mut TcpStream, mut goes_on: impl FnMut(&[u8]) -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 || !goes_on(&buffer[..count]) {
            break;
        }
    }
}
