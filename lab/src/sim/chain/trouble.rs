//! What goes wrong with the chain: forks, nodes that fall behind or silent, transactions that are lost or come again.

use farthing_money::Timestamp;

use super::block::Waiting;
use super::{Chain, Inner};
use crate::sim::dice::Dice;

impl Chain {
    /// Something goes wrong.
    pub fn trouble(&self, dice: &mut Dice) {
        let mut inner = self.inner();
        let until = inner.now.saturating_add(dice.within(500..=9_000));
        let node = usize::try_from(dice.below(2)).unwrap_or_default();
        match dice.below(100) {
            0..25 => inner.fork(dice),
            25..36 if inner.deep => inner.fork(dice),
            25..33 => inner.mirror(node, |node| node.down_until = until),
            33..36 => {
                inner.mirror(0, |node| node.down_until = until);
                inner.mirror(1, |node| node.down_until = until);
            }
            36..48 => inner.mirror(node, |node| node.stale_until = until),
            48..60 => inner.mirror(node, |node| node.flaky_until = until),
            60..68 => inner.mirror(node, |node| node.bare_until = until),
            68..76 => inner.dear_until = until.saturating_add(8_000),
            76..80 => inner.poor_until = until,
            80..90 => inner.lose(dice),
            _ => inner.send_again(dice),
        }
    }

    /// Nothing goes wrong any more.
    pub fn calm(&self) {
        let mut inner = self.inner();
        inner.calm = true;
        let now = inner.now;
        for waiting in &mut inner.pool {
            waiting.from = waiting.from.map(|from| from.min(now));
        }
        inner.pool.retain(|waiting| waiting.from.is_some());
    }
}

impl Inner {
    fn mirror(&mut self, place: usize, change: impl FnOnce(&mut super::Mirror)) {
        if let Some(node) = self.nodes.get_mut(place) {
            change(node);
        }
    }

    /// Takes the newest blocks back and makes about as many others.
    fn fork(&mut self, dice: &mut Dice) {
        let shallow = self.confirmations.saturating_sub(1);
        let most = if self.deep { self.confirmations.saturating_add(3) } else { shallow };
        // Most forks are about something: back to the newest block that holds anything.
        let newest = self.truth.iter().rev().position(|made| !made.carried.is_empty());
        let newest = newest.and_then(|place| u64::try_from(place).ok()).map(|place| place.saturating_add(1));
        let any = dice.within(1..=most.max(1));
        let depth = match newest.filter(|depth| *depth <= most && dice.per_mille(800)) {
            Some(newest) if self.deep => newest.max(any),
            Some(newest) => newest,
            None => any.min(most),
        };
        let depth = usize::try_from(depth).unwrap_or_default();
        let keep = self.truth.len().saturating_sub(depth).max(1);
        let taken = self.truth.split_off(keep);
        if taken.is_empty() {
            return;
        }
        self.forks = self.forks.saturating_add(1);
        self.counts.forks = self.counts.forks.saturating_add(1);
        self.take_back(&taken);
        for (signed, _) in taken.iter().flat_map(|made| &made.carried) {
            let from = match dice.below(100) {
                0..45 => Some(self.now),
                45..65 => Some(self.now.saturating_add(dice.within(1_000..=40_000))),
                _ => continue,
            };
            self.pool.push(Waiting { signed: signed.clone(), from });
        }
        let times: Vec<Timestamp> = taken.iter().map(|made| made.block.at).collect();
        let less = usize::from(dice.per_mille(200)).min(times.len().saturating_sub(1));
        for at in times.iter().take(times.len().saturating_sub(less)) {
            self.mine(*at, dice);
        }
    }

    /// Notes what was confirmed and is not any more.
    fn take_back(&mut self, taken: &[std::sync::Arc<super::block::Made>]) {
        let mut carried = taken.iter().flat_map(|made| &made.carried);
        let deep = carried.any(|(signed, receipt)| self.confirmed.contains(&(signed.hash, receipt.block)));
        let before = taken.last().map(|made| made.after.token.clone()).unwrap_or_default();
        let after = self.state().token;
        let gone = before.moved().map(|(once, _)| once).filter(|once| after.fate(once).is_none());
        self.taken.extend(gone.filter(|once| self.confirmed_once.contains(once)));
        self.counts.deep = self.counts.deep.saturating_add(u64::from(deep));
    }

    /// A transaction that waits is forgotten.
    fn lose(&mut self, dice: &mut Dice) {
        let place = dice.below(u64::try_from(self.pool.len()).unwrap_or_default());
        let place = usize::try_from(place).unwrap_or_default();
        if place < self.pool.len() {
            self.pool.remove(place);
        }
    }

    /// One that was handed in before comes again from somewhere, also an old one that was replaced.
    fn send_again(&mut self, dice: &mut Dice) {
        let recent = self.ever.len().saturating_sub(12);
        if let Some(signed) = dice.pick(self.ever.get(recent..).unwrap_or_default()).cloned() {
            let from = self.now.saturating_add(dice.within(0..=20_000));
            self.pool.push(Waiting { signed, from: Some(from) });
        }
    }
}
