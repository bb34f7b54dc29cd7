//! The twelve words from which every secret of the wallet can be made again.

use bip39::{Language, Mnemonic};
use thiserror::Error;
use zeroize::Zeroizing;

/// How many words: 128 random bits and a checksum (BIP-39).
const WORDS: usize = 12;

/// The seed. Wiped when dropped; never shown but by [`Seed::words`].
#[derive(Clone)]
pub struct Seed {
    entropy: Zeroizing<[u8; 16]>,
    seed: Zeroizing<[u8; 64]>,
}

/// Why words are no seed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WordsError {
    /// Not twelve.
    #[error("expected {WORDS} words, got {0}; write all of them, in order, with spaces between")]
    Count(usize),
    /// A word that is not in the list of BIP-39.
    #[error(
        "the word number {0} is not one of the 2048 English words of BIP-39; check it for typing mistakes"
    )]
    Unknown(usize),
    /// The last word does not fit the others.
    #[error(
        "the words do not fit together (bad checksum); one of them is wrong or two are in the wrong order"
    )]
    Checksum,
}

impl WordsError {
    /// The stable code of this refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Count(_) => "words-count",
            Self::Unknown(_) => "words-unknown",
            Self::Checksum => "words-checksum",
        }
    }
}

impl Seed {
    /// From 16 random bytes, which the caller draws.
    pub fn from_entropy(entropy: [u8; 16]) -> Result<Self, WordsError> {
        let mnemonic =
            Mnemonic::from_entropy_in(Language::English, &entropy).map_err(|_| WordsError::Checksum)?;
        Ok(Self { entropy: Zeroizing::new(entropy), seed: Zeroizing::new(mnemonic.to_seed_normalized("")) })
    }

    /// From the words, in any case and with any spaces.
    pub fn from_words(text: &str) -> Result<Self, WordsError> {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        if words.len() != WORDS {
            return Err(WordsError::Count(words.len()));
        }
        let text = Zeroizing::new(words.join(" "));
        let mnemonic =
            Mnemonic::parse_in_normalized(Language::English, &text).map_err(|error| match error {
                bip39::Error::UnknownWord(place) => WordsError::Unknown(place.saturating_add(1)),
                _ => WordsError::Checksum,
            })?;
        let entropy = Zeroizing::new(mnemonic.to_entropy());
        Self::from_entropy(entropy.as_slice().try_into().map_err(|_| WordsError::Checksum)?)
    }

    /// The words, for a backup on paper.
    pub fn words(&self) -> Zeroizing<String> {
        let mnemonic = Mnemonic::from_entropy_in(Language::English, self.entropy.as_ref());
        let words = mnemonic.map(|mnemonic| mnemonic.words().collect::<Vec<_>>().join(" "));
        Zeroizing::new(words.unwrap_or_default())
    }

    /// The 64 bytes that NUT-13 derives from.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.seed.as_ref()
    }

    /// The 16 bytes that make the words, for storing them sealed.
    pub(crate) fn entropy(&self) -> &[u8] {
        self.entropy.as_ref()
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORDS: &str = "half depart obvious quality work element tank gorilla view sugar picture humble";

    #[test]
    fn the_seed_is_that_of_bip_39() {
        // The mnemonic of NUT-13's vectors, with its seed.
        let seed = Seed::from_words(&WORDS.to_uppercase().replace(' ', " \n ")).unwrap();
        assert_eq!(
            hex::encode(seed.bytes()),
            "dd44ee516b0647e80b488e8dcc56d736a148f15276bef588b37057476d4b2b25780d3688a32b37353d6995997842c0fd8b412475c891c16310471fbc86dcbda8"
        );
        assert_eq!(*seed.words(), WORDS);
        assert_eq!(format!("{seed:?}"), "Seed(..)");
    }

    #[test]
    fn mistakes_are_told_apart() {
        let error = |text: &str| Seed::from_words(text).unwrap_err();
        assert_eq!(error("half depart"), WordsError::Count(2));
        assert_eq!(error(&WORDS.replace("obvious", "obvios")), WordsError::Unknown(3));
        assert_eq!(error(&WORDS.replace("half depart", "depart half")), WordsError::Checksum);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn words_and_seed_are_inverse(entropy: [u8; 16]) {
            let seed = Seed::from_entropy(entropy).unwrap();
            let again = Seed::from_words(&seed.words()).unwrap();
            prop_assert_eq!(again.bytes(), seed.bytes());
            prop_assert_eq!(again.entropy(), seed.entropy());
        }
    }
}
