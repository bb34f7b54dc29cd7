//! See `farthing_fuzz::mpp_credentials`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::mpp_credentials(bytes));
