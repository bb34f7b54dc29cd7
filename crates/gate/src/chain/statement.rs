//! `offer-receipt` of x402: our offers and receipts, signed, for whoever must prove later what was offered or paid.
//!
//! The key is one of its own, made of the one that signs our receipts: neither kind of text is ever taken for the other.

use ed25519_dalek::SigningKey;
use farthing_money::Timestamp;
use farthing_wire::x402::extension::offer_receipt::{self, OfferClaim, ReceiptClaim, Signed};
use farthing_wire::x402::{Requirements, SettleResponse};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::offer::Declared;

/// The key that signs offers and receipts of x402.
pub fn key(signing: &SigningKey) -> SigningKey {
    let Ok(code) = Hmac::<Sha256>::new_from_slice(signing.as_bytes()) else { return signing.clone() };
    let code = code.chain_update(b"farthing/x402/offer-receipt/1");
    SigningKey::from_bytes(&code.finalize().into_bytes().into())
}

/// The first so many offers, signed: each says what is asked for at this moment, and ends with the time that it gives to pay.
pub fn offers(
    accepts: &[Requirements],
    url: &str,
    key: &SigningKey,
    now: Timestamp,
) -> Vec<Signed<OfferClaim>> {
    let sign = |(index, offer): (u64, &Requirements)| {
        let until = now.secs().saturating_add(offer.max_timeout_seconds);
        Signed::jws(&OfferClaim::of(offer, url, until), key, Some(index)).ok()
    };
    (0..).zip(accepts).filter_map(sign).collect()
}

/// What a 402 declares.
pub fn declared(offers: &[Signed<OfferClaim>]) -> Declared {
    (offer_receipt::NAME, offer_receipt::declare_offers(offers))
}

/// The extensions of `PAYMENT-RESPONSE` for a payment that is in the books: the receipt, by the time at which it was booked, so
/// that a repetition says the same. It does not name the transaction, which is nobody's business who is shown it.
pub fn receipt(
    settled: &SettleResponse,
    url: &str,
    key: &SigningKey,
    booked_at: Timestamp,
) -> Map<String, Value> {
    let claim = ReceiptClaim::of(settled, url, booked_at.secs());
    let signed = claim.and_then(|claim| Signed::jws(&claim, key, None).ok());
    signed
        .map(|signed| (offer_receipt::NAME.to_owned(), offer_receipt::receipt(&signed)))
        .into_iter()
        .collect()
}
