//! Payment channels: money that a payer has put into a contract, and what we may have of it by what he has signed.
//!
//! A channel's row says two things apart: what its chain says ([`OnChain`], taken over whole at each look, so that whatever
//! anybody does there, and whatever a fork takes back, is in the books after the next look) and what we have charged. What
//! stands in the books for a channel follows from the two ([`ChannelRow::shares`]), so that it can be computed anew.

use farthing_ledger::{AccountId, Transfer};
use farthing_money::{Amount, Asset, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Call, CallId, ChainAddress, ChannelId, Chart, PaymentId, ReceiverId, Reject};

/// An amount as its token counts it, and what that is worth in the books' asset. What a token counts finer is rounded down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// In the token's smallest units.
    pub units: Amount,
    /// In the asset's.
    pub worth: Amount,
}

impl Tally {
    /// The sum, or nothing if it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let units = self.units.checked_add(other.units)?;
        Some(Self { units, worth: self.worth.checked_add(other.worth)? })
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

/// What a channel's name is the hash of. Nobody can change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelTermsRow {
    /// The chain's number (EIP-155).
    pub chain: u64,
    /// Whose money is in it.
    pub payer: ChainAddress,
    /// Who signs its vouchers.
    pub payer_authorizer: ChainAddress,
    /// Who is paid.
    pub receiver: ChainAddress,
    /// Who signs claims and refunds for the receiver.
    pub receiver_authorizer: ChainAddress,
    /// The token.
    pub token: ChainAddress,
    /// How many seconds a payer waits for money that he takes back.
    pub withdraw_delay: u32,
    /// What tells it apart from others that are equal in all else.
    pub salt: [u8; 32],
}

/// What a chain says of a channel, as deep in it as the chain's `confirmations` ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnChain {
    /// What was put into it and not taken out again, with what was claimed of it.
    pub balance: Tally,
    /// What was claimed of it, all in all.
    pub claimed: Tally,
    /// How often money was given back.
    pub refunds: u64,
    /// When its payer has asked for his money; then nothing more is served for it.
    pub withdraw_asked_at: Option<Timestamp>,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRow {
    /// What it is made of.
    pub terms: ChannelTermsRow,
    /// What its token counts as.
    pub asset: Asset,
    /// Where it stands in the books.
    pub accounts: ChannelAccounts,
    /// What its chain says.
    pub on_chain: OnChain,
    /// When it was asked.
    pub seen_at: Timestamp,
    /// What was charged through it, all in all.
    pub charged: Tally,
    /// The most that its payer has signed for, in the token's units: what may be claimed with `signature`.
    pub signed: Amount,
    /// The signature for that; none before the first charge.
    pub signature: Vec<u8>,
    /// The payment that is under way. A channel serves one at a time: the next voucher builds on what this one is charged.
    pub held: Option<PaymentId>,
    /// The last payment that was charged: its voucher sent again is the same payment.
    pub last: Option<PaymentId>,
    /// The call that gives its rest back. While it is under way, nothing is served.
    pub refund: Option<CallId>,
    /// When it was last paid with.
    pub used_at: Timestamp,
}

/// What stands in the books for a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    escrow: Amount,
    claimed: Amount,
    payers: Amount,
    lost: Amount,
}

impl ChannelRow {
    /// A channel that nobody has paid with yet.
    pub fn new(terms: ChannelTermsRow, asset: Asset, accounts: ChannelAccounts, now: Timestamp) -> Self {
        Self {
            terms,
            asset,
            accounts,
            on_chain: OnChain::default(),
            seen_at: Timestamp::from_secs(0),
            charged: Tally::default(),
            signed: Amount::ZERO,
            signature: Vec::new(),
            held: None,
            last: None,
            refund: None,
            used_at: now,
        }
    }

    /// What was charged and is not claimed: what we lose if its payer takes his money now.
    pub fn unclaimed(&self) -> Tally {
        let less = |all: Amount, part: Amount| all.checked_sub(part).unwrap_or_default();
        let (charged, claimed) = (self.charged, self.on_chain.claimed);
        Tally { units: less(charged.units, claimed.units), worth: less(charged.worth, claimed.worth) }
    }

    /// What stands in the books for it. Both sides are the larger of its balance and what was charged.
    pub fn shares(&self) -> Shares {
        let less = |all: Amount, part: Amount| all.checked_sub(part).unwrap_or_default();
        let (balance, claimed, charged) =
            (self.on_chain.balance.worth, self.on_chain.claimed.worth, self.charged.worth);
        Shares {
            escrow: less(balance, claimed),
            claimed: claimed.min(balance),
            payers: less(balance, charged),
            lost: less(charged, balance),
        }
    }
}

impl Shares {
    /// By how much the payer's share is less afterwards.
    pub(crate) fn payers_less(&self, after: &Self) -> Amount {
        self.payers.checked_sub(after.payers).unwrap_or_default()
    }

    /// By how much more is lost than before.
    pub(crate) fn lost_more(&self, before: &Self) -> Amount {
        self.lost.checked_sub(before.lost).unwrap_or_default()
    }

    /// What has to be entered when a channel that stood like this stands like `after`. In between it is in `clearing`.
    pub(crate) fn until(
        &self,
        after: &Self,
        accounts: &ChannelAccounts,
        clearing: AccountId,
    ) -> Vec<Transfer> {
        // Whether more of it is on the debit side.
        let sides = [
            (accounts.escrow, self.escrow, after.escrow, true),
            (accounts.claimed, self.claimed, after.claimed, true),
            (accounts.lost, self.lost, after.lost, true),
            (accounts.payers, self.payers, after.payers, false),
        ];
        let (mut into, mut out) = (Vec::new(), Vec::new());
        for (account, before, after, more_is_debit) in sides {
            let (more, by) = match after.checked_sub(before) {
                Some(by) => (true, by),
                None => (false, before.checked_sub(after).unwrap_or_default()),
            };
            if more == more_is_debit {
                into.push(Transfer::post(account, clearing, by));
            } else {
                out.push(Transfer::post(clearing, account, by));
            }
        }
        into.append(&mut out);
        into
    }
}

/// What a receiver has of a token at the contract of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverRow {
    /// What was moved to it, all in all, as deep as the chain's `confirmations` ask.
    pub settled: Tally,
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
}

/// A voucher that pays for a request.
#[derive(Clone, Debug)]
pub struct HeldVoucher {
    /// Which channel.
    pub channel: ChannelId,
    /// What had been charged through it when this was signed, in the token's units.
    pub base: Amount,
    /// What may be charged of it now.
    pub ceiling: Tally,
    /// The signature for the sum of both, verified.
    pub signature: Vec<u8>,
    /// How much may be charged and not claimed, in the token's units.
    pub exposure_most: Amount,
    /// The accounts of the channel, as its row names them.
    pub accounts: ChannelAccounts,
}

/// Charges a voucher: at most its ceiling.
#[derive(Clone, Debug)]
pub struct ChargeVoucher {
    /// The payment.
    pub payment: PaymentId,
    /// Its channel, as the payment's row names it.
    pub channel: ChannelId,
    /// The accounts of the channel, as its row names them.
    pub accounts: ChannelAccounts,
    /// The merchant's account.
    pub merchant: AccountId,
    /// In what.
    pub asset: Asset,
    /// What is charged.
    pub charged: Tally,
    /// Until when it opens its resource.
    pub pass_until: Option<Timestamp>,
}

/// Takes a chain's word for how a channel stands.
#[derive(Clone, Debug)]
pub struct SeeChannel {
    /// Which.
    pub channel: ChannelId,
    /// How it stands.
    pub on_chain: OnChain,
    /// The accounts of the channel, as its row names them.
    pub accounts: ChannelAccounts,
    /// In what.
    pub asset: Asset,
    /// The refund that has ended, if one was under way.
    pub refund_ended: Option<CallId>,
}

/// Takes a chain's word for what was moved to a receiver.
#[derive(Clone, Debug)]
pub struct SeeReceiver {
    /// Which.
    pub receiver: ReceiverId,
    /// All that was moved to it.
    pub settled: Tally,
    /// The accounts of the token.
    pub accounts: ChannelAccounts,
    /// In what.
    pub asset: Asset,
}

/// What a payment with a voucher was held with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoucherRow {
    /// Which channel.
    pub channel: ChannelId,
    /// The sum that was signed for, in the token's units.
    pub cumulative: Amount,
    /// What may be charged of it.
    pub ceiling: Tally,
    /// The signature.
    pub signature: Vec<u8>,
}

impl HeldVoucher {
    /// The sum that is signed for.
    pub(crate) fn cumulative(&self) -> Result<Amount, Reject> {
        self.base.checked_add(self.ceiling.units).ok_or(Reject::AmountOverflow)
    }

    /// What its payment keeps of it.
    pub(crate) fn row(&self) -> Result<VoucherRow, Reject> {
        let Self { channel, ceiling, signature, .. } = self;
        let (cumulative, signature) = (self.cumulative()?, signature.clone());
        Ok(VoucherRow { channel: *channel, cumulative, ceiling: *ceiling, signature })
    }
}
