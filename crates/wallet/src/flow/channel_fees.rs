//! What the gas of a transaction of the account's own may cost, and how much more it has to cost to take the place of another one
//! of its number.

use farthing_channel::Fees;
use farthing_money::{Amount, Rounding};

/// Nodes let a transaction take the place of another one if it pays so much for each eight that the other one does.
const REPLACED_BY: u128 = 9;

/// What a node says that gas costs now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GasPrice {
    /// A unit of it, with the usual tip.
    pub(crate) price: Amount,
    /// What is usually given to whoever makes a block.
    pub(crate) tip: Amount,
}

impl GasPrice {
    /// The fees of a transaction that is still in time when gas costs twice as much.
    pub(crate) fn fees(self) -> Fees {
        Fees { most: self.price.checked_mul(2).unwrap_or(Amount::MAX), tip: self.tip.min(self.price) }
    }

    /// Whether a transaction with these fees may wait for ever: it pays less than gas costs, or not half of the usual tip.
    pub(crate) fn is_beyond(self, fees: Fees) -> bool {
        fees.most < self.price || fees.tip.checked_mul(2).unwrap_or(Amount::MAX) < self.tip.min(self.price)
    }
}

/// Fees for which a transaction may take the place of one that has these, and at least those that are wanted.
pub(crate) fn raised(fees: Fees, wanted: Fees) -> Fees {
    let more = |fee: Amount| {
        let eighth = fee.mul_div(REPLACED_BY, 8, Rounding::Up).unwrap_or(Amount::MAX);
        eighth.max(fee.checked_add(Amount::new(1)).unwrap_or(Amount::MAX))
    };
    let tip = more(fees.tip).max(wanted.tip);
    Fees { most: more(fees.most).max(wanted.most).max(tip), tip }
}

/// What a transaction costs at the most.
pub(crate) fn cost(fees: Fees, gas: u64) -> Amount {
    fees.most.checked_mul(gas.into()).unwrap_or(Amount::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fees(most: u128, tip: u128) -> Fees {
        Fees { most: Amount::new(most), tip: Amount::new(tip) }
    }

    #[test]
    fn both_fees_rise_by_an_eighth_at_least() {
        for (before, wanted, after) in [
            (fees(8_000, 800), fees(10, 1), fees(9_000, 900)),
            (fees(8_001, 801), fees(0, 0), fees(9_002, 902)),
            (fees(8_000, 0), fees(20_000, 700), fees(20_000, 700)),
            // An eighth of nothing is nothing, and no node takes the same fees for more.
            (fees(8_000, 0), fees(0, 0), fees(9_000, 1)),
            (fees(10, 10), fees(0, 4_000), fees(4_000, 4_000)),
            (fees(u128::MAX, 1), fees(0, 0), fees(u128::MAX, 2)),
        ] {
            assert_eq!(raised(before, wanted), after, "{before:?}, {wanted:?}");
        }
    }

    #[test]
    fn what_pays_less_than_gas_costs_may_wait_for_ever() {
        let of = |price, tip| GasPrice { price: Amount::new(price), tip: Amount::new(tip) };
        assert_eq!(of(1_000, 5_000).fees(), fees(2_000, 1_000));
        for (now, is_beyond) in [
            (of(1_000, 100), false),
            (of(2_000, 100), false),
            (of(2_001, 100), true),
            (of(1_000, 200), false),
            (of(1_000, 201), true),
        ] {
            assert_eq!(now.is_beyond(fees(2_000, 100)), is_beyond, "{now:?}");
        }
    }
}
