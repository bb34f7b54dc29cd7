//! A session at hand in this program: its links, and which steps calls of this program are on their way with. It is not written
//! down: what must not be lost is the mark in the row.

use farthing_channel::ChainLinks;

/// The steps of a chain as this program goes through them.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    links: ChainLinks,
    pub(crate) generation: u32,
    /// The next step that nobody took.
    next: u32,
    /// Steps that paid for nothing, first and last.
    returned: Vec<(u32, u32)>,
}

/// Steps for one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) first: u32,
    pub(crate) last: u32,
    /// The link of the last one.
    pub(crate) link: [u8; 32],
}

impl Live {
    /// A chain of which all below `next` is gone.
    pub(crate) fn new(links: ChainLinks, generation: u32, next: u32) -> Self {
        Self { links, generation, next: next.max(1), returned: Vec::new() }
    }

    /// Takes so many steps in a row; none if there are not as many.
    pub(crate) fn take(&mut self, count: u32) -> Option<Taken> {
        let wide = |(first, last): &(u32, u32)| last.saturating_sub(*first).saturating_add(1) == count;
        let place = self.returned.iter().position(wide);
        let (first, last) = if let Some(place) = place {
            self.returned.swap_remove(place)
        } else {
            (self.next, self.next.checked_add(count)?.checked_sub(1)?)
        };
        let link = self.links.link(last)?;
        self.next = self.next.max(last.saturating_add(1));
        Some(Taken { first, last, link: *link.as_bytes() })
    }

    /// Whether so many are left.
    pub(crate) fn has(&self, count: u32) -> bool {
        let wide = |(first, last): &(u32, u32)| last.saturating_sub(*first).saturating_add(1) == count;
        let above = self.next.checked_add(count).and_then(|end| end.checked_sub(1));
        self.returned.iter().any(wide) || above.is_some_and(|last| last <= self.links.steps())
    }

    /// Gives steps back that have paid for nothing.
    pub(crate) fn give_back(&mut self, taken: Taken) {
        self.returned.push((taken.first, taken.last));
    }

    /// Goes on above a step: what was below is gone.
    pub(crate) fn go_on_above(&mut self, high: u32) {
        self.next = self.next.max(high.saturating_add(1));
        self.returned.retain(|(first, _)| *first > high);
    }
}

#[cfg(test)]
mod tests {
    use farthing_channel::ChainSecret;

    use super::*;

    #[test]
    fn steps_are_taken_once_and_those_that_paid_for_nothing_again() {
        let secret = ChainSecret::from_bytes([1; 32]);
        let mut live = Live::new(ChainLinks::of(&secret, 10), 0, 1);
        let one = live.take(1).unwrap();
        let three = live.take(3).unwrap();
        assert_eq!(((one.first, one.last), (three.first, three.last)), ((1, 1), (2, 4)));
        assert_eq!(three.link, *secret.link(10, 4).unwrap().as_bytes());
        live.give_back(three);
        assert_eq!(live.take(1).unwrap().last, 5, "what was given back fits calls of the same price");
        assert_eq!(live.take(3).unwrap(), three);
        live.give_back(one);
        live.go_on_above(8);
        assert_eq!(live.take(1).unwrap().last, 9);
        assert!(live.has(1) && !live.has(2));
        assert_eq!((live.take(2), live.take(1).unwrap().last, live.take(1)), (None, 10, None));
    }
}
