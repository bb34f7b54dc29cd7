//! The same questions from the command line: over the socket if a server runs, with the open folder otherwise.

use http::Method;

use super::outbox::{EndRequest, EndedCall, UnderWay, under_way};
use super::{ChainRoom, ChainStatus, admin};
use crate::access::{Access, AccessError, ask, get};
use crate::installation::Installation;
use crate::operator::OperatorError;

impl Access {
    /// How the chains stand; nothing if none is configured.
    pub async fn chains(&self) -> Result<Vec<ChainStatus>, AccessError> {
        match self {
            Self::Socket(path) => get(path, "/chains").await,
            Self::Folder(installation) => match open(installation)? {
                Some(room) => Ok(room.status().await?),
                None => Ok(Vec::new()),
            },
        }
    }

    /// What is under way, also on chains that are not configured any more.
    pub async fn calls_under_way(&self) -> Result<Vec<UnderWay>, AccessError> {
        match self {
            Self::Socket(path) => get(path, "/chains/calls").await,
            Self::Folder(installation) => {
                Ok(under_way(installation.books.as_ref()).map_err(OperatorError::Fault)?)
            }
        }
    }

    /// Ends a call by hand.
    pub async fn end_call(&self, request: &EndRequest) -> Result<EndedCall, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/chains/end", Some(request)).await,
            Self::Folder(installation) => {
                Ok(open(installation)?.ok_or_else(admin::no_chain)?.end_call(request).await?)
            }
        }
    }
}

fn open(installation: &Installation) -> Result<Option<ChainRoom>, OperatorError> {
    ChainRoom::open(installation).map_err(|error| OperatorError::Chain(error.to_string()))
}
