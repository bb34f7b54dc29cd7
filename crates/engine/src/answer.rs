//! What a decided command answers.

use farthing_money::Amount;

use crate::{
    CallRow, MeltQuoteRow, MintQuoteRow, PaymentRow, PayoutId, PayoutRow, QuotaRow, QuoteId, RefundStep,
    SessionRow, SettlementRow, UseRow,
};

/// The answer to a command that was carried out, or that repeats one that was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done, now or before; nothing more to say.
    Done,
    /// The quote as it stands. For a code that was claimed before, the quote that claimed it.
    MintQuote(QuoteId, Box<MintQuoteRow>),
    /// The quote as it stands.
    MeltQuote(QuoteId, Box<MeltQuoteRow>),
    /// The money is set aside: serve, then post or release.
    Held(Box<PaymentRow>),
    /// The payment is charged, now or before.
    Posted(Box<PaymentRow>),
    /// A call that moves the money is under way, for what was delivered or for a quote: wait for its outcome.
    Settling(Box<PaymentRow>),
    /// The payment's money is in escrow, or on its way there, as its state says.
    Escrow(Box<PaymentRow>),
    /// The call as it stands.
    Call(Box<CallRow>),
    /// The call ended like this, now or before.
    Settled(Box<SettlementRow>),
    /// One was taken: the quota as it stands now.
    Quota(QuotaRow),
    /// The use of a feature as it stands.
    Use(Box<UseRow>),
    /// The payout as it stands.
    Payout(PayoutId, Box<PayoutRow>),
    /// The session as it stands.
    Session(Box<SessionRow>),
    /// A use of a bundle is taken, now or just before.
    BundleUse {
        /// How many are left.
        left: u32,
    },
    /// What went back of a payment, now or before.
    Refund(Box<RefundStep>),
    /// A part of the tape is in the books.
    Folded {
        /// What was charged.
        charged: Amount,
        /// Calls that could not be charged: a mistake of who wrote them down.
        lost: u32,
    },
    /// Codes are given back: what is to be paid for them.
    Refunded {
        /// By this command.
        now: Amount,
        /// By commands before it.
        before: Amount,
    },
}
