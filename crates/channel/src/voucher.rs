//! What is signed while a channel lives: vouchers of its payer, claims and refunds of its receiver. All amounts are
//! cumulative, so that a later one replaces every earlier one.

use std::sync::LazyLock;

use farthing_money::Amount;

use crate::digest::{Digest, keccak256};
use crate::domain::Domain;
use crate::terms::ChannelId;
use crate::typed_data::{StructHash, TypeHash};
use crate::word::Word;

static BATCH_VOUCHER: TypeHash =
    LazyLock::new(|| keccak256(b"Voucher(bytes32 channelId,uint128 maxClaimableAmount)"));
static SESSION_VOUCHER: TypeHash =
    LazyLock::new(|| keccak256(b"Voucher(bytes32 channelId,uint128 cumulativeAmount)"));
static REFUND: TypeHash =
    LazyLock::new(|| keccak256(b"Refund(bytes32 channelId,uint256 nonce,uint128 amount)"));
static CLAIM: TypeHash = LazyLock::new(|| keccak256(CLAIM_TEXT.as_bytes()));
static CLAIMS: TypeHash =
    LazyLock::new(|| keccak256(format!("ClaimBatch(ClaimEntry[] claims){CLAIM_TEXT}").as_bytes()));

const CLAIM_TEXT: &str = "ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)";

/// How much of a channel its receiver may have in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Voucher {
    /// The channel.
    pub channel: ChannelId,
    /// All that has been paid through it so far, this payment included.
    pub cumulative: Amount,
}

impl Voucher {
    /// What the payer signs in x402's `batch-settlement`. The domain is [`batch_domain`](crate::batch_domain) of the chain.
    pub fn batch_digest(&self, batch: &Domain) -> Digest {
        batch.digest(&self.hash(&BATCH_VOUCHER))
    }

    /// What the payer signs in MPP's `evm` session. The domain is [`session_domain`](crate::session_domain) of the escrow.
    pub fn session_digest(&self, session: &Domain) -> Digest {
        session.digest(&self.hash(&SESSION_VOUCHER))
    }

    fn hash(&self, type_hash: &Digest) -> Digest {
        StructHash::new(type_hash).word(self.channel).word(self.cumulative).finish()
    }
}

/// Money of a channel that its receiver gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Refund {
    /// The channel.
    pub channel: ChannelId,
    /// The channel's count of refunds.
    pub nonce: Word,
    /// How much.
    pub amount: Amount,
}

impl Refund {
    /// What the receiver's authorizer signs. The domain is [`batch_domain`](crate::batch_domain) of the chain.
    pub fn digest(&self, batch: &Domain) -> Digest {
        let hash = StructHash::new(&REFUND).word(self.channel).word(self.nonce).word(self.amount);
        batch.digest(&hash.finish())
    }
}

/// What a receiver claims of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The channel.
    pub channel: ChannelId,
    /// What its voucher allows.
    pub cumulative: Amount,
    /// All that the receiver has claimed afterwards, not more than that.
    pub total_claimed: Amount,
}

/// What the receiver's authorizer signs for claims of several channels. The domain is
/// [`batch_domain`](crate::batch_domain) of the chain.
pub fn claims_digest(claims: &[Claim], batch: &Domain) -> Digest {
    let hashes = claims.iter().map(|claim| {
        StructHash::new(&CLAIM).word(claim.channel).word(claim.cumulative).word(claim.total_claimed).finish()
    });
    batch.digest(&StructHash::new(&CLAIMS).list(hashes).finish())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::chain_id::ChainId;
    use crate::terms::batch_domain;

    #[test]
    fn no_kind_of_message_is_another() {
        let (batch, channel, amount) =
            (batch_domain(ChainId::new(1)), ChannelId::from_bytes([1; 32]), Amount::new(5));
        let voucher = Voucher { channel, cumulative: amount };
        let claim = Claim { channel, cumulative: amount, total_claimed: amount };
        let digests = BTreeSet::from([
            voucher.batch_digest(&batch),
            voucher.session_digest(&batch),
            Refund { channel, nonce: Word::ZERO, amount }.digest(&batch),
            claims_digest(&[], &batch),
            claims_digest(&[claim], &batch),
            claims_digest(&[claim, claim], &batch),
        ]);
        assert_eq!(digests.len(), 6);
    }

    proptest! {
        #[test]
        fn every_bit_counts(channel: [u8; 32], amount: u128, bit in 0u32..128, place in 0usize..32) {
            let batch = batch_domain(ChainId::new(1));
            let voucher = Voucher { channel: ChannelId::from_bytes(channel), cumulative: Amount::new(amount) };
            let more = Voucher { cumulative: Amount::new(amount ^ (1 << bit)), ..voucher };
            let mut other = channel;
            other[place] ^= 1 << (bit % 8);
            let elsewhere = Voucher { channel: ChannelId::from_bytes(other), ..voucher };
            for changed in [more, elsewhere] {
                prop_assert_ne!(changed.batch_digest(&batch), voucher.batch_digest(&batch));
                prop_assert_ne!(changed.session_digest(&batch), voucher.session_digest(&batch));
            }
        }
    }
}
