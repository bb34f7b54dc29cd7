//! See `farthing_fuzz::payment_requests`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::payment_requests(bytes));
