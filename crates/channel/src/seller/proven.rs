//! A voucher that came, and the same voucher when it is known whom it is by. Rules take only the second, so that none is
//! asked about a voucher that nobody has verified.

use farthing_money::Amount;

use super::Refused;
use crate::domain::Domain;
use crate::public_key::PublicKey;
use crate::signature::Signature;
use crate::terms::{ChannelId, ChannelTerms};
use crate::voucher::Voucher;

/// What a payer sent: the words of a stranger.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The channel's terms.
    pub terms: ChannelTerms,
    /// The id that goes with them.
    pub channel: ChannelId,
    /// What the voucher allows in all.
    pub ceiling: Amount,
    /// Its signature.
    pub signature: &'a [u8],
}

/// A voucher that is signed by whom its channel names.
#[derive(Clone, PartialEq, Eq)]
pub struct Proven {
    terms: ChannelTerms,
    channel: ChannelId,
    ceiling: Amount,
    signature: Vec<u8>,
    signer: Option<PublicKey>,
}

impl std::fmt::Debug for Proven {
    /// Without the signature.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proven")
            .field("channel", &self.channel)
            .field("ceiling", &self.ceiling)
            .finish_non_exhaustive()
    }
}

impl Presented<'_> {
    /// Verifies it. Whoever knows the signer's key from the channel's last voucher gives it: verifying is cheaper than
    /// recovering. The domain is [`batch_domain`](crate::batch_domain) of the chain, made once.
    ///
    /// By a known key a signature is taken whose last byte is wrong, which the escrow would refuse: whoever claims it mends
    /// it first, by [`ClaimRow::mended`](crate::ClaimRow::mended).
    pub fn prove(&self, batch: &Domain, known: Option<PublicKey>) -> Result<Proven, Refused> {
        let digest = self.digest(batch)?;
        let authorizer = self.terms.voucher_signer().ok_or(Refused::PayerAuthorizerRequired)?;
        let signature = Signature::from_bytes(self.signature).map_err(|_| Refused::VoucherSignature)?;
        let known = known.filter(|key| key.address() == authorizer);
        let signer = match known {
            Some(key) if key.verify(&digest, &signature) => key,
            Some(_) => return Err(Refused::VoucherSignature),
            None => signature.recover_key(&digest).map_err(|_| Refused::VoucherSignature)?,
        };
        if known.is_none() && signer.address() != authorizer {
            return Err(Refused::VoucherSignature);
        }
        Ok(self.proven(Some(signer)))
    }

    /// What the chain has to be asked about when the payer itself signs: does the payer take this signature of this digest?
    /// `None` if an authorizer signs, whom nobody needs to ask.
    pub fn question(&self, batch: &Domain) -> Result<Option<crate::Digest>, Refused> {
        let digest = self.digest(batch)?;
        Ok(self.terms.voucher_signer().is_none().then_some(digest))
    }

    /// The voucher of a channel without an authorizer, after the chain has said yes to its [`question`](Self::question).
    pub fn vouched(&self, batch: &Domain) -> Result<Proven, Refused> {
        self.question(batch)?.ok_or(Refused::VoucherSignature)?;
        Ok(self.proven(None))
    }

    fn digest(&self, batch: &Domain) -> Result<crate::Digest, Refused> {
        if self.terms.id(batch) != self.channel {
            return Err(Refused::ChannelIdMismatch);
        }
        Ok(Voucher { channel: self.channel, cumulative: self.ceiling }.batch_digest(batch))
    }

    fn proven(&self, signer: Option<PublicKey>) -> Proven {
        Proven {
            terms: self.terms,
            channel: self.channel,
            ceiling: self.ceiling,
            signature: self.signature.to_vec(),
            signer,
        }
    }
}

impl Proven {
    /// The channel's terms.
    pub const fn terms(&self) -> &ChannelTerms {
        &self.terms
    }

    /// The channel.
    pub const fn channel(&self) -> ChannelId {
        self.channel
    }

    /// What the voucher allows in all.
    pub const fn ceiling(&self) -> Amount {
        self.ceiling
    }

    /// Its signature, as it came. Before it goes into a claim, [`ClaimRow::mended`](crate::ClaimRow::mended) looks at its
    /// last byte.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Whose key it is by, to be kept for the next voucher; `None` if the payer itself was asked by the chain.
    pub const fn signer(&self) -> Option<PublicKey> {
        self.signer
    }
}
