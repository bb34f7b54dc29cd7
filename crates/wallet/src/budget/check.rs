//! Whether something may be spent: every limit, own rule and mandate is looked at, and the owner is asked where the owner wants to be
//! asked. What passes is a grant, which the commit that sets the money aside books, whole.

use farthing_money::{Amount, Money, Span, Timestamp, Unit};

use super::rule::{Asker, Measure, Rule};
use super::scope::{Period, Scope, day_of, month_of};
use super::{BudgetReject, Call, LimitKind, Shown, within};
use crate::address::Address;
use crate::attempt::Booking;
use crate::error::WalletError;
use crate::mandate::{MandateReject, Taken};
use crate::outcome::{LimitUse, Verdict};
use crate::parked::{NeedsYes, Parked};
use crate::unit::{asset_of, at_least, at_most};
use crate::vault::{Change, Row};
use crate::wallet::Wallet;

/// Calls of a session write down at least so often when their mandate was last used: little beside what clocks may differ.
const MOVED_FAR: Span = Span::from_secs(60);

/// One run of a command that pays many times: what it may cost in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub(crate) number: u64,
    pub(crate) max: Money,
}

/// Who pays whom, as far as budgets ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) address: &'a Address,
    pub(crate) asker: &'a Asker,
    pub(crate) call: Call,
    pub(crate) run: Option<Run>,
    /// The subscription that it is for.
    pub(crate) subscription: Option<u64>,
    /// The only mandate under which it may be paid.
    pub(crate) mandate: Option<&'a str>,
    /// What the owner has to say; nothing where the owner is not asked.
    pub(crate) consent: Option<Consent<'a>>,
}

/// What the owner has said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Consent<'a> {
    /// Yes, just now, up to this price.
    pub(crate) given: Option<Money>,
    /// The request, for which an approval may be written down: method, address and digest of the body.
    pub(crate) request: (&'a str, &'a str, &'a str),
}

/// Something that may be spent, and what has to be written down with it.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) booking: Booking,
    /// The approval that it uses up.
    pub(crate) used: Option<Change>,
    /// The mandate that it is under, with the moment at which it was last used.
    pub(crate) moved: Option<Box<Taken>>,
    /// Whether that moment is so long ago that it has to be written down even if nothing else is.
    pub(crate) is_moved_far: bool,
}

/// A limit, and how much of it is used.
struct Line {
    kind: LimitKind,
    limit: Amount,
    spent: Amount,
}

impl Run {
    /// A run that may cost so much; its number is drawn from the wallet.
    pub fn begin(wallet: &mut Wallet, max: Money) -> Result<Self, WalletError> {
        Ok(Self { number: wallet.begin_run()?, max })
    }
}

impl Grant {
    /// What it uses up, and what it moves on.
    pub(crate) fn changes(&self) -> impl Iterator<Item = Change> {
        let moved = self.moved.clone().map(|taken| Change::Put(Row::Mandate(taken)));
        self.used.iter().cloned().chain(moved)
    }

    /// Whether it has to be written down even if nothing else is.
    pub(crate) const fn is_due(&self) -> bool {
        self.used.is_some() || self.is_moved_far
    }
}

impl<'a> Asking<'a> {
    /// Where the owner is not asked, and under whatever binds.
    pub(crate) fn unasked(address: &'a Address, asker: &'a Asker, call: Call) -> Self {
        Self { address, asker, call, run: None, subscription: None, mandate: None, consent: None }
    }

    fn meets(&self, rule: &Rule, unit: Unit) -> bool {
        rule.unit == unit && rule.meets(self.address, self.asker)
    }
}

impl Wallet {
    /// Whether `amount` may be spent for something that costs `price`: the worst case of it.
    pub(crate) fn grant(
        &mut self,
        unit: Unit,
        asking: &Asking<'_>,
        (price, amount): (u64, u64),
        now: Timestamp,
    ) -> Result<Grant, WalletError> {
        self.mark_over(asking, now)?;
        self.weigh(unit, asking, (price, amount), now)
    }

    /// Whether a call of a session may cost so much.
    pub(crate) fn grant_step(
        &mut self,
        unit: Unit,
        asking: &Asking<'_>,
        price: u64,
        now: Timestamp,
    ) -> Result<Grant, WalletError> {
        self.mark_over(asking, now)?;
        self.weigh_step(unit, asking, price, now)
    }

    /// Writes down which mandates have ended, so that a clock that is put back does not bring them back.
    fn mark_over(&mut self, asking: &Asking<'_>, now: Timestamp) -> Result<(), WalletError> {
        let has_ended =
            |taken: &&Taken| !taken.is_over && matches!(taken.stands(now), Err(MandateReject::Ended { .. }));
        let bound: Vec<&Taken> = match asking.mandate {
            Some(id) => self.state.mandates.get(id).into_iter().collect(),
            None => self.binding_mandates().collect(),
        };
        let over = bound.into_iter().filter(has_ended);
        let over = over.map(|taken| Taken { is_over: true, ..taken.clone() });
        let changes: Vec<Change> = over.map(|taken| Change::Put(Row::Mandate(Box::new(taken)))).collect();
        if changes.is_empty() { Ok(()) } else { self.commit(changes) }
    }

    /// The same, with nothing written down.
    pub(crate) fn weigh(
        &self,
        unit: Unit,
        asking: &Asking<'_>,
        (price, amount): (u64, u64),
        now: Timestamp,
    ) -> Result<Grant, WalletError> {
        let worst = Amount::from(amount);
        self.limits(unit).check_call(asking.call, Amount::from(price.max(amount)))?;
        let mut lines = self.lines(unit, asking, now);
        passes(unit, &lines, worst)?;
        let mandate = self.mandated(unit, asking, worst, now)?;
        lines.extend(mandate.iter().flat_map(|taken| self.mandate_lines(taken, asking.call, now)));
        let used = match &asking.consent {
            Some(consent) => self.consented(unit, asking, consent, Amount::from(price), &lines, now)?,
            None => None,
        };
        let booking = self.booking(unit, asking, mandate, amount, now);
        Ok(granted(booking, used, mandate, now))
    }

    /// The same for a call of a session, with nothing written down. What was put into the session is counted already:
    /// only what holds for a single call is asked, whether the mandate still stands, and a run, which counts its own calls.
    fn weigh_step(
        &self,
        unit: Unit,
        asking: &Asking<'_>,
        price: u64,
        now: Timestamp,
    ) -> Result<Grant, WalletError> {
        let asked = Amount::from(price);
        self.limits(unit).check_call(asking.call, asked)?;
        let mandate = self.mandated(unit, asking, Amount::ZERO, now)?;
        let mut lines = self.lines(unit, asking, now);
        lines.extend(mandate.iter().flat_map(|taken| self.mandate_lines(taken, asking.call, now)));
        lines.retain(|line| match &line.kind {
            LimitKind::Rule(rule) => rule.0 == Measure::PerCall,
            LimitKind::Mandate(mandate) => mandate.0 == Measure::PerCall,
            kind => *kind == LimitKind::ThisRun,
        });
        passes(unit, &lines, asked)?;
        let used = match &asking.consent {
            Some(consent) => self.consented(unit, asking, consent, asked, &lines, now)?,
            None => None,
        };
        Ok(granted(self.booking(unit, asking, mandate, price, now), used, mandate, now))
    }

    /// What the wallet would do, and the limits that it would be charged to.
    pub(crate) fn foresee(
        &self,
        unit: Unit,
        asking: &Asking<'_>,
        amounts: (u64, u64),
        now: Timestamp,
    ) -> Result<(Verdict, Vec<LimitUse>), WalletError> {
        let mandate = self.mandated(unit, asking, Amount::from(amounts.1), now).ok().flatten();
        let mut lines = self.lines(unit, asking, now);
        lines.extend(mandate.iter().flat_map(|taken| self.mandate_lines(taken, asking.call, now)));
        let shown = |amount| Shown { amount, unit };
        let limits = lines.into_iter().map(|Line { kind, limit, spent }| LimitUse {
            kind,
            limit: shown(limit),
            used: shown(spent),
        });
        let verdict = match self.weigh(unit, asking, amounts, now) {
            Ok(_) => Verdict::Pay,
            Err(WalletError::Ask(ask)) => Verdict::Ask(ask),
            Err(WalletError::Budget(reject)) => Verdict::Limit(reject),
            Err(WalletError::Mandate(reject)) => Verdict::Mandate(reject),
            Err(error) => return Err(error),
        };
        Ok((verdict, limits.collect()))
    }

    /// What is booked for something that was spent whether or not it may be.
    pub(crate) fn booking_of(&self, unit: Unit, address: &Address, amount: u64, now: Timestamp) -> Booking {
        let (asker, call) = (Asker::default(), Call::default());
        let asking = Asking::unasked(address, &asker, call);
        let mandate = self.binding_mandates().find(|taken| taken.allows(unit, address, &asker).is_ok());
        self.booking(unit, &asking, mandate, amount, now)
    }

    fn booking(
        &self,
        unit: Unit,
        asking: &Asking<'_>,
        mandate: Option<&Taken>,
        amount: u64,
        now: Timestamp,
    ) -> Booking {
        let host = asking.address.host();
        let common =
            [Scope::Host(host.clone()), Scope::Day(day_of(now)), Scope::Month(month_of(now)), Scope::Total];
        let rules = self.state.rules.values().filter(|rule| asking.meets(rule, unit));
        let mut scopes: Vec<Scope> =
            common.into_iter().chain(rules.filter_map(|rule| rule.scope(now))).collect();
        scopes.extend(asking.run.map(|run| Scope::Run(run.number)));
        scopes.extend(asking.subscription.map(Scope::Subscription));
        scopes.extend(mandate.into_iter().flat_map(|taken| taken.scopes(now)));
        Booking { host, amount, scopes, asker: asking.asker.clone() }
    }

    /// The limits that are counted, and those of own rules for one payment.
    fn lines(&self, unit: Unit, asking: &Asking<'_>, now: Timestamp) -> Vec<Line> {
        let limits = self.limits(unit);
        let own = [
            (LimitKind::PerHost, limits.per_host, Scope::Host(asking.address.host())),
            (LimitKind::PerDay, limits.per_day, Scope::Day(day_of(now))),
            (LimitKind::PerMonth, limits.per_month, Scope::Month(month_of(now))),
            (LimitKind::Total, limits.total, Scope::Total),
        ];
        let own = own.into_iter().filter_map(|(kind, limit, scope)| {
            Some(Line { kind, limit: limit?, spent: self.state.spent(unit, &scope) })
        });
        let rules = self.state.rules.values().filter(|rule| asking.meets(rule, unit));
        let rules = rules.filter(|rule| rule.measure != Measure::AskAbove).map(|rule| {
            let spent = rule.scope(now).map_or(asking.call.spent, |scope| self.state.spent(unit, &scope));
            let kind = LimitKind::Rule(Box::new((rule.measure, rule.subject.clone())));
            Line { kind, limit: rule.amount, spent }
        });
        let run = asking.run.map(|run| self.run_line(unit, run));
        own.chain(rules).chain(run).collect()
    }

    fn run_line(&self, unit: Unit, run: Run) -> Line {
        let (limit, spent) = (at_most(run.max, unit), self.spent_in_run(unit, run.number));
        Line { kind: LimitKind::ThisRun, limit, spent }
    }

    /// Whether a run may cost so much more.
    pub(crate) fn check_run(&self, unit: Unit, run: Run, amount: u64) -> Result<(), BudgetReject> {
        passes(unit, &[self.run_line(unit, run)], Amount::from(amount))
    }

    /// What a run has cost in every unit of the asset, counted in one of them.
    fn spent_in_run(&self, unit: Unit, number: u64) -> Amount {
        let scope = Scope::Run(number);
        let here = self.state.spent.iter().filter(|((_, other), _)| *other == scope);
        let sums = here.filter_map(|((other, _), amount)| {
            let asset = asset_of(*other)?;
            Some(if *other == unit { *amount } else { at_least(asset.money(*amount), unit) })
        });
        Amount::try_sum(sums).unwrap_or(Amount::MAX)
    }

    fn mandate_lines(&self, taken: &Taken, call: Call, now: Timestamp) -> Vec<Line> {
        let (id, mandate) = (taken.id(), &taken.mandate);
        let spent = |period| self.state.spent(mandate.unit, &Scope::Mandate(period, id.to_owned()));
        let lines = [
            (Measure::PerCall, mandate.per_call, call.spent),
            (Measure::PerDay, mandate.per_day, spent(Period::Day(day_of(now)))),
            (Measure::PerMonth, mandate.per_month, spent(Period::Month(month_of(now)))),
            (Measure::Total, Some(mandate.total), spent(Period::Ever)),
        ];
        let line = |(measure, limit, spent): (Measure, Option<Amount>, Amount)| {
            let kind = LimitKind::Mandate(Box::new((measure, taken.short().to_owned())));
            Some(Line { kind, limit: limit?, spent })
        };
        lines.into_iter().filter_map(line).collect()
    }

    /// The mandate under which it is paid; nothing where none binds.
    fn mandated(
        &self,
        unit: Unit,
        asking: &Asking<'_>,
        worst: Amount,
        now: Timestamp,
    ) -> Result<Option<&Taken>, WalletError> {
        let mut bound: Vec<&Taken> = match asking.mandate {
            Some(id) => {
                let unknown = || MandateReject::Unknown(id.to_owned());
                vec![self.state.mandates.get(id).ok_or_else(unknown)?]
            }
            None => self.binding_mandates().collect(),
        };
        bound.sort_by_key(|taken| (taken.mandate.until, taken.id()));
        let (mut rejected, mut over) = (None, None);
        for taken in bound {
            let standing = taken.stands(now).and_then(|()| taken.allows(unit, asking.address, asking.asker));
            if let Err(reject) = standing {
                rejected.get_or_insert(reject);
                continue;
            }
            match passes(unit, &self.mandate_lines(taken, asking.call, now), worst) {
                Ok(()) => return Ok(Some(taken)),
                Err(reject) => over = over.or(Some(reject)),
            }
        }
        match (over, rejected) {
            (Some(reject), _) => Err(reject.into()),
            (None, Some(reject)) => Err(reject.into()),
            (None, None) => Ok(None),
        }
    }

    /// Above what the owner is asked. Own rules that meet the payment go before what holds for everything; of several the lowest
    /// holds.
    fn asked_above(&self, unit: Unit, asking: &Asking<'_>) -> Option<Amount> {
        let rules = self.state.rules.values();
        let rules = rules.filter(|rule| rule.measure == Measure::AskAbove && asking.meets(rule, unit));
        rules.map(|rule| rule.amount).min().or_else(|| self.limits(unit).ask_above)
    }

    /// Whether the owner wants it, and what of an approval is used up with it.
    fn consented(
        &self,
        unit: Unit,
        asking: &Asking<'_>,
        consent: &Consent<'_>,
        price: Amount,
        lines: &[Line],
        now: Timestamp,
    ) -> Result<Option<Change>, WalletError> {
        let Some(above) = self.asked_above(unit, asking).filter(|above| price > *above) else {
            return Ok(None);
        };
        if consent.given.is_some_and(|given| price <= at_most(given, unit)) {
            return Ok(None);
        }
        let approved = self.state.parked.values();
        let mut approved = approved.filter(|parked| parked.approves(consent.request, asking.asker, now));
        if let Some(parked) = approved.find(|parked| price <= at_most(parked.price, unit)) {
            return Ok(Parked::used(parked));
        }
        let left =
            lines.iter().map(|line| (line.limit.checked_sub(line.spent).unwrap_or_default(), &line.kind));
        let left = left.min_by_key(|(left, _)| *left);
        let shown = |amount| Shown { amount, unit };
        Err(WalletError::Ask(Box::new(NeedsYes {
            price: shown(price),
            above: shown(above),
            host: asking.address.host(),
            left: left.map(|(left, kind)| (kind.clone(), shown(left))),
        })))
    }
}

fn granted(booking: Booking, used: Option<Change>, mandate: Option<&Taken>, now: Timestamp) -> Grant {
    let moved = mandate.filter(|taken| taken.last < now);
    let is_moved_far = moved.is_some_and(|taken| taken.last.after(MOVED_FAR) <= now);
    let moved = moved.map(|taken| Box::new(Taken { last: now, ..taken.clone() }));
    Grant { booking, used, moved, is_moved_far }
}

fn passes(unit: Unit, lines: &[Line], asked: Amount) -> Result<(), BudgetReject> {
    within(unit, lines.iter().map(|line| (line.kind.clone(), Some(line.limit), line.spent)), asked)
}
