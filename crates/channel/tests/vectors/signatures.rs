//! Digests and signatures of payments.

use farthing_channel::permit2::{self, DepositWitness, ExactWitness, UptoWitness, Witness};
use farthing_channel::{
    Authorization, AuthorizationNonce, CancelAuthorization, ChainId, Domain, Permit, Permit2Transfer, Word,
    WrappedSignature, bytes_from_hex, message_digest,
};
use serde_json::Value;

use crate::calls::{authorization, payer, token, upto};
use crate::read::{Vector, at, check, file, vector};

const CHAIN: ChainId = ChainId::new(84_532);

fn authorization_of(vector: &Vector) -> Authorization {
    Authorization {
        from: vector.member("from"),
        to: vector.member("to"),
        value: vector.member("value"),
        valid_after: vector.member("validAfter"),
        valid_before: vector.member("validBefore"),
        nonce: vector.member("nonce"),
    }
}

fn transfer_of<W: Witness>(vector: &Vector, witness: W) -> Permit2Transfer<W> {
    Permit2Transfer {
        token: vector.member("permitted.token"),
        amount: vector.member("permitted.amount"),
        spender: vector.member("spender"),
        nonce: vector.member("nonce"),
        deadline: vector.member("deadline"),
        witness,
    }
}

#[test]
fn transfer_with_authorization() {
    let vector = vector("exactTransferWithAuthorization");
    vector.check(authorization_of(&vector).transfer_digest(&vector.domain()));
}

#[test]
fn receive_with_authorization() {
    let vector = vector("depositReceiveWithAuthorization");
    vector.check(authorization_of(&vector).receive_digest(&vector.domain()));
}

#[test]
fn permit2_for_exact() {
    let vector = vector("exactPermit2");
    let witness =
        ExactWitness { to: vector.member("witness.to"), valid_after: vector.member("witness.validAfter") };
    let transfer = transfer_of(&vector, witness);
    assert_eq!(transfer.spender, permit2::EXACT_PROXY);
    assert_eq!(vector.domain(), permit2::domain(CHAIN));
    vector.check(transfer.digest(&permit2::domain(CHAIN)));
}

#[test]
fn permit2_for_a_deposit() {
    let vector = vector("batchPermit2Deposit");
    let transfer = transfer_of(&vector, DepositWitness { channel: vector.member("witness.channelId") });
    assert_eq!(transfer.spender, farthing_channel::PERMIT2_COLLECTOR);
    vector.check(transfer.digest(&permit2::domain(CHAIN)));
}

fn check_payer(name: &str, digest: farthing_channel::Digest) {
    let expected: Value = at(&file("calls"), name);
    check(name, payer(), digest, (at(&expected, "digest"), at(&expected, "signature")));
}

fn usdc() -> Domain {
    Domain::new("USDC", Some("2"), CHAIN, Some(token()))
}

#[test]
fn permit2_for_upto() {
    let transfer: Permit2Transfer<UptoWitness> = Permit2Transfer { nonce: Word::MAX, ..upto() };
    check_payer("uptoPermit2", transfer.digest(&permit2::domain(CHAIN)));
}

#[test]
fn permit_of_a_token() {
    let permit = Permit {
        owner: payer(),
        spender: permit2::PERMIT2,
        value: Word::from(1_000),
        nonce: Word::from(4),
        deadline: Word::from(1_770_000_000),
    };
    check_payer("eip2612Permit", permit.digest(&usdc()));
}

#[test]
fn an_authorization_taken_back() {
    let cancel = CancelAuthorization { authorizer: payer(), nonce: authorization().nonce };
    check_payer("cancelAuthorization", cancel.digest(&usdc()));
}

#[test]
fn a_text_to_sign_in() {
    let message: String = at(&file("calls"), "personal.message");
    check_payer("personal", message_digest(message.as_bytes()));
}

#[test]
fn the_nonce_of_a_challenge() {
    let id = "6QDs0BmhrI_v67iWeCMvGqQJEFQ6ErWKlk7zi5xL6t0";
    let expected: AuthorizationNonce = at(&file("calls"), "mppNonce");
    assert_eq!(AuthorizationNonce::of_challenge(id, "api.example.com"), expected);
}

#[test]
fn a_wrapped_signature() {
    let file: Value = at(&file("calls"), "erc6492");
    let bytes = |member| bytes_from_hex(&at::<String>(&file, member), 4_096).unwrap();
    let wrapped = WrappedSignature {
        factory: at(&file, "factory"),
        factory_call: bytes("factoryCalldata"),
        signature: bytes("inner"),
    };
    assert_eq!(wrapped.to_bytes(), bytes("wrapped"));
    assert_eq!(WrappedSignature::read(&bytes("wrapped")), Ok(Some(wrapped)));
}
