//! Rows, journal frames and archives; what must hold is said at `farthing_fuzz::rows`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::rows(bytes));
