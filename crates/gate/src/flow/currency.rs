//! In what a price may be paid: in its own asset, and in those that the operator accepts by the rates in force.
//!
//! What was told is kept to: a challenge of MPP brings its price back itself; for dialects that bring none, every price that was
//! told within the lifetime of a challenge is taken, by the rates that were in force then.

use std::sync::Arc;

use farthing_ecash::Token;
use farthing_engine::{Exchange, Payees, RateSet, RatesRow};
use farthing_money::{Amount, Asset, Money, Rounding, Span, Timestamp, Unit};
use farthing_wire::Credential;
use tokio::sync::watch;

use super::Shared;
use super::quote::Quote;

/// How far a source of rates may be ahead of our clock.
const AHEAD_MOST: Span = Span::from_secs(24 * 3600);

/// What payers may pay in beside a price's own asset, and by which rates. Both may change while the gate is open.
#[derive(Clone, Debug)]
pub struct Currencies {
    /// The rates, as they change.
    pub rates: watch::Receiver<Arc<RatesRow>>,
    /// On which terms they are used, as those change.
    pub terms: watch::Receiver<Arc<CurrencyTerms>>,
}

/// On which terms payers may pay in another asset than the price's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CurrencyTerms {
    /// The assets that are accepted, unless a rule says otherwise.
    pub accepts: Vec<Asset>,
    /// What is paid beyond a rate, in millionths.
    pub spread: u32,
    /// How old rates may be.
    pub max_age: Span,
}

impl Default for Currencies {
    /// None but the price's own.
    fn default() -> Self {
        let ((_, rates), (_, terms)) = (watch::channel(Arc::default()), watch::channel(Arc::default()));
        Self { rates, terms }
    }
}

impl Currencies {
    fn terms(&self) -> Arc<CurrencyTerms> {
        Arc::clone(&self.terms.borrow())
    }
}

/// A price as it may be paid.
#[derive(Clone, Debug)]
pub(super) struct Payable {
    pub(super) price: Money,
    /// How it becomes what the merchants get, if that is another asset.
    pub(super) exchange: Option<Exchange>,
}

impl Payable {
    /// A price that is paid in its own asset.
    pub(super) const fn own(price: Money) -> Self {
        Self { price, exchange: None }
    }

    fn by(exchange: Exchange) -> Self {
        Self { price: exchange.paid(), exchange: Some(exchange) }
    }
}

impl Quote {
    /// Whom a payment pays, in the asset of the price.
    pub(super) fn payees_by(&self, own: &str, payable: &Payable) -> Payees {
        let payees = self.payees(own, self.price.asset());
        match &payable.exchange {
            Some(exchange) => payees.by(exchange.clone()),
            None => payees,
        }
    }
}

impl Shared {
    /// What is offered now beside the price in its own asset.
    pub(super) fn exchanges(&self, quote: &Quote) -> Vec<Exchange> {
        let (rates, terms) = (self.config.currencies.rates.borrow().clone(), self.config.currencies.terms());
        let now = (self.config.clock)();
        let set = rates.current.as_ref().filter(|set| terms.hold(set, now));
        set.map(|set| terms.exchanges(set, quote)).unwrap_or_default()
    }

    /// Every price that a payment may meet: the own one, those that are offered now, and those that were not long ago.
    pub(super) fn payables(&self, quote: &Quote) -> Vec<Payable> {
        let mut payables = vec![Payable::own(quote.price)];
        let terms = self.config.currencies.terms();
        if terms.accepted(quote).next().is_none() {
            return payables;
        }
        let (rates, now) = (self.config.currencies.rates.borrow().clone(), (self.config.clock)());
        let lifetime = self.config.offers.lifetime;
        for set in rates.in_force(now, lifetime) {
            // It may have become too old since it was told.
            if !terms.hold(set, now)
                && !terms.hold(set, Timestamp::from_millis(now.millis().saturating_sub(lifetime.millis())))
            {
                continue;
            }
            for exchange in terms.exchanges(set, quote) {
                if payables.iter().all(|payable| payable.price != exchange.paid()) {
                    payables.push(Payable::by(exchange));
                }
            }
        }
        payables
    }

    /// Every asset in which a payment may be made, whether or not there are rates to price it with now.
    pub(super) fn assets(&self, quote: &Quote) -> Vec<Asset> {
        std::iter::once(quote.price.asset()).chain(self.config.currencies.terms().accepted(quote)).collect()
    }

    /// The price for a credential that does not say itself which it pays: in the asset of its credits, the lowest that was told.
    pub(super) fn payable_with(&self, quote: &Quote, credential: &Credential) -> Payable {
        let own = Payable::own(quote.price);
        if self.config.currencies.terms().accepted(quote).next().is_none() {
            return own;
        }
        let unit = credential.token().and_then(|token| Token::decode(token).ok()).map(|token| token.unit);
        let Some(unit) = unit.filter(|unit| *unit != quote.price.asset().unit()) else { return own };
        let in_unit = self.payables(quote).into_iter().filter(|payable| payable.price.asset().unit() == unit);
        in_unit.min_by_key(|payable| payable.price.amount()).unwrap_or(own)
    }

    /// The price in an asset, the lowest that was told; in its own if it is not taken in that one.
    pub(super) fn payable_in(&self, quote: &Quote, asset: Asset) -> Payable {
        let own = Payable::own(quote.price);
        if asset == quote.price.asset() {
            return own;
        }
        let payables = self.payables(quote).into_iter().filter(|payable| payable.price.asset() == asset);
        payables.min_by_key(|payable| payable.price.amount()).unwrap_or(own)
    }

    /// The price that a challenge of ours has locked in another asset. The price of the rule, or the rates, may have changed
    /// since: then merchants get what the locked sum is worth by the latest rates that were told.
    pub(super) fn locked(&self, quote: &Quote, unit: Unit, amount: Amount) -> Option<Payable> {
        let mut payables =
            self.payables(quote).into_iter().filter(|payable| payable.price.asset().unit() == unit);
        let first = payables.next()?;
        if first.price.amount() == amount {
            return Some(first);
        }
        if let Some(same) = payables.find(|payable| payable.price.amount() == amount) {
            return Some(same);
        }
        let known = first.exchange?;
        let price = amount.mul_div(known.price.value(), known.paid.value(), Rounding::Down)?;
        (!price.is_zero()).then(|| Payable::by(Exchange { price, paid: amount, ..known }))
    }
}

impl CurrencyTerms {
    /// The assets in which a price may be paid beside its own.
    fn accepted<'a>(&'a self, quote: &'a Quote) -> impl Iterator<Item = Asset> + 'a {
        let accepts = quote.accepts.as_deref().unwrap_or(&self.accepts);
        accepts.iter().copied().filter(|asset| *asset != quote.price.asset())
    }

    fn exchanges(&self, set: &RateSet, quote: &Quote) -> Vec<Exchange> {
        let exchange =
            |asset| Exchange::quoted(set.rate(quote.price.asset(), asset)?, self.spread, quote.price);
        // What credits and tokens cannot count is not offered.
        let fits = |exchange: &Exchange| exchange.paid.to_u64().is_some();
        self.accepted(quote).filter_map(exchange).filter(fits).collect()
    }

    /// Whether rates are neither too old nor of the future.
    fn hold(&self, set: &RateSet, now: Timestamp) -> bool {
        set.at.after(self.max_age) >= now && set.at <= now.after(AHEAD_MOST)
    }
}
