//! What mints and merchants answer to a wallet; what must hold is said at `farthing_fuzz::wallet_answers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::wallet_answers(bytes));
