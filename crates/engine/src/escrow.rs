//! Payments that go through an escrow on their chain: into it before anybody is served, out of it afterwards. What is in
//! escrow is nobody's yet, so that the books keep what was set aside *pending* until it is captured or goes back.

use farthing_ledger::AccountId;
use farthing_money::{Amount, Asset, Timestamp};

use crate::{Call, CallId, EndCall, Keys, Marks, Payees, PaymentId};

/// Asks for a held payment's money to be put into escrow.
#[derive(Clone, Debug)]
pub struct Authorize {
    /// Which.
    pub payment: PaymentId,
    /// What puts it there.
    pub call: Call,
    /// The accounts that hold it, as its row names them.
    pub accounts: Vec<AccountId>,
    /// In what.
    pub asset: Asset,
}

/// Asks for money in escrow to be paid out, as much of it as is charged; what is left goes back to the payer.
#[derive(Clone, Debug)]
pub struct Capture {
    /// Which.
    pub payment: PaymentId,
    /// What pays it out; nothing if nothing is charged.
    pub call: Option<Call>,
    /// What gives back what is left.
    pub back: Call,
    /// What is charged, at most what is held.
    pub charged: Amount,
    /// Until when it opens its resource.
    pub pass_until: Option<Timestamp>,
    /// The accounts that hold it, as its row names them.
    pub accounts: Vec<AccountId>,
    /// Whom it pays.
    pub merchant: Payees,
    /// In what.
    pub asset: Asset,
    /// What it is known by besides, as its row names it.
    pub marks: Marks,
}

/// Gives money in escrow back to the payer: nothing was served for it.
#[derive(Clone, Debug)]
pub struct Void {
    /// Which.
    pub payment: PaymentId,
    /// What gives it back.
    pub call: Call,
    /// The accounts that hold it, as its row names them.
    pub accounts: Vec<AccountId>,
    /// In what.
    pub asset: Asset,
    /// What it is known by besides, as its row names it.
    pub marks: Marks,
}

impl Authorize {
    pub(crate) fn keys(&self, keys: &mut Keys) {
        keys.payment(self.payment);
        keys.call(CallId::of_authorize(self.payment));
        keys.accounts.extend(&self.accounts);
        keys.chart(self.asset);
    }
}

impl Capture {
    pub(crate) fn keys(&self, keys: &mut Keys) {
        keys.payment(self.payment);
        keys.call(CallId::of_payment(self.payment));
        keys.call(CallId::of_void(self.payment));
        keys.accounts.extend(&self.accounts);
        self.merchant.keys(keys);
        keys.chart(self.asset);
        keys.marks(self.payment, &self.marks);
    }
}

impl Void {
    pub(crate) fn keys(&self, keys: &mut Keys) {
        keys.payment(self.payment);
        keys.call(CallId::of_void(self.payment));
        keys.accounts.extend(&self.accounts);
        keys.chart(self.asset);
        keys.marks(self.payment, &self.marks);
    }
}

impl EndCall {
    /// The key of the call that gives back what this one leaves in escrow.
    pub(crate) fn back_keys(&self, keys: &mut Keys) {
        if let (Some(_), Some(named)) = (&self.back, &self.payment) {
            keys.call(CallId::of_void(named.payment));
        }
    }
}
