//! What a run comes to: one object of JSON, and a failure if there was any violation.

use serde::Serialize;

use super::findings::Tally;

/// The whole run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What all chance came from.
    pub seed: u64,
    /// Clients at once.
    pub clients: u64,
    /// Kills at random moments of load.
    pub kills: u64,
    /// Of these, so many in the middle of a write.
    pub kills_in_writes: u64,
    /// Of these, so many cut off at least one request.
    pub kills_in_requests: u64,
    /// Starts that were killed before they were done.
    pub kills_of_starts: u64,
    /// Power cuts.
    pub power_cuts: u64,
    /// What they took of what was not synced.
    pub bytes_cut: u64,
    /// Payments that starts found on hold and released.
    pub released: u64,
    /// The longest start, in milliseconds.
    pub start_ms_most: u64,
    /// Disks that failed.
    pub disk_faults: Vec<FaultSeen>,
    /// Files that rotted.
    pub rot: Vec<RotSeen>,
    /// What the clients saw.
    pub seen: Tally,
    /// What must not be.
    pub violations: Vec<String>,
    /// How long it took.
    pub seconds: u64,
}

/// A disk that failed.
#[derive(Clone, Debug, Serialize)]
pub struct FaultSeen {
    /// How.
    pub fault: String,
    /// How many calls failed.
    pub struck: u32,
    /// What came of a start on it, where one was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
}

/// A byte that was changed in one file.
#[derive(Clone, Debug, Serialize)]
pub struct RotSeen {
    /// The kind of file: its path, numbers as N.
    pub kind: String,
    /// How the program had ended before.
    pub after: &'static str,
    /// Which byte of how many.
    pub at: String,
    /// Who found it.
    pub found: Found,
    /// In which words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub said: String,
}

/// Who found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// The start, which was refused.
    AtStart,
    /// The first read, which was refused.
    AtFirstRead,
    /// `ledger verify`.
    ByVerify,
    /// Nobody, and nothing is missing or wrong.
    Harmless,
    /// Nobody, and something is missing or wrong: a violation.
    ServedAround,
}

impl Report {
    /// Shows it and says whether it was good.
    pub fn judge(&self, again: &str) -> Result<(), String> {
        println!("{}", serde_json::to_string_pretty(self).unwrap_or_default());
        if self.violations.is_empty() {
            return Ok(());
        }
        let violations = self.violations.join("\n  ");
        Err(format!("{} violations:\n  {violations}\nto repeat: {again}", self.violations.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_violation_is_a_failure_that_says_how_to_repeat_it() {
        let mut report = Report::default();
        assert!(report.judge("x").is_ok());
        report.violations.push("lost".into());
        let said = report.judge("cargo xtask crash --seed 1").unwrap_err();
        assert!(said.contains("lost") && said.ends_with("cargo xtask crash --seed 1"), "{said}");
    }
}
