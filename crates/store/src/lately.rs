//! Rows that were committed lately, as they are: whoever reads one again soon need not look for it among the bytes. A channel
//! that pays is read and written several times for each payment, and so are the accounts that everybody shares.
//!
//! Only commits put rows here, after they are durable, and whoever reads never does: what a slow reader has found among the bytes
//! could be older than what was committed meanwhile. So what is here is what the bytes have, and what is not here is looked for
//! there. It is bounded: of two halves the older one is dropped when the younger is full.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

/// What is known of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known<R> {
    /// This is it.
    Row(R),
    /// It was removed.
    Gone,
}

impl<R> Known<R> {
    /// The row, if there is one.
    pub(crate) fn row(self) -> Option<R> {
        match self {
            Self::Row(row) => Some(row),
            Self::Gone => None,
        }
    }
}

/// The rows of one table that were committed lately.
pub(crate) struct Lately<K, R> {
    halves: RwLock<Halves<K, R>>,
    half_most: usize,
}

struct Halves<K, R> {
    young: HashMap<K, Known<R>>,
    old: HashMap<K, Known<R>>,
}

impl<K: Copy + Eq + Hash, R: Clone> Lately<K, R> {
    /// With room for twice so many; none for nothing.
    pub(crate) fn of(half_most: usize) -> Self {
        let halves = RwLock::new(Halves { young: HashMap::new(), old: HashMap::new() });
        Self { halves, half_most }
    }

    /// What is known of the row under a key; nothing if it was not committed lately.
    pub(crate) fn get(&self, key: &K) -> Option<Known<R>> {
        if self.half_most == 0 {
            return None;
        }
        let halves = self.halves.read().unwrap_or_else(PoisonError::into_inner);
        halves.young.get(key).or_else(|| halves.old.get(key)).cloned()
    }

    /// Takes over what a commit has changed. It is durable by now.
    pub(crate) fn take(&self, changes: &[(K, Option<R>)]) {
        if self.half_most == 0 || changes.is_empty() {
            return;
        }
        let mut halves = self.halves.write().unwrap_or_else(PoisonError::into_inner);
        for (key, row) in changes {
            if halves.young.len() >= self.half_most {
                halves.old = std::mem::take(&mut halves.young);
            }
            halves.young.insert(*key, row.clone().map_or(Known::Gone, Known::Row));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_row_counts_wherever_an_older_one_is() {
        let lately = Lately::of(2);
        assert_eq!(lately.get(&1), None);
        lately.take(&[(1, Some("a")), (2, Some("b")), (3, Some("c"))]);
        assert_eq!(lately.get(&1), Some(Known::Row("a")), "in the older half");
        lately.take(&[(1, None)]);
        assert_eq!(lately.get(&1), Some(Known::Gone), "it is gone");
        lately.take(&[(4, Some("d"))]);
        assert_eq!((lately.get(&1), lately.get(&2)), (Some(Known::Gone), None), "the older half was dropped");
    }

    #[test]
    fn few_are_kept_and_without_room_none() {
        let (lately, none) = (Lately::of(8), Lately::of(0));
        for n in 0..1_000 {
            lately.take(&[(n, Some(n))]);
            none.take(&[(n, Some(n))]);
            assert_eq!((lately.get(&n), none.get(&n)), (Some(Known::Row(n)), None));
        }
        let halves = lately.halves.read().unwrap();
        assert!(halves.young.len() + halves.old.len() <= 16);
    }
}
