//! What only the operator asks for.

use farthing_ledger::{Account, AccountId, Reference};
use farthing_money::{Amount, Asset, Timestamp};

use super::Command;
use crate::{
    AccessId, CallId, CodeId, CreditId, FareId, Keys, KeysetRow, NameId, OutputId, PaymentId, RATES,
    SessionId, StatementId, StatementRow, sale_reference,
};

/// Opens a keyset and its account; retires the ones named.
#[derive(Clone, Debug)]
pub struct OpenKeyset {
    /// The new keyset.
    pub keyset: KeysetRow,
    /// Its account.
    pub account: Account,
    /// Keysets of the same asset that no longer sign.
    pub retire: Vec<u32>,
}

/// Makes top-up codes of one amount.
#[derive(Clone, Debug)]
pub struct CreateCodes {
    /// The hashes of their texts.
    pub codes: Vec<CodeId>,
    /// What each buys.
    pub amount: Amount,
    /// In what.
    pub asset: Asset,
    /// When they end.
    pub expires_at: Option<Timestamp>,
}

/// Pays unused codes back to their holders, outside of the books: what was sold is no longer sold.
#[derive(Clone, Debug)]
pub struct RefundCodes {
    /// Which.
    pub codes: Vec<CodeId>,
    /// In what.
    pub asset: Asset,
}

/// Writes an expired keyset off: what is out of it becomes income, and it never redeems again.
#[derive(Clone, Debug)]
pub struct ExpireKeyset {
    /// Which.
    pub index: u32,
    /// Its account.
    pub account: AccountId,
    /// In what.
    pub asset: Asset,
}

/// Forgets rows of a keyset that was written off. Rows of others are left as they are.
#[derive(Clone, Debug)]
pub struct Prune {
    /// Which keyset.
    pub index: u32,
    /// Its account.
    pub account: AccountId,
    /// Spent credits.
    pub credits: Vec<CreditId>,
    /// Signed outputs.
    pub outputs: Vec<OutputId>,
    /// Payments that were made with nothing but this keyset's credits.
    pub payments: Vec<PaymentId>,
}

/// Forgets names, accesses, fares and windows for refunds whose time is over, and sessions that are closed beside. Those that are not
/// over are left as they are.
#[derive(Clone, Debug, Default)]
pub struct Forget {
    /// Payers' own names for payments.
    pub names: Vec<NameId>,
    /// Who has paid for what.
    pub access: Vec<AccessId>,
    /// Fares.
    pub fares: Vec<FareId>,
    /// What could be asked back, by payment. Of what went back only its fare is forgotten.
    pub refunds: Vec<PaymentId>,
    /// Sessions.
    pub sessions: Vec<SessionId>,
}

/// An entry of the operator's own: money received, paid out, moved between its accounts.
#[derive(Clone, Debug)]
pub struct Enter {
    /// Its name; the same name with the same contents is the same entry.
    pub reference: Reference,
    /// Where the money comes from.
    pub debit: AccountId,
    /// Where it goes.
    pub credit: AccountId,
    /// How much.
    pub amount: Amount,
    /// In what.
    pub asset: Asset,
    /// The day that it is about.
    pub dated: Timestamp,
    /// What it is.
    pub memo: String,
    /// What went the other way in another asset, if it is an exchange: both stand or fall together.
    pub also: Option<Leg>,
}

/// The other half of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Where the money comes from.
    pub debit: AccountId,
    /// Where it goes.
    pub credit: AccountId,
    /// How much.
    pub amount: Amount,
    /// In what.
    pub asset: Asset,
}

/// Takes an entry back that [`Enter`] or [`CreateCodes`] made, by one that moves the same money the other way.
#[derive(Clone, Debug)]
pub struct Reverse {
    /// Which.
    pub reference: Reference,
    /// The codes that it sold, as its row names them; all must be unused.
    pub codes: Vec<CodeId>,
    /// The accounts that it moved, as its row names them.
    pub accounts: Vec<AccountId>,
    /// Why.
    pub memo: String,
}

/// Publishes a signed text, which never changes afterwards.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Which.
    pub id: StatementId,
    /// The text.
    pub row: StatementRow,
}

impl Command {
    /// The keys of what only the operator asks for.
    pub(super) fn operator_keys(&self, keys: &mut Keys) {
        match self {
            Self::AcceptRates(_) => keys.rates.push(RATES),
            Self::OpenAccounts(accounts) => keys.accounts.extend(accounts.iter().map(Account::id)),
            Self::OpenKeyset(command) => {
                keys.keysets.push(command.keyset.index);
                keys.keysets.extend(&command.retire);
                keys.accounts.push(command.account.id());
            }
            Self::CreateCodes(command) => {
                keys.codes.extend(&command.codes);
                keys.entries.push(sale_reference(&command.codes));
                keys.chart(command.asset);
            }
            Self::RefundCodes(command) => {
                keys.codes.extend(&command.codes);
                keys.chart(command.asset);
            }
            Self::ExpireKeyset(command) => {
                keys.keysets.push(command.index);
                keys.accounts.push(command.account);
                keys.chart(command.asset);
            }
            Self::Prune(command) => {
                keys.keysets.push(command.index);
                keys.credits.extend(&command.credits);
                keys.outputs.extend(&command.outputs);
                keys.payments.extend(&command.payments);
                keys.refunds.extend(&command.payments);
            }
            Self::Forget(command) => {
                keys.names.extend(&command.names);
                keys.access.extend(&command.access);
                keys.fares.extend(&command.fares);
                keys.refunds.extend(&command.refunds);
                for payment in &command.refunds {
                    keys.call(CallId::of_payment(*payment));
                }
                keys.sessions.extend(&command.sessions);
            }
            Self::Enter(command) => {
                keys.entries.push(command.reference);
                keys.accounts.extend([command.debit, command.credit]);
                keys.accounts.extend(command.also.iter().flat_map(|leg| [leg.debit, leg.credit]));
            }
            Self::Reverse(command) => {
                keys.entries.push(command.reference);
                keys.codes.extend(&command.codes);
                keys.accounts.extend(&command.accounts);
            }
            Self::Publish(command) => keys.statements.push(command.id),
            _ => {}
        }
    }
}
