//! What the gate needs of whoever looks after payment channels (x402's `batch-settlement`): the offers, the seller's terms,
//! what a chain says of a channel, and the calls that move money into one and back.
//!
//! A voucher itself asks nobody here: it is verified by the terms and the books alone.

use farthing_channel::seller::{ChannelOffer, RefundPlan};
use farthing_channel::{Address, ChannelTerms, Digest, Domain};
use farthing_engine::{Call, CallId, ChannelAccounts, UnitWorth};
use farthing_money::{Amount, Asset, Money};
use farthing_wire::x402::Requirements;
use farthing_wire::x402::batch::DepositPayload;
use serde_json::{Map, Value};

use super::{ChainFuture, ChainRefusal};

/// What the seller wants of the channels of one token on one chain, and where they stand in the books.
#[derive(Clone, Debug)]
pub struct ChannelDesk {
    /// The chain's number (EIP-155).
    pub chain: u64,
    /// For what vouchers are signed there.
    pub domain: Domain,
    /// The terms that a channel must have, and what the seller risks.
    pub offer: ChannelOffer,
    /// What the token counts as.
    pub asset: Asset,
    /// What a unit of the token is worth.
    pub unit: UnitWorth,
    /// Where its channels stand in the books.
    pub accounts: ChannelAccounts,
}

/// A deposit that its chain would carry out now.
#[derive(Clone, Debug)]
pub struct SoundDeposit {
    /// What carries it out.
    pub call: Call,
    /// What its payer has of the token, in units.
    pub balance: Amount,
    /// The calls under way that have their money already: that balance is without it.
    pub carried: Vec<CallId>,
}

/// Looks after channels.
pub trait Channels: Send + Sync {
    /// The ways to pay at most a price through a channel, in the order of preference.
    fn offers(&self, price: Money) -> Vec<Requirements>;

    /// What is wanted of the channels of an offer; nothing if it offers none.
    fn desk(&self, offer: &Requirements) -> Option<ChannelDesk>;

    /// How many units of an offer's token so much is; nothing if that would round.
    fn units(&self, offer: &Requirements, money: Money) -> Option<Amount>;

    /// Whether what the books say of this chain's channels was compared with it a short while ago.
    fn is_fresh(&self, chain: u64) -> bool;

    /// How often a look has found less claimed of a channel than the books said, because a fork has taken the claim back: what
    /// is owed has become more then.
    fn setbacks(&self) -> u64;

    /// Asks the chain how a channel stands, as deep as it is confirmed, and takes that into the books. A channel with money in
    /// it that the books do not know is opened there if its payer's signed word for what was charged before is given.
    fn see<'a>(
        &'a self,
        desk: &'a ChannelDesk,
        terms: &'a ChannelTerms,
        charged_before: Option<Amount>,
    ) -> ChainFuture<'a, Result<(), ChainRefusal>>;

    /// Judges a deposit and the extensions that came with it, a signed allowance among them: what carries it out, if the chain
    /// would carry it out now. Nothing is sent.
    fn deposit<'a>(
        &'a self,
        offer: &'a Requirements,
        deposit: &'a DepositPayload,
        extensions: &'a Map<String, Value>,
    ) -> ChainFuture<'a, Result<SoundDeposit, ChainRefusal>>;

    /// What gives a payer money back, after what it still owes was claimed.
    fn refund(
        &self,
        desk: &ChannelDesk,
        terms: &ChannelTerms,
        plan: &RefundPlan,
    ) -> Result<Call, ChainRefusal>;

    /// Whether a payer that is a contract says that this signature of this digest is its own.
    fn is_signed_by<'a>(
        &'a self,
        chain: u64,
        payer: Address,
        digest: Digest,
        signature: &'a [u8],
    ) -> ChainFuture<'a, Result<bool, ChainRefusal>>;
}
