//! What a voucher is charged: what the upstream says that the answer has cost, at most the price that was signed.

use farthing_engine::{Answer, ChargeVoucher, Command, Refusal, Reject};
use farthing_money::{Amount, Money, Timestamp};

use super::{ChannelPayment, Shared};
use crate::flow::end::{Charged, Held};
use crate::flow::refusal::Refused;

impl Shared {
    /// What is charged in units of a channel's token, rounded so that the token can show it; nothing if it cannot.
    pub(in crate::flow) fn units(&self, paid: &ChannelPayment, charged: Money) -> Option<Amount> {
        let channels = self.config.chains.as_ref().and_then(|chains| chains.channels())?;
        channels.units(&paid.offer, charged).filter(|units| *units <= paid.units)
    }

    /// Charges what is held on a channel. Nothing is sent to a chain: what was charged is claimed some time, with others.
    pub(in crate::flow) async fn charge_voucher_once(
        &self,
        held: &Held,
        paid: &ChannelPayment,
        pass_until: Option<Timestamp>,
        charged: Money,
    ) -> Result<Charged, Refused> {
        let payment = held.payment;
        let channels = self.config.chains.as_ref().and_then(|chains| chains.channels());
        let channels = channels.ok_or(Refusal::Reject(Reject::PaymentNotHeld(payment)))?;
        // A cost that the token cannot show is charged like one that nobody said.
        let shown = (charged != held.price).then(|| channels.units(&paid.offer, charged));
        let units = shown.flatten().filter(|units| *units <= paid.units).unwrap_or(paid.units);
        let command = ChargeVoucher {
            payment,
            channel: paid.channel,
            accounts: paid.accounts,
            merchant: held.row.merchant.clone(),
            asset: held.row.asset,
            charged: units,
            pass_until,
            marks: held.row.marks,
        };
        match self.config.execute.execute(Command::ChargeVoucher(command)).await {
            Ok(Answer::Posted(row)) => {
                self.note_owed(paid);
                if !units.is_zero() {
                    self.channels.resumed.charged(paid.channel);
                }
                Ok((*row, Vec::new()))
            }
            Ok(_) => Err(Refusal::Reject(Reject::NotLoaded).into()),
            Err(Refusal::Reject(reject)) => Err(Refusal::Reject(reject).into()),
            Err(source) => Err(Refused::Unrecorded { payment, source }),
        }
    }
}
