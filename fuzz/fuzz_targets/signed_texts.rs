//! Receipts, passes, notes and statements; what must hold is said at `farthing_fuzz::signed_texts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::signed_texts(bytes));
