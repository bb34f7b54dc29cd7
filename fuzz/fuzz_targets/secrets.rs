//! Secrets with locks, and the witnesses that open them; what must hold is said at `farthing_fuzz::secrets`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::secrets(bytes));
