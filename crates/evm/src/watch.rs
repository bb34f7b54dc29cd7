//! Calls that have ended and of which a chain may still say something else: those of the last blocks are looked at again. How a
//! call has ended is one question, and one whose block is gone is opened again; what our own transaction of it costs is another.

mod own;

use std::collections::{BTreeMap, BTreeSet};

use farthing_channel::{Digest, TxHash};
use farthing_engine::{CallId, Fault};
use futures_util::future::join_all;

use crate::node::{Block, Node, NodeError, Receipt};
use own::{Found, Own};

pub(crate) use own::Sent;

/// What is watched, by call.
#[derive(Default)]
pub(crate) struct Watched {
    /// What has settled them.
    places: BTreeMap<CallId, Place>,
    /// What we have sent ourselves, also of those that have failed or that somebody else has settled.
    own: BTreeMap<CallId, Own>,
    /// The newest block when all was as it should be.
    sound_at: Option<Digest>,
}

/// Where a transaction was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) transaction: TxHash,
    pub(crate) block: u64,
    /// The block's name; not known of what is remembered from the books.
    pub(crate) hash: Option<Digest>,
}

impl Place {
    pub(crate) fn of(receipt: &Receipt) -> Self {
        let Receipt { transaction, block, block_hash, .. } = receipt;
        Self { transaction: *transaction, block: *block, hash: Some(*block_hash) }
    }
}

/// What blocks are called now.
type Names = BTreeMap<u64, Result<Option<Block>, NodeError>>;

impl Watched {
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty() && self.own.is_empty()
    }

    /// A call has ended: settled at this place, or failed; and this was sent of it.
    pub(crate) fn remember(&mut self, call: CallId, settled: Option<Place>, sent: Sent) {
        self.forget(call);
        self.places.extend(settled.map(|place| (call, place)));
        if !sent.transactions.is_empty() {
            self.own.insert(call, Own::new(sent, settled));
        }
        self.look_again();
    }

    pub(crate) fn forget(&mut self, call: CallId) {
        self.places.remove(&call);
        self.own.remove(&call);
    }

    /// The books say of a call's own transaction what was found.
    pub(crate) fn note(&mut self, call: CallId, carried: Option<&Receipt>) {
        if let Some(own) = self.own.get_mut(&call) {
            own.note(carried);
        }
    }

    /// Whether it was not said before that a fork has carried out what had failed.
    pub(crate) fn cries_first(&mut self, call: CallId) -> bool {
        self.own.get_mut(&call).is_some_and(Own::cries_first)
    }

    /// Something of what was found is not in the books: all is looked at again though there is no new block.
    pub(crate) fn look_again(&mut self) {
        self.sound_at = None;
    }

    /// Which outcomes the chain has taken back, what our own transactions have come to, and what of it lies deeper than `depth`
    /// blocks. `stands` says whether a receipt still says what it said of a call: a transaction may come back in another block
    /// and do something else there.
    pub(crate) async fn look(
        &mut self,
        node: &dyn Node,
        head: Block,
        (depth, confirmations): (u64, u64),
        stands: impl Fn(CallId, &Receipt) -> Result<bool, Fault>,
    ) -> Looked {
        let mut looked = Looked::default();
        if self.sound_at == Some(head.hash) {
            return looked;
        }
        let names = self.names(node, head).await;
        let mut shallow = self.look_at_outcomes(node, (head, &names), depth, stands, &mut looked).await;
        for (call, own) in &mut self.own {
            let found = match own.look(node, (head, &names), (depth, confirmations)).await {
                Ok(found) => found,
                Err(error) => {
                    looked.stuck(*call, &error.to_string());
                    continue;
                }
            };
            if !matches!(found, Found::Same { deep: true } | Found::Missing { deep: true }) {
                shallow.insert(*call);
            }
            match found {
                Found::Same { .. } => {}
                Found::Carried(receipt) => looked.own.push((*call, Some(receipt))),
                Found::Missing { .. } => looked.own.push((*call, None)),
            }
        }
        // What is opened again is looked at as a call, and costs what it costs when it ends.
        looked.own.retain(|(call, _)| !looked.gone.contains(call) && !looked.stuck.contains(call));
        let all: BTreeSet<_> = self.places.keys().chain(self.own.keys()).copied().collect();
        let at_rest = |call: &CallId| !shallow.contains(call) && !looked.stuck.contains(call);
        looked.safe = all.into_iter().filter(at_rest).collect();
        let sound = looked.gone.is_empty() && looked.stuck.is_empty();
        self.sound_at = sound.then_some(head.hash);
        looked
    }

    /// What the blocks are called now in which something was found. A node that is behind knows nothing of later ones.
    async fn names(&self, node: &dyn Node, head: Block) -> Names {
        let places = self.places.values().map(|place| place.block);
        let blocks: BTreeSet<_> = places.chain(self.own.values().filter_map(Own::block)).collect();
        let known = blocks.into_iter().filter(|block| *block <= head.number);
        let asked = known.map(|number| async move { (number, node.block(number).await) });
        join_all(asked).await.into_iter().collect()
    }

    /// Says which outcomes may still be taken back.
    async fn look_at_outcomes(
        &mut self,
        node: &dyn Node,
        (head, names): (Block, &Names),
        depth: u64,
        stands: impl Fn(CallId, &Receipt) -> Result<bool, Fault>,
        looked: &mut Looked,
    ) -> BTreeSet<CallId> {
        let mut shallow = BTreeSet::new();
        for (call, place) in &mut self.places {
            let name = match names.get(&place.block) {
                Some(Ok(Some(block))) => Some(block.hash),
                Some(Err(error)) => {
                    looked.stuck(*call, &error.to_string());
                    continue;
                }
                Some(Ok(None)) | None => None,
            };
            if name.is_some() && name == place.hash && head.number.saturating_sub(place.block) > depth {
                continue;
            }
            shallow.insert(*call);
            if name.is_none() || name == place.hash {
                continue;
            }
            match node.receipt(place.transaction).await {
                // It has come into another block.
                Ok(Some(receipt)) => match stands(*call, &receipt) {
                    Ok(true) => *place = Place::of(&receipt),
                    Ok(false) => looked.gone.push(*call),
                    Err(fault) => looked.stuck(*call, &fault.to_string()),
                },
                Ok(None) => looked.gone.push(*call),
                Err(error) => looked.stuck(*call, &error.to_string()),
            }
        }
        shallow
    }
}

/// What was found when everything that is watched was looked at.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// Outcomes that the chain has taken back.
    pub(crate) gone: Vec<CallId>,
    /// Calls of which it says nothing else any more.
    pub(crate) safe: Vec<CallId>,
    /// The receipt of our own transaction of a call that has ended, or that no block has one.
    pub(crate) own: Vec<(CallId, Option<Receipt>)>,
    /// Those that could not be looked at.
    pub(crate) stuck: BTreeSet<CallId>,
}

impl Looked {
    /// One that could not be looked at; the others are all the same.
    pub(crate) fn stuck(&mut self, call: CallId, error: &str) {
        if self.stuck.insert(call) {
            tracing::warn!(error, %call, "a call that has ended was not looked at; it is tried again");
        }
    }
}
