//! Offers and outcomes of x402; what must hold is said at `farthing_fuzz::x402_offers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::x402_offers(bytes));
