//! The bank as the gate sees it: where commands are handed in and rows are read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use farthing_channel::ChannelId;
use farthing_engine::{
    AccessId, AccessRow, ArrivalRow, BooksRow, BundleRow, BundleUseId, BundleUseRow, CallId, CallRow,
    ChannelRow, CodeId, CodeRow, Command, CreditId, CreditRow, CursorRow, EntitlementId, EntitlementRow,
    EntryRow, Execute, ExecuteFuture, FareId, FareRow, Fault, FaultKind, InletRow, ItemId, ItemRow,
    KeysetRow, LogId, MeltQuoteRow, MintQuoteRow, NameId, NameRow, OutputId, OutputRow, PaymentId,
    PaymentRow, PayoutFileId, PayoutFileRow, PayoutId, PayoutRow, QuotaId, QuotaKeyRow, QuotaRow, QuoteId,
    RatesRow, Read, ReceiverId, ReceiverRow, RefundRow, Refusal, SenderId, SessionId, SessionRow,
    SettlementRow, StatementId, StatementRow, TapeRow,
};
use farthing_ledger::{Account, Head, Reference};
use farthing_money::Span;

use super::Bank;

/// Where commands are handed in.
pub(super) struct Desk(pub(super) Arc<Bank>);

impl Execute for Desk {
    fn execute(&self, command: Command) -> ExecuteFuture {
        let waits = self.0.holds.lock().unwrap().clone().filter(|_| matches!(command, Command::Hold(_)));
        if let Some([arrived, go]) = waits {
            let bank = Arc::clone(&self.0);
            return Box::pin(async move {
                arrived.add_permits(1);
                go.acquire().await.unwrap().forget();
                bank.decide(&command)
            });
        }
        let busy =
            self.0.busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        let answer = if busy {
            Err(Refusal::Busy { retry_after: Span::from_millis(1) })
        } else {
            self.0.decide(&command)
        };
        Box::pin(std::future::ready(answer))
    }
}

fn unread<T>() -> Result<T, Fault> {
    Err(Fault::new(FaultKind::Corrupt, "expected that the gate reads payments and nothing else"))
}

impl Read for Desk {
    fn payout(&self, _: PayoutId) -> Result<Option<PayoutRow>, Fault> {
        unread()
    }

    fn payouts_after(&self, _: Option<PayoutId>, _: usize) -> Result<Vec<(PayoutId, PayoutRow)>, Fault> {
        unread()
    }

    fn payout_file(&self, _: PayoutFileId) -> Result<Option<PayoutFileRow>, Fault> {
        unread()
    }

    fn payment(&self, id: PaymentId) -> Result<Option<PaymentRow>, Fault> {
        let mut rows = self.0.rows.lock().unwrap();
        rows.payments.load(id, None);
        rows.held.load(id, None);
        let posted = rows.payments.get(&id).unwrap().cloned();
        Ok(posted.or_else(|| rows.held.get(&id).unwrap().cloned()))
    }

    fn credits(&self, ids: &[CreditId]) -> Result<Vec<Option<CreditRow>>, Fault> {
        let mut rows = self.0.rows.lock().unwrap();
        let read = |id: &CreditId| {
            rows.credits.load(*id, None);
            rows.credits.get(id).unwrap().cloned()
        };
        Ok(ids.iter().map(read).collect())
    }

    fn outputs(&self, _: &[OutputId]) -> Result<Vec<Option<OutputRow>>, Fault> {
        unread()
    }

    fn mint_quote(&self, _: QuoteId) -> Result<Option<MintQuoteRow>, Fault> {
        unread()
    }

    fn melt_quote(&self, _: QuoteId) -> Result<Option<MeltQuoteRow>, Fault> {
        unread()
    }

    fn code(&self, _: CodeId) -> Result<Option<CodeRow>, Fault> {
        unread()
    }

    fn held(&self) -> Result<Vec<(PaymentId, PaymentRow)>, Fault> {
        unread()
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

    fn call(&self, id: CallId) -> Result<Option<CallRow>, Fault> {
        let mut rows = self.0.rows.lock().unwrap();
        rows.calls.load(id, None);
        Ok(rows.calls.get(&id).unwrap().cloned())
    }

    fn calls(&self) -> Result<Vec<(CallId, CallRow)>, Fault> {
        let known = self.0.calls.lock().unwrap().clone();
        Ok(known.into_iter().filter_map(|id| Some((id, self.0.call(id)?))).collect())
    }

    fn number(&self, _: SenderId) -> Result<u64, Fault> {
        unread()
    }

    fn watched(&self) -> Result<Vec<(CallId, u64)>, Fault> {
        unread()
    }

    fn moved(&self, log: LogId) -> Result<Option<CallId>, Fault> {
        let mut rows = self.0.rows.lock().unwrap();
        rows.moved.load(log, None);
        Ok(rows.moved.get(&log).unwrap().copied())
    }

    fn settlement(&self, id: CallId) -> Result<Option<SettlementRow>, Fault> {
        let mut rows = self.0.rows.lock().unwrap();
        rows.settlements.load(id, None);
        Ok(rows.settlements.get(&id).unwrap().cloned())
    }

    fn entitlement(&self, _: EntitlementId) -> Result<Option<EntitlementRow>, Fault> {
        unread()
    }

    fn feature_use(&self, id: farthing_engine::UseId) -> Result<Option<farthing_engine::UseRow>, Fault> {
        let mut rows = self.0.rows.lock().unwrap();
        rows.open_uses.load(id, None);
        rows.ended_uses.load(id, None);
        let open = rows.open_uses.get(&id).unwrap().cloned();
        Ok(open.or_else(|| rows.ended_uses.get(&id).unwrap().cloned()))
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

    fn quota(&self, id: QuotaId) -> Result<Option<QuotaRow>, Fault> {
        let mut rows = self.0.rows.lock().unwrap();
        rows.quotas.load(id, None);
        Ok(rows.quotas.get(&id).unwrap().copied())
    }

    fn quotas_after(&self, _: Option<QuotaId>, _: usize) -> Result<Vec<(QuotaId, QuotaRow)>, Fault> {
        unread()
    }

    fn quota_key(&self, day: u32) -> Result<Option<QuotaKeyRow>, Fault> {
        let mut rows = self.0.rows.lock().unwrap();
        rows.quota_keys.load(day, None);
        Ok(rows.quota_keys.get(&day).unwrap().copied())
    }

    fn quota_keys(&self) -> Result<Vec<(u32, QuotaKeyRow)>, Fault> {
        unread()
    }

    fn inlet(&self, _: QuoteId) -> Result<Option<InletRow>, Fault> {
        unread()
    }

    fn inlets(&self) -> Result<Vec<(QuoteId, InletRow)>, Fault> {
        unread()
    }

    fn arrivals(&self) -> Result<Vec<(LogId, ArrivalRow)>, Fault> {
        unread()
    }

    fn arrival(&self, _: LogId) -> Result<Option<ArrivalRow>, Fault> {
        unread()
    }

    fn cursor(&self, _: u64) -> Result<Option<CursorRow>, Fault> {
        unread()
    }

    fn credits_after(&self, _: Option<CreditId>, _: usize) -> Result<Vec<(CreditId, CreditRow)>, Fault> {
        unread()
    }

    fn outputs_after(&self, _: Option<OutputId>, _: usize) -> Result<Vec<(OutputId, OutputRow)>, Fault> {
        unread()
    }

    fn channel(&self, id: ChannelId) -> Result<Option<ChannelRow>, Fault> {
        let mut rows = self.0.rows.lock().unwrap();
        rows.channels.load(id, None);
        Ok(rows.channels.get(&id).unwrap().cloned())
    }

    fn channels_after(
        &self,
        after: Option<ChannelId>,
        limit: usize,
    ) -> Result<Vec<(ChannelId, ChannelRow)>, Fault> {
        let known = self.0.channels.lock().unwrap().clone();
        let later = known.into_iter().filter(|id| after.is_none_or(|after| *id > after));
        let rows = later.filter_map(|id| Some((id, self.channel(id).unwrap()?)));
        Ok(rows.take(limit).collect())
    }

    fn receiver(&self, _: ReceiverId) -> Result<Option<ReceiverRow>, Fault> {
        unread()
    }

    fn payments_after(&self, _: Option<PaymentId>, _: usize) -> Result<Vec<(PaymentId, PaymentRow)>, Fault> {
        unread()
    }

    fn name(&self, id: NameId) -> Result<Option<NameRow>, Fault> {
        let mut rows = self.0.rows.lock().unwrap();
        rows.names.load(id, None);
        Ok(rows.names.get(&id).unwrap().copied())
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

    fn access(&self, id: AccessId) -> Result<Option<AccessRow>, Fault> {
        let mut rows = self.0.rows.lock().unwrap();
        rows.access.load(id, None);
        Ok(rows.access.get(&id).unwrap().copied())
    }

    fn fare(&self, id: FareId) -> Result<Option<FareRow>, Fault> {
        let mut rows = self.0.rows.lock().unwrap();
        rows.fares.load(id, None);
        Ok(rows.fares.get(&id).unwrap().copied())
    }

    fn fares_after(&self, _: Option<FareId>, _: usize) -> Result<Vec<(FareId, FareRow)>, Fault> {
        unread()
    }

    fn refund(&self, payment: PaymentId) -> Result<Option<RefundRow>, Fault> {
        let mut rows = self.0.rows.lock().unwrap();
        rows.refunds.load(payment, None);
        Ok(rows.refunds.get(&payment).unwrap().cloned())
    }

    fn refunds_after(&self, _: Option<PaymentId>, _: usize) -> Result<Vec<(PaymentId, RefundRow)>, Fault> {
        unread()
    }

    fn bundle(&self, id: PaymentId) -> Result<Option<BundleRow>, Fault> {
        let mut rows = self.0.rows.lock().unwrap();
        rows.bundles.load(id, None);
        Ok(rows.bundles.get(&id).unwrap().copied())
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

    fn item(&self, id: ItemId) -> Result<Option<ItemRow>, Fault> {
        let mut rows = self.0.rows.lock().unwrap();
        rows.items.load(id, None);
        Ok(rows.items.get(&id).unwrap().cloned())
    }

    fn items_after(&self, _: Option<ItemId>, _: usize) -> Result<Vec<(ItemId, ItemRow)>, Fault> {
        unread()
    }

    fn access_after(&self, _: Option<AccessId>, _: usize) -> Result<Vec<(AccessId, AccessRow)>, Fault> {
        unread()
    }
}
