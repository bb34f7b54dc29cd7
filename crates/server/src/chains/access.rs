//! The same questions from the command line: over the socket if a server runs, with the open folder otherwise.

use http::Method;

use super::channel_desk::{ChannelDetail, ChannelLine, ChannelOrder, ChannelQuery, RefundRequest};
use super::outbox::{EndRequest, EndedCall, UnderWay, under_way};
use super::reconcile::ChannelAudit;
use super::seller::{SellerKey, SellerQuery};
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

    /// The channels in the books, the latest used first.
    pub async fn channels(&self) -> Result<Vec<ChannelLine>, AccessError> {
        match self {
            Self::Socket(path) => get(path, "/channels").await,
            Self::Folder(installation) => match open(installation)? {
                Some(room) => Ok(room.channel_lines()?),
                None => Ok(Vec::new()),
            },
        }
    }

    /// A channel with all that is known of it.
    pub async fn channel(&self, channel: &str) -> Result<ChannelDetail, AccessError> {
        match self {
            Self::Socket(path) => {
                let query = ChannelQuery { channel: Some(channel.to_owned()) };
                ask(path, Method::POST, "/channels/show", Some(&query)).await
            }
            Self::Folder(installation) => Ok(room(installation)?.channel_detail(channel).await?),
        }
    }

    /// Compares the channels on the chains with the books.
    pub async fn audit_channels(&self) -> Result<Vec<ChannelAudit>, AccessError> {
        match self {
            Self::Socket(path) => get(path, "/channels/audit").await,
            Self::Folder(installation) => match open(installation)? {
                Some(room) => Ok(room.audit_channels().await?),
                None => Ok(Vec::new()),
            },
        }
    }

    /// Claims what is owed now. Without a server it is sent at the next start.
    pub async fn claim_channels(&self, query: &ChannelQuery) -> Result<ChannelOrder, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/channels/claim", Some(query)).await,
            Self::Folder(installation) => Ok(room(installation)?.claim_channels(query).await?),
        }
    }

    /// Moves all that is claimed now. Without a server it is sent at the next start.
    pub async fn settle_channels(&self) -> Result<ChannelOrder, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/channels/settle", None::<&()>).await,
            Self::Folder(installation) => Ok(room(installation)?.settle_channels().await?),
        }
    }

    /// The key that a seller shows to have us carry what its channels need.
    pub async fn seller_key(&self, query: &SellerQuery) -> Result<SellerKey, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/channels/key", Some(query)).await,
            Self::Folder(installation) => Ok(room(installation)?.seller_key(query)?),
        }
    }

    /// Gives a payer back what is left of a channel. Without a server it is sent at the next start.
    pub async fn refund_channel(&self, request: &RefundRequest) -> Result<ChannelOrder, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/channels/refund", Some(request)).await,
            Self::Folder(installation) => Ok(room(installation)?.refund_channel(request).await?),
        }
    }
}

fn room(installation: &Installation) -> Result<ChainRoom, OperatorError> {
    open(installation)?.ok_or_else(admin::no_chain)
}

fn open(installation: &Installation) -> Result<Option<ChainRoom>, OperatorError> {
    ChainRoom::open(installation).map_err(|error| OperatorError::Chain(error.to_string()))
}
