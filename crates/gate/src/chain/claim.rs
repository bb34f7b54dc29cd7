//! What a credential of a dialect for chains says: the offer that it meets, and what its payer has signed.

use farthing_channel::keccak256;
use farthing_engine::RequestTag;
use farthing_wire::mpp::{self, evm};
use farthing_wire::x402::v1::PayloadV1;
use farthing_wire::x402::{
    AssetTransferMethod, Eip3009, Payload, Requirements, SCHEME_AUTH_CAPTURE, SCHEME_EXACT, SchemePayload,
};
use serde_json::{Map, Value};
use thiserror::Error;

/// Why a credential is for nothing that is asked for here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ClaimError {
    /// It copies no offer of ours.
    #[error("the payment is for none of the offers of this answer: expected a copy of one of them")]
    NotOffered,
    /// It was made for another URL.
    #[error("the payment was made for another resource; ask for this one and pay its own offer")]
    ResourceElsewhere,
    /// It was signed for another challenge.
    #[error("the challenge was made for another request; ask for this resource and pay its own challenge")]
    ChallengeElsewhere,
}

/// An offer of ours and what was signed for it.
pub type Claimed = (Requirements, Payload);

/// A payment of x402 for a URL.
pub fn of_x402(payload: &Payload, url: &str, offers: Vec<Requirements>) -> Result<Claimed, ClaimError> {
    Ok((offer_of_x402(payload, url, offers)?, payload.clone()))
}

/// The offer that a payment of x402 for a URL meets.
pub fn offer_of_x402(
    payload: &Payload,
    url: &str,
    offers: Vec<Requirements>,
) -> Result<Requirements, ClaimError> {
    // What the payer understood that it pays for; a middle box may have sent it elsewhere.
    if payload.resource.as_ref().is_some_and(|resource| resource.url != url) {
        return Err(ClaimError::ResourceElsewhere);
    }
    // Deadlines are judged with the payment; all else is as it is offered now.
    let dated = |offer: Requirements| {
        if offer.scheme == SCHEME_AUTH_CAPTURE { offer.with_deadlines_of(&payload.accepted) } else { offer }
    };
    let offer = offers.into_iter().map(dated).find(|offer| offer.is_met_by(&payload.accepted));
    offer.ok_or(ClaimError::NotOffered)
}

/// A payment of x402 version 1.
pub fn of_x402_v1(payment: &PayloadV1, offers: Vec<Requirements>) -> Result<Claimed, ClaimError> {
    let offer = offers
        .into_iter()
        .find(|offer| payment.is_for(offer) && offer.extra.method() == Some(AssetTransferMethod::Eip3009));
    let offer = offer.ok_or(ClaimError::NotOffered)?;
    let payload = payload(&offer, SchemePayload::Eip3009(payment.payload.clone()));
    Ok((offer, payload))
}

/// What was signed for a challenge of MPP's method `evm`, which made this offer. The challenge itself is judged elsewhere.
pub fn of_evm(
    challenge: &mpp::Challenge,
    signed: &Eip3009,
    offer: Requirements,
) -> Result<Claimed, ClaimError> {
    if signed.authorization.nonce.0 != *keccak256(&evm::nonce_source(challenge)).as_bytes() {
        return Err(ClaimError::ChallengeElsewhere);
    }
    let payload = payload(&offer, SchemePayload::Eip3009(signed.clone()));
    Ok((offer, payload))
}

/// Whether MPP's method `evm` can say this offer.
pub fn is_for_evm(offer: &Requirements) -> bool {
    offer.scheme == SCHEME_EXACT && offer.extra.method() == Some(AssetTransferMethod::Eip3009)
}

/// Whether a request of MPP's method `evm` says this offer, its amount aside.
pub fn is_said_by(offer: &Requirements, request: &evm::Request) -> bool {
    is_for_evm(offer)
        && offer.chain_id() == Some(request.method_details.chain_id)
        && offer.asset_address() == Some(request.currency)
        && offer.pay_to_address() == Some(request.recipient)
}

/// An offer as a request of MPP's method `evm`.
pub fn evm_request(offer: &Requirements, decimals: u8) -> Option<Value> {
    let (chain, currency, recipient) = (offer.chain_id()?, offer.asset_address()?, offer.pay_to_address()?);
    evm::Request::charge(offer.amount.clone(), currency, recipient, (chain, decimals)).to_json().ok()
}

/// What makes the same payment another request: its own bytes, the challenge that it answers, and the body that it came with.
/// What is signed is public once it is on a chain; a challenge is known to its payer alone.
pub fn tag(payload: &Payload, challenge: Option<&str>, digest: Option<&str>) -> RequestTag {
    // Decoded and written anew, so that no spelling makes a difference.
    let signed = serde_json::to_vec(&payload.payload).unwrap_or_default();
    let (challenge, digest) = (challenge.unwrap_or_default(), digest.unwrap_or("unread"));
    RequestTag::of_parts("farthing/request/chain/1", [&signed[..], challenge.as_bytes(), digest.as_bytes()])
}

fn payload(offer: &Requirements, payload: SchemePayload) -> Payload {
    Payload { resource: None, accepted: offer.clone(), payload, extensions: Map::new() }
}
