//! The same requests from the command line: over the socket if a server runs, in the open folder otherwise.

use http::Method;

use super::{RefundRate, RefundRequest, Refunded, Refunds};
use crate::access::{Access, AccessError, ask, get};

impl Access {
    /// Gives back so much of a payment.
    pub async fn refund(&self, request: &RefundRequest) -> Result<Refunded, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/refunds", Some(request)).await,
            Self::Folder(installation) => Ok(Refunds::new(installation).refund(request).await?),
        }
    }

    /// How often what is sold is given back.
    pub async fn refund_rates(&self) -> Result<Vec<RefundRate>, AccessError> {
        match self {
            Self::Socket(path) => get(path, "/refunds/rates").await,
            Self::Folder(installation) => Ok(Refunds::new(installation).rates()?),
        }
    }
}
