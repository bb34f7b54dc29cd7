//! Nostr names (NIP-19): `creqB` carries a bare public key and relays where `creqA` has `npub` or `nprofile` text.

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};

const PUBLIC_KEY: u8 = 0;
const RELAY: u8 = 1;

/// The public key and relays of an `npub` or `nprofile`.
pub(super) fn read(name: &str) -> Option<([u8; 32], Vec<String>)> {
    let checked = CheckedHrpstring::new::<Bech32>(name).ok()?;
    let bytes: Vec<u8> = checked.byte_iter().collect();
    match checked.hrp().to_lowercase().as_str() {
        "npub" => Some((bytes.try_into().ok()?, Vec::new())),
        "nprofile" => read_profile(&bytes),
        _ => None,
    }
}

fn read_profile(mut bytes: &[u8]) -> Option<([u8; 32], Vec<String>)> {
    let (mut key, mut relays) = (None, Vec::new());
    while let Some(([kind, length], rest)) = bytes.split_first_chunk::<2>() {
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        match *kind {
            PUBLIC_KEY => key = Some(value.try_into().ok()?),
            RELAY => relays.push(std::str::from_utf8(value).ok()?.to_owned()),
            _ => {}
        }
        bytes = rest;
    }
    Some((key?, relays))
}

/// `npub` without relays, `nprofile` with; `None` if a relay is longer than 255 bytes or all are too long together.
pub(super) fn write(key: &[u8; 32], relays: &[String]) -> Option<String> {
    if relays.is_empty() {
        return bech32::encode::<Bech32>(Hrp::parse("npub").ok()?, key).ok();
    }
    let mut bytes = vec![PUBLIC_KEY, 32];
    bytes.extend_from_slice(key);
    for relay in relays {
        bytes.push(RELAY);
        bytes.push(u8::try_from(relay.len()).ok()?);
        bytes.extend_from_slice(relay.as_bytes());
    }
    bech32::encode::<Bech32>(Hrp::parse("nprofile").ok()?, &bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn write_and_read_are_inverse(key: [u8; 32], relays in prop::collection::vec("wss://[a-z.]{0,40}", 0..4)) {
            let name = write(&key, &relays).unwrap();
            prop_assert_eq!(name.starts_with("npub1"), relays.is_empty());
            prop_assert_eq!(read(&name), Some((key, relays)));
        }

        #[test]
        fn any_text_is_no_panic(text: String, bytes: Vec<u8>) {
            let _ = (read(&text), read_profile(&bytes));
        }
    }
}
