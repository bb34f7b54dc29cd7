//! What feeds of rates say; what must hold is said at `farthing_fuzz::rate_feeds`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::rate_feeds(bytes));
