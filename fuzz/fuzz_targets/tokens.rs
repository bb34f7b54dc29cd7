//! Tokens in every form; what must hold is said at `farthing_fuzz::tokens`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::tokens(bytes));
