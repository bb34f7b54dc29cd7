//! What payers are told of a channel: after a payment what it has cost and where the channel stands, and whoever signs for
//! another total than ours, which one is.

use farthing_channel::seller;
use farthing_money::Money;
use farthing_wire::x402::batch::{ChannelAnswer, ChannelStateText, SCHEME_BATCH, VoucherStateText};
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::{AddressText, Requirements, SettleResponse};

use super::{ChannelPayment, Shared, Shown};
use crate::chain::channel_text;
use crate::flow::refusal::Refused;

/// A refusal that tells a payer where its channel stands. Only for whoever has signed for it.
#[derive(Debug)]
pub(in crate::flow) struct Corrective {
    /// Why.
    pub(in crate::flow) refused: seller::Refused,
    network: String,
    asset: Option<AddressText>,
    state: ChannelStateText,
    voucher: Option<VoucherStateText>,
}

impl Corrective {
    /// Puts it into the offer that it is about, and that one first: clients read the first of its scheme, and of offers that
    /// find no room the last ones go.
    pub(in crate::flow) fn put(&self, offers: &mut Vec<Requirements>) {
        let is_its = |offer: &Requirements| {
            offer.scheme == SCHEME_BATCH
                && offer.network == self.network
                && offer.asset_address() == self.asset
        };
        let Some(place) = offers.iter().position(is_its) else { return };
        let offer = offers.remove(place);
        let extra = offer.extra.with_channel(&self.state, self.voucher.as_ref());
        offers.insert(0, Requirements { extra, ..offer });
    }
}

impl Shared {
    /// A refusal of a total, with the one that would be right. Whoever has shown the voucher may know; but whoever may have read it
    /// on the chain is told what the chain says and no more.
    pub(super) fn corrected(&self, shown: &Shown<'_>, refused: seller::Refused) -> Refused {
        let row = match self.config.read.channel(shown.channel()) {
            Ok(row) => row.map(|row| row.books).unwrap_or_default(),
            Err(fault) => return farthing_engine::Refusal::Fault(fault).into(),
        };
        let told = row.corrective();
        let is_public = match self.is_public(&shown.voucher, told.chain.claimed) {
            Ok(is_public) => is_public,
            Err(fault) => return farthing_engine::Refusal::Fault(fault).into(),
        };
        let mut state = channel_text::state(shown.channel(), &told.chain, told.charged);
        if is_public {
            state.charged_cumulative_amount = None;
        }
        Refused::Corrective(Box::new(Corrective {
            refused,
            network: shown.offer.network.clone(),
            asset: shown.offer.asset_address(),
            state,
            voucher: told.voucher.as_ref().filter(|_| !is_public).and_then(channel_text::voucher),
        }))
    }

    /// The value of `PAYMENT-RESPONSE` for a payment that was charged so much; nothing if it cannot be read what it was.
    pub(in crate::flow) fn channel_response(
        &self,
        paid: &ChannelPayment,
        charged: Money,
        fresh: bool,
    ) -> Option<SettleResponse> {
        let channels = self.config.chains.as_ref()?.channels()?;
        let channel = self.config.read.channel(paid.channel).ok()??;
        let charged = channels.units(&paid.offer, charged)?;
        // Whoever comes again builds on what was charged since.
        let total = if fresh { paid.base.checked_add(charged)? } else { channel.books.charged() };
        let state = channel_text::state(paid.channel, channel.books.chain(), total);
        let answer = ChannelAnswer { channel_state: Some(state), charged_amount: Some(charged.into()) };
        let payer = Some(channel.terms.payer.to_string());
        let transaction = paid.deposit.map(|deposit| HexText(*deposit.transaction.as_bytes()).to_string());
        let transaction = transaction.unwrap_or_default();
        let mut response = SettleResponse::settled(&paid.offer.network, transaction, payer);
        response.amount = paid.deposit.map(|deposit| deposit.units.into());
        Some(answer.within(response))
    }
}
