//! Channels: their names, and what is signed while they live.

use farthing_channel::{
    Address, AuthorizationNonce, ChainId, ChannelId, ChannelTerms, Claim, Refund, Salt, SessionTerms,
    Voucher, batch_domain, claims_digest, deposit_nonce, session_domain,
};
use serde_json::Value;

use crate::read::{at, file, vector};

pub const CHAIN: ChainId = ChainId::new(84_532);

pub fn terms() -> ChannelTerms {
    let file: Value = at(&file("eip712"), "channelConfig");
    ChannelTerms {
        payer: at(&file, "payer"),
        payer_authorizer: at(&file, "payerAuthorizer"),
        receiver: at(&file, "receiver"),
        receiver_authorizer: at(&file, "receiverAuthorizer"),
        token: at(&file, "token"),
        withdraw_delay: at(&file, "withdrawDelay"),
        salt: at(&file, "salt"),
    }
}

#[test]
fn the_name_of_a_channel() {
    let expected: ChannelId = at(&file("eip712"), "channelId");
    assert_eq!(terms().id(&batch_domain(CHAIN)), expected);
}

/// A second pair of accounts, whose digests were published with the scheme.
#[test]
fn the_name_of_another_channel_and_its_voucher() {
    let other = ChannelTerms {
        receiver: "0x19ee5100D3a1e687F85B952bd3FbEc108Ab6A8d7".parse().unwrap(),
        receiver_authorizer: "0xd407e409E34E0b9afb99EcCeb609bDbcD5e7f1bf".parse().unwrap(),
        ..terms()
    };
    let channel = other.id(&batch_domain(CHAIN));
    assert_eq!(channel.to_string(), "0x5fafb915f0dbee350d7f84d91802dea47e8e3a71929c3cd79da161c291fb28bd");
    let voucher = Voucher { channel, cumulative: 1_000.into() };
    assert_eq!(
        voucher.batch_digest(&batch_domain(CHAIN)).to_string(),
        "0xa2874adbecca0abb1884b4ac1c100e3906d25208ad0c9e6a8fcf9790ccfa2246"
    );
}

#[test]
fn vouchers() {
    let vector = vector("voucher");
    let voucher =
        Voucher { channel: vector.member("channelId"), cumulative: vector.member("maxClaimableAmount") };
    assert_eq!(vector.domain(), batch_domain(CHAIN));
    vector.check(voucher.batch_digest(&batch_domain(CHAIN)));
}

#[test]
fn refunds() {
    let vector = vector("refund");
    let refund = Refund {
        channel: vector.member("channelId"),
        nonce: vector.member("nonce"),
        amount: vector.member("amount"),
    };
    vector.check(refund.digest(&batch_domain(CHAIN)));
}

#[test]
fn claims() {
    let vector = vector("claimBatch");
    let claims: Vec<Value> = vector.member("claims");
    let claims: Vec<Claim> = claims
        .iter()
        .map(|claim| Claim {
            channel: at(claim, "channelId"),
            cumulative: at(claim, "maxClaimableAmount"),
            total_claimed: at(claim, "totalClaimed"),
        })
        .collect();
    assert_eq!(claims.len(), 1);
    vector.check(claims_digest(&claims, &batch_domain(CHAIN)));
}

#[test]
fn the_nonce_of_a_deposit() {
    let file: Value = at(&file("eip712"), "erc3009DepositNonce");
    let expected: AuthorizationNonce = at(&file, "nonce");
    assert_eq!(deposit_nonce(terms().id(&batch_domain(CHAIN)), at(&file, "salt")), expected);
}

#[test]
fn sessions() {
    let session: Value = at(&file("eip712"), "mppEvmSession");
    let escrow: Address = at(&session, "escrow");
    let salt: Salt = at(&session, "salt");
    let terms = SessionTerms {
        payer: terms().payer,
        payee: terms().receiver,
        token: terms().token,
        salt,
        authorized_signer: at(&session, "authorizedSigner"),
    };
    let channel: ChannelId = at(&session, "channelId");
    assert_eq!(terms.id(escrow, CHAIN), channel);
    let nonce: AuthorizationNonce = at(&session, "openNonce3009");
    assert_eq!(terms.opening_nonce(), nonce);
    let vector = vector("mppEvmSessionVoucher");
    let voucher =
        Voucher { channel: vector.member("channelId"), cumulative: vector.member("cumulativeAmount") };
    assert_eq!(vector.domain(), session_domain(escrow, CHAIN));
    vector.check(voucher.session_digest(&session_domain(escrow, CHAIN)));
}
