//! What the engine is asked to do. Every command is complete: cryptography is done, ids are drawn, sums are named. What it
//! touches stands beside it, one file for each part of the engine.

mod bundle;
mod chain;
mod credit;
mod entitlement;
mod feature;
mod meter;
mod operator;
mod payment;
mod payout;
mod quota;
mod refund;
mod session;
mod trial;

use farthing_ledger::Account;
use farthing_money::Timestamp;

pub use self::credit::{Input, Issue, IssuePart, Melt, OpenMeltQuote, OpenMintQuote, Output, Swap};
pub use self::meter::Meter;
pub use self::operator::{
    CreateCodes, Enter, ExpireKeyset, Forget, Leg, OpenKeyset, Prune, Publish, RefundCodes, Reverse,
};
pub use self::payment::{Funds, Hold, Post, Release};
pub use self::payout::{
    ApprovePayout, BankWord, CancelPayout, Carrier, EndPayout, FilePayouts, FiledPayout, ProposePayout,
    SendPayout,
};
pub use self::quota::{Admission, DrawQuotaKey, ForgetQuotas, QuotaCommand, ReturnQuota, TakeQuota};
pub use self::trial::{OpenTrial, TrialCount};
use crate::{
    AcceptRates, Arrive, Authorize, BOOKS, BookGas, BundleCommand, CallId, Capture, CatchUp, ChargeVoucher,
    CloseSession, CursorRow, Deposit, EndCall, EndSweep, EntitlementCommand, Facilitate, FoldTape, Fund,
    Keys, MakeChannelCall, Mode, OpenInlet, OpenSession, QuoteId, Refund, ReopenCall, SeeChannel,
    SeeReceiver, SendCall, SessionId, Settle, Sweep, TopUpSession, UndoArrival, UseCommand, Void, Withdraw,
};

/// Anything that changes a row.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each variant is the struct of the same name")]
pub enum Command {
    OpenAccounts(Vec<Account>),
    OpenKeyset(OpenKeyset),
    CreateCodes(CreateCodes),
    OpenMintQuote(OpenMintQuote),
    Issue(Issue),
    Swap(Swap),
    OpenMeltQuote(OpenMeltQuote),
    Melt(Melt),
    Hold(Hold),
    Meter(Meter),
    Post(Post),
    Release(Release),
    Settle(Settle),
    Authorize(Authorize),
    Capture(Capture),
    Void(Void),
    Deposit(Deposit),
    Withdraw(Withdraw),
    Facilitate(Facilitate),
    Fund(Fund),
    SendCall(SendCall),
    EndCall(EndCall),
    ReopenCall(ReopenCall),
    BookGas(BookGas),
    /// The payer has what the payment bought that this call settled.
    Delivered(CallId),
    MakeChannelCall(MakeChannelCall),
    ChargeVoucher(ChargeVoucher),
    SeeChannel(SeeChannel),
    SeeReceiver(SeeReceiver),
    /// No chain takes the outcomes of these calls back any more.
    Unwatch(Vec<CallId>),
    OpenInlet(OpenInlet),
    Arrive(Arrive),
    UndoArrival(UndoArrival),
    Sweep(Sweep),
    EndSweep(EndSweep),
    /// All blocks of the chain with this number were searched for what this quote's inlet has got.
    Searched(QuoteId, u64),
    /// Forgets inlets that are over.
    CloseInlets(Vec<QuoteId>),
    /// A chain, by its number, was looked through this far.
    SetCursor(u64, CursorRow),
    OpenSession(OpenSession),
    TopUpSession(TopUpSession),
    CloseSession(CloseSession),
    FoldTape(FoldTape),
    /// The books that these sessions are in were restored from a backup.
    MarkRestored(Vec<SessionId>),
    CatchUp(CatchUp),
    RefundCodes(RefundCodes),
    ExpireKeyset(ExpireKeyset),
    Prune(Prune),
    Forget(Forget),
    Quota(QuotaCommand),
    Refund(Refund),
    OpenTrial(OpenTrial),
    Bundle(BundleCommand),
    Enter(Enter),
    Reverse(Reverse),
    Publish(Publish),
    ProposePayout(ProposePayout),
    ApprovePayout(ApprovePayout),
    CancelPayout(CancelPayout),
    SendPayout(SendPayout),
    FilePayouts(FilePayouts),
    EndPayout(EndPayout),
    Entitlement(EntitlementCommand),
    Use(UseCommand),
    AcceptRates(AcceptRates),
    /// Opens, pauses or ends the issuer.
    SetMode(Mode),
    /// Ends the present epoch and begins the one with this number, which is the next.
    OpenEpoch(u32),
    /// Closes everything dated before this: nothing is entered there any more.
    ClosePeriod(Timestamp),
}

impl Command {
    /// Adds the keys of every row that deciding this command reads or writes.
    pub fn keys(&self, keys: &mut Keys) {
        keys.books.push(BOOKS);
        self.credit_keys(keys);
        self.payment_keys(keys);
        self.meter_keys(keys);
        self.channel_keys(keys);
        self.call_keys(keys);
        self.inlet_keys(keys);
        self.session_keys(keys);
        self.operator_keys(keys);
        self.quota_keys(keys);
        self.trial_keys(keys);
        self.payout_keys(keys);
        self.entitlement_keys(keys);
        self.use_keys(keys);
        self.refund_keys(keys);
        self.bundle_keys(keys);
    }
}
