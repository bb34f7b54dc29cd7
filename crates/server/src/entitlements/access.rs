//! The same requests from the command line: over the socket if a server runs, in the open folder otherwise.

use http::Method;

use super::admin::{Public, RevokeRequest};
use super::{Entitlements, IssueRequest, Issued, Known};
use crate::access::{Access, AccessError, ask, get};

impl Access {
    /// Issues an entitlement.
    pub async fn issue_entitlement(&self, request: &IssueRequest) -> Result<Issued, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/entitlements", Some(request)).await,
            Self::Folder(installation) => Ok(Entitlements::new(installation).issue(request).await?),
        }
    }

    /// Takes one back, by its id or its text.
    pub async fn revoke_entitlement(&self, named: &str) -> Result<Known, AccessError> {
        match self {
            Self::Socket(path) => {
                let request = RevokeRequest { named: named.to_owned() };
                ask(path, Method::POST, "/entitlements/revoke", Some(&request)).await
            }
            Self::Folder(installation) => Ok(Entitlements::new(installation).revoke(named).await?),
        }
    }

    /// Those that were issued and are not over.
    pub async fn entitlements(&self) -> Result<Vec<Known>, AccessError> {
        match self {
            Self::Socket(path) => get(path, "/entitlements").await,
            Self::Folder(installation) => Ok(Entitlements::new(installation).list()?),
        }
    }

    /// What applications need: the key, and what was taken back.
    pub async fn entitlements_public(&self) -> Result<Public, AccessError> {
        match self {
            Self::Socket(path) => get(path, "/entitlements/public").await,
            Self::Folder(installation) => Ok(Entitlements::new(installation).public()?),
        }
    }
}
