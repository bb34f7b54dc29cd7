//! Challenges of MPP in a 402; what must hold is said at `farthing_fuzz::mpp_challenges`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::mpp_challenges(bytes));
