//! What the gate needs of whoever speaks to chains: the offers, a judgement of a payment, and what became of one.
//!
//! The server puts the room of the chains behind it; tests and the simulator put a chain of their own there. Payments are in
//! the words of x402 whatever dialect they came in, so that one payment has one meaning.

pub mod channel;
pub mod channel_text;
pub mod claim;
pub mod offer;
pub mod settled;
pub mod statement;

use std::future::Future;
use std::pin::Pin;

use farthing_channel::Address;
use farthing_engine::{Call, CallId, Outcome, PaymentId, QuoteId};
use farthing_ledger::AccountId;
use farthing_money::{Amount, Asset, Money};
use farthing_wire::x402::{Payload, Reason, Requirements};
use thiserror::Error;

use self::channel::Channels;

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

/// What is charged and how little or much is taken at once when credits are bought and sold for money on chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreditTerms {
    /// How much may come in at once.
    pub deposit: Bounds,
    /// How much may go out at once.
    pub withdrawal: Bounds,
    /// What the issuer keeps of each withdrawal, for its gas.
    pub withdrawal_fee: Amount,
}

/// The least and the most, in the asset's units. Each costs the issuer a transaction, so that the least is not nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The least.
    pub least: Amount,
    /// The most.
    pub most: Option<Amount>,
}

impl Bounds {
    /// Whether so much is neither too little nor too much.
    pub fn hold(&self, amount: Amount) -> bool {
        amount >= self.least && self.most.is_none_or(|most| amount <= most)
    }
}

/// Where a withdrawal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// On which chain, in which token; the first that counts as the asset if nobody says.
    pub token: Option<(u64, Address)>,
    /// To whom.
    pub to: Address,
}

/// What a withdrawal takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// The call that moves the money from our own account. It is made anew for each try: it says until when.
    pub call: Call,
    /// The account of what we have of it.
    pub reserve: AccountId,
}

/// Where a mint quote takes plain transfers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inlet {
    /// An address of the quote's own, on all chains the same.
    pub address: Address,
    /// What may be sent there, one of them.
    pub ways: Vec<Transfer>,
}

/// A plain transfer that would pay a quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The chain's number (EIP-155).
    pub chain: u64,
    /// The token's contract.
    pub token: Address,
    /// What people call it.
    pub symbol: String,
    /// How many units, in the token's smallest.
    pub units: Amount,
}

/// Speaks to chains.
pub trait Chains: Send + Sync + 'static {
    /// The ways to pay a price on chains, in the order of preference; none if no token counts as its asset.
    fn offers(&self, price: Money) -> Vec<Requirements>;

    /// What so many units of an offer's token are worth in the asset that it counts as; nothing if that would round.
    fn price(&self, offer: &Requirements, units: Amount) -> Option<Money>;

    /// The decimals of an offer's token.
    fn decimals(&self, offer: &Requirements) -> Option<u8>;

    /// Whether a payer's own approval of Permit2 is sent before a payment that meets this offer, and its gas paid.
    fn sponsors(&self, _: &Requirements) -> bool {
        false
    }

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

    /// The ways to pay a price through an escrow; none unless a chain has one and a token goes there. Deadlines are counted
    /// from now, so that a payer's copy of an earlier offer brings its own.
    fn escrow_offers(&self, _: Money) -> Vec<Requirements> {
        Vec::new()
    }

    /// What is called to put a verified payment into escrow, all of it. Refused is what the payer has not signed.
    fn put_into_escrow(&self, offer: &Requirements, _: &Payload, _: Money) -> Result<Call, ChainRefusal> {
        let message = format!("expected a chain with an escrow, got {}", offer.network);
        Err(ChainRefusal::Invalid { reason: Reason::NetworkMismatch, message })
    }

    /// What takes money out of escrow that this call has put there: so much of it for whoever is paid, or, if no amount is
    /// given, all that is left back to the payer. No words of a later request have a part in it.
    fn out_of_escrow(&self, authorize: &Call, _: Option<Money>) -> Result<Call, ChainRefusal> {
        let message = format!("expected a chain with an escrow, got {}", authorize.chain);
        Err(ChainRefusal::Invalid { reason: Reason::NetworkMismatch, message })
    }

    /// On which terms credits of an asset are bought and sold for money on chains; nothing if they are not.
    fn credit_terms(&self, _: Asset) -> Option<CreditTerms> {
        None
    }

    /// What pays so much out. Nothing is sent. Refused are chains and tokens that are not configured, amounts that would
    /// round, and destinations that are nobody's: the token, the zero address, our own account.
    fn withdrawal(&self, amount: Money, _: &Destination) -> Result<Withdrawal, ChainRefusal> {
        let message = format!("{amount} cannot be paid out: no chain here pays out");
        Err(ChainRefusal::Invalid { reason: Reason::NetworkMismatch, message })
    }

    /// Where a mint quote takes a transfer of so much; nothing if no token here is taken so.
    fn inlet(&self, _: QuoteId, _: Money) -> Option<Inlet> {
        None
    }

    /// Says that there is an inlet to be looked at.
    fn look(&self) {}

    /// Whoever looks after payment channels; nobody if no chain has any.
    fn channels(&self) -> Option<&dyn Channels> {
        None
    }

    /// Waits until a call has ended, which it may have already, or as long as payers wait: then there is nothing.
    fn ended(&self, call: CallId) -> ChainFuture<'_, Option<Outcome>>;
}
