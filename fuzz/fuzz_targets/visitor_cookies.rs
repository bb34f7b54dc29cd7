//! The visitor's cookie; what must hold is said at `farthing_fuzz::visitor_cookies`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::visitor_cookies(bytes));
