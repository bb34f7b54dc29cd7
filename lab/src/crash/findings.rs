//! What the clients saw: counts, and everything that must not be.

use serde::Serialize;

/// Counts of what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Requests that were sent.
    pub requests: u64,
    /// Pages that were paid for and came.
    pub paid: u64,
    /// Swaps that were answered.
    pub swaps: u64,
    /// Credits that were signed for quotes or codes, in requests.
    pub issued: u64,
    /// Codes that the operator was told of.
    pub codes: u64,
    /// Payments that the upstream failed, given back.
    pub given_back: u64,
    /// Requests whose answer was lost.
    pub lost: u64,
    /// Answers that said: not now.
    pub refused: u64,
    /// Payments whose answer was lost and that had not been charged.
    pub found_whole: u64,
    /// Payments whose answer was lost and that had been charged.
    pub found_charged: u64,
    /// The upstream had answered, the charge was not on disk when the program died: served, not charged, as the rule says.
    pub served_uncharged: u64,
    /// Charged, the answer lost, and the page has no pass: not served again, as the rule says.
    pub charged_unanswered: u64,
    /// Credentials that were sent again after they had been charged, and got the same receipt.
    pub answered_again: u64,
    /// Credits whose state was compared.
    pub states: u64,
    /// Signatures that were given again and compared.
    pub signatures: u64,
}

/// What one client, or all of them, found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// What happened.
    pub tally: Tally,
    /// What must not be.
    pub violations: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        let sums = [
            (&mut self.requests, other.requests),
            (&mut self.paid, other.paid),
            (&mut self.swaps, other.swaps),
            (&mut self.issued, other.issued),
            (&mut self.codes, other.codes),
            (&mut self.given_back, other.given_back),
            (&mut self.lost, other.lost),
            (&mut self.refused, other.refused),
            (&mut self.found_whole, other.found_whole),
            (&mut self.found_charged, other.found_charged),
            (&mut self.served_uncharged, other.served_uncharged),
            (&mut self.charged_unanswered, other.charged_unanswered),
            (&mut self.answered_again, other.answered_again),
            (&mut self.states, other.states),
            (&mut self.signatures, other.signatures),
        ];
        for (sum, more) in sums {
            *sum += more;
        }
    }
}

impl Findings {
    /// Something that must not be.
    pub fn violation(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }

    /// Takes over what another found.
    pub fn take(&mut self, other: &mut Self) {
        self.tally.add(&std::mem::take(&mut other.tally));
        self.violations.append(&mut other.violations);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_taken_over_once() {
        let mut one = Findings::default();
        one.tally.requests = 2;
        one.tally.signatures = 3;
        one.violation("twice");
        let mut all = Findings::default();
        all.take(&mut one);
        all.take(&mut one);
        assert_eq!((all.tally.requests, all.tally.signatures, all.violations.len()), (2, 3, 1));
        let text = serde_json::to_value(all.tally).unwrap();
        assert_eq!(text.as_object().unwrap().len(), 15, "a new count has to be added up too");
    }
}
