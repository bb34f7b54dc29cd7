//! The same requests from the command line: over the socket if a server runs, in the open folder otherwise.

use http::Method;

use super::admin::PayoutQuery;
use super::{
    ApprovalRequest, BankRequest, CancelRequest, FileRequest, NewFile, PayoutView, Payouts, ProposeRequest,
    Sent,
};
use crate::access::{Access, AccessError, ask, get};

impl Access {
    /// Payouts, the latest first.
    pub async fn payouts(&self, open: bool) -> Result<Vec<PayoutView>, AccessError> {
        match self {
            Self::Socket(path) => get(path, &format!("/payouts?open={open}")).await,
            Self::Folder(installation) => Ok(Payouts::new(installation).list(open)?),
        }
    }

    /// One payout.
    pub async fn payout(&self, payout: &str) -> Result<PayoutView, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/payouts/show", Some(&query(payout))).await,
            Self::Folder(installation) => Ok(Payouts::new(installation).show(payout)?),
        }
    }

    /// Sets money aside to be paid out.
    pub async fn propose_payout(&self, request: &ProposeRequest) -> Result<PayoutView, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/payouts/propose", Some(request)).await,
            Self::Folder(installation) => Ok(Payouts::new(installation).propose(request).await?),
        }
    }

    /// Adds a person's word.
    pub async fn approve_payout(&self, request: &ApprovalRequest) -> Result<PayoutView, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/payouts/approve", Some(request)).await,
            Self::Folder(installation) => Ok(Payouts::new(installation).approve(request).await?),
        }
    }

    /// Takes a payout back of which nothing was sent.
    pub async fn cancel_payout(&self, request: &CancelRequest) -> Result<PayoutView, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/payouts/cancel", Some(request)).await,
            Self::Folder(installation) => Ok(Payouts::new(installation).cancel(request).await?),
        }
    }

    /// Sends a payout.
    pub async fn send_payout(&self, payout: &str) -> Result<Sent, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/payouts/send", Some(&query(payout))).await,
            Self::Folder(installation) => Ok(Payouts::new(installation).send(payout).await?),
        }
    }

    /// Makes a bank file.
    pub async fn payout_file(&self, request: &FileRequest) -> Result<NewFile, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/payouts/file", Some(request)).await,
            Self::Folder(installation) => Ok(Payouts::new(installation).file(request).await?),
        }
    }

    /// Takes the bank's word.
    pub async fn end_payout(&self, request: &BankRequest) -> Result<PayoutView, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/payouts/end", Some(request)).await,
            Self::Folder(installation) => Ok(Payouts::new(installation).end_by_bank(request).await?),
        }
    }
}

fn query(payout: &str) -> PayoutQuery {
    PayoutQuery { payout: payout.to_owned() }
}
