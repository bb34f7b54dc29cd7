//! The wallet room.
pub mod sealed;
