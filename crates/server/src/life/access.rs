//! The same requests from the command line: over the socket if a server runs, in the open folder otherwise.

use farthing_engine::Mode;
use http::Method;

use super::admin::{ModeRequest, RefundRequest};
use super::{CodesRefunded, IssuerStatus, Life};
use crate::access::{Access, AccessError, ask, get};

impl Access {
    /// How the issuer stands.
    pub async fn issuer_status(&self) -> Result<IssuerStatus, AccessError> {
        match self {
            Self::Socket(path) => get(path, "/issuer").await,
            Self::Folder(installation) => Ok(Life::new(installation).status()?),
        }
    }

    /// Opens, pauses or ends the issuer.
    pub async fn set_mode(&self, mode: Mode) -> Result<IssuerStatus, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/issuer/mode", Some(&ModeRequest { mode })).await,
            Self::Folder(installation) => Ok(Life::new(installation).set_mode(mode).await?),
        }
    }

    /// Takes unused top-up codes back.
    pub async fn refund_codes(&self, codes: Vec<String>) -> Result<CodesRefunded, AccessError> {
        match self {
            Self::Socket(path) => {
                ask(path, Method::POST, "/codes/refund", Some(&RefundRequest { codes })).await
            }
            Self::Folder(installation) => Ok(Life::new(installation).refund_codes(&codes).await?),
        }
    }
}
