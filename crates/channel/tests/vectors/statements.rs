//! What merchants sign about payments.

use farthing_channel::{Address, Digest, OfferStatement, ReceiptStatement};
use serde_json::Value;

use crate::read::{at, check, file};

fn check_merchant(name: &str, digest: Digest) {
    let merchant: Address = at(&file("eip712"), "addresses.payee");
    let case: Value = at(&file("calls"), name);
    check(name, merchant, digest, (at(&case, "digest"), at(&case, "signature")));
}

#[test]
fn an_offer() {
    let payload: Value = at(&file("calls"), "offer.payload");
    let text = |member: &str| payload[member].as_str().unwrap();
    let offer = OfferStatement {
        version: at(&payload, "version"),
        resource_url: text("resourceUrl"),
        scheme: text("scheme"),
        network: text("network"),
        asset: text("asset"),
        pay_to: text("payTo"),
        amount: text("amount"),
        valid_until: at(&payload, "validUntil"),
    };
    check_merchant("offer", offer.digest());
}

#[test]
fn a_receipt() {
    let payload: Value = at(&file("calls"), "receipt.payload");
    let text = |member: &str| payload[member].as_str().unwrap();
    let receipt = ReceiptStatement {
        version: at(&payload, "version"),
        network: text("network"),
        resource_url: text("resourceUrl"),
        payer: text("payer"),
        issued_at: at(&payload, "issuedAt"),
        transaction: text("transaction"),
    };
    check_merchant("receipt", receipt.digest());
}
