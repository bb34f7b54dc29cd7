//! A vault that outlives its wallet, and that can stop at any commit, before or after it is durable.

use std::sync::{Arc, Mutex};

use farthing_wallet::{
    Attempt, Change, Entry, Limits, MemoryVault, Row, Scope, SealingEntropy, Seed, Unlock, Vault, VaultFault,
    VaultFaultKind, Wallet, WalletError,
};

type Make = fn(SharedVault, Seed, Unlock<'_>, &SealingEntropy) -> Result<Wallet, WalletError>;

#[derive(Clone, Default)]
pub struct SharedVault(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    rows: MemoryVault,
    /// After how many commits it stops, and whether the last of them is durable.
    crash: Option<(usize, bool)>,
    /// What was durably begun, the oldest first.
    begun: Vec<Attempt>,
}

impl Inner {
    fn write(&mut self, changes: &[Change]) -> Result<(), VaultFault> {
        for change in changes {
            if let Change::Put(Row::Attempt(attempt)) = change {
                self.begun.push((**attempt).clone());
            }
        }
        self.rows.commit(changes)
    }
}

impl SharedVault {
    pub fn create(&self) -> Wallet {
        self.make(Wallet::create)
    }

    /// A wallet made again from the same words.
    pub fn restore(&self) -> Wallet {
        self.make(Wallet::restore)
    }

    fn make(&self, make: Make) -> Wallet {
        let entropy = SealingEntropy { salt: [1; 16], nonce: [2; 24] };
        let seed = Seed::from_entropy([7; 16]).unwrap();
        let mut wallet = make(self.clone(), seed, Unlock::Key(&super::KEY), &entropy).unwrap();
        wallet.set_limits(Limits::none("uusd".parse().unwrap())).unwrap();
        wallet
    }

    /// Stops at the commit after `commits` more.
    pub fn crash_after(&self, commits: usize, durable: bool) {
        self.0.lock().unwrap().crash = Some((commits, durable));
    }

    pub fn never_crash(&self) {
        self.0.lock().unwrap().crash = None;
    }

    /// What was durably begun or gone on with since this was asked last.
    pub fn begun(&self) -> Vec<Attempt> {
        std::mem::take(&mut self.0.lock().unwrap().begun)
    }

    /// What is durably booked as spent in all.
    pub fn total_spent(&self) -> u64 {
        let rows = self.load().unwrap();
        let total = rows.into_iter().find_map(|row| match row {
            Row::Spent(spent) if spent.scope == Scope::Total => spent.amount.to_u64(),
            _ => None,
        });
        total.unwrap_or_default()
    }
}

impl Vault for SharedVault {
    fn load(&self) -> Result<Vec<Row>, VaultFault> {
        // As a folder does it: rows go through their text.
        let rows = self.0.lock().unwrap().rows.load()?;
        let again = |row| serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
        Ok(rows.into_iter().map(again).collect())
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), VaultFault> {
        let mut inner = self.0.lock().unwrap();
        let stopped = Err(VaultFault::new(VaultFaultKind::Disk, "the lights went out"));
        match inner.crash {
            Some((0, durable)) => {
                if durable {
                    inner.write(changes)?;
                }
                return stopped;
            }
            Some((left, durable)) => inner.crash = Some((left - 1, durable)),
            None => {}
        }
        inner.write(changes)
    }

    fn history(&self, limit: usize) -> Result<Vec<Entry>, VaultFault> {
        self.0.lock().unwrap().rows.history(limit)
    }
}
