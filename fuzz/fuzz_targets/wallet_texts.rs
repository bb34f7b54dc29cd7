//! Backups, words and what a wallet is given to read; what must hold is said at `farthing_fuzz::wallet_texts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::wallet_texts(bytes));
