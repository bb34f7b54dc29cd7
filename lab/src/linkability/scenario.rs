//! What payers do: how much they top up, how long they wait, what they do with it. One row of the table each, or one for each
//! question that it raises.

use super::chance::Chance;
use super::question::{Bought, Question, Source};

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

/// What a wallet does with the credits that it has topped up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Buys so many pages.
    Pages(usize),
    /// Buys a pass and comes back with it.
    Pass,
    /// Buys goods with all that it has, asks the payment back, and buys a page with what came. It is either swapped first, as
    /// wallets do, or handed on as it came.
    Refund {
        /// Whether it is swapped.
        swapped: bool,
    },
    /// Puts all that it has into a session, pays so many calls with it at the most, closes it, and buys a page with what is left.
    Session {
        /// The fewest calls.
        least: usize,
        /// The most.
        most: usize,
    },
}

/// Which lives are played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum LifeKind {
    /// Pages alone
    Pages,
    /// A pass, and coming back with it
    Pass,
    /// A payment that is asked back, and what came back spent
    Refund,
    /// A session, and what is left of it spent
    Session,
}

/// How an experiment must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// No guess is better than chance.
    Chance,
    /// Whoever looks finds out.
    Found,
    /// It is measured, whatever it is.
    Open,
}

/// One experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// How much.
    pub amounts: Amounts,
    /// When.
    pub waiting: Waiting,
    /// What they do then.
    pub life: Life,
    /// Whether a new keyset opens when half of the wallets have topped up.
    pub rotation: bool,
    /// Whether the wallets let nothing be changed, so that they swap for the exact price first.
    pub exact: bool,
    /// Whether the words of the wallets can be guessed, so that nothing which they blind is hidden.
    pub guessable: bool,
}

/// Milliseconds between two top-ups, on average.
const BETWEEN: u64 = 600_000;
const HOUR: u64 = 3_600_000;
/// In a batch all wallets do the same thing within a day, and then wait for two hours.
const STAGE: u64 = 26 * HOUR;
/// Prices by the kind of page, in cents.
pub const PRICES: [u64; 3] = [1, 2, 5];
/// The price of goods that can be given back, and what goes into a session, in cents: all of an equal top-up.
pub const ALL: u64 = 500;

/// What a wallet does at a moment of the round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Redeems its code.
    TopUp,
    /// Buys a page of this kind.
    Pay(usize),
    /// Buys a pass.
    BuyPass,
    /// Opens a page with the pass.
    ComeBack,
    /// Buys goods that can be given back.
    BuyGoods,
    /// Asks for the goods' price.
    AskBack,
    /// Pays a page with a step of its session, which the first call opens.
    Call,
    /// Closes its session.
    Close,
}

/// What happens in a round: milliseconds from its beginning, which wallet, what.
pub type Schedule = Vec<(u64, usize, Doing)>;

impl Life {
    /// Which of the kinds it is.
    pub const fn kind(self) -> LifeKind {
        match self {
            Self::Pages(_) => LifeKind::Pages,
            Self::Pass => LifeKind::Pass,
            Self::Refund { .. } => LifeKind::Refund,
            Self::Session { .. } => LifeKind::Session,
        }
    }

    /// What a wallet does after its top-up, and at which stage of a batch.
    fn doings(self, chance: &mut Chance) -> Vec<(u64, Doing)> {
        match self {
            // Of which kind they are is drawn when it comes to them.
            Self::Pages(pages) => vec![(0, Doing::Pay(0)); pages],
            Self::Pass => vec![(0, Doing::BuyPass), (1, Doing::ComeBack), (2, Doing::ComeBack)],
            Self::Refund { .. } => vec![(0, Doing::BuyGoods), (1, Doing::AskBack), (2, Doing::Pay(0))],
            Self::Session { least, most } => {
                let calls = least + chance.place(most - least + 1);
                let mut doings: Vec<(u64, Doing)> = (0..).zip(vec![Doing::Call; calls]).collect();
                let last = u64::try_from(most).unwrap_or_default();
                doings.extend([(last, Doing::Close), (last + 1, Doing::Pay(0))]);
                doings
            }
        }
    }
}

impl Scenario {
    /// A row whose wallets buy one page each.
    pub const fn of(amounts: Amounts, waiting: Waiting) -> Self {
        Self { amounts, waiting, life: Life::Pages(1), rotation: false, exact: false, guessable: false }
    }

    /// Every row of the tables.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for amounts in [Amounts::Equal, Amounts::Standard, Amounts::Any] {
            for waiting in [Waiting::Once, Waiting::Hours, Waiting::Long, Waiting::Batch] {
                all.push(Self::of(amounts, waiting));
            }
        }
        let sound = Self::of(Amounts::Equal, Waiting::Batch);
        all.push(Self { life: Life::Pages(3), ..sound });
        all.push(Self { rotation: true, ..sound });
        all.push(Self { exact: true, ..sound });
        all.push(Self { exact: true, ..Self::of(Amounts::Any, Waiting::Batch) });
        all.extend(Self::LIVES.map(|life| Self { life, ..sound }));
        all.push(Self { life: Life::Pass, ..Self::of(Amounts::Any, Waiting::Batch) });
        all.push(Self { life: Life::Session { least: 1, most: 6 }, ..sound });
        all.extend(Self::LIVES.map(|life| Self { life, ..Self::of(Amounts::Equal, Waiting::Once) }));
        all.extend(Self::broken());
        all
    }

    /// What passes, refunds and sessions are played with.
    const LIVES: [Life; 3] =
        [Life::Pass, Life::Refund { swapped: true }, Life::Session { least: 2, most: 2 }];

    /// Worlds in which blinding does not help, for whoever looks must win in them: words that can be guessed, and refunds that
    /// are spent as they came.
    fn broken() -> impl Iterator<Item = Self> {
        let sound = Self::of(Amounts::Equal, Waiting::Batch);
        let guessable = move |life| Self { life, guessable: true, ..sound };
        let kept = Self { life: Life::Refund { swapped: false }, ..sound };
        Self::LIVES.into_iter().map(guessable).chain([kept])
    }

    /// Those with a known end: some at which nobody may do better than chance, and some that must be found out.
    pub fn quick() -> Vec<Self> {
        let sound = Self::of(Amounts::Equal, Waiting::Batch);
        let mut quick = vec![sound, Self { exact: true, ..sound }, Self::of(Amounts::Any, Waiting::Once)];
        quick.extend(Self::LIVES.map(|life| Self { life, ..sound }));
        quick.extend(Self::broken());
        quick
    }

    /// Whether something in it is broken on purpose.
    pub fn is_broken(&self) -> bool {
        self.guessable || self.life == Life::Refund { swapped: false }
    }

    /// What is guessed.
    pub fn questions(&self) -> Vec<Question> {
        let of = |source, bought| Question { source, bought };
        match self.life {
            Life::Pages(_) => vec![of(Source::TopUp, Bought::Page)],
            Life::Pass => vec![of(Source::TopUp, Bought::Pass)],
            Life::Refund { .. } => {
                vec![of(Source::TopUp, Bought::Goods), of(Source::Refund, Bought::Page)]
            }
            Life::Session { .. } => {
                vec![of(Source::TopUp, Bought::Session), of(Source::Close, Bought::Page)]
            }
        }
    }

    /// How the guesses at a question must end.
    pub fn end(&self, question: Question) -> End {
        let is_of_refund = question.source == Source::Refund;
        if self.guessable || (self.is_broken() && is_of_refund) {
            return End::Found;
        }
        let is_alike = match self.life {
            Life::Pages(pages) => pages == 1,
            Life::Session { least, most } => least == most,
            Life::Pass | Life::Refund { .. } => true,
        };
        let is_plain = self.life.kind() == LifeKind::Pages;
        match (self.amounts, self.waiting) {
            (Amounts::Equal, Waiting::Batch) if is_alike && !self.rotation => End::Chance,
            (Amounts::Any, Waiting::Once) => End::Found,
            (_, Waiting::Once) if !is_plain => End::Found,
            _ => End::Open,
        }
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
        match self.life {
            Life::Pages(pages) if pages > 1 => more.push_str(", 3 pages each"),
            Life::Session { least, most } if least < most => more.push_str(", 1 to 6 calls"),
            Life::Refund { swapped: false } => more.push_str(", refund not swapped"),
            _ => {}
        }
        if self.guessable {
            more.push_str(", words that can be guessed");
        }
        if self.rotation {
            more.push_str(", new keyset half-way");
        }
        if self.exact {
            more.push_str(", swapped for the exact price");
        }
        [amounts.to_owned(), format!("{waiting}{more}")]
    }

    /// What a row of passes, refunds or sessions is about: the question, and what is special.
    pub fn words_of(&self, question: Question) -> [String; 2] {
        let [amounts, how] = self.words();
        let how = if self.amounts == Amounts::Equal { how } else { format!("{how}, top-ups of {amounts}") };
        [question.words().to_owned(), how]
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
            let mut at = began;
            for (stage, doing) in self.life.doings(chance) {
                at = self.moment(at, window, stage, chance);
                let is_of_many = matches!(self.life, Life::Pages(pages) if pages > 1);
                let doing = if is_of_many { Doing::Pay(chance.place(PRICES.len())) } else { doing };
                schedule.push((at, wallet, doing));
            }
        }
        schedule.sort_by_key(|(at, ..)| *at);
        schedule
    }

    /// When a wallet goes on, which did the last thing at `last`. All top-ups take `window`.
    fn moment(&self, last: u64, window: u64, stage: u64, chance: &mut Chance) -> u64 {
        let wait = match self.waiting {
            Waiting::Once => 55_000,
            Waiting::Hours => 2 * HOUR,
            Waiting::Long => 50 * window,
            Waiting::Batch => 24 * HOUR,
        };
        let from = match self.waiting {
            Waiting::Batch => last.max(window + 2 * HOUR + stage * STAGE),
            _ => last,
        };
        from + 5_000 + chance.below(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_tops_up_before_spending_and_in_a_batch_before_anybody_spends() {
        for scenario in Scenario::all() {
            let schedule = scenario.schedule(9, &mut Chance::of(3));
            let doings = |wallet| schedule.iter().filter(move |(_, who, _)| *who == wallet);
            for wallet in 0..9 {
                let first: Vec<Doing> = doings(wallet).map(|(.., doing)| *doing).collect();
                assert_eq!(first.first(), Some(&Doing::TopUp), "{scenario:?}");
                assert_eq!(first.iter().filter(|doing| **doing == Doing::TopUp).count(), 1, "{scenario:?}");
                let pages = match scenario.life {
                    Life::Pages(pages) => pages,
                    Life::Pass => 0,
                    Life::Refund { .. } | Life::Session { .. } => 1,
                };
                let paid = first.iter().filter(|doing| matches!(doing, Doing::Pay(_))).count();
                assert_eq!(paid, pages, "{scenario:?}");
            }
            if scenario.waiting == Waiting::Batch {
                assert!(schedule[..9].iter().all(|(_, _, doing)| *doing == Doing::TopUp));
            }
        }
    }

    #[test]
    fn in_a_batch_nobody_goes_on_before_all_have_come_as_far() {
        for scenario in Scenario::all().into_iter().filter(|one| one.waiting == Waiting::Batch) {
            if scenario.life.kind() == LifeKind::Pages {
                continue;
            }
            let schedule = scenario.schedule(9, &mut Chance::of(4));
            let last = |wanted: Doing| schedule.iter().rposition(|(.., doing)| *doing == wanted);
            let first = |wanted: Doing| schedule.iter().position(|(.., doing)| *doing == wanted);
            let order = match scenario.life {
                Life::Session { .. } => [Doing::Call, Doing::Close, Doing::Pay(0)],
                Life::Refund { .. } => [Doing::BuyGoods, Doing::AskBack, Doing::Pay(0)],
                _ => [Doing::TopUp, Doing::BuyPass, Doing::ComeBack],
            };
            for pair in order.windows(2) {
                assert!(last(pair[0]).unwrap() < first(pair[1]).unwrap(), "{scenario:?}: {pair:?}");
            }
        }
    }

    #[test]
    fn every_quick_question_has_a_known_end() {
        let quick = Scenario::quick();
        let ends = |end| {
            let asked = quick.iter().flat_map(|one| one.questions().into_iter().map(|it| one.end(it)));
            asked.filter(|it| *it == end).count()
        };
        assert_eq!((ends(End::Chance), ends(End::Found), ends(End::Open)), (8, 7, 0));
    }
}
