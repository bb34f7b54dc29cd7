//! Calls and events of the escrow of `batch-settlement`, as other programs write them.

use std::collections::BTreeMap;

use farthing_channel::{
    Address, AuthorizedDeposit, BatchEvent, ChainId, ChannelId, ChannelTerms, ClaimRow, Permit,
    PermittedDeposit, Salt, Signature, Word, batch_call, batch_domain, bytes_from_hex, bytes_to_hex,
    claims_digest, permit2,
};
use farthing_money::Amount;
use serde_json::Value;

use crate::channels::{CHAIN, terms};
use crate::read::{at, file, vector};

/// A day of 2026, in every vector.
const UNTIL: u64 = 1_770_000_000;

fn lane() -> ChannelTerms {
    let salt = Salt::from_bytes([7; 32]);
    ChannelTerms { payer_authorizer: Address::ZERO, withdraw_delay: 2_592_000, salt, ..terms() }
}

fn signed(name: &str) -> [u8; 65] {
    vector(name).signature().to_bytes()
}

fn rows() -> [ClaimRow; 2] {
    let most = Amount::MAX.value();
    [
        ClaimRow {
            terms: terms(),
            ceiling: 5_000.into(),
            signature: signed("voucher").to_vec(),
            total_claimed: 4_137.into(),
        },
        ClaimRow {
            terms: lane(),
            ceiling: Amount::MAX,
            signature: vec![0xab; 70],
            total_claimed: Amount::new(most - 1),
        },
    ]
}

fn authorized() -> AuthorizedDeposit {
    AuthorizedDeposit {
        amount: 10_000.into(),
        valid_after: Word::ZERO,
        valid_before: Word::from(UNTIL),
        salt: at(&file("eip712"), "erc3009DepositNonce.salt"),
    }
}

fn permitted() -> PermittedDeposit {
    PermittedDeposit { amount: 10_000.into(), nonce: Word::from(8), deadline: Word::from(UNTIL) }
}

fn permit() -> Permit {
    Permit {
        owner: terms().payer,
        spender: permit2::PERMIT2,
        value: Word::from(10_000),
        nonce: Word::ZERO,
        deadline: Word::from(UNTIL),
    }
}

#[test]
fn every_call_is_as_others_write_it() {
    let (terms, channel) = (terms(), terms().id(&batch_domain(CHAIN)));
    let allowance: Signature = vector("exactTransferWithAuthorization").signature();
    let by_authorization = authorized().collected(&signed("depositReceiveWithAuthorization"));
    let permit2 = signed("batchPermit2Deposit");
    let claims = batch_call::claim_with_signature(&rows(), &signed("claimBatch"));
    let refund = batch_call::refund_with_signature(&terms, 1_500.into(), Word::ZERO, &signed("refund"));
    let ours = [
        ("depositByAuthorization", batch_call::deposit(&terms, &by_authorization)),
        ("depositByPermit2", batch_call::deposit(&terms, &permitted().collected(&permit2, None))),
        (
            "depositByPermit2WithPermit",
            batch_call::deposit(&terms, &permitted().collected(&permit2, Some((&permit(), &allowance)))),
        ),
        ("claim", batch_call::claim(&rows())),
        ("claimOfNone", batch_call::claim(&[])),
        ("claimWithSignature", claims.clone()),
        ("settle", batch_call::settle(terms.receiver, terms.token)),
        ("initiateWithdraw", batch_call::initiate_withdraw(&terms, Amount::MAX)),
        ("finalizeWithdraw", batch_call::finalize_withdraw(&lane())),
        ("refund", batch_call::refund(&terms, 1_500.into())),
        ("refundWithSignature", refund.clone()),
        ("multicall", batch_call::multicall(&[claims, refund])),
        ("channels", batch_call::channels(channel)),
        ("pendingWithdrawals", batch_call::pending_withdrawals(channel)),
        ("receivers", batch_call::receivers(terms.receiver, terms.token)),
        ("refundNonce", batch_call::refund_nonce(channel)),
    ];
    let golden: BTreeMap<String, String> = at(&file("batch"), "calls");
    assert_eq!(ours.len(), golden.len());
    for (name, bytes) in ours {
        assert_eq!(bytes_to_hex(&bytes), golden[name], "{name}");
    }
}

#[test]
fn deposits_are_signed_for_their_channel() {
    let channel = terms().id(&batch_domain(CHAIN));
    let authorization = vector("depositReceiveWithAuthorization");
    let ours = authorized().authorization(terms().payer, channel);
    authorization.check(ours.receive_digest(&authorization.domain()));
    let transfer = permitted().transfer(terms().token, channel);
    vector("batchPermit2Deposit").check(transfer.digest(&permit2::domain(CHAIN)));
}

#[test]
fn rows_are_what_the_authorizer_signs() {
    let batch = batch_domain(CHAIN);
    let [row, other] = rows();
    vector("claimBatch").check(claims_digest(&[row.claim(&batch)], &batch));
    assert_ne!(other.claim(&batch).channel, other.claim(&batch_domain(ChainId::new(1))).channel);
}

fn log(name: &str) -> (Vec<Word>, Vec<u8>) {
    let event: Value = at(&file("batch"), &format!("events.{name}"));
    let text: String = at(&event, "data");
    (at(&event, "topics"), bytes_from_hex(&text, 1 << 10).unwrap())
}

#[test]
fn events_are_read() {
    let channel: ChannelId = terms().id(&batch_domain(CHAIN));
    let sender: Address = at(&file("eip712"), "addresses.facilitator");
    let (receiver, token) = (terms().receiver, terms().token);
    let amount = Amount::new;
    let expected = [
        ("ChannelCreated", BatchEvent::Created(channel, terms())),
        ("ChannelClosed", BatchEvent::Closed(channel, terms())),
        (
            "Deposited",
            BatchEvent::Deposited { channel, sender, amount: amount(10_000), balance: Amount::MAX },
        ),
        ("Claimed", BatchEvent::Claimed { channel, sender, amount: amount(4_137), total: amount(5_000) }),
        ("Settled", BatchEvent::Settled { receiver, token, sender, amount: amount(4_137) }),
        ("Refunded", BatchEvent::Refunded { channel, sender, amount: amount(1_500) }),
        (
            "WithdrawInitiated",
            BatchEvent::WithdrawInitiated { channel, amount: amount(6_000), finalize_after: UNTIL + 900 },
        ),
        ("WithdrawFinalized", BatchEvent::WithdrawFinalized { channel, sender, amount: amount(6_000) }),
    ];
    let known = BatchEvent::topics();
    for (name, event) in expected {
        let (topics, bytes) = log(name);
        assert_eq!(BatchEvent::read(&topics, &bytes), Some(event), "{name}");
        assert!(known.contains(&topics[0]), "{name}");
        assert_eq!(BatchEvent::read(&topics[..topics.len() - 1], &bytes), None, "{name} with a topic less");
        assert_eq!(BatchEvent::read(&topics, &bytes[..bytes.len() - 1]), None, "{name} with a byte less");
    }
    assert_eq!(BatchEvent::withdraw_initiated_topic(), log("WithdrawInitiated").0[0]);
    assert_eq!(BatchEvent::read(&[], &[]), None);
}
