//! Why the engine refuses a command. The code of each is stable and listed in docs/errors.md.

mod bundles;
mod calls;
mod entitlements;
mod fares;
mod payouts;
mod quotas;
mod refunds;
mod sessions;
mod trials;
mod uses;

use farthing_channel::ChannelId;
use farthing_channel::seller::Refused;
use farthing_ledger::{LedgerReject, Reference};
use farthing_money::{Amount, Asset, Timestamp};
use thiserror::Error;

pub use self::bundles::BundleReject;
pub use self::calls::CallReject;
pub use self::entitlements::EntitlementReject;
pub use self::fares::FareReject;
pub use self::payouts::PayoutReject;
pub use self::quotas::QuotaReject;
pub use self::refunds::RefundReject;
pub use self::sessions::SessionReject;
pub use self::trials::TrialReject;
pub use self::uses::UseReject;
use crate::{CodeId, CreditId, OutputId, PaymentId, QuoteId, StatementId};

/// A refusal. Nothing was changed. What belongs to one part of the engine has an enum of its own.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reject {
    /// The same credit twice in one request.
    #[error("the credit {0} is given twice")]
    DuplicateCredit(CreditId),
    /// The same output twice in one request.
    #[error("the output {0} is given twice")]
    DuplicateOutput(OutputId),
    /// A sum does not fit.
    #[error("the amounts sum to more than 2^128 - 1")]
    AmountOverflow,
    /// Inputs and outputs differ.
    #[error(
        "the inputs are worth {inputs}, the outputs {outputs} and the fee is {fee}: inputs must equal outputs plus fee"
    )]
    Unbalanced {
        /// What came in.
        inputs: Amount,
        /// What was to go out.
        outputs: Amount,
        /// What the issuer keeps.
        fee: Amount,
    },
    /// The credit is gone.
    #[error("the credit {0} is already spent")]
    CreditSpent(CreditId),
    /// The credit is set aside.
    #[error("the credit {0} is set aside for a payment that is under way")]
    CreditPending(CreditId),
    /// The output was signed before.
    #[error("the output {0} was signed before; ask /v1/restore for its signature or use a new one")]
    OutputSigned(OutputId),
    /// The payment needs more.
    #[error("the credits are worth {got}, the price is {price}")]
    Insufficient {
        /// What it costs.
        price: Amount,
        /// What came.
        got: Amount,
    },
    /// No such quote.
    #[error("there is no quote {0}")]
    UnknownQuote(QuoteId),
    /// Another payment has the name that the payer gave to this one.
    #[error(
        "another payment has this name already; send that payment again, or give this one a name of its own"
    )]
    PaymentNameTaken,
    /// A quote with this id exists.
    #[error("there is already a quote {0}")]
    QuoteExists(QuoteId),
    /// Nothing was paid.
    #[error("the quote {quote} is paid with {paid}, {needed} are asked for")]
    QuoteNotPaid {
        /// Which.
        quote: QuoteId,
        /// What was paid and not yet issued.
        paid: Amount,
        /// What was asked for.
        needed: Amount,
    },
    /// Its credits were issued, or its money paid out.
    #[error("the quote {0} was already used")]
    QuoteUsed(QuoteId),
    /// Its money has come, by another payment.
    #[error("the quote {0} is paid already; nothing was taken, mint its credits or open a new quote")]
    QuotePaid(QuoteId),
    /// Its money is on its way in or out.
    #[error("the quote {0} is being paid on a chain; nothing was taken, ask again in a moment")]
    QuoteUnderWay(QuoteId),
    /// Its money does not come or go on a chain.
    #[error("the quote {0} is not one that is paid on a chain; pay it as its method says")]
    QuoteMethod(QuoteId),
    /// Too late.
    #[error("the quote {0} has expired; open a new one")]
    QuoteExpired(QuoteId),
    /// The quote is locked to another key, or to one at all.
    #[error("the quote {0} must be signed with the key that it was opened with")]
    QuoteLocked(QuoteId),
    /// The amount is not the quote's.
    #[error("the quote {quote} is for {expected}, {got} are asked for")]
    QuoteAmount {
        /// Which.
        quote: QuoteId,
        /// What it is for.
        expected: Amount,
        /// What was asked for.
        got: Amount,
    },
    /// Different assets in one request.
    #[error("{expected} was expected, {got} came")]
    WrongAsset {
        /// What was expected.
        expected: Asset,
        /// What came.
        got: Asset,
    },
    /// No such code.
    #[error("there is no such top-up code; check it for typing mistakes")]
    UnknownCode,
    /// The code is used up.
    #[error("the top-up code was already used")]
    CodeUsed,
    /// Too late.
    #[error("the top-up code has expired")]
    CodeExpired,
    /// The code exists.
    #[error("a top-up code with the hash {0} exists already")]
    CodeExists(CodeId),
    /// The same credential is being served right now.
    #[error("the payment {0} is under way; try again in a moment with the same credential")]
    PaymentUnderWay(PaymentId),
    /// The credential was used for something else.
    #[error("the payment {0} paid for another request; a credential buys one thing")]
    PaymentElsewhere(PaymentId),
    /// No such payment is on hold.
    #[error("the payment {0} is not on hold")]
    PaymentNotHeld(PaymentId),
    /// A call that moves its money is under way.
    #[error("the payment {0} is being settled on its chain; send the same request again in a moment")]
    PaymentSettling(PaymentId),
    /// Its money is not in escrow.
    #[error("the payment {0} is not in escrow any more; nothing was taken, sign a new one")]
    NotInEscrow(PaymentId),
    /// Its money was in escrow and has gone back.
    #[error("the payment {0} was in escrow before and has gone back; sign a new one")]
    EscrowOver(PaymentId),
    /// Not held on a chain, or held on one where credits were expected.
    #[error(
        "the payment {0} is not paid like that: credits are charged here, money on a chain is settled there"
    )]
    NotOnChain(PaymentId),
    /// The call cannot be what is said of it.
    #[error(transparent)]
    Call(#[from] CallReject),
    /// The payment does not count toward its pass.
    #[error(transparent)]
    Fare(#[from] FareReject),
    /// The bundle opens nothing.
    #[error(transparent)]
    Bundle(#[from] BundleReject),
    /// Nothing goes back of a payment.
    #[error(transparent)]
    Refund(#[from] RefundReject),
    /// No such channel.
    #[error("there is no channel {0}; pay with a deposit first")]
    UnknownChannel(ChannelId),
    /// The rules of channels refuse it.
    #[error(transparent)]
    Channel(#[from] Refused),
    /// The keyset exists with other contents.
    #[error("the keyset with index {0} exists already")]
    KeysetExists(u32),
    /// No such keyset.
    #[error("there is no keyset with index {0}")]
    UnknownKeyset(u32),
    /// The issuer is paused.
    #[error("the issuer is paused; nothing was taken, try again later")]
    Paused,
    /// The issuer takes no new money.
    #[error("the issuer takes no new money: it is in its sunset; spend or refund what you have")]
    Sunset,
    /// The operator took the code back.
    #[error("the top-up code was taken back by the operator; ask whoever gave it to you")]
    CodeWithdrawn,
    /// The keyset has not expired or was not written off.
    #[error(
        "the keyset with index {0} is still good; only what expired is written off, and only then forgotten"
    )]
    KeysetAlive(u32),
    /// Something of the keyset is on hold.
    #[error("credits of the keyset with index {0} are on hold; try again when their payments have ended")]
    KeysetHeld(u32),
    /// Not the next epoch.
    #[error("the present epoch is {present}, the next is the one after it; {got} was to begin")]
    EpochOutOfTurn {
        /// The present one.
        present: u32,
        /// What was to begin.
        got: u32,
    },
    /// The period is not over.
    #[error("the period ends at {until}, it is {now}; close it when it is over")]
    PeriodOpen {
        /// Its end.
        until: Timestamp,
        /// The time.
        now: Timestamp,
    },
    /// The period is closed.
    #[error("everything before {until} is closed, the entry is dated {dated}; date it later")]
    PeriodClosed {
        /// The end of what is closed.
        until: Timestamp,
        /// The date of the entry.
        dated: Timestamp,
    },
    /// Another text was published there.
    #[error("another text was published as {0}; what is published never changes")]
    StatementExists(StatementId),
    /// The entitlement is not there, or another is.
    #[error(transparent)]
    Entitlement(#[from] EntitlementReject),
    /// No such entry.
    #[error("there is no entry {0} that could be taken back: only manual entries and sales of codes are")]
    UnknownEntry(Reference),
    /// Another entry has the name.
    #[error("another entry is called {0}; the same entry again must have the same contents")]
    EntryExists(Reference),
    /// It was taken back.
    #[error("the entry {0} was taken back before")]
    EntryReversed(Reference),
    /// Not an account for manual entries.
    #[error("the account {0} moves by payments alone; enter transfers of others")]
    AccountReserved(String),
    /// The payout cannot be moved like that.
    #[error(transparent)]
    Payout(Box<PayoutReject>),
    /// The session cannot be used like that.
    #[error(transparent)]
    Session(#[from] SessionReject),
    /// The ledger refuses.
    #[error(transparent)]
    Ledger(LedgerReject),
    /// Nothing of it is free any more.
    #[error(transparent)]
    Quota(#[from] QuotaReject),
    /// There is no trial.
    #[error(transparent)]
    Trial(#[from] TrialReject),
    /// The same source said later ones before.
    #[error("expected rates of {known} or later, got those of {got}; the later ones stay")]
    RatesOlder {
        /// When those in force were true.
        known: Timestamp,
        /// When these were.
        got: Timestamp,
    },
    /// Of a use of a feature.
    #[error(transparent)]
    Use(#[from] UseReject),
    /// A command did not name a row that it needs: a bug.
    #[error("a row was not loaded; please report this")]
    NotLoaded,
}

impl From<PayoutReject> for Reject {
    fn from(refused: PayoutReject) -> Self {
        Self::Payout(Box::new(refused))
    }
}

impl Reject {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::DuplicateCredit(_) => "duplicate-credit",
            Self::DuplicateOutput(_) => "duplicate-output",
            Self::AmountOverflow => "amount-overflow",
            Self::Unbalanced { .. } => "unbalanced",
            Self::CreditSpent(_) => "credit-spent",
            Self::CreditPending(_) => "credit-pending",
            Self::OutputSigned(_) => "output-signed",
            Self::Insufficient { .. } => "insufficient",
            Self::UnknownQuote(_) => "unknown-quote",
            Self::PaymentNameTaken => "payment-name-taken",
            Self::QuoteExists(_) => "quote-exists",
            Self::QuoteNotPaid { .. } => "quote-not-paid",
            Self::QuoteUsed(_) => "quote-used",
            Self::QuotePaid(_) => "quote-paid",
            Self::QuoteUnderWay(_) => "quote-under-way",
            Self::QuoteMethod(_) => "quote-method",
            Self::QuoteExpired(_) => "quote-expired",
            Self::QuoteLocked(_) => "quote-locked",
            Self::QuoteAmount { .. } => "quote-amount",
            Self::WrongAsset { .. } => "wrong-asset",
            Self::UnknownCode => "unknown-code",
            Self::CodeUsed => "code-used",
            Self::CodeExpired => "code-expired",
            Self::CodeExists(_) => "code-exists",
            Self::PaymentUnderWay(_) => "payment-under-way",
            Self::PaymentElsewhere(_) => "payment-elsewhere",
            Self::PaymentNotHeld(_) => "payment-not-held",
            Self::PaymentSettling(_) => "payment-settling",
            Self::NotInEscrow(_) => "not-in-escrow",
            Self::EscrowOver(_) => "escrow-over",
            Self::NotOnChain(_) => "not-on-chain",
            Self::UnknownChannel(_) => "unknown-channel",
            Self::KeysetExists(_) => "keyset-exists",
            Self::UnknownKeyset(_) => "unknown-keyset",
            Self::Paused => "paused",
            Self::Sunset => "sunset",
            Self::CodeWithdrawn => "code-withdrawn",
            Self::KeysetAlive(_) => "keyset-alive",
            Self::KeysetHeld(_) => "keyset-held",
            Self::EpochOutOfTurn { .. } => "epoch-out-of-turn",
            Self::PeriodOpen { .. } => "period-open",
            Self::PeriodClosed { .. } => "period-closed",
            Self::StatementExists(_) => "statement-exists",
            Self::UnknownEntry(_) => "unknown-entry",
            Self::EntryExists(_) => "entry-exists",
            Self::EntryReversed(_) => "entry-reversed",
            Self::AccountReserved(_) => "account-reserved",
            Self::RatesOlder { .. } => "rates-older",
            Self::Channel(refused) => refused.code(),
            Self::Call(refused) => refused.code(),
            Self::Fare(refused) => refused.code(),
            Self::Refund(refused) => refused.code(),
            Self::Bundle(refused) => refused.code(),
            Self::Payout(refused) => refused.code(),
            Self::Session(refused) => refused.code(),
            Self::Quota(refused) => refused.code(),
            Self::Trial(refused) => refused.code(),
            Self::Entitlement(refused) => refused.code(),
            Self::Use(refused) => refused.code(),
            Self::Ledger(LedgerReject::DebitsExceedCredits { .. }) => "limit-reached",
            Self::Ledger(_) => "ledger-refused",
            Self::NotLoaded => "internal",
        }
    }

    /// Whether the same command may succeed later.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Channel(refused) => refused.is_transient(),
            Self::Call(refused) => refused.is_transient(),
            Self::Fare(refused) => refused.is_transient(),
            Self::Refund(refused) => refused.is_transient(),
            Self::Bundle(refused) => refused.is_transient(),
            Self::Payout(refused) => refused.is_transient(),
            Self::CreditPending(_)
            | Self::PaymentUnderWay(_)
            | Self::PaymentSettling(_)
            | Self::QuoteNotPaid { .. }
            | Self::QuoteUnderWay(_)
            | Self::Paused
            | Self::KeysetHeld(_)
            | Self::PeriodOpen { .. } => true,
            _ => false,
        }
    }
}
