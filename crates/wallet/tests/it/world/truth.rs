//! What the world has really taken of a wallet, by what each limit counts. A naive model: it sums what was charged and knows nothing of the
//! wallet's books.

use std::collections::{BTreeMap, BTreeSet};

use farthing_ecash::Y;
use farthing_money::{Span, Timestamp};
use farthing_wallet::{Attempt, AttemptKind, Period, Scope, day_of, month_of};

use super::sessions::Moved;

pub const TOOL: &str = "fetch";
pub const TASK: &str = "t";
/// The path that has a limit of its own.
pub const PATH: &str = "shop.example/page/0";
pub const MANDATE_ID: &str = "0123456789abcdef0123456789abcdef";

/// A pass that lasts a day is bought again an hour before its end, and not before.
const DAY_BUT_AN_HOUR: Span = Span::from_secs(23 * 3_600);

/// For whom and for what something is set aside.
#[derive(Clone, Copy, Debug)]
pub struct Cause {
    /// The page, if it is one.
    pub page: Option<u8>,
    pub has_tool: bool,
    pub has_task: bool,
    pub subscription: Option<u64>,
    /// The most that may be set aside at once.
    pub most: u64,
    /// What the page or the pass costs.
    pub price: u64,
    /// When.
    pub at: Timestamp,
    /// The owner has asked for it himself.
    pub is_own: bool,
}

impl Cause {
    fn subjects(&self) -> impl Iterator<Item = (bool, String)> {
        let path = (self.page == Some(0)).then(|| (false, format!("path/{PATH}")));
        let tool = self.has_tool.then(|| (false, format!("tool/{TOOL}")));
        let task = self.has_task.then(|| (true, format!("task/{TASK}")));
        [path, tool, task].into_iter().flatten()
    }

    /// All that it counts for.
    fn scopes(&self) -> Vec<Scope> {
        let (day, month) = (day_of(self.at), month_of(self.at));
        let mut scopes =
            vec![Scope::Total, Scope::Host("shop.example".into()), Scope::Day(day), Scope::Month(month)];
        scopes.extend(self.subjects().map(|(is_of_day, subject)| {
            let period = if is_of_day { Period::Day(day) } else { Period::Ever };
            Scope::Rule(period, subject.parse().unwrap())
        }));
        scopes.extend(self.subscription.map(Scope::Subscription));
        let periods = [Period::Ever, Period::Day(day), Period::Month(month)];
        scopes.extend(periods.map(|period| Scope::Mandate(period, MANDATE_ID.into())));
        scopes
    }
}

/// What the subscription has bought since its owner looked at it last.
#[derive(Default)]
struct Bought {
    count: u32,
    last: Option<Timestamp>,
}

#[derive(Default)]
pub struct Truth {
    /// What was taken and has not come back. What lies in sessions is taken.
    pub sums: BTreeMap<Scope, u64>,
    /// What pages have cost, whether by themselves or with the steps of a session, of what counts for ever.
    pub used: BTreeMap<Scope, u64>,
    /// What each run was charged.
    pub runs: BTreeMap<usize, u64>,
    /// How many payments were made that need a yes.
    pub asked: usize,
    causes: BTreeMap<Y, Cause>,
    known: BTreeSet<u64>,
    /// What was put into each session, the oldest first.
    sessions: BTreeMap<String, Vec<(Cause, u64)>>,
    bought: BTreeMap<u64, Bought>,
    /// How many passes the subscription may buy, as far as its owner knows.
    times: u32,
    /// Above what the owner is asked.
    ask_above: u64,
}

impl Truth {
    pub fn new(ask_above: u64) -> Self {
        Self { ask_above, ..Self::default() }
    }

    /// The owner has looked at the subscription, or has tried to.
    pub fn subscribed(&mut self, times: u32, is_sure: bool) {
        self.times = if is_sure { times } else { times.max(self.times) };
        self.bought.clear();
    }

    /// Credits were set aside, for this.
    pub fn begun(&mut self, attempts: Vec<Attempt>, cause: Cause) {
        for attempt in attempts {
            let pays = matches!(attempt.kind, AttemptKind::Pay(_) | AttemptKind::Session(_));
            if pays && self.known.insert(attempt.id) {
                self.causes.extend(attempt.inputs.iter().map(|y| (*y, cause)));
            }
        }
    }

    /// The shop has taken a payment, sent in a run if it was in one.
    pub fn sold(&mut self, y: Y, amount: u64, run: Option<usize>, now: Timestamp) {
        let cause = self.causes[&y];
        assert!(amount <= cause.most, "{amount} were taken by one payment of {cause:?}");
        cause.scopes().into_iter().for_each(|scope| *self.sums.entry(scope).or_default() += amount);
        self.asked += usize::from(cause.price > self.ask_above);
        self.charged(&cause, amount, run);
        let Some(number) = cause.subscription else { return };
        let times = self.times;
        let Bought { count, last } = self.bought.entry(number).or_default();
        let is_due = last.is_none_or(|last| last.after(DAY_BUT_AN_HOUR) <= now);
        assert!(is_due, "a pass was bought at {now} and one at {last:?}");
        (*count, *last) = (*count + 1, Some(now));
        assert!(*count <= times, "{count} passes were bought, {times} were wanted");
    }

    /// The gate has charged steps for a call.
    pub fn called(&mut self, cause: &Cause, amount: u64, run: Option<usize>) {
        if amount > 0 {
            self.asked += usize::from(cause.price > self.ask_above);
            self.charged(cause, amount, run);
        }
    }

    fn charged(&mut self, cause: &Cause, amount: u64, run: Option<usize>) {
        let is_for_ever =
            |scope: &Scope| matches!(scope, Scope::Total | Scope::Host(_) | Scope::Rule(Period::Ever, _));
        for scope in cause.scopes().into_iter().filter(is_for_ever) {
            *self.used.entry(scope).or_default() += amount;
        }
        if let Some(run) = run {
            *self.runs.entry(run).or_default() += amount;
        }
    }

    pub fn moved(&mut self, moved: Moved) {
        match moved {
            Moved::In(session, ys, amount) => {
                let cause = self.causes[&ys[0]];
                assert!(amount <= cause.most, "{amount} were put in by {cause:?}");
                cause.scopes().into_iter().for_each(|scope| *self.sums.entry(scope).or_default() += amount);
                // A call that needs a yes has it for what is put in as well.
                let needs_yes = !cause.is_own && amount > self.ask_above && cause.price <= self.ask_above;
                self.asked += usize::from(needs_yes);
                self.sessions.entry(session).or_default().push((cause, amount));
            }
            Moved::Out(session, amount) => {
                // What was put in last comes back first.
                let mut rest = amount;
                for (cause, amount) in self.sessions.remove(&session).unwrap().into_iter().rev() {
                    let back = rest.min(amount);
                    rest -= back;
                    for scope in cause.scopes() {
                        *self.sums.get_mut(&scope).unwrap() -= back;
                    }
                }
                assert_eq!(rest, 0, "no more comes back than was put in");
            }
        }
    }
}
