//! The linkability experiment: wallets top up and spend at the real gate, on pages, passes, refundable goods and sessions; then an
//! attacker who holds the whole data folder, the logs, all times and every byte of all requests guesses where the credits of each
//! payment came from. How often it is right stands beside chance.

mod assignment;
mod chance;
mod evidence;
mod folder;
mod guess;
mod observe;
mod payer;
mod purse;
mod question;
mod reading;
mod report;
mod scenario;
mod server;
mod table;
mod traffic;
mod words;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use farthing_money::{Span, Timestamp};

use self::chance::Chance;
use self::evidence::Round;
use self::folder::Folder;
use self::guess::GUESSERS;
use self::observe::{Story, rounds};
use self::payer::Payer;
use self::question::Question;
use self::report::{Outcome, Score, count};
use self::scenario::{Doing, End, Life, LifeKind, Scenario};
use self::server::{Place, Server, told};
use self::table::Table;
use self::traffic::Visit;
use self::words::entropy;

/// What is asked for.
#[derive(Debug, Args)]
pub struct Settings {
    /// How many wallets take part in a round
    #[arg(long, value_delimiter = ',', value_name = "N,..", default_value = "2,8,32", value_parser = clap::value_parser!(u16).range(2..=500))]
    wallets: Vec<u16>,
    /// How many times as many rounds as usual
    #[arg(long, value_name = "R", default_value = "1")]
    repeat: usize,
    /// Where randomness begins
    #[arg(long, default_value = "1")]
    seed: u64,
    /// Only what has a known end, and fail if it ends otherwise
    #[arg(long)]
    quick: bool,
    /// What payers do with their credits; all of it if nothing is said
    #[arg(long, value_delimiter = ',', value_name = "KIND,..")]
    life: Vec<LifeKind>,
}

/// One cell of the table: a scenario with a number of wallets.
struct Cell {
    row: usize,
    scenario: Scenario,
    wallets: usize,
    rounds: usize,
}

impl Cell {
    /// Payments that each guesser guesses at, for each question.
    const fn payments(&self) -> usize {
        let pages = match self.scenario.life {
            Life::Pages(pages) => pages,
            Life::Pass | Life::Refund { .. } | Life::Session { .. } => 1,
        };
        self.rounds * self.wallets * pages
    }
}

/// A question in a cell, and how often it was answered.
struct Answered {
    question: Question,
    outcome: Outcome,
}

/// Runs the experiment.
#[expect(clippy::print_stdout, reason = "the table is what it is for")]
pub fn run(settings: &Settings) -> Result<(), String> {
    let mut rows = if settings.quick { Scenario::quick() } else { Scenario::all() };
    rows.retain(|row| settings.life.is_empty() || settings.life.contains(&row.life.kind()));
    let cells = cells(settings, &rows);
    let outcomes = measure(&cells, settings.seed)?;
    println!("{}", Table { rows: &rows, cells: &cells, outcomes: &outcomes, seed: settings.seed });
    let each = cells.iter().zip(&outcomes).flat_map(|(cell, all)| all.iter().map(move |one| (cell, one)));
    let wrong: Vec<String> = each.filter_map(|(cell, answered)| judge(cell, answered)).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn cells(settings: &Settings, rows: &[Scenario]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (row, scenario) in rows.iter().enumerate() {
        for wallets in settings.wallets.iter().copied().map(usize::from) {
            let is_plain = scenario.life.kind() == LifeKind::Pages;
            // Of longer lives one crowd is enough.
            if settings.quick && (wallets > 8 || (wallets < 8 && !is_plain)) {
                continue;
            }
            // As many payments in all, so that no column is much less certain than another. What is always found shows at once.
            let is_found = |question| scenario.end(question) == End::Found;
            let is_obvious = !is_plain && scenario.questions().into_iter().any(is_found);
            let usual = match (settings.quick, is_obvious) {
                (_, true) => (16 / wallets).max(2),
                (true, false) => 40 / wallets,
                (false, false) => (64 / wallets).max(4),
            };
            let rounds = usual.saturating_mul(settings.repeat.max(1));
            cells.push(Cell { row, scenario: *scenario, wallets, rounds });
        }
    }
    cells
}

/// So many cells at a time: most of the time they wait for the disk.
const AT_ONCE: usize = 4;

/// So many words of a bad generator are tried on wallets that have good ones.
const TRIES: usize = 4;

/// Every cell, some at a time.
fn measure(cells: &[Cell], seed: u64) -> Result<Vec<Vec<Answered>>, String> {
    type Slot = Mutex<Option<Result<Vec<Answered>, String>>>;
    let next = AtomicUsize::new(0);
    let outcomes: Vec<Slot> = cells.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        while let Some((place, cell)) = {
            let place = next.fetch_add(1, Ordering::SeqCst);
            cells.get(place).map(|cell| (place, cell))
        } {
            let number = u64::try_from(place).unwrap_or_default();
            let outcome = experiment(cell, &mut Chance::of(seed.wrapping_mul(1_000).wrapping_add(number)));
            if let Some(Ok(mut slot)) = outcomes.get(place).map(Mutex::lock) {
                *slot = Some(outcome);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    let taken = |slot: Mutex<Option<_>>| slot.into_inner().ok().flatten();
    outcomes
        .into_iter()
        .map(|slot| taken(slot).unwrap_or(Err("a measurement broke off".to_owned())))
        .collect()
}

/// The rounds of a cell with one folder, and the guesses.
fn experiment(cell: &Cell, chance: &mut Chance) -> Result<Vec<Answered>, String> {
    let mut place = Place::new()?;
    let mut server = place.start()?;
    let mut stories = Vec::new();
    for round in 0..cell.rounds {
        let story;
        (story, server) = play(cell, round * cell.wallets, &mut place, server, chance)?;
        stories.push(story);
    }
    server.stop()?;
    // Of words that are drawn well none is ever found, so that a few tries must do.
    let tries = if cell.scenario.guessable { cell.rounds * cell.wallets } else { TRIES };
    let mut folder = Folder::open(&place.data(), tries)?;
    let questions = cell.scenario.questions();
    let mut scores: Vec<Vec<Score>> = vec![Vec::new(); questions.len()];
    for story in &stories {
        let rounds = rounds(&cell.scenario, &mut folder, story)?;
        scores.iter_mut().zip(&rounds).for_each(|(scores, round)| scores.push(score(round, chance)));
    }
    if !folder.is_used_up() {
        return Err("expected every entry of the journal to be a request of the log".to_owned());
    }
    let outcomes = scores.iter().map(|scores| Outcome::of(cell.wallets, scores));
    Ok(questions
        .into_iter()
        .zip(outcomes)
        .map(|(question, outcome)| Answered { question, outcome })
        .collect())
}

/// One round at the real gate, with wallets of which so many are numbered already.
fn play(
    cell: &Cell,
    wallets_before: usize,
    place: &mut Place,
    mut server: Server,
    chance: &mut Chance,
) -> Result<(Story, Server), String> {
    let Cell { scenario, wallets, .. } = cell;
    let cents = scenario.cents(*wallets, chance);
    let codes = place.codes(&cents)?;
    let schedule = scenario.schedule(*wallets, chance);
    let began = beginning(schedule.last().map_or(0, |(at, ..)| *at))?;
    let mut payers = Vec::new();
    for wallet in 0..*wallets {
        let drawn = chance.bytes();
        let words = if scenario.guessable { entropy(wallets_before + wallet) } else { drawn };
        payers.push(Payer::new(began, scenario, words)?);
    }
    let (mut visits, mut topped_up) = (Vec::new(), 0);
    for (number, (at, who, doing)) in schedule.iter().enumerate() {
        let payer = payers.get_mut(*who).ok_or("expected a wallet of the round")?;
        let code = codes.get(*who).ok_or("expected a code for each wallet")?;
        visits.push(visit(payer, &server, scenario, (*doing, code, number), *at)?);
        topped_up += usize::from(*doing == Doing::TopUp);
        if *doing == Doing::TopUp && scenario.rotation && topped_up == wallets / 2 {
            server.stop()?;
            server = place.start_with_new_keyset()?;
        }
    }
    Ok((Story { schedule, visits }, server))
}

/// What a wallet does at one time.
fn visit(
    payer: &mut Payer,
    server: &Server,
    scenario: &Scenario,
    (doing, code, number): (Doing, &str, usize),
    at: u64,
) -> Result<Visit, String> {
    match doing {
        Doing::TopUp => payer.top_up(server, code, at),
        Doing::Pay(kind) => payer.pay(server, &format!("/{kind}/page-{number}"), at),
        Doing::BuyPass => payer.buy_pass(server, at),
        Doing::ComeBack => payer.come_back(server, &format!("/0/page-{number}"), at),
        Doing::BuyGoods => payer.pay(server, &format!("/goods/page-{number}"), at),
        Doing::AskBack => payer.ask_back(server, scenario.life, at),
        Doing::Call => payer.call(server, &format!("/0/page-{number}"), at),
        Doing::Close => payer.close(at),
    }
}

/// When the round began, so that it is over by now.
fn beginning(length: u64) -> Result<Timestamp, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(told)?;
    let now = u64::try_from(now.as_millis()).map_err(told)?;
    let before = Span::from_millis(length + 60_000);
    Ok(Timestamp::from_millis(now.saturating_sub(before.millis())))
}

/// How often each guesser is right.
fn score(round: &Round, chance: &mut Chance) -> Score {
    let mut share = |guess: fn(&Round, &mut Chance) -> Vec<usize>| {
        let guesses = guess(&Round { truth: Vec::new(), ..round.clone() }, chance);
        let right = guesses.iter().zip(&round.truth).filter(|(guess, truth)| guess == truth).count();
        count(right) / count(round.truth.len().max(1))
    };
    GUESSERS.iter().map(|guesser| share(guesser.guess)).collect()
}

/// What is wrong with an outcome whose end is known.
fn judge(cell: &Cell, answered: &Answered) -> Option<String> {
    let Answered { question, outcome } = answered;
    let what = format!("{}, {}: {}", question.words(), cell.scenario.words()[1], outcome.detail());
    match cell.scenario.end(*question) {
        End::Chance if outcome.rate > outcome.chance() + outcome.stray() => {
            Some(format!("payers who are all alike can be told apart: {what}"))
        }
        End::Found if outcome.rate < 0.9 => {
            Some(format!("the attacker has lost his sight, what must be found stays hidden: {what}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::scenario::{Amounts, Waiting};
    use super::*;

    /// What is said of a question whose guesses are all right, or none is.
    fn judged(scenario: Scenario, question: Question, rate: f64) -> Option<String> {
        let scores: Vec<Score> = vec![vec![rate; GUESSERS.len()]; 5];
        let cell = Cell { row: 0, scenario, wallets: 8, rounds: 5 };
        judge(&cell, &Answered { question, outcome: Outcome::of(8, &scores) })
    }

    #[test]
    fn whoever_is_found_where_nobody_may_be_fails_it_and_so_does_an_attacker_who_finds_nobody() {
        for scenario in Scenario::quick() {
            for question in scenario.questions() {
                let (all, none) = (judged(scenario, question, 1.0), judged(scenario, question, 0.0));
                let must_be_found = scenario.end(question) == End::Found;
                assert_eq!((all.is_none(), none.is_none()), (must_be_found, !must_be_found), "{scenario:?}");
            }
        }
        let open = Scenario::of(Amounts::Any, Waiting::Batch);
        assert!(open.questions().into_iter().all(|question| judged(open, question, 1.0).is_none()));
    }
}
