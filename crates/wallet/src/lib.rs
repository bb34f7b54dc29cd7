//! The wallet room.
