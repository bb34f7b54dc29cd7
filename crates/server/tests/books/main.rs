//! The operator's books over months: heads, periods, entries, exports, and that nothing false passes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by failing")]

mod closes;
mod entries;
mod exports;
mod heads;
mod shop;
mod trails;
