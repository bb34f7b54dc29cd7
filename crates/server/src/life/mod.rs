//! The life of an issuer after its birth: it is paused and opened again, its keysets expire and are forgotten, and when it
//! ends, everybody is refunded.

mod access;
pub mod admin;
mod expire;
mod forget;
mod prune;
mod refund;
mod status;
mod sweep;

use std::sync::Arc;

use farthing_engine::{Execute, Read};
use farthing_store::Clock;

use crate::installation::Installation;

pub(crate) use expire::work as expire_work;
pub use expire::{GRACE, expire};
pub use forget::forget;
pub(crate) use forget::work as forget_work;
pub(crate) use prune::work as prune_work;
pub use prune::{Pruned, prune};
pub use refund::{CodeRefund, CodeStanding, CodesRefunded, Sum};
pub use status::{AssetStatus, IssuerStatus, KeysetState, KeysetStatus};
pub(crate) use sweep::{keys, sweep};

/// The operator's hand on the issuer's life.
#[derive(Clone)]
pub struct Life {
    books: Arc<dyn Read>,
    writer: Arc<dyn Execute>,
    clock: Clock,
}

impl Life {
    /// Of an open installation.
    pub fn new(installation: &Installation) -> Self {
        Self {
            books: Arc::clone(&installation.books),
            writer: Arc::clone(&installation.writer),
            clock: Arc::clone(&installation.clock),
        }
    }
}
