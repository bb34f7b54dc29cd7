//! See `farthing_fuzz::secrets`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::secrets(bytes));
