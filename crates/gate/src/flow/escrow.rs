//! Payments that go through an escrow (x402's `auth-capture`): the money is put there before the upstream is asked, and captured
//! or given back afterwards. So nobody serves for a promise, and nobody pays for an upstream's failure.
//!
//! What is in escrow survives a crash: the same payment sent again goes on from there, and what nobody asks for any more goes
//! back by itself.

use std::sync::Arc;
use std::time::Duration;

use farthing_engine::{
    Answer, Authorize, Call, CallId, Capture, Command, Fault, Outcome as Ended, PaymentId, PaymentRow,
    PaymentState, Refusal, Reject, Release, Void,
};
use farthing_money::{Amount, Money, Timestamp};
use farthing_wire::Credential;
use farthing_wire::x402::SCHEME_AUTH_CAPTURE;

use super::challenge::Asked;
use super::end::{Charged, Funding, Held, TRIES_MAX, WAIT_MS};
use super::handover::Handover;
use super::on_chain::ChainPayment;
use super::pay::{Delivery, Outcome};
use super::refusal::Refused;
use super::upstream::Upstream;
use super::{Answering, Shared};
use crate::chain::Chains;

impl ChainPayment {
    /// Whether its money goes through an escrow.
    pub(super) fn is_through_escrow(&self) -> bool {
        self.offer.scheme == SCHEME_AUTH_CAPTURE
    }
}

impl Held {
    /// The payment, if its money goes through an escrow.
    pub(super) fn through_escrow(&self) -> Option<&ChainPayment> {
        match &self.funding {
            Funding::Chain(claim) if claim.is_through_escrow() => Some(claim),
            _ => None,
        }
    }
}

impl Shared {
    /// Goes on with a payment whose money is in escrow or on its way there, unless another request is at it.
    pub(super) fn resume(
        self: &Arc<Self>,
        chains: &dyn Chains,
        claim: &ChainPayment,
        (payment, row): (PaymentId, PaymentRow),
        bound: bool,
    ) -> Result<Outcome, Refused> {
        self.is_as_it_was_put(chains, claim, (payment, &row))?;
        let handover = self.handovers.enter(payment);
        let handover = handover.ok_or(Refusal::Reject(Reject::PaymentUnderWay(payment)))?;
        let funding = Funding::Chain(Box::new(claim.clone()));
        let held = Arc::new(Held { payment, funding, row, price: claim.price, bound });
        Ok(Outcome::Resumed(held, handover))
    }

    /// Whether a payment comes again on the terms on which its money was put into escrow. The payer's copy of the offer is no
    /// part of what makes it the same payment, and this time nobody judges it: a cheaper one would buy the page for less.
    fn is_as_it_was_put(
        &self,
        chains: &dyn Chains,
        claim: &ChainPayment,
        (payment, row): (PaymentId, &PaymentRow),
    ) -> Result<(), Refused> {
        let asked = chains.put_into_escrow(&claim.offer, &claim.payload, claim.price)?;
        // It has just ended; or a fork has just taken it back.
        let made = self.authorize_of(payment).map_err(Refusal::Fault)?.ok_or(Refused::Settling(payment))?;
        let held = Amount::try_sum(row.held.iter().map(|(_, amount)| *amount));
        let price = (row.asset == claim.price.asset()).then(|| claim.price.amount());
        if asked == made && price.is_some() && price == held {
            Ok(())
        } else {
            Err(Refused::OtherTerms(payment))
        }
    }

    /// The call that has put a payment into escrow, or is about to.
    fn authorize_of(&self, payment: PaymentId) -> Result<Option<Call>, Fault> {
        let id = CallId::of_authorize(payment);
        if let Some(row) = self.config.read.call(id)? {
            return Ok(Some(row.call));
        }
        Ok(self.config.read.settlement(id)?.map(|ended| ended.row.call))
    }

    /// Puts the money into escrow, and serves.
    pub(super) async fn serve_through_escrow<S: Upstream>(
        self: &Arc<Self>,
        answering: Answering<S>,
        (held, handover): (&Arc<Held>, Handover),
        credential: &Credential,
    ) -> Delivery {
        match self.authorize(held).await {
            Ok(()) => self.serve_held(answering, held, credential, Some(handover)).await,
            Err(refused) => {
                // Nobody was served. Whoever asks again goes on from where it is.
                handover.done();
                let asked =
                    Asked { quote: &answering.quote, headers: &answering.parts.headers, digest: None };
                Delivery::of_nothing(self.refuse(&asked, &refused, false))
            }
        }
    }

    /// Waits until the money is in escrow; asks for it to be put there, if nobody has. What will not be there is released.
    async fn authorize(self: &Arc<Self>, held: &Arc<Held>) -> Result<(), Refused> {
        let asked = match self.put_into_escrow(held) {
            Ok((chains, call)) => {
                let command = Authorize {
                    payment: held.payment,
                    call,
                    accounts: held.row.held.iter().map(|(account, _)| *account).collect(),
                    asset: held.row.asset,
                };
                self.execute_patiently(Command::Authorize(command)).await.map(|answer| (chains, answer))
            }
            Err(refused) => {
                self.release_new(held).await?;
                return Err(refused);
            }
        };
        let under_way = || Refused::Engine(Refusal::Reject(Reject::PaymentUnderWay(held.payment)));
        match asked {
            Ok((_, Answer::Escrow(row))) if row.state == PaymentState::Escrowed => Ok(()),
            Ok((chains, Answer::Escrow(_))) => match chains.ended(CallId::of_authorize(held.payment)).await {
                None => Err(Refused::Settling(held.payment)),
                Some(Ended::Failed { reason, .. }) => {
                    Err(Refused::NotSettled { payment: held.payment, reason })
                }
                Some(Ended::Settled { .. }) => Ok(()),
            },
            // Another request was faster.
            Ok((_, Answer::Posted(_) | Answer::Settling(_))) => Err(under_way()),
            Ok(_) => Err(Refused::Engine(Refusal::Reject(Reject::NotLoaded))),
            Err(Refusal::Fault(fault)) => {
                Err(Refused::Unrecorded { payment: held.payment, source: Refusal::Fault(fault) })
            }
            Err(refusal) => {
                self.release_new(held).await?;
                Err(Refused::Engine(refusal))
            }
        }
    }

    /// Releases what this request has set aside. What another one has put into escrow stays for whoever asks for it next.
    async fn release_new(self: &Arc<Self>, held: &Arc<Held>) -> Result<(), Refused> {
        if held.row.state == PaymentState::Held { self.release(held).await } else { Ok(()) }
    }

    /// Carries a command out although the writer has no time at once.
    pub(super) async fn execute_patiently(&self, command: Command) -> Result<Answer, Refusal> {
        for _ in 0..TRIES_MAX {
            match self.config.execute.execute(command.clone()).await {
                Err(Refusal::Busy { retry_after }) => {
                    let millis = retry_after.millis().clamp(*WAIT_MS.start(), *WAIT_MS.end());
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                }
                answer => return answer,
            }
        }
        self.config.execute.execute(command).await
    }

    fn put_into_escrow(&self, held: &Held) -> Result<(Arc<dyn Chains>, Call), Refused> {
        let refused = || Refused::Engine(Refusal::Reject(Reject::NotOnChain(held.payment)));
        let claim = held.through_escrow().ok_or_else(refused)?;
        let chains = self.config.chains.clone().ok_or_else(refused)?;
        let call = chains.put_into_escrow(&claim.offer, &claim.payload, held.price)?;
        Ok((chains, call))
    }

    /// Asks for what was charged to be paid out of escrow, and waits until it is. What is left goes back by itself.
    pub(super) async fn capture_once(
        &self,
        held: &Held,
        pass_until: Option<Timestamp>,
        charged: Money,
    ) -> Result<Charged, Refused> {
        let payment = held.payment;
        let refused = |reject| Refused::Engine(Refusal::Reject(reject));
        let chains = self.config.chains.clone().ok_or_else(|| refused(Reject::NotOnChain(payment)))?;
        let unread = |fault| Refused::Unrecorded { payment, source: Refusal::Fault(fault) };
        let made = self.authorize_of(payment).map_err(unread)?;
        let made = made.ok_or_else(|| refused(Reject::NotInEscrow(payment)))?;
        let back = chains.out_of_escrow(&made, None)?;
        let (call, charged) = held.call_for(charged, |charged| chains.out_of_escrow(&made, Some(charged)))?;
        let command = Command::Capture(Capture {
            payment,
            call,
            back,
            charged: charged.amount(),
            pass_until,
            accounts: held.row.held.iter().map(|(account, _)| *account).collect(),
            merchant: held.row.merchant.clone(),
            asset: held.row.asset,
            marks: held.row.marks,
        });
        self.move_on_chain(&*chains, payment, command).await
    }

    /// Gives back what is held: what is in escrow by a call, and what never got there at once.
    pub(super) async fn give_back(&self, held: &Held) -> Result<Answer, Refusal> {
        let accounts: Vec<_> = held.row.held.iter().map(|(account, _)| *account).collect();
        let (payment, asset, marks) = (held.payment, held.row.asset, held.row.marks);
        let made = self.authorize_of(payment).map_err(Refusal::Fault)?;
        let back = made.zip(self.config.chains.as_ref());
        if let Some(Ok(call)) = back.map(|(made, chains)| chains.out_of_escrow(&made, None)) {
            let void = Command::Void(Void { payment, call, accounts: accounts.clone(), asset, marks });
            match self.config.execute.execute(void).await {
                Err(Refusal::Reject(Reject::NotInEscrow(_))) => {}
                answer => return answer,
            }
        }
        let credits = held.row.credits.clone();
        let channel = held.row.channel;
        let release = Release { payment, credits, accounts, asset, channel, marks };
        self.config.execute.execute(Command::Release(release)).await
    }
}
