//! What an operator does with an installation: makes top-up codes, reads the books, checks, exports and closes them.

mod balance;
mod close;
mod codes;
mod entry;
mod exchange;
mod export;
mod heads;
mod journal;
pub mod period;
mod receipt;
mod report;
mod statement;
mod trial;
mod verify;

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use farthing_engine::{Execute, Fault, Read, Refusal};
use farthing_ledger::AuditError;
use farthing_money::{AssetTable, Money, Timestamp};
use farthing_store::Clock;
use farthing_wire::JwsError;
use thiserror::Error;

use crate::installation::Installation;
use crate::liabilities::Liabilities;
use crate::random::{Random, RandomError};

pub use close::{Closed, ClosedPeriod};
pub use codes::{CODES_MOST, NewCodes};
pub(crate) use entry::memo as is_one_line;
pub use entry::{Entered, EntryRequest, ReverseRequest};
pub use exchange::{ExchangeRequest, ExchangeStanding, FxEarned, FxPosition};
pub use export::{Export, ExportQuery, Format, Merchants};
pub use heads::Head;
pub use journal::{JOURNAL_MOST, JournalLine};
pub use period::Period;
pub use receipt::{PaymentTrail, TrailPayment};
pub use report::{PaidOut, Report, ReportLine};
pub use statement::{Section, SectionRow, Statement, StatementAsset};
pub use trial::{Trial, TrialRow};
pub use verify::{KeysetsCompared, Verified};

/// The operator's view of an installation.
#[derive(Clone)]
pub struct Operator {
    execute: Arc<dyn Execute>,
    read: Arc<dyn Read>,
    assets: AssetTable,
    clock: Clock,
    random: Random,
    /// Signs heads and closes, as it does receipts.
    key: SigningKey,
}

/// Why an operator's request is not carried out.
#[derive(Debug, Error)]
pub enum OperatorError {
    /// No or too many codes.
    #[error("expected a count of 1 to {CODES_MOST} top-up codes, got {0}")]
    Count(usize),
    /// Codes of nothing, or of what no credit can be worth.
    #[error("expected an amount above zero that fits in 64 bits of minor units, got {0}")]
    Amount(Money),
    /// Not an asset of this installation.
    #[error(transparent)]
    Money(#[from] farthing_money::MoneyError),
    /// Not a day or a period.
    #[error(transparent)]
    Period(#[from] period::PeriodError),
    /// Something else in the request is not what was expected.
    #[error("{0}")]
    Request(String),
    /// Another period comes first.
    #[error("{period} cannot be closed yet: {first} comes first; periods are closed in order")]
    OutOfTurn {
        /// The one that was to be closed.
        period: String,
        /// The day with which the next one must begin.
        first: String,
    },
    /// A day of the future.
    #[error("expected a day that is not in the future, got {got} ({now} is today, in UTC)", got = period::day_text(*.got), now = period::day_text(*.now))]
    Future {
        /// The day.
        got: Timestamp,
        /// Today.
        now: Timestamp,
    },
    /// A chain does not answer.
    #[error("{0}")]
    Chain(String),
    /// What was asked for is not there.
    #[error("{0}")]
    Missing(String),
    /// A text that we did not sign, or that was changed.
    #[error("the text is not genuine ({code}): {0}", code = .0.code())]
    Signed(#[from] JwsError),
    /// The engine refuses.
    #[error("{0} ({code})", code = .0.code())]
    Rejected(farthing_engine::Reject),
    /// The machine refuses.
    #[error(transparent)]
    Refused(Refusal),
    /// The books cannot be read.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The books are wrong.
    #[error("the books do not agree: {0}")]
    Audit(#[from] AuditError),
    /// What was published of the books is not what the journal says.
    #[error("the books do not agree: {0}")]
    Disagree(String),
    /// A sum does not fit.
    #[error("a sum of the books does not fit in 128 bits")]
    Overflow,
    /// A text cannot be written.
    #[error("the answer cannot be written: {0}")]
    Text(String),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl From<Refusal> for OperatorError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Reject(reject) => Self::Rejected(reject),
            refusal => Self::Refused(refusal),
        }
    }
}

impl Operator {
    /// The operator of an open installation.
    pub fn new(installation: &Installation) -> Self {
        Self {
            execute: Arc::clone(&installation.writer),
            read: Arc::clone(&installation.books),
            random: Arc::clone(&installation.random),
            assets: installation.assets.clone(),
            clock: Arc::clone(&installation.clock),
            key: installation.receipts.clone(),
        }
    }

    /// What the issuer owes, to be stated.
    pub fn liabilities(&self) -> Liabilities {
        let (read, execute) = (Arc::clone(&self.read), Arc::clone(&self.execute));
        Liabilities::over(read, execute, self.key.clone(), Arc::clone(&self.clock))
    }
}
