//! Payment channels: money that a payer has put into a contract, and what we may have of it by what he has signed.
//!
//! Which vouchers are taken is said by the rules of [`farthing_channel::seller`]; here they meet the ledger. What the chain says
//! of a channel is taken over whole at each look, so that whatever anybody does there, and whatever a fork takes back, is in
//! the books after the next look. What stands in the books for a channel follows from its row ([`ChannelRow::shares`]), so
//! that it can be computed anew.

use farthing_channel::seller::{ChannelBooks, ChannelOffer, ChannelOnChain, Proven};
use farthing_channel::{ChannelId, ChannelTerms};
use farthing_ledger::{AccountId, Transfer};
use farthing_money::{Amount, Asset, Rounding, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Call, CallId, Chart, Marks, Payees, PaymentId, ReceiverId};

/// What a token's units are worth in the books' asset: a fraction, because tokens count finer or coarser than books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitWorth {
    /// So much of the asset ..
    pub worth: u128,
    /// .. are so many units.
    pub units: u128,
}

impl UnitWorth {
    /// What units are worth. What the books do not count any more is rounded down; nothing if it does not fit.
    pub fn of(self, units: Amount) -> Option<Amount> {
        units.mul_div(self.worth, self.units, Rounding::Down)
    }
}

/// The accounts of one token's channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelAccounts {
    /// What lies in the contract and is not claimed: an asset.
    pub escrow: AccountId,
    /// What is claimed and not yet moved to us: an asset.
    pub claimed: AccountId,
    /// What payers have left: a liability.
    pub payers: AccountId,
    /// What was charged and cannot be claimed any more: an expense.
    pub lost: AccountId,
    /// What we have of the token ourselves: an asset.
    pub reserve: AccountId,
}

impl ChannelAccounts {
    /// The accounts of a token, named as its reserve is.
    pub fn of(chart: &Chart, token: &str) -> Self {
        let [escrow, claimed, payers, lost] = chart.channels(token).map(|account| account.id());
        Self { escrow, claimed, payers, lost, reserve: chart.reserve(token).id() }
    }

    /// All of them.
    pub const fn ids(&self) -> [AccountId; 5] {
        [self.escrow, self.claimed, self.payers, self.lost, self.reserve]
    }
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRow {
    /// The chain's number (EIP-155).
    pub chain: u64,
    /// What it is made of.
    pub terms: ChannelTerms,
    /// What its token counts as.
    pub asset: Asset,
    /// What a unit of its token is worth.
    pub unit: UnitWorth,
    /// Where it stands in the books.
    pub accounts: ChannelAccounts,
    /// What was charged, signed and seen, in the token's units.
    pub books: ChannelBooks,
    /// What merchants have got through it, all in all.
    pub earned: Amount,
    /// The payment that is under way. A channel serves one at a time: the next voucher builds on what this one is charged.
    pub held: Option<PaymentId>,
    /// The last payment that was charged: its voucher sent again is the same payment.
    pub last: Option<PaymentId>,
    /// The call that gives its rest back. While it is under way, nothing is served.
    pub refund: Option<CallId>,
    /// How it stood after its last refund.
    pub gave_back: Option<GaveBack>,
    /// When it was last paid with.
    pub used_at: Timestamp,
}

/// How a channel stood after its last refund: who asks for the next one may have paid meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GaveBack {
    /// When it was asked for.
    pub at: Timestamp,
    /// What was charged by then, in units.
    pub charged: Amount,
    /// What was in it when the refund had ended, in units; nothing before that.
    pub balance: Amount,
}

/// What stands in the books for a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    escrow: Amount,
    claimed: Amount,
    payers: Amount,
    lost: Amount,
    /// What was claimed though no payment of ours was charged for it: a backup knows less than the chain.
    found: Amount,
}

/// What remains of an amount.
fn less(all: Amount, part: Amount) -> Amount {
    all.checked_sub(part).unwrap_or_default()
}

impl ChannelRow {
    /// A channel that nobody has paid with yet.
    pub fn new(
        (chain, terms): (u64, ChannelTerms),
        (asset, unit): (Asset, UnitWorth),
        accounts: ChannelAccounts,
        now: Timestamp,
    ) -> Self {
        Self {
            chain,
            terms,
            asset,
            unit,
            accounts,
            books: ChannelBooks::default(),
            earned: Amount::ZERO,
            held: None,
            last: None,
            refund: None,
            gave_back: None,
            used_at: now,
        }
    }

    /// The same when its payer has signed that so much was charged before.
    #[must_use]
    pub fn charged_before(self, charged: Amount) -> Self {
        Self { books: ChannelBooks::begun(charged), ..self }
    }

    /// What units of its token are worth; nothing if it does not fit.
    pub fn worth(&self, units: Amount) -> Option<Amount> {
        self.unit.of(units)
    }

    /// What was charged and is not claimed, in units: what we lose if its payer takes his money now.
    pub fn unclaimed(&self) -> Amount {
        less(self.books.charged(), self.books.chain().claimed)
    }

    /// Whether nothing lies there any more, nothing is owed and nothing is under way.
    pub fn is_empty(&self) -> bool {
        let chain = self.books.chain();
        chain.balance <= chain.claimed
            && chain.withdraw_since.is_none()
            && self.unclaimed().is_zero()
            && !self.is_busy()
    }

    /// Whether a payment or a refund is under way.
    pub fn is_busy(&self) -> bool {
        self.books.is_held() || self.refund.is_some()
    }

    /// What stands in the books for it; nothing if it does not fit. Assets and losses are what payers and merchants have.
    pub fn shares(&self) -> Option<Shares> {
        let chain = self.books.chain();
        let (balance, claimed, charged) =
            (self.worth(chain.balance)?, self.worth(chain.claimed)?, self.worth(self.books.charged())?);
        let covered = charged.min(balance);
        Some(Shares {
            escrow: less(balance, claimed),
            claimed: claimed.min(balance),
            payers: less(balance, charged),
            lost: less(self.earned, covered),
            found: less(covered, self.earned),
        })
    }
}

impl ReceiverRow {
    /// What of all that was moved to a receiver is of none of our channels, when `claimed` was claimed for it and `ours` of that
    /// from our channels. The contract does not say whose part was moved: what is left there is taken for ours first.
    pub fn found_of(settled: Amount, claimed: Amount, ours: Amount) -> Amount {
        less(claimed, ours).min(settled)
    }
}

impl Shares {
    /// What lies in the contract and is not claimed.
    pub const fn escrow(&self) -> Amount {
        self.escrow
    }

    /// What is claimed, whether it was moved or not.
    pub const fn claimed(&self) -> Amount {
        self.claimed
    }

    /// What the payer has left.
    pub const fn payers(&self) -> Amount {
        self.payers
    }

    /// What was charged and cannot be claimed, and what was claimed and never charged.
    pub const fn lost_and_found(&self) -> (Amount, Amount) {
        (self.lost, self.found)
    }

    /// By how much the payer's share is less afterwards.
    pub(crate) fn payers_less(&self, after: &Self) -> Amount {
        less(self.payers, after.payers)
    }

    /// What has to be entered when a channel that stood like this stands like `after`. In between it is in `clearing`.
    pub(crate) fn until(
        &self,
        after: &Self,
        accounts: &ChannelAccounts,
        clearing: AccountId,
    ) -> Vec<Transfer> {
        let rise = [
            (accounts.escrow, self.escrow, after.escrow),
            (accounts.claimed, self.claimed, after.claimed),
            (accounts.lost, self.lost, after.lost),
            // What is less on the other side.
            (accounts.payers, after.payers, self.payers),
            (accounts.lost, after.found, self.found),
        ];
        let into = rise
            .iter()
            .map(|(account, before, after)| Transfer::post(*account, clearing, less(*after, *before)));
        let out = rise
            .iter()
            .map(|(account, before, after)| Transfer::post(clearing, *account, less(*before, *after)));
        into.chain(out).collect()
    }
}

/// What a receiver has of a token at the contract of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverRow {
    /// What was moved to it, all in all, in the token's units, as deep as the chain's `confirmations` ask.
    pub settled: Amount,
    /// What of that none of our channels has claimed: somebody else has claimed it for the same receiver.
    pub found: Amount,
    /// When the chain was asked.
    pub seen_at: Timestamp,
}

/// Why a call on a channel is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChannelStep {
    /// It puts a payer's money into the channel.
    Deposit(ChannelId),
    /// It gives a payer back what is left.
    Refund(ChannelId),
    /// It claims what was charged through channels.
    Claim,
    /// It moves what is claimed to us.
    Sweep,
}

/// Makes a call on a channel, once. A deposit opens the channel, if it is new: so it is watched from then on.
#[derive(Clone, Debug)]
pub struct MakeChannelCall {
    /// The call's name.
    pub id: CallId,
    /// What.
    pub call: Call,
    /// Why.
    pub step: ChannelStep,
    /// The channel of a deposit, should it be new.
    pub opens: Option<Box<ChannelRow>>,
    /// What was charged through the channel of a refund when it was worked out, in units. If more was since, it is refused.
    pub charged: Amount,
}

/// A voucher that pays for a request.
#[derive(Clone, Debug)]
pub struct HeldVoucher {
    /// The voucher. Whom it is by is known.
    pub voucher: Proven,
    /// The most that may be charged, in units.
    pub price: Amount,
    /// What the seller wants of channels.
    pub offer: ChannelOffer,
    /// What the payer owes through other channels, in units.
    pub owed_elsewhere: Amount,
    /// The accounts of the channel, as its row names them.
    pub accounts: ChannelAccounts,
}

/// Charges a voucher: at most the price that it was held for.
#[derive(Clone, Debug)]
pub struct ChargeVoucher {
    /// The payment.
    pub payment: PaymentId,
    /// Its channel, as the payment's row names it.
    pub channel: ChannelId,
    /// The accounts of the channel, as its row names them.
    pub accounts: ChannelAccounts,
    /// Whom it pays.
    pub merchant: Payees,
    /// In what.
    pub asset: Asset,
    /// What is charged, in units.
    pub charged: Amount,
    /// Until when it opens its resource.
    pub pass_until: Option<Timestamp>,
    /// What it is known by besides, as its row says.
    pub marks: Marks,
}

/// Takes a chain's word for how a channel stands.
#[derive(Clone, Debug)]
pub struct SeeChannel {
    /// Which.
    pub channel: ChannelId,
    /// How it stands.
    pub on_chain: ChannelOnChain,
    /// The accounts of the channel, as its row names them.
    pub accounts: ChannelAccounts,
    /// In what.
    pub asset: Asset,
    /// The refund that has ended, if one was under way.
    pub refund_ended: Option<CallId>,
    /// The channel, should the books not know it: somebody else has filled it, or a backup knows less than the chain.
    pub opens: Option<Box<ChannelRow>>,
}

/// Takes a chain's word for what was moved to a receiver.
#[derive(Clone, Debug)]
pub struct SeeReceiver {
    /// Which.
    pub receiver: ReceiverId,
    /// All that was moved to it, in units.
    pub settled: Amount,
    /// What of that our channels have not claimed, in units.
    pub found: Amount,
    /// What a unit is worth.
    pub unit: UnitWorth,
    /// The accounts of the token.
    pub accounts: ChannelAccounts,
}
