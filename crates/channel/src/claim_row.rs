//! One row of a claim as it goes to the escrow: a channel's terms, the voucher that allows it, and all that its receiver
//! has claimed afterwards.

use farthing_money::Amount;

use crate::abi::Arguments;
use crate::domain::Domain;
use crate::signature::Signature;
use crate::terms::ChannelTerms;
use crate::voucher::{Claim, Voucher};

/// A row of a claim. One that claims no more than was claimed before changes nothing; one that its channel does not cover
/// fails its whole batch.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClaimRow {
    /// The channel.
    pub terms: ChannelTerms,
    /// What its voucher allows in all.
    pub ceiling: Amount,
    /// The voucher's signature: an account's 65 bytes, or whatever a payer that is a contract takes for one.
    pub signature: Vec<u8>,
    /// All that the receiver has claimed afterwards.
    pub total_claimed: Amount,
}

impl std::fmt::Debug for ClaimRow {
    /// Without the signature: until it is claimed it is money.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClaimRow")
            .field("terms", &self.terms)
            .field("ceiling", &self.ceiling)
            .field("total_claimed", &self.total_claimed)
            .finish_non_exhaustive()
    }
}

impl ClaimRow {
    /// What the receiver's authorizer signs of it.
    pub fn claim(&self, batch: &Domain) -> Claim {
        Claim { channel: self.terms.id(batch), cumulative: self.ceiling, total_claimed: self.total_claimed }
    }

    /// The row with its signature as the escrow reads it; `None` if it is not the authorizer's. Every row goes through here
    /// before it is claimed: a voucher that was verified by a known key may name the wrong one of two (see
    /// [`Signature::naming`]), and would be served and never paid. Where the payer itself signs, the row stays as it is.
    #[must_use]
    pub fn mended(mut self, batch: &Domain) -> Option<Self> {
        let Some(authorizer) = self.terms.voucher_signer() else { return Some(self) };
        let voucher = Voucher { channel: self.terms.id(batch), cumulative: self.ceiling };
        let signature = Signature::from_bytes(&self.signature).ok()?;
        self.signature = signature.naming(authorizer, &voucher.batch_digest(batch))?.to_bytes().to_vec();
        Some(self)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        Arguments::new()
            .words(self.terms.words())
            .word(self.ceiling)
            .bytes(&self.signature)
            .word(self.total_claimed)
            .encode()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain_id::ChainId;
    use crate::key::SigningKey;
    use crate::terms::{Salt, batch_domain};

    /// Verification by a known key takes both last bytes, the escrow only one: a payer could have been served for a voucher
    /// that nobody can claim.
    #[test]
    fn a_voucher_that_names_the_wrong_key_is_mended() {
        let key = SigningKey::from_bytes([7; 32]).unwrap();
        let batch = batch_domain(ChainId::new(1));
        let of = |byte| crate::Address::from_bytes([byte; 20]);
        let terms = ChannelTerms {
            payer: of(1),
            payer_authorizer: key.address(),
            receiver: of(3),
            receiver_authorizer: of(4),
            token: of(5),
            withdraw_delay: 900,
            salt: Salt::from_bytes([0; 32]),
        };
        let voucher = Voucher { channel: terms.id(&batch), cumulative: Amount::new(5) };
        let digest = voucher.batch_digest(&batch);
        let good = key.sign(&digest).to_bytes().to_vec();
        let mut bad = good.clone();
        let last = bad.last_mut().unwrap();
        *last = 27 + 28 - *last;
        let forged = Signature::from_bytes(&bad).unwrap();
        assert!(key.public_key().verify(&digest, &forged));
        assert_ne!(forged.recover(&digest).ok(), Some(key.address()));
        let row =
            |signature| ClaimRow { terms, ceiling: Amount::new(5), signature, total_claimed: Amount::new(4) };
        assert_eq!(row(bad.clone()).mended(&batch), Some(row(good.clone())));
        assert_eq!(row(good.clone()).mended(&batch), Some(row(good.clone())));
        let other = SigningKey::from_bytes([8; 32]).unwrap();
        assert_eq!(row(other.sign(&digest).to_bytes().to_vec()).mended(&batch), None);
        let alone = ChannelTerms { payer_authorizer: crate::Address::ZERO, ..terms };
        let of_contract = ClaimRow { terms: alone, ..row(vec![1; 70]) };
        assert_eq!(of_contract.clone().mended(&batch), Some(of_contract), "a contract signs as it likes");
        let higher = ClaimRow { ceiling: Amount::new(6), ..row(good.clone()) };
        assert_eq!(higher.mended(&batch), None, "it is the signature of another voucher");
        assert_eq!(row(vec![1; 70]).mended(&batch), None);
        assert!(!format!("{:?}", row(good.clone())).contains(&format!("{good:?}")));
    }
}
