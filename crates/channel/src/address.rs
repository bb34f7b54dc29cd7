//! Addresses of accounts and contracts, with the checksum that people's typing mistakes are found by (EIP-55).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::digest::keccak256;
use crate::hex_text::{self, HexError};

/// An account or a contract on a chain: 20 bytes. Text form: `0x` and 40 digits whose case is a checksum.
///
/// Digits of one case are read as well, since many programs write them so; mixed case has to be right.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 20]);

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Not `0x` and 40 digits.
    #[error("not an address: {0}")]
    Form(#[from] HexError),
    /// The case of its letters says that something was mistyped.
    #[error(
        "the checksum of the address {got} is wrong: with these digits it is {expected}; compare it with its source, or write \
         all letters small if you are sure"
    )]
    Checksum {
        /// What came.
        got: String,
        /// The same digits with the right checksum.
        expected: String,
    },
}

impl AddressError {
    /// The stable code of this refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Form(_) => "address-form",
            Self::Checksum { .. } => "address-checksum",
        }
    }
}

impl Address {
    /// The address of nobody, which some contracts read as "none".
    pub const ZERO: Self = Self([0; 20]);

    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Whether it is the address of nobody.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

/// The digits with EIP-55's case: a letter is large if the same digit of the text's hash is 8 or more.
fn with_checksum(bytes: &[u8; 20]) -> String {
    let digits = hex::encode(bytes);
    let hash = hex::encode(keccak256(digits.as_bytes()).as_bytes());
    let cased = digits.chars().zip(hash.bytes()).map(|(digit, by)| match by {
        b'8'..=b'9' | b'a'..=b'f' => digit.to_ascii_uppercase(),
        _ => digit,
    });
    "0x".chars().chain(cased).collect()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&with_checksum(&self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = hex_text::exactly(text)?;
        let mut digits = text.bytes().skip(2);
        let small = digits.clone().any(|digit| digit.is_ascii_lowercase());
        let large = digits.any(|digit| digit.is_ascii_uppercase());
        if small && large {
            let expected = with_checksum(&bytes);
            if expected != text {
                return Err(AddressError::Checksum { got: text.to_owned(), expected });
            }
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hex_text::serialize(&self.0, self, serializer)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        hex_text::deserialize(deserializer, Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The examples of EIP-55.
    const EXAMPLES: [&str; 8] = [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ];

    #[test]
    fn examples_of_the_standard_keep_their_case() {
        for text in EXAMPLES {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            let digits = &text[2..];
            for one_case in [digits.to_ascii_lowercase(), digits.to_ascii_uppercase()] {
                assert_eq!(format!("0x{one_case}").parse(), Ok(address));
            }
            assert_eq!(serde_json::to_string(&address).unwrap(), format!("\"{text}\""));
        }
    }

    #[test]
    fn a_mistyped_letter_is_found() {
        let got = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD".to_owned();
        let expected = EXAMPLES[4].to_owned();
        assert_eq!(got.parse::<Address>(), Err(AddressError::Checksum { got, expected }));
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in [
            "",
            "0x",
            "52908400098527886E0F7030069857D2E4169EE7",
            "0X52908400098527886e0f7030069857d2e4169ee7",
        ] {
            assert!(matches!(bad.parse::<Address>(), Err(AddressError::Form(_))), "{bad:?}");
        }
        assert!(format!("{}0", EXAMPLES[0]).parse::<Address>().is_err());
        assert!(format!("{}é", &EXAMPLES[0][..40]).parse::<Address>().is_err());
    }

    proptest! {
        #[test]
        fn parse_and_format_are_inverse(bytes: [u8; 20]) {
            let address = Address::from_bytes(bytes);
            prop_assert_eq!(address.to_string().parse(), Ok(address));
            let json = serde_json::to_string(&address).unwrap();
            prop_assert_eq!(serde_json::from_str::<Address>(&json).unwrap(), address);
        }

        #[test]
        fn any_text_is_taken_or_refused(text in "(0x)?[0-9a-fA-Fé]{38,42}") {
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string().to_lowercase(), text.to_lowercase());
            }
        }
    }
}
