//! The wallet's account on chains of the EVM: the same words give the same account in other wallets (BIP-44).

use farthing_channel::SigningKey;

use crate::error::WalletError;
use crate::words::Seed;

/// The key at `m/44'/60'/0'/0/0`.
pub(crate) fn key(seed: &Seed) -> Result<SigningKey, WalletError> {
    let secret = farthing_ecash::restore::account_key(seed.bytes(), 0)?;
    SigningKey::from_bytes(*secret.expose_bytes()).map_err(|_| WalletError::Misuse("a key of the curve"))
}

/// The key that signs vouchers of channels. It can give away what is in the channels and nothing else: what fills them is
/// signed by the account's key.
pub(crate) fn session_key(seed: &Seed) -> Result<SigningKey, WalletError> {
    let secret = farthing_ecash::restore::voucher_key(seed.bytes())?;
    SigningKey::from_bytes(*secret.expose_bytes()).map_err(|_| WalletError::Misuse("a key of the curve"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_wallets_find_the_same_account() {
        // Twelve words that everybody knows; the address is the one that other programs show for them.
        let words = "test test test test test test test test test test test junk";
        let key = key(&Seed::from_words(words).unwrap()).unwrap();
        assert_eq!(key.address().to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    }
}
