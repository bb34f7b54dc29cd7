//! The operator ends an epoch before its time: over the socket of the server that runs, or in the folder.

use farthing_money::Timestamp;
use http::Method;
use serde::{Deserialize, Serialize};

use super::{Liabilities, LiabilitiesError};
use crate::access::{Access, AccessError, ask};
use crate::operator::{Operator, OperatorError};

/// An epoch that the operator has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochEnded {
    /// Which.
    pub epoch: u32,
    /// When.
    pub ended_at: Timestamp,
    /// How many statements were published.
    pub statements: usize,
}

impl From<LiabilitiesError> for OperatorError {
    fn from(error: LiabilitiesError) -> Self {
        match error {
            LiabilitiesError::Fault(fault) => Self::Fault(fault),
            LiabilitiesError::Refused(refusal) => Self::from(refusal),
            LiabilitiesError::Overflow => Self::Overflow,
            error => Self::Disagree(error.to_string()),
        }
    }
}

impl Liabilities {
    /// Ends the present epoch, and says which it was.
    pub async fn end_epoch_now(&self) -> Result<EpochEnded, LiabilitiesError> {
        let statements = self.end_epoch().await?;
        let books = self.read.books()?;
        Ok(EpochEnded { epoch: books.epoch.saturating_sub(1), ended_at: books.epoch_opened_at, statements })
    }
}

impl Access {
    /// Ends the present epoch and publishes what is owed.
    pub async fn end_epoch(&self) -> Result<EpochEnded, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/issuer/epoch", None::<&()>).await,
            Self::Folder(installation) => {
                let ended = Operator::new(installation).liabilities().end_epoch_now().await;
                Ok(ended.map_err(OperatorError::from)?)
            }
        }
    }
}
