//! The pure core: commands in, changes and answers out.
//!
//! A [`Command`] names the rows that it touches ([`Command::keys`]). A store loads them, [`decide_batch`] decides each
//! command in turn on the evolving rows, and the store commits the changes and the sealed journal batch at once, before
//! anything is answered. Nothing here reads a clock, a file, a key or a random number.
//!
//! Cryptography happens before a command is made: a [`Keyring`] verifies credits and signs outputs on any core, so that
//! the one writer only compares bytes and adds numbers.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod answer;
mod batch;
mod books;
mod bundle;
mod call;
mod channel;
mod command;
mod entitlement;
mod escrow;
mod exchange;
mod fare;
mod feature;
mod id;
mod inlet;
mod keyring;
mod keys;
mod op;
mod pages;
mod payees;
mod payout;
mod port;
mod quota;
mod rates;
mod recover;
mod refund;
mod reject;
mod row;
mod session;
mod table;

pub use answer::Answer;
pub use batch::{Decided, Sealed, decide, decide_batch};
pub use books::{Chart, credits_account, sale_reference};
pub use bundle::{
    BUNDLE_GRACE, BUNDLE_USE_WAITS, BeginBundleUse, BundleCommand, BundleRow, BundleUseId, BundleUseRow,
    EndBundleUse,
};
pub use call::{
    Attempt, BookGas, Call, CallRow, Deposit, EndCall, Facilitate, Fund, Gas, GasAccounts, Movement, Outcome,
    Purpose, ReopenCall, SendCall, Settle, SettledPayment, SettlementRow, Withdraw,
};
pub use channel::{
    ChannelAccounts, ChannelRow, ChannelStep, ChargeVoucher, GaveBack, HeldVoucher, MakeChannelCall,
    ReceiverRow, SeeChannel, SeeReceiver, Shares, UnitWorth,
};
pub use command::{
    Admission, ApprovePayout, BankWord, CancelPayout, Carrier, Command, CreateCodes, DrawQuotaKey, EndPayout,
    Enter, ExpireKeyset, FilePayouts, FiledPayout, Forget, ForgetQuotas, Funds, Hold, Input, Issue,
    IssuePart, Leg, Melt, Meter, OpenKeyset, OpenMeltQuote, OpenMintQuote, OpenTrial, Output, Post,
    ProposePayout, Prune, Publish, QuotaCommand, RefundCodes, Release, ReturnQuota, Reverse, SendPayout,
    Swap, TakeQuota, TrialCount,
};
pub use entitlement::{EntitlementCommand, EntitlementId, EntitlementRow, IssueEntitlement};
pub use escrow::{Authorize, Capture, Void};
pub use exchange::{Exchange, ExchangeAccounts, Exchanged};
pub use fare::{FARE_PAID_STAYS, FareRow, FareShare};
pub use feature::{
    AuthorizeUse, Claim, CommitUse, GivenBack, ReleaseUse, USE_KEPT, UseBy, UseCommand, UseId, UseRow,
    UseState,
};
pub use id::{
    AccessId, CallId, ChainAddress, CodeId, CreditId, FareId, LogId, NameId, OutputId, PaymentId, QuoteId,
    ReceiverId, RequestTag, SenderId, StatementId, StatementKind, TransactionId,
};
pub use inlet::{ArrivalRow, Arrive, CursorRow, EndSweep, Holding, InletRow, OpenInlet, Sweep, UndoArrival};
pub use keyring::{Keyring, KeyringReject, SignedOutput};
pub use op::mark::NAME_LASTS;
pub use op::standing::epoch_reference;
pub use pages::pages;
pub use payees::{Part, Payees};
pub use payout::{
    Approval, Needs, OperatorKey, PayoutFileId, PayoutFileRow, PayoutId, PayoutRow, PayoutState, PayoutTerms,
    PayoutTo,
};
pub use port::{Execute, ExecuteFuture, Fault, FaultKind, Read, Record, RecordFuture, Refusal, Store, Tape};
pub use quota::{QuotaId, QuotaKeyRow, QuotaRow};
pub use rates::{AcceptRates, Quotation, RATES, RATES_KEPT, RateSet, RatesRow};
use recover::release_of_row;
pub use recover::{end_of, is_given_back, release_of};
pub use refund::{
    GrantRefund, ItemCounts, ItemId, ItemRow, RATE_FREE, RATE_PERIOD, RATE_TOLD_FROM, REFUND_STEPS_MAX,
    REFUND_WITHIN_MAX, Refund, RefundRow, RefundStep, RefundTerms, RefundTies, RefundedTo, TakeRefund,
    item_name,
};
pub use reject::{
    BundleReject, CallReject, EntitlementReject, FareReject, PayoutReject, QuotaReject, RefundReject, Reject,
    SessionReject, TrialReject, UseReject,
};
pub use row::{
    AccessRow, BOOKS, BooksRow, ChangeOutput, CodeRow, CodeState, CreditRow, EntryRow, Extends, KeysetRow,
    Marks, MeltQuoteRow, MintQuoteRow, Mode, NameRow, OutputRow, PaymentRow, PaymentState, StatementRow,
    Worth,
};
pub use session::{
    CLOSED_KEPT, CatchUp, ChainTerms, CloseSession, FoldTape, OpenSession, SessionId, SessionRow,
    SessionState, TapeRow, TapeStep, TopUpSession,
};
pub use table::{Changes, Keys, Rows, Table};
