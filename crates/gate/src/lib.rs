//! The gate: price rules, the streaming proxy behind them, the accept loop before them, and the pages in between.

pub mod rule;
pub mod target;

pub use rule::{Chosen, PassScope, Price, Rule, RuleError, Rules};
pub use target::{Target, TargetError};
