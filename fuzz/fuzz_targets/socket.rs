//! Messages on the WebSocket; what must hold is said at `farthing_fuzz::socket`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::socket(bytes));
