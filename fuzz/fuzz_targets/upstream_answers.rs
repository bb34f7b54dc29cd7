//! What the gate reads of an upstream's answer: playlists, teasers, what is counted; what must hold is said at
//! `farthing_fuzz::upstream_answers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::upstream_answers(bytes));
