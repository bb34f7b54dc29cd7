//! Header fields of any request; what must hold is said at `farthing_fuzz::headers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::headers(bytes));
