//! Credentials of MPP, with what is in them; what must hold is said at `farthing_fuzz::mpp_credentials`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::mpp_credentials(bytes));
