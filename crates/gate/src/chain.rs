//! What the gate needs of whoever speaks to chains: the offers, a judgement of a payment, and what became of one.
//!
//! The server puts the room of the chains behind it; tests and the simulator put a chain of their own there. Payments are in
//! the words of x402 whatever dialect they came in, so that one payment has one meaning.

use std::future::Future;
use std::pin::Pin;

use farthing_engine::{Call, CallId, Outcome, PaymentId};
use farthing_ledger::AccountId;
use farthing_money::{Amount, Money};
use farthing_wire::x402::{Payload, Reason, Requirements};
use thiserror::Error;

/// What a question to a chain returns.
pub type ChainFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A payment that would settle now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The account of what we have of the token.
    pub reserve: AccountId,
    /// What may be charged at the most.
    pub most: Money,
}

/// Why a payment is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChainRefusal {
    /// It would not settle.
    #[error("{message}")]
    Invalid {
        /// As the programs of x402 say it.
        reason: Reason,
        /// What was expected, what came.
        message: String,
    },
    /// The chain cannot be asked.
    #[error("the chain cannot be asked at the moment: {0}")]
    Unreachable(String),
}

/// Speaks to chains.
pub trait Chains: Send + Sync + 'static {
    /// The ways to pay a price on chains, in the order of preference; none if no token counts as its asset.
    fn offers(&self, price: Money) -> Vec<Requirements>;

    /// What so many units of an offer's token are worth in the asset that it counts as; nothing if that would round.
    fn price(&self, offer: &Requirements, units: Amount) -> Option<Money>;

    /// The decimals of an offer's token.
    fn decimals(&self, offer: &Requirements) -> Option<u8>;

    /// Which payment it is. Nothing is judged yet.
    fn payment(&self, offer: &Requirements, payload: &Payload) -> Result<PaymentId, ChainRefusal>;

    /// Judges a payment by the offer that it meets. Nothing is changed by it.
    fn verify<'a>(
        &'a self,
        offer: &'a Requirements,
        payload: &'a Payload,
    ) -> ChainFuture<'a, Result<Verified, ChainRefusal>>;

    /// What is called to move this much of a verified payment.
    fn call(&self, offer: &Requirements, payload: &Payload, charged: Money) -> Result<Call, ChainRefusal>;

    /// Waits until a call has ended, which it may have already, or as long as payers wait: then there is nothing.
    fn ended(&self, call: CallId) -> ChainFuture<'_, Option<Outcome>>;
}
