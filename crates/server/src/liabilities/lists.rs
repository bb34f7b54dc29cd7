//! The rows of credits and outputs as lists: all keysets summed up in one pass, or a page of one keyset's.

use std::collections::BTreeMap;

use farthing_engine::{CreditId, CreditRow, Fault, OutputId, OutputRow, Read};
use farthing_ledger::{AccountId, Leaf, LeafKey, Root, SumTree, SumTreeError, TreeName};
use farthing_wire::liabilities::Side;

use super::LiabilitiesError;

/// Rows that are read before others have their turn.
const ROWS: usize = 1_024;
/// Entries of a page at the most.
pub(super) const PAGE_LEAVES: usize = 2_048;
/// Rows that are looked at for one page at the most: those of other keysets and of later epochs are passed over.
const PAGE_ROWS: usize = 8 * ROWS;

/// A row of either list.
struct Line {
    key: LeafKey,
    /// The keyset's account and the amount; nothing if that is not known, or the row is no entry (yet).
    worth: Option<(AccountId, u64)>,
    epoch: u32,
    /// Whether the credit is spent and its worth unknown.
    is_unknown: bool,
}

/// Rows of a list after a key.
fn lines(read: &dyn Read, side: Side, after: Option<LeafKey>, limit: usize) -> Result<Vec<Line>, Fault> {
    match side {
        Side::Issued => {
            let after = after.map(|key| OutputId::from_bytes(*key.as_bytes()));
            Ok(read.outputs_after(after, limit)?.iter().map(|(id, row)| output(*id, row)).collect())
        }
        Side::Redeemed => {
            let after = after.map(|key| CreditId::from_bytes(*key.as_bytes()));
            Ok(read.credits_after(after, limit)?.iter().map(|(id, row)| credit(*id, row)).collect())
        }
    }
}

fn output(id: OutputId, row: &OutputRow) -> Line {
    let key = LeafKey::from_bytes(*id.as_bytes());
    Line { key, worth: Some((row.account, row.amount)), epoch: row.epoch, is_unknown: false }
}

fn credit(id: CreditId, row: &CreditRow) -> Line {
    let key = LeafKey::from_bytes(*id.as_bytes());
    match row {
        CreditRow::Pending { .. } => Line { key, worth: None, epoch: 0, is_unknown: false },
        CreditRow::Spent { worth, epoch, .. } => {
            let worth = worth.map(|worth| (worth.account, worth.amount));
            Line { key, worth, epoch: *epoch, is_unknown: worth.is_none() }
        }
    }
}

/// The trees of all keysets that are stated, until an epoch.
pub(super) struct Lists {
    trees: BTreeMap<(AccountId, Side), SumTree>,
    /// Whether credits were spent before rows told their worth.
    pub(super) has_unknown: bool,
}

impl Lists {
    /// Reads every row once.
    pub(super) async fn read(
        read: &dyn Read,
        keysets: &[(AccountId, &str)],
        epoch: u32,
    ) -> Result<Self, LiabilitiesError> {
        let mut lists = Self { trees: BTreeMap::new(), has_unknown: false };
        for side in Side::ALL {
            for (account, keyset) in keysets {
                let tree = SumTree::new(TreeName::new(&side.tree_name(keyset)));
                lists.trees.insert((*account, side), tree);
            }
            let mut after = None;
            loop {
                let lines = lines(read, side, after, ROWS)?;
                let Some(last) = lines.last() else { break };
                after = Some(last.key);
                for line in &lines {
                    lists.add(side, line, epoch)?;
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(lists)
    }

    fn add(&mut self, side: Side, line: &Line, epoch: u32) -> Result<(), LiabilitiesError> {
        self.has_unknown |= line.is_unknown;
        if let Some((account, amount)) = line.worth
            && line.epoch <= epoch
            && let Some(tree) = self.trees.get_mut(&(account, side))
        {
            tree.push(&Leaf { key: line.key, amount, epoch: line.epoch })?;
        }
        Ok(())
    }

    pub(super) fn root(&self, account: AccountId, side: Side) -> Result<Root, SumTreeError> {
        match self.trees.get(&(account, side)) {
            Some(tree) => tree.root(),
            None => SumTree::new(TreeName::new("")).root(),
        }
    }
}

/// A page of a keyset's list after a key, and the key after which the next begins. Bounded work: a page may be short, and
/// only one without a next is the last.
pub(super) fn page(
    read: &dyn Read,
    side: Side,
    account: AccountId,
    epoch: u32,
    after: Option<LeafKey>,
) -> Result<(Vec<Leaf>, Option<LeafKey>), Fault> {
    let (mut leaves, mut after, mut looked) = (Vec::new(), after, 0_usize);
    loop {
        let lines = lines(read, side, after, ROWS)?;
        let is_end = lines.len() < ROWS;
        looked = looked.saturating_add(lines.len());
        for line in &lines {
            after = Some(line.key);
            if let Some((_, amount)) = line.worth.filter(|(of, _)| *of == account)
                && line.epoch <= epoch
            {
                leaves.push(Leaf { key: line.key, amount, epoch: line.epoch });
                if leaves.len() == PAGE_LEAVES {
                    return Ok((leaves, after));
                }
            }
        }
        if is_end {
            return Ok((leaves, None));
        }
        if looked >= PAGE_ROWS {
            return Ok((leaves, after));
        }
    }
}
