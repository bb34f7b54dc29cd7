//! The linkability experiment: wallets top up and spend at the real gate; then an attacker who holds the whole data folder, the
//! logs and the times of all requests guesses which top-up paid for which page. How often it is right stands beside chance.

mod assignment;
mod chance;
mod evidence;
mod guess;
mod purse;
mod report;
mod scenario;
mod server;
mod traffic;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use farthing_money::{Span, Timestamp};

use self::chance::Chance;
use self::evidence::{Folder, Round};
use self::guess::GUESSERS;
use self::report::{Outcome, Score, count};
use self::scenario::{Doing, Scenario, Schedule};
use self::server::{Place, Server, told};
use self::traffic::{Payer, Visit};

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
}

/// One cell of the table: a scenario with a number of wallets.
struct Cell {
    row: usize,
    scenario: Scenario,
    wallets: usize,
    rounds: usize,
}

/// Runs the experiment.
#[expect(clippy::print_stdout, reason = "the table is what it is for")]
pub fn run(settings: &Settings) -> Result<(), String> {
    let rows = if settings.quick { Scenario::quick() } else { Scenario::all() };
    let cells = cells(settings, &rows);
    let outcomes = measure(&cells, settings.seed)?;
    println!("{}", table(settings, &rows, &cells, &outcomes));
    let wrong: Vec<String> =
        cells.iter().zip(&outcomes).filter_map(|(cell, outcome)| judge(cell, outcome)).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn cells(settings: &Settings, rows: &[Scenario]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (row, scenario) in rows.iter().enumerate() {
        for wallets in settings.wallets.iter().copied().map(usize::from) {
            if settings.quick && wallets > 8 {
                continue;
            }
            // As many payments in all, so that no column is much less certain than another.
            let usual = if settings.quick { 40 / wallets } else { (64 / wallets).max(4) };
            let rounds = usual.saturating_mul(settings.repeat.max(1));
            cells.push(Cell { row, scenario: *scenario, wallets, rounds });
        }
    }
    cells
}

/// Every cell, two at a time.
fn measure(cells: &[Cell], seed: u64) -> Result<Vec<Outcome>, String> {
    let next = AtomicUsize::new(0);
    let outcomes: Vec<Mutex<Option<Result<Outcome, String>>>> =
        cells.iter().map(|_| Mutex::new(None)).collect();
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
        scope.spawn(work);
        work();
    });
    let taken = |slot: Mutex<Option<_>>| slot.into_inner().ok().flatten();
    outcomes
        .into_iter()
        .map(|slot| taken(slot).unwrap_or(Err("a measurement broke off".to_owned())))
        .collect()
}

/// What was done in a round, and by whom.
struct Story {
    schedule: Schedule,
    visits: Vec<Visit>,
}

/// The rounds of a cell with one folder, and the guesses.
fn experiment(cell: &Cell, chance: &mut Chance) -> Result<Outcome, String> {
    let mut place = Place::new()?;
    let mut server = place.start()?;
    let mut stories = Vec::new();
    for _ in 0..cell.rounds {
        let story;
        (story, server) = play(cell, &mut place, server, chance)?;
        stories.push(story);
    }
    server.stop()?;
    let mut folder = Folder::open(&place.data())?;
    let rounds: Vec<Round> =
        stories.iter().map(|story| observe(&cell.scenario, &mut folder, story)).collect::<Result<_, _>>()?;
    if !folder.is_used_up() {
        return Err("expected every entry of the journal to be a request of the log".to_owned());
    }
    let scores: Vec<Score> = rounds.iter().map(|round| score(round, chance)).collect();
    Ok(Outcome::of(cell.wallets, &scores))
}

/// One round at the real gate.
fn play(
    cell: &Cell,
    place: &mut Place,
    mut server: Server,
    chance: &mut Chance,
) -> Result<(Story, Server), String> {
    let cents = cell.scenario.cents(cell.wallets, chance);
    let codes = place.codes(&cents)?;
    let schedule = cell.scenario.schedule(cell.wallets, chance);
    let began = beginning(schedule.last().map_or(0, |(at, ..)| *at))?;
    let mut payers: Vec<Payer> = (0..cell.wallets)
        .map(|_| Payer::new(began, cell.scenario.exact, chance))
        .collect::<Result<_, _>>()?;
    let (mut visits, mut topped_up) = (Vec::new(), 0);
    for (number, (at, who, doing)) in schedule.iter().enumerate() {
        let payer = payers.get_mut(*who).ok_or("expected a wallet of the round")?;
        match doing {
            Doing::TopUp => {
                let code = codes.get(*who).ok_or("expected a code for each wallet")?;
                visits.push(payer.top_up(&server, code, *at)?);
                topped_up += 1;
                if cell.scenario.rotation && topped_up == cell.wallets / 2 {
                    server.stop()?;
                    server = place.start_with_new_keyset()?;
                }
            }
            Doing::Pay(kind) => visits.push(payer.pay(&server, &format!("/{kind}/page-{number}"), *at)?),
        }
    }
    Ok((Story { schedule, visits }, server))
}

/// When the round began, so that it is over by now.
fn beginning(length: u64) -> Result<Timestamp, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(told)?;
    let now = u64::try_from(now.as_millis()).map_err(told)?;
    let before = Span::from_millis(length + 60_000);
    Ok(Timestamp::from_millis(now.saturating_sub(before.millis())))
}

/// The round as the attacker sees it.
fn observe(scenario: &Scenario, folder: &mut Folder, story: &Story) -> Result<Round, String> {
    let (mut top_ups, mut payments, mut truth) = (Vec::new(), Vec::new(), Vec::new());
    let mut owners = Vec::new();
    for ((_, who, doing), visit) in story.schedule.iter().zip(&story.visits) {
        match doing {
            Doing::TopUp => {
                top_ups.push(folder.top_up(visit)?);
                owners.push(*who);
            }
            Doing::Pay(_) => {
                payments.push(folder.payment(visit)?);
                let owner = owners.iter().position(|owner| owner == who);
                truth.push(owner.ok_or("expected a top-up before each payment")?);
            }
        }
    }
    Ok(Round { pages: scenario.pages, exact: scenario.exact, top_ups, payments, truth })
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
fn judge(cell: &Cell, outcome: &Outcome) -> Option<String> {
    let detail = outcome.detail();
    if cell.scenario.is_sound() && outcome.rate > outcome.chance() + outcome.stray() {
        return Some(format!("equal top-ups that all wait are no longer alike: {detail}"));
    }
    let careless = cell.scenario.is_careless() && outcome.rate < 0.9;
    careless
        .then(|| format!("the attacker has lost its sight, odd amounts spent at once stay hidden: {detail}"))
}

fn table(settings: &Settings, rows: &[Scenario], cells: &[Cell], outcomes: &[Outcome]) -> String {
    let of_row = |row: usize| cells.iter().zip(outcomes).filter(move |(cell, _)| cell.row == row);
    let of_wallets = |(cell, outcome): (&Cell, &Outcome)| {
        format!("{} wallets (chance {:.1} %)", cell.wallets, 100.0 * outcome.chance())
    };
    let columns: Vec<String> = of_row(0).map(of_wallets).collect();
    let mut lines = vec![format!("| top-ups (USD) | spent | {} |", columns.join(" | "))];
    lines.push("|---".repeat(columns.len() + 2) + "|");
    for (row, scenario) in rows.iter().enumerate() {
        let cells: Vec<String> = of_row(row).map(|(_, outcome)| outcome.cell()).collect();
        lines.push(format!("| {} | {} |", scenario.words().join(" | "), cells.join(" | ")));
    }
    let payments: usize = cells.iter().map(|cell| cell.rounds * cell.wallets * cell.scenario.pages).sum();
    lines.push(format!("\nseed {}, {payments} payments\n", settings.seed));
    for (row, scenario) in rows.iter().enumerate() {
        for (_, outcome) in of_row(row) {
            lines.push(format!("{}: {}", scenario.words().join(", "), outcome.detail()));
        }
    }
    lines.join("\n")
}
