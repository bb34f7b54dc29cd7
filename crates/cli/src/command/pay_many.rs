//! `farthing pay --times`: the same request again and again, several at once if they are paid on a chain. What is delivered is
//! counted and thrown away.

use std::cell::RefCell;
use std::rc::Rc;

use clap::Args;
use farthing_money::{Amount, Money};
use farthing_wallet::{Outcome, PayFlow, WalletError};
use serde_json::{Value, json};

use super::pay_report::refusal;
use crate::exit::{Exit, Failure};
use crate::output::{Output, View, money_json};
use crate::payer::{End, Tally};

#[derive(Debug, Args)]
pub struct Many {
    /// Pay for the request so many times, throw away what comes, and tell the sums
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    times: u32,
    /// So many of them at once, each through a channel of its own; needs --channel or --with chain
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    at_once: u32,
}

/// What they came to.
#[derive(Clone)]
pub struct Sums(Rc<RefCell<Counts>>);

struct Counts {
    url: String,
    paid: u32,
    free: u32,
    failed: u32,
    tally: Tally,
    /// Why the first of them failed.
    failure: Option<Failure>,
}

impl Many {
    pub fn is_many(&self) -> bool {
        self.times > 1 || self.at_once > 1
    }

    pub fn at_once(&self) -> u32 {
        self.at_once.min(self.times)
    }

    /// Refuses what makes no sense together.
    pub fn check(&self, has_single: bool, is_free_of_credits: bool) -> Result<(), Failure> {
        if has_single {
            let message =
                "expected --times without --dry-run, --location and --output, which are for one request";
            return Err(Failure::new(Exit::Usage, message));
        }
        if self.at_once > 1 && !is_free_of_credits {
            let message = "expected --channel or --with chain beside --at-once, got neither";
            return Err(
                Failure::new(Exit::Usage, message).hint("credits are paid one request after the other")
            );
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
    pub fn new(url: String) -> Self {
        let (tally, failure) = (Tally::default(), None);
        Self(Rc::new(RefCell::new(Counts { url, paid: 0, free: 0, failed: 0, tally, failure })))
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
        self.0.borrow_mut().failure.take().map_or(Ok(()), Err)
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
        self.fail(error.into());
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
            "charged": counts.tally.sums().iter().copied().map(money_json).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let counts = self.0.borrow();
        let sums: Vec<String> = counts.tally.sums().iter().map(ToString::to_string).collect();
        let sums = if sums.is_empty() { "nothing".to_owned() } else { sums.join(", ") };
        format!("{} paid for, {} free, {} failed; {sums} charged", counts.paid, counts.free, counts.failed)
    }
}
