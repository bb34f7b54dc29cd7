//! The links of a chain at hand, for a payer who shows them one after the other: every so many of them are kept, so that the next
//! one costs a few hashes and not a walk along the whole chain.

use crate::hash_chain::{ChainSalt, ChainSecret, Link};

/// So many links apart are those that are kept.
const APART: u32 = 256;

/// A chain whose links are at hand. What is worth something is not printed.
#[derive(Clone)]
pub struct ChainLinks {
    salt: ChainSalt,
    steps: u32,
    /// From the top down, so many apart.
    kept: Vec<Link>,
    anchor: Link,
}

impl ChainLinks {
    /// The chain of a secret, with so many steps. It takes as many hashes.
    pub fn of(secret: &ChainSecret, steps: u32) -> Self {
        let (salt, mut link, mut left) = (secret.salt(), secret.top(), steps);
        let mut kept = vec![link];
        while let Some(less) = left.checked_sub(APART) {
            (link, left) = (link.below(&salt, APART), less);
            kept.push(link);
        }
        Self { salt, steps, kept, anchor: link.below(&salt, left) }
    }

    /// How many steps it has.
    pub const fn steps(&self) -> u32 {
        self.steps
    }

    /// The link below the first step.
    pub const fn anchor(&self) -> Link {
        self.anchor
    }

    /// The link of a step; none above the end. Step 0 is the anchor.
    pub fn link(&self, step: u32) -> Option<Link> {
        let down = self.steps.checked_sub(step)?;
        let (place, rest) = (down.checked_div(APART)?, down.checked_rem(APART)?);
        let above = self.kept.get(usize::try_from(place).ok()?)?;
        Some(above.below(&self.salt, rest))
    }
}

impl std::fmt::Debug for ChainLinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChainLinks").field("steps", &self.steps).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_at_hand_are_those_of_the_chain() {
        let secret = ChainSecret::from_bytes([7; 32]);
        for steps in [1, 255, 256, 257, 1_000] {
            let links = ChainLinks::of(&secret, steps);
            for step in (0..=steps).step_by(37).chain([steps, steps - 1]) {
                assert_eq!(links.link(step), secret.link(steps, step), "{step} of {steps}");
            }
            assert_eq!(Some(links.anchor()), secret.link(steps, 0));
            assert_eq!(links.link(steps + 1), None);
        }
        assert_eq!(format!("{:?}", ChainLinks::of(&secret, 9)), "ChainLinks { steps: 9, .. }");
    }
}
