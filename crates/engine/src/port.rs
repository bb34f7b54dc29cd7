//! What the engine needs of the rooms above it, in domain words.

use std::future::Future;
use std::pin::Pin;

use farthing_channel::ChannelId;
use farthing_ledger::{Account, Head, Reference};
use farthing_money::{Span, Timestamp};
use thiserror::Error;

use crate::{
    AccessId, AccessRow, Answer, ArrivalRow, BooksRow, BundleRow, BundleUseId, BundleUseRow, CallId, CallRow,
    Changes, ChannelRow, CodeId, CodeRow, Command, CreditId, CreditRow, CursorRow, EntitlementId,
    EntitlementRow, EntryRow, FareId, FareRow, InletRow, ItemId, ItemRow, Keys, KeysetRow, LogId,
    MeltQuoteRow, MintQuoteRow, NameId, NameRow, OutputId, OutputRow, PaymentId, PaymentRow, PayoutFileId,
    PayoutFileRow, PayoutId, PayoutRow, QuotaId, QuotaKeyRow, QuotaRow, QuoteId, RatesRow, ReceiverId,
    ReceiverRow, RefundRow, Reject, Rows, Sealed, SenderId, SessionId, SessionRow, SettlementRow,
    StatementId, StatementRow, TapeRow, TapeStep, UseId, UseRow,
};

/// Where a failure of the machine came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Reading or writing failed; nothing more is accepted until a restart.
    Disk,
    /// What was read is damaged.
    Corrupt,
    /// The folder is in use by another program.
    InUse,
    /// The writer has stopped.
    Stopped,
}

/// A failure that is nobody's request's fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Fault {
    /// Where it came from.
    pub kind: FaultKind,
    /// What happened and what to do.
    pub message: String,
}

impl Fault {
    /// A fault with its message.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The rules say no.
    #[error(transparent)]
    Reject(#[from] Reject),
    /// Too much to do; nothing was started.
    #[error("too many requests are waiting; try again in {retry_after}")]
    Busy {
        /// When to try again.
        retry_after: Span,
    },
    /// The machine says no. Whether the command was carried out may be unknown; it is safe to repeat.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Reads committed rows; any thread, any time.
pub trait Read: Send + Sync + 'static {
    /// Credits that are not unspent.
    fn credits(&self, ids: &[CreditId]) -> Result<Vec<Option<CreditRow>>, Fault>;
    /// Outputs that were signed.
    fn outputs(&self, ids: &[OutputId]) -> Result<Vec<Option<OutputRow>>, Fault>;
    /// A mint quote.
    fn mint_quote(&self, id: QuoteId) -> Result<Option<MintQuoteRow>, Fault>;
    /// A melt quote.
    fn melt_quote(&self, id: QuoteId) -> Result<Option<MeltQuoteRow>, Fault>;
    /// A top-up code.
    fn code(&self, id: CodeId) -> Result<Option<CodeRow>, Fault>;
    /// A payment, held or posted.
    fn payment(&self, id: PaymentId) -> Result<Option<PaymentRow>, Fault>;
    /// Every payment that is on hold.
    fn held(&self) -> Result<Vec<(PaymentId, PaymentRow)>, Fault>;
    /// Every keyset, by index.
    fn keysets(&self) -> Result<Vec<KeysetRow>, Fault>;
    /// Every account.
    fn accounts(&self) -> Result<Vec<Account>, Fault>;
    /// When the books were last restored from a backup, if ever.
    fn restored_at(&self) -> Result<Option<Timestamp>, Fault>;
    /// What holds for the books as a whole.
    fn books(&self) -> Result<BooksRow, Fault>;

    /// A published text.
    fn statement(&self, id: StatementId) -> Result<Option<StatementRow>, Fault>;

    /// Published texts from `from` on, in the order of their ids, at most `limit`.
    fn statements(&self, from: StatementId, limit: usize) -> Result<Vec<(StatementId, StatementRow)>, Fault>;

    /// An entry that may be taken back.
    fn entry(&self, reference: Reference) -> Result<Option<EntryRow>, Fault>;

    /// Credits that are pending or spent, after `after` or from the first on, in the order of their ids.
    fn credits_after(
        &self,
        after: Option<CreditId>,
        limit: usize,
    ) -> Result<Vec<(CreditId, CreditRow)>, Fault>;

    /// Signed outputs, after `after` or from the first on, in the order of their ids.
    fn outputs_after(
        &self,
        after: Option<OutputId>,
        limit: usize,
    ) -> Result<Vec<(OutputId, OutputRow)>, Fault>;

    /// Charged payments, after `after` or from the first on, in the order of their ids.
    fn payments_after(
        &self,
        after: Option<PaymentId>,
        limit: usize,
    ) -> Result<Vec<(PaymentId, PaymentRow)>, Fault>;

    /// A call on a chain that is under way.
    fn call(&self, id: CallId) -> Result<Option<CallRow>, Fault>;

    /// Every call on a chain that is under way.
    fn calls(&self) -> Result<Vec<(CallId, CallRow)>, Fault>;

    /// The transaction number after the highest that was ever written down for who sends.
    fn number(&self, sender: SenderId) -> Result<u64, Fault>;

    /// Every call on a chain that has ended and of which the chain may still say something else, with the block of its outcome: 0
    /// if nothing has moved.
    fn watched(&self) -> Result<Vec<(CallId, u64)>, Fault>;

    /// Which call a movement on a chain has settled.
    fn moved(&self, log: LogId) -> Result<Option<CallId>, Fault>;

    /// A call on a chain that has ended.
    fn settlement(&self, id: CallId) -> Result<Option<SettlementRow>, Fault>;

    /// A payment channel.
    fn channel(&self, id: ChannelId) -> Result<Option<ChannelRow>, Fault>;

    /// Payment channels, after `after` or from the first on, in the order of their ids.
    fn channels_after(
        &self,
        after: Option<ChannelId>,
        limit: usize,
    ) -> Result<Vec<(ChannelId, ChannelRow)>, Fault>;

    /// What was moved to whom is paid through channels.
    fn receiver(&self, id: ReceiverId) -> Result<Option<ReceiverRow>, Fault>;
    /// The address of a mint quote at which it takes transfers.
    fn inlet(&self, id: QuoteId) -> Result<Option<InletRow>, Fault>;

    /// Every such address that is looked at, or at which something lies.
    fn inlets(&self) -> Result<Vec<(QuoteId, InletRow)>, Fault>;

    /// Every transfer that was counted.
    fn arrivals(&self) -> Result<Vec<(LogId, ArrivalRow)>, Fault>;

    /// Whether a log was counted as a transfer.
    fn arrival(&self, id: LogId) -> Result<Option<ArrivalRow>, Fault>;

    /// How far a chain, by its number, was looked through for transfers.
    fn cursor(&self, chain: u64) -> Result<Option<CursorRow>, Fault>;

    /// Entitlements, after `after` or from the first on, in the order of their ids.
    fn entitlements_after(
        &self,
        after: Option<EntitlementId>,
        limit: usize,
    ) -> Result<Vec<(EntitlementId, EntitlementRow)>, Fault>;

    /// An entitlement that was issued and is not over, or not forgotten yet.
    fn entitlement(&self, id: EntitlementId) -> Result<Option<EntitlementRow>, Fault>;

    /// A use of a feature, under way or ended.
    fn feature_use(&self, id: UseId) -> Result<Option<UseRow>, Fault>;

    /// Uses of features that are under way, after `after` or from the first on, in the order of their ids.
    fn open_uses_after(&self, after: Option<UseId>, limit: usize) -> Result<Vec<(UseId, UseRow)>, Fault>;

    /// Uses of features that have ended, after `after` or from the first on, in the order of their ids.
    fn ended_uses_after(&self, after: Option<UseId>, limit: usize) -> Result<Vec<(UseId, UseRow)>, Fault>;

    /// The payment that has a payer's own name.
    fn name(&self, id: NameId) -> Result<Option<NameRow>, Fault>;

    /// Payers' own names, after `after` or from the first on, in the order of their ids.
    fn names_after(&self, after: Option<NameId>, limit: usize) -> Result<Vec<(NameId, NameRow)>, Fault>;

    /// Whether somebody has paid for something.
    fn access(&self, id: AccessId) -> Result<Option<AccessRow>, Fault>;

    /// Who has paid for what, after `after` or from the first on, in the order of their ids.
    fn access_after(
        &self,
        after: Option<AccessId>,
        limit: usize,
    ) -> Result<Vec<(AccessId, AccessRow)>, Fault>;

    /// How often somebody had what is free.
    fn quota(&self, id: QuotaId) -> Result<Option<QuotaRow>, Fault>;

    /// Counts of what was had, after `after` or from the first on, in the order of their ids.
    fn quotas_after(&self, after: Option<QuotaId>, limit: usize) -> Result<Vec<(QuotaId, QuotaRow)>, Fault>;

    /// The key of a day.
    fn quota_key(&self, day: u32) -> Result<Option<QuotaKeyRow>, Fault>;

    /// The keys of all days that have one.
    fn quota_keys(&self) -> Result<Vec<(u32, QuotaKeyRow)>, Fault>;
    /// A payout.
    fn payout(&self, id: PayoutId) -> Result<Option<PayoutRow>, Fault>;

    /// Payouts, after `after` or from the first on, in the order of their ids.
    fn payouts_after(
        &self,
        after: Option<PayoutId>,
        limit: usize,
    ) -> Result<Vec<(PayoutId, PayoutRow)>, Fault>;

    /// A bank file of payouts.
    fn payout_file(&self, id: PayoutFileId) -> Result<Option<PayoutFileRow>, Fault>;
    /// A fare.
    fn fare(&self, id: FareId) -> Result<Option<FareRow>, Fault>;

    /// Fares, after `after` or from the first on, in the order of their ids.
    fn fares_after(&self, after: Option<FareId>, limit: usize) -> Result<Vec<(FareId, FareRow)>, Fault>;

    /// What may come back of a payment, and what has.
    fn refund(&self, payment: PaymentId) -> Result<Option<RefundRow>, Fault>;

    /// Refunds, after `after` or from the first on, in the order of their payments.
    fn refunds_after(
        &self,
        after: Option<PaymentId>,
        limit: usize,
    ) -> Result<Vec<(PaymentId, RefundRow)>, Fault>;

    /// How many uses of a bundle are taken.
    fn bundle(&self, id: PaymentId) -> Result<Option<BundleRow>, Fault>;

    /// Bundles, after `after` or from the first on, in the order of the payments that bought them.
    fn bundles_after(
        &self,
        after: Option<PaymentId>,
        limit: usize,
    ) -> Result<Vec<(PaymentId, BundleRow)>, Fault>;

    /// What bundles have opened, after `after` or from the first on, in the order of their ids.
    fn bundle_uses_after(
        &self,
        after: Option<BundleUseId>,
        limit: usize,
    ) -> Result<Vec<(BundleUseId, BundleUseRow)>, Fault>;

    /// How often an item is given back.
    fn item(&self, id: ItemId) -> Result<Option<ItemRow>, Fault>;

    /// Items that can be given back, after `after` or from the first on, in the order of their ids.
    fn items_after(&self, after: Option<ItemId>, limit: usize) -> Result<Vec<(ItemId, ItemRow)>, Fault>;

    /// The rates between currencies.
    fn rates(&self) -> Result<RatesRow, Fault>;

    /// A session, as the books have it.
    fn session(&self, id: SessionId) -> Result<Option<SessionRow>, Fault>;

    /// Sessions, after `after` or from the first on, in the order of their ids.
    fn sessions_after(
        &self,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<(SessionId, SessionRow)>, Fault>;

    /// Rows of the tape from this number on, at most `limit`.
    fn tape(&self, from: u64, limit: usize) -> Result<Vec<(u64, TapeRow)>, Fault>;

    /// The end of the journal.
    fn head(&self) -> Result<Head, Fault>;
    /// At most `limit` journal frames from batch `from` on.
    fn frames(&self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, Fault>;
}

/// Loads rows for a batch and commits what it changed. One writer has it.
pub trait Store: Send + 'static {
    /// Loads the rows under `keys`; rows that are loaded already stay.
    fn load(&self, keys: &Keys, rows: &mut Rows) -> Result<(), Fault>;
    /// Writes the changes and the journal batch in one durable commit. After an error the store refuses everything.
    fn commit(&mut self, changes: &Changes, batch: Option<Sealed>) -> Result<(), Fault>;
    /// The end of the journal.
    fn head(&self) -> Result<Head, Fault>;
}

/// Writes down the steps of sessions before they are in the books. One writer has it, beside the one of the rows.
pub trait Tape: Send + Sync + 'static {
    /// Writes a row in one durable commit. A number is never written twice.
    fn append(&self, number: u64, row: &TapeRow) -> Result<(), Fault>;
}

/// What [`Record::record`] returns.
pub type RecordFuture = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>>;

/// Writes steps of sessions down, many in one commit.
pub trait Record: Send + Sync + 'static {
    /// Writes one down. It is in line when this returns, and durable when the future ends; dropping that takes nothing back.
    fn record(&self, step: TapeStep) -> RecordFuture;
}

/// What [`Execute::execute`] returns.
pub type ExecuteFuture = Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send>>;

/// Carries commands out, durably, in some order.
pub trait Execute: Send + Sync + 'static {
    /// Carries one out. The answer comes after the commit that it reports.
    fn execute(&self, command: Command) -> ExecuteFuture;
}
