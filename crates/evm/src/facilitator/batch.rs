//! Channels of the gates of others: their payers' vouchers and deposits are judged, and deposits, claims, settlements and refunds
//! carried out, once each. Asked again, the same order has the same answer: what it moves, it moves by what the chain says of the
//! channel, and no seller delivers for it.
//!
//! Each order costs us gas, so that whoever asks has to be the seller: anybody could be payer and receiver's authorizer of a channel
//! that pays him, deposit and have it back as often as he likes. And where our own account is the authorizer, a payer could
//! have its money back before what it owes is claimed.

use std::time::Duration;

use farthing_channel::seller::ChannelOnChain;
use farthing_channel::{Address, BatchEvent, ChannelId, ChannelTerms, ClaimRow, batch_call, batch_domain};
use farthing_engine::CallId;
use farthing_money::{Amount, Span};
use farthing_wire::x402::batch::{
    ChannelConfig as ChannelText, ClaimFields, ClaimPayload, DepositPayload, FacilitatorPayload,
    PayerPayload, RefundOrder, SettlePayload,
};
use farthing_wire::x402::facilitator::VerifyResponse;
use farthing_wire::x402::{Payload, Reason, Requirements, SettleResponse, SignatureText, Uint};
use serde_json::Value;

use super::order::{Carried, Order};
use super::others::Refused;
use super::{Facilitator, Unsettled};
use crate::chain::of_text;
use crate::channels::see;
use crate::node::{Moment, NodeError};
use crate::verify::{Invalid, NotVerified, drawn_deposit, same_place, state_text, terms_of};

/// For so long a settlement that is asked for again is answered with the one that was made.
const REPEATED_FOR: Span = Span::from_secs(600);

impl Facilitator {
    /// What is answered to `/verify` for a channel.
    pub async fn verify_channel_for_others(
        &self,
        requirements: &Requirements,
        payload: &Payload,
    ) -> Result<VerifyResponse, NodeError> {
        match self.judge_channel(requirements, payload).await {
            Ok((payer, channel, on_chain)) => {
                let mut valid = VerifyResponse::valid(payer.to_string());
                if let Ok(Value::Object(members)) = serde_json::to_value(state_text(channel, &on_chain)) {
                    valid.extra = members;
                }
                Ok(valid)
            }
            Err(NotVerified::Invalid(invalid)) => {
                let payer = invalid.payer.map(|payer| payer.to_string());
                Ok(VerifyResponse::invalid(invalid.reason.as_str(), Some(invalid.message), payer))
            }
            Err(NotVerified::Unknown(error)) => Err(error),
        }
    }

    async fn judge_channel(
        &self,
        requirements: &Requirements,
        payload: &Payload,
    ) -> Result<(Address, ChannelId, ChannelOnChain), NotVerified> {
        let chain = &self.ports().chain;
        same_place(chain, requirements, &payload.accepted).map_err(|reason| Invalid::of(reason, None))?;
        self.require_taken(requirements)?;
        let read = PayerPayload::read(&payload.payload);
        let judge = self.judging();
        match read.map_err(|error| Invalid::of(error.reason(), None))? {
            PayerPayload::Deposit(deposit) => {
                require_least(requirements, &deposit)?;
                let sound = self.judge_deposit(requirements, (&payload.extensions, &deposit)).await?;
                Ok((sound.payer, sound.channel, sound.on_chain))
            }
            PayerPayload::Voucher(paid) => {
                let sound = judge.voucher(requirements, (&paid.channel_config, &paid.voucher), false).await?;
                Ok((sound.payer, sound.channel, sound.on_chain))
            }
            PayerPayload::Refund(wish) => {
                let sound = judge.voucher(requirements, (&wish.channel_config, &wish.voucher), true).await?;
                Ok((sound.payer, sound.channel, sound.on_chain))
            }
        }
    }

    /// Whether channels of a token are taken here.
    fn require_taken(&self, requirements: &Requirements) -> Result<(), Invalid> {
        let chain = &self.ports().chain;
        let token = requirements.asset_address().and_then(|token| chain.token(of_text(token)));
        if chain.channels.is_some() && token.is_some_and(|token| token.channels) {
            Ok(())
        } else {
            Err(Invalid::of(Reason::BatchScheme, None))
        }
    }

    /// What is answered to `/settle` for a channel. `is_seller` says whether whoever asks has shown that he is the account that
    /// is paid: for nobody else it is done. For whom this is done at all is the caller's decision.
    pub async fn settle_channel_for_others(
        &self,
        requirements: &Requirements,
        (payload, is_seller): (&Payload, bool),
        patience: Duration,
    ) -> Result<SettleResponse, Unsettled> {
        match self.settle_channel(requirements, payload, is_seller, patience).await {
            Ok(response) => Ok(response),
            Err(Refused::Invalid(Invalid { reason, message, payer })) => {
                let refused = SettleResponse::failed(&requirements.network, reason.as_str(), Some(message));
                Ok(SettleResponse { payer: payer.map(|payer| payer.to_string()), ..refused })
            }
            Err(Refused::Unsettled(error)) => Err(error),
        }
    }

    async fn settle_channel(
        &self,
        requirements: &Requirements,
        payload: &Payload,
        is_seller: bool,
        patience: Duration,
    ) -> Result<SettleResponse, Refused> {
        let chain = &self.ports().chain;
        same_place(chain, requirements, &payload.accepted).map_err(|reason| refuse(reason, None))?;
        self.require_taken(requirements).map_err(Refused::Invalid)?;
        if !is_seller {
            return Err(unshown());
        }
        let read = FacilitatorPayload::read(&payload.payload);
        match read.map_err(|error| refuse(error.reason(), None))? {
            FacilitatorPayload::Deposit(deposit) => {
                self.settle_deposit(requirements, (payload, &deposit), patience).await
            }
            FacilitatorPayload::Claim(claim) => {
                let order = self.claim_order(requirements, &claim).await?;
                Ok(self.carry_order(requirements, order, patience).await?.response)
            }
            FacilitatorPayload::Settle(settle) => self.settle_receiver(requirements, &settle, patience).await,
            FacilitatorPayload::Refund(refund) => self.settle_refund(requirements, &refund, patience).await,
        }
    }

    /// A deposit is named by its authorization, which the chain takes once. Payers sign several deposits with one number if they
    /// like: what one of them came to says nothing of the others, and only one of them can be carried.
    async fn settle_deposit(
        &self,
        requirements: &Requirements,
        (payload, deposit): (&Payload, &DepositPayload),
        patience: Duration,
    ) -> Result<SettleResponse, Refused> {
        let payer = of_text(deposit.channel_config.payer);
        let parts = (&payload.extensions, deposit);
        let drawn = drawn_deposit(&self.ports().chain, requirements, parts);
        let drawn = drawn.map_err(|reason| refuse(reason, Some(payer)))?;
        let name = CallId::of_parts("farthing/facilitated/deposit/1", [&drawn.payment.as_bytes()[..]]);
        let (name, known) = self.standing(name)?;
        let mut call = drawn.call;
        if !known {
            require_least(requirements, deposit).map_err(Refused::Invalid)?;
            call = self.judge_deposit(requirements, parts).await?.call;
        }
        // What is good was tried.
        let order = Order { name, call, channel: Some((drawn.channel, payer)), is_tried: true };
        let Carried { response, units, .. } = self.carry_order(requirements, order, patience).await?;
        let amount = response.success.then(|| units.into());
        Ok(SettleResponse { amount, ..response })
    }

    /// Claims of channels that all pay the account for which it is asked.
    async fn claim_order(&self, requirements: &Requirements, claim: &ClaimPayload) -> Result<Order, Refused> {
        let rows = Self::rows_of(requirements, &claim.claims)?;
        if rows.is_empty() {
            return Err(refuse(Reason::BatchPayloadType, None));
        }
        let input = self.claim_input(&rows, claim.claim_authorizer_signature.as_ref())?;
        let batch = batch_domain(self.ports().chain.id);
        let chain = self.ports().chain.id.number().to_be_bytes();
        let mut parts: Vec<Vec<u8>> = vec![chain.to_vec()];
        for row in &rows {
            let total = row.total_claimed.value().to_be_bytes();
            parts.push([&row.terms.id(&batch).as_bytes()[..], &total[..]].concat());
        }
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let name = CallId::of_parts("farthing/facilitated/claim/1", parts);
        let (id, known) = self.standing(name)?;
        let call = self.call_on_escrow(requirements, input);
        if !known {
            // One question, however many rows there are: only what is signed for is looked at row by row.
            self.require_trial(&call, None).await?;
            self.require_news(&rows).await?;
        }
        Ok(Order { name: id, call, channel: None, is_tried: !known })
    }

    /// The rows of a claim. Whoever is paid by one of them is the account for which it is asked.
    fn rows_of(requirements: &Requirements, claims: &[ClaimFields]) -> Result<Vec<ClaimRow>, Refused> {
        let row = |claim: &ClaimFields| {
            let terms = Self::own_terms(requirements, &claim.voucher.channel)?;
            let too_much = || refuse(Reason::BatchCumulativeExceedsBalance, Some(terms.payer));
            Ok(ClaimRow {
                terms,
                ceiling: claim.voucher.max_claimable_amount.amount().ok_or_else(too_much)?,
                signature: claim.signature.as_bytes().to_vec(),
                total_claimed: claim.total_claimed.amount().ok_or_else(too_much)?,
            })
        };
        claims.iter().map(row).collect()
    }

    /// The terms of a channel that pays the account for which it is asked, in the token for which it is asked.
    fn own_terms(requirements: &Requirements, text: &ChannelText) -> Result<ChannelTerms, Refused> {
        let payer = Some(of_text(text.payer));
        let terms = terms_of(text).map_err(|reason| refuse(reason, payer))?;
        if requirements.pay_to_address().map(of_text) != Some(terms.receiver) {
            return Err(refuse(Reason::BatchReceiverMismatch, payer));
        }
        if requirements.asset_address().map(of_text) != Some(terms.token) {
            return Err(refuse(Reason::BatchTokenMismatch, payer));
        }
        Ok(terms)
    }

    /// What claims rows: by the signature that came along, or by our own account where it is the authorizer.
    fn claim_input(&self, rows: &[ClaimRow], signature: Option<&SignatureText>) -> Result<Vec<u8>, Refused> {
        if let Some(signature) = signature {
            return Ok(batch_call::claim_with_signature(rows, signature.as_bytes()));
        }
        for row in rows {
            self.require_own(&row.terms)?;
        }
        Ok(batch_call::claim(rows))
    }

    /// Whether our own account may act for a receiver.
    fn require_own(&self, terms: &ChannelTerms) -> Result<(), Refused> {
        if terms.receiver_authorizer == self.submitter.address() {
            return Ok(());
        }
        Err(refuse(Reason::BatchAuthorizerAddressMismatch, Some(terms.payer)))
    }

    /// A claim of what is claimed already changes nothing and costs gas all the same.
    async fn require_news(&self, rows: &[ClaimRow]) -> Result<(), Refused> {
        let batch = batch_domain(self.ports().chain.id);
        for row in rows {
            let on_chain = self.judging().channel(row.terms.id(&batch)).await?;
            if row.total_claimed > on_chain.claimed {
                return Ok(());
            }
        }
        Err(refuse(Reason::BatchCumulativeBelowClaimed, rows.first().map(|row| row.terms.payer)))
    }

    async fn settle_receiver(
        &self,
        requirements: &Requirements,
        settle: &SettlePayload,
        patience: Duration,
    ) -> Result<SettleResponse, Refused> {
        let (receiver, token) = (of_text(settle.receiver), of_text(settle.token));
        if requirements.pay_to_address().map(of_text) != Some(receiver) {
            return Err(refuse(Reason::BatchReceiverMismatch, None));
        }
        if requirements.asset_address().map(of_text) != Some(token) {
            return Err(refuse(Reason::BatchTokenMismatch, None));
        }
        let seen = see::receiver(self.ports().node.as_ref(), (receiver, token), Moment::Latest).await?;
        let (chain, claimed) =
            (self.ports().chain.id.number().to_be_bytes(), seen.claimed.value().to_be_bytes());
        let parts = [&chain[..], &receiver.as_bytes()[..], &token.as_bytes()[..], &claimed[..]];
        let (id, known) = self.standing(CallId::of_parts("farthing/facilitated/settle/1", parts))?;
        let nothing = seen.claimed <= seen.settled;
        if nothing && !(known && self.is_recent(id)?) {
            return Err(refuse(Reason::BatchNothingToSettle, None));
        }
        let call = self.call_on_escrow(requirements, batch_call::settle(receiver, token));
        let order = Order { name: id, call, channel: None, is_tried: false };
        let Carried { transaction, mut response, .. } =
            self.carry_order(requirements, order, patience).await?;
        if let Some(transaction) = transaction {
            let moved = self.said_in(transaction).await?.into_iter().find_map(|event| match event {
                BatchEvent::Settled { receiver: to, token: of, amount, .. }
                    if (to, of) == (receiver, token) =>
                {
                    Some(amount)
                }
                _ => None,
            });
            response.amount = moved.map(Into::into);
        }
        Ok(response)
    }

    /// Whether a call has ended a short while ago, or is under way.
    fn is_recent(&self, id: CallId) -> Result<bool, Refused> {
        let now = (self.ports().clock)();
        let ended = self.ports().read.settlement(id)?;
        Ok(ended.is_none_or(|ended| now.since(ended.at) < REPEATED_FOR))
    }

    async fn settle_refund(
        &self,
        requirements: &Requirements,
        order: &RefundOrder,
        patience: Duration,
    ) -> Result<SettleResponse, Refused> {
        let terms = Self::own_terms(requirements, &order.channel_config)?;
        let (payer, channel) = (terms.payer, terms.id(&batch_domain(self.ports().chain.id)));
        if order.voucher.channel_id.0 != *channel.as_bytes() {
            return Err(refuse(Reason::BatchChannelIdMismatch, Some(payer)));
        }
        let amount = order.amount.amount().filter(|amount| !amount.is_zero());
        let amount = amount.ok_or_else(|| refuse(Reason::BatchRefundAmountInvalid, Some(payer)))?;
        let nonce = order
            .refund_nonce
            .as_str()
            .parse()
            .map_err(|_| refuse(Reason::BatchRefundPayload, Some(payer)))?;
        let chain = self.ports().chain.id.number().to_be_bytes();
        let nonce_word: farthing_channel::Word = nonce;
        let parts = [&chain[..], &channel.as_bytes()[..], &nonce_word.as_bytes()[..]];
        let (id, known) = self.standing(CallId::of_parts("farthing/facilitated/refund/1", parts))?;
        let input = self.refund_input(requirements, (&terms, order), (amount, nonce_word))?;
        if !known {
            self.require_rest((&terms, channel), order, nonce_word).await?;
        }
        let call = self.call_on_escrow(requirements, input);
        let made = Order { name: id, call, channel: Some((channel, payer)), is_tried: false };
        let Carried { transaction, mut response, .. } =
            self.carry_order(requirements, made, patience).await?;
        if let Some(transaction) = transaction {
            let back = self.said_in(transaction).await?.into_iter().find_map(|event| match event {
                BatchEvent::Refunded { channel: of, amount, .. } if of == channel => Some(amount),
                _ => None,
            });
            response.amount = Some(back.unwrap_or_default().into());
        }
        Ok(response)
    }

    /// A refund is the next one of its channel, and something is left after its claims.
    async fn require_rest(
        &self,
        (terms, channel): (&ChannelTerms, ChannelId),
        order: &RefundOrder,
        nonce: farthing_channel::Word,
    ) -> Result<(), Refused> {
        let on_chain = self.judging().channel(channel).await?;
        if on_chain.refund_nonce != nonce {
            return Err(refuse(Reason::BatchRefundSimulationFailed, Some(terms.payer)));
        }
        let of_this =
            |claim: &&ClaimFields| terms_of(&claim.voucher.channel).is_ok_and(|other| other == *terms);
        let claims = order.claims.iter().filter(of_this);
        let claimed =
            claims.filter_map(|claim| claim.total_claimed.amount()).fold(on_chain.claimed, Amount::max);
        match on_chain.balance.checked_sub(claimed) {
            Some(left) if !left.is_zero() => Ok(()),
            _ => Err(refuse(Reason::BatchRefundNoBalance, Some(terms.payer))),
        }
    }

    fn refund_input(
        &self,
        requirements: &Requirements,
        (terms, order): (&ChannelTerms, &RefundOrder),
        (amount, nonce): (Amount, farthing_channel::Word),
    ) -> Result<Vec<u8>, Refused> {
        let refund = if let Some(signature) = &order.refund_authorizer_signature {
            batch_call::refund_with_signature(terms, amount, nonce, signature.as_bytes())
        } else {
            self.require_own(terms)?;
            batch_call::refund(terms, amount)
        };
        let rows = Self::rows_of(requirements, &order.claims)?;
        if rows.is_empty() {
            return Ok(refund);
        }
        let claim = self.claim_input(&rows, order.claim_authorizer_signature.as_ref())?;
        Ok(batch_call::multicall(&[claim, refund]))
    }
}

pub(super) fn refuse(reason: Reason, payer: Option<Address>) -> Refused {
    Refused::Invalid(Invalid::of(reason, payer))
}

/// Nobody has shown that he is the seller.
fn unshown() -> Refused {
    let mut invalid = Invalid::of(Reason::BatchAuthorizerNotConfigured, None);
    "what costs gas is done for the account that is paid alone: send its key as Authorization: Bearer <key>; the operator \
     makes it with `farthing channel key`"
        .clone_into(&mut invalid.message);
    Refused::Invalid(invalid)
}

/// Refuses a deposit below the least one that its seller names: each costs gas, and its payer may have it back.
fn require_least(requirements: &Requirements, deposit: &DepositPayload) -> Result<(), Invalid> {
    let least = requirements.extra.get("minDeposit").and_then(Value::as_str);
    let least = least.and_then(|least| least.parse::<Uint>().ok()).and_then(|least| least.amount());
    // More than an amount can be is not less than it.
    if least.zip(deposit.deposit.amount.amount()).is_some_and(|(least, amount)| amount < least) {
        let payer = Some(of_text(deposit.channel_config.payer));
        return Err(Invalid::of(Reason::BatchDepositBelowMinDeposit, payer));
    }
    Ok(())
}
