//! The load generator: N connections that take the next of a fixed number of requests as soon as they have the answer to
//! the last. One thread, so that it takes as little as possible of the machine that it shares with the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::failure::{Failure, Result};
use crate::stat::{millis, percentile, rate};

/// Longer than this no round takes, whatever the server does.
const PATIENCE: Duration = Duration::from_mins(5);

/// What a round showed.
#[derive(Clone, Debug)]
pub struct Round {
    /// How long it took.
    pub span: Duration,
    /// How long each answer took, in microseconds, sorted.
    pub latencies: Vec<u32>,
}

impl Round {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        rate(self.latencies.len(), self.span)
    }

    /// The time in milliseconds within which this share was answered.
    pub fn within_ms(&self, share: f64) -> f64 {
        millis(percentile(&self.latencies, share))
    }
}

/// Sends every request once, over so many connections, and expects this status of every answer. The clock starts when all
/// are connected.
pub async fn run(address: &str, connections: usize, requests: Vec<Vec<u8>>, status: u16) -> Result<Round> {
    go(address, connections, requests, (status, false)).await
}

/// The same of a server that may refuse some of them: only answers of this status count.
pub async fn run_some(
    address: &str,
    connections: usize,
    requests: Vec<Vec<u8>>,
    status: u16,
) -> Result<Round> {
    go(address, connections, requests, (status, true)).await
}

async fn go(address: &str, connections: usize, requests: Vec<Vec<u8>>, wanted: (u16, bool)) -> Result<Round> {
    let requests: Arc<[Vec<u8>]> = requests.into();
    let next = Arc::new(AtomicUsize::new(0));
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(address).await?);
    }
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for connection in open {
        clients.spawn(client(connection, Arc::clone(&requests), Arc::clone(&next), wanted));
    }
    let mut latencies = Vec::with_capacity(requests.len());
    let all = async {
        while let Some(done) = clients.join_next().await {
            latencies.extend(done.map_err(Failure::at("a client broke off"))??);
        }
        Ok::<(), Failure>(())
    };
    tokio::time::timeout(PATIENCE, all).await.map_err(Failure::at("waiting for a round to end"))??;
    let span = begun.elapsed();
    latencies.sort_unstable();
    Ok(Round { span, latencies })
}

async fn client(
    mut connection: Connection,
    requests: Arc<[Vec<u8>]>,
    next: Arc<AtomicUsize>,
    (status, may_refuse): (u16, bool),
) -> Result<Vec<u32>> {
    let mut latencies = Vec::new();
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let begun = Instant::now();
        let answer = connection.exchange(request).await?;
        if may_refuse && answer.status != status {
            continue;
        }
        answer.expect(status)?;
        latencies.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::connection::get;

    /// Answers every read with the same bytes, in two pieces.
    async fn server(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(async move {
                    let mut buffer = [0; 1024];
                    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                        let (first, second) = answer.split_at(answer.len() / 2);
                        stream.write_all(first.as_bytes()).await.unwrap();
                        stream.flush().await.unwrap();
                        stream.write_all(second.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn every_request_is_sent_once() {
        let address = server("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await;
        let round = run(&address, 3, vec![get(&address, "/", ""); 50], 200).await.unwrap();
        assert_eq!(round.latencies.len(), 50);
        assert!(round.rate() > 0.0 && round.within_ms(0.5) <= round.within_ms(1.0));
    }

    #[tokio::test]
    async fn another_status_ends_the_round() {
        let address = server("HTTP/1.1 503 X\r\ncontent-length: 4\r\n\r\nbusy").await;
        let failure = run(&address, 2, vec![get(&address, "/", ""); 5], 200).await.unwrap_err();
        assert!(failure.to_string().contains("503: busy"), "{failure}");
        let round = run_some(&address, 2, vec![get(&address, "/", ""); 5], 200).await.unwrap();
        assert_eq!(round.latencies.len(), 0);
    }
}
