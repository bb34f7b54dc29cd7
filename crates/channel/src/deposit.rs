//! Deposits into a channel of x402's `batch-settlement`: what a payer signs so that the money can go into this channel and
//! nowhere else, and what a collector of the escrow wants to see of it.

use farthing_money::Amount;

use crate::abi::Arguments;
use crate::address::Address;
use crate::authorization::Authorization;
use crate::permit::Permit;
use crate::permit2::{DepositWitness, Permit2Transfer};
use crate::signature::Signature;
use crate::terms::{AUTHORIZATION_COLLECTOR, ChannelId, PERMIT2_COLLECTOR, Salt, deposit_nonce};
use crate::word::Word;

/// A deposit by EIP-3009, which the token itself checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AuthorizedDeposit {
    /// How much.
    pub amount: Amount,
    /// The second since 1970 after which it is good.
    pub valid_after: Word,
    /// The second since 1970 before which it is good.
    pub valid_before: Word,
    /// What tells it apart from other deposits into the same channel.
    pub salt: Salt,
}

/// A deposit by Permit2, for any token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PermittedDeposit {
    /// How much.
    pub amount: Amount,
    /// Good once for each payer.
    pub nonce: Word,
    /// The last second since 1970 at which it is good.
    pub deadline: Word,
}

/// A deposit that is signed: how much, who fetches it, and what that collector is given.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CollectedDeposit {
    /// How much.
    pub amount: Amount,
    /// The collector.
    pub collector: Address,
    /// Whatever it reads, signatures among it.
    pub collector_bytes: Vec<u8>,
}

impl std::fmt::Debug for CollectedDeposit {
    /// Without what is signed: whoever has it can carry it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CollectedDeposit")
            .field("amount", &self.amount)
            .field("collector", &self.collector)
            .finish_non_exhaustive()
    }
}

impl AuthorizedDeposit {
    /// The authorization: the payer signs its [`receive_digest`](Authorization::receive_digest) in the token's domain.
    pub fn authorization(&self, payer: Address, channel: ChannelId) -> Authorization {
        Authorization {
            from: payer,
            to: AUTHORIZATION_COLLECTOR,
            value: self.amount.into(),
            valid_after: self.valid_after,
            valid_before: self.valid_before,
            nonce: deposit_nonce(channel, self.salt),
        }
    }

    /// Signed, by an account or by a contract in whatever way it signs (without the wrapping of ERC-6492).
    pub fn collected(&self, signature: &[u8]) -> CollectedDeposit {
        let bytes = Arguments::new()
            .word(self.valid_after)
            .word(self.valid_before)
            .word(self.salt)
            .bytes(signature)
            .encode();
        CollectedDeposit { amount: self.amount, collector: AUTHORIZATION_COLLECTOR, collector_bytes: bytes }
    }
}

impl PermittedDeposit {
    /// The transfer: the payer signs its [`digest`](Permit2Transfer::digest) in Permit2's domain.
    pub fn transfer(&self, token: Address, channel: ChannelId) -> Permit2Transfer<DepositWitness> {
        Permit2Transfer {
            token,
            amount: self.amount.into(),
            spender: PERMIT2_COLLECTOR,
            nonce: self.nonce,
            deadline: self.deadline,
            witness: DepositWitness { channel },
        }
    }

    /// Signed. Where Permit2 has no allowance yet, the token's own permit (EIP-2612) of exactly the amount comes along.
    pub fn collected(&self, signature: &[u8], allowance: Option<(&Permit, &Signature)>) -> CollectedDeposit {
        let permit = allowance.map_or_else(Vec::new, |(permit, signature)| {
            let [r, s] = [signature.r(), signature.s()].map(|number| Word::from_bytes(*number));
            let arguments = Arguments::new().word(permit.value).word(permit.deadline);
            arguments.words([u64::from(signature.v()).into(), r, s]).encode()
        });
        let bytes =
            Arguments::new().word(self.nonce).word(self.deadline).bytes(signature).bytes(&permit).encode();
        CollectedDeposit { amount: self.amount, collector: PERMIT2_COLLECTOR, collector_bytes: bytes }
    }
}
