//! The payer: twelve words, credits, budgets that hold, and every operation as a state machine that survives a crash.
//!
//! Nothing here sends, waits, draws a random number or reads a clock. A [`Flow`] says what to do next ([`Step`]) and is
//! told what happened ([`Event`]):
//!
//! ```text
//! let mut event = Event::Go;
//! loop {
//!     event = match flow.next(&mut wallet, event, now())? {
//!         Step::Send(request) => perform(request),     // Event::Answer, NotSent or NoAnswer
//!         Step::Wait(span) => { sleep(span); Event::Go }
//!         Step::Deliver => { stream_the_answer_to_the_user(); Event::Go }
//!         Step::Done(outcome) => break outcome,
//!     };
//! }
//! ```
//!
//! Whatever must not be lost is committed to the [`Vault`] before the step that depends on it is returned. A flow that is
//! dropped anywhere, or a program that dies, leaves an open [`Attempt`] that [`RecoverFlow`] (or the same command again)
//! brings to its end.
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

mod address;
mod api;
mod attempt;
mod audit;
mod audit_history;
mod audit_lists;
mod backup;
mod budget;
mod chain;
mod channel;
mod credit;
mod error;
mod flow;
mod history;
mod http;
mod mandate;
mod merchant;
mod mint;
mod node;
mod offer;
mod outcome;
mod outputs;
mod parked;
pub mod sealed;
mod select;
mod session;
mod state;
mod subscription;
mod unit;
mod vault;
mod wallet;
mod words;

pub use address::{Address, AddressError, mint_address};
pub use attempt::{Attempt, AttemptKind, Booking, Outputs, Payment};
pub use audit::{AuditReport, Audited, CheckedKeyset, Counted, Finding, FindingKind, OwnCredits};
pub use backup::Backup;
pub use budget::{
    Asker, BudgetReject, HostPattern, LimitKind, Limits, Measure, Name, NameError, PatternError, Period,
    Rule, Run, Scope, Shown, Spent, Subject, SubjectError, day_of, month_of,
};
pub use chain::{AccountAddress, ChainId, ChainPayment, Method, OnChain, Token, TokenError};
pub use channel::{
    CallKind, Channel, ChannelPart, ChannelPolicy, InChannels, RememberedOffer, SentCall, SignedDeposit,
    Withdrawal,
};
pub use credit::Credit;
pub use error::{ErrorKind, FundsShort, WalletError};
pub use flow::{
    AskBackFlow, AuditFlow, ChannelCall, ChannelCallFlow, ChannelFindFlow, ChannelRefundFlow, ChannelSeeFlow,
    Flow, HoldingsFlow, OrderFlow, PayFlow, PayRequest, QuoteFlow, ReceiveFlow, ReclaimFlow, RecoverFlow,
    RedeemFlow, RefundFlow, RenewFlow, RestoreFlow, SendFlow, SessionCloseFlow, SessionFindFlow,
    SessionTopUpFlow,
};
pub use history::{Entry, EntryKind};
pub use http::{ANSWER_LIMIT_BYTES, Event, HttpRequest, HttpResponse, Read, Step};
pub use mandate::{Given, MandateReject, Taken};
pub use merchant::{Signer, StoredPass};
pub use mint::Mint;
pub use offer::Means;
pub use outcome::{
    ChannelNews, Holding, LimitUse, Offers, Ordered, Outcome, Paid, Quote, Recovered, RefusedPayment,
    RestoredUnit, SeenOffer, Settled, Transfer, TransferWay, Verdict,
};
pub use parked::{APPROVAL_LASTS, Approval, NeedsYes, Parked, Renews, ToPark};
pub use sealed::{Sealed, SealedError, Unlock};
pub use session::{Session, SessionDeposit, SessionPart, SessionPut};
pub use subscription::{
    Before, Every, RENEWS_BEFORE, Renewed, Standing, SubscribeTerms, Subscription, SubscriptionReject,
};
pub use unit::asset_of;
pub use vault::{Change, MemoryVault, Numbers, Row, RowKey, Vault, VaultFault, VaultFaultKind};
pub use wallet::{Balance, SealingEntropy, Wallet};
pub use words::{Seed, WordsError};
