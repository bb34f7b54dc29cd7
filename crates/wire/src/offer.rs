//! An offer: one way to pay a price, in one dialect.

use crate::{cashu, mpp, x402};

/// One way to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Cashu NUT-24: a token in `X-Cashu`.
    Cashu(cashu::PaymentRequest),
    /// MPP: a `Payment` credential. Ours is of the method `credit`; a payer may meet others.
    Mpp(mpp::Challenge),
    /// x402: all its ways to pay, answered by `PAYMENT-SIGNATURE`.
    X402(Box<x402::PaymentRequired>),
}

impl Offer {
    /// The dialect's name, as receipts write it.
    pub fn dialect(&self) -> &'static str {
        match self {
            Self::Cashu(_) => "cashu",
            Self::Mpp(_) => "mpp",
            Self::X402(_) => "x402",
        }
    }
}
