//! See `farthing_fuzz::money`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::money(bytes));
