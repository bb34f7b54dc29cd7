//! What tests of the engine share: commands decided on rows that nobody stores, a shop that is paid on a chain, and what
//! stands in an account.

use farthing_engine::{
    Answer, Chart, Command, GasAccounts, Issue, IssuePart, Keys, KeysetRow, Marks, MintQuoteRow, OpenKeyset,
    OpenMintQuote, Output, OutputId, PaymentId, QuoteId, Reject, RequestTag, Rows, SettledPayment,
    credits_account, decide,
};
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

/// The account of the credits that [`issuer`] signs.
pub fn credits() -> AccountId {
    credits_account(usd(), "01aa").id()
}

/// Rows of an issuer with these accounts beside its own, and a keyset.
pub fn issuer(accounts: impl IntoIterator<Item = Account>, now: Timestamp) -> Rows {
    issuer_until(accounts, now, None)
}

/// The same, whose keyset expires.
pub fn issuer_until(
    accounts: impl IntoIterator<Item = Account>,
    now: Timestamp,
    expiry: Option<Timestamp>,
) -> Rows {
    let keyset = KeysetRow {
        id: "01aa".into(),
        index: 0,
        asset: usd(),
        orders: 32,
        input_fee_ppk: 0,
        final_expiry: expiry.map(Timestamp::secs),
        active: true,
        opened_at: now,
        closed: false,
    };
    let account = credits_account(usd(), "01aa");
    let accounts = Chart::of(usd()).accounts().into_iter().chain(accounts).collect();
    let mut rows = Rows::default();
    run(&mut rows, &Command::OpenAccounts(accounts), now).unwrap();
    run(&mut rows, &Command::OpenKeyset(OpenKeyset { keyset, account, retire: Vec::new() }), now).unwrap();
    rows
}

/// What hangs on a call that pays the merchant on a chain.
pub fn settled(payment: PaymentId) -> SettledPayment {
    SettledPayment {
        payment,
        accounts: vec![reserve().id()],
        merchant: merchant().id().into(),
        asset: usd(),
        credits: Vec::new(),
        change: Vec::new(),
        quote: None,
        marks: Marks::default(),
    }
}

/// Issues so much to nobody in particular.
pub fn fund(rows: &mut Rows, amount: u64, now: Timestamp) {
    let (quote, source) = (QuoteId::from_bytes([1; 16]), Chart::of(usd()).test_funding);
    let output = Output { output: OutputId::from_bytes([255; 33]), account: credits(), amount };
    let amount = Amount::from(amount);
    let row = MintQuoteRow {
        method: "test".into(),
        request: String::new(),
        asset: usd(),
        amount,
        paid: amount,
        issued: Amount::ZERO,
        source,
        code: None,
        pubkey: None,
        expires_at: None,
        updated_at: now,
        tag: None,
        payment: None,
        inlet: false,
    };
    run(rows, &Command::OpenMintQuote(OpenMintQuote { quote, row }), now).unwrap();
    let parts = vec![IssuePart { quote, pubkey: None, amount, source }];
    let tag = RequestTag::from_bytes([255; 16]);
    run(rows, &Command::Issue(Issue { parts, outputs: vec![output], asset: usd(), tag }), now).unwrap();
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
