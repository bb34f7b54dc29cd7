//! Why the upstream gave no answer, with whose fault it was and whether to try again.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use hyper_util::client::legacy;
use thiserror::Error;

use super::timed::SilenceError;
use crate::body::BoxError;

/// No answer from the upstream.
#[derive(Debug, Error)]
pub enum UpstreamError {
    /// No connection: nothing was sent.
    #[error("cannot connect to the upstream; is it running, and is its address right?")]
    Connect(#[source] BoxError),
    /// Too slow.
    #[error("the upstream did not {stage} within {after:?}")]
    Timeout {
        /// What took too long.
        stage: Stage,
        /// How long it had.
        after: Duration,
    },
    /// The connection ended before an answer.
    #[error("the upstream closed the connection before it answered")]
    Reset(#[source] BoxError),
    /// What came is not HTTP as we know it.
    #[error("the upstream's answer is not good HTTP")]
    Protocol(#[source] BoxError),
    /// The client's own request body broke off or came too slowly.
    #[error("the request's body did not arrive")]
    RequestBody(#[source] BoxError),
    /// A service inside the same program failed.
    #[error("the service behind the gate failed")]
    Service(#[source] BoxError),
    /// A service inside the same program panicked.
    #[error("the service behind the gate broke off")]
    Panicked,
}

/// What an upstream can be too slow at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Accepting a connection.
    Connect,
    /// Answering the request.
    Answer,
    /// Going on with the body of its answer.
    Body,
}

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server behind us.
    Upstream,
    /// The client before us.
    Downstream,
}

/// Whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Nothing was sent: any request can be sent again.
    Safe,
    /// The upstream may have seen the request: only one that is idempotent.
    IfIdempotent,
    /// The same would happen again.
    No,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "accept a connection",
            Self::Answer => "answer",
            Self::Body => "go on with its answer",
        })
    }
}

impl UpstreamError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        if matches!(self, Self::RequestBody(_)) { Fault::Downstream } else { Fault::Upstream }
    }

    /// Whether to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Connect(_) | Self::Timeout { stage: Stage::Connect, .. } => Retry::Safe,
            Self::Timeout { .. } | Self::Reset(_) | Self::RequestBody(_) => Retry::IfIdempotent,
            Self::Protocol(_) | Self::Service(_) | Self::Panicked => Retry::No,
        }
    }

    /// Whether time was the reason: 504 rather than 502, 408 rather than 400.
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Timeout { .. } => true,
            Self::RequestBody(source) => {
                let slow = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut;
                find::<SilenceError>(&**source).is_some() || find::<io::Error>(&**source).is_some_and(slow)
            }
            _ => false,
        }
    }

    pub(super) fn from_client(error: legacy::Error, connect_timeout: Duration) -> Self {
        if error.is_connect() {
            let timed_out =
                find::<io::Error>(&error).is_some_and(|error| error.kind() == io::ErrorKind::TimedOut);
            return if timed_out {
                Self::Timeout { stage: Stage::Connect, after: connect_timeout }
            } else {
                Self::Connect(error.into())
            };
        }
        let hyper = find::<hyper::Error>(&error);
        if find::<SilenceError>(&error).is_some() || hyper.is_some_and(hyper::Error::is_user) {
            Self::RequestBody(error.into())
        } else if hyper.is_some_and(hyper::Error::is_parse) {
            Self::Protocol(error.into())
        } else {
            Self::Reset(error.into())
        }
    }
}

impl From<Infallible> for UpstreamError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// The first error of a kind in a chain of sources.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let source = |error: &&'a (dyn StdError + 'static)| (*error).source();
    std::iter::successors(Some(error), source).find_map(|error| error.downcast_ref())
}
