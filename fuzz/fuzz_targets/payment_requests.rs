//! Payment requests, creqA and creqB; what must hold is said at `farthing_fuzz::payment_requests`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::payment_requests(bytes));
