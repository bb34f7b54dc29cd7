//! The text of farthing.toml; what must hold is said at `farthing_fuzz::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::config(bytes));
