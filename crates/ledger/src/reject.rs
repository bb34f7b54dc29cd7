//! Why the ledger refuses a transfer, in order of precedence.

use farthing_money::{Amount, Asset};
use thiserror::Error;

use crate::AccountId;

/// A refused transfer; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LedgerReject {
    /// Debit and credit are the same account.
    #[error("a transfer needs two different accounts, got {0} twice")]
    SameAccount(AccountId),
    /// No such account.
    #[error("there is no account {0}")]
    UnknownAccount(AccountId),
    /// The two accounts count different assets.
    #[error("debit account counts {debit}, credit account {credit}; an exchange is two linked transfers")]
    AssetsDiffer {
        /// The debit account's asset.
        debit: Asset,
        /// The credit account's asset.
        credit: Asset,
    },
    /// A transfer of nothing.
    #[error("a transfer moves at least one minor unit")]
    ZeroAmount,
    /// More is posted than was held.
    #[error("{posted} were to be posted of a hold of {held}")]
    PostExceedsHold {
        /// The hold.
        held: Amount,
        /// What was to be posted.
        posted: Amount,
    },
    /// A hold is resolved that the account does not have.
    #[error("account {account} has {pending} pending, less than the hold of {held} that is to be resolved")]
    HoldNotPending {
        /// Where.
        account: AccountId,
        /// What it has.
        pending: Amount,
        /// What was asked for.
        held: Amount,
    },
    /// A total would not fit.
    #[error("a total of account {0} would exceed 2^128 - 1")]
    Overflow(AccountId),
    /// The debit account may not be overdrawn.
    #[error("account {account} has {available} left, {needed} are needed")]
    DebitsExceedCredits {
        /// Where.
        account: AccountId,
        /// What is left.
        available: Amount,
        /// What the transfer needs.
        needed: Amount,
    },
    /// The credit account may not be overfilled.
    #[error("account {account} has room for {available}, {needed} are needed")]
    CreditsExceedDebits {
        /// Where.
        account: AccountId,
        /// What room is left.
        available: Amount,
        /// What the transfer needs.
        needed: Amount,
    },
}
