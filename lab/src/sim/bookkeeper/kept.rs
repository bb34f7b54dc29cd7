//! What the books must have kept: every row that was ever acknowledged, as it was last.

use std::collections::BTreeMap;

use farthing_channel::ChannelId;
use farthing_engine::{
    AccessId, AccessRow, BooksRow, CallId, CallRow, Changes, ChannelRow, CodeId, CodeRow, CreditId,
    CreditRow, EntryRow, FareId, FareRow, KeysetRow, LogId, MeltQuoteRow, MintQuoteRow, NameId, NameRow,
    OutputId, OutputRow, PaymentId, PaymentRow, PayoutFileId, PayoutFileRow, PayoutId, PayoutRow, QuotaId,
    QuotaKeyRow, QuotaRow, QuoteId, RatesRow, Read, ReceiverId, ReceiverRow, SettlementRow, StatementId,
    StatementRow,
};
use farthing_ledger::{Account, AccountId, Reference};

use super::broken::{Broken, hold};

macro_rules! kept {
    ($($table:ident: $key:ty => $row:ty,)*) => {
        /// Rows by table.
        #[derive(Clone, Debug, Default)]
        pub struct Kept {
            $(pub $table: BTreeMap<$key, $row>,)*
        }

        impl Kept {
            /// Takes changes over.
            pub fn apply(&mut self, changes: &Changes) {
                $(for (key, row) in &changes.$table {
                    match row {
                        Some(row) => self.$table.insert(*key, row.clone()),
                        None => self.$table.remove(key),
                    };
                })*
            }
        }
    };
}

kept! {
    credits: CreditId => CreditRow,
    outputs: OutputId => OutputRow,
    keysets: u32 => KeysetRow,
    codes: CodeId => CodeRow,
    mint_quotes: QuoteId => MintQuoteRow,
    melt_quotes: QuoteId => MeltQuoteRow,
    held: PaymentId => PaymentRow,
    payments: PaymentId => PaymentRow,
    accounts: AccountId => Account,
    books: u8 => BooksRow,
    statements: StatementId => StatementRow,
    entries: Reference => EntryRow,
    calls: CallId => CallRow,
    settlements: CallId => SettlementRow,
    watched: CallId => u64,
    moved: LogId => CallId,
    channels: ChannelId => ChannelRow,
    receivers: ReceiverId => ReceiverRow,
    rates: u8 => RatesRow,
    names: NameId => NameRow,
    access: AccessId => AccessRow,
    payouts: PayoutId => PayoutRow,
    payout_files: PayoutFileId => PayoutFileRow,
    quotas: QuotaId => QuotaRow,
    quota_keys: u32 => QuotaKeyRow,
    fares: FareId => FareRow,
}

const RULE: &str = "every acknowledged change is still there after a crash, and no other";

/// More than there are, of any table.
const ALL: usize = 1_000_000;

impl Kept {
    /// Compares what must be there with what is.
    pub fn compare(&self, books: &dyn Read) -> Result<(), Broken> {
        let read = |fault: farthing_engine::Fault| Broken::new("the books can be read", fault.to_string());
        let same = |holds: bool, what: &str| hold(holds, RULE, || what.to_owned());
        same(self.credits.clone().into_iter().eq(books.credits_after(None, ALL).map_err(read)?), "credits")?;
        same(self.outputs.clone().into_iter().eq(books.outputs_after(None, ALL).map_err(read)?), "outputs")?;
        same(
            self.payments.clone().into_iter().eq(books.payments_after(None, ALL).map_err(read)?),
            "payments",
        )?;
        same(self.held.clone().into_iter().eq(books.held().map_err(read)?), "held payments")?;
        same(self.keysets.values().eq(books.keysets().map_err(read)?.iter()), "keysets")?;
        same(self.accounts.values().eq(books.accounts().map_err(read)?.iter()), "accounts")?;
        for (id, row) in &self.codes {
            same(books.code(*id).map_err(read)?.as_ref() == Some(row), "a top-up code")?;
        }
        for (id, row) in &self.mint_quotes {
            same(books.mint_quote(*id).map_err(read)?.as_ref() == Some(row), "a mint quote")?;
        }
        for (id, row) in &self.melt_quotes {
            same(books.melt_quote(*id).map_err(read)?.as_ref() == Some(row), "a melt quote")?;
        }
        for (id, row) in &self.statements {
            same(books.statement(*id).map_err(read)?.as_ref() == Some(row), "a statement")?;
        }
        for (id, row) in &self.entries {
            same(books.entry(*id).map_err(read)?.as_ref() == Some(row), "an entry")?;
        }
        same(self.calls.clone().into_iter().eq(books.calls().map_err(read)?), "calls on chains")?;
        same(self.watched.clone().into_iter().eq(books.watched().map_err(read)?), "watched calls")?;
        for (log, call) in &self.moved {
            same(books.moved(*log).map_err(read)?.as_ref() == Some(call), "what a movement has settled")?;
        }
        for (id, row) in &self.settlements {
            same(books.settlement(*id).map_err(read)?.as_ref() == Some(row), "an ended call")?;
        }
        same(
            self.channels.clone().into_iter().eq(books.channels_after(None, ALL).map_err(read)?),
            "channels",
        )?;
        for (id, row) in &self.receivers {
            same(books.receiver(*id).map_err(read)?.as_ref() == Some(row), "what a receiver has")?;
        }
        self.compare_terms(books)?;
        let standing = self.books.values().next().copied().unwrap_or_default();
        same(books.books().map_err(read)? == standing, "the books' own row")
    }

    /// The same for what prices, passes and payouts go by.
    fn compare_terms(&self, books: &dyn Read) -> Result<(), Broken> {
        let read = |fault: farthing_engine::Fault| Broken::new("the books can be read", fault.to_string());
        let same = |holds: bool, what: &str| hold(holds, RULE, || what.to_owned());
        let rates = self.rates.values().next().cloned().unwrap_or_default();
        same(books.rates().map_err(read)? == rates, "rates")?;
        same(self.names.clone().into_iter().eq(books.names_after(None, ALL).map_err(read)?), "names")?;
        same(
            self.access.clone().into_iter().eq(books.access_after(None, ALL).map_err(read)?),
            "who has paid",
        )?;
        same(self.payouts.clone().into_iter().eq(books.payouts_after(None, ALL).map_err(read)?), "payouts")?;
        for (id, row) in &self.payout_files {
            same(books.payout_file(*id).map_err(read)?.as_ref() == Some(row), "a bank file")?;
        }
        same(
            self.quotas.clone().into_iter().eq(books.quotas_after(None, ALL).map_err(read)?),
            "what is free",
        )?;
        let keys = books.quota_keys().map_err(read)?;
        let own = self.quota_keys.iter().map(|(day, row)| (*day, row.key, row.until));
        same(own.eq(keys.iter().map(|(day, row)| (*day, row.key, row.until))), "keys of what is free")?;
        same(self.fares.clone().into_iter().eq(books.fares_after(None, ALL).map_err(read)?), "fares")
    }
}
