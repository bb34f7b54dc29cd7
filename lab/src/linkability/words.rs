//! Words that can be guessed: a generator of few, as broken ones have been. With them the attacker makes every wallet's blinding
//! again. It tries them always, and must get nowhere where words are drawn well.

use std::collections::BTreeMap;

use bip39::{Language, Mnemonic};
use farthing_ecash::{KeysetId, blind, hash_to_curve, restore};

use super::server::told;

/// So many secrets of each wallet are tried for each keyset; more than any wallet of the experiment uses.
const COUNTERS: u32 = 160;

/// What the words of a generator are made from that draws one of few numbers.
pub const fn entropy(number: usize) -> [u8; 16] {
    let [a, b, ..] = number.to_le_bytes();
    [a, b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// For each blinded output that a wallet with one of the first so many numbers would ask for, what will be seen when its credit is
/// spent.
pub fn openings(numbers: usize, keysets: &[KeysetId]) -> Result<BTreeMap<String, String>, String> {
    let mut openings = BTreeMap::new();
    for number in 0..numbers {
        let words = Mnemonic::from_entropy_in(Language::English, &entropy(number)).map_err(told)?;
        let seed = words.to_seed_normalized("");
        for keyset in keysets {
            for counter in 0..COUNTERS {
                let Ok((secret, r)) = restore::derive(&seed, *keyset, counter) else { continue };
                if let Some(blinded) = blind(secret.as_bytes(), &r) {
                    openings.insert(blinded.to_string(), hash_to_curve(secret.as_bytes()).to_string());
                }
            }
        }
    }
    Ok(openings)
}
