//! Payouts: what is paid to a merchant. A payout is a row before any money moves, and its state changes with the money in
//! one commit, so that a crash at any moment leaves something to go on with and nothing to pay twice.

use farthing_ledger::AccountId;
use farthing_money::{Amount, Asset, Timestamp, byte_id};
use serde::{Deserialize, Serialize};

use crate::id::hash_of_parts;
use crate::{CallId, ChainAddress, Chart, Movement, PayoutReject, Reject};

byte_id!(
    /// A payout: derived from the merchant's account and the payout's name, so that the same payout is made once.
    PayoutId,
    32
);
byte_id!(
    /// A bank file: derived from the payouts in it, so that the same file is made once.
    PayoutFileId,
    32
);
byte_id!(
    /// An operator's Ed25519 public key.
    OperatorKey,
    32
);

impl PayoutId {
    /// The payout of this name to this account.
    pub fn of(account: AccountId, name: &str) -> Self {
        let parts = [&account.as_bytes()[..], name.as_bytes()];
        Self::from_bytes(hash_of_parts("farthing/payout/1", parts))
    }

    /// The payout that this call would make: it has the call's name.
    pub(crate) fn of_call(call: CallId) -> Self {
        Self::from_bytes(*call.as_bytes())
    }
}

impl PayoutFileId {
    /// The file with these payouts, in this order.
    pub fn of(payouts: &[PayoutId]) -> Self {
        let parts = payouts.iter().map(|payout| &payout.as_bytes()[..]);
        Self::from_bytes(hash_of_parts("farthing/payout/file/1", parts))
    }
}

impl CallId {
    /// The call that makes a payout: there is one at the most.
    pub fn of_payout(payout: PayoutId) -> Self {
        Self::from_bytes(*payout.as_bytes())
    }
}

/// Where the money of a payout goes, and from what of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayoutTo {
    /// To an account on a chain.
    Evm {
        /// The chain's number (EIP-155).
        chain: u64,
        /// What moves.
        token: ChainAddress,
        /// From our account there.
        from: ChainAddress,
        /// To the merchant's.
        to: ChainAddress,
        /// How many of the token's smallest units.
        units: Amount,
        /// The account of what we have of the token.
        reserve: AccountId,
    },
    /// Into a top-up code, which buys credits.
    Credits,
    /// To an account at a bank.
    Bank {
        /// Whose it is.
        holder: String,
        /// Its number (ISO 13616), without spaces.
        iban: String,
        /// Its bank (ISO 9362), where that must be named.
        bic: Option<String>,
        /// Where the holder is (ISO 3166), where that must be named.
        country: Option<String>,
        /// The account of what we have at our bank.
        own: AccountId,
    },
}

impl PayoutTo {
    /// The account that the money comes out of in the end.
    pub fn source(&self, asset: Asset) -> AccountId {
        match self {
            Self::Evm { reserve, .. } => *reserve,
            Self::Credits => Chart::of(asset).codes,
            Self::Bank { own, .. } => *own,
        }
    }

    /// What moves on the chain.
    pub fn movement(&self) -> Option<(u64, Movement)> {
        match *self {
            Self::Evm { chain, token, from, to, units, .. } => {
                Some((chain, Movement { token, from, to, units }))
            }
            Self::Credits | Self::Bank { .. } => None,
        }
    }
}

/// What is paid to whom: what persons approve, and what never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutTerms {
    /// The merchant.
    pub merchant: String,
    /// The payout's own name among the merchant's: a period, or what the operator calls it.
    pub name: String,
    /// The account of what the merchant has.
    pub account: AccountId,
    /// In what.
    pub asset: Asset,
    /// How much.
    pub amount: Amount,
    /// Where it goes.
    pub to: PayoutTo,
}

impl PayoutTerms {
    /// The payout's id.
    pub fn id(&self) -> PayoutId {
        PayoutId::of(self.account, &self.name)
    }
}

/// A person's word that a payout is right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The person, as the configuration names it.
    pub name: String,
    /// The person's key.
    pub key: OperatorKey,
    /// The signature over the payout's statement, in hexadecimal.
    pub signature: String,
    /// When it came.
    pub at: Timestamp,
}

/// How far a payout is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayoutState {
    /// Its money is set aside, and persons look at it.
    Proposed,
    /// A call in the outbox moves its money.
    Called,
    /// It stands in a bank file, and the bank has not said what became of it.
    Filed,
    /// The merchant is paid, on this day.
    Paid(Timestamp),
    /// It could not be paid; the merchant has its money back in the books.
    Failed(String),
    /// It was taken back before anything was sent.
    Cancelled(String),
}

impl PayoutState {
    /// In a word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Called | Self::Filed => "sending",
            Self::Paid(_) => "paid",
            Self::Failed(_) => "failed",
            Self::Cancelled(_) => "cancelled",
        }
    }

    /// Whether nothing becomes of it any more.
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Paid(_) | Self::Failed(_) | Self::Cancelled(_))
    }
}

/// A payout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutRow {
    /// What is paid to whom.
    pub terms: PayoutTerms,
    /// Who proposed it; nobody if its time had come.
    pub by: Option<String>,
    /// The beginning of the period that it is for, if its time had come.
    pub period: Option<Timestamp>,
    /// When it was proposed.
    pub at: Timestamp,
    /// Who says that it is right.
    pub approvals: Vec<Approval>,
    /// How far it is.
    pub state: PayoutState,
    /// Since when.
    pub since: Timestamp,
    /// The bank file that it stands in.
    pub file: Option<PayoutFileId>,
}

/// A bank file. Its text never changes once it is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutFileRow {
    /// What the bank knows it by.
    pub message: String,
    /// In what.
    pub asset: Asset,
    /// When it was made.
    pub at: Timestamp,
    /// The payouts in it.
    pub payouts: Vec<PayoutId>,
    /// The whole text.
    pub text: String,
}

/// Whose word counts, and how many of them it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// How many approvals.
    pub approvals: usize,
    /// Of whom.
    pub trusted: Vec<(String, OperatorKey)>,
}

impl Needs {
    /// How many approvals of a payout count: of known persons, and not of who proposed it where it takes two.
    pub fn count(&self, row: &PayoutRow) -> usize {
        let is_known = |approval: &&Approval| {
            let same = |(name, key): &(String, OperatorKey)| *name == approval.name && *key == approval.key;
            self.trusted.iter().any(same) && !self.is_own(row, &approval.name)
        };
        row.approvals.iter().filter(is_known).count()
    }

    /// Whether there are enough.
    pub fn are_met(&self, row: &PayoutRow) -> bool {
        self.count(row) >= self.approvals
    }

    /// Whether somebody would approve what is their own.
    pub fn is_own(&self, row: &PayoutRow, name: &str) -> bool {
        self.approvals >= 2 && row.by.as_deref() == Some(name)
    }

    pub(crate) fn check(&self, payout: PayoutId, row: &PayoutRow) -> Result<(), Reject> {
        let got = self.count(row);
        if got >= self.approvals {
            Ok(())
        } else {
            Err(Reject::from(PayoutReject::Unapproved { payout, needed: self.approvals, got }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(by: Option<&str>, approved: &[(&str, u8)]) -> PayoutRow {
        let account = AccountId::from_bytes([1; 16]);
        let (merchant, name) = ("shop".to_owned(), "2026-11".to_owned());
        let asset = Asset::micro("USD").unwrap();
        let terms =
            PayoutTerms { merchant, name, account, asset, amount: Amount::new(5), to: PayoutTo::Credits };
        let approval = |(name, key): &(&str, u8)| Approval {
            name: (*name).to_owned(),
            key: OperatorKey::from_bytes([*key; 32]),
            signature: String::new(),
            at: Timestamp::from_secs(1),
        };
        PayoutRow {
            terms,
            by: by.map(str::to_owned),
            period: None,
            at: Timestamp::from_secs(1),
            approvals: approved.iter().map(approval).collect(),
            state: PayoutState::Proposed,
            since: Timestamp::from_secs(1),
            file: None,
        }
    }

    fn needs(approvals: usize) -> Needs {
        let person = |name: &str, key| (name.to_owned(), OperatorKey::from_bytes([key; 32]));
        Needs { approvals, trusted: vec![person("anna", 1), person("ben", 2)] }
    }

    #[test]
    fn only_known_persons_with_their_own_keys_count() {
        assert_eq!(needs(2).count(&row(None, &[("anna", 1), ("ben", 2)])), 2);
        assert_eq!(needs(2).count(&row(None, &[("anna", 2), ("eve", 9), ("ben", 2)])), 1);
        assert!(needs(0).are_met(&row(None, &[])));
        assert!(!needs(1).are_met(&row(None, &[("eve", 1)])));
    }

    #[test]
    fn who_proposed_counts_only_where_one_is_enough() {
        assert_eq!(needs(2).count(&row(Some("anna"), &[("anna", 1), ("ben", 2)])), 1);
        assert_eq!(needs(1).count(&row(Some("anna"), &[("anna", 1)])), 1);
    }

    #[test]
    fn the_same_name_for_another_merchant_is_another_payout() {
        let of = |byte, name| PayoutId::of(AccountId::from_bytes([byte; 16]), name);
        assert_ne!(of(1, "2026-11"), of(2, "2026-11"));
        assert_ne!(of(1, "2026-11"), of(1, "2026-12"));
        assert_eq!(of(1, "2026-11"), of(1, "2026-11"));
    }
}
