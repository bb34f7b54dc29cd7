//! Stretches of blocks that a node takes at once, and the first block of a time.

use farthing_money::Timestamp;

use crate::node::{Block, Node, NodeError};

/// How many blocks are asked about at once. Many nodes take no more.
const BLOCKS_AT_ONCE: u64 = 1_000;
/// Clocks differ: so much before is looked at as well.
const MARGIN_SECONDS: u64 = 3_600;

/// Stretches from a block on, smaller ones if the node takes no others.
pub(super) struct Stretch {
    from: u64,
    last: u64,
    size: u64,
}

impl Stretch {
    /// What comes after one block, up to and with another.
    pub(super) fn after(block: u64, last: u64) -> Self {
        Self { from: block.saturating_add(1), last, size: BLOCKS_AT_ONCE }
    }

    /// What begins with one block, up to and with another.
    pub(super) fn from(block: u64, last: u64) -> Self {
        Self { from: block, last, size: BLOCKS_AT_ONCE }
    }

    /// The next one, with its last block.
    pub(super) fn next(&self) -> Option<(u64, u64)> {
        let to = self.from.saturating_add(self.size.saturating_sub(1)).min(self.last);
        (self.from <= self.last).then_some((self.from, to))
    }

    /// What was asked for, or nothing if the node takes no stretch that is so long: then half of it is asked for.
    pub(super) fn take<T>(&mut self, answer: Result<T, NodeError>) -> Result<Option<T>, NodeError> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(NodeError::Refused { .. } | NodeError::Busy { .. } | NodeError::Slow { .. })
                if self.size > 1 =>
            {
                self.size /= 2;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The last one is done.
    pub(super) fn go_on(&mut self) {
        self.from = self.from.saturating_add(self.size);
    }
}

/// The first block from a least one on that may be of this time or later; the one after the newest if none is.
pub(super) async fn first_since(
    node: &dyn Node,
    since: Timestamp,
    (least, head): (u64, Block),
) -> Result<u64, NodeError> {
    let since = since.secs().saturating_sub(MARGIN_SECONDS);
    let (mut low, mut high) = (least, head.number.saturating_add(1).max(least));
    while low < high {
        let middle = low.midpoint(high);
        let block = node.block(middle).await?;
        if block.is_some_and(|block| block.at.secs() < since) {
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use farthing_channel::ChainId;

    use super::*;
    use crate::node::ScriptedNode;

    #[test]
    fn stretches_cover_every_block_once() {
        let mut stretch = Stretch::after(9, 2_500);
        let mut seen = Vec::new();
        while let Some((from, to)) = stretch.next() {
            if seen.len() == 1 && stretch.size == BLOCKS_AT_ONCE {
                let slow = NodeError::Slow { node: "n".into(), seconds: 1 };
                assert_eq!(stretch.take::<()>(Err(slow)), Ok(None));
                continue;
            }
            seen.push((from, to));
            stretch.go_on();
        }
        assert_eq!(seen, [(10, 1_009), (1_010, 1_509), (1_510, 2_009), (2_010, 2_500)]);
        assert_eq!(Stretch::after(5, 5).next(), None);
        let gone = NodeError::Unreachable { node: "n".into(), cause: "x".into() };
        assert!(Stretch::after(1, 9).take::<()>(Err(gone)).is_err());
    }

    #[tokio::test]
    async fn the_first_block_of_a_time_is_found() {
        let node = ScriptedNode::new(ChainId::new(1), Timestamp::from_secs(1_000_000));
        for _ in 0..9 {
            node.mine();
        }
        let head = node.head().await.unwrap();
        for (secs, least, expected) in
            [(0, 0, 0), (1_000_000, 0, 0), (1_000_007, 0, 4), (1_000_007, 6, 6), (2_000_000, 0, 10)]
        {
            let since = Timestamp::from_secs(secs + MARGIN_SECONDS);
            assert_eq!(first_since(&node, since, (least, head)).await, Ok(expected), "{secs} {least}");
        }
    }
}
