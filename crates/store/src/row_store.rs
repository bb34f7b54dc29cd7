//! The engine's port on top of any place that keeps bytes.

use std::sync::Arc;

use farthing_engine::{
    Changes, CodeId, CodeRow, CreditId, CreditRow, Fault, FaultKind, Keys, KeysetRow, MeltQuoteRow,
    MintQuoteRow, OutputId, OutputRow, PaymentId, PaymentRow, QuoteId, Read, Rows, Sealed, Store, Table,
};
use farthing_ledger::{Account, AccountId, Batch, Head};
use serde::{Serialize, de::DeserializeOwned};

use crate::codec::{decode, encode};
use crate::{KeyValue, TableName, Write};

const FORMAT_KEY: &[u8] = b"format";
const FORMAT: &[u8] = b"1";
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

row_keys!(CreditId, OutputId, CodeId, QuoteId, PaymentId, AccountId);

impl RowKey for u32 {
    fn bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

impl<B: KeyValue> RowStore<B> {
    /// Rows over these bytes; refuses bytes of another format.
    pub fn open(bytes: B) -> Result<Self, Fault> {
        match bytes.get(TableName::Meta, FORMAT_KEY)?.as_deref() {
            None => {
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

    fn row<R: DeserializeOwned>(&self, table: TableName, key: &impl RowKey) -> Result<Option<R>, Fault> {
        let bytes = self.bytes.get(table, &key.bytes())?;
        bytes.map(|bytes| decode(table, &bytes)).transpose()
    }

    fn rows<K: RowKey, R: DeserializeOwned>(&self, table: TableName) -> Result<Vec<(K, R)>, Fault> {
        let mut rows = Vec::new();
        let mut from = Vec::new();
        loop {
            let pairs = self.bytes.scan(table, &from, SCAN)?;
            let full = pairs.len() == SCAN;
            for (key, value) in pairs {
                let id = K::from_bytes(&key).ok_or_else(|| {
                    Fault::new(FaultKind::Corrupt, format!("a key of {} is damaged", table.as_str()))
                })?;
                rows.push((id, decode(table, &value)?));
                from = key;
                from.push(0);
            }
            if !full {
                return Ok(rows);
            }
        }
    }

    fn load_table<K: RowKey + Eq + std::hash::Hash, R: DeserializeOwned>(
        &self,
        name: TableName,
        keys: &[K],
        table: &mut Table<K, R>,
    ) -> Result<(), Fault> {
        for key in keys {
            if !table.has(key) {
                table.load(*key, self.row(name, key)?);
            }
        }
        Ok(())
    }
}

fn writes<K: RowKey, R: Serialize>(
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

impl<B: KeyValue> Store for RowStore<B> {
    fn load(&self, keys: &Keys, rows: &mut Rows) -> Result<(), Fault> {
        self.load_table(TableName::Credits, &keys.credits, &mut rows.credits)?;
        self.load_table(TableName::Outputs, &keys.outputs, &mut rows.outputs)?;
        self.load_table(TableName::Keysets, &keys.keysets, &mut rows.keysets)?;
        self.load_table(TableName::Codes, &keys.codes, &mut rows.codes)?;
        self.load_table(TableName::MintQuotes, &keys.mint_quotes, &mut rows.mint_quotes)?;
        self.load_table(TableName::MeltQuotes, &keys.melt_quotes, &mut rows.melt_quotes)?;
        self.load_table(TableName::Held, &keys.held, &mut rows.held)?;
        self.load_table(TableName::Payments, &keys.payments, &mut rows.payments)?;
        self.load_table(TableName::Accounts, &keys.accounts, &mut rows.accounts)
    }

    fn commit(&mut self, changes: &Changes, batch: Option<Sealed>) -> Result<(), Fault> {
        let mut out = Vec::new();
        writes(TableName::Credits, &changes.credits, &mut out)?;
        writes(TableName::Outputs, &changes.outputs, &mut out)?;
        writes(TableName::Keysets, &changes.keysets, &mut out)?;
        writes(TableName::Codes, &changes.codes, &mut out)?;
        writes(TableName::MintQuotes, &changes.mint_quotes, &mut out)?;
        writes(TableName::MeltQuotes, &changes.melt_quotes, &mut out)?;
        writes(TableName::Held, &changes.held, &mut out)?;
        writes(TableName::Payments, &changes.payments, &mut out)?;
        writes(TableName::Accounts, &changes.accounts, &mut out)?;
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
        let number = <[u8; 8]>::try_from(key.as_slice()).map(u64::from_be_bytes);
        let number = number.map_err(|_| Fault::new(FaultKind::Corrupt, "a key of journal is damaged"))?;
        Ok(Head { number, digest: Batch::digest(&frame) })
    }

    fn frames(&self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, Fault> {
        let pairs = self.bytes.scan(TableName::Journal, &from.to_be_bytes(), limit)?;
        Ok(pairs.into_iter().map(|(_, frame)| frame).collect())
    }
}
