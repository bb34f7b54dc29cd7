//! What our own transactions of calls that have ended cost, whoever's has ended those: one may come into another block, or into
//! none, or be carried out though its call has failed.

use farthing_channel::{Address, TxHash};
use futures_util::future::join_all;

use super::{Names, Place};
use crate::node::{Block, Moment, Node, NodeError, Receipt};

/// Some nodes have receipts later than blocks: that none is found though the number is used up has to last for so many blocks more.
const LAG: u64 = 16;

/// The transactions of one call. All have one number, so that a chain carries out one of them at the most.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    /// All that were ever sent, the latest first.
    pub(crate) transactions: Vec<TxHash>,
    /// Who sends them, and their number.
    pub(crate) slot: Option<(Address, u64)>,
}

/// Those of a call that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    sent: Sent,
    /// Where the one is whose cost is in the books.
    place: Option<Place>,
    /// The newest block when none was found for the first time, and whether their number was used up.
    missing_since: Option<(u64, bool)>,
    /// Whether it was said already that one has moved what had failed.
    cried: bool,
}

/// What was found of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// What was found before, or nothing that counts yet; and whether that lies deep.
    Same { deep: bool },
    /// One of them in another block.
    Carried(Receipt),
    /// None, in so many blocks that it counts; and whether that lies deep.
    Missing { deep: bool },
}

impl Own {
    pub(super) fn new(sent: Sent, outcome: Option<Place>) -> Self {
        let place = outcome.filter(|place| sent.transactions.contains(&place.transaction));
        Self { sent, place, missing_since: None, cried: false }
    }

    /// The block whose name says whether all is as before.
    pub(super) fn block(&self) -> Option<u64> {
        self.place.map(|place| place.block)
    }

    pub(super) async fn look(
        &mut self,
        node: &dyn Node,
        (head, names): (Block, &Names),
        (depth, confirmations): (u64, u64),
    ) -> Result<Found, NodeError> {
        let lies = |block: u64| head.number.saturating_sub(block);
        if let Some(place) = self.place {
            match names.get(&place.block) {
                Some(Ok(Some(block))) if Some(block.hash) == place.hash => {
                    return Ok(Found::Same { deep: lies(place.block) > depth });
                }
                Some(Ok(Some(_))) => {}
                Some(Err(error)) => return Err(error.clone()),
                // A node that is behind knows nothing of later blocks.
                Some(Ok(None)) | None => return Ok(Found::Same { deep: false }),
            }
        }
        let receipts = join_all(self.sent.transactions.iter().map(|hash| node.receipt(*hash))).await;
        let receipts: Vec<_> = receipts.into_iter().collect::<Result<_, _>>()?;
        if let Some(receipt) = receipts.into_iter().flatten().next() {
            return Ok(Found::Carried(receipt));
        }
        // As long as its number is free, one may be carried out at any time.
        let used = match self.sent.slot {
            Some((sender, number)) => node.count(sender, Moment::Latest).await? > number,
            None => true,
        };
        let (since, _) = match self.missing_since.filter(|(_, was)| *was == used) {
            Some(since) => since,
            None => *self.missing_since.insert((head.number, used)),
        };
        // A node may be behind: that there is none has to last for some blocks.
        let lasts = confirmations.saturating_add(if used { LAG } else { 0 });
        let deep = used && lies(since) > depth;
        Ok(if deep || lies(since) >= lasts { Found::Missing { deep } } else { Found::Same { deep: false } })
    }

    /// The books say what was found.
    pub(super) fn note(&mut self, carried: Option<&Receipt>) {
        self.place = carried.map(Place::of);
        if carried.is_some() {
            self.missing_since = None;
        }
    }

    /// Whether it was not said before that one of them has moved what had failed.
    pub(super) fn cries_first(&mut self) -> bool {
        !std::mem::replace(&mut self.cried, true)
    }
}
