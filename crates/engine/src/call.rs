//! What is sent to a chain: the outbox. A call is a row before it is a transaction, and stays one until its outcome is known,
//! so that a crash at any moment leaves something to go on with and nothing to do twice.

use farthing_ledger::AccountId;
use farthing_money::{Amount, Asset, Timestamp};
use serde::{Deserialize, Serialize};

use crate::payout::PayoutId;
use crate::{
    CallId, ChainAddress, ChannelStep, Chart, CreditId, Fault, Input, LogId, Marks, MeltQuoteRow,
    MintQuoteRow, Output, OutputId, Payees, PaymentId, PaymentRow, QuoteId, Read, RequestTag, TransactionId,
};

/// What is called, as the chain takes it. The engine does not read it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The chain's number (EIP-155).
    pub chain: u64,
    /// The contract.
    pub to: ChainAddress,
    /// The call's bytes.
    pub input: Vec<u8>,
    /// What must have moved when it is done; a transaction that does not say so has failed.
    pub moves: Movement,
    /// After this second the contract refuses it.
    pub until: Timestamp,
    /// A transaction that the payer has signed and that has to be carried out before, if this one cannot succeed without.
    pub approval: Option<Vec<u8>>,
}

/// A payer's signature is in the bytes: whoever has them can have them carried out.
impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Call(chain {}, to {}, {} bytes)", self.chain, self.to, self.input.len())
    }
}

/// Units of a token that go from one address to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// The token's contract; nobody's address for the chain's own coin.
    pub token: ChainAddress,
    /// Whose they were.
    pub from: ChainAddress,
    /// Whose they are then.
    pub to: ChainAddress,
    /// How many, in the token's smallest units.
    pub units: Amount,
}

/// Why a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// It settles a payment of ours.
    Payment(PaymentId),
    /// Somebody else's gate asked for it. No money of ours moves but the fee.
    Facilitated,
    /// It brings in the money for a mint quote.
    Deposit {
        /// The payment that pays the quote.
        payment: PaymentId,
        /// Which quote.
        quote: QuoteId,
    },
    /// It gives a payer coin for the gas of the approval that another call needs. What it gives is booked as gas.
    Funding {
        /// That call.
        of: CallId,
    },
    /// It pays a melt quote out.
    Withdrawal {
        /// The payment that holds the quote's credits.
        payment: PaymentId,
        /// Which quote.
        quote: QuoteId,
    },
    /// It changes a channel. What that moves is seen on the chain.
    Channel(ChannelStep),
    /// It moves on what lies at a mint quote's inlet. No money of the books moves but the fee.
    Sweep(QuoteId),
    /// It puts the money of a payment of ours into escrow. What captures it settles the payment.
    Authorize(PaymentId),
    /// It gives what is left of a payment of ours in escrow back to the payer.
    Void(PaymentId),
    /// It pays a merchant.
    Payout(PayoutId),
}

/// The accounts that pay a chain's own fees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GasAccounts {
    /// In what.
    pub asset: Asset,
    /// What the operator has of it.
    pub purse: AccountId,
    /// What was spent.
    pub spent: AccountId,
}

/// A transaction that was made for a call, written down before it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its hash.
    pub transaction: TransactionId,
    /// Its signed bytes, to be sent again.
    pub signed: Vec<u8>,
    /// When it was made.
    pub at: Timestamp,
}

/// A call that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRow {
    /// What.
    pub call: Call,
    /// Why.
    pub purpose: Purpose,
    /// When it was asked for.
    pub at: Timestamp,
    /// The sender and its transaction number, the same for all attempts: at most one of them is ever carried out.
    pub slot: Option<(ChainAddress, u64)>,
    /// Every transaction that was made for it, the latest last.
    pub attempts: Vec<Attempt>,
    /// Whether it had an outcome which the chain took back.
    pub reopened: bool,
    /// Whether the payer has what it paid for. A signed authorization is public once it is on a chain, so that it opens
    /// nothing any more then.
    pub delivered: bool,
    /// What is in the books as the cost of its transaction. One of them is carried out at the most, so that after a fork
    /// only what that one costs more or less is entered, under way or ended.
    pub gas: Amount,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The money has moved.
    Settled {
        /// By which transaction.
        transaction: TransactionId,
        /// In which block.
        block: u64,
        /// Which of the transaction's logs says so, counted from 0. One log settles one call.
        log: u64,
    },
    /// It has not, and this call will not move it any more.
    Failed {
        /// By which transaction, if one was carried out.
        transaction: Option<TransactionId>,
        /// Why, as facilitators say it.
        reason: String,
    },
}

impl Outcome {
    /// The movement that says so.
    pub fn log(&self) -> Option<LogId> {
        match self {
            Self::Settled { transaction, log, .. } => Some(LogId::of(*transaction, *log)),
            Self::Failed { .. } => None,
        }
    }
}

/// A call that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettlementRow {
    /// The call with its attempts, should the chain take the outcome back.
    pub row: CallRow,
    /// How it ended.
    pub outcome: Outcome,
    /// When.
    pub at: Timestamp,
}

/// Asks for a payment that is held on a chain to be settled.
#[derive(Clone, Debug)]
pub struct Settle {
    /// Which.
    pub payment: PaymentId,
    /// What moves the money; nothing if nothing is charged.
    pub call: Option<Call>,
    /// What is charged, at most what is held.
    pub charged: Amount,
    /// Until when it opens its resource.
    pub pass_until: Option<Timestamp>,
    /// The accounts that hold it, as its row names them.
    pub accounts: Vec<AccountId>,
    /// Whom it pays.
    pub merchant: Payees,
    /// In what.
    pub asset: Asset,
    /// What it is known by besides, as its row says.
    pub marks: Marks,
}

/// Makes a call for somebody else's gate.
#[derive(Clone, Debug)]
pub struct Facilitate {
    /// Its name.
    pub id: CallId,
    /// What.
    pub call: Call,
}

/// Gives a payer coin for the gas of an approval. The name says for whom and what it is, so that it is given once.
#[derive(Clone, Debug)]
pub struct Fund {
    /// Its name.
    pub id: CallId,
    /// The call that needs the approval.
    pub of: CallId,
    /// What.
    pub call: Call,
    /// The transaction by which an earlier one of this name has failed, if that has given nothing and used up its number.
    pub instead_of: Option<TransactionId>,
}

/// Writes a transaction down that is about to be sent.
#[derive(Clone, Debug)]
pub struct SendCall {
    /// For which call.
    pub call: CallId,
    /// On which chain.
    pub chain: u64,
    /// Its sender and number.
    pub slot: (ChainAddress, u64),
    /// The transaction.
    pub attempt: Attempt,
}

/// Pays a mint quote with money on a chain: what the payer has signed for is set aside and the call that moves it asked for,
/// at once, since nothing has to be served before.
#[derive(Clone, Debug)]
pub struct Deposit {
    /// Which quote.
    pub quote: QuoteId,
    /// Its terms, if it was never written down: whoever makes the command vouches for them.
    pub terms: Option<Box<MintQuoteRow>>,
    /// The payment, derived from what the payer has signed.
    pub payment: PaymentId,
    /// What moves the money.
    pub call: Call,
    /// The account of what we have of it.
    pub reserve: AccountId,
    /// How much, in the asset's units: what the quote asks for.
    pub amount: Amount,
    /// In what.
    pub asset: Asset,
    /// The request.
    pub tag: RequestTag,
}

/// Pays a melt quote out on a chain: its credits are set aside and the call that moves the money asked for, at once. They are
/// spent when the chain says that it has moved.
#[derive(Clone, Debug)]
pub struct Withdraw {
    /// Which quote.
    pub quote: QuoteId,
    /// Its terms, if it was never written down: whoever makes the command vouches for them.
    pub terms: Option<Box<MeltQuoteRow>>,
    /// How many withdrawals of the quote have failed, as it names it.
    pub failed: u32,
    /// What is spent.
    pub inputs: Vec<Input>,
    /// What goes back when it is paid.
    pub change: Vec<Output>,
    /// What the issuer keeps for the inputs (NUT-02).
    pub fee: Amount,
    /// In what.
    pub asset: Asset,
    /// The account of what we have of the money, as the quote names it.
    pub target: AccountId,
    /// What moves it.
    pub call: Call,
    /// The request.
    pub tag: RequestTag,
}

/// What hangs on a call, as its rows name it. [`SettledPayment::of`] finds it.
#[derive(Clone, Debug)]
pub struct SettledPayment {
    /// The payment.
    pub payment: PaymentId,
    /// The accounts that hold it, and those of its change.
    pub accounts: Vec<AccountId>,
    /// Whom it pays; of a withdrawal, the account that it is taken from.
    pub merchant: Payees,
    /// In what.
    pub asset: Asset,
    /// The credits that wait for a withdrawal.
    pub credits: Vec<CreditId>,
    /// The change that they give.
    pub change: Vec<OutputId>,
    /// The quote that is paid, or paid out.
    pub quote: Option<QuoteId>,
    /// What it is known by besides.
    pub marks: Marks,
}

impl SettledPayment {
    /// What hangs on a call: nothing on one that somebody else has asked for.
    pub fn of(read: &dyn Read, row: &CallRow) -> Result<Option<Self>, Fault> {
        match row.purpose {
            Purpose::Facilitated
            | Purpose::Channel(_)
            | Purpose::Funding { .. }
            | Purpose::Sweep(_)
            | Purpose::Void(_) => Ok(None),
            Purpose::Payment(payment) | Purpose::Authorize(payment) => {
                Ok(read.payment(payment)?.map(|row| Self::of_row(payment, &row)))
            }
            Purpose::Deposit { payment, quote } => {
                let named = read.payment(payment)?.map(|row| Self::of_row(payment, &row));
                Ok(named.map(|named| Self { quote: Some(quote), ..named }))
            }
            Purpose::Payout(id) => Ok(read.payout(id)?.map(|row| Self {
                // It holds nothing of a payer's; its rows are found by the call's name.
                payment: PaymentId::from_bytes(*id.as_bytes()),
                accounts: vec![row.terms.account, Chart::of(row.terms.asset).payouts_due],
                merchant: row.terms.to.source(row.terms.asset).into(),
                asset: row.terms.asset,
                credits: Vec::new(),
                change: Vec::new(),
                quote: None,
                marks: Marks::default(),
            })),
            Purpose::Withdrawal { payment, quote } => {
                if let Some(row) = read.payment(payment)? {
                    return Ok(Some(Self { quote: Some(quote), ..Self::of_row(payment, &row) }));
                }
                // It was paid out, and nothing is held any more: the quote alone says what it was.
                let row = read.melt_quote(quote)?;
                Ok(row.map(|row| Self {
                    payment,
                    accounts: Vec::new(),
                    merchant: row.target.into(),
                    asset: row.asset,
                    credits: Vec::new(),
                    change: Vec::new(),
                    quote: Some(quote),
                    marks: Marks::default(),
                }))
            }
        }
    }

    fn of_row(payment: PaymentId, row: &PaymentRow) -> Self {
        let held = row.held.iter().map(|(account, _)| *account);
        Self {
            payment,
            accounts: held.chain(row.change.iter().map(|change| change.account)).collect(),
            merchant: row.merchant.clone(),
            asset: row.asset,
            credits: row.credits.clone(),
            change: row.change.iter().map(|change| change.output).collect(),
            quote: None,
            marks: row.marks,
        }
    }
}

/// What a transaction cost.
#[derive(Clone, Debug)]
pub struct Gas {
    /// The accounts.
    pub accounts: GasAccounts,
    /// How much, in the chain's own smallest units.
    pub paid: Amount,
}

/// Takes a chain's word for how a call ended.
#[derive(Clone, Debug)]
pub struct EndCall {
    /// Which.
    pub call: CallId,
    /// How.
    pub outcome: Outcome,
    /// What hangs on it.
    pub payment: Option<SettledPayment>,
    /// What it cost.
    pub gas: Option<Gas>,
    /// What gives the payer back what is left in escrow, if the call moves what is there.
    pub back: Option<Call>,
}

/// Takes a chain's word for what a call that has ended has cost: a fork may carry its transaction out elsewhere, for more or
/// less, or drop it, though the outcome stands.
#[derive(Clone, Debug)]
pub struct BookGas {
    /// Which.
    pub call: CallId,
    /// What it has cost, all in all.
    pub gas: Gas,
}

/// Goes on with a call whose outcome the chain has taken back.
#[derive(Clone, Debug)]
pub struct ReopenCall {
    /// Which.
    pub call: CallId,
    /// What hangs on it.
    pub payment: Option<SettledPayment>,
}
