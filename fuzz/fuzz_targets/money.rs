//! Amounts, rates and times as people write them; what must hold is said at `farthing_fuzz::money`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::money(bytes));
