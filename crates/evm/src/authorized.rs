//! Which authorisation a call carries, read from the call itself: who pays, and the number that a contract takes once. So
//! the outcome of a call can be found even if somebody else has carried the same authorisation.

use farthing_channel::{
    AUTHORIZATION_COLLECTOR, Address, AuthorizationNonce, BATCH_ESCROW, Salt, Word, batch_domain, call,
    deposit_nonce,
};
use farthing_engine::{Call, Movement, PaymentId};

use crate::abi;
use crate::chain::{ChainConfig, of_engine, to_engine};
use crate::channels::{deposit_text, terms_of_row};
use crate::node::{Log, LogFilter, Trial};

/// An authorisation, by what makes it the only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Authorized {
    /// The contract that counts which numbers were used.
    pub(crate) counter: Counter,
    /// Who pays.
    pub(crate) payer: Address,
    /// The number.
    pub(crate) nonce: [u8; 32],
}

/// Who keeps count, and how it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    /// A token with EIP-3009.
    Token(Address),
    /// Permit2.
    Permit2(Address),
}

impl Authorized {
    /// The authorisation that a call of the outbox carries; nothing if the call was not made here.
    pub(crate) fn of_call(chain: &ChainConfig, call: &Call) -> Option<Self> {
        let to = of_engine(call.to);
        if to == chain.contracts.multicall {
            let (last, input) = abi::last_of_aggregate(&call.input)?;
            if last == BATCH_ESCROW {
                return Self::of_deposit(chain, input);
            }
            return Self::of_transfer(last, input);
        }
        if to == BATCH_ESCROW {
            return Self::of_deposit(chain, &call.input);
        }
        if to == chain.contracts.exact || to == chain.contracts.upto {
            return Self::of_permit2(chain.contracts.permit2, &call.input);
        }
        Self::of_transfer(to, &call.input)
    }

    /// The authorisation in `transferWithAuthorization`, in either form.
    pub(crate) fn of_transfer(token: Address, input: &[u8]) -> Option<Self> {
        let (selector, row) = input.split_first_chunk::<4>()?;
        let known = [
            "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
            "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
        ];
        if !known.iter().any(|text| abi::selector(text) == *selector) {
            return None;
        }
        let payer = abi::word(row, 0)?.to_address()?;
        Some(Self { counter: Counter::Token(token), payer, nonce: *abi::word(row, 5)?.as_bytes() })
    }

    /// The authorisation in a deposit into a channel that the token itself counts. What Permit2 counts is not found again.
    fn of_deposit(chain: &ChainConfig, input: &[u8]) -> Option<Self> {
        let row = input.strip_prefix(&abi::selector(&deposit_text()))?;
        (abi::word(row, 8)?.to_address()? == AUTHORIZATION_COLLECTOR).then_some(())?;
        let terms = terms_of_row(row)?;
        let salt = Salt::from_bytes(*abi::word(abi::bytes_at(row, 9)?, 2)?.as_bytes());
        let nonce = deposit_nonce(terms.id(&batch_domain(chain.id)), salt);
        Some(Self { counter: Counter::Token(terms.token), payer: terms.payer, nonce: *nonce.as_bytes() })
    }

    /// The authorisation in one of the proxies' four ways to settle. They differ in what stands before the owner.
    fn of_permit2(permit2: Address, input: &[u8]) -> Option<Self> {
        let (selector, row) = input.split_first_chunk::<4>()?;
        let known = |(text, _, _): &&(&str, usize, usize)| abi::selector(text) == *selector;
        let (_, permit, owner) = LAYOUTS.iter().find(known)?;
        let nonce = *abi::word(row, permit.checked_add(2)?)?.as_bytes();
        let payer = abi::word(row, *owner)?.to_address()?;
        Some(Self { counter: Counter::Permit2(permit2), payer, nonce })
    }

    /// Whether a transaction to this contract carries this very permit, for a token and at least so many units of it.
    pub(crate) fn is_permit_in(&self, chain: &ChainConfig, sent: &Trial, moves: &Movement) -> bool {
        let Counter::Permit2(permit2) = self.counter else { return false };
        if ![chain.contracts.exact, chain.contracts.upto].contains(&sent.to) {
            return false;
        }
        let Some((token, most)) = permitted(&sent.input) else { return false };
        Self::of_permit2(permit2, &sent.input) == Some(*self)
            && token == of_engine(moves.token)
            && most >= Word::from(moves.units)
    }

    /// Whether a payer has taken this permit back with this log of Permit2.
    pub(crate) fn is_taken_back_by(&self, log: &Log) -> bool {
        let [place @ .., bit] = &self.nonce;
        let Some((word, mask)) = abi::word(&log.rest, 0).zip(abi::word(&log.rest, 1)) else { return false };
        let [zero, rest @ ..] = word.as_bytes();
        log.topics == [abi::topic(TAKEN_BACK), self.payer.into()]
            && *zero == 0
            && rest == place
            && has_bit(mask, *bit)
    }

    /// What to search for to find that in these blocks.
    pub(crate) fn taken_back_filter(&self, (from, to): (u64, u64)) -> LogFilter {
        let topics = vec![abi::topic(TAKEN_BACK), self.payer.into()];
        LogFilter { from, to, contract: self.contract(), topics, third: Vec::new() }
    }

    /// The contract that keeps count.
    pub(crate) fn contract(&self) -> Address {
        match self.counter {
            Counter::Token(address) | Counter::Permit2(address) => address,
        }
    }

    /// The payment that it is, however it is written.
    pub(crate) fn payment(&self, chain: &ChainConfig) -> PaymentId {
        let (counter, payer) = (to_engine(self.contract()), to_engine(self.payer));
        PaymentId::of_authorization(chain.id.number(), counter, payer, &self.nonce)
    }

    /// Asks the contract whether it was used.
    pub(crate) fn question(&self) -> Vec<u8> {
        let nonce = self.nonce;
        match self.counter {
            Counter::Token(_) => call::authorization_state(self.payer, AuthorizationNonce::from_bytes(nonce)),
            Counter::Permit2(_) => call::nonce_bitmap(self.payer, Word::from_bytes(nonce)),
        }
    }

    /// What the contract's answer says; nothing if it is no answer.
    pub(crate) fn is_used(&self, answer: &[u8]) -> Option<bool> {
        match self.counter {
            Counter::Token(_) => abi::only_bool(answer),
            Counter::Permit2(_) => {
                let word = abi::only_word(answer)?;
                let [.., place] = self.nonce;
                Some(has_bit(word, place))
            }
        }
    }
}

/// What Permit2 says when a payer uses numbers up that nobody has presented.
const TAKEN_BACK: &str = "UnorderedNonceInvalidation(address,uint256,uint256)";

/// The token of a permit in a call of a proxy, and how much of it.
fn permitted(input: &[u8]) -> Option<(Address, Word)> {
    let (selector, row) = input.split_first_chunk::<4>()?;
    let (_, permit, _) = LAYOUTS.iter().find(|(text, _, _)| abi::selector(text) == *selector)?;
    Some((abi::word(row, *permit)?.to_address()?, abi::word(row, permit.checked_add(1)?)?))
}

/// Whether a bit is set. Bits are counted from the last byte on.
fn has_bit(word: Word, place: u8) -> bool {
    let byte = word.as_bytes().iter().rev().nth(usize::from(place >> 3));
    byte.is_some_and(|byte| byte >> (place & 7) & 1 == 1)
}

/// The proxies' functions, at which word the permit begins, and which word is the owner.
const LAYOUTS: [(&str, usize, usize); 4] = [
    ("settle(((address,uint256),uint256,uint256),address,(address,uint256),bytes)", 0, 4),
    ("settle(((address,uint256),uint256,uint256),uint256,address,(address,address,uint256),bytes)", 0, 5),
    (
        "settleWithPermit((uint256,uint256,bytes32,bytes32,uint8),((address,uint256),uint256,uint256),address,(address,uint256),bytes)",
        5,
        9,
    ),
    (
        "settleWithPermit((uint256,uint256,bytes32,bytes32,uint8),((address,uint256),uint256,uint256),uint256,address,(address,address,uint256),bytes)",
        5,
        10,
    ),
];

#[cfg(test)]
#[path = "authorized_tests.rs"]
mod tests;
