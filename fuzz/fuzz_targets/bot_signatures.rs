//! Signatures of crawlers and directories of their keys; what must hold is said at `farthing_fuzz::bot_signatures`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::bot_signatures(bytes));
