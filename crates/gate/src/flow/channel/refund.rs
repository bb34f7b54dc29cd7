//! A payer wants back what is left in its channel: what it owes is claimed, the rest goes back, and no upstream is asked.

use farthing_channel::seller::{self, Asked};
use farthing_engine::{
    CallId, CallReject, ChannelRow, ChannelStep, Command, MakeChannelCall, Outcome as Ended, PaymentId,
    Refusal, Reject, TransactionId,
};
use farthing_money::Amount;
use farthing_wire::header;
use farthing_wire::x402::SettleResponse;
use farthing_wire::x402::batch::{ChannelAnswer, RefundPayload};
use farthing_wire::x402::hex_text::HexText;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use serde_json::json;

use super::hold::EMPTY;
use super::{Shared, Shown, excuse, pace, session};
use crate::body::Body;
use crate::chain::channel_text;
use crate::flow::pay::Outcome;
use crate::flow::refusal::Refused;
use crate::limit::Work;

impl Shared {
    /// Gives money back, and answers when it has gone.
    pub(super) async fn refund_channel(
        &self,
        shown: Shown<'_>,
        refund: &RefundPayload,
        work: Work,
    ) -> Result<Outcome, Refused> {
        let asked = refund.amount.as_ref().map(|amount| amount.amount().unwrap_or(Amount::MAX));
        shown.desk.offer.check(shown.voucher.terms())?;
        let looked = self.look(&shown, Some(shown.voucher.ceiling()), EMPTY).await;
        let ((), work) = excuse(work, looked)?;
        let row = self.config.read.channel(shown.channel()).map_err(Refusal::Fault)?;
        let row = row.ok_or(seller::Refused::ChannelNotFound)?;
        let made = match under_way(&shown, &row, asked) {
            Ok(None) => self.give_money_back(&shown, &row, asked).await,
            Ok(Some(under_way)) => Ok(under_way),
            Err(refused) => Err(refused),
        };
        let (id, amount) = match made {
            Ok(made) => made,
            Err(refused) => {
                work.genuine();
                return Err(refused);
            }
        };
        let named = PaymentId::from_bytes(*id.as_bytes());
        // A copy has asked in vain.
        let waiting = self.channels.waits.begin(id).ok_or(Refused::Settling(named))?;
        work.genuine();
        let ended = shown.chains.ended(id).await.ok_or(Refused::Settling(named))?;
        // The refund has ended in any case: if the chain cannot be asked now, it is at the next look.
        if let Err(refused) = shown.channels.see(&shown.desk, shown.voucher.terms(), None).await {
            tracing::warn!(%refused, "a channel cannot be looked at after its refund");
        }
        drop(waiting);
        let moved = self.moved(&shown, &row)?.unwrap_or(amount);
        match ended {
            Ended::Failed { reason, .. } => Err(Refused::NotSettled { payment: named, reason }),
            Ended::Settled { transaction, .. } => {
                Ok(Outcome::Answered(Box::new(self.refunded((&shown, named), transaction, moved)?)))
            }
        }
    }

    /// Asks for what is left to be given back.
    async fn give_money_back(
        &self,
        shown: &Shown<'_>,
        row: &ChannelRow,
        asked: Option<Amount>,
    ) -> Result<(CallId, Amount), Refused> {
        use seller::Refused::{CumulativeAmountMismatch, CumulativeBelowClaimed};
        let accepted = row.books.accept(&shown.voucher, Asked::Refund, &shown.desk.offer, Amount::ZERO);
        let held = accepted.map_err(|refused| match refused {
            CumulativeAmountMismatch | CumulativeBelowClaimed => self.corrected(shown, refused),
            refused => refused.into(),
        })?;
        let plan = held.refund_to_payer(&row.terms, asked, &shown.desk.offer)?;
        pace::may_give_back(row, plan.amount, (self.config.clock)())?;
        let call = shown.channels.refund(&shown.desk, &row.terms, &plan)?;
        let id = channel_text::refund_call(shown.channel(), plan.nonce, asked);
        let (step, charged) = (ChannelStep::Refund(shown.channel()), row.books.charged());
        let command = MakeChannelCall { id, call, step, opens: None, charged };
        match self.execute_patiently(Command::MakeChannelCall(command)).await {
            // Another request was faster.
            Ok(_) | Err(Refusal::Reject(Reject::Call(CallReject::Exists(_)))) => Ok((id, plan.amount)),
            Err(Refusal::Reject(Reject::Channel(CumulativeAmountMismatch))) => {
                Err(self.corrected(shown, CumulativeAmountMismatch))
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// How much has gone back since a channel stood like this, as far as the chain confirms it by now. The escrow gives no more
    /// than there is, however much was asked for.
    fn moved(&self, shown: &Shown<'_>, before: &ChannelRow) -> Result<Option<Amount>, Refused> {
        let row = self.config.read.channel(shown.channel()).map_err(Refusal::Fault)?;
        let (before, after) = (*before.books.chain(), row.map(|row| *row.books.chain()).unwrap_or_default());
        let is_seen = after.refund_nonce != before.refund_nonce;
        Ok(before.balance.checked_sub(after.balance).filter(|_| is_seen))
    }

    /// What a payer is told whose money has gone back.
    fn refunded(
        &self,
        (shown, named): (&Shown<'_>, PaymentId),
        transaction: TransactionId,
        amount: Amount,
    ) -> Result<Response<Body>, Refused> {
        let row = self.config.read.channel(shown.channel()).map_err(Refusal::Fault)?;
        let books = row.map(|row| row.books).unwrap_or_default();
        let state = channel_text::state(shown.channel(), books.chain(), books.charged());
        let answer = ChannelAnswer { channel_state: Some(state), charged_amount: None };
        let (network, payer) = (&shown.offer.network, Some(shown.voucher.terms().payer.to_string()));
        let mut settled =
            SettleResponse::settled(network, HexText(*transaction.as_bytes()).to_string(), payer);
        settled.amount = Some(amount.into());
        let body = json!({
            "message": "The refund was carried out.",
            "channelId": HexText(*shown.channel().as_bytes()).to_string(),
        });
        let mut response = Response::new(Body::from(body.to_string()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        let told = answer.within(settled);
        let (name, text) = if shown.is_session {
            let receipt = session::receipt_of(named, (self.config.clock)(), &told);
            (header::PAYMENT_RECEIPT, receipt)
        } else {
            (header::PAYMENT_RESPONSE, told.to_header().ok())
        };
        if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(name, value);
        }
        Ok(response)
    }
}

/// The refund that is under way, if it is the one that is asked for.
fn under_way(
    shown: &Shown<'_>,
    row: &ChannelRow,
    asked: Option<Amount>,
) -> Result<Option<(CallId, Amount)>, Refused> {
    let Some(under_way) = row.refund else { return Ok(None) };
    let wanted = channel_text::refund_call(shown.channel(), row.books.chain().refund_nonce, asked);
    if under_way != wanted || row.books.charged() != shown.voucher.ceiling() {
        return Err(seller::Refused::ChannelBusy.into());
    }
    Ok(Some((under_way, row.books.refund(&row.terms, asked)?.amount)))
}
