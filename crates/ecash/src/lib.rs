//! The ecash room.
