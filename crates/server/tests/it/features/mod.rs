//! `/v1/authorize` from the outside, on a real folder: uses of features are paid, free or entitled, and end once, across retries,
//! kills and clocks.

mod entitled;
mod money;
mod refused;
mod shop;
