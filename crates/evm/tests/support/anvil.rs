//! A real node (anvil).
