//! The wallet on a file of its own, against shops that fail and lie.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and need not be fast")]

mod audit;
mod budget_ends;
mod budgets;
mod chain_crashes;
mod chains;
mod channel_calls;
mod channel_lies;
mod channels;
mod copies;
mod crashes;
mod metered;
mod orders;
mod refunds;
mod sessions;
mod stories;
mod subscriptions;
mod world;
