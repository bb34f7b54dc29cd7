//! Looks at channels where nobody watches them: the chain is asked once for all requests of a channel that come meanwhile,
//! and what it has said is good for a while.
//!
//! Usually a watcher compares the books with the chain and no request asks. This is for a watcher that is late, and for
//! channels that the books do not know.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use farthing_channel::ChannelId;
use farthing_money::{Span, Timestamp};

use crate::chain::ChainRefusal;

/// Channels of which a look is remembered. Beyond that those are forgotten that nobody asks for.
const LOOKS_MAX: usize = 10_000;
/// How long everybody gets the same refusal, so that those who wait do not ask a silent node one after the other.
const SILENT: Span = Span::from_secs(1);

/// The last looks.
#[derive(Default)]
pub(super) struct Looks(Mutex<HashMap<ChannelId, Arc<Look>>>);

/// The last look at a channel; locked while the chain is asked.
type Look = tokio::sync::Mutex<Option<Seen>>;

struct Seen {
    at: Timestamp,
    refused: Option<ChainRefusal>,
}

impl Looks {
    /// Asks, unless somebody has asked less than `good_for` ago.
    pub(super) async fn look(
        &self,
        channel: ChannelId,
        good_for: Span,
        clock: &(dyn Fn() -> Timestamp + Send + Sync),
        ask: impl Future<Output = Result<(), ChainRefusal>>,
    ) -> Result<(), ChainRefusal> {
        let look = self.of(channel);
        let mut seen = look.lock().await;
        if let Some(seen) = seen.as_ref() {
            let good_for = if seen.refused.is_some() { SILENT } else { good_for };
            if clock() < seen.at.after(good_for) {
                return seen.refused.clone().map_or(Ok(()), Err);
            }
        }
        let answer = ask.await;
        *seen = Some(Seen { at: clock(), refused: answer.as_ref().err().cloned() });
        answer
    }

    fn of(&self, channel: ChannelId) -> Arc<Look> {
        // Every change of it is whole before anything could panic.
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.len() >= LOOKS_MAX && !looks.contains_key(&channel) {
            looks.retain(|_, look| Arc::strong_count(look) > 1);
        }
        Arc::clone(looks.entry(channel).or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    const GOOD_FOR: Span = Span::from_secs(30);

    fn channel(n: u8) -> ChannelId {
        ChannelId::from_bytes([n; 32])
    }

    #[tokio::test]
    async fn many_requests_ask_once() {
        let (looks, asked, gate) =
            (Arc::new(Looks::default()), Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let look = |channel| {
            let (looks, asked, gate) = (Arc::clone(&looks), Arc::clone(&asked), Arc::clone(&gate));
            tokio::spawn(async move {
                let ask = async {
                    asked.fetch_add(1, Ordering::SeqCst);
                    gate.acquire().await.unwrap().forget();
                    Ok(())
                };
                looks.look(channel, GOOD_FOR, &|| Timestamp::from_secs(5), ask).await
            })
        };
        let all: Vec<_> = (0..16).map(|_| look(channel(1))).chain([look(channel(2))]).collect();
        gate.add_permits(2);
        for one in all {
            assert_eq!(one.await.unwrap(), Ok(()));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2, "once for each channel");
    }

    #[tokio::test]
    async fn what_was_seen_is_good_for_a_while_and_silence_for_less() {
        let (looks, now, asked) = (Looks::default(), AtomicU64::new(100), AtomicUsize::new(0));
        let clock = || Timestamp::from_secs(now.load(Ordering::SeqCst));
        let look = async |answer: Result<(), ChainRefusal>| {
            let ask = async {
                asked.fetch_add(1, Ordering::SeqCst);
                answer
            };
            looks.look(channel(1), GOOD_FOR, &clock, ask).await
        };
        let silent = || Err(ChainRefusal::Unreachable("it is silent".into()));
        assert_eq!(look(silent()).await, silent());
        assert_eq!(look(Ok(())).await, silent(), "the same moment");
        now.fetch_add(1, Ordering::SeqCst);
        assert_eq!(look(Ok(())).await, Ok(()));
        now.fetch_add(29, Ordering::SeqCst);
        assert_eq!(look(silent()).await, Ok(()));
        now.fetch_add(1, Ordering::SeqCst);
        assert_eq!(look(silent()).await, silent());
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn few_are_remembered() {
        let looks = Looks::default();
        for n in 0..LOOKS_MAX + 10 {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&n.to_le_bytes());
            let _ = looks.of(ChannelId::from_bytes(bytes));
        }
        assert!(looks.0.lock().unwrap().len() <= LOOKS_MAX);
    }
}
