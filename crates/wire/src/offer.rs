//! An offer: one way to pay a price, in one dialect.

use crate::{cashu, mpp};

/// One way to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Cashu NUT-24: a token in `X-Cashu`.
    Cashu(cashu::PaymentRequest),
    /// MPP: a `Payment` credential. Ours is of the method `credit`; a payer may meet others.
    Mpp(mpp::Challenge),
}

impl Offer {
    /// The dialect's name, as receipts write it.
    pub fn dialect(&self) -> &'static str {
        match self {
            Self::Cashu(_) => "cashu",
            Self::Mpp(_) => "mpp",
        }
    }
}
