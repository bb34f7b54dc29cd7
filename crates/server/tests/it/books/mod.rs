//! The operator's books over months: heads, periods, entries, exports, and that nothing false passes.

mod closes;
mod entries;
mod exports;
mod heads;
mod shop;
mod trails;
