//! RLP, the way in which chains write transactions: byte strings and lists, each with its length before it. Whole numbers
//! are byte strings without leading zeros.

use crate::word::Word;

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Bytes(Vec<u8>),
    List(Vec<Item>),
}

impl Item {
    /// A whole number.
    pub(crate) fn number(word: impl Into<Word>) -> Self {
        let word: Word = word.into();
        Self::Bytes(word.as_bytes().iter().copied().skip_while(|byte| *byte == 0).collect())
    }

    /// The bytes of this item.
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => match bytes.as_slice() {
                [byte] if *byte < 0x80 => vec![*byte],
                bytes => with_length(0x80, bytes.to_vec()),
            },
            Self::List(items) => with_length(0xc0, items.iter().flat_map(Self::encode).collect()),
        }
    }

    /// The item that these bytes are, all of them.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        // A transaction is a list of strings and of one list; what is deeper is not read.
        let (item, rest) = decode_one(bytes, 4)?;
        rest.is_empty().then_some(item)
    }

    /// Its bytes, if it is a byte string.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::List(_) => None,
        }
    }

    /// The number that it writes, if it is one.
    pub(crate) fn to_word(&self) -> Option<Word> {
        let bytes = self.bytes()?;
        if bytes.len() > 32 || bytes.first() == Some(&0) {
            return None;
        }
        let mut word = [0; 32];
        word.iter_mut().rev().zip(bytes.iter().rev()).for_each(|(place, byte)| *place = *byte);
        Some(Word::from_bytes(word))
    }
}

/// A length of at most 55 is a part of the first byte; longer ones stand after it.
fn with_length(first: u8, body: Vec<u8>) -> Vec<u8> {
    let mut bytes = match u8::try_from(body.len()) {
        Ok(short) if short <= 55 => vec![first.saturating_add(short)],
        _ => {
            let length = u64::try_from(body.len()).unwrap_or(u64::MAX).to_be_bytes();
            let digits: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
            let count = u8::try_from(digits.len()).unwrap_or(8);
            let mut bytes = vec![first.saturating_add(55).saturating_add(count)];
            bytes.extend(digits);
            bytes
        }
    };
    bytes.extend(body);
    bytes
}

fn decode_one(bytes: &[u8], depth: u8) -> Option<(Item, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first < 0x80 {
        return Some((Item::Bytes(vec![*first]), rest));
    }
    let base = if *first < 0xc0 { 0x80 } else { 0xc0 };
    let (length, rest) = length_of(first.checked_sub(base)?, rest)?;
    let (body, rest) = rest.split_at_checked(length)?;
    if base == 0x80 {
        let one_way = !matches!(body, [byte] if *byte < 0x80);
        return one_way.then(|| (Item::Bytes(body.to_vec()), rest));
    }
    let depth = depth.checked_sub(1)?;
    let (mut items, mut left) = (Vec::new(), body);
    while !left.is_empty() {
        let (item, after) = decode_one(left, depth)?;
        items.push(item);
        left = after;
    }
    Some((Item::List(items), rest))
}

fn length_of(code: u8, rest: &[u8]) -> Option<(usize, &[u8])> {
    let Some(count) = code.checked_sub(55).filter(|count| *count > 0) else {
        return Some((usize::from(code), rest));
    };
    let (digits, rest) = rest.split_at_checked(usize::from(count))?;
    let shortest = digits.first() != Some(&0);
    let length = Item::Bytes(digits.to_vec()).to_word()?.to_u64()?;
    let length = usize::try_from(length).ok()?;
    (shortest && length > 55).then_some((length, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Item {
        Item::Bytes(text.as_bytes().to_vec())
    }

    /// The examples of Ethereum's wiki.
    #[test]
    fn published_examples() {
        let long = "Lorem ipsum dolor sit amet, consectetur adipisicing elit";
        for (item, bytes) in [
            (text("dog"), "83646f67".to_owned()),
            (Item::List(vec![text("cat"), text("dog")]), "c88363617483646f67".to_owned()),
            (text(""), "80".to_owned()),
            (Item::List(vec![]), "c0".to_owned()),
            (Item::number(0), "80".to_owned()),
            (Item::number(15), "0f".to_owned()),
            (Item::number(1024), "820400".to_owned()),
            (text(long), format!("b838{}", hex::encode(long))),
        ] {
            assert_eq!(hex::encode(item.encode()), bytes);
            assert_eq!(Item::decode(&item.encode()), Some(item));
        }
    }

    #[test]
    fn one_item_is_written_one_way() {
        for bad in ["", "8100", "b80161", "b9003861", "83646f", "83646f6767", "c3", "00ff", "c1c1c1c1c1c0"] {
            assert_eq!(Item::decode(&hex::decode(bad).unwrap()), None, "{bad}");
        }
        assert_eq!(Item::Bytes(vec![0, 1]).to_word(), None, "a number has no leading zeros");
        assert_eq!(Item::Bytes(vec![1; 33]).to_word(), None);
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(strings in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6), number: u128) {
            let mut items: Vec<_> = strings.into_iter().map(Item::Bytes).collect();
            let word = Word::from(farthing_money::Amount::new(number));
            items.push(Item::number(word));
            prop_assert_eq!(items.last().unwrap().to_word(), Some(word));
            let list = Item::List(vec![Item::List(items.clone()), Item::List(items)]);
            prop_assert_eq!(Item::decode(&list.encode()), Some(list));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Some(item) = Item::decode(&bytes) {
                prop_assert_eq!(item.encode(), bytes);
            }
        }
    }
}
