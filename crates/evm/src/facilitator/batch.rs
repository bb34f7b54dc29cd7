//! Channels of the gates of others: their payers' vouchers and deposits are judged, and deposits, claims, settlements and refunds
//! carried out, once each. Asked again, the same order has the same answer: what it moves, it moves by what the chain says of the
//! channel, and no seller delivers for it.
//!
//! A receiver's authorizer signs its claims and refunds. If that is our own account, whoever asks has to be the seller: a
//! payer could have its money back before what it owes is claimed.

use std::time::Duration;

use farthing_channel::seller::ChannelOnChain;
use farthing_channel::{
    Address, BATCH_ESCROW, BatchEvent, ChannelId, ChannelTerms, ClaimRow, TxHash, batch_call, batch_domain,
};
use farthing_engine::{Call, CallId, Command, Facilitate, Movement, Outcome, Refusal, Reject};
use farthing_money::{Amount, Span};
use farthing_wire::x402::batch::{
    ChannelAnswer, ChannelConfig as ChannelText, ClaimFields, ClaimPayload, DepositPayload,
    FacilitatorPayload, PayerPayload, RefundOrder, SettlePayload,
};
use farthing_wire::x402::facilitator::VerifyResponse;
use farthing_wire::x402::{AddressText, Payload, Reason, Requirements, SettleResponse, SignatureText};
use serde_json::Value;

use super::others::{Refused, is_unsent};
use super::{Facilitator, Unsettled};
use crate::chain::{of_text, to_engine};
use crate::channels::{BatchStep, see};
use crate::node::{Moment, NodeError, Trial};
use crate::resolve::of_engine_hash;
use crate::verify::{Invalid, NotVerified, deposit_name, same_place, state_text, terms_of};

/// How long a claim, a settlement or a refund may wait for a cheaper block.
const ORDER_TIME: Span = Span::from_secs(3_600);
/// For so long a settlement that is asked for again is answered with the one that was made.
const REPEATED_FOR: Span = Span::from_secs(600);
/// How many calls are made for one order; what the last of them came to stays its answer.
const TRIES_MOST: u8 = 16;

/// Something that a seller wants done, as it goes to the chain.
struct Order {
    /// What names it: the same for the same order.
    name: CallId,
    call: Call,
    /// Whose channel it is about, if it is about one.
    channel: Option<(ChannelId, Address)>,
}

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
    /// is paid: only then our own account signs in his place. For whom this is done at all is the caller's decision.
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
        let read = FacilitatorPayload::read(&payload.payload);
        match read.map_err(|error| refuse(error.reason(), None))? {
            FacilitatorPayload::Deposit(deposit) => {
                self.settle_deposit(requirements, (payload, &deposit), patience).await
            }
            FacilitatorPayload::Claim(claim) => {
                let order = self.claim_order(requirements, &claim, is_seller).await?;
                let (_, response) = self.carry_order(requirements, order, patience).await?;
                Ok(response)
            }
            FacilitatorPayload::Settle(settle) => self.settle_receiver(requirements, &settle, patience).await,
            FacilitatorPayload::Refund(refund) => {
                self.settle_refund(requirements, &refund, is_seller, patience).await
            }
        }
    }

    async fn settle_deposit(
        &self,
        requirements: &Requirements,
        (payload, deposit): (&Payload, &DepositPayload),
        patience: Duration,
    ) -> Result<SettleResponse, Refused> {
        let payer = of_text(deposit.channel_config.payer);
        let name = deposit_name(&self.ports().chain, deposit);
        let name = name.ok_or_else(|| refuse(Reason::BatchWithdrawDelayOutOfRange, Some(payer)))?;
        let name = CallId::of_parts("farthing/facilitated/deposit/1", [&name.as_bytes()[..]]);
        let channel = ChannelId::from_bytes(deposit.voucher.channel_id.0);
        let order = match self.standing(name)? {
            // It is under way or was carried out: whoever asks again hears the same.
            (id, true) => {
                // That the voucher and the terms are this seller's own is not asked anew: nothing more is sent.
                return self.answer_of(requirements, (id, Some((channel, payer))), patience).await.map(
                    |(_, response)| SettleResponse {
                        amount: Some(deposit.deposit.amount.clone()),
                        ..response
                    },
                );
            }
            (id, false) => {
                let sound = self.judge_deposit(requirements, (&payload.extensions, deposit)).await?;
                Order { name: id, call: sound.call, channel: Some((channel, payer)) }
            }
        };
        let (_, response) = self.carry_order(requirements, order, patience).await?;
        let amount = response.success.then(|| deposit.deposit.amount.clone());
        Ok(SettleResponse { amount, ..response })
    }

    /// Claims of channels that all pay the account for which it is asked.
    async fn claim_order(
        &self,
        requirements: &Requirements,
        claim: &ClaimPayload,
        is_seller: bool,
    ) -> Result<Order, Refused> {
        let rows = Self::rows_of(requirements, &claim.claims)?;
        if rows.is_empty() {
            return Err(refuse(Reason::BatchPayloadType, None));
        }
        let input = self.claim_input(&rows, (claim.claim_authorizer_signature.as_ref(), is_seller))?;
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
        if !known {
            self.require_news(&rows).await?;
        }
        let call = self.call_on_escrow(requirements, input);
        Ok(Order { name: id, call, channel: None })
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
    fn claim_input(
        &self,
        rows: &[ClaimRow],
        (signature, is_seller): (Option<&SignatureText>, bool),
    ) -> Result<Vec<u8>, Refused> {
        if let Some(signature) = signature {
            return Ok(batch_call::claim_with_signature(rows, signature.as_bytes()));
        }
        for row in rows {
            self.require_own(&row.terms, is_seller)?;
        }
        Ok(batch_call::claim(rows))
    }

    /// Whether our own account may act for a receiver.
    fn require_own(&self, terms: &ChannelTerms, is_seller: bool) -> Result<(), Refused> {
        if terms.receiver_authorizer != self.submitter.address() {
            return Err(refuse(Reason::BatchAuthorizerAddressMismatch, Some(terms.payer)));
        }
        if !is_seller {
            return Err(refuse(Reason::BatchAuthorizerNotConfigured, Some(terms.payer)));
        }
        Ok(())
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
        let order = Order { name: id, call, channel: None };
        let (transaction, mut response) = self.carry_order(requirements, order, patience).await?;
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
        is_seller: bool,
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
        let input = self.refund_input(requirements, (&terms, order), (amount, nonce_word), is_seller)?;
        if !known {
            self.require_rest((&terms, channel), order, nonce_word).await?;
        }
        let call = self.call_on_escrow(requirements, input);
        let made = Order { name: id, call, channel: Some((channel, payer)) };
        let (transaction, mut response) = self.carry_order(requirements, made, patience).await?;
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
        is_seller: bool,
    ) -> Result<Vec<u8>, Refused> {
        let refund = if let Some(signature) = &order.refund_authorizer_signature {
            batch_call::refund_with_signature(terms, amount, nonce, signature.as_bytes())
        } else {
            self.require_own(terms, is_seller)?;
            batch_call::refund(terms, amount)
        };
        let rows = Self::rows_of(requirements, &order.claims)?;
        if rows.is_empty() {
            return Ok(refund);
        }
        let claim = self.claim_input(&rows, (order.claim_authorizer_signature.as_ref(), is_seller))?;
        Ok(batch_call::multicall(&[claim, refund]))
    }

    fn call_on_escrow(&self, requirements: &Requirements, input: Vec<u8>) -> Call {
        let address = |text: Option<AddressText>| to_engine(text.map_or(Address::ZERO, of_text));
        let escrow = to_engine(BATCH_ESCROW);
        Call {
            chain: self.ports().chain.id.number(),
            to: escrow,
            input,
            // What it moves is said by the escrow.
            moves: Movement {
                token: address(requirements.asset_address()),
                from: escrow,
                to: address(requirements.pay_to_address()),
                units: Amount::ZERO,
            },
            until: (self.ports().clock)().after(ORDER_TIME),
            approval: None,
        }
    }

    /// The call of an order, and whether it is under way or has ended well. What has failed is tried under a new name.
    fn standing(&self, name: CallId) -> Result<(CallId, bool), Refused> {
        let read = &self.ports().read;
        let mut id = name;
        for again in 1..=TRIES_MOST {
            if read.call(id)?.is_some() {
                return Ok((id, true));
            }
            match read.settlement(id)? {
                None => return Ok((id, false)),
                Some(ended) if matches!(ended.outcome, Outcome::Settled { .. }) => return Ok((id, true)),
                Some(ended) if again == TRIES_MOST && !is_unsent(&ended) => return Ok((id, true)),
                Some(_) => {
                    id = CallId::of_parts("farthing/facilitated/again/1", [&name.as_bytes()[..], &[again]]);
                }
            }
        }
        Ok((id, true))
    }

    /// Makes an order's call, if the chain would carry it out now, or joins the one that was made, and waits for its end.
    async fn carry_order(
        &self,
        requirements: &Requirements,
        Order { name, call, channel }: Order,
        patience: Duration,
    ) -> Result<(Option<TxHash>, SettleResponse), Refused> {
        let (read, execute) = (&self.ports().read, &self.ports().execute);
        if read.call(name)?.is_none() && read.settlement(name)?.is_none() {
            self.require_trial(&call, channel.map(|(_, payer)| payer)).await?;
            match execute.execute(Command::Facilitate(Facilitate { id: name, call })).await {
                // Another request for the same was faster.
                Ok(_) | Err(Refusal::Reject(Reject::CallExists(_))) => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
        self.answer_of(requirements, (name, channel), patience).await
    }

    /// Tries a call out: one that would be refused, or uses more gas than is paid for, is not made.
    async fn require_trial(&self, call: &Call, payer: Option<Address>) -> Result<(), Refused> {
        let Some(step) = BatchStep::of(call) else { return Ok(()) };
        let trial = Trial { from: self.submitter.address(), to: BATCH_ESCROW, input: call.input.clone() };
        let refused = |message: String| {
            let mut invalid = Invalid::of(step.refused(), payer);
            invalid.message = message;
            Err(Refused::Invalid(invalid))
        };
        let most = self.ports().chain.fees.gas_most;
        match self.ports().node.gas(trial).await {
            Ok(gas) if gas <= most => Ok(()),
            Ok(gas) => refused(format!(
                "it would use {gas} of gas, and at most {most} is paid for; ask for less at once"
            )),
            Err(error) if error.is_fault() => Err(Refused::Unsettled(error.into())),
            Err(error) => refused(format!("the escrow refuses it: {error}")),
        }
    }

    /// Waits for the end of a call, and says it; with how its channel stands then.
    async fn answer_of(
        &self,
        requirements: &Requirements,
        (id, channel): (CallId, Option<(ChannelId, Address)>),
        patience: Duration,
    ) -> Result<(Option<TxHash>, SettleResponse), Refused> {
        let outcome = self.wait(id, patience).await?;
        let mut response = self.response_of(requirements, id, outcome.as_ref())?;
        response.payer = channel.map(|(_, payer)| payer.to_string());
        let Some(Outcome::Settled { transaction, .. }) = outcome else { return Ok((None, response)) };
        if let Some((channel, _)) = channel {
            // It is done; how the channel stands is asked again by whoever does not hear it.
            if let Ok(on_chain) = self.judging().channel(channel).await {
                let state = ChannelAnswer {
                    channel_state: Some(state_text(channel, &on_chain)),
                    charged_amount: None,
                };
                response = state.within(response);
            }
        }
        Ok((Some(of_engine_hash(transaction)), response))
    }

    /// What the escrow has said in a transaction.
    async fn said_in(&self, transaction: TxHash) -> Result<Vec<BatchEvent>, Refused> {
        let receipt = self.ports().node.receipt(transaction).await?;
        let logs = receipt.map(|receipt| receipt.logs).unwrap_or_default();
        let own = logs.iter().filter(|log| log.contract == BATCH_ESCROW);
        Ok(own.filter_map(|log| BatchEvent::read(&log.topics, &log.rest)).collect())
    }
}

fn refuse(reason: Reason, payer: Option<Address>) -> Refused {
    Refused::Invalid(Invalid::of(reason, payer))
}
