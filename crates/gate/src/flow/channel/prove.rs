//! Whose a voucher is: found out before anything else is.

use farthing_channel::seller::{self, Presented, Proven};
use farthing_channel::{ChannelId, ChannelTerms};
use farthing_money::Amount;
use farthing_wire::x402::batch::{PayerPayload, VoucherFields};

use super::Shared;
use crate::chain::channel::{ChannelDesk, Channels};
use crate::chain::channel_text;
use crate::flow::refusal::Refused;

/// About how many multiplications of a point it takes to recover a key; to verify by a known one takes hardly less.
const WEIGHT: usize = 1;

impl Shared {
    /// Proves the voucher of a payload. A payer that is a contract is asked itself, if such payers are taken.
    pub(super) async fn prove(
        &self,
        channels: &dyn Channels,
        desk: &ChannelDesk,
        sent: &PayerPayload,
    ) -> Result<Proven, Refused> {
        let (terms, fields) = (channel_text::terms(sent.config())?, sent.voucher());
        let channel = ChannelId::from_bytes(fields.channel_id.0);
        // Nobody can have signed for more than an amount can be.
        let ceiling = fields.max_claimable_amount.amount().ok_or(seller::Refused::VoucherSignature)?;
        if terms.voucher_signer().is_none() && desk.offer.takes_contracts {
            return self.ask_payer(channels, desk, (terms, channel, ceiling), fields).await;
        }
        let known = self.channels.keys.get(channel);
        let (domain, signature) = (desk.domain.clone(), fields.signature.as_bytes().to_vec());
        let prove =
            move || Presented { terms, channel, ceiling, signature: &signature }.prove(&domain, known);
        let proven = self.config.crypto.run(WEIGHT, prove).await??;
        if let Some(key) = proven.signer().filter(|key| known != Some(*key)) {
            self.channels.keys.put(channel, key);
        }
        Ok(proven)
    }

    /// Asks a payer that is a contract whether the voucher is its own. It may say something else when the claim comes.
    async fn ask_payer(
        &self,
        channels: &dyn Channels,
        desk: &ChannelDesk,
        (terms, channel, ceiling): (ChannelTerms, ChannelId, Amount),
        fields: &VoucherFields,
    ) -> Result<Proven, Refused> {
        // Whom another chain's contract would have to be asked for is not asked.
        desk.offer.check(&terms)?;
        let signature = fields.signature.as_bytes();
        let presented = Presented { terms, channel, ceiling, signature };
        let digest = presented.question(&desk.domain)?.ok_or(seller::Refused::VoucherSignature)?;
        if channels.is_signed_by(desk.chain, terms.payer, digest, signature).await? {
            Ok(presented.vouched(&desk.domain)?)
        } else {
            Err(seller::Refused::VoucherSignature.into())
        }
    }
}
