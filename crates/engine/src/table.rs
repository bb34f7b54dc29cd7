//! The rows of one batch: loaded by the store, changed by decisions, handed back as changes.

use std::collections::HashMap;
use std::hash::Hash;

use farthing_ledger::Account;

use crate::{BOOKS, BooksRow, Reject};

/// Loaded rows of one kind and which of them changed. It is never iterated in hash order.
#[derive(Clone, Debug)]
pub struct Table<K, V> {
    slots: HashMap<K, Slot<V>>,
    changed: Vec<K>,
}

#[derive(Clone, Debug)]
struct Slot<V> {
    row: Option<V>,
    changed: bool,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { slots: HashMap::new(), changed: Vec::new() }
    }
}

impl<K: Copy + Eq + Hash, V> Table<K, V> {
    /// Puts in what the store has under a key, once.
    pub fn load(&mut self, key: K, row: Option<V>) {
        self.slots.entry(key).or_insert(Slot { row, changed: false });
    }

    /// Makes room for so many rows more. Rows are large, and a table that grows moves them all.
    pub fn reserve(&mut self, rows: usize) {
        self.slots.reserve(rows);
    }

    /// Whether the key was loaded.
    pub fn has(&self, key: &K) -> bool {
        self.slots.contains_key(key)
    }

    /// The row under a key. Asking for one that was not loaded is a bug of the command's `keys`.
    pub fn get(&self, key: &K) -> Result<Option<&V>, Reject> {
        self.slots.get(key).map(|slot| slot.row.as_ref()).ok_or(Reject::NotLoaded)
    }

    pub(crate) fn put(&mut self, key: K, row: V) {
        self.set(key, Some(row));
    }

    pub(crate) fn remove(&mut self, key: K) {
        self.set(key, None);
    }

    fn set(&mut self, key: K, row: Option<V>) {
        let slot = self.slots.entry(key).or_insert(Slot { row: None, changed: false });
        slot.row = row;
        if !slot.changed {
            slot.changed = true;
            self.changed.push(key);
        }
    }

    fn into_changes(mut self) -> Vec<(K, Option<V>)> {
        let take = |key| self.slots.remove(&key).map(|slot| (key, slot.row));
        self.changed.into_iter().filter_map(take).collect()
    }
}

/// Hands every table to a macro: its field in [`Keys`], [`Rows`] and [`Changes`], its name, and the types of its keys and rows.
/// What is added here is loaded, stored and compared everywhere; no list elsewhere can forget it.
#[macro_export]
macro_rules! for_each_table {
    ($then:ident) => {
        $then! {
            /// Credits that are not unspent.
            credits Credits: $crate::CreditId => $crate::CreditRow,
            /// Outputs that were signed.
            outputs Outputs: $crate::OutputId => $crate::OutputRow,
            /// Keysets by index.
            keysets Keysets: u32 => $crate::KeysetRow,
            /// Top-up codes.
            codes Codes: $crate::CodeId => $crate::CodeRow,
            /// Mint quotes.
            mint_quotes MintQuotes: $crate::QuoteId => $crate::MintQuoteRow,
            /// Melt quotes.
            melt_quotes MeltQuotes: $crate::QuoteId => $crate::MeltQuoteRow,
            /// Payments under way.
            held Held: $crate::PaymentId => $crate::PaymentRow,
            /// Payments that were charged.
            payments Payments: $crate::PaymentId => $crate::PaymentRow,
            /// The ledger's accounts.
            accounts Accounts: ::farthing_ledger::AccountId => ::farthing_ledger::Account,
            /// What holds for the books as a whole.
            books Books: u8 => $crate::BooksRow,
            /// Signed texts that were published.
            statements Statements: $crate::StatementId => $crate::StatementRow,
            /// Entitlements that were issued and are not over.
            entitlements Entitlements: $crate::EntitlementId => $crate::EntitlementRow,
            /// Uses of features that are under way.
            open_uses OpenUses: $crate::UseId => $crate::UseRow,
            /// Those that have ended, as long as somebody may ask again.
            ended_uses EndedUses: $crate::UseId => $crate::UseRow,
            /// Entries that may be taken back.
            entries Entries: ::farthing_ledger::Reference => $crate::EntryRow,
            /// Calls on chains that are under way.
            calls Calls: $crate::CallId => $crate::CallRow,
            /// Calls on chains that have ended.
            settlements Settlements: $crate::CallId => $crate::SettlementRow,
            /// Those of them that a chain may still take back, and their blocks.
            watched Watched: $crate::CallId => u64,
            /// The transaction number after the highest that was ever written down, by who sends.
            numbers Numbers: $crate::SenderId => u64,
            /// Movements on chains, and which call each has settled: one movement settles one call.
            moved Moved: $crate::LogId => $crate::CallId,
            /// Payment channels.
            channels Channels: ::farthing_channel::ChannelId => $crate::ChannelRow,
            /// What was moved to whom is paid through channels.
            receivers Receivers: $crate::ReceiverId => $crate::ReceiverRow,
            /// Addresses at which mint quotes take transfers.
            inlets Inlets: $crate::QuoteId => $crate::InletRow,
            /// Transfers that came there, by the log that says so: one pays once.
            arrivals Arrivals: $crate::LogId => $crate::ArrivalRow,
            /// How far chains were looked through for them, by the chain's number.
            cursors Cursors: u64 => $crate::CursorRow,
            /// Rates between currencies.
            rates Rates: u8 => $crate::RatesRow,
            /// Sessions: credits that are spent step by step.
            sessions Sessions: $crate::SessionId => $crate::SessionRow,
            /// Steps of sessions that are not in the books yet, in the order in which they were written down.
            tape Tape: u64 => $crate::TapeRow,
            /// Payers' own names for payments.
            names Names: $crate::NameId => $crate::NameRow,
            /// Payouts to merchants.
            payouts Payouts: $crate::PayoutId => $crate::PayoutRow,
            /// Bank files of payouts.
            payout_files PayoutFiles: $crate::PayoutFileId => $crate::PayoutFileRow,
            /// Who has paid for what.
            access Access: $crate::AccessId => $crate::AccessRow,
            /// How often what is free was had, and how many newcomers were let in.
            quotas Quotas: $crate::QuotaId => $crate::QuotaRow,
            /// The keys that name those who had it, by day.
            quota_keys QuotaKeys: u32 => $crate::QuotaKeyRow,
            /// Fares in which single payments count.
            fares Fares: $crate::FareId => $crate::FareRow,
            /// What may come back of payments, and what has.
            refunds Refunds: $crate::PaymentId => $crate::RefundRow,
            /// How many uses of bundles are taken.
            bundles Bundles: $crate::PaymentId => $crate::BundleRow,
            /// What bundles have opened.
            bundle_uses BundleUses: $crate::BundleUseId => $crate::BundleUseRow,
            /// How often what is paid for is given back.
            items Items: $crate::ItemId => $crate::ItemRow,
        }
    };
}

macro_rules! tables {
    ($($(#[$meta:meta])* $field:ident $name:ident: $key:ty => $row:ty,)*) => {
        /// The keys that commands touch, by table. A key may be named more than once.
        #[derive(Clone, Debug, Default)]
        pub struct Keys {
            $($(#[$meta])* pub $field: Vec<$key>,)*
        }

        /// The rows that a batch decides on.
        #[derive(Clone, Debug, Default)]
        pub struct Rows {
            $($(#[$meta])* pub $field: Table<$key, $row>,)*
            pub(crate) opened: Vec<Account>,
        }

        /// What a batch changed, in the order in which it did; `None` removes the row.
        #[derive(Clone, Debug, Default)]
        pub struct Changes {
            $($(#[$meta])* pub $field: Vec<($key, Option<$row>)>,)*
        }

        impl Changes {
            /// Whether nothing changed.
            pub fn is_empty(&self) -> bool {
                true $(&& self.$field.is_empty())*
            }
        }

        impl Rows {
            /// Takes every row that is named and not loaded for absent: what rows in memory that nobody stores need.
            pub fn load_absent(&mut self, keys: &Keys) {
                $(keys.$field.iter().for_each(|key| self.$field.load(*key, None));)*
            }

            pub(crate) fn into_changes(self) -> Changes {
                Changes { $($field: self.$field.into_changes(),)* }
            }
        }
    };
}

for_each_table!(tables);

impl Rows {
    /// What holds for the books as a whole.
    pub(crate) fn standing(&self) -> Result<BooksRow, Reject> {
        Ok(self.books.get(&BOOKS)?.copied().unwrap_or_default())
    }
}
