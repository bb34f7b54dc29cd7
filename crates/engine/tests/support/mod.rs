//! What tests of the engine share: commands decided on rows that nobody stores, a shop that is paid on a chain, and what
//! stands in an account.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use farthing_engine::{Answer, Chart, Command, GasAccounts, Keys, Reject, Rows, decide};
use farthing_ledger::{Account, AccountId};
use farthing_money::{Amount, Asset, Timestamp};

pub const CHAIN: u64 = 84_532;

pub fn usd() -> Asset {
    Asset::micro("USD").unwrap()
}

pub fn coin() -> Asset {
    Asset::new("ETH", 18, "wei").unwrap()
}

pub fn reserve() -> Account {
    Chart::of(usd()).reserve("eip155:84532:USDC")
}

pub fn merchant() -> Account {
    Chart::of(usd()).merchant("shop")
}

pub fn gas_accounts() -> GasAccounts {
    let [purse, spent] = coins().map(|account| account.id());
    GasAccounts { asset: coin(), purse, spent }
}

/// The purse, and what was spent of it.
fn coins() -> [Account; 2] {
    let chart = Chart::of(coin());
    [chart.purse("eip155:84532"), chart.gas("eip155:84532")]
}

/// The accounts of a shop that is paid on a chain.
pub fn accounts() -> Vec<Account> {
    let mut accounts = Chart::of(usd()).accounts();
    accounts.extend([reserve(), merchant()]);
    accounts.extend(coins());
    accounts
}

/// Decides a command. Rows that it names and that are not there are absent.
pub fn run(rows: &mut Rows, command: &Command, now: Timestamp) -> Result<Answer, Reject> {
    let mut keys = Keys::default();
    command.keys(&mut keys);
    rows.load_absent(&keys);
    decide(rows, command, now).map(|(answer, _)| answer)
}

/// What was debited and credited for good, and what of each is pending.
pub fn totals(rows: &Rows, id: AccountId) -> [u128; 4] {
    let totals = rows.accounts.get(&id).unwrap().unwrap().totals;
    [totals.debits_posted, totals.credits_posted, totals.debits_pending, totals.credits_pending]
        .map(Amount::value)
}
