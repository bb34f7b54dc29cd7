//! Settlements that a chain may still take back: those of the last blocks are looked at again, and one whose block is gone
//! is opened again.

use std::collections::{BTreeMap, BTreeSet};

use farthing_channel::{Digest, TxHash};
use farthing_engine::{CallId, Fault};
use futures_util::future::join_all;

use crate::node::{Block, Node, Receipt};

/// What is watched, by call.
#[derive(Default)]
pub(crate) struct Watched {
    places: BTreeMap<CallId, Place>,
    /// Calls that have failed though transactions of theirs were sent: a fork may carry those out after all.
    failed: BTreeMap<CallId, Failed>,
    /// The newest block when all was as it should be.
    sound_at: Option<Digest>,
}

/// What was sent of a call that has failed.
#[derive(Clone, Debug)]
struct Failed {
    transactions: Vec<TxHash>,
    /// The newest block when it was looked at first.
    since: Option<u64>,
}

/// Where a transaction was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    transaction: TxHash,
    block: u64,
    /// The block's name; not known of what is remembered from the books.
    hash: Option<Digest>,
}

impl Watched {
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty() && self.failed.is_empty()
    }

    pub(crate) fn remember(&mut self, call: CallId, transaction: TxHash, block: u64, hash: Option<Digest>) {
        self.places.insert(call, Place { transaction, block, hash });
        self.sound_at = None;
    }

    pub(crate) fn remember_failed(&mut self, call: CallId, transactions: Vec<TxHash>) {
        if !transactions.is_empty() {
            self.failed.insert(call, Failed { transactions, since: None });
            self.sound_at = None;
        }
    }

    /// The receipts of what was sent of calls that have failed, until they lie deep. What cannot be asked is asked again.
    async fn look_at_failed(&mut self, node: &dyn Node, head: Block, depth: u64) -> Vec<(CallId, Receipt)> {
        let mut succeeded = Vec::new();
        for (call, failed) in &mut self.failed {
            failed.since.get_or_insert(head.number);
            let receipts = join_all(failed.transactions.iter().map(|hash| node.receipt(*hash))).await;
            let found =
                receipts.into_iter().filter_map(Result::ok).flatten().find(|receipt| receipt.succeeded);
            succeeded.extend(found.map(|receipt| (*call, receipt)));
        }
        let shallow = |failed: &Failed| failed.since.is_none_or(|at| head.number.saturating_sub(at) <= depth);
        self.failed.retain(|_, failed| shallow(failed));
        succeeded
    }

    pub(crate) fn forget_failed(&mut self, call: CallId) {
        self.failed.remove(&call);
    }

    pub(crate) fn forget(&mut self, call: CallId) {
        self.places.remove(&call);
    }

    /// Which outcomes the chain has taken back, and which lie deeper than `depth` blocks. `stands` says whether a receipt
    /// still says what it said of a call: a transaction may come back in another block and do something else there.
    pub(crate) async fn look(
        &mut self,
        node: &dyn Node,
        head: Block,
        depth: u64,
        stands: impl Fn(CallId, &Receipt) -> Result<bool, Fault>,
    ) -> Looked {
        let mut looked = Looked::default();
        if self.sound_at == Some(head.hash) {
            return looked;
        }
        // A node that is behind knows nothing of later blocks.
        let blocks: BTreeSet<_> =
            self.places.values().map(|place| place.block).filter(|block| *block <= head.number).collect();
        let asked = blocks.into_iter().map(|number| async move { (number, node.block(number).await) });
        let names: BTreeMap<_, _> = join_all(asked).await.into_iter().collect();
        for (call, place) in &mut self.places {
            let name = match names.get(&place.block) {
                Some(Ok(Some(block))) => block.hash,
                Some(Err(error)) => {
                    looked.stuck(*call, &error.to_string());
                    continue;
                }
                Some(Ok(None)) | None => continue,
            };
            if Some(name) == place.hash {
                if head.number.saturating_sub(place.block) > depth {
                    looked.safe.push(*call);
                }
                continue;
            }
            match node.receipt(place.transaction).await {
                // It has come into another block.
                Ok(Some(receipt)) => match stands(*call, &receipt) {
                    Ok(true) => {
                        *place = Place { block: receipt.block, hash: Some(receipt.block_hash), ..*place };
                    }
                    Ok(false) => looked.gone.push(*call),
                    Err(fault) => looked.stuck(*call, &fault.to_string()),
                },
                Ok(None) => looked.gone.push(*call),
                Err(error) => looked.stuck(*call, &error.to_string()),
            }
        }
        looked.succeeded = self.look_at_failed(node, head, depth).await;
        let sound = looked.gone.is_empty() && looked.stuck == 0;
        self.sound_at = sound.then_some(head.hash);
        looked
    }
}

/// What was found when everything that is watched was looked at.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// Outcomes that the chain has taken back.
    pub(crate) gone: Vec<CallId>,
    /// Outcomes that it takes back no more.
    pub(crate) safe: Vec<CallId>,
    /// What was carried out of calls that have failed.
    pub(crate) succeeded: Vec<(CallId, Receipt)>,
    /// How many could not be looked at.
    pub(crate) stuck: usize,
}

impl Looked {
    /// One that could not be looked at; the others are all the same.
    pub(crate) fn stuck(&mut self, call: CallId, error: &str) {
        self.stuck = self.stuck.saturating_add(1);
        tracing::warn!(error, %call, "a settlement was not looked at; it is tried again");
    }
}
