//! Subscriptions: a pass that the wallet buys again when it has ended. The seller knows of none. What is bought and what is due stands in
//! one row, which the commit changes that takes the pass in; so no period is paid twice, whatever is cut short.

mod every;
mod reject;

use std::iter;

use farthing_money::{Amount, Money, Span, Timestamp};
use farthing_wire::pass::plan_scope;
use farthing_wire::{PASSES_PATH, Problem, json};
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::attempt::Attempt;
use crate::budget::Scope;
use crate::error::WalletError;
use crate::flow::PayRequest;
use crate::http::HttpResponse;
use crate::merchant::StoredPass;
use crate::parked::Parked;
use crate::state::Draft;
use crate::unit::money;
use crate::vault::{Change, Row, RowKey};
use crate::wallet::Wallet;

pub use self::every::Every;
pub use self::reject::{Before, SubscriptionReject};

/// So long before its end a pass is bought again.
pub const RENEWS_BEFORE: Span = Span::from_secs(3_600);

const DAY: Span = Span::from_secs(86_400);
/// More are no subscriptions that anybody follows.
const SUBSCRIPTIONS_MAX: usize = 100;

/// A pass that is bought again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its number, never used twice.
    pub number: u64,
    /// Where the pass is sold.
    pub url: String,
    /// Since when it stands.
    pub since: Timestamp,
    /// What a pass may cost.
    pub max: Money,
    /// How often at most one is bought; when the last one ends otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Every>,
    /// Nothing is bought for a time from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// How many more are bought; without an end otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<u32>,
    /// What was bought last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Renewed>,
    /// The payment that was charged, or may have been, and has brought no pass: nothing is bought until the owner subscribes again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<u64>,
}

/// A pass that was bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// The payment.
    pub attempt: u64,
    /// When.
    pub at: Timestamp,
    /// What it cost.
    pub charged: Money,
    /// When what it pays for begins.
    pub from: Timestamp,
    /// When its pass ends.
    pub ends: Timestamp,
    /// Where months are counted from: the beginning of the first of those that follow one another.
    pub anchor: Timestamp,
    /// When the next one is due: at the end of the pass, or later if it is bought less often.
    pub covered: Timestamp,
}

/// What a payment has brought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Brought {
    pub(crate) at: Timestamp,
    pub(crate) charged: Money,
    /// When the pass ends, if one came that lasts.
    pub(crate) ends: Option<Timestamp>,
}

/// What the owner wants. What is not named stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscribeTerms {
    /// What a pass may cost.
    pub max: Money,
    /// How often at most.
    pub every: Option<Every>,
    /// Until when.
    pub until: Option<Timestamp>,
    /// How many from now on.
    pub times: Option<u32>,
}

/// How a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A pass is to be bought.
    Due,
    /// Nothing is to be bought until then.
    Waits(Timestamp),
    /// It has come to its end.
    Over,
    /// The owner has to look at it.
    Halted,
}

impl Renewed {
    /// With the time when the next one is due, for a time that is paid for from `start` on.
    fn paced(self, every: Option<Every>, start: Timestamp, anchor: Timestamp) -> Self {
        let next = every.map(|every| every.after(start, anchor));
        Self { anchor, covered: next.map_or(self.ends, |next| next.max(self.ends)), ..self }
    }

    /// The same as if it had been bought so often.
    fn paced_anew(self, every: Option<Every>) -> Self {
        let start = self.from.min(self.ends);
        self.paced(every, start, start)
    }

    /// Whether a month has set when the next one is due, and one that is bought then goes on from there. A timer looks now and then only.
    fn is_followed(&self, every: Option<Every>, at: Timestamp) -> bool {
        every == Some(Every::Month) && self.covered > self.ends && at < self.covered.after(DAY)
    }
}

impl Subscription {
    /// The address of a pass, in its one form; refused if none can be sold there.
    pub fn place(url: &str) -> Result<String, WalletError> {
        let address = Address::safe(url)?;
        let is_sale = address.path().strip_prefix(PASSES_PATH).is_some_and(|name| !name.is_empty());
        if !is_sale || address.path_and_query() != address.path() {
            return Err(SubscriptionReject::Place(address.to_string()).into());
        }
        Ok(address.to_string())
    }

    /// Until when it is paid for.
    fn covered(&self, pass_ends: Option<Timestamp>) -> Option<Timestamp> {
        self.last.map(|last| last.covered).max(pass_ends)
    }

    /// How it stands, where the pass that is there ends then. A pass is bought no sooner than `margin` before the end of the last one,
    /// and never before half of its time is over: so a second look just after never buys another one.
    fn standing(&self, pass_ends: Option<Timestamp>, margin: Span, now: Timestamp) -> Standing {
        if self.halted.is_some() {
            return Standing::Halted;
        }
        let covered = self.covered(pass_ends);
        let begins = covered.unwrap_or(now).max(now);
        if self.left == Some(0) || self.until.is_some_and(|until| begins >= until) {
            return Standing::Over;
        }
        let Some(covered) = covered else { return Standing::Due };
        let half = self.last.map(|last| last.covered.since(last.from).millis() / 2);
        // Only what would end is bought before its end; how often at most is kept.
        let is_paced = self.last.is_some_and(|last| last.covered > last.ends && last.covered == covered);
        let margin = if is_paced && pass_ends < Some(covered) { Span::ZERO } else { margin };
        let margin = half.map_or(margin.millis(), |half| margin.millis().min(half));
        let due = Timestamp::from_millis(covered.millis().saturating_sub(margin));
        if now >= due { Standing::Due } else { Standing::Waits(due) }
    }

    /// With other terms, looked at by its owner.
    fn changed(self, terms: SubscribeTerms) -> Self {
        let SubscribeTerms { max, every, until, times } = terms;
        let (every, until, left) = (every.or(self.every), until.or(self.until), times.or(self.left));
        let is_as_often = every == self.every;
        let last = self.last.map(|last| if is_as_often { last } else { last.paced_anew(every) });
        Self { max, every, until, left, last, halted: None, ..self }
    }

    /// With a pass that was bought; or halted, if there is none.
    pub(crate) fn renewed(self, attempt: u64, brought: Brought) -> Self {
        let Brought { at, charged, ends } = brought;
        let Some(ends) = ends.filter(|ends| *ends > at) else { return self.halted(attempt) };
        let from = self.covered(None).map_or(at, |covered| covered.max(at));
        let followed = self.last.filter(|last| last.is_followed(self.every, at));
        let (start, anchor) = followed.map_or((from, from), |last| (last.covered, last.anchor));
        // A clock that goes wrong must not put the next one further off than the pass says.
        let (start, covered) = (start.min(ends), ends);
        let last = Renewed { attempt, at, charged, from, ends, anchor, covered };
        let left = self.left.map(|left| left.saturating_sub(1));
        Self { last: Some(last.paced(self.every, start, anchor)), left, ..self }
    }

    pub(crate) fn halted(self, attempt: u64) -> Self {
        let was_counted = self.last.is_some_and(|last| last.attempt == attempt);
        if was_counted { self } else { Self { halted: Some(attempt), ..self } }
    }
}

impl Wallet {
    /// The subscriptions, oldest first.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        self.state.subscriptions.values()
    }

    /// One of them, by its number or its address.
    pub fn subscription(&self, named: &str) -> Result<&Subscription, WalletError> {
        let address = named.parse::<Address>().map_or_else(|_| String::new(), |address| address.to_string());
        let is_named = |one: &&Subscription| one.url == address || one.number.to_string() == named;
        let unknown = || SubscriptionReject::Unknown(named.chars().take(200).collect());
        Ok(self.subscriptions().find(is_named).ok_or_else(unknown)?)
    }

    /// Subscribes to a pass, or changes those terms of a subscription that stands that are named. Nothing is bought by that.
    pub fn subscribe(
        &mut self,
        url: &str,
        terms: SubscribeTerms,
        now: Timestamp,
    ) -> Result<Subscription, WalletError> {
        let url = Subscription::place(url)?;
        let before = self.subscriptions().find(|one| one.url == url).cloned();
        if before.is_none() && self.state.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            return Err(SubscriptionReject::Full(SUBSCRIPTIONS_MAX).into());
        }
        let mut draft = Draft::new(&self.state);
        let SubscribeTerms { max, every, until, times } = terms;
        let subscription = if let Some(before) = before {
            before.changed(terms)
        } else {
            let (number, since) = (draft.attempt_number(), now);
            let (left, last, halted) = (times, None, None);
            Subscription { number, url, since, max, every, until, left, last, halted }
        };
        draft.put(Row::Subscription(Box::new(subscription.clone())));
        let changes = draft.into_changes();
        self.commit(changes)?;
        Ok(subscription)
    }

    /// Ends a subscription. The pass that is there lasts as long as it does; what waits for a yes is forgotten.
    pub fn unsubscribe(&mut self, named: &str) -> Result<Subscription, WalletError> {
        let subscription = self.subscription(named)?.clone();
        let number = subscription.number;
        let is_its = |parked: &&Parked| parked.renews.is_some_and(|renews| renews.subscription == number);
        let parked = self.parked().filter(is_its).map(|parked| RowKey::parked(parked.number));
        let over = iter::once(RowKey::subscription(number)).chain(parked).map(Change::Remove).collect();
        self.commit(over)?;
        Ok(subscription)
    }

    /// How a subscription stands, if a pass is bought so long before the last one ends. A bundle is not: another one does not last from
    /// its end, and nobody but the gate knows whether uses of it are left.
    pub fn standing(&self, subscription: &Subscription, margin: Span, now: Timestamp) -> Standing {
        let is_bundle = self.passes_of(subscription).any(|pass| pass.bundle.is_some());
        let margin = if is_bundle { Span::ZERO } else { margin };
        subscription.standing(self.pass_ends(subscription), margin, now)
    }

    /// When the last pass ends that the wallet has of it, however it came.
    pub fn pass_ends(&self, subscription: &Subscription) -> Option<Timestamp> {
        self.passes_of(subscription).map(|pass| pass.expires).max()
    }

    /// What the wallet has of it; more than one only of bundles.
    fn passes_of(&self, subscription: &Subscription) -> impl Iterator<Item = &StoredPass> {
        let address: Option<Address> = subscription.url.parse().ok();
        let of = address.and_then(|address| {
            let scope = plan_scope(address.path().strip_prefix(PASSES_PATH)?);
            Some((address.origin(), scope))
        });
        let is_it = move |pass: &&StoredPass| {
            of.as_ref().is_some_and(|(origin, scope)| pass.origin == *origin && pass.scope == *scope)
        };
        self.state.passes.values().filter(is_it)
    }

    /// What a subscription has cost, and what is set aside for it now, in each unit.
    pub fn subscription_cost(&self, number: u64) -> Result<Vec<Money>, WalletError> {
        let scope = Scope::Subscription(number);
        let here = self.state.spent.iter().filter(|((_, other), _)| *other == scope);
        let here = here.filter(|(_, amount)| **amount > Amount::ZERO);
        here.map(|((unit, _), amount)| money(*unit, amount.to_u64().unwrap_or(u64::MAX))).collect()
    }

    /// The request that buys the pass.
    pub fn renewal(&self, number: u64) -> Result<PayRequest, WalletError> {
        let subscription = self.subscription(&number.to_string())?;
        let (headers, body) = (Vec::new(), Vec::new());
        Ok(PayRequest { method: "GET".to_owned(), url: subscription.url.clone(), headers, body, max: None })
    }

    /// Whether an open payment is left to the subscription that it is for: the same credential once more brings its pass. What was signed
    /// for a chain is no credential any more when others look at it.
    pub(crate) fn awaits(&self, attempt: &Attempt) -> bool {
        let number = attempt.subscription().filter(|_| attempt.chain().is_none());
        let one = number.and_then(|number| self.state.subscriptions.get(&RowKey::subscription(number)));
        let is_open = attempt.payment().is_some_and(|payment| !payment.delivered);
        is_open && one.is_some_and(|one| one.halted.is_none())
    }

    /// Whether a payment for a subscription was begun whose pass has not come yet.
    pub(crate) fn is_renewing(&self, number: u64) -> bool {
        let is_its = |attempt: &Attempt| attempt.subscription() == Some(number);
        let is_open = |attempt: &Attempt| attempt.payment().is_some_and(|payment| !payment.delivered);
        self.attempts().any(|attempt| is_its(attempt) && is_open(attempt))
    }

    /// Whether a pass may be paid for now: it is asked before each time that something is set aside or signed, because what came of an
    /// earlier payment may have been found meanwhile.
    pub(crate) fn check_due(&self, number: u64, margin: Span, now: Timestamp) -> Result<(), WalletError> {
        let one = self.subscription(&number.to_string())?;
        if let Some(attempt) = one.halted {
            return Err(SubscriptionReject::Halted { url: one.url.clone(), attempt }.into());
        }
        let is_due = self.standing(one, margin, now) == Standing::Due;
        if is_due { Ok(()) } else { Err(SubscriptionReject::NotDue { url: one.url.clone() }.into()) }
    }

    /// The subscription that a 402 names and that is due.
    pub(crate) fn renews_first(
        &self,
        address: &Address,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Option<u64> {
        if self.state.subscriptions.is_empty() || address.path().starts_with(PASSES_PATH) {
            return None;
        }
        let problem: Problem = json::read(&answer.body, "a problem").ok()?;
        let named = problem.extra.get("passes")?.as_array()?.iter();
        let urls: Vec<String> = named
            .filter_map(|pass| pass.get("url")?.as_str())
            .filter(|path| path.starts_with(PASSES_PATH))
            .map(|path| format!("{}{path}", address.origin()))
            .collect();
        let mut due = self.subscriptions().filter(|one| urls.contains(&one.url));
        due.find(|one| self.standing(one, Span::ZERO, now) == Standing::Due).map(|one| one.number)
    }
}

#[cfg(test)]
mod tests {
    use farthing_money::Asset;

    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("{text}T10:00:00Z").parse().unwrap()
    }

    fn of(every: Option<Every>) -> Subscription {
        Subscription {
            number: 1,
            url: "https://a.example/.well-known/farthing/passes/day".into(),
            since: at("2026-01-31"),
            max: Asset::micro("USD").unwrap().money(Amount::new(10)),
            every,
            until: None,
            left: None,
            last: None,
            halted: None,
        }
    }

    fn bought(one: Subscription, now: Timestamp, ends: Timestamp) -> Subscription {
        let charged = one.max;
        one.renewed(7, Brought { at: now, charged, ends: Some(ends) })
    }

    fn monthly(days: u64) -> impl Fn(Subscription, &str) -> Subscription {
        move |one, day| bought(one, at(day), at(day).after(Span::from_secs(days * 86_400)))
    }

    fn next(one: &Subscription) -> Timestamp {
        one.last.unwrap().covered
    }

    #[test]
    fn months_are_counted_from_the_first_of_those_that_follow_one_another() {
        let day = monthly(1);
        // Subscribed on the 31st of January.
        let one = day(of(Some(Every::Month)), "2026-03-28");
        assert_eq!(next(&one), at("2026-04-28"));
        assert_eq!(one.standing(None, DAY, at("2026-04-27")), Standing::Waits(at("2026-04-28")), "no margin");
        // Each is bought at once, or a little late.
        let mut one = day(of(Some(Every::Month)), "2026-01-31");
        for due in ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"] {
            assert_eq!(next(&one), at(due));
            let late = at(due).after(Span::from_secs(7_200));
            one = bought(one, late, late.after(DAY));
        }
        // Nobody looked for days: the months begin anew.
        let one = day(one, "2026-07-03");
        assert_eq!(next(&one), at("2026-08-03"));
        // A pass of thirty days sets the time where February is over before it.
        let long = monthly(30);
        let one = long(of(Some(Every::Month)), "2026-01-31");
        assert_eq!(next(&one), at("2026-03-02"));
        let one = long(one, "2026-03-02");
        assert_eq!((next(&one), one.last.unwrap().ends), (at("2026-04-02"), at("2026-04-01")));
    }

    #[test]
    fn what_is_not_named_stays_and_another_pace_counts_from_the_last_pass() {
        let week = Some(Every::Span(Span::from_secs(7 * 86_400)));
        let one = Subscription { until: Some(at("2026-05-01")), left: Some(4), ..of(week) };
        let one = monthly(1)(one, "2026-02-01");
        let max = Asset::micro("USD").unwrap().money(Amount::new(20));
        let named = SubscribeTerms { max, every: None, until: None, times: None };
        let same = one.clone().halted(9).changed(named);
        assert_eq!(same, Subscription { max, ..one.clone() });
        for (every, due) in [(Every::Month, "2026-03-01"), (Every::Day, "2026-02-02")] {
            let terms = SubscribeTerms { every: Some(every), times: Some(9), ..named };
            let other = one.clone().changed(terms);
            assert_eq!((next(&other), other.left, other.until), (at(due), Some(9), one.until));
        }
    }

    #[test]
    fn a_second_look_buys_nothing_whatever_the_margin() {
        let now = at("2026-02-01");
        let ends = now.after(Span::from_secs(600));
        let one = bought(of(None), now, ends);
        let day = Span::from_secs(86_400);
        assert_eq!(one.standing(Some(ends), day, now), Standing::Waits(now.after(Span::from_secs(300))));
        let later = now.after(Span::from_secs(300));
        assert_eq!(one.standing(Some(ends), day, later), Standing::Due);
        let longer = ends.after(Span::from_secs(600));
        let again = bought(one, later, longer);
        assert!(matches!(again.standing(Some(longer), day, later), Standing::Waits(_)));
    }

    #[test]
    fn what_is_over_or_in_doubt_buys_nothing() {
        let now = at("2026-02-01");
        let stands = |one: &Subscription| one.standing(None, Span::ZERO, now);
        assert_eq!(stands(&of(None)), Standing::Due);
        assert_eq!(stands(&Subscription { left: Some(0), ..of(None) }), Standing::Over);
        assert_eq!(stands(&Subscription { until: Some(now), ..of(None) }), Standing::Over);
        let ends = at("2026-02-02");
        let last = Subscription { until: Some(ends), ..bought(of(None), now, ends) };
        assert_eq!(stands(&last), Standing::Over, "what would begin at the end is not bought");
        assert_eq!(stands(&of(None).halted(3)), Standing::Halted);
        assert_eq!(stands(&bought(of(None), now, now)), Standing::Halted, "a pass that is over is none");
        assert_eq!(bought(of(None), now, ends).halted(7).halted, None, "what was counted has come");
        // The clock is put back: what is paid for stays so.
        let back = bought(of(None), now, ends).standing(None, Span::ZERO, at("2025-01-01"));
        assert_eq!(back, Standing::Waits(ends));
        let weekly = bought(of(Some(Every::Span(Span::from_secs(7 * 86_400)))), now, ends);
        assert_eq!(
            weekly.standing(Some(ends), Span::ZERO, at("2026-02-07")),
            Standing::Waits(at("2026-02-08"))
        );
    }
}
