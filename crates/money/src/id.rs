//! Distinct byte newtypes, so that an id of one kind is never taken for another.

use thiserror::Error;

/// Why a text is not an id of some kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected {bytes} bytes in hexadecimal, got {got:?}")]
pub struct IdError {
    /// How many bytes such an id has.
    pub bytes: usize,
    /// The beginning of what came.
    pub got: String,
}

/// Makes a newtype of `[u8; N]` with hexadecimal text and JSON form: `byte_id!(/// Doc. PaymentId, 32);`
#[macro_export]
macro_rules! byte_id {
    ($(#[$meta:meta])* $name:ident, $bytes:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// From its bytes.
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&$crate::id_hex::encode(self.0))
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; $bytes];
                $crate::id_hex::decode_to_slice(text, &mut bytes).map(|()| Self(bytes)).map_err(|_| {
                    $crate::IdError { bytes: $bytes, got: text.chars().take(2 * $bytes + 8).collect() }
                })
            }
        }

        impl $crate::id_serde::Serialize for $name {
            fn serialize<S: $crate::id_serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(&self.0)
                }
            }
        }

        impl<'de> $crate::id_serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::id_serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                use $crate::id_serde::de::Error;
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
                } else {
                    let bytes = <&'de [u8]>::deserialize(deserializer)?;
                    bytes.try_into().map(Self).map_err(D::Error::custom)
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    byte_id!(
        /// Only for this test.
        ShortId,
        4
    );

    #[test]
    fn text_is_hexadecimal() {
        let id = ShortId::from_bytes([0, 1, 0xab, 0xff]);
        assert_eq!(id.as_bytes(), &[0, 1, 0xab, 0xff]);
        assert_eq!(id.to_string(), "0001abff");
        assert_eq!("0001ABFF".parse(), Ok(id), "case does not make another id");
        for bad in ["", "00", "0001abff00", "0001abfg", "0001abf"] {
            assert!(bad.parse::<ShortId>().is_err(), "{bad:?}");
        }
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"0001abff\"");
        assert_eq!(serde_json::from_str::<ShortId>("\"0001abff\"").unwrap(), id);
    }
}
