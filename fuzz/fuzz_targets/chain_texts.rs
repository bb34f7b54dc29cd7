//! Addresses, numbers and signatures of chains; what must hold is said at `farthing_fuzz::chain_texts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::chain_texts(bytes));
