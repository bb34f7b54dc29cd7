//! Paying through channels (x402's `batch-settlement`): the rows that say how each stands, which of them is taken for an offer,
//! and what is signed.
//!
//! A channel is filled once, by the account's key. Then each payment is a voucher: a total that only grows, signed by another
//! key, which can give away what is in the channels and nothing else. A seller takes at the most what was signed, whatever it
//! says; so each commit that writes a voucher down also charges the budget with what that voucher allows beyond all earlier
//! ones. What lies in a channel unspent is not spending, and has a limit of its own.
//!
//! Who pays several requests of one seller at once uses several channels (*lanes*) that differ in their salt, since one takes
//! one voucher after the other.

pub(crate) mod lane;
pub(crate) mod remembered;
pub(crate) mod row;
pub(crate) mod sign;
mod sums;

pub use remembered::RememberedOffer;
pub(crate) use row::Moved;
pub use row::{CallKind, Channel, ChannelPart, ChannelPolicy, SentCall, SignedDeposit, Withdrawal};
pub use sums::InChannels;
