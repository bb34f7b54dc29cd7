//! How often the attacker was right, beside chance, as rows of a table.

use super::guess::GUESSERS;

/// How often each guesser was right in one round: a share of its payments, in the order of [`GUESSERS`].
pub type Score = Vec<f64>;

/// What a number of rounds came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Wallets in a round.
    pub wallets: usize,
    /// How many rounds.
    pub rounds: usize,
    /// The share of right guesses of the best guesser.
    pub rate: f64,
    /// Half of the 95 % interval around it.
    pub margin: f64,
    /// Which that was.
    pub best: &'static str,
    /// The share of each guesser.
    pub rates: Vec<f64>,
}

impl Outcome {
    /// The best guesser is chosen in one half of the rounds and measured in the other, both ways round: the best of several
    /// that guess blindly would otherwise look better than chance.
    pub fn of(wallets: usize, scores: &[Score]) -> Self {
        let half = |odd: bool| {
            let rounds = scores.iter().enumerate().filter(move |(place, _)| (place % 2 == 1) == odd);
            rounds.map(|(_, score)| score)
        };
        let mut measured = Vec::new();
        for odd in [false, true] {
            let chosen = best(&rates(half(!odd)));
            measured.extend(half(odd).map(|score| score.get(chosen).copied().unwrap_or_default()));
        }
        let (rate, margin) = interval(&measured);
        let rates = rates(scores.iter());
        let best = GUESSERS.get(best(&rates)).map_or("none", |guesser| guesser.name);
        Self { wallets, rounds: scores.len(), rate, margin, best, rates }
    }

    /// What blind guessing comes to.
    pub fn chance(&self) -> f64 {
        1.0 / count(self.wallets.max(1))
    }

    /// How far blind guessing may stray from chance: four standard deviations of as many rounds.
    pub fn stray(&self) -> f64 {
        4.0 * self.chance() / count(self.rounds.max(1)).sqrt()
    }

    /// A cell of the table. Who was best is told only of what is not chance.
    pub fn cell(&self) -> String {
        let (rate, margin) = (100.0 * self.rate, 100.0 * self.margin);
        let better = self.rate - self.margin > self.chance();
        let best = if better { format!(" ({})", self.best) } else { String::new() };
        format!("{rate:.1} ± {margin:.1} %{best}")
    }

    /// Every guesser's share.
    pub fn detail(&self) -> String {
        let shares = GUESSERS.iter().zip(&self.rates);
        let shares: Vec<String> =
            shares.map(|(guesser, rate)| format!("{} {:.1} %", guesser.name, 100.0 * rate)).collect();
        format!("of {}, chance {:.1} %: {}", self.wallets, 100.0 * self.chance(), shares.join(", "))
    }
}

/// The mean of each guesser.
fn rates<'s>(scores: impl Iterator<Item = &'s Score>) -> Vec<f64> {
    let (mut sums, mut rounds) = (vec![0.0; GUESSERS.len()], 0);
    for score in scores {
        sums.iter_mut().zip(score).for_each(|(sum, share)| *sum += share);
        rounds += 1;
    }
    sums.into_iter().map(|sum| sum / count(rounds.max(1))).collect()
}

fn best(rates: &[f64]) -> usize {
    let places = rates.iter().enumerate();
    places.max_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(0, |(place, _)| place)
}

/// The mean, and half of its 95 % interval.
fn interval(shares: &[f64]) -> (f64, f64) {
    let rounds = count(shares.len().max(1));
    let mean = shares.iter().sum::<f64>() / rounds;
    let squares: f64 = shares.iter().map(|share| (share - mean) * (share - mean)).sum();
    (mean, 1.96 * (squares / (rounds - 1.0).max(1.0) / rounds).sqrt())
}

/// A small number to count with.
pub fn count(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::chance::Chance;
    use super::*;

    #[test]
    fn blind_guessers_are_at_chance_and_one_that_knows_is_not() {
        let mut chance = Chance::of(2);
        let mut blind = || count(usize::from(chance.below(4) == 0));
        let scores: Vec<Score> = (0..400).map(|_| GUESSERS.iter().map(|_| blind()).collect()).collect();
        let outcome = Outcome::of(4, &scores);
        assert!((outcome.rate - outcome.chance()).abs() < outcome.stray(), "{outcome:?}");
        assert!(outcome.margin > 0.01 && outcome.margin < 0.1, "{outcome:?}");
        let mut scores = scores;
        for score in &mut scores {
            score[2] = 1.0;
        }
        let outcome = Outcome::of(4, &scores);
        assert_eq!((outcome.best, outcome.cell().as_str()), ("amounts", "100.0 ± 0.0 % (amounts)"));
    }
}
