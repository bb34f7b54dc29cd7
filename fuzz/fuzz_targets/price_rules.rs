//! Paths and hosts in any spelling against price rules; what must hold is said at `farthing_fuzz::price_rules`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::price_rules(bytes));
