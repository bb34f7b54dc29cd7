//! x402: offers, payments and outcomes in headers, the bodies of facilitators and of version 1, and what extensions hold.

use std::str::from_utf8;

use farthing_wire::x402::batch::{
    ChannelAnswer, ChannelOfferText, FacilitatorPayload, PayerPayload, verified,
};
use farthing_wire::x402::extension::{offer_receipt, payment_identifier, sign_in};
use farthing_wire::x402::facilitator::{FacilitatorRequest, Supported, VerifyResponse};
use farthing_wire::x402::v1::{PayloadV1, PaymentRequiredV1, RequirementsV1};
use farthing_wire::x402::{Payload, PaymentRequired, Requirements, SettleResponse, X402Error};
use farthing_wire::{Challenge, Offer, json};
use serde::Serialize;

use crate::standard_base64;

const LIMIT: usize = 1 << 17;

/// What a shop may send to a wallet: an offer and an outcome of either version.
pub fn x402_offers(bytes: &[u8]) {
    if let Ok(text) = from_utf8(bytes) {
        drop((PaymentRequired::from_header(text), SettleResponse::from_header(text)));
    }
    // What is inside of base64 is out of a mutator's reach.
    let field = standard_base64(bytes);
    if let Ok(required) = PaymentRequired::from_header(&field) {
        one_offer(&required);
    }
    let challenge = Challenge::from_fields([("payment-required", field.as_bytes())]);
    assert!(challenge.offers.iter().all(|offer| matches!(offer, Offer::X402(_))));
    if let Ok(settled) = SettleResponse::from_header(&field) {
        same(&settled, |settled| SettleResponse::from_header(&settled.to_header()?));
        if let Some(answer) = ChannelAnswer::of(&settled) {
            assert_eq!(ChannelAnswer::of(&answer.within(settled)), Some(answer));
        }
    }
    if let Ok(required) = PaymentRequiredV1::from_json(bytes) {
        same(&required, |required| PaymentRequiredV1::from_json(required.to_json()?.as_bytes()));
    }
}

fn one_offer(required: &PaymentRequired) {
    same(required, |required| PaymentRequired::from_header(&required.to_header()?));
    for entry in &required.accepts {
        let found = required.met_by(entry).expect("an entry meets itself");
        assert!(found.is_met_by(entry));
        let _ = (entry.chain_id(), entry.asset_address(), entry.pay_to_address(), entry.amount.amount());
        drop(ChannelOfferText::of(&entry.extra));
        let same_deadlines = entry.clone().with_deadlines_of(entry);
        assert_eq!(same_deadlines.extra.escrow_terms(), entry.extra.escrow_terms());
        if let Some(state) = entry.extra.channel() {
            let voucher = entry.extra.channel_voucher();
            let told = entry.extra.clone().with_channel(&state, voucher.as_ref());
            assert_eq!((told.channel(), told.channel_voucher()), (Some(state), voucher));
        }
        if let Some(old) = RequirementsV1::of(entry, &required.resource) {
            assert_eq!(old.max_amount_required, entry.amount);
        }
    }
    for offer in offer_receipt::offers(&required.extensions) {
        drop(offer.claim());
    }
    let mut extensions = required.extensions.clone();
    drop(payment_identifier::put(&mut extensions, "pay_0123456789abcdef"));
    if extensions != required.extensions {
        assert_eq!(payment_identifier::read(&extensions), Ok(Some("pay_0123456789abcdef")));
    }
}

/// What a payer may send to a gate, and a gate to a facilitator.
pub fn x402_payments(bytes: &[u8]) {
    if let Ok(text) = from_utf8(bytes) {
        drop((
            Payload::from_header(text, 64),
            PayloadV1::from_header(text, 64),
            sign_in::SignIn::from_header(text),
        ));
    }
    let field = standard_base64(bytes);
    if let Ok(payload) = Payload::from_header(&field, LIMIT) {
        same(&payload, |payload| Payload::from_header(&payload.to_header()?, LIMIT));
        drop((
            payload.payload.method(),
            payload.payload.payer(),
            payment_identifier::read(&payload.extensions),
        ));
        if let Ok(read) = PayerPayload::read(&payload.payload) {
            let written = read.to_payload().expect("what was read can be written");
            assert!(PayerPayload::read(&written).as_ref() == Ok(&read), "it is not the same");
        }
        let request = FacilitatorRequest { requirements: payload.accepted.clone(), payload };
        same(&request, |request| FacilitatorRequest::from_json(request.to_json()?.as_bytes()));
    }
    if let Ok(payload) = PayloadV1::from_header(&field, LIMIT) {
        same(&payload, |payload| PayloadV1::from_header(&payload.to_header()?, LIMIT));
    }
    if let Ok(sign_in) = sign_in::SignIn::from_header(&field) {
        same(&sign_in, |sign_in| sign_in::SignIn::from_header(&sign_in.to_header()?));
        if let Some(message) = sign_in.message() {
            assert!(message.starts_with(&sign_in.info.domain));
        }
    }
    facilitators(bytes);
}

fn facilitators(bytes: &[u8]) {
    if let Ok(request) = FacilitatorRequest::from_json(bytes) {
        let _ = request.requirements.is_met_by(&request.payload.accepted);
        if let Ok(read) = FacilitatorPayload::read(&request.payload.payload) {
            let written = read.to_payload().expect("what was read can be written");
            assert!(FacilitatorPayload::read(&written).as_ref() == Ok(&read), "it is not the same");
        }
        same(&request, |request| FacilitatorRequest::from_json(request.to_json()?.as_bytes()));
    }
    if let Ok(answer) = VerifyResponse::from_json(bytes) {
        same(&answer, |answer| VerifyResponse::from_json(answer.to_json()?.as_bytes()));
        drop((offer_receipt::read_receipt(&answer.extensions), verified(&answer.extra)));
    }
    if let Ok(supported) = Supported::from_json(bytes) {
        same(&supported, |supported| Supported::from_json(supported.to_json()?.as_bytes()));
    }
    if let Ok(requirements) = json::read::<Requirements>(bytes, "requirements") {
        assert!(requirements.is_met_by(&requirements));
    }
}

/// What was read is read again from what is written. The last digit of a fraction may change, and what is written may be
/// longer than what came, if that was full of short cuts: then it may be too long to be read.
fn same<T: Serialize + PartialEq>(part: &T, again: impl Fn(&T) -> Result<T, X402Error>) {
    let value = serde_json::to_value(part).expect("what was read can be written");
    match again(part) {
        Ok(again) if json::canonical(&value).is_ok() => assert!(again == *part, "it is not the same"),
        Ok(_) | Err(X402Error::TooLong { .. }) => {}
        Err(error) => panic!("what was written cannot be read: {error}"),
    }
}
