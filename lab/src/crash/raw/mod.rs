//! A client of few words: it makes its requests by hand, keeps their bytes, and sends the very same again when an answer
//! was lost. It believes what it was told, and checks after every crash that it still holds.

mod check;
mod credits;
mod pay;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use farthing_bench::mint::{Credit, Outputs};

use super::chance::Chance;
use super::findings::Findings;
use super::line::{Heard, Line};
use super::world::{Page, World};

/// A client and what it has.
pub struct Raw {
    number: u64,
    world: World,
    line: Line,
    /// For sending one credential twice at once.
    second: Line,
    chance: Chance,
    /// Its money.
    purse: Vec<Credit>,
    /// What was begun and not answered.
    open: VecDeque<Open>,
    /// Payments of this round that were answered.
    paid: Vec<Paid>,
    /// Credits that are known to be spent: the latest at the end.
    spent: Vec<Credit>,
    /// Of these, so many were spent before this round.
    spent_before: usize,
    /// What it was charged in all.
    charged: u64,
    pages: u64,
    /// What it saw.
    pub found: Findings,
}

/// A request whose outcome is not known. The very same bytes will be sent again.
enum Open {
    Issue { request: Vec<u8>, outputs: Outputs },
    Swap { request: Vec<u8>, inputs: Vec<Credit>, outputs: Outputs },
    Redeem { code: String },
    Pay(Box<Pay>),
}

/// A payment.
#[derive(Clone)]
struct Pay {
    page: Page,
    path: String,
    request: Vec<u8>,
    credits: Vec<Credit>,
    /// For the change, if the credential brings any.
    blanks: Option<Outputs>,
    /// How often it was sent without an answer.
    lost: u32,
}

/// A payment that was answered.
struct Paid {
    pay: Pay,
    receipt: String,
    change: Vec<Credit>,
}

impl Raw {
    /// A client without money.
    pub fn new(number: u64, world: &World) -> Self {
        Self {
            number,
            world: world.clone(),
            line: Line::to(&world.address),
            second: Line::to(&world.address),
            chance: Chance::of(0, 0, number),
            purse: Vec::new(),
            open: VecDeque::new(),
            paid: Vec::new(),
            spent: Vec::new(),
            spent_before: 0,
            charged: 0,
            pages: 0,
            found: Findings::default(),
        }
    }

    /// Which it is.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Tries to swap and to pay where nothing may be accepted. Says whether something was.
    pub async fn probe(&mut self) -> bool {
        let done = |raw: &Self| raw.found.tally.swaps + raw.found.tally.paid + raw.found.tally.issued;
        let before = done(self);
        self.swap_some().await;
        self.pay_for(Some(Page::Pass)).await;
        done(self) > before
    }

    /// What it has.
    pub fn balance(&self) -> u64 {
        sum(&self.purse)
    }

    /// What it was charged in all.
    pub fn charged(&self) -> u64 {
        self.charged
    }

    /// Gets ready for a round.
    pub fn begin(&mut self, chance: Chance) {
        self.chance = chance;
        self.paid.clear();
        self.spent_before = self.spent.len();
        self.hang_up();
    }

    /// Opens new connections for what comes.
    pub fn hang_up(&mut self) {
        self.line.close();
        self.second.close();
    }

    /// Behaves as clients do until told to stop, or until the program is gone.
    pub async fn work(&mut self, stop: &Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            let going = match self.chance.below(12) {
                0 => self.redeem_one().await,
                1 | 2 => self.swap_some().await,
                3 => self.pay_again().await,
                _ => self.pay_for(None).await,
            };
            if !going {
                return;
            }
        }
    }

    /// Sends a request once.
    async fn ask(&mut self, request: &[u8]) -> Heard {
        self.found.tally.requests += 1;
        let heard = self.line.ask(request).await;
        if heard == Heard::Lost {
            self.found.tally.lost += 1;
        }
        heard
    }

    /// Takes credits of exactly this sum out of the purse.
    fn take(&mut self, amount: u64) -> Option<Vec<Credit>> {
        self.purse.sort_by_key(|credit| std::cmp::Reverse(credit.amount));
        let (mut left, mut taken) = (amount, Vec::new());
        for (place, credit) in self.purse.iter().enumerate() {
            if let Some(rest) = left.checked_sub(credit.amount) {
                left = rest;
                taken.push(place);
            }
        }
        if left > 0 {
            return None;
        }
        let mut place = 0;
        let (out, stay) = std::mem::take(&mut self.purse).into_iter().partition(|_| {
            let is_taken = taken.contains(&place);
            place += 1;
            is_taken
        });
        self.purse = stay;
        Some(out)
    }
}

/// What credits are worth.
fn sum(credits: &[Credit]) -> u64 {
    credits.iter().map(|credit| credit.amount).sum()
}
