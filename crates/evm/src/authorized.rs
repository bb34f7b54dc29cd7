//! Which authorisation a call carries, read from the call itself: who pays, and the number that a contract takes once. So
//! the outcome of a call can be found even if somebody else has carried the same authorisation.

use farthing_channel::{Address, AuthorizationNonce, Word, call};
use farthing_engine::{Call, PaymentId};

use crate::abi;
use crate::chain::{ChainConfig, of_engine, to_engine};

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
            let (token, input) = abi::last_of_aggregate(&call.input)?;
            return Self::of_transfer(token, input);
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

    /// The authorisation in one of the proxies' four ways to settle. They differ in what stands before the owner.
    fn of_permit2(permit2: Address, input: &[u8]) -> Option<Self> {
        let (selector, row) = input.split_first_chunk::<4>()?;
        let known = |(text, _, _): &&(&str, usize, usize)| abi::selector(text) == *selector;
        let (_, permit, owner) = LAYOUTS.iter().find(known)?;
        let nonce = *abi::word(row, permit.checked_add(2)?)?.as_bytes();
        let payer = abi::word(row, *owner)?.to_address()?;
        Some(Self { counter: Counter::Permit2(permit2), payer, nonce })
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
                // Bits are counted from the last byte on.
                let byte = word.as_bytes().iter().rev().nth(usize::from(place >> 3))?;
                Some(byte >> (place & 7) & 1 == 1)
            }
        }
    }
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
