//! Books in memory: the engine's own decisions on rows that never leave the test.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use farthing_channel::ChannelId;
use farthing_engine::{
    AccessId, AccessRow, Answer, ArrivalRow, BooksRow, BundleRow, BundleUseId, BundleUseRow, CallId, CallRow,
    ChannelRow, Chart, CodeId, CodeRow, Command, CreditId, CreditRow, CursorRow, EntitlementId,
    EntitlementRow, EntryRow, Execute, ExecuteFuture, FareId, FareRow, Fault, FaultKind, InletRow, ItemId,
    ItemRow, Keys, KeysetRow, LogId, MeltQuoteRow, MintQuoteRow, NameId, NameRow, OutputId, OutputRow,
    PaymentId, PaymentRow, PayoutFileId, PayoutFileRow, PayoutId, PayoutRow, QuotaId, QuotaKeyRow, QuotaRow,
    QuoteId, RatesRow, Read, ReceiverId, ReceiverRow, RefundRow, Refusal, Reject, Rows, SenderId, SessionId,
    SessionRow, SettlementRow, StatementId, StatementRow, TapeRow, decide,
};
use farthing_evm::{ChainConfig, Clock};
use farthing_ledger::{Account, AccountId, Head, Reference};

use super::{coin, usd};

pub struct Desk {
    rows: Mutex<Rows>,
    /// Every call that was ever made; the rows say which are under way.
    calls: Mutex<BTreeSet<CallId>>,
    /// Every channel that was ever opened.
    channels: Mutex<BTreeSet<ChannelId>>,
    /// Every inlet that was ever opened, and every log that was ever counted.
    inlets: Mutex<BTreeSet<QuoteId>>,
    arrivals: Mutex<BTreeSet<LogId>>,
    /// Every payment that was ever held.
    held: Mutex<BTreeSet<PaymentId>>,
    clock: Clock,
}

impl Desk {
    pub fn open(chain: &ChainConfig, clock: Clock) -> Arc<Self> {
        let desk = Self {
            rows: Mutex::default(),
            calls: Mutex::default(),
            channels: Mutex::default(),
            inlets: Mutex::default(),
            arrivals: Mutex::default(),
            held: Mutex::default(),
            clock,
        };
        let mut accounts = Chart::of(usd()).accounts();
        accounts.push(Chart::of(usd()).merchant("shop"));
        accounts.extend(Chart::of(coin()).accounts());
        accounts.extend(chain.accounts());
        desk.run(&Command::OpenAccounts(accounts)).unwrap();
        Arc::new(desk)
    }

    pub fn run(&self, command: &Command) -> Result<Answer, Reject> {
        let mut rows = self.rows.lock().unwrap();
        let mut keys = Keys::default();
        command.keys(&mut keys);
        self.calls.lock().unwrap().extend(&keys.calls);
        self.channels.lock().unwrap().extend(&keys.channels);
        self.inlets.lock().unwrap().extend(&keys.inlets);
        self.arrivals.lock().unwrap().extend(&keys.arrivals);
        self.held.lock().unwrap().extend(&keys.held);
        rows.load_absent(&keys);
        decide(&mut rows, command, (self.clock)()).map(|(answer, _)| answer)
    }

    /// Credits less debits that are posted.
    pub fn credit_balance(&self, id: AccountId) -> i128 {
        let mut rows = self.rows.lock().unwrap();
        rows.accounts.load(id, None);
        let totals = rows.accounts.get(&id).unwrap().unwrap().totals;
        let of = |amount: farthing_money::Amount| i128::try_from(amount.value()).unwrap();
        of(totals.credits_posted) - of(totals.debits_posted)
    }
}

impl Execute for Desk {
    fn execute(&self, command: Command) -> ExecuteFuture {
        let answer = self.run(&command).map_err(Refusal::Reject);
        Box::pin(std::future::ready(answer))
    }
}

fn unread<T>() -> Result<T, Fault> {
    Err(Fault::new(FaultKind::Corrupt, "expected that this room reads payments and calls and nothing else"))
}

impl Read for Desk {
    fn payout(&self, id: PayoutId) -> Result<Option<PayoutRow>, Fault> {
        let mut rows = self.rows.lock().unwrap();
        rows.payouts.load(id, None);
        Ok(rows.payouts.get(&id).unwrap().cloned())
    }

    fn payouts_after(&self, _: Option<PayoutId>, _: usize) -> Result<Vec<(PayoutId, PayoutRow)>, Fault> {
        unread()
    }

    fn payout_file(&self, _: PayoutFileId) -> Result<Option<PayoutFileRow>, Fault> {
        unread()
    }

    fn payment(&self, id: PaymentId) -> Result<Option<PaymentRow>, Fault> {
        let mut rows = self.rows.lock().unwrap();
        rows.payments.load(id, None);
        rows.held.load(id, None);
        let posted = rows.payments.get(&id).unwrap().cloned();
        Ok(posted.or_else(|| rows.held.get(&id).unwrap().cloned()))
    }

    fn call(&self, id: CallId) -> Result<Option<CallRow>, Fault> {
        let mut rows = self.rows.lock().unwrap();
        rows.calls.load(id, None);
        Ok(rows.calls.get(&id).unwrap().cloned())
    }

    fn calls(&self) -> Result<Vec<(CallId, CallRow)>, Fault> {
        let known: Vec<_> = self.calls.lock().unwrap().iter().copied().collect();
        let rows = known.into_iter().filter_map(|id| self.call(id).unwrap().map(|row| (id, row)));
        Ok(rows.collect())
    }

    fn number(&self, sender: SenderId) -> Result<u64, Fault> {
        let mut rows = self.rows.lock().unwrap();
        rows.numbers.load(sender, None);
        Ok(rows.numbers.get(&sender).unwrap().copied().unwrap_or_default())
    }

    fn watched(&self) -> Result<Vec<(CallId, u64)>, Fault> {
        let rows = self.rows.lock().unwrap();
        let known = self.calls.lock().unwrap();
        Ok(known.iter().filter_map(|id| Some((*id, *rows.watched.get(id).ok()??))).collect())
    }

    fn moved(&self, log: LogId) -> Result<Option<CallId>, Fault> {
        let mut rows = self.rows.lock().unwrap();
        rows.moved.load(log, None);
        Ok(rows.moved.get(&log).unwrap().copied())
    }

    fn settlement(&self, id: CallId) -> Result<Option<SettlementRow>, Fault> {
        let mut rows = self.rows.lock().unwrap();
        rows.settlements.load(id, None);
        Ok(rows.settlements.get(&id).unwrap().cloned())
    }

    fn entitlement(&self, _: EntitlementId) -> Result<Option<EntitlementRow>, Fault> {
        unread()
    }

    fn feature_use(&self, _: farthing_engine::UseId) -> Result<Option<farthing_engine::UseRow>, Fault> {
        unread()
    }

    fn open_uses_after(
        &self,
        _: Option<farthing_engine::UseId>,
        _: usize,
    ) -> Result<Vec<(farthing_engine::UseId, farthing_engine::UseRow)>, Fault> {
        unread()
    }

    fn ended_uses_after(
        &self,
        _: Option<farthing_engine::UseId>,
        _: usize,
    ) -> Result<Vec<(farthing_engine::UseId, farthing_engine::UseRow)>, Fault> {
        unread()
    }

    fn quota(&self, _: QuotaId) -> Result<Option<QuotaRow>, Fault> {
        unread()
    }

    fn quotas_after(&self, _: Option<QuotaId>, _: usize) -> Result<Vec<(QuotaId, QuotaRow)>, Fault> {
        unread()
    }

    fn quota_key(&self, _: u32) -> Result<Option<QuotaKeyRow>, Fault> {
        unread()
    }

    fn quota_keys(&self) -> Result<Vec<(u32, QuotaKeyRow)>, Fault> {
        unread()
    }

    fn name(&self, _: NameId) -> Result<Option<NameRow>, Fault> {
        unread()
    }

    fn entitlements_after(
        &self,
        _: Option<EntitlementId>,
        _: usize,
    ) -> Result<Vec<(EntitlementId, EntitlementRow)>, Fault> {
        unread()
    }

    fn names_after(&self, _: Option<NameId>, _: usize) -> Result<Vec<(NameId, NameRow)>, Fault> {
        unread()
    }

    fn access(&self, _: AccessId) -> Result<Option<AccessRow>, Fault> {
        unread()
    }

    fn fare(&self, _: FareId) -> Result<Option<FareRow>, Fault> {
        unread()
    }

    fn fares_after(&self, _: Option<FareId>, _: usize) -> Result<Vec<(FareId, FareRow)>, Fault> {
        unread()
    }

    fn refund(&self, _: PaymentId) -> Result<Option<RefundRow>, Fault> {
        unread()
    }

    fn refunds_after(&self, _: Option<PaymentId>, _: usize) -> Result<Vec<(PaymentId, RefundRow)>, Fault> {
        unread()
    }

    fn bundle(&self, _: PaymentId) -> Result<Option<BundleRow>, Fault> {
        unread()
    }

    fn bundles_after(&self, _: Option<PaymentId>, _: usize) -> Result<Vec<(PaymentId, BundleRow)>, Fault> {
        unread()
    }

    fn bundle_uses_after(
        &self,
        _: Option<BundleUseId>,
        _: usize,
    ) -> Result<Vec<(BundleUseId, BundleUseRow)>, Fault> {
        unread()
    }

    fn item(&self, _: ItemId) -> Result<Option<ItemRow>, Fault> {
        unread()
    }

    fn items_after(&self, _: Option<ItemId>, _: usize) -> Result<Vec<(ItemId, ItemRow)>, Fault> {
        unread()
    }

    fn access_after(&self, _: Option<AccessId>, _: usize) -> Result<Vec<(AccessId, AccessRow)>, Fault> {
        unread()
    }

    fn credits(&self, _: &[CreditId]) -> Result<Vec<Option<CreditRow>>, Fault> {
        unread()
    }

    fn outputs(&self, _: &[OutputId]) -> Result<Vec<Option<OutputRow>>, Fault> {
        unread()
    }

    fn mint_quote(&self, id: QuoteId) -> Result<Option<MintQuoteRow>, Fault> {
        let mut rows = self.rows.lock().unwrap();
        rows.mint_quotes.load(id, None);
        Ok(rows.mint_quotes.get(&id).unwrap().cloned())
    }

    fn inlet(&self, id: QuoteId) -> Result<Option<InletRow>, Fault> {
        let mut rows = self.rows.lock().unwrap();
        rows.inlets.load(id, None);
        Ok(rows.inlets.get(&id).unwrap().cloned())
    }

    fn inlets(&self) -> Result<Vec<(QuoteId, InletRow)>, Fault> {
        let known: Vec<_> = self.inlets.lock().unwrap().iter().copied().collect();
        Ok(known.into_iter().filter_map(|id| self.inlet(id).unwrap().map(|row| (id, row))).collect())
    }

    fn arrivals(&self) -> Result<Vec<(LogId, ArrivalRow)>, Fault> {
        let known: Vec<_> = self.arrivals.lock().unwrap().iter().copied().collect();
        Ok(known.into_iter().filter_map(|id| self.arrival(id).unwrap().map(|row| (id, row))).collect())
    }

    fn arrival(&self, id: LogId) -> Result<Option<ArrivalRow>, Fault> {
        let mut rows = self.rows.lock().unwrap();
        rows.arrivals.load(id, None);
        Ok(rows.arrivals.get(&id).unwrap().cloned())
    }

    fn cursor(&self, chain: u64) -> Result<Option<CursorRow>, Fault> {
        let mut rows = self.rows.lock().unwrap();
        rows.cursors.load(chain, None);
        Ok(rows.cursors.get(&chain).unwrap().copied())
    }

    fn melt_quote(&self, _: QuoteId) -> Result<Option<MeltQuoteRow>, Fault> {
        unread()
    }

    fn code(&self, _: CodeId) -> Result<Option<CodeRow>, Fault> {
        unread()
    }

    fn held(&self) -> Result<Vec<(PaymentId, PaymentRow)>, Fault> {
        let rows = self.rows.lock().unwrap();
        let known = self.held.lock().unwrap();
        Ok(known.iter().filter_map(|id| Some((*id, rows.held.get(id).ok()??.clone()))).collect())
    }

    fn keysets(&self) -> Result<Vec<KeysetRow>, Fault> {
        unread()
    }

    fn accounts(&self) -> Result<Vec<Account>, Fault> {
        unread()
    }

    fn rates(&self) -> Result<RatesRow, Fault> {
        unread()
    }

    fn books(&self) -> Result<BooksRow, Fault> {
        unread()
    }

    fn statement(&self, _: StatementId) -> Result<Option<StatementRow>, Fault> {
        unread()
    }

    fn statements(&self, _: StatementId, _: usize) -> Result<Vec<(StatementId, StatementRow)>, Fault> {
        unread()
    }

    fn entry(&self, _: Reference) -> Result<Option<EntryRow>, Fault> {
        unread()
    }

    fn credits_after(&self, _: Option<CreditId>, _: usize) -> Result<Vec<(CreditId, CreditRow)>, Fault> {
        unread()
    }

    fn outputs_after(&self, _: Option<OutputId>, _: usize) -> Result<Vec<(OutputId, OutputRow)>, Fault> {
        unread()
    }

    fn channel(&self, id: ChannelId) -> Result<Option<ChannelRow>, Fault> {
        let mut rows = self.rows.lock().unwrap();
        rows.channels.load(id, None);
        Ok(rows.channels.get(&id).unwrap().cloned())
    }

    /// All in one page.
    fn channels_after(
        &self,
        after: Option<ChannelId>,
        _: usize,
    ) -> Result<Vec<(ChannelId, ChannelRow)>, Fault> {
        let known: Vec<_> = self.channels.lock().unwrap().iter().copied().collect();
        let later = known.into_iter().filter(|id| after.is_none_or(|after| *id > after));
        Ok(later.filter_map(|id| self.channel(id).unwrap().map(|row| (id, row))).collect())
    }

    fn receiver(&self, id: ReceiverId) -> Result<Option<ReceiverRow>, Fault> {
        let mut rows = self.rows.lock().unwrap();
        rows.receivers.load(id, None);
        Ok(rows.receivers.get(&id).unwrap().copied())
    }

    fn payments_after(&self, _: Option<PaymentId>, _: usize) -> Result<Vec<(PaymentId, PaymentRow)>, Fault> {
        unread()
    }

    fn head(&self) -> Result<Head, Fault> {
        unread()
    }

    fn session(&self, _: SessionId) -> Result<Option<SessionRow>, Fault> {
        unread()
    }

    fn sessions_after(&self, _: Option<SessionId>, _: usize) -> Result<Vec<(SessionId, SessionRow)>, Fault> {
        unread()
    }

    fn tape(&self, _: u64, _: usize) -> Result<Vec<(u64, TapeRow)>, Fault> {
        unread()
    }

    fn frames(&self, _: u64, _: usize) -> Result<Vec<Vec<u8>>, Fault> {
        unread()
    }
}
