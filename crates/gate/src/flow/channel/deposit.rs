//! A deposit that comes with its first voucher: judged, carried to the chain once, and seen there before anybody is served for
//! it. Only what is confirmed counts.
//!
//! The same deposit sent again goes on where it is. It may also be carried by somebody else, since all of it is public on
//! its way: then ours fails, and what the chain says of the channel decides.

use farthing_channel::seller::{self, Asked};
use farthing_engine::{
    CallId, CallReject, ChannelRow, ChannelStep, Command, MakeChannelCall, Outcome as Ended, PaymentId,
    Refusal, Reject, SettlementRow, TransactionId,
};
use farthing_money::{Amount, Span};
use farthing_wire::x402::Reason;
use farthing_wire::x402::batch::{BatchError, DepositPayload};

use super::hold::EMPTY;
use super::owed::Payer;
use super::{Shared, Shown, excuse};
use crate::chain::{ChainRefusal, channel_text};
use crate::flow::refusal::Refused;
use crate::limit::Work;

/// How long a deposit that was carried out may be on its way to be confirmed. What is missing after that is missing.
const CONFIRMED_WITHIN: Span = Span::from_secs(3_600);

/// A deposit that is on the chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deposited {
    pub(super) transaction: TransactionId,
    pub(super) units: Amount,
}

impl Deposited {
    /// What the books say of a call that has ended; nothing if no money has moved by it.
    fn of(row: &SettlementRow) -> Option<Self> {
        let Ended::Settled { transaction, .. } = &row.outcome else { return None };
        Some(Self { transaction: *transaction, units: row.row.call.moves.units })
    }
}

impl Shared {
    /// What became of the deposit that came with a voucher, if money has moved by it.
    pub(super) fn deposited(&self, id: CallId) -> Option<Deposited> {
        self.config.read.settlement(id).ok().flatten().as_ref().and_then(Deposited::of)
    }

    /// Brings the deposit that comes with a voucher, if one does, into its channel, and waits until it counts.
    pub(super) async fn bring(
        &self,
        shown: &Shown<'_>,
        (payment, base): (PaymentId, Amount),
        work: Work,
    ) -> Result<Option<Work>, Refused> {
        let Some(deposit) = shown.deposit else { return Ok(Some(work)) };
        let id = channel_text::deposit_call(shown.channel(), deposit);
        // A copy has asked in vain.
        let waiting = self.channels.waits.begin(id).ok_or(Refused::Settling(payment))?;
        if self.is_brought(id)? {
            work.genuine();
        } else {
            self.carry(shown, deposit, (id, base), work).await?;
        }
        let outcome = shown.chains.ended(id).await.ok_or(Refused::Settling(payment))?;
        shown.channels.see(&shown.desk, shown.voucher.terms(), Some(base)).await?;
        let row = self.config.read.channel(shown.channel()).map_err(Refusal::Fault)?;
        let balance = row.as_ref().map(|row| row.books.chain().balance).unwrap_or_default();
        if balance < shown.voucher.ceiling() {
            self.is_missing(id, (payment, outcome), row.as_ref())?;
        }
        drop(waiting);
        Ok(None)
    }

    /// Whether a deposit is on its way or has arrived. One that has failed may be tried again.
    fn is_brought(&self, id: CallId) -> Result<bool, Refused> {
        let read = &self.config.read;
        if read.call(id).map_err(Refusal::Fault)?.is_some() {
            return Ok(true);
        }
        let ended = read.settlement(id).map_err(Refusal::Fault)?;
        Ok(ended.is_some_and(|ended| matches!(ended.outcome, Ended::Settled { .. })))
    }

    /// The chain does not say that there is enough, although the call has ended.
    fn is_missing(
        &self,
        id: CallId,
        (payment, outcome): (PaymentId, Ended),
        row: Option<&ChannelRow>,
    ) -> Result<(), Refused> {
        if let Ended::Failed { reason, .. } = outcome {
            return Err(Refused::NotSettled { payment, reason });
        }
        let ended = self.config.read.settlement(id).map_err(Refusal::Fault)?;
        let now = (self.config.clock)();
        let is_late = ended.is_some_and(|ended| ended.at.after(CONFIRMED_WITHIN) <= now);
        let is_leaving = row.is_some_and(|row| row.books.chain().withdraw_since.is_some());
        // Whoever has taken it out again is told so by the rules.
        if is_late || is_leaving { Ok(()) } else { Err(Refused::Settling(payment)) }
    }

    /// Judges a deposit and asks for it to be carried.
    async fn carry(
        &self,
        shown: &Shown<'_>,
        deposit: &DepositPayload,
        (id, base): (CallId, Amount),
        work: Work,
    ) -> Result<(), Refused> {
        let channel = shown.channel();
        let read = || self.config.read.channel(channel).map_err(Refusal::Fault);
        let (mut row, mut work) = (read()?, work);
        if row.is_none() {
            shown.desk.offer.check(shown.voucher.terms())?;
            let looked = self.look(shown, Some(base), EMPTY).await;
            ((), work) = excuse(work, looked)?;
            row = read()?;
        }
        self.judge(shown, deposit, row.as_ref())?;
        let judged = shown.channels.deposit(&shown.offer, deposit, &shown.payload.extensions).await;
        // Another request may have brought the very same one meanwhile.
        if matches!(judged, Err(ChainRefusal::Invalid { .. })) && self.is_brought(id)? {
            work.genuine();
            return Ok(());
        }
        let (sound, work) = excuse(work, judged)?;
        let taken = self.channels.funds.take(&*self.config.read, (id, &sound)).map_err(Refusal::Fault)?;
        let taken = taken.ok_or_else(not_enough)?;
        work.genuine();
        let (terms, desk) = (*shown.voucher.terms(), &shown.desk);
        let at = (self.config.clock)();
        let opens = ChannelRow::new((desk.chain, terms), (desk.asset, desk.unit), desk.accounts, at);
        let (step, opens) = (ChannelStep::Deposit(channel), Some(Box::new(opens)));
        let command = MakeChannelCall { id, call: sound.call, step, opens, charged: Amount::ZERO };
        let made = self.execute_patiently(Command::MakeChannelCall(command)).await;
        drop(taken);
        match made {
            // Another deposit has its name: the payer has signed one of the two, and that one is carried.
            Ok(_) | Err(Refusal::Reject(Reject::Call(CallReject::Exists(_)))) => Ok(()),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Whether the voucher will be taken when the deposit is there. Nothing is sent for one that would not.
    fn judge(
        &self,
        shown: &Shown<'_>,
        deposit: &DepositPayload,
        row: Option<&ChannelRow>,
    ) -> Result<(), Refused> {
        let amount = deposit.deposit.amount.amount().ok_or(BatchError::Shape)?;
        let books = row.map(|row| row.books.clone()).unwrap_or_default();
        if row.is_some_and(|row| row.refund.is_some()) {
            return Err(seller::Refused::ChannelBusy.into());
        }
        let who = Payer::new(shown.desk.chain, shown.voucher.terms());
        let owed = shown.voucher.ceiling().checked_sub(books.chain().claimed).unwrap_or_default();
        let asked = self.ask_owed(shown, who, owed)?;
        let elsewhere = asked.as_ref().map_or(Amount::ZERO, |(elsewhere, _)| *elsewhere);
        let asked = Asked::Deposit { price: shown.units, amount };
        match books.accept(&shown.voucher, asked, &shown.desk.offer, elsewhere) {
            Ok(_) => Ok(()),
            Err(
                refused @ (seller::Refused::CumulativeAmountMismatch
                | seller::Refused::CumulativeBelowClaimed),
            ) => Err(self.corrected(shown, refused)),
            Err(refused) => Err(refused.into()),
        }
    }
}

/// There is enough for the deposit alone.
fn not_enough() -> ChainRefusal {
    let message = "expected money for this deposit and for all that is on its way from the same account; wait until that has arrived, or put more there";
    ChainRefusal::Invalid { reason: Reason::BatchInsufficientBalance, message: message.to_owned() }
}
