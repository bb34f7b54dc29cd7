//! Merkle sum trees: one digest over a long sorted list of amounts that also binds their sum and their number.
//!
//! A builder takes leaves in the order of their keys and keeps one node for each complete subtree, so a list of any
//! length is summed up in logarithmic memory. The shape is that of RFC 6962: the left subtree holds the largest power of
//! two of leaves. Every digest covers the name of the tree, and leaves, nodes and roots are hashed under different tags,
//! so that none is ever taken for another. A node covers the digest, the sum and the count of both its children: who
//! changes a sum anywhere changes the root.

use farthing_money::{Amount, byte_id};
use sha2::{Digest, Sha256};
use thiserror::Error;

byte_id!(
    /// What a leaf is sorted by: a compressed point.
    LeafKey,
    33
);
byte_id!(
    /// The digest of a node, or of a whole tree.
    TreeDigest,
    32
);

const DOMAIN: &[u8] = b"farthing/sum-tree/1";
const TAG_LEAF: u8 = 0;
const TAG_NODE: u8 = 1;
const TAG_ROOT: u8 = 2;
const TAG_NAME: u8 = 3;

/// The name of a tree, hashed: what is proved of one tree proves nothing of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeName([u8; 32]);

/// One entry of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its key, once in a tree.
    pub key: LeafKey,
    /// What it is worth.
    pub amount: u64,
    /// The epoch in which it was written down; the tree of an earlier epoch is this tree without it.
    pub epoch: u32,
}

/// A subtree, summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its digest.
    pub digest: TreeDigest,
    /// What its leaves are worth.
    pub sum: Amount,
    /// How many they are.
    pub count: u64,
}

/// A whole tree, summed up. The digest alone binds the sum and the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// The digest.
    pub digest: TreeDigest,
    /// What all leaves are worth.
    pub sum: Amount,
    /// How many there are.
    pub count: u64,
}

/// Why a list is no tree, or a branch not of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SumTreeError {
    /// A key that does not follow the one before it.
    #[error("expected keys that rise, got {got} after {after}")]
    Order {
        /// The key before.
        after: LeafKey,
        /// The key that came.
        got: LeafKey,
    },
    /// A sum or a count beyond what can be held.
    #[error("the sum or the number of the leaves does not fit")]
    Overflow,
    /// A branch with too many or too few nodes for the place that it names.
    #[error("expected a branch for leaf {index} of {count}, got one of another length")]
    Length {
        /// The place that it names.
        index: u64,
        /// The leaves that it says there are.
        count: u64,
    },
    /// A branch that leads to another root.
    #[error("the branch leads to another root: a leaf, a sum or a count is not that of the tree")]
    Root,
}

impl TreeName {
    /// From its text.
    pub fn new(text: &str) -> Self {
        let hash = Sha256::new().chain_update(DOMAIN).chain_update([TAG_NAME]).chain_update(text);
        Self(hash.finalize().into())
    }

    fn hash(self, tag: u8) -> Sha256 {
        Sha256::new().chain_update(DOMAIN).chain_update(self.0).chain_update([tag])
    }

    fn leaf(self, leaf: &Leaf) -> Node {
        let hash = self.hash(TAG_LEAF).chain_update(leaf.key.as_bytes());
        let hash = hash.chain_update(leaf.amount.to_be_bytes()).chain_update(leaf.epoch.to_be_bytes());
        let digest = TreeDigest::from_bytes(hash.finalize().into());
        Node { digest, sum: Amount::from(leaf.amount), count: 1 }
    }

    fn join(self, left: &Node, right: &Node) -> Result<Node, SumTreeError> {
        let sum = left.sum.checked_add(right.sum).ok_or(SumTreeError::Overflow)?;
        let count = left.count.checked_add(right.count).ok_or(SumTreeError::Overflow)?;
        let hash = right.update(left.update(self.hash(TAG_NODE)));
        Ok(Node { digest: TreeDigest::from_bytes(hash.finalize().into()), sum, count })
    }

    fn root(self, top: Option<&Node>) -> Root {
        let nothing = Node { digest: TreeDigest::from_bytes([0; 32]), sum: Amount::ZERO, count: 0 };
        let top = top.unwrap_or(&nothing);
        let digest = TreeDigest::from_bytes(top.update(self.hash(TAG_ROOT)).finalize().into());
        Root { digest, sum: top.sum, count: top.count }
    }
}

impl Node {
    fn update(&self, hash: Sha256) -> Sha256 {
        let hash = hash.chain_update(self.digest.as_bytes()).chain_update(self.sum.value().to_be_bytes());
        hash.chain_update(self.count.to_be_bytes())
    }
}

/// A tree under way.
#[derive(Clone, Debug)]
pub struct SumTree {
    name: TreeName,
    /// Complete subtrees, each smaller than the one before.
    peaks: Vec<Node>,
    last: Option<LeafKey>,
    count: u64,
    watched: Option<Watched>,
}

/// The leaf whose branch is collected.
#[derive(Clone, Debug)]
struct Watched {
    key: LeafKey,
    found: Option<(u64, Leaf)>,
    siblings: Vec<Node>,
}

impl SumTree {
    /// A tree without leaves.
    pub fn new(name: TreeName) -> Self {
        Self { name, peaks: Vec::new(), last: None, count: 0, watched: None }
    }

    /// A tree without leaves that will tell the branch of a key.
    pub fn watching(name: TreeName, key: LeafKey) -> Self {
        Self { watched: Some(Watched { key, found: None, siblings: Vec::new() }), ..Self::new(name) }
    }

    /// Adds the next leaf. After an error the tree is as it was.
    pub fn push(&mut self, leaf: &Leaf) -> Result<(), SumTreeError> {
        if let Some(after) = self.last.filter(|last| *last >= leaf.key) {
            return Err(SumTreeError::Order { after, got: leaf.key });
        }
        let count = self.count.checked_add(1).ok_or(SumTreeError::Overflow)?;
        let mut node = self.name.leaf(leaf);
        let mut start = self.count;
        let mut watched = self.watched.clone();
        if let Some(watched) = watched.as_mut().filter(|watched| watched.key == leaf.key) {
            watched.found = Some((start, *leaf));
        }
        let mut kept = self.peaks.len();
        while let Some(left) = kept.checked_sub(1).and_then(|top| self.peaks.get(top)) {
            if left.count != node.count {
                break;
            }
            let middle = start;
            start = start.saturating_sub(left.count);
            if let Some(watched) = &mut watched {
                watched.join(left, &node, start, middle);
            }
            node = self.name.join(left, &node)?;
            kept = kept.saturating_sub(1);
        }
        self.peaks.truncate(kept);
        self.peaks.push(node);
        (self.last, self.count, self.watched) = (Some(leaf.key), count, watched);
        Ok(())
    }

    /// How many leaves were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The root of what was added.
    pub fn root(&self) -> Result<Root, SumTreeError> {
        self.fold(None)
    }

    /// The branch of the watched key, if it was added.
    pub fn branch(&self) -> Result<Option<Branch>, SumTreeError> {
        let Some(mut watched) = self.watched.clone() else { return Ok(None) };
        let Some((index, leaf)) = watched.found else { return Ok(None) };
        let root = self.fold(Some(&mut watched))?;
        Ok(Some(Branch { leaf, index, count: root.count, siblings: watched.siblings }))
    }

    /// Joins the peaks from the right.
    fn fold(&self, mut watched: Option<&mut Watched>) -> Result<Root, SumTreeError> {
        let mut peaks = self.peaks.iter().rev();
        let mut top = peaks.next().copied();
        let mut middle = self.count.saturating_sub(top.map_or(0, |top| top.count));
        for left in peaks {
            let Some(right) = top else { break };
            let start = middle.saturating_sub(left.count);
            if let Some(watched) = &mut watched {
                watched.join(left, &right, start, middle);
            }
            top = Some(self.name.join(left, &right)?);
            middle = start;
        }
        Ok(self.name.root(top.as_ref()))
    }
}

impl Watched {
    /// Two subtrees become one, the left from `start`, the right from `middle`.
    fn join(&mut self, left: &Node, right: &Node, start: u64, middle: u64) {
        let Some((index, _)) = self.found else { return };
        let end = middle.saturating_add(right.count);
        if (start..middle).contains(&index) {
            self.siblings.push(*right);
        } else if (middle..end).contains(&index) {
            self.siblings.push(*left);
        }
    }
}

/// The way from a leaf to the root: what stands beside it at each join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The leaf.
    pub leaf: Leaf,
    /// Its place, from 0.
    pub index: u64,
    /// How many leaves there are.
    pub count: u64,
    /// What stands beside, from the leaf upwards.
    pub siblings: Vec<Node>,
}

impl Branch {
    /// Checks that the leaf is in the tree with this root, at its place and for its amount.
    pub fn verify(&self, name: TreeName, root: &Root) -> Result<(), SumTreeError> {
        let length = || SumTreeError::Length { index: self.index, count: self.count };
        if self.count != root.count || self.index >= self.count {
            return Err(length());
        }
        let mut node = name.leaf(&self.leaf);
        // The places of the leaf's subtree and of the last subtree, level by level (RFC 9162, 2.1.3.2).
        let (mut place, mut last) = (self.index, self.count.saturating_sub(1));
        for sibling in &self.siblings {
            if last == 0 {
                return Err(length());
            }
            if place & 1 == 1 || place == last {
                node = name.join(sibling, &node)?;
                while place & 1 == 0 && place != 0 {
                    (place, last) = (place >> 1, last >> 1);
                }
            } else {
                node = name.join(&node, sibling)?;
            }
            (place, last) = (place >> 1, last >> 1);
        }
        if last != 0 {
            return Err(length());
        }
        if name.root(Some(&node)) == *root { Ok(()) } else { Err(SumTreeError::Root) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name() -> TreeName {
        TreeName::new("a tree")
    }

    fn leaves(amounts: &[u64]) -> Vec<Leaf> {
        let leaf = |(index, amount): (usize, &u64)| {
            let mut key = [2; 33];
            key[25..].copy_from_slice(&u64::try_from(index).unwrap().to_be_bytes());
            Leaf { key: LeafKey::from_bytes(key), amount: *amount, epoch: u32::try_from(index % 3).unwrap() }
        };
        amounts.iter().enumerate().map(leaf).collect()
    }

    fn built(leaves: &[Leaf]) -> SumTree {
        let mut tree = SumTree::new(name());
        for leaf in leaves {
            tree.push(leaf).unwrap();
        }
        tree
    }

    fn root_of(leaves: &[Leaf]) -> Root {
        built(leaves).root().unwrap()
    }

    fn branch_of(leaves: &[Leaf], key: LeafKey) -> Option<Branch> {
        let mut tree = SumTree::watching(name(), key);
        for leaf in leaves {
            tree.push(leaf).unwrap();
        }
        tree.branch().unwrap()
    }

    /// As the definition has it: split at the largest power of two below the count.
    fn naive(leaves: &[Leaf]) -> Node {
        if let [leaf] = leaves {
            return name().leaf(leaf);
        }
        let half = leaves.len().next_power_of_two() / 2;
        name().join(&naive(&leaves[..half]), &naive(&leaves[half..])).unwrap()
    }

    #[test]
    fn the_roots_of_small_trees_never_change() {
        // Published statements hold such roots: another value here would make every one of them wrong.
        let empty = root_of(&[]);
        assert_eq!((empty.sum, empty.count), (Amount::ZERO, 0));
        let three = root_of(&leaves(&[1, 2, 4]));
        assert_eq!((three.sum, three.count), (Amount::new(7), 3));
        assert_eq!(
            [empty, root_of(&leaves(&[1])), three].map(|root| root.digest.to_string()),
            [
                "4b76d6c58b43cae36ab52e402b7bf86c63cf0d09a2041fda536a9187825f3da1",
                "b4632d5875dcfd70dec30a512ba5188079b87ce0fde7648a2ce101cf08146248",
                "b9d06d908325dafe550854270c994a056b9320c59235a073cb4b93dbdf287e95",
            ]
        );
    }

    #[test]
    fn memory_grows_with_the_logarithm() {
        let tree = built(&leaves(&vec![1; 5_000]));
        assert_eq!(tree.peaks.len(), 5_000_u32.count_ones() as usize);
    }

    #[test]
    fn keys_rise_and_sums_fit() {
        let list = leaves(&[u64::MAX, 1]);
        let mut tree = built(&list);
        let before = tree.root();
        for leaf in &list {
            let error = SumTreeError::Order { after: list[1].key, got: leaf.key };
            assert_eq!(tree.push(leaf), Err(error));
        }
        assert_eq!(tree.root(), before);
        assert_eq!(before.unwrap().sum, Amount::new(u128::from(u64::MAX) + 1));
        let full = Node { sum: Amount::MAX, ..name().leaf(&list[0]) };
        assert_eq!(name().join(&full, &name().leaf(&list[1])), Err(SumTreeError::Overflow));
    }

    #[test]
    fn a_tree_is_not_another_and_a_leaf_is_no_node() {
        let list = leaves(&[1, 2]);
        let mut other = SumTree::new(TreeName::new("another tree"));
        for leaf in &list {
            other.push(leaf).unwrap();
        }
        assert_ne!(other.root(), built(&list).root());
        let branch = branch_of(&list, list[0].key).unwrap();
        assert_eq!(branch.verify(TreeName::new("another tree"), &root_of(&list)), Err(SumTreeError::Root));
        let digests = [name().leaf(&list[0]).digest, root_of(&list[..1]).digest];
        assert_ne!(digests[0], digests[1], "a root is no leaf");
    }

    #[test]
    fn a_wrong_sum_in_a_node_is_another_root() {
        // The flaw of the first sum trees: a node that does not cover both sums lets one branch hide a debt.
        let list = leaves(&[8, 4, 2, 1, 16]);
        let root = root_of(&list);
        let good = branch_of(&list, list[2].key).unwrap();
        assert_eq!(good.verify(name(), &root), Ok(()));
        for level in 0..good.siblings.len() {
            let mut bad = good.clone();
            bad.siblings[level].sum = Amount::ZERO;
            assert_eq!(bad.verify(name(), &root), Err(SumTreeError::Root));
            let lower = Root { sum: root.sum.checked_sub(good.siblings[level].sum).unwrap(), ..root };
            assert_eq!(bad.verify(name(), &lower), Err(SumTreeError::Root));
        }
    }

    proptest! {
        #[test]
        fn the_builder_agrees_with_the_definition(amounts in prop::collection::vec(any::<u64>(), 1..200)) {
            let list = leaves(&amounts);
            let top = naive(&list);
            let root = root_of(&list);
            prop_assert_eq!(root, name().root(Some(&top)));
            let sum: u128 = amounts.iter().map(|amount| u128::from(*amount)).sum();
            prop_assert_eq!((root.sum.value(), root.count), (sum, amounts.len() as u64));
        }

        #[test]
        fn every_leaf_has_a_branch_and_no_other(amounts in prop::collection::vec(any::<u64>(), 1..20), other: prop::sample::Index) {
            let list = leaves(&amounts);
            let root = root_of(&list);
            for (index, leaf) in list.iter().enumerate() {
                let branch = branch_of(&list, leaf.key).unwrap();
                prop_assert_eq!((branch.index, branch.leaf), (index as u64, *leaf));
                prop_assert_eq!(branch.verify(name(), &root), Ok(()));
                let elsewhere = other.index(list.len() + 1) as u64;
                let moved = Branch { index: elsewhere, ..branch.clone() };
                prop_assert_eq!(moved.verify(name(), &root).is_ok(), elsewhere == branch.index);
                let richer = Leaf { amount: leaf.amount ^ 1, ..*leaf };
                let richer = Branch { leaf: richer, ..branch.clone() };
                prop_assert!(richer.verify(name(), &root).is_err());
                let later = Leaf { epoch: leaf.epoch + 1, ..*leaf };
                let later = Branch { leaf: later, ..branch.clone() };
                prop_assert!(later.verify(name(), &root).is_err());
                let mut longer = branch.clone();
                longer.siblings.push(naive(&list));
                prop_assert!(longer.verify(name(), &root).is_err());
                let mut shorter = branch;
                if shorter.siblings.pop().is_some() {
                    prop_assert!(shorter.verify(name(), &root).is_err());
                }
            }
            prop_assert_eq!(branch_of(&list, LeafKey::from_bytes([9; 33])), None);
        }

        #[test]
        fn any_change_changes_the_root(amounts in prop::collection::vec(1u64.., 1..60), at: prop::sample::Index) {
            let list = leaves(&amounts);
            let (root, at) = (root_of(&list), at.index(list.len()));
            let mut dropped = list.clone();
            dropped.remove(at);
            prop_assert_ne!(root_of(&dropped), root);
            let mut changed = list.clone();
            changed[at].amount -= 1;
            prop_assert_ne!(root_of(&changed).digest, root.digest);
            let mut changed = list;
            changed[at].epoch += 1;
            prop_assert_ne!(root_of(&changed).digest, root.digest);
        }
    }
}
