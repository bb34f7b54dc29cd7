//! Whole requests to the issuer, whose books must stay sound; what must hold is said at `farthing_fuzz::issuer_api`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::issuer_api(bytes));
