//! Every step, and the circumstances in which it is taken.

use farthing_channel::{Address, ChainId, Digest, SigningKey, TxHash};
use proptest::prelude::*;

use super::*;
use farthing_channel::Transaction;

const GWEI: u128 = 1_000_000_000;

fn block(number: u64, at: u64) -> Block {
    let at = Timestamp::from_secs(at);
    Block {
        number,
        hash: Digest::from_bytes([0; 32]),
        parent: Digest::from_bytes([0; 32]),
        at,
        base_fee: Amount::new(GWEI),
    }
}

fn of(most: u128, tip: u128) -> Fees {
    Fees { most: Amount::new(most), tip: Amount::new(tip) }
}

fn attempt(fees: Fees, input: Vec<u8>) -> SignedTransaction {
    let key = SigningKey::from_bytes([1; 32]).unwrap();
    let transaction = Transaction {
        chain: ChainId::new(1),
        number: 5,
        fees,
        gas: 1,
        to: Address::ZERO,
        coin: Amount::ZERO,
        input,
    };
    let signature = key.sign(&transaction.digest());
    transaction.signed(&signature).unwrap()
}

fn receipt(block: u64) -> Receipt {
    Receipt {
        transaction: TxHash::from_bytes([1; 32]),
        block,
        block_hash: Digest::from_bytes([0; 32]),
        succeeded: true,
        paid: Amount::ZERO,
        logs: vec![],
    }
}

/// Sent just now, not in a block, good until second 2000.
fn seen() -> Seen {
    Seen {
        receipt: None,
        number: 5,
        last: Some(attempt(of(3 * GWEI, GWEI), vec![1])),
        made_at: Timestamp::from_secs(1_000),
        sent_at: Some(Timestamp::from_secs(1_000)),
        until: Timestamp::from_secs(2_000),
    }
}

fn around() -> Surroundings {
    Surroundings {
        head: block(100, 1_000),
        used_for_good: 5,
        used: 5,
        fees: Some(of(3 * GWEI, GWEI)),
        most: Amount::new(10 * GWEI),
        patience: Span::from_secs(30),
        confirmations: 3,
        now: Timestamp::from_secs(1_001),
    }
}

#[test]
fn a_receipt_counts_when_it_is_deep_enough() {
    let at = |number| Seen { receipt: Some(receipt(number)), ..seen() };
    assert_eq!(next(&at(99), &around()), Step::Wait);
    assert_eq!(next(&at(98), &around()), Step::End(Box::new(receipt(98))));
    assert_eq!(next(&at(101), &around()), Step::Wait, "a node that is ahead of the one that said the head");
    let one = Surroundings { confirmations: 1, ..around() };
    assert_eq!(next(&at(100), &one), Step::End(Box::new(receipt(100))));
}

#[test]
fn a_number_that_is_used_up_is_looked_into_once_it_is_for_good() {
    assert_eq!(next(&seen(), &Surroundings { used: 6, ..around() }), Step::Wait);
    assert_eq!(next(&seen(), &Surroundings { used: 6, used_for_good: 6, ..around() }), Step::FindOut);
}

#[test]
fn what_waits_is_sent_again_and_paid_more_for() {
    assert_eq!(next(&seen(), &around()), Step::Wait);
    let after_a_start = Seen { sent_at: None, ..seen() };
    assert_eq!(next(&after_a_start, &around()), Step::Resend);
    let late = Surroundings { now: Timestamp::from_secs(1_030), ..around() };
    let raised = of(3 * GWEI + 375_000_000, GWEI + 125_000_000);
    assert_eq!(next(&seen(), &late), Step::PayMore(raised));
    let spike = Surroundings { fees: Some(of(9 * GWEI, 2 * GWEI)), ..late };
    assert_eq!(next(&seen(), &spike), Step::PayMore(of(9 * GWEI, 2 * GWEI)));
    let poor = Surroundings { most: Amount::new(3 * GWEI), ..late };
    assert_eq!(next(&seen(), &poor), Step::Resend, "no more is paid than is allowed");
    let beyond = Surroundings { fees: None, ..late };
    assert_eq!(next(&seen(), &beyond), Step::Resend);
}

#[test]
fn what_can_no_longer_succeed_makes_room() {
    let over = Surroundings { head: block(100, 2_001), ..around() };
    let raised = of(3 * GWEI + 375_000_000, GWEI + 125_000_000);
    assert_eq!(next(&seen(), &over), Step::Blank(raised));
    let blank = Seen { last: Some(attempt(of(3 * GWEI, GWEI), vec![])), ..seen() };
    assert_eq!(next(&blank, &over), Step::Wait);
    let later = Surroundings { now: Timestamp::from_secs(1_030), ..over };
    assert_eq!(next(&blank, &later), Step::Blank(raised));
    assert_eq!(next(&seen(), &Surroundings { head: block(100, 2_000), ..around() }), Step::Wait);
}

#[test]
fn nothing_is_sent_when_the_chain_asks_for_too_much() {
    let of_chain = |base, tip| fees(Amount::new(base), Amount::new(tip), Amount::new(10));
    assert_eq!(of_chain(3, 1), Some(of(7, 1)));
    assert_eq!(of_chain(9, 1), Some(of(10, 1)));
    assert_eq!(of_chain(9, 2), None);
    assert_eq!(of_chain(u128::MAX, 1), None);
}

proptest! {
    #[test]
    fn replacements_pay_an_eighth_more_and_never_too_much(most in 0u128..1 << 100, tip in 0u128..1 << 100, base in 0u128..1 << 60, limit in 0u128..1 << 101) {
        let around = Surroundings { fees: fees(Amount::new(base), Amount::new(7), Amount::new(limit)), most: Amount::new(limit), ..around() };
        if let Some(raised) = raised(of(most, tip), &around) {
            prop_assert!(raised.most.value() * 8 >= most * 9);
            prop_assert!(raised.most.value() <= limit);
            prop_assert!(raised.tip <= raised.most);
        }
    }
}
