//! A payment: held, then posted or released.

use farthing_channel::ChannelId;
use farthing_ledger::AccountId;
use farthing_money::{Amount, Asset, Label, Timestamp};

use super::{Command, Input, Output};
use crate::{CreditId, HeldVoucher, Keys, Marks, Payees, PaymentId, RequestTag};

/// What a credential pays with.
#[derive(Clone, Debug)]
pub enum Funds {
    /// Credits of ours: from now on they pay for this or are given back.
    Credits(Vec<Input>),
    /// Money on a chain, which the payer has signed for.
    Chain {
        /// The account of what we have of it.
        reserve: AccountId,
        /// How much at the most, in the asset's units.
        amount: Amount,
    },
    /// Money in a channel, which the payer has signed a voucher for.
    Voucher(Box<HeldVoucher>),
}

impl From<Vec<Input>> for Funds {
    fn from(inputs: Vec<Input>) -> Self {
        Self::Credits(inputs)
    }
}

/// Sets what a credential pays with aside for a request.
#[derive(Clone, Debug)]
pub struct Hold {
    /// The payment, derived from the credential.
    pub payment: PaymentId,
    /// What it pays with.
    pub funds: Funds,
    /// The least that they must be worth.
    pub price: Amount,
    /// In what.
    pub asset: Asset,
    /// Whom it pays.
    pub merchant: Payees,
    /// What it buys.
    pub resource: String,
    /// What the request asked for besides (blank outputs).
    pub tag: RequestTag,
    /// The tax code of the rule that set the price.
    pub tax_code: Option<Label>,
    /// What it is known by besides.
    pub marks: Marks,
}

/// Charges a held payment.
#[derive(Clone, Debug)]
pub struct Post {
    /// Which.
    pub payment: PaymentId,
    /// Its credits, as held.
    pub credits: Vec<CreditId>,
    /// The accounts of their keysets.
    pub accounts: Vec<AccountId>,
    /// Whom it pays.
    pub merchant: Payees,
    /// In what.
    pub asset: Asset,
    /// What is charged; the rest of the hold is change.
    pub charged: Amount,
    /// The change.
    pub change: Vec<Output>,
    /// Until when it opens its resource.
    pub pass_until: Option<Timestamp>,
    /// What it is known by besides, as its row says.
    pub marks: Marks,
}

/// Gives a held payment back.
#[derive(Clone, Debug)]
pub struct Release {
    /// Which.
    pub payment: PaymentId,
    /// Its credits, as held.
    pub credits: Vec<CreditId>,
    /// The accounts of their keysets.
    pub accounts: Vec<AccountId>,
    /// In what.
    pub asset: Asset,
    /// The channel of its voucher, as held.
    pub channel: Option<ChannelId>,
    /// What it is known by besides, as its row says.
    pub marks: Marks,
}

impl Command {
    /// The keys of what pays here.
    pub(super) fn payment_keys(&self, keys: &mut Keys) {
        match self {
            Self::Hold(command) => command.keys(keys),
            Self::Post(command) => command.keys(keys),
            Self::Release(command) => command.keys(keys),
            _ => {}
        }
    }
}

impl Hold {
    /// What it touches.
    pub(super) fn keys(&self, keys: &mut Keys) {
        keys.payment(self.payment);
        keys.marks(self.payment, &self.marks);
        match &self.funds {
            Funds::Credits(inputs) => keys.spent(inputs),
            Funds::Chain { reserve, .. } => keys.accounts.push(*reserve),
            Funds::Voucher(voucher) => {
                keys.channels.push(voucher.voucher.channel());
                keys.accounts.extend(voucher.accounts.ids());
            }
        }
        self.merchant.keys_to_check(keys);
        keys.clearing(self.asset);
    }
}

impl Post {
    /// What it touches.
    pub(super) fn keys(&self, keys: &mut Keys) {
        keys.payment(self.payment);
        keys.marks(self.payment, &self.marks);
        keys.credits.extend(&self.credits);
        keys.signed(&self.change);
        keys.accounts.extend(&self.accounts);
        self.merchant.keys(keys);
        keys.chart(self.asset);
    }
}

impl Release {
    /// What it touches.
    pub(super) fn keys(&self, keys: &mut Keys) {
        keys.payment(self.payment);
        keys.marks(self.payment, &self.marks);
        keys.credits.extend(&self.credits);
        keys.accounts.extend(&self.accounts);
        keys.channels.extend(self.channel);
        keys.chart(self.asset);
    }
}
