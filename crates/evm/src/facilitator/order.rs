//! Orders of other sellers on their way to the chain. Each is made once under its name, and what is answered is of the call that
//! stands in the books under that name: an order of the same name and other contents is refused, since a seller would hear
//! that something was done which was not.

use std::time::Duration;

use farthing_channel::{Address, BATCH_ESCROW, BatchEvent, ChannelId, TxHash};
use farthing_engine::{Call, CallId, CallReject, Command, Facilitate, Movement, Outcome, Refusal, Reject};
use farthing_money::{Amount, Span};
use farthing_wire::x402::batch::ChannelAnswer;
use farthing_wire::x402::{AddressText, Reason, Requirements, SettleResponse};

use super::Facilitator;
use super::others::{Refused, is_unsent};
use crate::chain::{of_text, to_engine};
use crate::channels::BatchStep;
use crate::node::Trial;
use crate::resolve::of_engine_hash;
use crate::verify::{Invalid, state_text};

/// How long a claim, a settlement or a refund may wait for a cheaper block.
const ORDER_TIME: Span = Span::from_secs(3_600);
/// How many calls are made for one order; what the last of them came to stays its answer.
const TRIES_MOST: u8 = 16;

/// Something that a seller wants done, as it goes to the chain.
pub(super) struct Order {
    /// What names it: the same for the same order.
    pub(super) name: CallId,
    pub(super) call: Call,
    /// Whose channel it is about, if it is about one.
    pub(super) channel: Option<(ChannelId, Address)>,
    /// Whether the chain was asked already if it would carry it out.
    pub(super) is_tried: bool,
}

/// What came of an order.
pub(super) struct Carried {
    /// What has done it, if it is done.
    pub(super) transaction: Option<TxHash>,
    pub(super) response: SettleResponse,
    /// What it moves, as the books have it.
    pub(super) units: Amount,
}

impl Facilitator {
    pub(super) fn call_on_escrow(&self, requirements: &Requirements, input: Vec<u8>) -> Call {
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
    pub(super) fn standing(&self, name: CallId) -> Result<(CallId, bool), Refused> {
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
    pub(super) async fn carry_order(
        &self,
        requirements: &Requirements,
        order: Order,
        patience: Duration,
    ) -> Result<Carried, Refused> {
        let Order { name, call, channel, is_tried } = order;
        if self.made(name)?.is_none() {
            if !is_tried {
                self.require_trial(&call, channel.map(|(_, payer)| payer)).await?;
            }
            let facilitate = Facilitate { id: name, call: call.clone() };
            match self.ports().execute.execute(Command::Facilitate(facilitate)).await {
                // Another request of this name was faster.
                Ok(_) | Err(Refusal::Reject(Reject::Call(CallReject::Exists(_)))) => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
        let units = self.require_same(name, &call, channel.map(|(_, payer)| payer))?;
        let (transaction, response) = self.answer_of(requirements, (name, channel), patience).await?;
        Ok(Carried { transaction, response, units })
    }

    /// The call that stands in the books under a name.
    fn made(&self, name: CallId) -> Result<Option<Call>, Refused> {
        let read = &self.ports().read;
        if let Some(row) = read.call(name)? {
            return Ok(Some(row.call));
        }
        Ok(read.settlement(name)?.map(|ended| ended.row.call))
    }

    /// What the call of this name moves, if it does what this one would. Its time is another one each time that it is asked for.
    fn require_same(&self, name: CallId, call: &Call, payer: Option<Address>) -> Result<Amount, Refused> {
        let same = |made: &Call| (made.to, &made.input, made.moves) == (call.to, &call.input, call.moves);
        if let Some(made) = self.made(name)?.filter(same) {
            return Ok(made.moves.units);
        }
        // A deposit may create its payer's wallet first, and then calls another contract.
        let reason = BatchStep::of(call).map_or(Reason::BatchDepositSimulationFailed, BatchStep::refused);
        let mut invalid = Invalid::of(reason, payer);
        "another order that takes its place was made before; ask again for that one, or for what is left to do"
            .clone_into(&mut invalid.message);
        Err(Refused::Invalid(invalid))
    }

    /// Tries a call out: one that would be refused, or uses more gas than is paid for, is not made.
    pub(super) async fn require_trial(&self, call: &Call, payer: Option<Address>) -> Result<(), Refused> {
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
    pub(super) async fn said_in(&self, transaction: TxHash) -> Result<Vec<BatchEvent>, Refused> {
        let receipt = self.ports().node.receipt(transaction).await?;
        let logs = receipt.map(|receipt| receipt.logs).unwrap_or_default();
        let own = logs.iter().filter(|log| log.contract == BATCH_ESCROW);
        Ok(own.filter_map(|log| BatchEvent::read(&log.topics, &log.rest)).collect())
    }
}
