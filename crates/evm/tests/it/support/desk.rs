//! The real books on rows in memory: what is decided, and what is read.

use std::ops::Deref;
use std::sync::{Arc, Mutex};

use farthing_engine::{Answer, Chart, Command, Execute, ExecuteFuture, Read, Refusal, Reject};
use farthing_evm::{ChainConfig, Clock};
use farthing_ledger::AccountId;
use farthing_store::{Committer, Memory, RowStore};

use super::{coin, usd};

pub struct Desk {
    rows: RowStore<Memory>,
    committer: Mutex<Committer<RowStore<Memory>>>,
}

impl Desk {
    pub fn open(chain: &ChainConfig, clock: Clock) -> Arc<Self> {
        let rows = RowStore::open(Memory::default()).unwrap();
        let committer = Committer::new(rows.clone(), clock, Box::new(|_| {})).unwrap();
        let desk = Self { rows, committer: Mutex::new(committer) };
        let mut accounts = Chart::of(usd()).accounts();
        accounts.push(Chart::of(usd()).merchant("shop"));
        accounts.extend(Chart::of(coin()).accounts());
        accounts.extend(chain.accounts());
        desk.run(&Command::OpenAccounts(accounts)).unwrap();
        Arc::new(desk)
    }

    pub fn run(&self, command: &Command) -> Result<Answer, Reject> {
        self.commit(command).map_err(|refusal| match refusal {
            Refusal::Reject(reject) => reject,
            refusal => panic!("rows in memory do not fail: {refusal}"),
        })
    }

    fn commit(&self, command: &Command) -> Result<Answer, Refusal> {
        self.committer.lock().unwrap().commit(std::slice::from_ref(command)).remove(0)
    }

    /// Credits less debits that are posted.
    pub fn credit_balance(&self, id: AccountId) -> i128 {
        let account = self.rows.accounts().unwrap().into_iter().find(|account| account.id() == id).unwrap();
        let of = |amount: farthing_money::Amount| i128::try_from(amount.value()).unwrap();
        of(account.totals.credits_posted) - of(account.totals.debits_posted)
    }
}

/// What is in the books is read from the rows.
impl Deref for Desk {
    type Target = RowStore<Memory>;

    fn deref(&self) -> &Self::Target {
        &self.rows
    }
}

impl Execute for Desk {
    fn execute(&self, command: Command) -> ExecuteFuture {
        Box::pin(std::future::ready(self.commit(&command)))
    }
}
