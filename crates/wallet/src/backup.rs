//! A backup as a text file that people can read: the words, the mints, how far the counters are.
//!
//! The words alone bring every credit back that the mints still know; the rest only makes that quicker. Credits that
//! were given away as tokens and passes are not in it.

use std::fmt::Write;

use farthing_ecash::KeysetId;
use zeroize::Zeroizing;

use crate::address::mint_address;
use crate::error::WalletError;
use crate::wallet::Wallet;
use crate::words::Seed;

const TITLE: &str = "farthing wallet backup 1";

/// What a backup holds.
#[derive(Clone, Debug)]
pub struct Backup {
    /// The seed.
    pub seed: Seed,
    /// The mints' addresses.
    pub mints: Vec<String>,
    /// The next free counter of each keyset.
    pub counters: Vec<(KeysetId, u32)>,
    /// The next free key for a quote.
    pub quote_keys: u32,
}

impl Backup {
    /// The backup of a wallet.
    pub fn of(wallet: &Wallet) -> Self {
        Self {
            seed: wallet.seed.clone(),
            mints: wallet.state.mints.keys().cloned().collect(),
            counters: wallet.state.counters.iter().map(|(keyset, next)| (*keyset, *next)).collect(),
            quote_keys: wallet.state.numbers.quote_key,
        }
    }

    /// The text. Whoever has it has the money.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(format!("{TITLE}\nwords: {}\n", *self.seed.words()));
        for mint in &self.mints {
            let _ = writeln!(text, "mint: {mint}");
        }
        for (keyset, next) in &self.counters {
            let _ = writeln!(text, "counter: {keyset} {next}");
        }
        let _ = writeln!(text, "quote-keys: {}", self.quote_keys);
        text
    }

    /// Reads a text. Lines that are empty or begin with `#` are passed over.
    pub fn from_text(text: &str) -> Result<Self, WalletError> {
        let mut lines = text.lines().zip(1_usize..).filter(|(line, _)| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#')
        });
        let bad = |line, expected| WalletError::Backup { line, expected };
        if lines.next().is_none_or(|(line, _)| line.trim() != TITLE) {
            return Err(bad(1, "\"farthing wallet backup 1\" as the first line"));
        }
        let (mut seed, mut mints, mut counters, mut quote_keys) = (None, Vec::new(), Vec::new(), 0);
        for (line, number) in lines {
            let (name, value) =
                line.split_once(':').ok_or_else(|| bad(number, "a name, a colon and a value"))?;
            let value = value.trim();
            match name.trim() {
                "words" => seed = Some(Seed::from_words(value)?),
                "mint" => mints.push(mint_address(value)?),
                "counter" => {
                    let parts = value.split_once(' ');
                    let parts =
                        parts.and_then(|(id, next)| Some((id.parse().ok()?, next.trim().parse().ok()?)));
                    counters.push(parts.ok_or_else(|| bad(number, "a keyset id and a counter"))?);
                }
                "quote-keys" => quote_keys = value.parse().map_err(|_| bad(number, "a number"))?,
                _ => return Err(bad(number, "words, mint, counter or quote-keys")),
            }
        }
        let seed = seed.ok_or_else(|| bad(2, "the line of the words"))?;
        Ok(Self { seed, mints, counters, quote_keys })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn text_and_backup_are_inverse(entropy: [u8; 16], hosts in prop::collection::vec("[a-z]{1,8}", 0..3), ids in prop::collection::vec((any::<[u8; 32]>(), any::<u32>()), 0..3), quote_keys: u32) {
            let backup = Backup {
                seed: Seed::from_entropy(entropy).unwrap(),
                mints: hosts.iter().map(|host| format!("https://{host}.example/mint")).collect(),
                counters: ids.iter().map(|(id, next)| (KeysetId::from_slice(&[&[1][..], id].concat()).unwrap(), *next)).collect(),
                quote_keys,
            };
            let again = Backup::from_text(&backup.to_text()).unwrap();
            prop_assert_eq!(&*again.seed.words(), &*backup.seed.words());
            prop_assert_eq!(again.mints, backup.mints);
            prop_assert_eq!(again.counters, backup.counters);
            prop_assert_eq!(again.quote_keys, backup.quote_keys);
        }

        #[test]
        fn any_text_is_no_panic(text: String) {
            let _ = Backup::from_text(&text);
            let _ = Backup::from_text(&format!("{TITLE}\n{text}"));
        }
    }

    #[test]
    fn mistakes_have_a_line() {
        let bad = |text: &str| Backup::from_text(text).unwrap_err().to_string();
        assert!(bad("hello").contains("line 1"));
        assert!(bad(&format!("{TITLE}\n# note\n\ncounter: x")).contains("line 4"));
        assert!(bad(TITLE).contains("the line of the words"));
    }
}
