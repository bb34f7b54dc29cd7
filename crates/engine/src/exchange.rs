//! A payment in another asset than its price: what was agreed when it was set aside. The rate stays as it was then, whatever
//! it is when the payment is charged.

use farthing_ledger::{Account, AccountId};
use farthing_money::{Amount, Money, Rate, Rounding};
use serde::{Deserialize, Serialize};

use crate::{Chart, Reject};

/// A price in one asset, and what a payer pays for it in another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// From the asset of the price to the one that is paid in, as a source says it.
    pub rate: Rate,
    /// What is paid beyond that, in millionths.
    pub spread: u32,
    /// The price, in the rate's `from`.
    pub price: Amount,
    /// What is paid for it, in the rate's `to`.
    pub paid: Amount,
}

/// What a charge comes to on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// What merchants get, in the asset of the price.
    pub earned: Amount,
    /// What that is worth by the rate, in the asset that is paid in.
    pub worth: Amount,
    /// What spread and roundings leave, in the asset that is paid in.
    pub kept: Amount,
}

const MILLION: u128 = 1_000_000;

impl Exchange {
    /// What a price costs in the other asset of a rate: with the spread, rounded up to a whole unit. `None` if the rate is for
    /// another asset, or if it comes to nothing or does not fit.
    pub fn quoted(rate: Rate, spread: u32, price: Money) -> Option<Self> {
        let with_spread = rate.numerator.checked_mul(MILLION.checked_add(u128::from(spread))?)?;
        let without = rate.denominator.checked_mul(MILLION)?;
        let paid = price.amount().mul_div(with_spread, without, Rounding::Up)?;
        let agreed = price.asset() == rate.from && !paid.is_zero() && !price.amount().is_zero();
        agreed.then_some(Self { rate, spread, price: price.amount(), paid })
    }

    /// What the payer pays.
    pub fn paid(&self) -> Money {
        self.rate.to.money(self.paid)
    }

    /// What the merchants get for it.
    pub fn price(&self) -> Money {
        self.rate.from.money(self.price)
    }

    /// What is charged for a part of the price, rounded up, and never more than all of it.
    pub fn charge_for(&self, cost: Amount) -> Amount {
        let charge = cost.mul_div(self.paid.value(), self.price.value(), Rounding::Up);
        charge.map_or(self.paid, |charge| charge.min(self.paid))
    }

    /// What a charge comes to: all of what was agreed is exactly the price, a part of it is rounded down.
    pub fn of(&self, charged: Amount) -> Result<Exchanged, Reject> {
        let earned = charged.mul_div(self.price.value(), self.paid.value(), Rounding::Down);
        let earned = earned.ok_or(Reject::AmountOverflow)?;
        let worth = self.rate.convert(self.rate.from.money(earned), Rounding::Down);
        let worth = worth.map_err(|_| Reject::AmountOverflow)?.amount().min(charged);
        let kept = charged.checked_sub(worth).ok_or(Reject::AmountOverflow)?;
        Ok(Exchanged { earned, worth, kept })
    }

    /// The accounts that it goes through.
    pub fn accounts(&self) -> ExchangeAccounts {
        let (price, paid) = (Chart::of(self.rate.from), Chart::of(self.rate.to));
        ExchangeAccounts {
            given: price.exchange(self.rate.to).id(),
            taken: paid.exchange(self.rate.from).id(),
            kept: paid.exchange_earned().id(),
        }
    }

    /// In words, for whoever reads the journal.
    pub fn memo(&self) -> String {
        let Rate { from, to, at, source, .. } = &self.rate;
        let rate = self.rate.to_decimal().unwrap_or_default();
        let (whole, part) = (self.spread / 10_000, self.spread % 10_000);
        let part = format!("{part:04}");
        let part = part.trim_end_matches('0');
        let point = if part.is_empty() { "" } else { "." };
        format!(
            "{} for {} at {rate} {}/{}, spread {whole}{point}{part} %, {source} at {at}",
            self.paid(),
            self.price(),
            to.code(),
            from.code(),
        )
    }
}

/// The accounts that an exchange goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeAccounts {
    /// Where what merchants get comes from, in the ledger of the price.
    pub given: AccountId,
    /// Where what it is worth goes, in the ledger of what is paid.
    pub taken: AccountId,
    /// What spread and roundings leave, there.
    pub kept: AccountId,
}

impl ExchangeAccounts {
    /// All of them.
    pub const fn ids(&self) -> [AccountId; 3] {
        [self.given, self.taken, self.kept]
    }

    /// The accounts that exchanges between two assets go through, in either direction.
    pub fn between(one: farthing_money::Asset, other: farthing_money::Asset) -> [Account; 4] {
        let (one_chart, other_chart) = (Chart::of(one), Chart::of(other));
        [
            one_chart.exchange(other),
            one_chart.exchange_earned(),
            other_chart.exchange(one),
            other_chart.exchange_earned(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use farthing_money::{Asset, Timestamp};
    use proptest::prelude::*;

    use super::*;

    fn exchange((numerator, denominator): (u64, u64), spread: u32, price: u64) -> Option<Exchange> {
        let assets = (Asset::micro("EUR").unwrap(), Asset::new("USD", 2, "usd").unwrap());
        let of = (u128::from(numerator), u128::from(denominator));
        let rate = Rate::of_whole_units(assets, of, Timestamp::from_secs(0), "test").unwrap();
        Exchange::quoted(rate, spread, assets.0.money(Amount::from(price)))
    }

    #[test]
    fn a_quote_is_rounded_up_and_says_what_it_is_made_of() {
        let exchange = exchange((10_853, 10_000), 15_000, 1_000_000).unwrap();
        // 1.0853 times 1.015 is 1.10157..
        assert_eq!(exchange.paid(), exchange.rate.to.money(Amount::new(111)));
        assert_eq!(
            exchange.memo(),
            "1.11 USD for 1.00 EUR at 1.0853 USD/EUR, spread 1.5 %, test at 1970-01-01T00:00:00.000Z"
        );
        let all = exchange.of(Amount::new(111)).unwrap();
        assert_eq!(
            all,
            Exchanged { earned: Amount::new(1_000_000), worth: Amount::new(108), kept: Amount::new(3) }
        );
    }

    #[test]
    fn a_price_in_another_asset_than_the_rates_is_refused() {
        let known = exchange((1, 1), 0, 5).unwrap();
        let dollars = known.rate.to.money(Amount::new(5));
        assert_eq!(Exchange::quoted(known.rate, 0, dollars), None);
    }

    proptest! {
        /// Whatever is charged: the merchants have at most their price, all of it when all is charged, and what the payer pays
        /// is what that is worth and what is kept, to the unit.
        #[test]
        fn conversions_never_make_or_lose_a_unit(
            rate in (1u64..1_000_000_000, 1u64..1_000_000_000),
            spread in 0u32..1_000_000,
            price in 1u64..1_000_000_000_000,
            part in 0u32..=1_000,
        ) {
            let exchange = exchange(rate, spread, price).unwrap();
            let charged = exchange.paid.mul_div(u128::from(part), 1_000, Rounding::Down).unwrap();
            let Exchanged { earned, worth, kept } = exchange.of(charged).unwrap();
            prop_assert_eq!(worth.checked_add(kept), Some(charged));
            prop_assert!(earned <= exchange.price);
            prop_assert_eq!(exchange.of(exchange.paid).unwrap().earned, exchange.price);
            // What the merchants have is paid for, by the rate of the source, to less than a unit.
            let exact = exchange.rate.convert(exchange.rate.from.money(earned), Rounding::Up).unwrap();
            prop_assert!(exact.amount() <= charged.checked_add(Amount::new(1)).unwrap());
            // A cost is charged with at most what was agreed, and pays for itself.
            let cost = Amount::from(price).mul_div(u128::from(part), 1_000, Rounding::Down).unwrap();
            let charge = exchange.charge_for(cost);
            prop_assert!(charge <= exchange.paid && exchange.of(charge).unwrap().earned >= cost);
        }
    }
}
