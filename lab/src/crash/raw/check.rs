//! After a crash: what was open is brought to its end, and what was told is compared with what is.

use std::time::{Duration, Instant};

use farthing_bench::connection::post;
use farthing_bench::mint::Credit;
use farthing_ecash::hash_to_curve;
use serde::Deserialize;
use serde_json::json;

use super::super::line::Heard;
use super::{Open, Raw};

/// Credits that are asked about at once.
const BATCH: usize = 500;
/// Payments of a round that are sent again.
const REPEATED: usize = 6;
/// Credits spent in earlier rounds that are asked about again.
const OLD: usize = 200;
/// Signatures that are asked for again.
const SIGNED: usize = 60;
/// How long what is open may be told to wait.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

#[derive(Deserialize)]
struct States {
    states: Vec<State>,
}

#[derive(Deserialize)]
struct State {
    state: String,
}

#[derive(Deserialize)]
struct Restored {
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    #[serde(rename = "C_")]
    c: String,
}

impl Raw {
    /// Compares what this client knows with what the program says. `all` looks at everything that was ever spent.
    pub async fn reconcile(&mut self, all: bool) {
        self.look_at_open().await;
        self.settle_open().await;
        let first = self.paid.len().saturating_sub(REPEATED);
        for place in first..self.paid.len() {
            self.repeat(place).await;
        }
        let purse = self.purse.clone();
        self.expect("UNSPENT", &purse).await;
        let mut spent = self.spent.get(self.spent_before..).unwrap_or_default().to_vec();
        let old = self.spent.get(..self.spent_before).unwrap_or_default();
        if all {
            spent.extend(old.iter().cloned());
        } else if !old.is_empty() {
            spent.extend(
                (0..OLD.min(old.len())).filter_map(|_| old.get(self.chance.place(old.len())).cloned()),
            );
        }
        self.expect("SPENT", &spent).await;
        self.expect_signatures(&purse).await;
    }

    /// Whether credits and signatures are what they were told to be, with nothing open and nothing changed. Not saying is an
    /// error.
    pub async fn believe(&mut self) -> Result<bool, String> {
        let before = std::mem::take(&mut self.found);
        let (purse, spent) = (self.purse.clone(), self.spent.clone());
        self.expect("UNSPENT", &purse).await;
        self.expect("SPENT", &spent).await;
        self.expect_signatures(&purse).await;
        let found = std::mem::replace(&mut self.found, before);
        match (found.tally.refused, found.violations.as_slice()) {
            (_, [why, ..]) if why.contains("500 ") || why.contains("no answer") => Err(why.clone()),
            (0, violations) => Ok(violations.is_empty()),
            (refused, _) => Err(format!("{refused} questions were refused")),
        }
    }

    /// Counts in which state the crash left payments whose answers were lost. Nothing may be on hold.
    async fn look_at_open(&mut self) {
        let firsts: Vec<Credit> = self
            .open
            .iter()
            .filter_map(|open| match open {
                Open::Pay(pay) if pay.lost > 0 => pay.credits.first().cloned(),
                _ => None,
            })
            .collect();
        for state in self.states(&firsts).await.unwrap_or_default() {
            match state.as_str() {
                "UNSPENT" => self.found.tally.found_whole += 1,
                "SPENT" => self.found.tally.found_charged += 1,
                _ => {
                    let number = self.number;
                    self.found.violation(format!("client {number}: a credit is {state} after a start"));
                }
            }
        }
    }

    /// Sends what is open until it is answered.
    async fn settle_open(&mut self) {
        let begun = Instant::now();
        while let Some(open) = self.open.pop_front() {
            if begun.elapsed() > PATIENCE {
                self.found
                    .violation(format!("client {}: a request is not answered after a start", self.number));
                return;
            }
            let before = self.open.len();
            self.settle(open).await;
            if self.open.len() > before {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }

    /// All these are in this state.
    async fn expect(&mut self, expected: &str, credits: &[Credit]) {
        for batch in credits.chunks(BATCH) {
            let Some(states) = self.states(batch).await else { return };
            self.found.tally.states += u64::try_from(states.len()).unwrap_or_default();
            for (state, credit) in states.iter().zip(batch).filter(|(state, _)| *state != expected) {
                let (number, amount) = (self.number, credit.amount);
                self.found.violation(format!(
                    "client {number}: a credit of {amount} is {state}, expected {expected}"
                ));
            }
        }
    }

    async fn states(&mut self, credits: &[Credit]) -> Option<Vec<String>> {
        if credits.is_empty() {
            return Some(Vec::new());
        }
        let ys: Vec<String> = credits.iter().map(y).collect();
        let path = self.world.mint.path("checkstate");
        let request = post(&self.world.address, &path, &json!({ "Ys": ys }).to_string());
        let answer: States = self.read("the states of credits", &request).await?;
        let states: Vec<String> = answer.states.into_iter().map(|state| state.state).collect();
        if states.len() != credits.len() {
            self.found.violation(format!(
                "asked about {} credits, got {} states",
                credits.len(),
                states.len()
            ));
        }
        Some(states)
    }

    /// What was signed is signed again, and the same: this client's blinded points are the credits' own.
    async fn expect_signatures(&mut self, credits: &[Credit]) {
        let own: Vec<&Credit> = credits.iter().filter(|credit| credit.secret.len() == 64).collect();
        let chosen: Vec<&Credit> = (0..SIGNED.min(own.len()))
            .filter_map(|_| own.get(self.chance.place(own.len())).copied())
            .collect();
        if chosen.is_empty() {
            return;
        }
        let output = |credit: &&Credit| json!({ "amount": credit.amount, "id": credit.id, "B_": y(credit) });
        let outputs: Vec<_> = chosen.iter().map(output).collect();
        let path = self.world.mint.path("restore");
        let request = post(&self.world.address, &path, &json!({ "outputs": outputs }).to_string());
        let Some(Restored { signatures }) = self.read("signatures again", &request).await else { return };
        let same = signatures.iter().map(|signature| &signature.c).eq(chosen.iter().map(|credit| &credit.c));
        if !same {
            let (asked, got) = (chosen.len(), signatures.len());
            self.found.violation(format!("{asked} signatures were given, {got} or others are given again"));
        }
        self.found.tally.signatures += u64::try_from(signatures.len()).unwrap_or_default();
    }

    /// Asks what changes nothing, until it is answered.
    async fn read<T: for<'de> Deserialize<'de>>(&mut self, what: &str, request: &[u8]) -> Option<T> {
        let begun = Instant::now();
        loop {
            match self.ask(request).await {
                Heard::Answer(answer) if answer.status == 200 => match serde_json::from_slice(&answer.body) {
                    Ok(answer) => return Some(answer),
                    Err(error) => {
                        self.found.violation(format!("{what} cannot be read: {error}"));
                        return None;
                    }
                },
                Heard::Answer(answer) if begun.elapsed() > PATIENCE => {
                    self.found.violation(format!("{what}: {}", answer.said()));
                    return None;
                }
                Heard::Answer(answer) => self.refused(what, &answer),
                Heard::NotSent | Heard::Lost if begun.elapsed() > PATIENCE => {
                    self.found.violation(format!("{what}: no answer"));
                    return None;
                }
                Heard::NotSent | Heard::Lost => {}
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// A credit's name.
fn y(credit: &Credit) -> String {
    hash_to_curve(credit.secret.as_bytes()).point().to_string()
}
