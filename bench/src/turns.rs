//! The load generator for channels: each has a connection of its own, and its next request leaves when the answer to the last has
//! come, since a channel takes one payment at a time. What the answers say of the payment is kept, and read when the clock has
//! stopped.

use std::time::{Duration, Instant};

use farthing_wire::header::PAYMENT_RESPONSE;
use farthing_wire::x402::SettleResponse;
use farthing_wire::x402::batch::ChannelAnswer;
use rayon::prelude::*;
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::failure::{Failure, Result};
use crate::lane::Paying;
use crate::load::Round;

/// Longer than this beyond its time no round takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a round showed.
pub struct Turns {
    /// How long it took, and how long each answer.
    pub round: Round,
    /// What was charged through each channel in the end, as its answers say; nothing if none was charged.
    pub charged: Vec<Option<u128>>,
    /// The first answer of each channel that was not what it should be: another status, which ends its part, or another sum.
    pub wrong: Vec<String>,
    /// Channels whose vouchers were used up before the time was over.
    pub ran_out: usize,
}

/// The part of one channel.
struct Part {
    latencies: Vec<u32>,
    said: Vec<String>,
    totals: Vec<u128>,
    wrong: Option<String>,
    ran_out: bool,
}

/// Sends the requests of each channel in their order for so long. The clock starts when all are connected.
pub async fn run(address: &str, channels: Vec<Vec<Paying>>, time: Duration) -> Result<Turns> {
    let mut open = Vec::new();
    for requests in channels {
        open.push((Connection::open(address).await?, requests));
    }
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for (place, (connection, requests)) in open.into_iter().enumerate() {
        clients.spawn(async move { (place, client(connection, requests, begun, time).await) });
    }
    let mut parts = Vec::new();
    let all = async {
        while let Some(done) = clients.join_next().await {
            let (place, part) = done.map_err(Failure::at("a client broke off"))?;
            parts.push((place, part?));
        }
        Ok::<(), Failure>(())
    };
    tokio::time::timeout(time + PATIENCE, all).await.map_err(Failure::at("waiting for a round to end"))??;
    let span = begun.elapsed();
    parts.sort_by_key(|(place, _)| *place);
    let parts: Vec<Part> = parts.into_iter().map(|(_, part)| part).collect();
    Ok(told(span, &parts))
}

async fn client(
    mut connection: Connection,
    requests: Vec<Paying>,
    begun: Instant,
    time: Duration,
) -> Result<Part> {
    let mut part =
        Part { latencies: Vec::new(), said: Vec::new(), totals: Vec::new(), wrong: None, ran_out: true };
    for Paying { request, total } in requests {
        let sent = Instant::now();
        if sent.duration_since(begun) >= time {
            part.ran_out = false;
            break;
        }
        let answer = connection.exchange(&request).await?;
        if answer.status != 200 {
            part.wrong = Some(format!("{}: {}", answer.status, answer.text()));
            break;
        }
        part.latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
        part.said.push(answer.fields(PAYMENT_RESPONSE).next().unwrap_or_default().to_owned());
        part.totals.push(total);
    }
    Ok(part)
}

/// Reads what was said. An answer whose sum is not the voucher's counts as wrong.
fn told(span: Duration, parts: &[Part]) -> Turns {
    let read: Vec<(Vec<u32>, Option<u128>, Option<String>)> = parts
        .par_iter()
        .map(|part| {
            let (mut latencies, mut charged, mut wrong) = (Vec::new(), None, part.wrong.clone());
            for ((said, total), latency) in part.said.iter().zip(&part.totals).zip(&part.latencies) {
                if charged_by(said) == Some(*total) {
                    latencies.push(*latency);
                } else {
                    wrong
                        .get_or_insert_with(|| format!("expected a payment of {total} in all, got {said:?}"));
                }
                charged = Some(*total);
            }
            (latencies, charged, wrong)
        })
        .collect();
    let ran_out = parts.iter().filter(|part| part.ran_out && part.wrong.is_none()).count();
    let mut turns = Turns {
        round: Round { span, latencies: Vec::new() },
        charged: Vec::new(),
        wrong: Vec::new(),
        ran_out,
    };
    for (latencies, charged, wrong) in read {
        turns.round.latencies.extend(latencies);
        turns.charged.push(charged);
        turns.wrong.extend(wrong);
    }
    turns.round.latencies.sort_unstable();
    turns
}

/// The sum that an answer names as charged so far.
fn charged_by(said: &str) -> Option<u128> {
    let response = SettleResponse::from_header(said).ok().filter(|response| response.success)?;
    let state = ChannelAnswer::of(&response)?.channel_state?;
    state.charged_cumulative_amount?.amount().map(farthing_money::Amount::value)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use farthing_wire::x402::batch::ChannelStateText;
    use farthing_wire::x402::{HexText, Uint};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::connection::get;

    fn said(total: u64) -> String {
        let state = ChannelStateText {
            channel_id: HexText([1; 32]),
            balance: Uint::from(1_000_u64),
            total_claimed: Uint::zero(),
            withdraw_requested_at: 0,
            refund_nonce: Uint::zero(),
            charged_cumulative_amount: Some(Uint::from(total)),
        };
        let answer = ChannelAnswer { channel_state: Some(state), charged_amount: Some(Uint::from(5_u64)) };
        answer.within(SettleResponse::settled("eip155:1", String::new(), None)).to_header().unwrap()
    }

    /// A seller of one channel that takes so many payments of five, and charges the last of them twice.
    async fn seller(payments: u64) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let served = Arc::new(AtomicU64::new(0));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let served = Arc::clone(&served);
                tokio::spawn(async move {
                    let mut buffer = [0; 1024];
                    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                        let count = served.fetch_add(1, Ordering::Relaxed) + 1;
                        let total = if count == payments { 5 * (count + 1) } else { 5 * count };
                        let field = said(total);
                        let answer = if count > payments {
                            "HTTP/1.1 402 X\r\ncontent-length: 2\r\n\r\nno".to_owned()
                        } else {
                            format!(
                                "HTTP/1.1 200 OK\r\npayment-response: {field}\r\ncontent-length: 0\r\n\r\n"
                            )
                        };
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        address
    }

    fn requests(address: &str, count: u128) -> Vec<Paying> {
        (1..=count).map(|n| Paying { request: get(address, "/", ""), total: 5 * n }).collect()
    }

    #[tokio::test]
    async fn a_channel_goes_on_until_an_answer_is_wrong() {
        let address = seller(3).await;
        let turns = run(&address, vec![requests(&address, 9)], Duration::from_mins(1)).await.unwrap();
        assert_eq!((turns.round.latencies.len(), turns.ran_out), (2, 0), "the third names another sum");
        assert_eq!(turns.charged, [Some(15)]);
        assert_eq!(turns.wrong, ["402: no"]);
    }

    #[tokio::test]
    async fn a_channel_ends_when_its_vouchers_do_or_the_time_is_over() {
        let address = seller(100).await;
        let turns = run(&address, vec![requests(&address, 4)], Duration::from_mins(1)).await.unwrap();
        assert_eq!((turns.round.latencies.len(), turns.ran_out, turns.wrong.len()), (4, 1, 0));
        let turns = run(&address, vec![requests(&address, 4)], Duration::ZERO).await.unwrap();
        assert_eq!((turns.round.latencies.len(), turns.ran_out, turns.charged), (0, 0, vec![None]));
    }
}
