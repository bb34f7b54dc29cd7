//! Payment requests: `creqA` (base64url of CBOR) and `creqB` (bech32m of TLV).

use std::str::from_utf8;

use bech32::{Bech32m, Checksum, Hrp};
use farthing_wire::cashu::PaymentRequest;

use crate::base64;

/// Bech32m of any length.
enum Long {}

impl Checksum for Long {
    type MidstateRepr = <Bech32m as Checksum>::MidstateRepr;
    type CorrectionField = <Bech32m as Checksum>::CorrectionField;
    const ROOT_GENERATOR: Self::CorrectionField = Bech32m::ROOT_GENERATOR;
    const ROOT_EXPONENTS: std::ops::RangeInclusive<usize> = Bech32m::ROOT_EXPONENTS;
    const CODE_LENGTH: usize = usize::MAX;
    const CHECKSUM_LENGTH: usize = Bech32m::CHECKSUM_LENGTH;
    const GENERATOR_SH: [Self::MidstateRepr; 5] = Bech32m::GENERATOR_SH;
    const TARGET_RESIDUE: Self::MidstateRepr = Bech32m::TARGET_RESIDUE;
}

/// A request as text, a list of them, and what is inside of either encoding.
pub fn payment_requests(bytes: &[u8]) {
    if let Ok(text) = from_utf8(bytes) {
        request(PaymentRequest::decode(text).ok());
        for one in PaymentRequest::decode_list(text).unwrap_or_default() {
            request(Some(one));
        }
    }
    request(PaymentRequest::decode(&format!("creqA{}", base64(bytes))).ok());
    let wrapped = bech32::encode_lower::<Long>(Hrp::parse_unchecked("creqb"), bytes);
    request(PaymentRequest::decode(&wrapped.expect("bytes can be wrapped")).ok());
}

fn request(request: Option<PaymentRequest>) {
    let Some(request) = request else { return };
    if let Ok(text) = request.encode_a() {
        assert_eq!(PaymentRequest::decode(&text).as_ref(), Ok(&request));
    }
    if let Ok(text) = request.encode_b() {
        let again = PaymentRequest::decode(&text).expect("what was written can be read");
        // Numbers stand for kinds that have no name, and relays are tags of a name of their own: once written, it stays.
        let text = again.encode_b().expect("what was read can be written");
        assert_eq!(PaymentRequest::decode(&text), Ok(again));
    }
}
