//! What the attacker knows of each thing that happened, and what he is asked.

use std::collections::BTreeSet;

use farthing_ledger::AccountId;

use super::purse::Shown;

/// How credits came into a purse, as the attacker sees it: by a top-up, a refund or the closing of a session.
#[derive(Clone, Debug)]
pub struct Origin {
    /// When, by the proxy's log.
    pub at: u64,
    /// How much was issued.
    pub amount: u64,
    /// By which keyset's account.
    pub keyset: AccountId,
    /// Whether the wallet asked for the list of keysets in this visit: it does when it has not for an hour.
    pub asked_keysets: bool,
    /// Everything about it in the folder, and every byte that went over the wire, as text.
    pub text: String,
}

/// How credits went out of a purse, as the attacker sees it.
#[derive(Clone, Debug)]
pub struct Payment {
    /// When, by the proxy's log.
    pub at: u64,
    /// What was charged, or put into a session.
    pub price: u64,
    /// What it shows of the purse.
    pub shown: Shown,
    /// The accounts of the keysets of its credits.
    pub keysets: BTreeSet<AccountId>,
    /// Whether the wallet asked for the list of keysets in this visit.
    pub asked_keysets: bool,
    /// By what later requests name it: the payment or the session.
    pub names: Vec<String>,
    /// Everything about it in the folder, and every byte that went over the wire, as text.
    pub text: String,
}

/// A question about a round, and the answer.
#[derive(Clone, Debug)]
pub struct Round {
    /// Payments for each origin.
    pub pages: usize,
    /// Whether payments are exact.
    pub exact: bool,
    /// Where credits came from, in order of time.
    pub origins: Vec<Origin>,
    /// The payments, in order of time.
    pub payments: Vec<Payment>,
    /// For each payment the place of its origin. No guesser may look at it.
    pub truth: Vec<usize>,
}
