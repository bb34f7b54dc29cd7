//! What a playlist says of an address, and what comes of several such sayings: ranges of one file are added up, parts do not count beside
//! the whole that they are parts of, and a length that cannot be read makes the sum one that is not known.

/// As what an address is named. What comes later in this order wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// What is read before the first segment, and lasts nothing.
    Before,
    /// A part of a segment that is not whole yet.
    Part,
    /// A segment.
    Whole,
}

/// How long something lasts, as it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// As what.
    pub rank: Rank,
    /// In thousandths of a second, rounded up; nothing if it cannot be read.
    pub millis: Option<u64>,
}

/// What a playlist says of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The address, as it is written.
    pub address: String,
    /// How long it lasts.
    pub length: Length,
}

impl Length {
    /// Of what comes before the first segment.
    pub(super) const BEFORE: Self = Self { rank: Rank::Before, millis: Some(0) };

    pub(super) fn whole(millis: Option<u64>) -> Self {
        Self { rank: Rank::Whole, millis }
    }

    pub(super) fn part(millis: Option<u64>) -> Self {
        Self { rank: Rank::Part, millis }
    }

    /// Both sayings of one address together.
    pub(super) fn and(self, other: Self) -> Self {
        match self.rank.cmp(&other.rank) {
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Equal => {
                let both = self.millis.zip(other.millis);
                Self { rank: self.rank, millis: both.and_then(|(one, two)| one.checked_add(two)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_length() -> impl Strategy<Value = Length> {
        let rank = prop_oneof![Just(Rank::Before), Just(Rank::Part), Just(Rank::Whole)];
        (rank, any::<Option<u64>>()).prop_map(|(rank, millis)| Length { rank, millis })
    }

    #[test]
    fn a_whole_wins_over_its_parts_and_what_is_not_known_makes_no_sum() {
        let (part, whole) = (Length::part(Some(300)), Length::whole(Some(4_000)));
        assert_eq!(part.and(part), Length::part(Some(600)));
        assert_eq!((part.and(whole), whole.and(part)), (whole, whole));
        assert_eq!(Length::BEFORE.and(part), part);
        assert_eq!(whole.and(whole), Length::whole(Some(8_000)));
        assert_eq!(whole.and(Length::whole(None)), Length::whole(None));
        assert_eq!(whole.and(Length::whole(Some(u64::MAX))), Length::whole(None), "no sum is cut off");
        assert_eq!(Length::part(None).and(whole), whole);
    }

    proptest! {
        #[test]
        fn the_order_of_sayings_does_not_matter(one in any_length(), two in any_length(), three in any_length()) {
            prop_assert_eq!(one.and(two), two.and(one));
            prop_assert_eq!(one.and(two).and(three), one.and(two.and(three)));
        }
    }
}
