//! Bytes as chains write them: `0x` and hexadecimal digits. Ids of our own have no `0x`; these do, so they are parsed here.

use thiserror::Error;

/// Why a text is not bytes as chains write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HexError {
    /// No `0x` at its beginning.
    #[error("expected 0x and hexadecimal digits, got a text without 0x; put 0x before the digits")]
    Prefix,
    /// Too many or too few digits.
    #[error("expected 0x and {expected} hexadecimal digits, got {got}; send the bytes whole")]
    Length {
        /// How many digits such a value has.
        expected: usize,
        /// How many came.
        got: usize,
    },
    /// More bytes than anybody needs.
    #[error("expected at most {most} bytes, got {got}; such a value is never that long")]
    TooLong {
        /// The most that are taken.
        most: usize,
        /// How many came.
        got: usize,
    },
    /// Something that is no digit, or half a byte.
    #[error("expected pairs of hexadecimal digits after 0x, got something else")]
    Digits,
}

impl HexError {
    /// The stable code of this refusal.
    pub fn code(self) -> &'static str {
        match self {
            Self::Prefix => "hex-prefix",
            Self::Length { .. } => "hex-length",
            Self::TooLong { .. } => "hex-too-long",
            Self::Digits => "hex-digits",
        }
    }
}

/// The bytes of a text of any length up to `most` bytes; `0x` alone is none.
pub fn bytes_from_hex(text: &str, most: usize) -> Result<Vec<u8>, HexError> {
    let digits = text.strip_prefix("0x").ok_or(HexError::Prefix)?;
    let got = digits.len().div_ceil(2);
    if got > most {
        return Err(HexError::TooLong { most, got });
    }
    hex::decode(digits).map_err(|_| HexError::Digits)
}

/// Bytes as text: `0x` and two lower-case digits each.
pub fn bytes_to_hex(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// Exactly `N` bytes.
pub(crate) fn exactly<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let digits = text.strip_prefix("0x").ok_or(HexError::Prefix)?;
    let expected = N.saturating_mul(2);
    if digits.len() != expected {
        return Err(HexError::Length { expected, got: digits.len() });
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| HexError::Digits)?;
    Ok(bytes)
}

/// Makes a newtype of 32 bytes whose text and JSON form is `0x` and 64 digits: `chain_hash!(/// Doc. TxHash);`
macro_rules! chain_hash {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// From its bytes.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(&$crate::hex_text::bytes_to_hex(&self.0))
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::HexError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::hex_text::exactly(text).map(Self)
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::hex_text::serialize(&self.0, self, serializer)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::hex_text::deserialize(deserializer, Self)
            }
        }
    };
}
pub(crate) use chain_hash;

/// Text where people read, bytes where programs do.
pub(crate) fn serialize<S: serde::Serializer>(
    bytes: &[u8],
    text: &impl std::fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.collect_str(text)
    } else {
        serializer.serialize_bytes(bytes)
    }
}

/// The inverse of [`serialize`].
pub(crate) fn deserialize<'de, D, T, E, const N: usize>(
    deserializer: D,
    make: impl Fn([u8; N]) -> T,
) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: std::str::FromStr<Err = E>,
    E: std::fmt::Display,
{
    use serde::Deserialize;
    use serde::de::Error;
    if deserializer.is_human_readable() {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    } else {
        let bytes = <&'de [u8]>::deserialize(deserializer)?;
        bytes.try_into().map(make).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_refusal_appears() {
        for (text, refusal) in [
            ("", HexError::Prefix),
            ("00", HexError::Prefix),
            ("0X00", HexError::Prefix),
            ("0x0", HexError::Digits),
            ("0x0g", HexError::Digits),
            ("0x000000", HexError::TooLong { most: 2, got: 3 }),
        ] {
            assert_eq!(bytes_from_hex(text, 2), Err(refusal), "{text:?}");
        }
        assert_eq!(exactly::<2>("0x000"), Err(HexError::Length { expected: 4, got: 3 }));
        assert_eq!(exactly::<2>("0xz000"), Err(HexError::Digits));
        assert_eq!(bytes_from_hex("0x", 0), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn parse_and_format_are_inverse(bytes: Vec<u8>) {
            prop_assert_eq!(bytes_from_hex(&bytes_to_hex(&bytes), bytes.len()), Ok(bytes));
        }

        #[test]
        fn any_text_is_taken_or_refused(text: String) {
            let _ = bytes_from_hex(&text, 64);
            let _ = exactly::<4>(&text);
        }
    }
}
