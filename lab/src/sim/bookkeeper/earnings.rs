//! Who earns what: every charge is divided and exchanged here once more, with sums of its own, and each account of a merchant and
//! of an exchange has to say exactly that.

use std::collections::{BTreeMap, BTreeSet};

use farthing_engine::{Changes, Exchange, Outcome, PaymentRow, Purpose, RateSet};
use farthing_ledger::Account;
use farthing_money::Asset;

use super::broken::{Broken, hold};
use super::kept::Kept;
use super::payouts;
use crate::sim::shop::{ABROAD, ABROAD_PRICES, SHOP, SPREAD, shares};

/// Parts of a unit that rates and spreads are counted in.
const MILLION: u128 = 1_000_000;

const CREATED: &str = "splits and exchanges neither create nor lose a unit";
const TOLD: &str = "nobody pays by a rate or a price that was not told";

/// What an account is credited, less what it is debited, by asset and name.
type Moves = Vec<((Asset, String), i128)>;

/// Rates, and what was earned.
#[derive(Clone, Debug, Default)]
pub struct Earnings {
    /// Rates that a good feed has said: millionths of a dollar for a euro.
    told: BTreeSet<u128>,
    /// Those of them that are in the books, or were.
    accepted: BTreeSet<u128>,
    /// What payments have moved that no chain can take back.
    sums: BTreeMap<(Asset, String), i128>,
    /// How many charges were exchanged.
    pub exchanged: u64,
}

impl Earnings {
    /// A feed says what may be believed.
    pub fn tells(&mut self, rate: u128) {
        self.told.insert(rate);
    }

    /// A commit: rates in it are such as a good feed has said.
    pub fn take(&mut self, changes: &Changes) -> Result<(), Broken> {
        for row in changes.rates.iter().filter_map(|(_, row)| row.as_ref()) {
            // Two may have come in one commit: the first of them is among those before.
            for set in row.current.iter().chain(row.before.iter().map(|(set, _)| set)) {
                let rate = dollars(set);
                let good = rate.filter(|rate| self.told.contains(rate));
                hold(good.is_some(), "bad rates change nothing", || format!("{set:?} are in force"))?;
                self.accepted.extend(good);
            }
        }
        Ok(())
    }

    /// A payment is charged, and no chain can take that back.
    pub fn charged(&mut self, row: &PaymentRow) -> Result<(), Broken> {
        for (account, amount) in self.moves(row)? {
            let sum = self.sums.entry(account).or_default();
            *sum = sum.saturating_add(amount);
        }
        self.exchanged = self.exchanged.saturating_add(u64::from(row.merchant.exchange().is_some()));
        Ok(())
    }

    /// An account says what was earned, as the chain stands now, less what was paid out.
    pub fn agrees(&self, kept: &Kept, account: &Account) -> Result<(), Broken> {
        let merchant = account.name.starts_with("merchant:");
        if !merchant && !account.name.starts_with("fx") {
            return Ok(());
        }
        let key = (account.asset, account.name.clone());
        let mut earned = self.sums.get(&key).copied().unwrap_or_default();
        for ended in kept.settlements.values() {
            let (Purpose::Payment(payment), Outcome::Settled { .. }) = (ended.row.purpose, &ended.outcome)
            else {
                continue;
            };
            let Some(row) = kept.payments.get(&payment) else { continue };
            let moves = self.moves(row)?.into_iter().filter(|(account, _)| *account == key);
            earned = moves.fold(earned, |sum, (_, amount)| sum.saturating_add(amount));
        }
        let paid_out = if merchant { payouts::left(kept, account.id()) } else { 0 };
        let expected = earned.saturating_sub(paid_out);
        let (credits, debits) = (account.totals.credits_posted.value(), account.totals.debits_posted.value());
        let booked = signed(credits).saturating_sub(signed(debits));
        let rule = if merchant { "what is charged is what merchants earn" } else { CREATED };
        hold(expected == booked, rule, || {
            format!(
                "{} in {}: {earned} were earned, {paid_out} paid out, {booked} are booked",
                account.name,
                account.asset.code()
            )
        })
    }

    /// What a charge moves, and where.
    fn moves(&self, row: &PaymentRow) -> Result<Moves, Broken> {
        let path = path_of(&row.resource);
        let (asset, charged) = (row.asset, row.charged.value());
        let priced = if path == ABROAD { "EUR" } else { "USD" };
        let Some(exchange) = row.merchant.exchange() else {
            hold(asset.code().as_str() == priced, TOLD, || format!("{path} was paid in {}", asset.code()))?;
            return Ok(divided(charged, path).map(|(name, part)| ((asset, name), part)).collect());
        };
        let (from, to) = (exchange.rate.from, exchange.rate.to);
        let seen = || format!("{path}: {charged} of {exchange:?}");
        hold(from.code().as_str() == priced && to == asset && from != to, TOLD, seen)?;
        let rate = self.rate(exchange).ok_or_else(|| Broken::new(TOLD, seen()))?;
        self.was_told(exchange, rate)?;
        let (price, paid) = (exchange.price.value(), exchange.paid.value());
        hold(charged <= paid, CREATED, seen)?;
        // All of what was agreed is the price; of a part of it nobody gets more than that part.
        let earned = if charged == paid {
            price
        } else {
            charged.saturating_mul(price).checked_div(paid).unwrap_or(0)
        };
        let worth = (earned.saturating_mul(rate) / MILLION).min(charged);
        let mut moves: Moves = divided(earned, path).map(|(name, part)| ((from, name), part)).collect();
        moves.push(((from, format!("fx:{}", to.code())), signed(earned).saturating_neg()));
        moves.push(((to, format!("fx:{}", from.code())), signed(worth)));
        moves.push(((to, "fx-earned".to_owned()), signed(charged.saturating_sub(worth))));
        Ok(moves)
    }

    fn rate(&self, exchange: &Exchange) -> Option<u128> {
        let (up, down) = (exchange.rate.numerator, exchange.rate.denominator);
        let same = |rate: &&u128| up.checked_mul(MILLION) == rate.checked_mul(down);
        self.accepted.iter().find(same).copied()
    }

    /// What is paid is what a price came to at rates that were in force, and the merchants have not more than it is worth.
    fn was_told(&self, exchange: &Exchange, rate: u128) -> Result<(), Broken> {
        let (price, paid) = (exchange.price.value(), exchange.paid.value());
        let spread = MILLION.saturating_add(SPREAD);
        let costs = |price: u128, rate: u128| {
            price.saturating_mul(rate).saturating_mul(spread).div_ceil(MILLION.saturating_mul(MILLION))
        };
        let told = ABROAD_PRICES.map(u128::from);
        let known = told.iter().any(|price| self.accepted.iter().any(|rate| costs(*price, *rate) == paid));
        let same = told.contains(&price) && costs(price, rate) == paid;
        let worth = price.saturating_mul(rate).saturating_mul(spread);
        let enough = worth <= paid.saturating_mul(MILLION).saturating_mul(MILLION);
        hold(known && (same || enough), TOLD, || format!("{exchange:?}"))
    }
}

/// Millionths of a dollar for a euro.
fn dollars(set: &RateSet) -> Option<u128> {
    let (up, down) = set.of_base("USD".parse().ok()?)?;
    (set.base.as_str() == "EUR").then_some(())?;
    up.checked_mul(MILLION)?.checked_div(down)
}

/// The path of what was bought.
fn path_of(resource: &str) -> &str {
    let address = resource.split(' ').nth(1).unwrap_or_default();
    let path = address.strip_prefix(SHOP).unwrap_or(address);
    path.split('?').next().unwrap_or_default()
}

/// The whole units of each share, and what is left a unit each to the largest remainders, of equals the first.
fn divided(all: u128, path: &str) -> impl Iterator<Item = (String, i128)> {
    let named = shares(path);
    let rest = 100_u128.saturating_sub(named.iter().map(|(_, share)| share).sum());
    let shares = named.iter().copied().chain(std::iter::once(("shop", rest)));
    let mut parts: Vec<(&str, u128, u128)> = shares
        .map(|(name, share)| (name, all.saturating_mul(share) / 100, all.saturating_mul(share) % 100))
        .collect();
    let given: u128 = parts.iter().map(|(_, part, _)| part).sum();
    for _ in given..all {
        let most = parts.iter().map(|(.., left)| *left).max();
        if let Some((_, part, left)) = parts.iter_mut().find(|(.., left)| Some(*left) == most) {
            (*part, *left) = (part.saturating_add(1), 0);
        }
    }
    parts.into_iter().map(|(name, part, _)| (format!("merchant:{name}"), signed(part)))
}

fn signed(amount: u128) -> i128 {
    i128::try_from(amount).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::shop::SHARED;

    #[test]
    fn what_is_left_goes_to_the_largest_remainders() {
        let parts = |all, path| divided(all, path).map(|(_, part)| part).collect::<Vec<_>>();
        assert_eq!(parts(101, SHARED), [71, 10, 20]);
        assert_eq!(parts(1, SHARED), [1, 0, 0]);
        assert_eq!(parts(2, ABROAD), [1, 0, 1], "of 66, 66 and 68 the last has most");
        assert_eq!(parts(7, "/page"), [7]);
    }
}
