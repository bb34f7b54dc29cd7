//! How contracts read arguments: words in a row, and what has no fixed length after them, with its place in the row.

use crate::digest::keccak256;
use crate::word::Word;

/// Arguments of a call, in order. Structs of words are their words, in order.
#[derive(Default)]
pub(crate) struct Arguments(Vec<Argument>);

enum Argument {
    Word(Word),
    Bytes(Vec<u8>),
    /// A struct or a list without fixed length, encoded by itself.
    Whole(Vec<u8>),
}

impl Arguments {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn word(mut self, word: impl Into<Word>) -> Self {
        self.0.push(Argument::Word(word.into()));
        self
    }

    pub(crate) fn words<const N: usize>(self, words: [Word; N]) -> Self {
        words.into_iter().fold(self, Self::word)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.push(Argument::Bytes(bytes.to_vec()));
        self
    }

    /// A struct whose own arguments have no fixed length, encoded.
    pub(crate) fn whole(mut self, encoded: Vec<u8>) -> Self {
        self.0.push(Argument::Whole(encoded));
        self
    }

    /// A list of structs or bytes without fixed length, each encoded.
    pub(crate) fn list(self, elements: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let elements = elements.into_iter().fold(Self::new(), Self::whole);
        let length = word_of(elements.0.len());
        let encoded = elements.after(Vec::new());
        self.whole([length.as_bytes(), encoded.as_slice()].concat())
    }

    /// The arguments alone.
    pub(crate) fn encode(&self) -> Vec<u8> {
        self.after(Vec::new())
    }

    /// A call of the function with this name and these types, such as `transfer(address,uint256)`.
    pub(crate) fn call(&self, function: &str) -> Vec<u8> {
        let hash = keccak256(function.as_bytes());
        self.after(hash.as_bytes().iter().take(4).copied().collect())
    }

    fn after(&self, mut row: Vec<u8>) -> Vec<u8> {
        let mut rest = Vec::new();
        let row_length = self.0.len().saturating_mul(32);
        for argument in &self.0 {
            match argument {
                Argument::Word(word) => row.extend(word.as_bytes()),
                Argument::Bytes(bytes) => {
                    row.extend(word_of(row_length.saturating_add(rest.len())).as_bytes());
                    rest.extend(encoded_bytes(bytes));
                }
                Argument::Whole(encoded) => {
                    row.extend(word_of(row_length.saturating_add(rest.len())).as_bytes());
                    rest.extend(encoded);
                }
            }
        }
        row.extend(rest);
        row
    }
}

/// Bytes by themselves: their length, and they, up to a whole word.
pub(crate) fn encoded_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut encoded = word_of(bytes.len()).as_bytes().to_vec();
    encoded.extend(bytes);
    encoded.resize(encoded.len().next_multiple_of(32), 0);
    encoded
}

/// A length or place. What is in memory is shorter than 2^64.
fn word_of(length: usize) -> Word {
    Word::from(u64::try_from(length).unwrap_or(u64::MAX))
}

/// Reads arguments from bytes of strangers: `None` where they point beyond their end.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a>(pub(crate) &'a [u8]);

impl<'a> Row<'a> {
    /// The word at a place in the row.
    pub(crate) fn word(self, place: usize) -> Option<Word> {
        self.at(place.checked_mul(32)?)
    }

    /// The bytes that the word at a place in the row points to.
    pub(crate) fn bytes(self, place: usize) -> Option<&'a [u8]> {
        let start = length_of(self.word(place)?)?;
        let length = length_of(self.at(start)?)?;
        let first = start.checked_add(32)?;
        self.0.get(first..first.checked_add(length)?)
    }

    fn at(self, start: usize) -> Option<Word> {
        let bytes = self.0.get(start..)?.first_chunk::<32>()?;
        Some(Word::from_bytes(*bytes))
    }
}

fn length_of(word: Word) -> Option<usize> {
    usize::try_from(word.to_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_the_specification() {
        // `sam("dave", true, [1,2,3])` without its list: bytes, then a word.
        let encoded = Arguments::new().bytes(b"dave").word(1).encode();
        let expected = format!("{:064x}{:064x}{:064x}64617665{}", 0x40, 1, 4, "0".repeat(56));
        assert_eq!(hex::encode(encoded), expected);
        assert_eq!(hex::encode(Arguments::new().call("baz(uint32,bool)")), "cdcd77c0");
    }

    /// `g(uint256[][],string[])` of the specification, the half with texts: a list of what has no fixed length.
    #[test]
    fn a_list_of_what_has_no_fixed_length() {
        let encoded = Arguments::new().list([&b"one"[..], b"two", b"three"].map(encoded_bytes)).encode();
        let text = |text: &[u8]| format!("{:0<64}", hex::encode(text));
        let words = [0x20, 3, 0x60, 0xa0, 0xe0].map(|word: u64| format!("{word:064x}")).concat();
        let texts = [(3, &b"one"[..]), (3, b"two"), (5, b"three")]
            .map(|(length, bytes)| format!("{length:064x}{}", text(bytes)));
        assert_eq!(hex::encode(encoded), words + &texts.concat());
        let none = Arguments::new().list([]).encode();
        assert_eq!(hex::encode(none), format!("{:064x}{:064x}", 0x20, 0));
    }

    #[test]
    fn what_points_beyond_the_end_is_refused() {
        let good = Arguments::new().word(7).bytes(&[1; 40]).encode();
        assert_eq!(Row(&good).bytes(1), Some(&[1; 40][..]));
        for (place, value) in
            [(32, Word::MAX), (32, Word::from(1 << 40)), (64, Word::MAX), (64, Word::from(65))]
        {
            let mut bad = good.clone();
            bad[place..place + 32].copy_from_slice(value.as_bytes());
            assert_eq!(Row(&bad).bytes(1), None, "{place} {value}");
        }
        assert_eq!(Row(&good[..31]).word(0), None);
        assert_eq!(Row(&good).word(usize::MAX), None);
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(word: u64, first: Vec<u8>, second: Vec<u8>) {
            let encoded = Arguments::new().bytes(&first).word(word).bytes(&second).encode();
            prop_assert_eq!(encoded.len() % 32, 0);
            prop_assert_eq!(Row(&encoded).bytes(0), Some(&first[..]));
            prop_assert_eq!(Row(&encoded).word(1), Some(Word::from(word)));
            prop_assert_eq!(Row(&encoded).bytes(2), Some(&second[..]));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, place: usize) {
            let _ = (Row(&bytes).word(place), Row(&bytes).bytes(place), Row(&bytes).bytes(0));
        }
    }
}
