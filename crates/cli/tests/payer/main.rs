//! The payer's commands as people and programs run them, against the real server with a small site behind it.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod audit;
mod budgets;
mod chain;
mod crash;
mod currency;
mod mandate;
mod parked;
mod pay;
mod purse;
mod redirect;
mod refund;
mod refunds;
mod sessions;
mod shop;
mod site;
mod subscriptions;
mod thief;
mod trial;
mod wallet;
mod wiretap;
