//! Signing what an offer of x402 asks for, as any payer with tokens does.

use farthing_channel::{Address, Authorization, AuthorizationNonce, ChainId, SigningKey};
use farthing_engine::{ChainAddress, PaymentId};
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::{
    Eip3009, Eip3009Authorization, Payload, PaymentRequired, Requirements, Resource, SCHEME_EXACT,
    SchemePayload, SignatureText,
};
use serde_json::Map;

use super::chain::{self, ADDRESS, Once};
use super::dice::Dice;

/// From when until when an authorization is good, in the chain's seconds: mostly long enough, at times hardly or not at all.
pub fn times(now: u64, dice: &mut Dice) -> (u64, u64) {
    match dice.below(100) {
        0..3 => (0, now.saturating_sub(dice.within(1..=60))),
        3..6 => (now.saturating_add(dice.within(1..=60)), now.saturating_add(300)),
        6..14 => (0, now.saturating_add(dice.within(5..=30))),
        _ => (0, now.saturating_add(dice.within(300..=3_000))),
    }
}

/// The offer of a plain transfer.
pub fn exact_of(required: &PaymentRequired) -> Option<&Requirements> {
    required.accepts.iter().find(|offer| offer.scheme == SCHEME_EXACT)
}

/// The name of a payment in the books.
pub fn payment_of(once: &Once) -> PaymentId {
    let of = |address: Address| ChainAddress::from_bytes(*address.as_bytes());
    PaymentId::of_authorization(chain::ID, of(ADDRESS), of(once.0), &once.1)
}

/// A payment that meets an offer.
pub fn sign(
    key: &SigningKey,
    offer: &Requirements,
    resource: Option<Resource>,
    nonce: [u8; 32],
    (after, before): (u64, u64),
) -> Option<Payload> {
    let (from, to) = (key.address(), Address::from_bytes(offer.pay_to_address()?.0));
    let value = offer.amount.amount()?;
    let said = Authorization {
        from,
        to,
        value: value.into(),
        valid_after: after.into(),
        valid_before: before.into(),
        nonce: AuthorizationNonce::from_bytes(nonce),
    };
    let signature = key.sign(&said.transfer_digest(&chain::domain(ChainId::new(chain::ID))));
    let authorization = Eip3009Authorization {
        from: from.to_string().parse().ok()?,
        to: to.to_string().parse().ok()?,
        value: value.into(),
        valid_after: after.into(),
        valid_before: before.into(),
        nonce: HexText(nonce),
    };
    let signature = SignatureText::new(signature.to_bytes().to_vec())?;
    let payload = SchemePayload::Eip3009(Eip3009 { signature, authorization });
    Some(Payload { resource, accepted: offer.clone(), payload, extensions: Map::new() })
}
