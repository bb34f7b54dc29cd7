//! Bytes as Ethereum's programs write them: `0x` and hexadecimal digits. Addresses, 32-byte values and signatures; what
//! they mean is not known here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// A signature of a wallet that is a contract carries calls in it; longer ones are not read.
const SIGNATURE_BYTES_MOST: usize = 8 * 1024;

/// Exactly so many bytes. Written in lower case, read in either.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HexText<const N: usize>(pub [u8; N]);

/// An address of an account or a contract. Its capitals are a check of spelling that is not made here.
pub type AddressText = HexText<20>;
/// A nonce, a salt or a hash.
pub type Bytes32Text = HexText<32>;

/// A signature: 65 bytes of a key's, or whatever a contract takes for one. Shown by no `Debug`: it pays.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SignatureText(Vec<u8>);

/// A text is not so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HexError {
    /// Not `0x` and exactly so many digits.
    #[error("expected 0x and {0} hexadecimal digits, got something else")]
    Digits(usize),
    /// Not a signature.
    #[error("expected 0x and an even number of hexadecimal digits, 2 to {most}, got something else", most = 2 * SIGNATURE_BYTES_MOST)]
    Signature,
}

impl<const N: usize> HexText<N> {
    /// No bit is set: as an address, nobody's.
    pub const ZERO: Self = Self([0; N]);
}

impl<const N: usize> fmt::Display for HexText<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl<const N: usize> fmt::Debug for HexText<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> FromStr for HexText<N> {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        let refused = HexError::Digits(N.saturating_mul(2));
        let mut bytes = [0; N];
        let digits = text.strip_prefix("0x").ok_or(refused)?;
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| refused)?;
        Ok(Self(bytes))
    }
}

impl<const N: usize> Serialize for HexText<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for HexText<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl SignatureText {
    /// Wraps a signature; `None` if it is empty or longer than is read.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (1..=SIGNATURE_BYTES_MOST).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text: `0x` and digits in lower case.
    pub fn to_text(&self) -> String {
        format!("0x{}", hex::encode(&self.0))
    }
}

impl fmt::Debug for SignatureText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignatureText({} bytes)", self.0.len())
    }
}

impl FromStr for SignatureText {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        let digits = text.strip_prefix("0x").ok_or(HexError::Signature)?;
        if digits.len() > SIGNATURE_BYTES_MOST.saturating_mul(2) {
            return Err(HexError::Signature);
        }
        let bytes = hex::decode(digits).map_err(|_| HexError::Signature)?;
        Self::new(bytes).ok_or(HexError::Signature)
    }
}

impl Serialize for SignatureText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for SignatureText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_have_forty_digits() {
        let mixed = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
        let address: AddressText = mixed.parse().unwrap();
        assert_eq!(address.to_string(), mixed.to_ascii_lowercase());
        let digits = &mixed[2..];
        for bad in [
            "",
            "0x",
            digits,
            &mixed[..41],
            &format!("{mixed}0"),
            &format!("0X{digits}"),
            &mixed.replace('C', "g"),
        ] {
            assert_eq!(bad.parse::<AddressText>(), Err(HexError::Digits(40)), "{bad}");
        }
    }

    #[test]
    fn signatures_are_bytes_of_any_length_and_not_shown() {
        let signature: SignatureText = "0xABcd".parse().unwrap();
        assert_eq!((signature.as_bytes(), signature.to_text().as_str()), (&[0xab, 0xcd][..], "0xabcd"));
        assert!(!format!("{signature:?}").contains("abcd"));
        for bad in
            ["", "0x", "abcd", "0xabc", "0xzz", &format!("0x{}", "0".repeat(2 * SIGNATURE_BYTES_MOST + 2))]
        {
            assert_eq!(bad.parse::<SignatureText>(), Err(HexError::Signature), "{}", bad.len());
        }
    }

    proptest! {
        #[test]
        fn parse_and_format_are_inverse(bytes: [u8; 32], other in prop::collection::vec(any::<u8>(), 1..100)) {
            let value = HexText(bytes);
            prop_assert_eq!(value.to_string().parse::<Bytes32Text>(), Ok(value));
            let signature = SignatureText::new(other).unwrap();
            prop_assert_eq!(signature.to_text().parse::<SignatureText>(), Ok(signature));
        }

        #[test]
        fn any_text_is_no_panic(text: String) {
            let _ = (text.parse::<AddressText>(), text.parse::<SignatureText>());
            let _ = format!("0x{text}").parse::<SignatureText>();
        }
    }
}
