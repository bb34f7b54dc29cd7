//! See `farthing_fuzz::price_rules`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::price_rules(bytes));
