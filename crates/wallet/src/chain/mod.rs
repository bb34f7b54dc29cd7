//! Paying on chains: the account that the words give, the tokens that may be spent, and what is signed for an offer.
//!
//! Here nothing is sent and nobody is asked. Whoever carries what is signed here to its chain pays the gas: the merchant,
//! or his facilitator. So the wallet needs no node to pay; it asks one, if it knows one, only for balances and for what
//! became of a payment whose answer was lost.

pub(crate) mod account;
pub(crate) mod known;
pub(crate) mod offer;
pub(crate) mod payment;
pub(crate) mod sign;
mod token;

pub use farthing_channel::{Address as AccountAddress, ChainId};
pub use payment::{ChainPayment, Method, OnChain};
pub use token::{Token, TokenError};
