//! The figures in rows: those of pages as ever, and one row for each question about passes, refunds and sessions.

use std::fmt::{self, Display, Formatter};

use super::report::Outcome;
use super::scenario::{LifeKind, Scenario};
use super::{Answered, Cell};

/// All that was measured.
pub struct Table<'t> {
    /// The scenarios.
    pub rows: &'t [Scenario],
    /// What was played of them.
    pub cells: &'t [Cell],
    /// What came of each cell.
    pub outcomes: &'t [Vec<Answered>],
    /// Where randomness began.
    pub seed: u64,
}

/// A row: what it is about, and its figures by the number of wallets.
struct Row<'t> {
    words: [String; 2],
    outcomes: Vec<&'t Outcome>,
}

impl Table<'_> {
    /// The rows of a part of the scenarios.
    fn rows(&self, is_of_pages: bool) -> Vec<Row<'_>> {
        let mut rows = Vec::new();
        for (number, scenario) in self.rows.iter().enumerate() {
            if (scenario.life.kind() == LifeKind::Pages) != is_of_pages {
                continue;
            }
            for (place, question) in scenario.questions().into_iter().enumerate() {
                let of_row = self.cells.iter().zip(self.outcomes).filter(|(cell, _)| cell.row == number);
                let outcomes = of_row.filter_map(|(_, all)| Some(&all.get(place)?.outcome)).collect();
                let words = if is_of_pages { scenario.words() } else { scenario.words_of(question) };
                rows.push(Row { words, outcomes });
            }
        }
        rows
    }
}

impl Display for Table<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let parts = [("top-ups (USD) | spent", self.rows(true)), ("guessed | how", self.rows(false))];
        for (head, rows) in &parts {
            // What is broken is not played with every number of wallets.
            let sizes: Vec<&Outcome> =
                rows.iter().map(|row| &row.outcomes).max_by_key(|all| all.len()).cloned().unwrap_or_default();
            if sizes.is_empty() {
                continue;
            }
            let name =
                |one: &&Outcome| format!("{} wallets (chance {:.1} %)", one.wallets, 100.0 * one.chance());
            let names: Vec<String> = sizes.iter().map(name).collect();
            writeln!(f, "| {head} | {} |\n{}|", names.join(" | "), "|---".repeat(names.len() + 2))?;
            for row in rows {
                let of = |size: &&Outcome| row.outcomes.iter().find(|one| one.wallets == size.wallets);
                let figures: Vec<String> = sizes
                    .iter()
                    .map(|size| of(size).map_or_else(|| "-".to_owned(), |one| one.cell()))
                    .collect();
                writeln!(f, "| {} | {} |", row.words.join(" | "), figures.join(" | "))?;
            }
            writeln!(f)?;
        }
        let guessed = self.outcomes.iter().zip(self.cells).map(|(all, cell)| all.len() * cell.payments());
        writeln!(f, "seed {}, {} guesses of each guesser\n", self.seed, guessed.sum::<usize>())?;
        for row in parts.iter().flat_map(|(_, rows)| rows) {
            for outcome in &row.outcomes {
                writeln!(f, "{}: {}", row.words.join(", "), outcome.detail())?;
            }
        }
        Ok(())
    }
}
