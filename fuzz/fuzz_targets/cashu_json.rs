//! The JSON that wallets send to the issuer; what must hold is said at `farthing_fuzz::cashu_json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::cashu_json(bytes));
