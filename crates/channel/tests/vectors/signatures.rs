//! The digests and signatures of `eip712.json`.

use farthing_channel::Authorization;

use crate::read::{Vector, vector};

fn authorization(vector: &Vector) -> Authorization {
    Authorization {
        from: vector.member("from"),
        to: vector.member("to"),
        value: vector.member("value"),
        valid_after: vector.member("validAfter"),
        valid_before: vector.member("validBefore"),
        nonce: vector.member("nonce"),
    }
}

#[test]
fn transfer_with_authorization() {
    let vector = vector("exactTransferWithAuthorization");
    vector.check(authorization(&vector).transfer_digest(&vector.domain()));
}

#[test]
fn receive_with_authorization() {
    let vector = vector("depositReceiveWithAuthorization");
    vector.check(authorization(&vector).receive_digest(&vector.domain()));
}
