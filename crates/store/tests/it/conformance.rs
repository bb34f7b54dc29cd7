//! One suite for every store: what is committed is read back, books balance after any sequence of commands, and a
//! folder that is opened again goes on where it stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use farthing_engine::{
    Answer, Chart, CodeId, CodeState, Command, CreateCodes, CreditId, CreditRow, Execute, Fault, FaultKind,
    Hold, Input, Issue, IssuePart, Marks, MintQuoteRow, OpenMintQuote, Output, OutputId, PaymentId,
    PaymentState, Post, QuoteId, Read, Refusal, Reject, RequestTag, Swap, credits_account, release_of,
};
use farthing_ledger::{Account, AccountId, Audit, TrialBalance};
use farthing_money::{Amount, Asset, Timestamp};
use farthing_store::{
    Fjall, KeyValue, Memory, Pair, Pairs, RowStore, TableName, Write, Writer, WriterOptions, WriterThread,
};
use proptest::prelude::*;

fn usd() -> Asset {
    Asset::micro("USD").unwrap()
}

fn credits() -> Account {
    credits_account(usd(), "01aa")
}

fn merchant() -> Account {
    Chart::of(usd()).merchant("shop")
}

fn credit(n: u16) -> CreditId {
    let mut bytes = [2; 33];
    bytes[1..3].copy_from_slice(&n.to_be_bytes());
    CreditId::from_bytes(bytes)
}

fn output(n: u16) -> OutputId {
    OutputId::from_bytes(*credit(n).as_bytes())
}

fn input(n: u16, amount: u64) -> Input {
    Input { credit: credit(n), account: credits().id(), amount, witness: None }
}

fn signed(n: u16, amount: u64) -> Output {
    Output { output: output(n), account: credits().id(), amount }
}

fn tag(n: u16) -> RequestTag {
    RequestTag::of_parts("test", [n.to_be_bytes().as_slice()])
}

struct House<B> {
    store: RowStore<B>,
    writer: Writer,
    thread: WriterThread,
}

impl<B: KeyValue> House<B> {
    fn start(store: RowStore<B>) -> Self {
        let clock = Arc::new(|| Timestamp::from_secs(1_000));
        let options = WriterOptions::default();
        let (writer, thread) = Writer::start(store.clone(), options, clock, Box::new(|_| {})).unwrap();
        Self { store, writer, thread }
    }

    async fn open_accounts(&self) {
        let mut accounts = Chart::of(usd()).accounts();
        accounts.extend([credits(), merchant()]);
        assert_eq!(self.writer.execute(Command::OpenAccounts(accounts)).await, Ok(Answer::Done));
    }

    fn stop(self) -> RowStore<B> {
        drop(self.writer);
        self.thread.join();
        self.store
    }

    /// The books balance and the journal tells the same story.
    fn check(&self) -> TrialBalance {
        let mut audit = Audit::default();
        for frame in self.store.frames(1, usize::MAX).unwrap() {
            audit.replay(&frame).unwrap();
        }
        let accounts = self.store.accounts().unwrap();
        audit.compare(&accounts, Read::head(&self.store).unwrap()).unwrap()
    }

    fn outstanding(&self) -> u128 {
        let accounts = self.store.accounts().unwrap();
        let totals = accounts.iter().find(|account| account.id() == credits().id()).unwrap().totals;
        totals.credits_posted.value() - totals.debits_posted.value()
    }

    async fn create_code(&self, n: u16, amount: u64) -> Result<Answer, Refusal> {
        let codes = vec![CodeId::of_text(&n.to_string())];
        let command = CreateCodes { codes, amount: Amount::from(amount), asset: usd(), expires_at: None };
        self.writer.execute(Command::CreateCodes(command)).await
    }

    async fn quote(&self, n: u16) -> Result<Answer, Refusal> {
        let row = MintQuoteRow {
            method: "code".into(),
            request: String::new(),
            asset: usd(),
            amount: Amount::ZERO,
            paid: Amount::ZERO,
            issued: Amount::ZERO,
            source: Chart::of(usd()).codes,
            code: Some(CodeId::of_text(&n.to_string())),
            pubkey: None,
            expires_at: None,
            updated_at: Timestamp::default(),
            tag: None,
            payment: None,
            inlet: false,
        };
        self.writer.execute(Command::OpenMintQuote(OpenMintQuote { quote: quote(n), row })).await
    }

    async fn issue(&self, n: u16, outputs: Vec<Output>, by: u16) -> Result<Answer, Refusal> {
        let amount = Amount::new(outputs.iter().map(|output| u128::from(output.amount)).sum());
        let part = IssuePart { quote: quote(n), pubkey: None, amount, source: Chart::of(usd()).codes };
        let command = Issue { parts: vec![part], outputs, asset: usd(), tag: tag(by) };
        self.writer.execute(Command::Issue(command)).await
    }

    async fn swap(&self, inputs: Vec<Input>, outputs: Vec<Output>, by: u16) -> Result<Answer, Refusal> {
        let command = Swap { inputs, outputs, fee: Amount::ZERO, asset: usd(), tag: tag(by) };
        self.writer.execute(Command::Swap(command)).await
    }

    async fn hold(&self, inputs: Vec<Input>, price: u64, resource: &str) -> Result<Answer, Refusal> {
        let ids: Vec<_> = inputs.iter().map(|input| input.credit).collect();
        let command = Hold {
            payment: PaymentId::of_credits(&ids),
            funds: inputs.into(),
            price: Amount::from(price),
            asset: usd(),
            merchant: merchant().id().into(),
            resource: resource.into(),
            tag: tag(0),
            tax_code: None,
            marks: Marks::default(),
        };
        self.writer.execute(Command::Hold(command)).await
    }

    async fn post(&self, ids: Vec<CreditId>, charged: u64, change: Vec<Output>) -> Result<Answer, Refusal> {
        let command = Post {
            payment: PaymentId::of_credits(&ids),
            credits: ids,
            accounts: vec![credits().id()],
            merchant: merchant().id().into(),
            asset: usd(),
            charged: Amount::from(charged),
            change,
            pass_until: None,
            marks: Marks::default(),
        };
        self.writer.execute(Command::Post(command)).await
    }

    async fn release(&self, ids: &[CreditId]) -> Result<Answer, Refusal> {
        let payment = PaymentId::of_credits(ids);
        match self.store.payment(payment).unwrap() {
            Some(row) => self.writer.execute(release_of(payment, &row)).await,
            None => Ok(Answer::Done),
        }
    }
}

fn quote(n: u16) -> QuoteId {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    QuoteId::from_bytes(bytes)
}

/// From a code to a page and back: the whole life of a credit.
async fn life_of_a_credit<B: KeyValue>(house: &House<B>) {
    house.open_accounts().await;
    house.create_code(1, 100).await.unwrap();
    assert_eq!(house.create_code(1, 100).await, Err(Reject::CodeExists(CodeId::of_text("1")).into()));
    assert_eq!(house.quote(2).await, Err(Reject::UnknownCode.into()));
    house.quote(1).await.unwrap();
    let code = house.store.code(CodeId::of_text("1")).unwrap().unwrap();
    assert_eq!(code.state, CodeState::Claimed(quote(1)));

    let too_little = house.issue(1, vec![signed(1, 64)], 1).await;
    assert!(matches!(too_little, Err(Refusal::Reject(Reject::QuoteAmount { .. }))), "{too_little:?}");
    house.issue(1, vec![signed(1, 64), signed(2, 36)], 1).await.unwrap();
    house.issue(1, vec![signed(1, 64), signed(2, 36)], 1).await.expect("a repetition is answered alike");
    let again = house.issue(1, vec![signed(3, 64), signed(4, 36)], 2).await;
    assert_eq!(again, Err(Reject::QuoteUsed(quote(1)).into()));
    assert_eq!(house.outstanding(), 100);

    let uneven = house.swap(vec![input(1, 64)], vec![signed(5, 63)], 3).await;
    assert!(matches!(uneven, Err(Refusal::Reject(Reject::Unbalanced { .. }))));
    house.swap(vec![input(1, 64)], vec![signed(5, 32), signed(6, 32)], 3).await.unwrap();
    house.swap(vec![input(1, 64)], vec![signed(5, 32), signed(6, 32)], 3).await.expect("repetition");
    let spent = house.swap(vec![input(1, 64)], vec![signed(7, 64)], 4).await;
    assert_eq!(spent, Err(Reject::CreditSpent(credit(1)).into()));
    let twice = house.swap(vec![input(5, 32), input(5, 32)], vec![signed(7, 64)], 4).await;
    assert_eq!(twice, Err(Reject::DuplicateCredit(credit(5)).into()));
    let resigned = house.swap(vec![input(5, 32)], vec![signed(2, 32)], 4).await;
    assert_eq!(resigned, Err(Reject::OutputSigned(output(2)).into()));

    let short = house.hold(vec![input(5, 32)], 33, "/a").await;
    assert!(matches!(short, Err(Refusal::Reject(Reject::Insufficient { .. }))));
    house.hold(vec![input(5, 32)], 20, "/a").await.unwrap();
    let id = PaymentId::of_credits(&[credit(5)]);
    assert_eq!(house.hold(vec![input(5, 32)], 20, "/a").await, Err(Reject::PaymentUnderWay(id).into()));
    let overlapping = house.hold(vec![input(5, 32), input(6, 32)], 20, "/a").await;
    assert_eq!(overlapping, Err(Reject::CreditPending(credit(5)).into()));
    assert!(house.check().balances() && !house.check().settled());
    house.release(&[credit(5)]).await.unwrap();
    assert_eq!(house.store.credits(&[credit(5)]).unwrap(), vec![None]);

    house.hold(vec![input(5, 32)], 20, "/a").await.expect("released credits are unspent again");
    let uneven = house.post(vec![credit(5)], 20, vec![signed(8, 8)]).await;
    assert!(matches!(uneven, Err(Refusal::Reject(Reject::Unbalanced { .. }))));
    let posted = house.post(vec![credit(5)], 20, vec![signed(8, 8), signed(9, 4)]).await.unwrap();
    let Answer::Posted(row) = posted else { panic!("{posted:?}") };
    assert_eq!((row.state, row.charged, row.change.len()), (PaymentState::Posted, Amount::new(20), 2));
    assert_eq!(house.post(vec![credit(5)], 20, vec![]).await, Ok(Answer::Posted(row.clone())));
    assert_eq!(house.hold(vec![input(5, 32)], 20, "/a").await, Ok(Answer::Posted(row)));
    assert_eq!(house.hold(vec![input(5, 32)], 20, "/b").await, Err(Reject::PaymentElsewhere(id).into()));
    assert!(matches!(house.store.credits(&[credit(5)]).unwrap()[0], Some(CreditRow::Spent { .. })));
    assert_eq!(house.outstanding(), 80);
    assert!(house.check().settled());
}

#[tokio::test]
async fn life_of_a_credit_in_memory() {
    let house = House::start(RowStore::open(Memory::default()).unwrap());
    life_of_a_credit(&house).await;
    house.stop();
}

#[tokio::test]
async fn life_of_a_credit_on_disk_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::start(RowStore::open(Fjall::open(folder.path()).unwrap()).unwrap());
    life_of_a_credit(&house).await;
    let head = Read::head(&house.store).unwrap();
    drop(house.stop());

    let house = House::start(RowStore::open(Fjall::open(folder.path()).unwrap()).unwrap());
    assert_eq!(Read::head(&house.store).unwrap(), head);
    assert_eq!(house.outstanding(), 80);
    house.create_code(77, 1).await.unwrap();
    house.check();
    house.stop();
}

#[test]
fn a_folder_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let first = Fjall::open(folder.path()).unwrap();
    let second = Fjall::open(folder.path()).err().unwrap();
    assert_eq!(second.kind, FaultKind::InUse);
    drop(first);
}

/// An account's limit is the last line: a keyset whose key leaked cannot redeem more than it issued.
#[tokio::test]
async fn no_keyset_redeems_more_than_it_issued() {
    let house = House::start(RowStore::open(Memory::default()).unwrap());
    house.open_accounts().await;
    house.create_code(1, 10).await.unwrap();
    house.quote(1).await.unwrap();
    house.issue(1, vec![signed(1, 10)], 1).await.unwrap();
    let forged = house.hold(vec![input(900, 11)], 11, "/a").await;
    assert!(matches!(forged, Err(Refusal::Reject(Reject::Ledger(_)))), "{forged:?}");
    house.check();
    house.stop();
}

/// Sixteen holds of one credential at once: one is held, fifteen are told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_at_once_are_one() {
    let house = Arc::new(House::start(RowStore::open(Memory::default()).unwrap()));
    house.open_accounts().await;
    house.create_code(1, 10).await.unwrap();
    house.quote(1).await.unwrap();
    house.issue(1, vec![signed(1, 10)], 1).await.unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let house = Arc::clone(&house);
            tokio::spawn(async move { house.hold(vec![input(1, 10)], 10, "/a").await })
        })
        .collect();
    let (mut held, mut told) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Ok(Answer::Held(_)) => held += 1,
            Err(Refusal::Reject(Reject::PaymentUnderWay(_))) => told += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((held, told), (1, 15));
}

/// A disk that fails once: what was not written is not acknowledged, and nothing more is accepted.
#[tokio::test]
async fn a_failed_write_stops_the_writer() {
    struct Failing(Memory, AtomicBool);
    impl KeyValue for Failing {
        fn get(&self, table: TableName, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
            self.0.get(table, key)
        }
        fn write(&self, writes: Vec<Write>) -> Result<(), Fault> {
            if self.1.swap(false, SeqCst) {
                return Err(Fault::new(FaultKind::Disk, "no space left"));
            }
            self.0.write(writes)
        }
        fn scan(&self, t: TableName, from: &[u8], n: usize) -> Result<Pairs, Fault> {
            self.0.scan(t, from, n)
        }
        fn last(&self, table: TableName) -> Result<Option<Pair>, Fault> {
            self.0.last(table)
        }
    }
    let fails = Arc::new(Failing(Memory::default(), false.into()));
    let house = House::start(RowStore::open(Arc::clone(&fails)).unwrap());
    house.open_accounts().await;
    fails.1.store(true, SeqCst);
    assert!(matches!(house.create_code(1, 10).await, Err(Refusal::Fault(_))));
    assert!(
        matches!(house.create_code(2, 10).await, Err(Refusal::Fault(_))),
        "refused although the disk is well again"
    );
    assert_eq!(house.store.code(CodeId::of_text("2")).unwrap(), None);
    house.check();
    house.stop();
}

/// What a naive bookkeeper remembers.
#[derive(Default)]
struct Model {
    unspent: BTreeMap<u16, u64>,
    held: BTreeMap<u16, u64>,
    gone: BTreeSet<u16>,
    issued: u64,
    charged: u64,
    next: u16,
}

impl Model {
    fn fresh(&mut self) -> u16 {
        self.next += 1;
        self.next
    }
}

#[derive(Clone, Debug)]
enum Act {
    TopUp(u64),
    Swap(usize),
    Hold(usize, u64),
    Post(usize),
    Release(usize),
    SpendAgain(usize),
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (1u64..1000).prop_map(Act::TopUp),
        any::<usize>().prop_map(Act::Swap),
        (any::<usize>(), 1u64..1000).prop_map(|(n, price)| Act::Hold(n, price)),
        any::<usize>().prop_map(Act::Post),
        any::<usize>().prop_map(Act::Release),
        any::<usize>().prop_map(Act::SpendAgain),
    ]
}

fn pick<V: Copy>(from: &BTreeMap<u16, V>, n: usize) -> Option<(u16, V)> {
    let place = n.checked_rem(from.len())?;
    from.iter().nth(place).map(|(key, value)| (*key, *value))
}

async fn act<B: KeyValue>(house: &House<B>, model: &mut Model, act: Act) {
    match act {
        Act::TopUp(amount) => {
            let n = model.fresh();
            house.create_code(n, amount).await.unwrap();
            house.quote(n).await.unwrap();
            house.issue(n, vec![signed(n, amount)], n).await.unwrap();
            model.unspent.insert(n, amount);
            model.issued += amount;
        }
        Act::Swap(n) => {
            let Some((old, amount)) = pick(&model.unspent, n) else { return };
            let (a, b) = (model.fresh(), model.fresh());
            let parts: Vec<_> =
                [(a, amount / 2), (b, amount - amount / 2)].into_iter().filter(|p| p.1 > 0).collect();
            let outputs = parts.iter().map(|(n, amount)| signed(*n, *amount)).collect();
            house.swap(vec![input(old, amount)], outputs, a).await.unwrap();
            model.unspent.remove(&old);
            model.gone.insert(old);
            model.unspent.extend(parts);
        }
        Act::Hold(n, price) => {
            let Some((id, amount)) = pick(&model.unspent, n) else { return };
            let held = house.hold(vec![input(id, amount)], price, "/a").await;
            assert_eq!(held.is_ok(), amount >= price, "{held:?}");
            if amount >= price {
                model.unspent.remove(&id);
                model.held.insert(id, amount);
            }
        }
        Act::Post(n) => {
            let Some((id, amount)) = pick(&model.held, n) else { return };
            let back = model.fresh();
            let change = if amount > 1 { vec![signed(back, amount / 2)] } else { vec![] };
            let returned = if amount > 1 { amount / 2 } else { 0 };
            house.post(vec![credit(id)], amount - returned, change).await.unwrap();
            model.held.remove(&id);
            model.gone.insert(id);
            model.charged += amount - returned;
            if returned > 0 {
                model.unspent.insert(back, returned);
            }
        }
        Act::Release(n) => {
            let Some((id, amount)) = pick(&model.held, n) else { return };
            house.release(&[credit(id)]).await.unwrap();
            model.held.remove(&id);
            model.unspent.insert(id, amount);
        }
        Act::SpendAgain(n) => {
            let Some(id) = model.gone.iter().nth(n.checked_rem(model.gone.len()).unwrap_or(0)).copied()
            else {
                return;
            };
            let fresh = model.fresh();
            let again = house.swap(vec![input(id, 1)], vec![signed(fresh, 1)], fresh).await;
            assert_eq!(again, Err(Reject::CreditSpent(credit(id)).into()));
        }
    }
}

async fn agrees<B: KeyValue>(house: &House<B>, acts: Vec<Act>) {
    house.open_accounts().await;
    let mut model = Model::default();
    for one in acts {
        act(house, &mut model, one).await;
        let left: u64 = model.unspent.values().chain(model.held.values()).sum();
        assert_eq!(u128::from(left), house.outstanding());
        assert_eq!(model.issued, left + model.charged);
    }
    house.check();
    let earned = AccountId::derive(usd(), &merchant().name);
    let accounts = house.store.accounts().unwrap();
    let totals = accounts.iter().find(|account| account.id() == earned).unwrap().totals;
    assert_eq!(totals.credits_posted, Amount::from(model.charged));
    for id in model.unspent.keys() {
        assert_eq!(house.store.credits(&[credit(*id)]).unwrap(), vec![None]);
    }
    for id in &model.gone {
        assert!(matches!(house.store.credits(&[credit(*id)]).unwrap()[0], Some(CreditRow::Spent { .. })));
    }
}

fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn memory_agrees_with_a_naive_bookkeeper(acts in prop::collection::vec(any_act(), 1..80)) {
        let house = House::start(RowStore::open(Memory::default()).unwrap());
        run(agrees(&house, acts));
        house.stop();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn fjall_agrees_with_a_naive_bookkeeper(acts in prop::collection::vec(any_act(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let house = House::start(RowStore::open(Fjall::open(folder.path()).unwrap()).unwrap());
        run(agrees(&house, acts));
        house.stop();
    }
}
