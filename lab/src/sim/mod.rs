//! The deterministic simulator: everything in one thread, on a virtual clock, disk and network, with faults. A seed always
//! does the same; a failing one is made small and told as one line to repeat it.

mod ashore;
mod authorize;
mod bearer;
mod bookkeeper;
mod chain;
mod channels;
mod counts;
mod dealer;
mod depositor;
mod dice;
mod disclosure;
mod disk;
mod drain;
mod holder;
mod net;
mod office;
mod payer;
mod quiet;
mod reader;
mod seller;
mod server;
mod shop;
mod shrink;
mod time;
mod trace;
mod treasurer;
mod upstream;
mod vault;
mod world;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use clap::Args;

use bookkeeper::Broken;
use counts::Counts;
use dice::Dice;
use world::World;

/// What is asked for.
#[derive(Debug, Args)]
pub struct Settings {
    /// The seed; with `--seconds` the first of many
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Steps of each seed
    #[arg(long, default_value_t = 3_000)]
    steps: u64,
    /// Only these steps, such as 3,17-20,211
    #[arg(long, value_name = "LIST")]
    only: Option<String>,
    /// Go on with the next seed for so many seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// Begin with a seed that nobody has chosen
    #[arg(long)]
    fresh: bool,
    /// Tell of failures without making them small
    #[arg(long)]
    whole: bool,
    /// Run every seed twice and compare
    #[arg(long)]
    twice: bool,
}

/// A run that broke a promise.
#[derive(Clone, Debug)]
struct Failure {
    /// The steps that were done.
    steps: u64,
    broken: Broken,
}

/// A run that did not.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    digest: String,
    counts: Counts,
}

/// Runs the experiment.
pub fn run(settings: &Settings) -> Result<(), String> {
    // Cryptography that spreads itself over cores has one here: the thread that everything runs on.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).stack_size(16 << 20).build();
    pool.map_err(|error| error.to_string())?.install(|| many(settings))
}

fn many(settings: &Settings) -> Result<(), String> {
    let only = settings.only.as_deref().map(read_list).transpose()?;
    let began = Instant::now();
    let patience = settings.seconds.map(Duration::from_secs);
    let mut seed = settings.seed;
    if settings.fresh {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        seed = Dice::of(u64::try_from(since.as_nanos()).unwrap_or(1), 0).next() >> 32;
    }
    let (mut seeds, mut steps, mut counts, mut failed) = (0_u64, 0_u64, Counts::default(), Vec::new());
    loop {
        match one(seed, settings.steps, only.as_ref()) {
            Ok(run) => {
                if settings.twice && one(seed, settings.steps, only.as_ref()).ok().as_ref() != Some(&run) {
                    failed.push(format!("seed {seed} did not do the same twice"));
                }
                counts = counts.and(run.counts);
                steps = steps.saturating_add(settings.steps);
            }
            Err(failure) => {
                let all = settings.whole.then(|| (0..failure.steps).collect());
                let line = tell(seed, &failure, only.as_ref().or(all.as_ref()))?;
                eprintln!("{line}");
                steps = steps.saturating_add(failure.steps);
                failed.push(line);
            }
        }
        (seeds, seed) = (seeds.saturating_add(1), seed.saturating_add(1));
        if patience.is_none_or(|patience| began.elapsed() >= patience) {
            break;
        }
    }
    let secs = began.elapsed().as_secs_f64();
    eprintln!("{steps} steps of {seeds} seeds in {secs:.1} s; {counts}; {} failed", failed.len());
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// Runs one seed to its end, leaving out all steps but some.
fn one(seed: u64, steps: u64, only: Option<&BTreeSet<u64>>) -> Result<Run, Failure> {
    let failed = |steps, broken| Failure { steps, broken };
    let mut world = World::new(seed).map_err(|why| failed(0, Broken::new("a world begins", why)))?;
    for step in 0..steps {
        if only.is_none_or(|only| only.contains(&step)) {
            world.step(step).map_err(|broken| failed(step.saturating_add(1), broken))?;
        }
    }
    world.drain().map_err(|broken| failed(steps, broken))?;
    Ok(Run { digest: world.digest(), counts: world.counts() })
}

/// The line that repeats a failure, as small as it can be made.
fn tell(seed: u64, failure: &Failure, only: Option<&BTreeSet<u64>>) -> Result<String, String> {
    let Failure { steps, broken } = failure;
    eprintln!("seed {seed}, step {steps}: {broken}");
    let small = match only {
        Some(only) => only.clone(),
        None => shrink::shrink(*steps, |only| {
            one(seed, *steps, Some(only)).is_err_and(|failure| failure.broken.rule == broken.rule)
        }),
    };
    let last = one(seed, *steps, Some(&small)).err().map_or_else(|| broken.clone(), |failure| failure.broken);
    let mut line = String::new();
    write!(line, "{last}\n  cargo xtask sim --seed {seed} --steps {steps} --only {}", write_list(&small))
        .map_err(|error| error.to_string())?;
    Ok(line)
}

fn read_list(text: &str) -> Result<BTreeSet<u64>, String> {
    let wrong = || format!("expected steps such as 3,17-20,211, got {text:?}");
    let mut steps = BTreeSet::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
        steps.extend(number(first)?..=number(last)?);
    }
    Ok(steps)
}

fn write_list(steps: &BTreeSet<u64>) -> String {
    let mut parts: Vec<(u64, u64)> = Vec::new();
    for step in steps {
        match parts.last_mut() {
            Some((_, last)) if last.saturating_add(1) == *step => *last = *step,
            _ => parts.push((*step, *step)),
        }
    }
    let part = |(first, last): (u64, u64)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    parts.into_iter().map(part).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new().num_threads(1).stack_size(16 << 20).build().unwrap().install(work)
    }

    #[test]
    fn lists_are_read_as_they_are_written() {
        let steps: BTreeSet<u64> = [3, 17, 18, 19, 211].into();
        assert_eq!(write_list(&steps), "3,17-19,211");
        assert_eq!(read_list("3,17-19,211"), Ok(steps));
        assert!(read_list("a").is_err());
    }

    #[test]
    fn a_seed_does_the_same_twice() {
        let twice = inside(|| (one(11, 250, None).unwrap(), one(11, 250, None).unwrap()));
        assert_eq!(twice.0, twice.1);
        assert!(twice.0.counts.charged > 0, "{:?}", twice.0.counts);
    }

    /// Seed 3 has a chain: a payment was on its way when the price changed, and what was paid opened nothing.
    #[test]
    fn promises_hold_for_a_seed_that_broke_one() {
        let run = inside(|| one(3, 600, None)).unwrap();
        assert!(run.counts.chain.carried > 0 && run.counts.chain.forks > 0, "{}", run.counts);
    }

    #[test]
    fn promises_hold_for_a_few_seeds() {
        for seed in 1..=4 {
            let run = inside(move || one(seed, 250, None));
            assert!(run.is_ok(), "{run:?}");
        }
    }
}
