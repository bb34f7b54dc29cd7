//! What contracts answer, and the calls that no payer signs: several calls in one (Multicall3).

use farthing_channel::{Address, Word, keccak256};

/// The selector of a function or of an error: the first bytes of the hash of its text.
pub(crate) fn selector(text: &str) -> [u8; 4] {
    let hash = keccak256(text.as_bytes());
    hash.as_bytes().first_chunk::<4>().copied().unwrap_or_default()
}

/// The whole hash of an event's text: its first topic.
pub(crate) fn topic(text: &str) -> Word {
    keccak256(text.as_bytes()).into()
}

/// The word at a place in a row.
pub(crate) fn word(row: &[u8], place: usize) -> Option<Word> {
    let start = place.checked_mul(32)?;
    row.get(start..)?.first_chunk::<32>().map(|bytes| Word::from_bytes(*bytes))
}

/// The one word that is the whole answer. A contract without the function that was called may answer nothing.
pub(crate) fn only_word(answer: &[u8]) -> Option<Word> {
    word(answer, 0).filter(|_| answer.len() == 32)
}

/// A yes or no that is the whole answer.
pub(crate) fn only_bool(answer: &[u8]) -> Option<bool> {
    match only_word(answer)?.to_u64()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// The bytes that the word at a place points to.
pub(crate) fn bytes_at(row: &[u8], place: usize) -> Option<&[u8]> {
    let start = length(word(row, place)?)?;
    let body = row.get(start..)?;
    let size = length(word(body, 0)?)?;
    body.get(32..)?.get(..size)
}

/// A text that is the whole answer.
pub(crate) fn only_text(answer: &[u8]) -> Option<String> {
    String::from_utf8(bytes_at(answer, 0)?.to_vec()).ok()
}

fn length(word: Word) -> Option<usize> {
    usize::try_from(word.to_u64()?).ok()
}

/// One of several calls.
pub(crate) struct Part<'a> {
    pub(crate) to: Address,
    pub(crate) may_fail: bool,
    pub(crate) input: &'a [u8],
}

const AGGREGATE: &str = "aggregate3((address,bool,bytes)[])";

/// Several calls in one, of Multicall3.
pub(crate) fn aggregate(parts: &[Part<'_>]) -> Vec<u8> {
    let number = |length: usize| Word::from(u64::try_from(length).unwrap_or(u64::MAX));
    let mut call = selector(AGGREGATE).to_vec();
    call.extend(number(32).as_bytes());
    call.extend(number(parts.len()).as_bytes());
    let (mut places, mut rows) = (Vec::new(), Vec::new());
    for part in parts {
        places.push(number(parts.len().saturating_mul(32).saturating_add(rows.len())));
        rows.extend(Word::from(part.to).as_bytes());
        rows.extend(Word::from(u64::from(part.may_fail)).as_bytes());
        rows.extend(number(96).as_bytes());
        rows.extend(number(part.input.len()).as_bytes());
        rows.extend(part.input);
        rows.resize(rows.len().next_multiple_of(32), 0);
    }
    for place in places {
        call.extend(place.as_bytes());
    }
    call.extend(rows);
    call
}

/// The last of several calls in one: whom it calls, and with what.
pub(crate) fn last_of_aggregate(call: &[u8]) -> Option<(Address, &[u8])> {
    let row = call.strip_prefix(&selector(AGGREGATE))?;
    let list = row.get(length(word(row, 0)?)?..)?;
    let count = length(word(list, 0)?)?;
    let places = list.get(32..)?;
    let part = places.get(length(word(places, count.checked_sub(1)?)?)?..)?;
    Some((word(part, 0)?.to_address()?, bytes_at(part, 2)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn selectors_are_known() {
        assert_eq!(hex::encode(selector("transfer(address,uint256)")), "a9059cbb");
        assert_eq!(hex::encode(selector(AGGREGATE)), "82ad56cb");
        let transfer = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
        assert_eq!(hex::encode(topic("Transfer(address,address,uint256)").as_bytes()), transfer);
    }

    #[test]
    fn answers_of_other_lengths_are_no_answers() {
        assert_eq!(only_bool(&[]), None);
        assert_eq!(only_bool(Word::from(1).as_bytes()), Some(true));
        assert_eq!(only_bool(Word::from(2).as_bytes()), None);
        assert_eq!(only_word(&[0; 64]), None);
        assert_eq!(only_text(&[0xff; 96]), None);
    }

    #[test]
    fn texts_are_read() {
        let mut answer = Word::from(32).as_bytes().to_vec();
        answer.extend(Word::from(4).as_bytes());
        answer.extend(b"USDC");
        answer.resize(96, 0);
        assert_eq!(only_text(&answer).as_deref(), Some("USDC"));
    }

    proptest! {
        #[test]
        fn the_last_part_comes_back(first: Vec<u8>, last: Vec<u8>, to: [u8; 20]) {
            let to = Address::from_bytes(to);
            let part = |input| Part { to, may_fail: true, input };
            let call = aggregate(&[part(&first), part(&last)]);
            prop_assert_eq!(last_of_aggregate(&call), Some((to, &last[..])));
            prop_assert_eq!(call.len() % 32, 4);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, place: usize) {
            let _ = (word(&bytes, place), bytes_at(&bytes, place), only_text(&bytes), last_of_aggregate(&bytes));
            let _ = last_of_aggregate(&[&selector(AGGREGATE)[..], &bytes].concat());
        }
    }
}
