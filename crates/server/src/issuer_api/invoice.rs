//! Lightning invoices (BOLT 11) that pay themselves, for tests of wallets that know no other method. Nobody can pay
//! them: their key is thrown away and no node knows their hash.

use bech32::primitives::decode::CheckedHrpstring;
use bech32::primitives::iter::{ByteIterExt, Fe32IterExt};
use bech32::{Bech32, Fe32, Hrp};
use farthing_money::Timestamp;
use secp256k1::ecdsa::RecoverableSignature;
use secp256k1::{Message, SecretKey};
use sha2::{Digest, Sha256};

use super::IssuerError;

/// An invoice over `amount` units (the number is written as satoshis), signed with a key made from `salt`.
pub(super) fn write(
    amount: u64,
    now: Timestamp,
    salt: &[u8],
    description: &str,
) -> Result<String, IssuerError> {
    let failed = |_| IssuerError::internal("an invoice cannot be made");
    // A tenth of a satoshi is 1n bitcoin: 10 n are a satoshi.
    let hrp = format!("lnbcrt{}n", u128::from(amount) * 10);
    let mut words = number(now.secs(), 7);
    let hash: [u8; 32] = Sha256::digest(salt).into();
    let secret: [u8; 32] = Sha256::digest(hash).into();
    field(&mut words, 1, &hash);
    field(&mut words, 16, &secret);
    field(&mut words, 13, description.chars().take(100).collect::<String>().as_bytes());
    let features = [Fe32::S, Fe32::Q, Fe32::Q]; // payment secret required, variable onion: bits 14 and 8
    words.extend([Fe32::_9, Fe32::Q, Fe32::R]);
    words.extend(features);
    let bytes: Vec<u8> = padded_bytes(&words);
    let digest: [u8; 32] = Sha256::new().chain_update(hrp.as_bytes()).chain_update(bytes).finalize().into();
    let key: [u8; 32] = Sha256::digest([salt, b"key"].concat()).into();
    let key = SecretKey::from_secret_bytes(key)
        .map_err(|_| IssuerError::internal("an invoice cannot be signed"))?;
    let signature = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest), &key);
    let (recovery, compact) = signature.serialize_compact();
    words.extend(compact.into_iter().chain([recovery.to_u8()]).bytes_to_fes());
    let hrp = Hrp::parse(&hrp).map_err(failed)?;
    Ok(words.into_iter().with_checksum::<Bech32>(&hrp).chars().collect())
}

/// The amount of an invoice in whole satoshis.
pub(super) fn amount(text: &str) -> Result<u64, IssuerError> {
    let wrong = |why: &str| {
        IssuerError::malformed(format!("request: expected a BOLT 11 invoice with an amount; {why}"))
    };
    if text.len() > 1023 {
        return Err(wrong("it is longer than the 1023 characters that its checksum covers"));
    }
    let checked = bech32::primitives::decode::UncheckedHrpstring::new(text)
        .map_err(|error| wrong(&error.to_string()))?;
    let hrp = checked.hrp().to_lowercase();
    let _: CheckedHrpstring<'_> =
        checked.validate_and_remove_checksum::<Bech32>().map_err(|error| wrong(&error.to_string()))?;
    let rest = ["lnbcrt", "lntbs", "lntb", "lnbc"].iter().find_map(|prefix| hrp.strip_prefix(prefix));
    let rest = rest.ok_or_else(|| wrong("it does not begin with lnbc"))?;
    let split = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, unit) = rest.split_at(split);
    let count: u128 = digits.parse().map_err(|_| wrong("it names no amount"))?;
    // Satoshis are 10^-8 bitcoin; a pico-bitcoin is 10^-12.
    let pico = match unit {
        "" => count.checked_mul(1_000_000_000_000),
        "m" => count.checked_mul(1_000_000_000),
        "u" => count.checked_mul(1_000_000),
        "n" => count.checked_mul(1_000),
        "p" => Some(count),
        _ => None,
    };
    let pico = pico.ok_or_else(|| wrong("its amount cannot be read"))?;
    u64::try_from(pico.div_ceil(10_000)).map_err(|_| wrong("its amount is too large"))
}

/// A number in so many groups of five bits.
fn number(value: u64, groups: u32) -> Vec<Fe32> {
    let group = |n: u32| u8::try_from(value >> (5 * n) & 31).ok().and_then(|five| Fe32::try_from(five).ok());
    (0..groups).rev().filter_map(group).collect()
}

/// A tagged field: its kind, its length in groups, its bytes.
fn field(words: &mut Vec<Fe32>, kind: u8, bytes: &[u8]) {
    let data: Vec<Fe32> = bytes.iter().copied().bytes_to_fes().collect();
    words.extend(Fe32::try_from(kind).ok());
    words.extend(number(u64::try_from(data.len()).unwrap_or(0), 2));
    words.extend(data);
}

/// Groups as bytes, the last one filled with zero bits: what BOLT 11 signs.
fn padded_bytes(words: &[Fe32]) -> Vec<u8> {
    let bits: Vec<bool> =
        words.iter().flat_map(|word| (0..5).rev().map(|bit| word.to_u8() >> bit & 1 == 1)).collect();
    bits.chunks(8)
        .map(|chunk| chunk.iter().enumerate().fold(0, |byte, (n, bit)| byte | u8::from(*bit) << (7 - n)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invoices_name_their_amount() {
        for sats in [1, 21, 10_000, 123_456_789] {
            let text = write(sats, Timestamp::from_secs(1_795_341_457), b"salt", "ten cents").unwrap();
            assert!(text.starts_with("lnbcrt"), "{text}");
            assert_eq!(amount(&text).unwrap(), sats);
        }
    }

    /// The example of BOLT 11 itself: 2500 micro-bitcoin for a cup of coffee.
    #[test]
    fn invoices_of_others_are_read() {
        let coffee = "lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgpfna3rh";
        assert_eq!(amount(coffee).unwrap(), 250_000);
        for bad in ["", "lnbc1", "hello", &coffee.replace("2500u", "2501u"), &"x".repeat(5000)] {
            assert!(amount(bad).is_err(), "{bad}");
        }
    }
}
