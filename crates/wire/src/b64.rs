//! Base64 as the dialects use it: URL-safe without padding when we write, either alphabet when we read what other
//! programs wrote, and exact where a signature covers the text.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
pub(crate) use farthing_jws::b64::{decode_exact, encode};

/// The standard alphabet with padding (RFC 9530 wants it).
pub(crate) fn encode_standard(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// URL-safe, without padding: as many bytes as are expected, and only the one text that [`encode`] would write.
pub(crate) fn decode_array<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    // The decoder wants room for whole groups of three bytes.
    let mut bytes = [0; 36];
    let read = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    bytes.get(..read)?.try_into().ok()
}

/// Either alphabet, with or without padding.
pub(crate) fn decode_any(text: &str) -> Option<Vec<u8>> {
    let unpadded = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    let url_safe: String = unpadded
        .chars()
        .map(|c| match c {
            '+' => '-',
            '/' => '_',
            other => other,
        })
        .collect();
    URL_SAFE_NO_PAD.decode(url_safe).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn exact_means_exact() {
        assert_eq!(decode_exact("_-8"), Some(vec![0xff, 0xef]));
        for other in ["/+8", "_-8=", "_-9", "_-8 ", "_-"] {
            assert_eq!(decode_exact(other).filter(|bytes| bytes == &[0xff, 0xef]), None, "{other}");
        }
        assert_eq!(decode_any("/+8="), Some(vec![0xff, 0xef]));
    }

    proptest! {
        #[test]
        fn encode_and_decode_are_inverse(bytes: Vec<u8>) {
            prop_assert_eq!(decode_exact(&encode(&bytes)), Some(bytes.clone()));
            prop_assert_eq!(decode_any(&encode(&bytes)), Some(bytes.clone()));
            prop_assert_eq!(decode_any(&encode_standard(&bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_no_panic(text: String) {
            let _ = (decode_any(&text), decode_exact(&text));
        }
    }
}
