//! A price of one asset in another, as a fraction with a time and a source.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Asset, Money, Rounding, Timestamp};

/// So many minor units of `to` for so many of `from`, as known at `at` from `source`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// What is given.
    pub from: Asset,
    /// What is got.
    pub to: Asset,
    /// Minor units of `to` ...
    pub numerator: u128,
    /// ... for this many minor units of `from`.
    pub denominator: u128,
    /// When it was true.
    pub at: Timestamp,
    /// Who said so.
    pub source: String,
}

/// Why a conversion is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RateError {
    /// The money is not in the rate's `from` asset.
    #[error("the rate converts {expected}, not {got}")]
    WrongAsset {
        /// The rate's asset.
        expected: Asset,
        /// The money's asset.
        got: Asset,
    },
    /// Zero denominator, or a result that does not fit.
    #[error("the rate gives no amount that fits")]
    OutOfRange,
}

impl Rate {
    /// Converts, rounding as named.
    pub fn convert(&self, money: Money, rounding: Rounding) -> Result<Money, RateError> {
        if money.asset() != self.from {
            return Err(RateError::WrongAsset { expected: self.from, got: money.asset() });
        }
        let amount = money.amount().mul_div(self.numerator, self.denominator, rounding);
        amount.map(|amount| self.to.money(amount)).ok_or(RateError::OutOfRange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Amount;

    #[test]
    fn converts_with_the_named_rounding() {
        let (eur, usd) = (Asset::micro("EUR").unwrap(), Asset::micro("USD").unwrap());
        let rate = Rate {
            from: eur,
            to: usd,
            numerator: 10_853,
            denominator: 10_000,
            at: Timestamp::from_millis(0),
            source: "test".into(),
        };
        let one = eur.money(Amount::new(1));
        assert_eq!(rate.convert(one, Rounding::Down).unwrap(), usd.money(Amount::new(1)));
        assert_eq!(rate.convert(one, Rounding::Up).unwrap(), usd.money(Amount::new(2)));
        assert!(matches!(
            rate.convert(usd.money(Amount::new(1)), Rounding::Up),
            Err(RateError::WrongAsset { .. })
        ));
    }
}
