//! The same question from the command line: over the socket if a server runs, with the open folder otherwise.

use super::{ChainRoom, ChainStatus};
use crate::access::{Access, AccessError, get};
use crate::operator::OperatorError;

impl Access {
    /// How the chains stand; nothing if none is configured.
    pub async fn chains(&self) -> Result<Vec<ChainStatus>, AccessError> {
        match self {
            Self::Socket(path) => get(path, "/chains").await,
            Self::Folder(installation) => {
                let room =
                    ChainRoom::open(installation).map_err(|error| OperatorError::Chain(error.to_string()))?;
                match room {
                    Some(room) => Ok(room.status().await?),
                    None => Ok(Vec::new()),
                }
            }
        }
    }
}
