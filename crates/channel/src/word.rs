//! Words of 256 bits, which contracts count and hash in. They only carry numbers here; what counts money is an `Amount`.

use std::fmt;
use std::str::FromStr;

use farthing_money::{Amount, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::address::Address;
use crate::chain_id::ChainId;
use crate::digest::{AuthorizationNonce, Digest};
use crate::hex_text;

/// A `uint256`, as the 32 bytes that a contract sees. Text form: decimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word([u8; 32]);

/// Why a text is not a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WordError {
    /// Neither decimal digits nor `0x` and hexadecimal ones.
    #[error("expected a whole number in decimal digits, or in hexadecimal after 0x, got something else")]
    NotDigits,
    /// More than 2^256 - 1.
    #[error("the number is larger than 2^256 - 1, the largest that a contract can hold")]
    TooLarge,
}

impl WordError {
    /// The stable code of this refusal.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotDigits => "word-digits",
            Self::TooLarge => "word-too-large",
        }
    }
}

impl Word {
    /// Nothing.
    pub const ZERO: Self = Self([0; 32]);
    /// The largest, 2^256 - 1: "for ever" as a deadline, "everything" as an allowance.
    pub const MAX: Self = Self([0xff; 32]);

    /// From its bytes, most significant first.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, most significant first.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// So many seconds since 1970, as contracts count time.
    pub fn from_seconds(time: Timestamp) -> Self {
        Self::from(time.secs())
    }

    /// As an amount of money, if it fits in 128 bits.
    pub fn to_amount(self) -> Option<Amount> {
        let (high, low) = self.halves();
        (high == 0).then_some(Amount::new(low))
    }

    /// As a number of 64 bits, if it fits.
    pub fn to_u64(self) -> Option<u64> {
        self.to_amount()?.to_u64()
    }

    /// As an address, if nothing stands before its 20 bytes.
    pub fn to_address(self) -> Option<Address> {
        let (zeros, address) = self.0.split_last_chunk::<20>()?;
        zeros.iter().all(|byte| *byte == 0).then_some(Address::from_bytes(*address))
    }

    fn halves(self) -> (u128, u128) {
        let (mut high, mut low) = ([0; 16], [0; 16]);
        for ((high, low), (byte_1, byte_2)) in
            high.iter_mut().zip(low.iter_mut()).zip(self.0.iter().zip(self.0.iter().skip(16)))
        {
            (*high, *low) = (*byte_1, *byte_2);
        }
        (u128::from_be_bytes(high), u128::from_be_bytes(low))
    }

    /// With `bytes` at its less significant end and zeros before them.
    pub(crate) fn padded(bytes: &[u8]) -> Self {
        let mut word = [0; 32];
        for (place, byte) in word.iter_mut().rev().zip(bytes.iter().rev()) {
            *place = *byte;
        }
        Self(word)
    }

    /// Ten times itself and a digit; `None` if that does not fit.
    fn with_digit(mut self, digit: u8) -> Option<Self> {
        let mut carry = digit;
        for byte in self.0.iter_mut().rev() {
            let product = u16::from(*byte).wrapping_mul(10).wrapping_add(u16::from(carry));
            [carry, *byte] = product.to_be_bytes();
        }
        (carry == 0).then_some(self)
    }

    /// A tenth of itself and the digit that remains.
    fn without_digit(mut self) -> (Self, u8) {
        let mut rest = 0;
        for byte in &mut self.0 {
            let number = u16::from_be_bytes([rest, *byte]);
            [_, *byte] = (number / 10).to_be_bytes();
            [_, rest] = (number % 10).to_be_bytes();
        }
        (self, rest)
    }

    fn from_hex_digits(digits: &str) -> Result<Self, WordError> {
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(WordError::NotDigits);
        }
        let digits = digits.trim_start_matches('0');
        if digits.len() > 64 {
            return Err(WordError::TooLarge);
        }
        hex_text::exactly(&format!("0x{digits:0>64}")).map(Self).map_err(|_| WordError::NotDigits)
    }
}

impl From<u64> for Word {
    fn from(number: u64) -> Self {
        Self::padded(&number.to_be_bytes())
    }
}

impl From<Amount> for Word {
    fn from(amount: Amount) -> Self {
        Self::padded(&amount.value().to_be_bytes())
    }
}

impl From<Address> for Word {
    fn from(address: Address) -> Self {
        Self::padded(address.as_bytes())
    }
}

impl From<ChainId> for Word {
    fn from(chain: ChainId) -> Self {
        Self::from(chain.number())
    }
}

impl From<Digest> for Word {
    fn from(digest: Digest) -> Self {
        Self(*digest.as_bytes())
    }
}

impl From<AuthorizationNonce> for Word {
    fn from(nonce: AuthorizationNonce) -> Self {
        Self(*nonce.as_bytes())
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(amount) = self.to_amount() {
            return f.pad_integral(true, "", &amount.to_string());
        }
        let mut digits = Vec::new();
        let mut rest = *self;
        while rest != Self::ZERO {
            let (tenth, digit) = rest.without_digit();
            digits.push(digit);
            rest = tenth;
        }
        let text: String =
            digits.iter().rev().filter_map(|digit| char::from_digit((*digit).into(), 10)).collect();
        f.pad_integral(true, "", &text)
    }
}

impl fmt::LowerHex for Word {
    /// Without leading zeros; with `#`, as JSON-RPC writes quantities.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = hex::encode(self.0);
        let digits = text.trim_start_matches('0');
        f.pad_integral(true, "0x", if digits.is_empty() { "0" } else { digits })
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Word({self})")
    }
}

impl FromStr for Word {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(digits) = text.strip_prefix("0x") {
            return Self::from_hex_digits(digits);
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(WordError::NotDigits);
        }
        if let Ok(amount) = text.parse::<Amount>() {
            return Ok(Self::from(amount));
        }
        let digits = text.bytes().map(|byte| byte.wrapping_sub(b'0')).skip_while(|digit| *digit == 0);
        let mut word = Self::ZERO;
        for digit in digits {
            word = word.with_digit(digit).ok_or(WordError::TooLarge)?;
        }
        Ok(word)
    }
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hex_text::serialize(&self.0, self, serializer)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        hex_text::deserialize(deserializer, Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639935";

    #[test]
    fn the_largest_has_78_digits_and_no_more() {
        assert_eq!(Word::MAX.to_string(), MAX);
        assert_eq!(MAX.parse(), Ok(Word::MAX));
        assert_eq!(format!("000{MAX}").parse(), Ok(Word::MAX));
        let above = MAX.replace("935", "936");
        assert_eq!(above.parse::<Word>(), Err(WordError::TooLarge));
        assert_eq!(format!("{MAX}0").parse::<Word>(), Err(WordError::TooLarge));
        assert_eq!(format!("0x1{}", "0".repeat(64)).parse::<Word>(), Err(WordError::TooLarge));
        assert_eq!(Word::MAX.to_amount(), None);
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in ["", "-1", "+1", "1.0", " 1", "0x", "0X1", "0xg", "1e3", "١"] {
            assert_eq!(bad.parse::<Word>(), Err(WordError::NotDigits), "{bad:?}");
        }
    }

    #[test]
    fn quantities_have_no_leading_zeros() {
        for (number, text) in [(0, "0x0"), (1, "0x1"), (84_532, "0x14a34")] {
            assert_eq!(format!("{:#x}", Word::from(number)), text);
            assert_eq!(text.parse(), Ok(Word::from(number)));
        }
    }

    #[test]
    fn addresses_stand_at_the_end() {
        let word = Word::from(Address::from_bytes([0xaa; 20]));
        assert_eq!(word.as_bytes()[..12], [0; 12]);
        assert_eq!(word.as_bytes()[12..], [0xaa; 20]);
        assert_eq!(word.to_address(), Some(Address::from_bytes([0xaa; 20])));
        assert_eq!(Word::MAX.to_address(), None);
    }

    proptest! {
        #[test]
        fn parse_and_format_are_inverse(bytes: [u8; 32]) {
            let word = Word::from_bytes(bytes);
            prop_assert_eq!(word.to_string().parse(), Ok(word));
            prop_assert_eq!(format!("{word:#x}").parse(), Ok(word));
            let json = serde_json::to_string(&word).unwrap();
            prop_assert_eq!(serde_json::from_str::<Word>(&json).unwrap(), word);
        }

        #[test]
        fn amounts_come_back(number: u128, small: u64) {
            prop_assert_eq!(Word::from(Amount::new(number)).to_amount(), Some(Amount::new(number)));
            prop_assert_eq!(Word::from(small).to_u64(), Some(small));
            prop_assert_eq!(Word::from(small).to_string(), small.to_string());
        }

        #[test]
        fn words_are_ordered_as_numbers(a: u128, b: u128) {
            prop_assert_eq!(Word::from(Amount::new(a)).cmp(&Word::from(Amount::new(b))), a.cmp(&b));
        }

        #[test]
        fn any_text_is_taken_or_refused(text: String) {
            let _ = text.parse::<Word>();
        }
    }
}
