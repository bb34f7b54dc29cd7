//! How a hold ends: charged or given back, and never left lying because the writer had no time for it.
//!
//! The payer waits for a few seconds at the most. Then the answer says that the outcome is not known yet, and the gate goes
//! on trying by itself. Repeating is safe: what is posted or released already stays as it is.
//! What is on a chain is charged when the chain says so, which may be later than anybody waits: it goes on by itself.
//! No later hold of the same credits is ended by mistake: while one is held there is no other, and after a fault the writer
//! accepts nothing more until a restart.

use std::sync::Arc;
use std::time::Duration;

use farthing_ecash::BlindSignature;
use farthing_engine::{
    Answer, Call, Command, FaultKind, PaymentId, PaymentRow, Post, Refusal, Reject, Settle, SignedOutput,
};
use farthing_money::{Money, Timestamp};
use farthing_wire::header;
use farthing_wire::x402::{SCHEME_AUTH_CAPTURE, SCHEME_UPTO};
use http::HeaderMap;

use super::Shared;
use super::channel::ChannelPayment;
use super::credits::Credits;
use super::on_chain::ChainPayment;
use super::refusal::Refused;
use crate::chain::{ChainRefusal, Chains};

/// Money that is set aside for a request.
pub(super) struct Held {
    pub(super) payment: PaymentId,
    pub(super) funding: Funding,
    pub(super) row: PaymentRow,
    pub(super) price: Money,
    /// Whether the payment holds for the request's body alone; if not, it buys one delivery.
    pub(super) bound: bool,
}

impl Held {
    /// What is charged for an answer: the price, or with `upto`, out of an escrow and through a channel what the upstream says
    /// that it cost.
    pub(super) fn charge_for(&self, answer: &HeaderMap) -> Money {
        let metered = match &self.funding {
            Funding::Credits { .. } => false,
            Funding::Chain(claim) => {
                [SCHEME_UPTO, SCHEME_AUTH_CAPTURE].contains(&claim.offer.scheme.as_str())
            }
            Funding::Channel(_) => true,
        };
        let Some(said) = answer.get(header::FARTHING_COST).filter(|_| metered) else {
            return self.price;
        };
        let exchange = self.row.merchant.exchange();
        // Upstreams count in the asset of the price.
        let asset = exchange.map_or(self.price.asset(), |exchange| exchange.price().asset());
        let cost = said.to_str().ok().and_then(|text| {
            let text = text.trim();
            let decimal = text.strip_suffix(asset.code().as_str()).map_or(text, str::trim_end);
            Money::from_decimal(decimal, asset).ok()
        });
        let cost = match (cost, exchange) {
            (Some(cost), Some(exchange)) if cost.amount() <= exchange.price => {
                Some(self.price.asset().money(exchange.charge_for(cost.amount())))
            }
            (_, Some(_)) => None,
            (cost, None) => cost,
        };
        match cost {
            Some(cost) if cost.amount() <= self.price.amount() => cost,
            _ => {
                // The payer has agreed to the price, and what was done is done.
                tracing::error!(payment = %self.payment, "expected a cost within the price in Farthing-Cost; charging the price");
                self.price
            }
        }
    }

    /// What moves what is charged, if anything is. A cost that the token cannot show is charged like one that nobody said.
    pub(super) fn call_for(
        &self,
        charged: Money,
        call: impl Fn(Money) -> Result<Call, ChainRefusal>,
    ) -> Result<(Option<Call>, Money), ChainRefusal> {
        if charged.amount().is_zero() {
            return Ok((None, charged));
        }
        match call(charged) {
            Err(_) if charged != self.price => Ok((Some(call(self.price)?), self.price)),
            call => Ok((Some(call?), charged)),
        }
    }

    /// Whether a chain has to move the money.
    pub(super) fn is_on_chain(&self) -> bool {
        matches!(self.funding, Funding::Chain(_))
    }

    /// The channel that pays, if one does.
    pub(super) fn channel(&self) -> Option<&ChannelPayment> {
        if let Funding::Channel(paid) = &self.funding { Some(paid) } else { None }
    }
}

/// Where the money is.
pub(super) enum Funding {
    /// In credits of ours.
    Credits {
        /// The credits.
        credits: Credits,
        /// What goes back.
        change: Vec<SignedOutput>,
    },
    /// On a chain.
    Chain(Box<ChainPayment>),
    /// In a channel.
    Channel(Box<ChannelPayment>),
}

/// What becomes of a hold.
#[derive(Clone, Copy)]
enum End {
    Charge { pass_until: Option<Timestamp>, charged: Money },
    Release,
}

/// The row of a posted payment, and the signatures of its change.
pub(super) type Charged = (PaymentRow, Vec<BlindSignature>);

/// How often a payer waits for a writer that has no time, and how long each time.
pub(super) const TRIES_MAX: usize = 50;
pub(super) const WAIT_MS: std::ops::RangeInclusive<u64> = 10..=100;
/// How long is waited between tries that nobody waits for.
pub(super) const PATIENCE_MIN: Duration = Duration::from_millis(50);
pub(super) const PATIENCE_MAX: Duration = Duration::from_secs(10);

impl Shared {
    /// Charges what is held, or with `upto` what was used of it.
    pub(super) async fn post(
        self: &Arc<Self>,
        held: &Arc<Held>,
        pass_until: Option<Timestamp>,
        charged: Money,
    ) -> Result<Charged, Refused> {
        match self.end(held, End::Charge { pass_until, charged }).await? {
            Some(charged) => Ok(charged),
            None => Err(Refused::Engine(Refusal::Reject(Reject::PaymentNotHeld(held.payment)))),
        }
    }

    /// Gives back what is held.
    pub(super) async fn release(self: &Arc<Self>, held: &Arc<Held>) -> Result<(), Refused> {
        self.end(held, End::Release).await.map(|_| ())
    }

    /// Ends a hold, while the payer waits or later.
    async fn end(self: &Arc<Self>, held: &Arc<Held>, end: End) -> Result<Option<Charged>, Refused> {
        for _ in 0..TRIES_MAX {
            match self.end_once(held, end).await {
                Err(Refused::Unrecorded { source: Refusal::Busy { retry_after }, .. }) => {
                    let millis = retry_after.millis().clamp(*WAIT_MS.start(), *WAIT_MS.end());
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                }
                result => return self.or_go_on(result, held, end),
            }
        }
        let result = self.end_once(held, end).await;
        self.or_go_on(result, held, end)
    }

    /// What is not recorded yet is tried until it is. The writer is not kept from stopping: then the next start releases.
    fn or_go_on(
        self: &Arc<Self>,
        result: Result<Option<Charged>, Refused>,
        held: &Arc<Held>,
        end: End,
    ) -> Result<Option<Charged>, Refused> {
        let Err(Refused::Unrecorded { payment, source }) = &result else { return result };
        tracing::error!(refusal = %source, %payment, "a hold has not ended yet; trying on");
        let (shared, held) = (Arc::downgrade(self), Arc::clone(held));
        tokio::spawn(async move {
            let mut patience = PATIENCE_MIN;
            loop {
                tokio::time::sleep(patience).await;
                patience = patience.saturating_mul(2).min(PATIENCE_MAX);
                let Some(shared) = shared.upgrade() else { return };
                match shared.end_once(&held, end).await {
                    Err(Refused::Unrecorded { source: Refusal::Fault(fault), payment })
                        if fault.kind == FaultKind::Stopped =>
                    {
                        tracing::error!(%payment, "a hold stays until the next start releases it");
                        return;
                    }
                    Err(Refused::Unrecorded { .. }) => {}
                    _ => return tracing::info!(payment = %held.payment, "a hold has ended after all"),
                }
            }
        });
        result
    }

    /// One try. Only [`Refused::Unrecorded`] leaves the hold as it is.
    async fn end_once(&self, held: &Held, end: End) -> Result<Option<Charged>, Refused> {
        let refused = match end {
            End::Release => None,
            End::Charge { pass_until, charged } => match self.charge_once(held, pass_until, charged).await {
                // A call that is under way is not taken back; the one that has failed has given back itself.
                Err(refused @ (Refused::Settling(_) | Refused::NotSettled { .. })) => return Err(refused),
                Err(refused) if !matches!(refused, Refused::Unrecorded { .. }) => {
                    tracing::error!(%refused, payment = %held.payment, "a held payment cannot be charged");
                    Some(refused)
                }
                result => return result.map(Some),
            },
        };
        match self.give_back(held).await {
            Ok(_) => {
                held.channel().into_iter().for_each(|paid| self.note_owed(paid));
                refused.map_or(Ok(None), Err)
            }
            Err(Refusal::Reject(reject)) => Err(Refused::Engine(Refusal::Reject(reject))),
            Err(source) => Err(Refused::Unrecorded { payment: held.payment, source }),
        }
    }

    async fn charge_once(
        &self,
        held: &Held,
        pass_until: Option<Timestamp>,
        charged: Money,
    ) -> Result<Charged, Refused> {
        match &held.funding {
            Funding::Credits { credits, change } => {
                self.post_once(held, (credits, change), pass_until, charged).await
            }
            Funding::Chain(claim) if claim.is_through_escrow() => {
                self.capture_once(held, pass_until, charged).await
            }
            Funding::Chain(claim) => self.settle_once(held, claim, pass_until, charged).await,
            Funding::Channel(paid) => self.charge_voucher_once(held, paid, pass_until, charged).await,
        }
    }

    /// Asks for the money on a chain to be moved, and waits until it is.
    async fn settle_once(
        &self,
        held: &Held,
        claim: &ChainPayment,
        pass_until: Option<Timestamp>,
        charged: Money,
    ) -> Result<Charged, Refused> {
        let refused = || Refused::Engine(Refusal::Reject(Reject::NotOnChain(held.payment)));
        let chains = self.config.chains.as_ref().ok_or_else(refused)?;
        let call = |charged| chains.call(&claim.offer, &claim.payload, charged);
        let (call, charged) = held.call_for(charged, call)?;
        let command = Command::Settle(Settle {
            payment: held.payment,
            call,
            charged: charged.amount(),
            pass_until,
            accounts: held.row.held.iter().map(|(account, _)| *account).collect(),
            merchant: held.row.merchant.clone(),
            asset: held.row.asset,
            marks: held.row.marks,
        });
        self.move_on_chain(&**chains, held.payment, command).await
    }

    /// Asks for what was charged to be moved on a chain, and waits until it has.
    pub(super) async fn move_on_chain(
        &self,
        chains: &dyn Chains,
        payment: PaymentId,
        command: Command,
    ) -> Result<Charged, Refused> {
        match self.config.execute.execute(command).await {
            Ok(Answer::Posted(row)) => Ok((*row, Vec::new())),
            Ok(Answer::Settling(_)) => Ok((self.settled(chains, payment).await?, Vec::new())),
            Ok(_) => Err(Refused::Engine(Refusal::Reject(Reject::NotLoaded))),
            Err(Refusal::Reject(reject)) => Err(Refused::Engine(Refusal::Reject(reject))),
            Err(source) => Err(Refused::Unrecorded { payment, source }),
        }
    }

    async fn post_once(
        &self,
        held: &Held,
        (credits, change): (&Credits, &[SignedOutput]),
        pass_until: Option<Timestamp>,
        charged: Money,
    ) -> Result<Charged, Refused> {
        let execute = |change: &[SignedOutput]| {
            self.config.execute.execute(Command::Post(Post {
                payment: held.payment,
                credits: held.row.credits.clone(),
                accounts: held.row.held.iter().map(|(account, _)| *account).collect(),
                merchant: held.row.merchant.clone(),
                asset: held.row.asset,
                charged: charged.amount(),
                change: change.iter().map(|signed| signed.output).collect(),
                pass_until,
                marks: held.row.marks,
            }))
        };
        // What is charged may be less than what was agreed, and then more goes back.
        let mut change = if charged == held.price {
            change.to_vec()
        } else {
            self.late_change(held, credits, charged, credits.blanks.is_empty()).await?
        };
        let mut result = execute(&change).await;
        if let Err(Refusal::Reject(Reject::OutputSigned(_) | Reject::DuplicateOutput(_))) = result {
            // The payer's blank outputs cannot be signed; what was delivered is charged, and the change is a token.
            change = self.late_change(held, credits, charged, true).await?;
            result = execute(&change).await;
        }
        match result {
            Ok(Answer::Posted(row)) => {
                Ok((*row, change.into_iter().map(|signed| signed.signature).collect()))
            }
            Ok(_) => Err(Refused::Engine(Refusal::Reject(Reject::NotLoaded))),
            Err(Refusal::Reject(reject)) => Err(Refused::Engine(Refusal::Reject(reject))),
            Err(source) => Err(Refused::Unrecorded { payment: held.payment, source }),
        }
    }
}
