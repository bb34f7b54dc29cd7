//! `farthing pay --repeat`: the same request again and again, several at once, up to a limit for all of them. What is delivered is
//! counted and thrown away.

use std::cell::RefCell;
use std::rc::Rc;

use clap::Args;
use farthing_money::{Amount, Money};
use farthing_wallet::{NeedsYes, Outcome, PayFlow, WalletError};
use serde_json::{Value, json};

use super::pay_report::refusal;
use crate::exit::{Exit, Failure};
use crate::output::{Output, View, money_json};
use crate::payer::{End, Tally, Typed};

#[derive(Debug, Args)]
pub struct Many {
    /// Pay for the request so many times, throw away what comes, and tell the sums
    #[arg(long = "repeat", visible_alias = "times", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    times: u32,
    /// So many of them at once; with --channel each through a channel of its own
    #[arg(short = 'j', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    at_once: u32,
    /// The most that all of them may cost, such as "0.05 USD", $0.05 or 5c: the last that fits is paid, the next is not
    #[arg(long, value_name = "AMOUNT")]
    pub max_total: Option<Typed>,
}

/// What they came to.
#[derive(Clone)]
pub struct Sums(Rc<RefCell<Counts>>);

struct Counts {
    url: String,
    times: u32,
    paid: u32,
    free: u32,
    failed: u32,
    /// How many a limit has refused, those that were under way when the first was among them.
    refused: u32,
    /// What the owner has to be asked.
    needs: Option<NeedsYes>,
    tally: Tally,
    /// Why the first of them failed.
    failure: Option<Failure>,
}

impl Many {
    /// One request.
    pub fn one() -> Self {
        Self { times: 1, at_once: 1, max_total: None }
    }

    pub fn times(&self) -> u32 {
        self.times
    }

    pub fn is_many(&self) -> bool {
        self.times > 1 || self.at_once > 1
    }

    pub fn at_once(&self) -> u32 {
        self.at_once.min(self.times)
    }

    /// Refuses what makes no sense together.
    pub fn check(has_single: bool) -> Result<(), Failure> {
        if has_single {
            let message =
                "expected --repeat without --dry-run, --location and --output, which are for one request";
            return Err(Failure::new(Exit::Usage, message));
        }
        Ok(())
    }

    /// What one of them may cost.
    pub fn part(&self, max: Money) -> Money {
        let units = max.amount().value().checked_div(self.times.into()).unwrap_or_default();
        max.asset().money(Amount::new(units))
    }

    /// The flows, one after the other. Each signs with random bytes of its own.
    pub fn flows(
        &self,
        first: PayFlow,
        sums: Sums,
        draw: impl Fn() -> Result<[u8; 32], Failure> + 'static,
    ) -> impl FnMut() -> Result<Option<PayFlow>, Failure> + 'static {
        let mut left = self.times;
        move || {
            if left == 0 || sums.has_failed() {
                return Ok(None);
            }
            left = left.saturating_sub(1);
            Ok(Some(first.again(draw()?)))
        }
    }
}

impl Sums {
    pub fn new(url: String, times: u32) -> Self {
        let (tally, failure, needs) = (Tally::default(), None, None);
        let counts = Counts { url, times, paid: 0, free: 0, failed: 0, refused: 0, needs, tally, failure };
        Self(Rc::new(RefCell::new(counts)))
    }

    /// What the owner has to be asked before it can go on.
    pub fn needs(&self) -> Option<NeedsYes> {
        self.0.borrow().needs.clone()
    }

    /// It is parked.
    pub fn parked(&self, failure: Failure) {
        self.0.borrow_mut().failure = Some(failure);
    }

    fn has_failed(&self) -> bool {
        self.0.borrow().failure.is_some()
    }

    /// Counts one, and says whether to go on.
    pub fn count(&self, end: End) -> bool {
        let mut counts = self.0.borrow_mut();
        match end {
            Ok(outcome) => counts.came(outcome),
            Err(error) => counts.broke(error),
        }
        counts.failure.is_none()
    }

    /// Tells the sums, and the first failure.
    pub fn end(&self, output: &Output) -> Result<(), Failure> {
        output.show(self)?;
        self.0.borrow_mut().told().map_or(Ok(()), Err)
    }
}

impl Counts {
    fn came(&mut self, outcome: Outcome) {
        self.tally.count(&outcome);
        match outcome {
            Outcome::Paid(paid) if paid.status < 400 => self.paid = self.paid.saturating_add(1),
            Outcome::Served { status, .. } if status < 400 => self.free = self.free.saturating_add(1),
            Outcome::Refused(refused) => {
                let tally = self.tally.clone();
                self.fail(refusal(*refused, &tally));
            }
            _ => self.fail(Failure::new(Exit::Failed, format!("{} was not delivered", self.url))),
        }
    }

    fn broke(&mut self, error: WalletError) {
        if let WalletError::Ask(needs) = &error {
            self.needs.get_or_insert_with(|| (**needs).clone());
        }
        if !matches!(error, WalletError::Ask(_) | WalletError::Budget(_) | WalletError::Mandate(_)) {
            return self.fail(error.into());
        }
        // A limit: what was under way beside it is refused as well.
        self.refused = self.refused.saturating_add(1);
        self.failure.get_or_insert(error.into());
    }

    /// A limit has the last word on how far it went.
    fn told(&mut self) -> Option<Failure> {
        let failure = self.failure.take()?;
        if self.refused == 0 || failure.exit != Exit::BudgetRefused {
            return Some(failure);
        }
        let (paid, times, charged) = (self.paid, self.times, self.charged());
        let message = format!("{paid} of {times} were paid, {charged} in all; {}", failure.message);
        Some(Failure { message, ..failure })
    }

    fn charged(&self) -> String {
        let sums: Vec<String> = self.tally.sums().iter().map(ToString::to_string).collect();
        if sums.is_empty() { "nothing".to_owned() } else { sums.join(", ") }
    }

    fn fail(&mut self, failure: Failure) {
        self.failed = self.failed.saturating_add(1);
        self.failure.get_or_insert(failure);
    }
}

impl View for Sums {
    fn json(&self) -> Value {
        let counts = self.0.borrow();
        json!({
            "outcome": "many",
            "url": counts.url,
            "paid": counts.paid,
            "free": counts.free,
            "failed": counts.failed,
            "refused_by_limit": counts.refused,
            "charged": counts.tally.sums().iter().copied().map(money_json).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let counts = self.0.borrow();
        let sums = counts.charged();
        format!("{} paid for, {} free, {} failed; {sums} charged", counts.paid, counts.free, counts.failed)
    }
}
