//! What payers do: how much they top up, how long they wait, how many pages they buy. One row of the table each.

use super::chance::Chance;

/// How much the top-ups of a scenario are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amounts {
    /// 5.00 USD for everybody.
    Equal,
    /// 1, 2, 5 or 10 USD.
    Standard,
    /// Any number of cents from 1.00 to 10.00 USD.
    Any,
}

/// When they spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Within a minute.
    Once,
    /// Up to two hours, in which twelve others top up.
    Hours,
    /// Up to fifty times as long as all the top-ups together take.
    Long,
    /// Everybody tops up first; then all spend, in any order.
    Batch,
}

/// One experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// How much.
    pub amounts: Amounts,
    /// When.
    pub waiting: Waiting,
    /// Pages that each wallet buys.
    pub pages: usize,
    /// Whether a new keyset opens when half of the wallets have topped up.
    pub rotation: bool,
    /// Whether the wallets let nothing be changed, so that they swap for the exact price first.
    pub exact: bool,
}

/// Milliseconds between two top-ups, on average.
const BETWEEN: u64 = 600_000;
/// Prices by the kind of page, in cents.
pub const PRICES: [u64; 3] = [1, 2, 5];

/// What a wallet does at a moment of the round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Redeems its code.
    TopUp,
    /// Buys a page of this kind.
    Pay(usize),
}

/// What happens in a round: milliseconds from its beginning, which wallet, what.
pub type Schedule = Vec<(u64, usize, Doing)>;

impl Scenario {
    /// A row whose wallets buy one page each.
    pub const fn of(amounts: Amounts, waiting: Waiting) -> Self {
        Self { amounts, waiting, pages: 1, rotation: false, exact: false }
    }

    /// Every row of the table.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for amounts in [Amounts::Equal, Amounts::Standard, Amounts::Any] {
            for waiting in [Waiting::Once, Waiting::Hours, Waiting::Long, Waiting::Batch] {
                all.push(Self::of(amounts, waiting));
            }
        }
        let sound = Self::of(Amounts::Equal, Waiting::Batch);
        all.push(Self { pages: 3, ..sound });
        all.push(Self { rotation: true, ..sound });
        all.push(Self { exact: true, ..sound });
        all.push(Self { exact: true, ..Self::of(Amounts::Any, Waiting::Batch) });
        all
    }

    /// Those with a known end: two at which nobody may do better than chance, and one that must be found out.
    pub fn quick() -> Vec<Self> {
        let sound = Self::of(Amounts::Equal, Waiting::Batch);
        vec![sound, Self { exact: true, ..sound }, Self::of(Amounts::Any, Waiting::Once)]
    }

    /// Whether no guess may be better than chance: equal amounts, and an order that tells nothing.
    pub fn is_sound(&self) -> bool {
        self.amounts == Amounts::Equal && self.waiting == Waiting::Batch && !self.rotation && self.pages == 1
    }

    /// Whether whoever looks must find out.
    pub fn is_careless(&self) -> bool {
        self.amounts == Amounts::Any && self.waiting == Waiting::Once
    }

    /// What the row is about, in words.
    pub fn words(&self) -> [String; 2] {
        let amounts = match self.amounts {
            Amounts::Equal => "equal (5.00)",
            Amounts::Standard => "1, 2, 5 or 10",
            Amounts::Any => "any, to the cent",
        };
        let waiting = match self.waiting {
            Waiting::Once => "at once",
            Waiting::Hours => "up to 2 hours",
            Waiting::Long => "long",
            Waiting::Batch => "all first",
        };
        let mut more = String::new();
        if self.pages > 1 {
            more.push_str(", 3 pages each");
        }
        if self.rotation {
            more.push_str(", new keyset half-way");
        }
        if self.exact {
            more.push_str(", swapped for the exact price");
        }
        [amounts.to_owned(), format!("{waiting}{more}")]
    }

    /// The cents of each wallet's top-up.
    pub fn cents(&self, wallets: usize, chance: &mut Chance) -> Vec<u64> {
        let mut one = || match self.amounts {
            Amounts::Equal => 500,
            Amounts::Standard => [100, 200, 500, 1_000].get(chance.place(4)).copied().unwrap_or(500),
            Amounts::Any => 100 + chance.below(901),
        };
        (0..wallets).map(|_| one()).collect()
    }

    /// What happens, in order.
    pub fn schedule(&self, wallets: usize, chance: &mut Chance) -> Schedule {
        let mut wallets: Vec<usize> = (0..wallets).collect();
        chance.shuffle(&mut wallets);
        let (mut at, mut schedule, mut topped_up) = (0, Schedule::new(), Vec::new());
        for wallet in wallets {
            at += BETWEEN / 2 + chance.below(BETWEEN);
            schedule.push((at, wallet, Doing::TopUp));
            topped_up.push((at, wallet));
        }
        let window = at;
        for (began, wallet) in topped_up {
            let mut at = match self.waiting {
                Waiting::Batch => window + 2 * 3_600_000,
                _ => began,
            };
            for _ in 0..self.pages {
                at += match self.waiting {
                    Waiting::Once => 5_000 + chance.below(55_000),
                    Waiting::Hours => 5_000 + chance.below(2 * 3_600_000),
                    Waiting::Long => 5_000 + chance.below(50 * window),
                    Waiting::Batch => 5_000 + chance.below(24 * 3_600_000),
                };
                let kind = if self.pages == 1 { 0 } else { chance.place(PRICES.len()) };
                schedule.push((at, wallet, Doing::Pay(kind)));
            }
        }
        schedule.sort_by_key(|(at, ..)| *at);
        schedule
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_tops_up_before_spending_and_in_a_batch_before_anybody_spends() {
        for scenario in Scenario::all() {
            let schedule = scenario.schedule(9, &mut Chance::of(3));
            assert_eq!(schedule.len(), 9 * (1 + scenario.pages));
            let place = |wallet, top_up: bool| {
                let is = |doing: &Doing| (*doing == Doing::TopUp) == top_up;
                schedule.iter().position(|(_, who, doing)| *who == wallet && is(doing)).unwrap()
            };
            for wallet in 0..9 {
                assert!(place(wallet, true) < place(wallet, false), "{scenario:?}");
            }
            if scenario.waiting == Waiting::Batch {
                assert!(schedule[..9].iter().all(|(_, _, doing)| *doing == Doing::TopUp));
            }
        }
    }
}
