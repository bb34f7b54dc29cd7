//! The bytes of calls, and the messages that they carry.

use std::collections::BTreeMap;

use farthing_channel::permit2::{EXACT_PROXY, ExactWitness, PERMIT2, UPTO_PROXY, UptoWitness};
use farthing_channel::{
    Address, Authorization, AuthorizationNonce, CancelAuthorization, Digest, Permit, Permit2Transfer,
    Signature, Word, bytes_from_hex, bytes_to_hex, call,
};

use crate::read::{at, file, vector};

pub fn payer() -> Address {
    at(&file("eip712"), "addresses.client")
}

pub fn token() -> Address {
    at(&file("eip712"), "channelConfig.token")
}

fn payee() -> Address {
    at(&file("eip712"), "addresses.payee")
}

pub fn authorization() -> Authorization {
    Authorization {
        from: payer(),
        to: payee(),
        value: Word::from(1_000),
        valid_after: Word::ZERO,
        valid_before: Word::from(1_770_000_000),
        nonce: AuthorizationNonce::from_bytes([0x22; 32]),
    }
}

fn exact() -> Permit2Transfer<ExactWitness> {
    Permit2Transfer {
        token: token(),
        amount: Word::from(1_000),
        spender: EXACT_PROXY,
        nonce: Word::from(7),
        deadline: Word::from(1_770_000_000),
        witness: ExactWitness { to: payee(), valid_after: Word::ZERO },
    }
}

pub fn upto() -> Permit2Transfer<UptoWitness> {
    let Permit2Transfer { token, amount, nonce, deadline, witness, .. } = exact();
    let facilitator = at(&file("eip712"), "addresses.facilitator");
    let witness = UptoWitness { to: witness.to, facilitator, valid_after: Word::from(5) };
    Permit2Transfer { token, amount, spender: UPTO_PROXY, nonce, deadline, witness }
}

fn permit() -> Permit {
    Permit {
        owner: payer(),
        spender: PERMIT2,
        value: Word::MAX,
        nonce: Word::ZERO,
        deadline: Word::from(1_770_000_000),
    }
}

#[test]
fn every_call_is_as_others_write_it() {
    let signature: Signature = vector("exactTransferWithAuthorization").signature();
    let bytes = signature.to_bytes();
    let of_contract = [0xab; 70];
    let nonce = authorization().nonce;
    let cancel = CancelAuthorization { authorizer: payer(), nonce };
    let allowance = (&permit(), &signature);
    let used = Word::from(900);
    let ours = [
        ("transfer", call::transfer(payee(), Word::from(1_000))),
        ("approve", call::approve(PERMIT2, Word::MAX)),
        ("balanceOf", call::balance_of(payer())),
        ("allowance", call::allowance(payer(), PERMIT2)),
        ("nonces", call::nonces(payer())),
        ("name", call::name()),
        ("version", call::version()),
        ("decimals", call::decimals()),
        ("domainSeparator", call::domain_separator()),
        ("authorizationState", call::authorization_state(payer(), nonce)),
        ("transferWithAuthorization", call::transfer_with_authorization(&authorization(), &signature)),
        (
            "transferWithAuthorizationBytes",
            call::transfer_with_authorization_bytes(&authorization(), &of_contract),
        ),
        ("receiveWithAuthorization", call::receive_with_authorization(&authorization(), &signature)),
        ("cancelAuthorization", call::cancel_authorization(&cancel, &signature)),
        ("permit", call::permit(&permit(), &signature)),
        ("isValidSignature", call::is_valid_signature(&Digest::from_bytes([0x22; 32]), &of_contract)),
        ("nonceBitmap", call::nonce_bitmap(payer(), Word::from(0x3_7f))),
        ("settleExact", call::settle_exact(&exact(), payer(), &bytes)),
        ("settleExactWithPermit", call::settle_exact_with_permit(allowance, &exact(), payer(), &bytes)),
        ("settleUpto", call::settle_upto(&upto(), used, payer(), &bytes)),
        ("settleUptoWithPermit", call::settle_upto_with_permit(allowance, &upto(), used, payer(), &bytes)),
    ];
    let golden: BTreeMap<String, String> = at(&file("calls"), "calls");
    assert_eq!(ours.len(), golden.len());
    for (name, bytes) in ours {
        assert_eq!(bytes_to_hex(&bytes), golden[name], "{name}");
        assert_eq!(bytes_from_hex(&golden[name], bytes.len()), Ok(bytes), "{name}");
    }
}
