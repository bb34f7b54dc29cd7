//! Many who want to know how one channel stands share a look: who comes before it has begun joins, who comes later waits for
//! the next one, so that nobody is told what was so before he asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farthing_channel::ChannelId;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::submit::RoundFault;

/// The looks at channels that are under way or wait.
#[derive(Default)]
pub(super) struct Looks(Mutex<BTreeMap<ChannelId, Arc<Queue>>>);

/// What a look has come to, once it is over.
type Seen = Arc<Turn<Option<Result<(), RoundFault>>>>;

/// The looks at one channel.
#[derive(Default)]
struct Queue {
    /// Taken by whoever looks: what two looks have seen is written down in the order in which they have looked.
    looking: Arc<Turn<()>>,
    /// Taken by whoever makes the next look.
    next: Mutex<Seen>,
}

/// A place in a queue, which goes when nobody is in it any more, also when a caller gives up.
struct Place<'a> {
    looks: &'a Looks,
    channel: ChannelId,
    queue: Arc<Queue>,
}

/// Somebody looks at a channel until this is dropped.
pub(super) struct Looking<'a> {
    _guard: OwnedMutexGuard<()>,
    _place: Place<'a>,
}

impl Looks {
    fn queues(&self) -> MutexGuard<'_, BTreeMap<ChannelId, Arc<Queue>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, channel: ChannelId) -> Place<'_> {
        let queue = Arc::clone(self.queues().entry(channel).or_default());
        Place { looks: self, channel, queue }
    }

    /// Waits until nobody else looks at a channel.
    pub(super) async fn turn(&self, channel: ChannelId) -> Looking<'_> {
        let place = self.place(channel);
        let guard = Arc::clone(&place.queue.looking).lock_owned().await;
        Looking { _guard: guard, _place: place }
    }

    /// Looks, or waits for what somebody else sees who begins after this was called.
    pub(super) async fn join(
        &self,
        channel: ChannelId,
        look: impl Future<Output = Result<(), RoundFault>>,
    ) -> Result<(), RoundFault> {
        let place = self.place(channel);
        let mine: Seen = Arc::clone(&place.next());
        let mut seen = mine.lock().await;
        if let Some(seen) = &*seen {
            return seen.clone();
        }
        let turn = self.turn(channel).await;
        // Whoever comes from now on is served by another one.
        *place.next() = Seen::default();
        let result = look.await;
        drop(turn);
        *seen = Some(result.clone());
        result
    }
}

impl Place<'_> {
    fn next(&self) -> MutexGuard<'_, Seen> {
        self.queue.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut queues = self.looks.queues();
        // One is in the map, one is here.
        if Arc::strong_count(&self.queue) <= 2 {
            queues.remove(&self.channel);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use futures_util::future::{join, join_all};
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn who_waits_shares_a_look_that_begins_afterwards() {
        let (looks, count, gate) = (Looks::default(), AtomicUsize::new(0), Semaphore::new(0));
        let id = ChannelId::from_bytes([1; 32]);
        let look = || async {
            count.fetch_add(1, Ordering::SeqCst);
            gate.acquire().await.unwrap().forget();
            Ok(())
        };
        let rest = async {
            let waiting = join_all((0..9).map(|_| looks.join(id, look())));
            let open = async {
                assert_eq!(count.load(Ordering::SeqCst), 1, "the others wait for the one that has begun");
                gate.add_permits(2);
            };
            join(waiting, open).await.0
        };
        let (first, rest) = join(looks.join(id, look()), rest).await;
        assert!(first.is_ok() && rest.iter().all(Result::is_ok));
        assert_eq!(count.load(Ordering::SeqCst), 2, "one for all who came while the first looked");
        assert!(looks.queues().is_empty(), "nobody is waited for any more");
    }

    #[tokio::test]
    async fn who_gives_up_holds_nobody_up() {
        let looks = Looks::default();
        let id = ChannelId::from_bytes([1; 32]);
        let mut never = Box::pin(looks.join(id, std::future::pending()));
        // Asked once, it waits.
        assert!((&mut never).now_or_never().is_none());
        drop(never);
        assert!(looks.join(id, std::future::ready(Ok(()))).await.is_ok());
        assert!(looks.queues().is_empty());
    }
}
