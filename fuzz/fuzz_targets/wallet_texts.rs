//! See `farthing_fuzz::wallet_texts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::wallet_texts(bytes));
