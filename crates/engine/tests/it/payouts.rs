//! Payouts to merchants: what is set aside, approved, sent, ended, taken back and refused, and what the books say of it.

use crate::support;
use crate::support::{CHAIN, merchant, reserve, usd};
use farthing_engine::{
    Answer, Approval, ApprovePayout, BankWord, Call, CallId, CancelPayout, Carrier, ChainAddress, Chart,
    CodeId, Command, EndCall, EndPayout, Enter, FilePayouts, FiledPayout, Mode, Movement, Needs, OperatorKey,
    Outcome, PaymentId, PayoutFileId, PayoutFileRow, PayoutId, PayoutReject, PayoutRow, PayoutState,
    PayoutTerms, PayoutTo, ProposePayout, Reject, ReopenCall, Rows, SendPayout, SettledPayment,
    TransactionId,
};
use farthing_ledger::{Account, AccountId, AccountKind, LedgerReject, Reference};
use farthing_money::{Amount, Timestamp};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(10_000);
const EARNED: u128 = 1_000;
const RESERVE: u128 = 700;

fn bank() -> Account {
    Chart::of(usd()).own("bank", AccountKind::Asset)
}

fn due() -> AccountId {
    Chart::of(usd()).payouts_due
}

fn address(n: u8) -> ChainAddress {
    ChainAddress::from_bytes([n; 20])
}

fn key(n: u8) -> OperatorKey {
    OperatorKey::from_bytes([n; 32])
}

fn needs(approvals: usize) -> Needs {
    let person = |name: &str, n| (name.to_owned(), key(n));
    Needs { approvals, trusted: vec![person("anna", 1), person("ben", 2), person("cleo", 3)] }
}

fn on_chain(units: u128) -> PayoutTo {
    PayoutTo::Evm {
        chain: CHAIN,
        token: address(1),
        from: address(2),
        to: address(3),
        units: Amount::new(units),
        reserve: reserve().id(),
    }
}

fn at_a_bank() -> PayoutTo {
    PayoutTo::Bank {
        holder: "The Shop".into(),
        iban: "DE89370400440532013000".into(),
        bic: None,
        country: None,
        own: bank().id(),
    }
}

fn terms(name: &str, amount: u128, to: PayoutTo) -> PayoutTerms {
    PayoutTerms {
        merchant: "shop".into(),
        name: name.into(),
        account: merchant().id(),
        asset: usd(),
        amount: Amount::new(amount),
        to,
    }
}

fn id(name: &str) -> PayoutId {
    PayoutId::of(merchant().id(), name)
}

fn propose(terms: PayoutTerms, by: Option<&str>) -> Command {
    Command::ProposePayout(ProposePayout {
        terms,
        keep: Amount::new(100),
        by: by.map(str::to_owned),
        period: None,
    })
}

fn approve(name: &str, person: &str, n: u8, needed: usize) -> Command {
    let approval = Approval { name: person.into(), key: key(n), signature: "aa".into(), at: NOW };
    Command::ApprovePayout(ApprovePayout { payout: id(name), approval, needs: needs(needed) })
}

fn cancel(name: &str) -> Command {
    let why = "a slip".to_owned();
    Command::CancelPayout(CancelPayout { payout: id(name), account: merchant().id(), asset: usd(), why })
}

fn call(units: u128) -> Call {
    let units = Amount::new(units);
    let moves = Movement { token: address(1), from: address(2), to: address(3), units };
    Call { chain: CHAIN, to: address(1), input: vec![1], moves, until: NOW, approval: None }
}

fn send(name: &str, to: PayoutTo, by: Carrier, needed: usize) -> Command {
    let (account, asset) = (merchant().id(), usd());
    Command::SendPayout(SendPayout { payout: id(name), account, asset, to, by, needs: needs(needed) })
}

fn send_call(name: &str, amount: u128, needed: usize) -> Command {
    send(name, on_chain(amount), Carrier::Call(Box::new(call(amount))), needed)
}

fn send_code(name: &str, code: u8, needed: usize) -> Command {
    send(name, PayoutTo::Credits, Carrier::Code(CodeId::from_bytes([code; 32])), needed)
}

fn file(names: &[&str], needed: usize) -> Command {
    let payouts: Vec<_> = names.iter().map(|name| id(name)).collect();
    let file = PayoutFileId::of(&payouts);
    let row = PayoutFileRow { message: "F1".into(), asset: usd(), at: NOW, payouts, text: "<x/>".into() };
    let filed =
        |payout: &PayoutId| FiledPayout { payout: *payout, account: merchant().id(), to: at_a_bank() };
    let payouts = row.payouts.iter().map(filed).collect();
    Command::FilePayouts(FilePayouts { file, row, payouts, needs: needs(needed) })
}

fn bank_says(name: &str, word: BankWord) -> Command {
    let (account, own, asset) = (merchant().id(), bank().id(), usd());
    Command::EndPayout(EndPayout { payout: id(name), account, own, asset, word })
}

fn named(name: &str) -> SettledPayment {
    SettledPayment {
        payment: PaymentId::from_bytes(*id(name).as_bytes()),
        accounts: vec![merchant().id(), due()],
        merchant: reserve().id().into(),
        asset: usd(),
        credits: vec![],
        change: vec![],
        quote: None,
        marks: farthing_engine::Marks::default(),
    }
}

fn end_call(name: &str, outcome: Outcome) -> Command {
    let call = CallId::of_payout(id(name));
    Command::EndCall(EndCall { call, outcome, payment: Some(named(name)), gas: None, back: None })
}

fn reopen(name: &str) -> Command {
    Command::ReopenCall(ReopenCall { call: CallId::of_payout(id(name)), payment: Some(named(name)) })
}

fn settled(n: u8) -> Outcome {
    Outcome::Settled { transaction: TransactionId::from_bytes([n; 32]), block: 17, log: 0 }
}

fn failed() -> Outcome {
    Outcome::Failed { transaction: None, reason: "it does not move".into() }
}

fn enter(n: u8, debit: AccountId, credit: AccountId, amount: u128) -> Command {
    Command::Enter(Enter {
        reference: Reference::from_bytes([n; 32]),
        debit,
        credit,
        amount: Amount::new(amount),
        asset: usd(),
        dated: NOW,
        memo: "earned".into(),
        also: None,
    })
}

/// Rows that nobody stores: a merchant has earned something, and some of it is a token.
struct Books(Rows);

impl Books {
    fn open() -> Self {
        let mut books = Self(Rows::default());
        books.ok(&Command::OpenAccounts([support::accounts(), vec![bank()]].concat()));
        books.ok(&enter(1, bank().id(), merchant().id(), EARNED));
        books.ok(&enter(2, reserve().id(), bank().id(), RESERVE));
        books
    }

    fn run(&mut self, command: &Command) -> Result<Answer, Reject> {
        support::run(&mut self.0, command, NOW)
    }

    fn ok(&mut self, command: &Command) {
        self.run(command).unwrap();
    }

    fn row(&self, name: &str) -> Option<PayoutRow> {
        self.0.payouts.get(&id(name)).ok().flatten().cloned()
    }

    fn state(&self, name: &str) -> PayoutState {
        self.row(name).unwrap().state
    }

    fn totals(&self, id: AccountId) -> [u128; 4] {
        support::totals(&self.0, id)
    }

    /// What is owed to the merchant and not set aside.
    fn free(&self) -> u128 {
        let [debits, credits, held, _] = self.totals(merchant().id());
        credits.checked_sub(debits + held).unwrap()
    }

    /// Credits less debits of an account.
    fn balance(&self, id: AccountId) -> i128 {
        let [debits, credits, ..] = self.totals(id);
        i128::try_from(credits).unwrap() - i128::try_from(debits).unwrap()
    }

    fn all(&self) -> Vec<String> {
        let accounts = [merchant().id(), due(), reserve().id(), bank().id(), Chart::of(usd()).codes];
        let mut all: Vec<_> = accounts.iter().map(|id| format!("{:?}", self.totals(*id))).collect();
        all.extend(["a", "b", "c", "d", "e", "f"].map(|name| format!("{:?}", self.row(name))));
        all
    }
}

#[test]
fn a_payout_on_a_chain_is_set_aside_approved_sent_and_paid_once() {
    let mut books = Books::open();
    for _ in 0..2 {
        books.ok(&propose(terms("a", 300, on_chain(300)), None));
        assert_eq!((books.free(), books.totals(due())), (700, [0, 0, 0, 300]), "set aside, not gone");
    }
    for (person, n) in [("anna", 1), ("anna", 1), ("ben", 2), ("ben", 1)] {
        books.ok(&approve("a", person, n, 2));
    }
    assert_eq!(books.row("a").unwrap().approvals.len(), 2, "one word each");
    for _ in 0..2 {
        books.ok(&send_call("a", 300, 2));
        assert_eq!(books.totals(due()), [0, 300, 300, 0], "it has left the merchant");
        assert_eq!(books.totals(reserve().id()), [RESERVE, 0, 0, 300]);
        assert_eq!(books.state("a"), PayoutState::Called);
    }
    for _ in 0..2 {
        books.ok(&end_call("a", settled(5)));
        assert_eq!(books.state("a"), PayoutState::Paid(NOW));
        assert_eq!(books.totals(due()), [300, 300, 0, 0]);
        assert_eq!(books.totals(reserve().id()), [RESERVE, 300, 0, 0]);
        books.ok(&send_call("a", 300, 2));
    }
}

#[test]
fn what_the_chain_takes_back_is_owed_until_it_has_moved_again() {
    let mut books = Books::open();
    books.ok(&propose(terms("a", 300, on_chain(300)), None));
    books.ok(&send_call("a", 300, 0));
    books.ok(&end_call("a", settled(5)));
    books.ok(&reopen("a"));
    assert_eq!((books.state("a"), books.balance(due())), (PayoutState::Called, 300));
    books.ok(&end_call("a", settled(6)));
    assert_eq!((books.state("a"), books.balance(due())), (PayoutState::Paid(NOW), 0));
    books.ok(&reopen("a"));
    books.ok(&end_call("a", failed()));
    assert_eq!((books.free(), books.balance(due())), (1_000, 0), "the merchant has it back");
    assert!(matches!(books.state("a"), PayoutState::Failed(_)));
    // What has failed is not made good by a fork: the merchant may have been paid otherwise.
    let state = Reject::from(PayoutReject::State { payout: id("a"), state: "failed", expected: "paid" });
    assert_eq!(books.run(&reopen("a")), Err(state));
}

#[test]
fn what_the_chain_refuses_comes_back_and_is_paid_under_another_name() {
    let mut books = Books::open();
    books.ok(&propose(terms("a", 700, on_chain(700)), None));
    books.ok(&send_call("a", 700, 0));
    books.ok(&end_call("a", failed()));
    assert_eq!((books.free(), books.totals(reserve().id())), (1_000, [RESERVE, 0, 0, 0]));
    let state = Reject::from(PayoutReject::State { payout: id("a"), state: "failed", expected: "proposed" });
    assert_eq!(books.run(&send_call("a", 700, 0)), Err(state));
    books.ok(&propose(terms("b", 700, on_chain(700)), None));
    books.ok(&send_call("b", 700, 0));
}

#[test]
fn a_bank_file_holds_until_the_bank_has_spoken() {
    let mut books = Books::open();
    for name in ["a", "b"] {
        books.ok(&propose(terms(name, 200, at_a_bank()), None));
    }
    for _ in 0..2 {
        books.ok(&file(&["a", "b"], 0));
        assert_eq!((books.free(), books.totals(due())), (600, [0, 400, 400, 0]));
    }
    for _ in 0..2 {
        books.ok(&bank_says("a", BankWord::Paid(NOW)));
        books.ok(&bank_says("b", BankWord::Failed("account closed".into())));
        assert_eq!((books.free(), books.balance(due())), (800, 0));
        assert_eq!(books.balance(bank().id()), i128::try_from(RESERVE + 200).unwrap() - 1_000);
    }
}

#[test]
fn credits_are_a_code_that_was_sold_to_nobody() {
    let mut books = Books::open();
    books.ok(&propose(terms("a", 250, PayoutTo::Credits), None));
    for _ in 0..2 {
        books.ok(&send_code("a", 9, 0));
        assert_eq!(books.balance(Chart::of(usd()).codes), 250);
        assert_eq!((books.state("a"), books.balance(due())), (PayoutState::Paid(NOW), 0));
    }
}

/// A command and the refusal that it must get.
type Case = (Command, Option<Reject>);

fn wrong_state(name: &str, state: &'static str, expected: &'static str) -> Reject {
    Reject::from(PayoutReject::State { payout: id(name), state, expected })
}

fn unapproved(name: &str, got: usize) -> Reject {
    Reject::from(PayoutReject::Unapproved { payout: id(name), needed: 2, got })
}

/// Up to where a payout on a chain is paid.
fn refusals_on_a_chain() -> Vec<Case> {
    let short = |available, needed| {
        Reject::from(PayoutReject::Short { available: Amount::new(available), needed: Amount::new(needed) })
    };
    let elsewhere = PayoutTo::Evm {
        chain: CHAIN,
        token: address(1),
        from: address(2),
        to: address(9),
        units: Amount::new(300),
        reserve: reserve().id(),
    };
    let eur = farthing_money::Asset::micro("EUR").unwrap();
    let of_euros = PayoutTerms { asset: eur, ..terms("x", 5, on_chain(5)) };
    vec![
        (propose(terms("a", 901, on_chain(901)), None), Some(short(900, 901))),
        (propose(terms("a", 0, on_chain(0)), None), Some(Reject::Ledger(LedgerReject::ZeroAmount))),
        (propose(of_euros, None), Some(Reject::WrongAsset { expected: usd(), got: eur })),
        (propose(terms("a", 300, on_chain(300)), Some("anna")), None),
        (propose(terms("a", 300, on_chain(300)), Some("anna")), None),
        (
            propose(terms("a", 301, on_chain(301)), Some("anna")),
            Some(Reject::from(PayoutReject::Exists(id("a")))),
        ),
        (propose(terms("b", 601, on_chain(601)), None), Some(short(600, 601))),
        (approve("z", "ben", 2, 2), Some(Reject::from(PayoutReject::Unknown(id("z"))))),
        (approve("a", "anna", 1, 2), Some(Reject::from(PayoutReject::Own(id("a"))))),
        (send_call("a", 300, 2), Some(unapproved("a", 0))),
        (approve("a", "ben", 2, 2), None),
        (approve("a", "eve", 66, 2), None), // a person that nobody trusts any more by the time it is sent
        (send_call("a", 300, 2), Some(unapproved("a", 1))),
        (approve("a", "cleo", 3, 2), None),
        (
            send("a", elsewhere, Carrier::Call(Box::new(call(300))), 2),
            Some(Reject::from(PayoutReject::Moved(id("a")))),
        ),
        (
            send("a", on_chain(300), Carrier::Call(Box::new(call(301))), 2),
            Some(Reject::from(PayoutReject::Moved(id("a")))),
        ),
        (
            send("a", on_chain(300), Carrier::Code(CodeId::from_bytes([1; 32])), 2),
            Some(Reject::from(PayoutReject::Moved(id("a")))),
        ),
        (enter(3, bank().id(), reserve().id(), RESERVE - 299), None),
        (
            send_call("a", 300, 2),
            Some(Reject::from(PayoutReject::ReserveShort {
                account: reserve().name,
                available: Amount::new(299),
                needed: Amount::new(300),
            })),
        ),
        (enter(4, reserve().id(), bank().id(), 1), None),
        (bank_says("a", BankWord::Paid(NOW)), Some(wrong_state("a", "proposed", "in a file"))),
        (Command::SetMode(Mode::Paused), None),
        (send_call("a", 300, 2), Some(Reject::Paused)),
        (propose(terms("b", 5, PayoutTo::Credits), None), Some(Reject::Paused)),
        (Command::SetMode(Mode::Open), None),
        (send_call("a", 300, 2), None),
        (cancel("a"), Some(wrong_state("a", "sending", "proposed"))),
        (approve("a", "dora", 4, 2), Some(wrong_state("a", "sending", "proposed"))),
        (end_call("a", settled(5)), None),
    ]
}

/// What goes on from there, by bank files and codes.
fn refusals_elsewhere() -> Vec<Case> {
    vec![
        (propose(terms("b", 100, at_a_bank()), None), None),
        (propose(terms("c", 100, PayoutTo::Credits), None), None),
        (file(&["b", "b"], 0), Some(Reject::from(PayoutReject::Exists(id("b"))))),
        (file(&[], 0), Some(Reject::Ledger(LedgerReject::ZeroAmount))),
        (file(&["b"], 2), Some(unapproved("b", 0))),
        (file(&["b", "c"], 0), Some(Reject::from(PayoutReject::Moved(id("c"))))),
        (file(&["b", "z"], 0), Some(Reject::from(PayoutReject::Unknown(id("z"))))),
        (file(&["b"], 0), None),
        (cancel("b"), Some(wrong_state("b", "sending", "proposed"))),
        (bank_says("b", BankWord::Paid(NOW)), None),
        (bank_says("b", BankWord::Failed("late".into())), Some(wrong_state("b", "paid", "in a file"))),
        (send_code("c", 1, 0), None),
        (propose(terms("d", 100, PayoutTo::Credits), None), None),
        (send_code("d", 1, 0), Some(Reject::CodeExists(CodeId::from_bytes([1; 32])))),
        (Command::SetMode(Mode::Sunset), None),
        (send_code("d", 2, 0), Some(Reject::Sunset)),
        (cancel("d"), None),
        (cancel("d"), None),
        (send_code("d", 2, 0), Some(wrong_state("d", "cancelled", "proposed"))),
        (enter(9, due(), bank().id(), 5), Some(Reject::AccountReserved("payouts-due".into()))),
    ]
}

#[test]
fn every_refusal_of_payouts_changes_nothing() {
    let mut books = Books::open();
    // Each part goes on where the one before it stopped.
    let cases = refusals_on_a_chain().into_iter().chain(refusals_elsewhere());
    for (n, (command, expected)) in cases.enumerate() {
        let before = books.all();
        let answer = books.run(&command);
        assert_eq!(answer.as_ref().err(), expected.as_ref(), "row {n}: {command:?}");
        if expected.is_some() {
            assert_eq!(books.all(), before, "row {n}: a refusal changes nothing");
        }
    }
}

/// What may happen, in any order and any number of times.
fn step() -> impl Strategy<Value = (usize, usize, u128)> {
    (0..12_usize, 0..4_usize, 1..400_u128)
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Payouts of the names go, in turn, to a chain, a bank and a code.
fn destination(n: usize, amount: u128) -> PayoutTo {
    match n % 3 {
        0 => on_chain(amount),
        1 => at_a_bank(),
        _ => PayoutTo::Credits,
    }
}

fn command(books: &Books, (what, n, amount): (usize, usize, u128)) -> Command {
    let name = NAMES[n];
    let amount = books.row(name).map_or(amount, |row| row.terms.amount.value());
    let byte = u8::try_from(n).unwrap();
    match what {
        0 | 1 => propose(terms(name, amount, destination(n, amount)), None),
        2 => approve(name, "anna", 1, 2),
        3 => approve(name, "ben", 2, 2),
        4 => cancel(name),
        5 => send_call(name, amount, 2),
        6 => send_code(name, 100 + byte, 2),
        7 => file(&[name], 2),
        8 => end_call(name, settled(byte)),
        9 => end_call(name, failed()),
        10 => reopen(name),
        _ if amount.is_multiple_of(2) => bank_says(name, BankWord::Paid(NOW)),
        _ => bank_says(name, BankWord::Failed("no".into())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever comes in whatever order and however often: no merchant is paid more than it has, no payout twice, and nothing
    /// without two persons; what is on its way is what the states say.
    #[test]
    fn no_order_pays_too_much_or_twice(steps in proptest::collection::vec(step(), 1..80)) {
        let mut books = Books::open();
        for one in steps {
            let command = command(&books, one);
            let before = books.all();
            if books.run(&command).is_err() {
                prop_assert_eq!(books.all(), before);
            }
            let rows: Vec<_> = NAMES.iter().filter_map(|name| books.row(name)).collect();
            let sum = |is: &dyn Fn(&PayoutRow) -> bool| -> u128 {
                rows.iter().filter(|row| is(row)).map(|row| row.terms.amount.value()).sum()
            };
            let waiting = sum(&|row| row.state == PayoutState::Proposed);
            let sending = sum(&|row| matches!(row.state, PayoutState::Called | PayoutState::Filed));
            let paid = |to: usize| sum(&|row: &PayoutRow| {
                let n = NAMES.iter().position(|name| *name == row.terms.name).unwrap();
                n % 3 == to && matches!(row.state, PayoutState::Paid(_))
            });
            let out = paid(0) + paid(1) + paid(2);
            prop_assert_eq!(books.free(), EARNED - waiting - sending - out);
            prop_assert!(books.free() >= 100, "what it keeps");
            prop_assert_eq!(books.balance(due()), i128::try_from(sending).unwrap());
            prop_assert_eq!(books.totals(reserve().id())[1], paid(0) + books.totals(reserve().id())[0] - RESERVE);
            prop_assert_eq!(books.balance(Chart::of(usd()).codes), i128::try_from(paid(2)).unwrap());
            let moved = rows.iter().filter(|row| !matches!(row.state, PayoutState::Proposed | PayoutState::Cancelled(_)));
            for row in moved {
                prop_assert_eq!(row.approvals.len(), 2);
            }
            let accounts = [merchant().id(), due(), reserve().id(), bank().id(), Chart::of(usd()).codes];
            prop_assert_eq!(accounts.iter().map(|id| books.balance(*id)).sum::<i128>(), 0);
        }
    }
}
