//! The engine's port on top of any place that keeps bytes.

use std::sync::Arc;

use farthing_channel::ChannelId;
use farthing_engine::{
    AccessId, AccessRow, ArrivalRow, BOOKS, BooksRow, BundleRow, BundleUseId, BundleUseRow, CallId, CallRow,
    Changes, ChannelRow, CodeId, CodeRow, CreditId, CreditRow, CursorRow, EntitlementId, EntitlementRow,
    EntryRow, FareId, FareRow, Fault, FaultKind, InletRow, ItemId, ItemRow, Keys, KeysetRow, LogId,
    MeltQuoteRow, MintQuoteRow, NameId, NameRow, OutputId, OutputRow, PaymentId, PaymentRow, PayoutFileId,
    PayoutFileRow, PayoutId, PayoutRow, QuotaId, QuotaKeyRow, QuotaRow, QuoteId, RATES, RatesRow, Read,
    ReceiverId, ReceiverRow, RefundRow, Rows, Sealed, SenderId, SessionId, SessionRow, SettlementRow,
    StatementId, StatementRow, Store, Table, Tape, TapeRow, UseId, UseRow, for_each_table,
};
use farthing_ledger::{Account, AccountId, Head, Reference};
use farthing_money::Timestamp;

use crate::codec::{Row, decode, encode};
use crate::{KeyValue, TableName, Write};

const FORMAT_KEY: &[u8] = b"format";
const RESTORED_KEY: &[u8] = b"restored";
const FORMAT: &[u8] = b"2";
const FORMAT_BEFORE: &[u8] = b"1";
const SCAN: usize = 1024;

/// Rows over bytes. Clones share the same bytes; one of them belongs to the writer.
pub struct RowStore<B> {
    bytes: Arc<B>,
}

impl<B> Clone for RowStore<B> {
    fn clone(&self) -> Self {
        Self { bytes: Arc::clone(&self.bytes) }
    }
}

/// A key as bytes.
trait RowKey: Copy {
    fn bytes(&self) -> Vec<u8>;
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

macro_rules! row_keys {
    ($($id:ty),*) => {$(
        impl RowKey for $id {
            fn bytes(&self) -> Vec<u8> {
                self.as_bytes().to_vec()
            }
            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(<$id>::from_bytes)
            }
        }
    )*};
}

row_keys!(
    AccessId,
    CallId,
    ChannelId,
    EntitlementId,
    BundleUseId,
    FareId,
    ItemId,
    LogId,
    NameId,
    ReceiverId,
    SenderId,
    SessionId,
    CreditId,
    OutputId,
    CodeId,
    QuotaId,
    QuoteId,
    PaymentId,
    PayoutId,
    PayoutFileId,
    AccountId,
    StatementId,
    UseId,
    Reference
);

impl RowKey for u8 {
    fn bytes(&self) -> Vec<u8> {
        vec![*self]
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

impl RowKey for u32 {
    fn bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

impl RowKey for u64 {
    fn bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

/// What says that the books were restored from a backup, and when.
pub fn restored(at: Timestamp) -> Write {
    let value = Some(at.millis().to_be_bytes().to_vec());
    Write { table: TableName::Meta, key: RESTORED_KEY.to_vec(), value }
}

impl<B: KeyValue> RowStore<B> {
    /// Rows over these bytes. Those of the format before are taken over: their rows are read as they are and written anew
    /// when they change, and older versions refuse them from now on. Bytes of another format are refused.
    pub fn open(bytes: B) -> Result<Self, Fault> {
        match bytes.get(TableName::Meta, FORMAT_KEY)?.as_deref() {
            None | Some(FORMAT_BEFORE) => {
                let value = Some(FORMAT.to_vec());
                bytes.write(vec![Write { table: TableName::Meta, key: FORMAT_KEY.to_vec(), value }])?;
            }
            Some(FORMAT) => {}
            Some(other) => {
                let message = format!(
                    "the folder has format {:?}, this version reads {:?}; use the version that wrote it",
                    String::from_utf8_lossy(other),
                    String::from_utf8_lossy(FORMAT)
                );
                return Err(Fault::new(FaultKind::Corrupt, message));
            }
        }
        Ok(Self { bytes: Arc::new(bytes) })
    }

    fn row<R: Row>(&self, table: TableName, key: &impl RowKey) -> Result<Option<R>, Fault> {
        let bytes = self.bytes.get(table, &key.bytes())?;
        bytes.map(|bytes| decode(table, &bytes)).transpose()
    }

    fn rows<K: RowKey, R: Row>(&self, table: TableName) -> Result<Vec<(K, R)>, Fault> {
        let mut rows = Vec::new();
        loop {
            let from = beyond(rows.last().map(|(key, _)| *key));
            let page = self.page(table, &from, SCAN)?;
            let full = page.len() == SCAN;
            rows.extend(page);
            if !full {
                return Ok(rows);
            }
        }
    }

    /// At most `limit` rows from a key on.
    fn page<K: RowKey, R: Row>(
        &self,
        table: TableName,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(K, R)>, Fault> {
        let row = |(key, value): (Vec<u8>, Vec<u8>)| {
            let key = K::from_bytes(&key).ok_or_else(|| {
                Fault::new(FaultKind::Corrupt, format!("a key of {} is damaged", table.as_str()))
            })?;
            Ok((key, decode(table, &value)?))
        };
        self.bytes.scan(table, from, limit)?.into_iter().map(row).collect()
    }

    fn load_table<K: RowKey + Eq + std::hash::Hash, R: Row>(
        &self,
        name: TableName,
        keys: &[K],
        table: &mut Table<K, R>,
    ) -> Result<(), Fault> {
        table.reserve(keys.len());
        for key in keys {
            if !table.has(key) {
                table.load(*key, self.row(name, key)?);
            }
        }
        Ok(())
    }
}

/// The least key after this one; the least of all if there is none.
fn beyond<K: RowKey>(after: Option<K>) -> Vec<u8> {
    after.map_or_else(Vec::new, |key| [key.bytes(), vec![0]].concat())
}

fn writes<K: RowKey, R: Row>(
    table: TableName,
    rows: &[(K, Option<R>)],
    writes: &mut Vec<Write>,
) -> Result<(), Fault> {
    for (key, row) in rows {
        let value = row.as_ref().map(|row| encode(table, row)).transpose()?;
        writes.push(Write { table, key: key.bytes(), value });
    }
    Ok(())
}

macro_rules! rows_by_table {
    ($($(#[$meta:meta])* $field:ident $name:ident: $key:ty => $row:ty,)*) => {
        impl<B: KeyValue> RowStore<B> {
            fn load_rows(&self, keys: &Keys, rows: &mut Rows) -> Result<(), Fault> {
                $(self.load_table(TableName::$name, &keys.$field, &mut rows.$field)?;)*
                Ok(())
            }
        }

        fn writes_of(changes: &Changes) -> Result<Vec<Write>, Fault> {
            let mut out = Vec::new();
            $(writes(TableName::$name, &changes.$field, &mut out)?;)*
            Ok(out)
        }
    };
}

for_each_table!(rows_by_table);

impl<B: KeyValue> Store for RowStore<B> {
    fn load(&self, keys: &Keys, rows: &mut Rows) -> Result<(), Fault> {
        self.load_rows(keys, rows)
    }

    fn commit(&mut self, changes: &Changes, batch: Option<Sealed>) -> Result<(), Fault> {
        let mut out = writes_of(changes)?;
        if let Some(Sealed { frame, head }) = batch {
            let key = head.number.to_be_bytes().to_vec();
            out.push(Write { table: TableName::Journal, key, value: Some(frame) });
        }
        self.bytes.write(out)
    }

    fn head(&self) -> Result<Head, Fault> {
        Read::head(self)
    }
}

impl<B: KeyValue> Tape for RowStore<B> {
    fn append(&self, number: u64, row: &TapeRow) -> Result<(), Fault> {
        let value = Some(encode(TableName::Tape, row)?);
        self.bytes.write(vec![Write { table: TableName::Tape, key: number.bytes(), value }])
    }
}

impl<B: KeyValue> Read for RowStore<B> {
    fn credits(&self, ids: &[CreditId]) -> Result<Vec<Option<CreditRow>>, Fault> {
        ids.iter().map(|id| self.row(TableName::Credits, id)).collect()
    }

    fn outputs(&self, ids: &[OutputId]) -> Result<Vec<Option<OutputRow>>, Fault> {
        ids.iter().map(|id| self.row(TableName::Outputs, id)).collect()
    }

    fn mint_quote(&self, id: QuoteId) -> Result<Option<MintQuoteRow>, Fault> {
        self.row(TableName::MintQuotes, &id)
    }

    fn melt_quote(&self, id: QuoteId) -> Result<Option<MeltQuoteRow>, Fault> {
        self.row(TableName::MeltQuotes, &id)
    }

    fn code(&self, id: CodeId) -> Result<Option<CodeRow>, Fault> {
        self.row(TableName::Codes, &id)
    }

    fn payment(&self, id: PaymentId) -> Result<Option<PaymentRow>, Fault> {
        match self.row(TableName::Payments, &id)? {
            Some(row) => Ok(Some(row)),
            None => self.row(TableName::Held, &id),
        }
    }

    fn held(&self) -> Result<Vec<(PaymentId, PaymentRow)>, Fault> {
        self.rows(TableName::Held)
    }

    fn keysets(&self) -> Result<Vec<KeysetRow>, Fault> {
        Ok(self.rows::<u32, _>(TableName::Keysets)?.into_iter().map(|(_, row)| row).collect())
    }

    fn accounts(&self) -> Result<Vec<Account>, Fault> {
        Ok(self.rows::<AccountId, _>(TableName::Accounts)?.into_iter().map(|(_, row)| row).collect())
    }

    fn head(&self) -> Result<Head, Fault> {
        let Some((key, frame)) = self.bytes.last(TableName::Journal)? else {
            return Ok(Head::START);
        };
        let damaged = |what: String| Fault::new(FaultKind::Corrupt, format!("the journal's end: {what}"));
        let head = Head::of(&frame).map_err(|error| damaged(error.to_string()))?;
        if head.number.to_be_bytes().as_slice() == key.as_slice() {
            Ok(head)
        } else {
            Err(damaged(format!("batch {} stands at another's place", head.number)))
        }
    }

    fn restored_at(&self) -> Result<Option<Timestamp>, Fault> {
        let bytes = self.bytes.get(TableName::Meta, RESTORED_KEY)?;
        let millis = bytes.map(|bytes| {
            let message = "when the books were restored is not a time; restore the folder from a backup";
            u64::from_bytes(&bytes).ok_or_else(|| Fault::new(FaultKind::Corrupt, message))
        });
        Ok(millis.transpose()?.map(Timestamp::from_millis))
    }

    fn books(&self) -> Result<BooksRow, Fault> {
        Ok(self.row(TableName::Books, &BOOKS)?.unwrap_or_default())
    }

    fn statement(&self, id: StatementId) -> Result<Option<StatementRow>, Fault> {
        self.row(TableName::Statements, &id)
    }

    fn statements(&self, from: StatementId, limit: usize) -> Result<Vec<(StatementId, StatementRow)>, Fault> {
        self.page(TableName::Statements, &from.bytes(), limit)
    }

    fn payout(&self, id: PayoutId) -> Result<Option<PayoutRow>, Fault> {
        self.row(TableName::Payouts, &id)
    }

    fn payouts_after(
        &self,
        after: Option<PayoutId>,
        limit: usize,
    ) -> Result<Vec<(PayoutId, PayoutRow)>, Fault> {
        self.page(TableName::Payouts, &beyond(after), limit)
    }

    fn payout_file(&self, id: PayoutFileId) -> Result<Option<PayoutFileRow>, Fault> {
        self.row(TableName::PayoutFiles, &id)
    }

    fn entry(&self, reference: Reference) -> Result<Option<EntryRow>, Fault> {
        self.row(TableName::Entries, &reference)
    }

    fn call(&self, id: CallId) -> Result<Option<CallRow>, Fault> {
        self.row(TableName::Calls, &id)
    }

    fn calls(&self) -> Result<Vec<(CallId, CallRow)>, Fault> {
        self.rows(TableName::Calls)
    }

    fn number(&self, sender: SenderId) -> Result<u64, Fault> {
        Ok(self.row(TableName::Numbers, &sender)?.unwrap_or_default())
    }

    fn watched(&self) -> Result<Vec<(CallId, u64)>, Fault> {
        self.rows(TableName::Watched)
    }

    fn moved(&self, log: LogId) -> Result<Option<CallId>, Fault> {
        self.row(TableName::Moved, &log)
    }

    fn settlement(&self, id: CallId) -> Result<Option<SettlementRow>, Fault> {
        self.row(TableName::Settlements, &id)
    }

    fn inlet(&self, id: QuoteId) -> Result<Option<InletRow>, Fault> {
        self.row(TableName::Inlets, &id)
    }

    fn inlets(&self) -> Result<Vec<(QuoteId, InletRow)>, Fault> {
        self.rows(TableName::Inlets)
    }

    fn arrivals(&self) -> Result<Vec<(LogId, ArrivalRow)>, Fault> {
        self.rows(TableName::Arrivals)
    }

    fn arrival(&self, id: LogId) -> Result<Option<ArrivalRow>, Fault> {
        self.row(TableName::Arrivals, &id)
    }

    fn cursor(&self, chain: u64) -> Result<Option<CursorRow>, Fault> {
        self.row(TableName::Cursors, &chain)
    }

    fn credits_after(
        &self,
        after: Option<CreditId>,
        limit: usize,
    ) -> Result<Vec<(CreditId, CreditRow)>, Fault> {
        self.page(TableName::Credits, &beyond(after), limit)
    }

    fn outputs_after(
        &self,
        after: Option<OutputId>,
        limit: usize,
    ) -> Result<Vec<(OutputId, OutputRow)>, Fault> {
        self.page(TableName::Outputs, &beyond(after), limit)
    }

    fn payments_after(
        &self,
        after: Option<PaymentId>,
        limit: usize,
    ) -> Result<Vec<(PaymentId, PaymentRow)>, Fault> {
        self.page(TableName::Payments, &beyond(after), limit)
    }

    fn channel(&self, id: ChannelId) -> Result<Option<ChannelRow>, Fault> {
        self.row(TableName::Channels, &id)
    }

    fn channels_after(
        &self,
        after: Option<ChannelId>,
        limit: usize,
    ) -> Result<Vec<(ChannelId, ChannelRow)>, Fault> {
        self.page(TableName::Channels, &beyond(after), limit)
    }

    fn receiver(&self, id: ReceiverId) -> Result<Option<ReceiverRow>, Fault> {
        self.row(TableName::Receivers, &id)
    }

    fn name(&self, id: NameId) -> Result<Option<NameRow>, Fault> {
        self.row(TableName::Names, &id)
    }

    fn entitlements_after(
        &self,
        after: Option<EntitlementId>,
        limit: usize,
    ) -> Result<Vec<(EntitlementId, EntitlementRow)>, Fault> {
        self.page(TableName::Entitlements, &beyond(after), limit)
    }

    fn names_after(&self, after: Option<NameId>, limit: usize) -> Result<Vec<(NameId, NameRow)>, Fault> {
        self.page(TableName::Names, &beyond(after), limit)
    }

    fn fare(&self, id: FareId) -> Result<Option<FareRow>, Fault> {
        self.row(TableName::Fares, &id)
    }

    fn fares_after(&self, after: Option<FareId>, limit: usize) -> Result<Vec<(FareId, FareRow)>, Fault> {
        self.page(TableName::Fares, &beyond(after), limit)
    }

    fn refund(&self, payment: PaymentId) -> Result<Option<RefundRow>, Fault> {
        self.row(TableName::Refunds, &payment)
    }

    fn refunds_after(
        &self,
        after: Option<PaymentId>,
        limit: usize,
    ) -> Result<Vec<(PaymentId, RefundRow)>, Fault> {
        self.page(TableName::Refunds, &beyond(after), limit)
    }

    fn bundle(&self, id: PaymentId) -> Result<Option<BundleRow>, Fault> {
        self.row(TableName::Bundles, &id)
    }

    fn bundles_after(
        &self,
        after: Option<PaymentId>,
        limit: usize,
    ) -> Result<Vec<(PaymentId, BundleRow)>, Fault> {
        self.page(TableName::Bundles, &beyond(after), limit)
    }

    fn bundle_uses_after(
        &self,
        after: Option<BundleUseId>,
        limit: usize,
    ) -> Result<Vec<(BundleUseId, BundleUseRow)>, Fault> {
        self.page(TableName::BundleUses, &beyond(after), limit)
    }

    fn item(&self, id: ItemId) -> Result<Option<ItemRow>, Fault> {
        self.row(TableName::Items, &id)
    }

    fn items_after(&self, after: Option<ItemId>, limit: usize) -> Result<Vec<(ItemId, ItemRow)>, Fault> {
        self.page(TableName::Items, &beyond(after), limit)
    }

    fn access(&self, id: AccessId) -> Result<Option<AccessRow>, Fault> {
        self.row(TableName::Access, &id)
    }

    fn access_after(
        &self,
        after: Option<AccessId>,
        limit: usize,
    ) -> Result<Vec<(AccessId, AccessRow)>, Fault> {
        self.page(TableName::Access, &beyond(after), limit)
    }

    fn rates(&self) -> Result<RatesRow, Fault> {
        Ok(self.row(TableName::Rates, &RATES)?.unwrap_or_default())
    }

    fn entitlement(&self, id: EntitlementId) -> Result<Option<EntitlementRow>, Fault> {
        self.row(TableName::Entitlements, &id)
    }

    fn feature_use(&self, id: UseId) -> Result<Option<UseRow>, Fault> {
        // It may end between the two looks: what is not open any more has ended.
        match self.row(TableName::OpenUses, &id)? {
            Some(row) => Ok(Some(row)),
            None => self.row(TableName::EndedUses, &id),
        }
    }

    fn open_uses_after(&self, after: Option<UseId>, limit: usize) -> Result<Vec<(UseId, UseRow)>, Fault> {
        self.page(TableName::OpenUses, &beyond(after), limit)
    }

    fn ended_uses_after(&self, after: Option<UseId>, limit: usize) -> Result<Vec<(UseId, UseRow)>, Fault> {
        self.page(TableName::EndedUses, &beyond(after), limit)
    }

    fn quota(&self, id: QuotaId) -> Result<Option<QuotaRow>, Fault> {
        self.row(TableName::Quotas, &id)
    }

    fn quotas_after(&self, after: Option<QuotaId>, limit: usize) -> Result<Vec<(QuotaId, QuotaRow)>, Fault> {
        self.page(TableName::Quotas, &beyond(after), limit)
    }

    fn quota_key(&self, day: u32) -> Result<Option<QuotaKeyRow>, Fault> {
        self.row(TableName::QuotaKeys, &day)
    }

    fn quota_keys(&self) -> Result<Vec<(u32, QuotaKeyRow)>, Fault> {
        self.rows(TableName::QuotaKeys)
    }

    fn session(&self, id: SessionId) -> Result<Option<SessionRow>, Fault> {
        self.row(TableName::Sessions, &id)
    }

    fn sessions_after(
        &self,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<(SessionId, SessionRow)>, Fault> {
        self.page(TableName::Sessions, &beyond(after), limit)
    }

    fn tape(&self, from: u64, limit: usize) -> Result<Vec<(u64, TapeRow)>, Fault> {
        self.page(TableName::Tape, &from.bytes(), limit)
    }

    fn frames(&self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, Fault> {
        let pairs = self.bytes.scan(TableName::Journal, &from.to_be_bytes(), limit)?;
        Ok(pairs.into_iter().map(|(_, frame)| frame).collect())
    }
}
