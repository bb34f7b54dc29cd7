//! What is kept, one row a thing. Nothing in any row tells who a payer is.

use std::cmp::Reverse;

use farthing_channel::ChannelId;
use farthing_ledger::{AccountId, EntryKind, Transfer};
use farthing_money::{Amount, Asset, Label, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    AccessId, CodeId, CreditId, FareShare, NameId, OutputId, Payees, PaymentId, QuoteId, RefundTerms,
    RequestTag, UseId,
};

/// What a credit is worth to whom it is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worth {
    /// The account of its keyset.
    pub account: AccountId,
    /// How much.
    pub amount: u64,
}

/// A credit that is no longer unspent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CreditRow {
    /// Set aside for a payment.
    Pending {
        /// Which.
        payment: PaymentId,
        /// The witness that unlocked it.
        witness: Option<String>,
        /// What it is worth; not known of what was set aside before format 2.
        worth: Option<Worth>,
    },
    /// Gone: swapped, melted or charged.
    Spent {
        /// By which request, so that a repetition of it is answered alike.
        tag: RequestTag,
        /// The witness that unlocked it (NUT-07 shows it).
        witness: Option<String>,
        /// What it was worth; not known of what was spent before format 2.
        worth: Option<Worth>,
        /// In which epoch.
        epoch: u32,
    },
}

/// A blinded output that was signed. The signature itself is made again from the keys when asked for (NUT-09).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRow {
    /// The account of the keyset that signed it.
    pub account: AccountId,
    /// For how much.
    pub amount: u64,
    /// In which epoch.
    pub epoch: u32,
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
    /// Whether it expired and was written off: it never redeems again, whatever the clock says.
    pub closed: bool,
}

/// How far a top-up code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CodeState {
    /// Nobody has used it.
    Unused,
    /// A quote was opened with it; whoever holds the code may go on with that quote.
    Claimed(QuoteId),
    /// The operator paid its holder back.
    Refunded,
    /// The operator took its sale back.
    Void,
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
    /// The payment on a chain that pays it, under way or done. While there is one, no other is taken.
    pub payment: Option<PaymentId>,
    /// Whether it takes plain transfers at an address of its own.
    pub inlet: bool,
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
    /// What the issuer keeps for paying out, beside the fee for the inputs.
    pub fee: Amount,
    /// The account that the money goes to; for what is paid out on a chain, the account of what we have there.
    pub target: AccountId,
    /// The code that it funds.
    pub code: Option<CodeId>,
    /// When it ends if it is not paid.
    pub expires_at: Timestamp,
    /// The request that paid it, with the change that it gave.
    pub paid: Option<(RequestTag, Vec<ChangeOutput>)>,
    /// How many withdrawals of it on a chain have failed. It tells the present one from those.
    pub failed: u32,
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
    /// The upstream has delivered; a call that moves the money on a chain is under way. Only its outcome ends this.
    Settling,
    /// A call that puts the money into escrow on its chain is under way; the upstream was not asked. Only its outcome ends this.
    Authorizing,
    /// The money is in escrow; the upstream has not answered. It is captured, or it goes back.
    Escrowed,
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
    /// Whom it pays.
    pub merchant: Payees,
    /// Set aside from each keyset's account.
    pub held: Vec<(AccountId, Amount)>,
    /// The credits that pay.
    pub credits: Vec<CreditId>,
    /// What was charged; while it is held, what was metered so far, for a channel in units of its token.
    pub charged: Amount,
    /// What went back; while it is held, what would.
    pub change: Vec<ChangeOutput>,
    /// When it was held; once posted, when it was posted.
    pub at: Timestamp,
    /// Until when it opens its resource.
    pub pass_until: Option<Timestamp>,
    /// The tax code of the rule that set the price.
    pub tax_code: Option<Label>,
    /// The channel that pays, if one does.
    pub channel: Option<ChannelId>,
    /// What it is known by besides.
    pub marks: Marks,
    /// What of the charge went back to the payer, or is set aside for that.
    pub back: Amount,
}

/// What a payment is known by besides: codes that only the gate's secret makes, so that the rows say nothing to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// The payer's own name for it, which no other payment takes meanwhile.
    pub name: Option<NameId>,
    /// Who pays for what: whoever proves to be the same comes back while the payment opens its resource.
    pub access: Option<AccessId>,
    /// What it takes of a fare.
    pub fare: Option<FareShare>,
    /// The use of a feature that it stands behind: that ends it, and nothing else.
    pub behind: Option<UseId>,
    /// On which terms its payer may ask it back.
    pub refund: Option<RefundTerms>,
    /// What its pass goes on from, until it is charged.
    pub extends: Option<Extends>,
}

/// An earlier payment, to the end of whose pass the time of the new one is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extends {
    /// The earlier payment.
    pub payment: PaymentId,
    /// When its pass ends.
    pub ends: Timestamp,
}

/// A payer's own name for a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameRow {
    /// The payment that has it.
    pub payment: PaymentId,
    /// From then on it may be given anew.
    pub until: Timestamp,
}

/// Somebody who has paid for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRow {
    /// By which payment.
    pub payment: PaymentId,
    /// Until when that opens it.
    pub until: Timestamp,
    /// Another payment that opens it less long: it still does when a chain takes the first one back.
    pub next: Option<(PaymentId, Timestamp)>,
}

impl AccessRow {
    /// The row of these payments: of all those the two that open it longest.
    fn of(payments: impl Iterator<Item = (PaymentId, Timestamp)>) -> Option<Self> {
        let mut longest: Vec<_> = payments.collect();
        longest.sort_by_key(|(_, until)| Reverse(*until));
        let mut longest = longest.into_iter();
        let (payment, until) = longest.next()?;
        Some(Self { payment, until, next: longest.next() })
    }

    fn all_but(self, payment: PaymentId) -> impl Iterator<Item = (PaymentId, Timestamp)> {
        [(self.payment, self.until)].into_iter().chain(self.next).filter(move |(other, _)| *other != payment)
    }

    /// With another payment that opens it.
    pub(crate) fn with(known: Option<Self>, payment: PaymentId, until: Timestamp) -> Option<Self> {
        let known = known.into_iter().flat_map(|known| known.all_but(payment));
        Self::of(known.chain([(payment, until)]))
    }

    /// Without a payment; nothing if no other opens it.
    pub(crate) fn without(self, payment: PaymentId) -> Option<Self> {
        Self::of(self.all_but(payment))
    }
}

/// What the issuer does at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Everything.
    #[default]
    Open,
    /// Nothing new: what is on hold ends, all else is refused for the time being.
    Paused,
    /// No new money comes in: what is out is spent, swapped and paid back until nothing is left.
    Sunset,
}

impl Mode {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Sunset => "sunset",
        }
    }
}

/// What holds for the books as a whole. There is one row of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BooksRow {
    /// What the issuer does at present.
    pub mode: Mode,
    /// The present epoch.
    pub epoch: u32,
    /// When it began.
    pub epoch_opened_at: Timestamp,
    /// Everything dated before this is closed.
    pub closed_until: Timestamp,
}

/// The key of the one [`BooksRow`].
pub const BOOKS: u8 = 0;

/// A signed text. It never changes once it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementRow {
    /// The text, in compact JWS form.
    pub text: String,
    /// When it was published.
    pub at: Timestamp,
}

/// An entry that may be taken back: the operator's own, and sales of codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRow {
    /// What it was.
    pub kind: EntryKind,
    /// In what.
    pub asset: Asset,
    /// How the money moved.
    pub transfers: Vec<Transfer>,
    /// The day that it is about.
    pub dated: Timestamp,
    /// What the operator wrote beside it.
    pub memo: Option<String>,
    /// The codes that were sold.
    pub codes: Vec<CodeId>,
    /// Whether it was taken back.
    pub reversed: bool,
}
