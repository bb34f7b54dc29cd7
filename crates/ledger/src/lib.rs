//! Double-entry books.
//!
//! An [`Account`] keeps four totals that only a [`Transfer`] moves: debits and credits, pending and posted. A transfer
//! debits one account and credits another of the same asset, so the books sum to zero by construction. Its [`Step`] is
//! either a plain post or one phase of two: hold, then post or release. What happened is written to the journal in
//! hash-chained [`Batch`]es; [`Audit`] replays them and finds any difference.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod account;
mod audit;
mod journal;
mod reject;
mod sum_tree;
mod transfer;
mod trial;

pub use account::{Account, AccountId, AccountKind, Limit, Totals};
pub use audit::{Audit, AuditError};
pub use journal::{Batch, BatchDigest, Entry, EntryKind, FrameError, Head, Reference};
pub use reject::LedgerReject;
pub use sum_tree::{Branch, Leaf, LeafKey, Node, Root, SumTree, SumTreeError, TreeDigest, TreeName};
pub use transfer::{Accounts, Step, Transfer, apply};
pub use trial::{TrialBalance, TrialLine};
