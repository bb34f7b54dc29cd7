//! Settlements that a chain may still take back: those of the last blocks are looked at again, and one whose block is gone
//! is opened again.

use std::collections::{BTreeMap, BTreeSet};

use farthing_channel::{Digest, TxHash};
use farthing_engine::CallId;
use futures_util::future::join_all;

use crate::node::{Block, Node, NodeError};

/// What is watched, by call.
#[derive(Default)]
pub(crate) struct Watched {
    places: BTreeMap<CallId, Place>,
    /// The newest block when all was as it should be.
    sound_at: Option<Digest>,
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
        self.places.is_empty()
    }

    pub(crate) fn remember(&mut self, call: CallId, transaction: TxHash, block: u64, hash: Option<Digest>) {
        self.places.insert(call, Place { transaction, block, hash });
        self.sound_at = None;
    }

    pub(crate) fn forget(&mut self, call: CallId) {
        self.places.remove(&call);
    }

    /// Which outcomes the chain has taken back, and which lie deeper than `depth` blocks and are watched no longer.
    pub(crate) async fn gone(
        &mut self,
        node: &dyn Node,
        head: Block,
        depth: u64,
    ) -> Result<(Vec<CallId>, Vec<CallId>), NodeError> {
        if self.sound_at == Some(head.hash) {
            return Ok((Vec::new(), Vec::new()));
        }
        // A node that is behind knows nothing of later blocks.
        let blocks: BTreeSet<_> =
            self.places.values().map(|place| place.block).filter(|block| *block <= head.number).collect();
        let asked = blocks.into_iter().map(|number| async move { (number, node.block(number).await) });
        let mut names = BTreeMap::new();
        for (number, block) in join_all(asked).await {
            names.insert(number, block?.map(|block| block.hash));
        }
        let mut gone = Vec::new();
        for (call, place) in &mut self.places {
            let Some(Some(name)) = names.get(&place.block) else { continue };
            if Some(*name) == place.hash {
                continue;
            }
            match node.receipt(place.transaction).await? {
                // It has come into another block.
                Some(receipt) => {
                    *place = Place { block: receipt.block, hash: Some(receipt.block_hash), ..*place };
                }
                None => gone.push(*call),
            }
        }
        let deep = |place: &Place| head.number.saturating_sub(place.block) > depth;
        let safe = self.places.iter().filter(|(call, place)| !gone.contains(call) && deep(place));
        let safe: Vec<CallId> = safe.map(|(call, _)| *call).collect();
        self.places.retain(|call, _| !safe.contains(call));
        self.sound_at = gone.is_empty().then_some(head.hash);
        Ok((gone, safe))
    }
}
