//! The life of keysets: each asset has one that signs; it retires when half of its life is over, so that no credit is
//! sold shortly before it is worth nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use farthing_engine::{Command, Execute, Keyring, KeysetRow, OpenKeyset, Read, credits_account};
use farthing_money::{Asset, AssetTable, Timestamp};
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::config::{Config, IssuerConfig};
use crate::installation::{OpenError, execute};

/// Opens keysets, retires them, and tells who listens.
pub struct Keysets {
    key: Zeroizing<[u8; 32]>,
    config: IssuerConfig,
    assets: AssetTable,
    books: Arc<dyn Read>,
    writer: Arc<dyn Execute>,
    keyring: watch::Sender<Arc<Keyring>>,
    /// Keysets of which no row is left, by index, as far as this run knows.
    forgotten: Mutex<BTreeSet<u32>>,
}

impl Keysets {
    /// Keysets derived from `key`; none is in the keyring before the first [`Self::rotate`].
    pub(crate) fn new(
        key: Zeroizing<[u8; 32]>,
        config: &Config,
        books: Arc<dyn Read>,
        writer: Arc<dyn Execute>,
    ) -> Self {
        let (keyring, _) = watch::channel(Arc::default());
        let (config, assets) = (config.issuer.clone(), config.assets.clone());
        Self { key, config, assets, books, writer, keyring, forgotten: Mutex::default() }
    }

    /// The keyring as it is, and as it will be.
    pub fn keyring(&self) -> watch::Receiver<Arc<Keyring>> {
        self.keyring.subscribe()
    }

    /// Opens a keyset for each asset that has none that signs as the configuration says; the ones before it retire, but
    /// redeem as long as they live. Says whether anything changed.
    pub async fn rotate(&self, now: Timestamp) -> Result<bool, OpenError> {
        let known = self.books.keysets()?;
        let mut index = known.iter().map(|row| row.index.saturating_add(1)).max().unwrap_or(0);
        let mut changed = self.keyring.borrow().ids().is_empty();
        for asset in self.assets.iter() {
            let active: Vec<&KeysetRow> =
                known.iter().filter(|row| row.asset == asset && row.active).collect();
            if active.iter().any(|row| fits(row, &self.config, now)) {
                continue;
            }
            let keyset = Keyring::draft(&self.key, &self.draft(asset, index, now))?;
            let account = credits_account(asset, &keyset.id);
            let retire = active.iter().map(|row| row.index).collect();
            execute(&*self.writer, Command::OpenKeyset(OpenKeyset { keyset, account, retire })).await?;
            index = index.saturating_add(1);
            changed = true;
        }
        if changed {
            self.reload()?;
        }
        Ok(changed)
    }

    /// Makes the keyring anew of what the books say: what was written off redeems no more.
    pub(crate) fn reload(&self) -> Result<(), OpenError> {
        self.keyring.send_replace(Arc::new(Keyring::new(&self.key, &self.books.keysets()?)?));
        Ok(())
    }

    /// Whether no row of a keyset is left.
    pub(crate) fn is_forgotten(&self, index: u32) -> bool {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner).contains(&index)
    }

    /// Notes that no row of a keyset is left.
    pub(crate) fn forget(&self, index: u32) {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner).insert(index);
    }

    fn draft(&self, asset: Asset, index: u32, now: Timestamp) -> KeysetRow {
        KeysetRow {
            id: String::new(),
            index,
            asset,
            orders: self.config.keyset_orders,
            input_fee_ppk: u64::from(self.config.input_fee_ppk),
            final_expiry: self.config.final_expiry.map(|span| now.after(span).secs()),
            active: true,
            opened_at: now,
            closed: false,
        }
    }
}

/// Whether a keyset signs as the configuration says and has more than half of its life before it.
fn fits(row: &KeysetRow, config: &IssuerConfig, now: Timestamp) -> bool {
    let opened = row.opened_at.secs();
    let is_young = |expiry: u64| now.secs().saturating_sub(opened) < expiry.saturating_sub(now.secs());
    row.orders == config.keyset_orders
        && row.input_fee_ppk == u64::from(config.input_fee_ppk)
        && row.final_expiry.is_some() == config.final_expiry.is_some()
        && row.final_expiry.is_none_or(is_young)
}
