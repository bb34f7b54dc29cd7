//! What is done with payouts: proposed, approved, taken back, sent, and ended by the bank's word. The chain's word comes with
//! [`EndCall`](crate::EndCall).

use farthing_ledger::AccountId;
use farthing_money::{Amount, Asset, Timestamp};

use super::Command;
use crate::payout::{Approval, Needs, PayoutFileId, PayoutFileRow, PayoutId, PayoutTerms, PayoutTo};
use crate::{Call, CallId, Chart, CodeId, Keys};

/// Sets money of a merchant aside to be paid out.
#[derive(Clone, Debug)]
pub struct ProposePayout {
    /// What is paid to whom.
    pub terms: PayoutTerms,
    /// What the merchant keeps in the books at least.
    pub keep: Amount,
    /// Who proposes it; nobody if its time has come.
    pub by: Option<String>,
    /// The beginning of the period that it is for, if its time has come.
    pub period: Option<Timestamp>,
}

/// Adds a person's word. Whoever makes the command has checked its signature.
#[derive(Clone, Debug)]
pub struct ApprovePayout {
    /// Which.
    pub payout: PayoutId,
    /// The word.
    pub approval: Approval,
    /// Whose word counts.
    pub needs: Needs,
}

/// Takes a payout back of which nothing was sent: the merchant has its money again.
#[derive(Clone, Debug)]
pub struct CancelPayout {
    /// Which.
    pub payout: PayoutId,
    /// The account of what the merchant has, as its row says.
    pub account: AccountId,
    /// In what.
    pub asset: Asset,
    /// Why.
    pub why: String,
}

/// How a single payout is sent.
#[derive(Clone, Debug)]
pub enum Carrier {
    /// By a call on a chain.
    Call(Box<Call>),
    /// By a top-up code, by the hash of its text.
    Code(CodeId),
}

/// Sends a payout, once.
#[derive(Clone, Debug)]
pub struct SendPayout {
    /// Which.
    pub payout: PayoutId,
    /// The account of what the merchant has, as its row says.
    pub account: AccountId,
    /// In what.
    pub asset: Asset,
    /// Where it would go by the configuration of today.
    pub to: PayoutTo,
    /// By what.
    pub by: Carrier,
    /// Whose word it takes.
    pub needs: Needs,
}

/// A payout that goes into a bank file.
#[derive(Clone, Debug)]
pub struct FiledPayout {
    /// Which.
    pub payout: PayoutId,
    /// The account of what the merchant has, as its row says.
    pub account: AccountId,
    /// Where it would go by the configuration of today.
    pub to: PayoutTo,
}

/// Fixes a bank file, and with it that its payouts are sent.
#[derive(Clone, Debug)]
pub struct FilePayouts {
    /// The file.
    pub file: PayoutFileId,
    /// What it is.
    pub row: PayoutFileRow,
    /// What goes into it.
    pub payouts: Vec<FiledPayout>,
    /// Whose word it takes.
    pub needs: Needs,
}

/// What a bank says of a payout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BankWord {
    /// Paid on this day.
    Paid(Timestamp),
    /// Not paid, and why.
    Failed(String),
}

/// Takes the bank's word for what became of a payout.
#[derive(Clone, Debug)]
pub struct EndPayout {
    /// Which.
    pub payout: PayoutId,
    /// The account of what the merchant has, as its row says.
    pub account: AccountId,
    /// The account of what we have at the bank, as its row says.
    pub own: AccountId,
    /// In what.
    pub asset: Asset,
    /// The word.
    pub word: BankWord,
}

impl Command {
    /// The keys of what is done with payouts.
    pub(super) fn payout_keys(&self, keys: &mut Keys) {
        let accounts = |asset, ids: &[AccountId], keys: &mut Keys| {
            keys.accounts.push(Chart::of(asset).payouts_due);
            keys.accounts.extend(ids);
        };
        match self {
            Self::ProposePayout(command) => {
                keys.payouts.push(command.terms.id());
                accounts(command.terms.asset, &[command.terms.account], keys);
            }
            Self::ApprovePayout(command) => keys.payouts.push(command.payout),
            Self::CancelPayout(command) => {
                keys.payouts.push(command.payout);
                accounts(command.asset, &[command.account], keys);
            }
            Self::SendPayout(command) => {
                keys.payouts.push(command.payout);
                accounts(command.asset, &[command.account, command.to.source(command.asset)], keys);
                match &command.by {
                    Carrier::Call(_) => keys.call(CallId::of_payout(command.payout)),
                    Carrier::Code(code) => keys.codes.push(*code),
                }
            }
            Self::FilePayouts(command) => {
                keys.payout_files.push(command.file);
                for filed in &command.payouts {
                    keys.payouts.push(filed.payout);
                    let source = filed.to.source(command.row.asset);
                    accounts(command.row.asset, &[filed.account, source], keys);
                }
            }
            Self::EndPayout(command) => {
                keys.payouts.push(command.payout);
                accounts(command.asset, &[command.account, command.own], keys);
            }
            _ => {}
        }
    }
}
