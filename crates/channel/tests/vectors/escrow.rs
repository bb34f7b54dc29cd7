//! Money in escrow: the nonce and the signature that the reference's client makes, and the calls that carry them.

use farthing_channel::escrow::{AUTH_CAPTURE_ESCROW, ESCROW_COLLECTOR};
use farthing_channel::{
    Address, Authorization, AuthorizationNonce, ChainId, Domain, PaymentInfo, Signature, Word,
    bytes_from_hex, bytes_to_hex, escrow,
};
use serde_json::Value;

use crate::read::{at, check, file};

fn info(vector: &Value) -> PaymentInfo {
    let number = |path: &str| Word::from(at::<u64>(vector, path));
    PaymentInfo {
        operator: at(vector, "requirements.extra.captureAuthorizer"),
        payer: at(vector, "payload.authorization.from"),
        receiver: at(vector, "requirements.payTo"),
        token: at(vector, "requirements.asset"),
        max_amount: at(vector, "requirements.amount"),
        pre_approval_expiry: at(vector, "payload.authorization.validBefore"),
        authorization_expiry: number("requirements.extra.captureDeadline"),
        refund_expiry: number("requirements.extra.refundDeadline"),
        min_fee_bps: number("requirements.extra.minFeeBps"),
        max_fee_bps: number("requirements.extra.maxFeeBps"),
        fee_receiver: at(vector, "requirements.extra.feeRecipient"),
        salt: at(vector, "payload.salt"),
    }
}

#[test]
fn what_goes_into_escrow_is_as_the_reference_writes_it() {
    let vector = file("escrow");
    let (info, chain) = (info(&vector), ChainId::new(84_532));
    assert_eq!(AUTH_CAPTURE_ESCROW, at(&vector, "requirements.extra.authCaptureEscrow"));
    let nonce: AuthorizationNonce = at(&vector, "payload.authorization.nonce");
    assert_eq!(info.nonce(chain, AUTH_CAPTURE_ESCROW), nonce);
    assert_eq!(info.hash(chain, AUTH_CAPTURE_ESCROW), at(&vector, "hash"));
    let collector: Address = at(&vector, "payload.authorization.to");
    assert_eq!(collector, ESCROW_COLLECTOR);
    let authorization = Authorization {
        from: info.payer,
        to: collector,
        value: info.max_amount,
        valid_after: Word::ZERO,
        valid_before: info.pre_approval_expiry,
        nonce,
    };
    let domain = Domain::new("USDC", Some("2"), chain, Some(info.token));
    let signature: Signature = at(&vector, "payload.signature");
    let expected = (at(&vector, "digest"), signature);
    check("escrow", info.payer, authorization.receive_digest(&domain), expected);
    for (name, bytes) in [
        ("authorize", escrow::authorize(&info, collector, &signature.to_bytes())),
        ("capture", escrow::capture(&info, Word::from(4_000))),
        ("void", escrow::void(&info)),
        ("paymentState", escrow::payment_state(info.hash(chain, AUTH_CAPTURE_ESCROW))),
    ] {
        let golden: String = at(&vector, &format!("calls.{name}"));
        assert_eq!(bytes_to_hex(&bytes), golden, "{name}");
        assert_eq!(bytes_from_hex(&golden, bytes.len()), Ok(bytes), "{name}");
    }
}
