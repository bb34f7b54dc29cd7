//! What is kept, one row a thing. Nothing in any row tells who a payer is.

use farthing_ledger::AccountId;
use farthing_money::{Amount, Asset, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{CodeId, CreditId, OutputId, PaymentId, QuoteId, RequestTag};

/// A credit that is no longer unspent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CreditRow {
    /// Set aside for a payment.
    Pending {
        /// Which.
        payment: PaymentId,
        /// The witness that unlocked it.
        witness: Option<String>,
    },
    /// Gone: swapped, melted or charged.
    Spent {
        /// By which request, so that a repetition of it is answered alike.
        tag: RequestTag,
        /// The witness that unlocked it (NUT-07 shows it).
        witness: Option<String>,
    },
}

/// A blinded output that was signed. The signature itself is made again from the keys when asked for (NUT-09).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRow {
    /// The account of the keyset that signed it.
    pub account: AccountId,
    /// For how much.
    pub amount: u64,
}

/// A keyset of the issuer. Its keys are derived from the seed and `index`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysetRow {
    /// The keyset id in hexadecimal (NUT-02).
    pub id: String,
    /// Its place in the derivation, unique in an installation.
    pub index: u32,
    /// What its credits are worth.
    pub asset: Asset,
    /// Denominations: the powers of two below 2^orders.
    pub orders: u8,
    /// Fee per thousand inputs in minor units (NUT-02).
    pub input_fee_ppk: u64,
    /// Unix seconds after which its credits are worth nothing (NUT-02).
    pub final_expiry: Option<u64>,
    /// Whether new credits are signed with it.
    pub active: bool,
    /// When it was opened.
    pub opened_at: Timestamp,
}

/// How far a top-up code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CodeState {
    /// Nobody has used it.
    Unused,
    /// A quote was opened with it; whoever holds the code may go on with that quote.
    Claimed(QuoteId),
}

/// A top-up code, by the hash of its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRow {
    /// What it buys.
    pub amount: Amount,
    /// In what.
    pub asset: Asset,
    /// How far it is.
    pub state: CodeState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// A mint quote (NUT-04): money in, credits out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintQuoteRow {
    /// The method's name: `code`, `bolt11`.
    pub method: String,
    /// What is to be paid, for people or for a wallet.
    pub request: String,
    /// In what.
    pub asset: Asset,
    /// How much.
    pub amount: Amount,
    /// Paid so far.
    pub paid: Amount,
    /// Issued so far.
    pub issued: Amount,
    /// The account that the money comes from when credits are issued.
    pub source: AccountId,
    /// The code behind it.
    pub code: Option<CodeId>,
    /// The key that must sign the mint request (NUT-20), in hexadecimal.
    pub pubkey: Option<String>,
    /// When it ends if nothing was paid.
    pub expires_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The request that issued its credits.
    pub tag: Option<RequestTag>,
}

/// A melt quote (NUT-05): credits in, money out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeltQuoteRow {
    /// The method's name: `code`, `bolt11`.
    pub method: String,
    /// Where the money goes.
    pub request: String,
    /// In what.
    pub asset: Asset,
    /// How much.
    pub amount: Amount,
    /// The account that the money goes to.
    pub target: AccountId,
    /// The code that it funds.
    pub code: Option<CodeId>,
    /// When it ends if it is not paid.
    pub expires_at: Timestamp,
    /// The request that paid it, with the change that it gave.
    pub paid: Option<(RequestTag, Vec<ChangeOutput>)>,
}

/// A signed output that gave change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeOutput {
    /// The blinded output.
    pub output: OutputId,
    /// The account of the keyset that signed it.
    pub account: AccountId,
    /// For how much.
    pub amount: u64,
}

/// Whether a payment is under way or done. A released payment leaves no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PaymentState {
    /// The money is set aside; the upstream has not answered.
    Held,
    /// The money is charged.
    Posted,
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRow {
    /// How far it is.
    pub state: PaymentState,
    /// What it buys, as the gate names it.
    pub resource: String,
    /// What the request asked for besides: the same credential with another is refused.
    pub tag: RequestTag,
    /// In what.
    pub asset: Asset,
    /// The merchant's account.
    pub merchant: AccountId,
    /// Set aside from each keyset's account.
    pub held: Vec<(AccountId, Amount)>,
    /// The credits that pay.
    pub credits: Vec<CreditId>,
    /// What was charged.
    pub charged: Amount,
    /// What went back.
    pub change: Vec<ChangeOutput>,
    /// When it was held; once posted, when it was posted.
    pub at: Timestamp,
    /// Until when it opens its resource.
    pub pass_until: Option<Timestamp>,
}
