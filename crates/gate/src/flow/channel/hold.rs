//! A voucher is held on its channel: one at a time, because the next one builds on what this one is charged.

use std::sync::Arc;

use farthing_channel::seller::{self, trusted_seconds};
use farthing_engine::{
    Answer, ChannelRow, Command, Funds, HeldVoucher, Hold, PaymentId, PaymentRow, PaymentState, Refusal,
    Reject, RequestTag,
};
use farthing_money::{Amount, Span};

use super::owed::{Asking, Payer};
use super::{ChannelPayment, Shared, Shown};
use crate::chain::{ChainRefusal, channel_text};
use crate::flow::end::{Funding, Held};
use crate::flow::pay::Outcome;
use crate::flow::refusal::Refused;
use crate::limit::Work;

/// How long it is good to know that a channel has no money: its payer may be about to put some in.
pub(super) const EMPTY: Span = Span::from_secs(2);

impl Shared {
    /// Sets a voucher aside for the request that it came with, or goes on with the payment that it made before.
    pub(super) async fn hold_voucher(
        self: &Arc<Self>,
        mut shown: Shown<'_>,
        work: Work,
    ) -> Result<Outcome, Refused> {
        let Some((payment, base)) = shown.payment() else {
            work.genuine();
            return Err(self.corrected(&shown, seller::Refused::CumulativeAmountMismatch));
        };
        let resource = shown.quote.resource(&self.config.secrets.challenge);
        let tag =
            RequestTag::of_parts("farthing/request/channel/1", [shown.digest.unwrap_or("unread").as_bytes()]);
        if let Some(row) = self.config.read.payment(payment).map_err(Refusal::Fault)? {
            work.genuine();
            return self.join_voucher(&shown, (payment, base), row, (&resource, tag));
        }
        if let Some(over) = shown.over.take() {
            work.genuine();
            return Err(over);
        }
        let now = (self.config.clock)();
        // In a session, the challenge is a name already.
        let name = if shown.is_session { None } else { self.name_in(shown.quote, Some(shown.payload))? };
        let payer = Some(shown.voucher.terms().payer);
        let bound = shown.digest.is_some();
        let marks = self.marks(shown.quote, (name, payer), (payment, bound), (shown.payable.price, now))?;
        let work = self.bring(&shown, (payment, base), work).await?;
        let row = self.channel_row(&shown, base, work).await?;
        let price = shown.payable.price;
        let (held, asking) = self.held_voucher(&shown, &row)?;
        let command = Hold {
            payment,
            funds: Funds::Voucher(Box::new(held)),
            price: price.amount(),
            asset: price.asset(),
            merchant: shown.quote.payees_by(&self.config.names.merchant, &shown.payable),
            resource: resource.clone(),
            tag,
            tax_code: shown.quote.tax_code,
            marks,
        };
        let answer = self.config.execute.execute(Command::Hold(command)).await;
        let paid = self.payment_through(&shown, base, &row);
        if matches!(answer, Ok(Answer::Held(_))) {
            self.note_owed(&paid);
        }
        drop(asking);
        match answer {
            Ok(Answer::Held(row)) => {
                let funding = Funding::Channel(Box::new(paid));
                Ok(Outcome::Held(Arc::new(Held { payment, funding, row: *row, price, bound })))
            }
            Ok(Answer::Posted(row)) => self.join_voucher(&shown, (payment, base), *row, (&resource, tag)),
            Ok(_) => Err(Refusal::Reject(Reject::NotLoaded).into()),
            Err(refusal) => Err(self.not_held(&shown, payment, refusal, (&resource, tag))),
        }
    }

    /// The channel as the books have it, after a look at the chain if nobody watches it or if they do not know it.
    async fn channel_row(
        &self,
        shown: &Shown<'_>,
        base: Amount,
        work: Option<Work>,
    ) -> Result<ChannelRow, Refused> {
        let read = || self.config.read.channel(shown.channel()).map_err(Refusal::Fault);
        let Some(row) = read()? else {
            // Anybody can make up a channel and sign for it. Only one that has money was not asked for in vain.
            let terms = shown.voucher.terms();
            shown.desk.offer.check(terms)?;
            let looked = self.look(shown, Some(base), EMPTY).await;
            let row = if looked.is_ok() { read()? } else { None };
            if row.is_some() || matches!(looked, Err(ChainRefusal::Unreachable(_))) {
                work.into_iter().for_each(Work::genuine);
            }
            looked?;
            return Ok(row.ok_or(seller::Refused::ChannelNotFound)?);
        };
        if shown.voucher.ceiling() > row.books.chain().balance {
            return self.filled_since(shown, row, work).await;
        }
        work.into_iter().for_each(Work::genuine);
        if shown.channels.is_fresh(shown.desk.chain) {
            return Ok(row);
        }
        let good_for = Span::from_secs(trusted_seconds(row.terms.withdraw_delay).into());
        self.look(shown, None, good_for).await?;
        Ok(read()?.ok_or(seller::Refused::ChannelNotFound)?)
    }

    /// The channel of a voucher for more than the books know of, after a look at the chain: its payer may have put money in while
    /// nobody watched, and channels that were empty are not looked at by a start.
    async fn filled_since(
        &self,
        shown: &Shown<'_>,
        row: ChannelRow,
        work: Option<Work>,
    ) -> Result<ChannelRow, Refused> {
        let looked = self.look(shown, None, EMPTY).await;
        let is_fresh = shown.channels.is_fresh(shown.desk.chain);
        let row = self.config.read.channel(shown.channel()).map_err(Refusal::Fault)?.unwrap_or(row);
        let is_silent = !is_fresh && matches!(looked, Err(ChainRefusal::Unreachable(_)));
        if is_silent || shown.voucher.ceiling() <= row.books.chain().balance {
            work.into_iter().for_each(Work::genuine);
        }
        if !is_fresh {
            looked?;
        }
        Ok(row)
    }

    /// Asks the chain how a channel stands, unless somebody just has.
    pub(super) async fn look(
        &self,
        shown: &Shown<'_>,
        before: Option<Amount>,
        good_for: Span,
    ) -> Result<(), ChainRefusal> {
        // Nothing is asked before somebody waits for it.
        let see = async { shown.channels.see(&shown.desk, shown.voucher.terms(), before).await };
        self.channels.looks.look(shown.channel(), good_for, &*self.config.clock, see).await
    }

    /// The voucher with all that the rules look at, and a guard for what its payer owes with it.
    fn held_voucher(
        &self,
        shown: &Shown<'_>,
        row: &ChannelRow,
    ) -> Result<(HeldVoucher, Option<Asking>), Refused> {
        let offer = shown.desk.offer;
        let owed = shown.voucher.ceiling().checked_sub(row.books.chain().claimed).unwrap_or_default();
        let (owed_elsewhere, asking) = match self.ask_owed(shown, Payer::of(row), owed)? {
            Some((elsewhere, asking)) => (elsewhere, Some(asking)),
            None => (Amount::ZERO, None),
        };
        let (voucher, price, accounts) = (shown.voucher.clone(), shown.units, row.accounts);
        Ok((HeldVoucher { voucher, price, offer, owed_elsewhere, accounts }, asking))
    }

    /// What a payer owes through its other channels, where that is limited.
    pub(super) fn ask_owed(
        &self,
        shown: &Shown<'_>,
        payer: Payer,
        owed: Amount,
    ) -> Result<Option<(Amount, Asking)>, Refused> {
        let Some(most) = shown.desk.offer.exposure_most else { return Ok(None) };
        let (setbacks, who) = (shown.channels.setbacks(), (payer, shown.channel()));
        let asked = self.channels.owed.ask(&*self.config.read, setbacks, who, (owed, most));
        Ok(Some(asked.map_err(Refusal::Fault)?))
    }

    /// The payment that a voucher makes, through the channel as the books have it.
    pub(super) fn payment_through(
        &self,
        shown: &Shown<'_>,
        base: Amount,
        row: &ChannelRow,
    ) -> ChannelPayment {
        let deposit = shown.deposit.map(|deposit| channel_text::deposit_call(shown.channel(), deposit));
        ChannelPayment {
            offer: shown.offer.clone(),
            desk: shown.desk.clone(),
            channel: shown.channel(),
            base,
            units: shown.units,
            payer: Payer::of(row),
            accounts: row.accounts,
            deposit: deposit.and_then(|call| self.deposited(call)),
        }
    }

    /// Takes over what is owed through the channel of a payment, where that is limited.
    pub(in crate::flow) fn note_owed(&self, paid: &ChannelPayment) {
        if paid.desk.offer.exposure_most.is_none() {
            return;
        }
        if let Err(error) = self.channels.owed.book(&*self.config.read, paid.payer, paid.channel) {
            // What stood there was more, or is read anew before anybody is refused.
            tracing::error!(%error, "what is owed through a channel cannot be read");
        }
    }

    /// Why a voucher is not held, in words that help its payer on.
    fn not_held(
        &self,
        shown: &Shown<'_>,
        payment: PaymentId,
        refusal: Refusal,
        request: (&str, RequestTag),
    ) -> Refused {
        use seller::Refused::{
            ChannelBusy, ChannelNotFound, CumulativeAmountMismatch, CumulativeBelowClaimed,
        };
        match refusal {
            Refusal::Reject(Reject::Channel(
                refused @ (CumulativeAmountMismatch | CumulativeBelowClaimed),
            )) => self.corrected(shown, refused),
            Refusal::Reject(Reject::PaymentElsewhere(_)) => self.corrected(shown, CumulativeAmountMismatch),
            Refusal::Reject(Reject::UnknownChannel(_)) => ChannelNotFound.into(),
            Refusal::Reject(Reject::PaymentUnderWay(_)) => match self.config.read.payment(payment) {
                Ok(Some(row)) if is_same(&row, request) => refusal.into(),
                Ok(_) => ChannelBusy.into(),
                Err(fault) => Refusal::Fault(fault).into(),
            },
            refusal => refusal.into(),
        }
    }

    /// Goes on with a payment that came before, if it came with the same request. With another one, its total is over or
    /// its channel is at work.
    fn join_voucher(
        self: &Arc<Self>,
        shown: &Shown<'_>,
        (payment, base): (PaymentId, Amount),
        row: PaymentRow,
        request: (&str, RequestTag),
    ) -> Result<Outcome, Refused> {
        let is_same = is_same(&row, request);
        match row.state {
            PaymentState::Posted if is_same => self.voucher_again(shown, (payment, base), row),
            PaymentState::Posted => Err(self.corrected(shown, seller::Refused::CumulativeAmountMismatch)),
            _ if is_same => Err(Refusal::Reject(Reject::PaymentUnderWay(payment)).into()),
            _ => Err(seller::Refused::ChannelBusy.into()),
        }
    }
}

fn is_same(row: &PaymentRow, (resource, tag): (&str, RequestTag)) -> bool {
    row.resource == resource && row.tag == tag
}
