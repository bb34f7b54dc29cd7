//! Payments of x402 and the bodies of facilitators; what must hold is said at `farthing_fuzz::x402_payments`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| farthing_fuzz::x402_payments(bytes));
