//! Mint quotes that are paid by plain transfers: counted once, in parts, late, taken back and moved on.

use crate::support;
use crate::support::{CHAIN, reserve, usd};
use farthing_engine::{
    Answer, ArrivalRow, Arrive, Call, CallId, ChainAddress, Chart, Command, CursorRow, EndCall, EndSweep,
    InletRow, Issue, IssuePart, LogId, MintQuoteRow, Mode, Movement, OpenInlet, Outcome, Output, OutputId,
    QuoteId, Reject, RequestTag, Rows, Sweep, TransactionId, UndoArrival, credits_account,
};
use farthing_ledger::{Account, AccountId};
use farthing_money::{Amount, Asset, Span, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(10_000);
const LATER: Timestamp = Timestamp::from_secs(20_000);
const QUOTE: QuoteId = QuoteId::from_bytes([7; 16]);

fn credits() -> Account {
    credits_account(usd(), "01aa")
}

fn at(n: u8) -> ChainAddress {
    ChainAddress::from_bytes([n; 20])
}

fn log(n: u8) -> LogId {
    LogId::of(TransactionId::from_bytes([n; 32]), 0)
}

fn mint_row(amount: u128) -> MintQuoteRow {
    MintQuoteRow {
        method: "evm".into(),
        request: String::new(),
        asset: usd(),
        amount: Amount::new(amount),
        paid: Amount::ZERO,
        issued: Amount::ZERO,
        source: Chart::of(usd()).deposits,
        code: None,
        pubkey: None,
        expires_at: Some(LATER),
        updated_at: NOW,
        tag: None,
        payment: None,
        inlet: true,
    }
}

/// Rows that nobody stores, with one quote that takes transfers.
struct Books(Rows);

impl Books {
    fn open(amount: u128) -> Self {
        let mut accounts = Chart::of(usd()).accounts();
        accounts.extend([reserve(), credits()]);
        let mut books = Self(Rows::default());
        books.run(&Command::OpenAccounts(accounts)).unwrap();
        books.run(&open(amount)).unwrap();
        books
    }

    fn run(&mut self, command: &Command) -> Result<Answer, Reject> {
        self.run_at(command, NOW)
    }

    fn run_at(&mut self, command: &Command, now: Timestamp) -> Result<Answer, Reject> {
        support::run(&mut self.0, command, now)
    }

    /// Debits less credits.
    fn balance(&self, id: AccountId) -> i128 {
        let [debits, credits, ..] = support::totals(&self.0, id).map(|total| i128::try_from(total).unwrap());
        debits - credits
    }

    /// What we have, what we owe for quotes, and what credits are out.
    fn books(&self) -> [i128; 3] {
        [reserve().id(), Chart::of(usd()).deposits, credits().id()].map(|id| self.balance(id))
    }

    fn paid(&self) -> [u128; 2] {
        let row = self.0.mint_quotes.get(&QUOTE).unwrap().unwrap();
        [row.paid.value(), row.issued.value()]
    }

    fn inlet(&self) -> Option<InletRow> {
        self.0.inlets.get(&QUOTE).unwrap().cloned()
    }

    fn lies(&self) -> u128 {
        self.inlet().map_or(0, |inlet| inlet.units(CHAIN, at(1)).value())
    }
}

fn open(amount: u128) -> Command {
    let terms = Box::new(mint_row(amount));
    Command::OpenInlet(OpenInlet { quote: QUOTE, terms, since: NOW, until: LATER, search: vec![] })
}

fn arrival(units: u128) -> ArrivalRow {
    ArrivalRow {
        quote: QUOTE,
        chain: CHAIN,
        token: at(1),
        units: Amount::new(units),
        amount: Amount::new(units),
        asset: usd(),
        reserve: reserve().id(),
        transaction: TransactionId::from_bytes([9; 32]),
        block: 5,
        block_hash: [5; 32],
    }
}

fn arrive(n: u8, units: u128) -> Command {
    Command::Arrive(Arrive { log: log(n), arrival: arrival(units) })
}

fn undo(n: u8) -> Command {
    Command::UndoArrival(UndoArrival { log: log(n), quote: QUOTE, reserve: reserve().id(), asset: usd() })
}

fn issue(n: u8, amount: u64) -> Command {
    let source = Chart::of(usd()).deposits;
    let part = IssuePart { quote: QUOTE, pubkey: None, amount: Amount::from(amount), source };
    let output = Output { output: OutputId::from_bytes([n; 33]), account: credits().id(), amount };
    let tag = RequestTag::from_bytes([n; 16]);
    Command::Issue(Issue { parts: vec![part], outputs: vec![output], asset: usd(), tag })
}

fn call_id(n: u8) -> CallId {
    CallId::from_bytes([n; 32])
}

fn sweep(n: u8, units: u128) -> Command {
    let moves = Movement { token: at(1), from: at(2), to: at(3), units: Amount::new(units) };
    let call = Call { chain: CHAIN, to: at(1), input: vec![n], moves, until: LATER, approval: None };
    Command::Sweep(Sweep { quote: QUOTE, id: call_id(n), call })
}

fn ended(n: u8, settled: bool) -> Command {
    let transaction = TransactionId::from_bytes([n; 32]);
    let outcome = if settled {
        Outcome::Settled { transaction, block: 9, log: 1 }
    } else {
        Outcome::Failed { transaction: None, reason: "no".into() }
    };
    Command::EndCall(EndCall { call: call_id(n), outcome, payment: None, gas: None, back: None })
}

fn end_sweep(n: u8) -> Command {
    Command::EndSweep(EndSweep { quote: QUOTE, call: call_id(n) })
}

#[test]
fn one_log_pays_once_and_parts_add_up() {
    let mut books = Books::open(100);
    for _ in 0..3 {
        books.run(&arrive(1, 40)).unwrap();
    }
    assert_eq!((books.paid(), books.books(), books.lies()), ([40, 0], [40, -40, 0], 40));
    books.run(&arrive(2, 70)).unwrap();
    assert_eq!((books.paid(), books.books()), ([110, 0], [110, -110, 0]));
    // A wallet that knows one amount draws that; the rest stays the payer's.
    books.run(&issue(1, 100)).unwrap();
    assert_eq!(books.run(&issue(2, 11)).unwrap_err().code(), "quote-amount");
    assert_eq!(books.run(&issue(2, 0)).unwrap_err().code(), "quote-amount");
    books.run(&issue(2, 10)).unwrap();
    assert_eq!(books.run(&issue(3, 1)).unwrap_err().code(), "quote-used");
    assert_eq!((books.paid(), books.books()), ([110, 110], [110, 0, -110]));
    // It may be paid on.
    books.run(&arrive(3, 5)).unwrap();
    books.run(&issue(3, 5)).unwrap();
    assert_eq!(books.books(), [115, 0, -115]);
}

#[test]
fn what_comes_late_or_while_the_issuer_rests_is_the_payers() {
    let mut books = Books::open(100);
    books.run(&Command::SetMode(Mode::Sunset)).unwrap();
    let late = LATER.after(Span::from_secs(1));
    assert_eq!(books.run_at(&issue(1, 40), late).unwrap_err().code(), "quote-expired");
    books.run_at(&arrive(1, 40), late).unwrap();
    books.run_at(&issue(1, 40), late).unwrap();
    assert_eq!(books.paid(), [40, 40]);
}

#[test]
fn what_a_chain_takes_back_leaves_the_books_until_it_comes_again() {
    let mut books = Books::open(100);
    books.run(&arrive(1, 100)).unwrap();
    for _ in 0..2 {
        books.run(&undo(1)).unwrap();
    }
    assert_eq!((books.paid(), books.books(), books.lies()), ([0, 0], [0, 0, 0], 0));
    assert_eq!(books.run(&issue(1, 100)).unwrap_err().code(), "quote-not-paid");
    books.run(&arrive(1, 100)).unwrap();
    books.run(&issue(1, 100)).unwrap();
    // The credits are out; that they are not covered is seen, and nothing is issued for the same money again.
    books.run(&undo(1)).unwrap();
    assert_eq!((books.paid(), books.books()), ([0, 100], [0, 100, -100]));
    books.run(&arrive(1, 100)).unwrap();
    assert_eq!(books.run(&issue(2, 100)).unwrap_err().code(), "quote-used");
    assert_eq!(books.books(), [100, 0, -100]);
}

#[test]
fn what_lies_there_is_moved_on_by_one_call_at_a_time() {
    let mut books = Books::open(100);
    books.run(&arrive(1, 100)).unwrap();
    assert_eq!(books.run(&sweep(1, 101)).unwrap_err().code(), "insufficient");
    books.run(&sweep(1, 100)).unwrap();
    books.run(&sweep(1, 100)).unwrap();
    assert_eq!(books.run(&sweep(2, 100)).unwrap_err().code(), "call-exists");
    assert_eq!(books.run(&end_sweep(1)).unwrap_err().code(), "unknown-call", "it is under way");
    books.run(&ended(1, false)).unwrap();
    books.run(&end_sweep(1)).unwrap();
    assert_eq!((books.lies(), books.inlet().unwrap().sweep), (100, None));
    assert_eq!(books.run(&sweep(1, 100)).unwrap_err().code(), "call-exists", "a name is used once");
    books.run(&sweep(2, 100)).unwrap();
    // More comes while it is under way, and stays.
    books.run(&arrive(2, 7)).unwrap();
    books.run(&ended(2, true)).unwrap();
    for _ in 0..2 {
        books.run(&end_sweep(2)).unwrap();
    }
    assert_eq!((books.lies(), books.books()), (7, [107, -107, 0]));
}

#[test]
fn only_what_is_over_is_forgotten() {
    let close = Command::CloseInlets(vec![QUOTE]);
    let late = LATER.after(Span::from_secs(1));
    let mut books = Books::open(100);
    books.run(&close).unwrap();
    assert!(books.inlet().is_some(), "somebody may send");
    books.run(&arrive(1, 5)).unwrap();
    books.run_at(&close, late).unwrap();
    assert!(books.inlet().is_some(), "something lies there");
    books.run(&undo(1)).unwrap();
    books.run_at(&close, late).unwrap();
    assert!(books.inlet().is_some(), "it may come back");
    books.run_at(&close, late.after(Span::from_secs(30 * 24 * 3600))).unwrap();
    assert_eq!(books.inlet(), None);
    assert!(books.0.mint_quotes.get(&QUOTE).unwrap().is_none(), "nobody has paid it");
    // Whoever has the quote asks for it again; all blocks since then have to be searched.
    let again = OpenInlet {
        quote: QUOTE,
        terms: mint_row(100).into(),
        since: NOW,
        until: LATER,
        search: vec![CHAIN],
    };
    books.run(&Command::SetMode(Mode::Paused)).unwrap();
    books.run(&Command::OpenInlet(again)).unwrap();
    assert_eq!(books.inlet().unwrap().search, [CHAIN]);
    books.run(&Command::Searched(QUOTE, 1)).unwrap();
    assert_eq!(books.inlet().unwrap().search, [CHAIN]);
    books.run(&Command::Searched(QUOTE, CHAIN)).unwrap();
    assert!(books.inlet().unwrap().search.is_empty());
}

#[test]
fn other_quotes_and_other_money_are_refused() {
    let mut books = Books::open(100);
    let terms = Box::new(MintQuoteRow { inlet: false, ..mint_row(1) });
    let quote = QuoteId::from_bytes([8; 16]);
    let other = OpenInlet { quote, terms, since: NOW, until: LATER, search: vec![] };
    assert_eq!(books.run(&Command::OpenInlet(other.clone())).unwrap_err().code(), "quote-method");
    let stray = |change: &dyn Fn(&mut ArrivalRow)| {
        let mut arrival = arrival(5);
        change(&mut arrival);
        Command::Arrive(Arrive { log: log(1), arrival })
    };
    let eur = Asset::micro("EUR").unwrap();
    assert_eq!(books.run(&stray(&|row| row.asset = eur)).unwrap_err().code(), "wrong-asset");
    assert_eq!(books.run(&stray(&|row| row.quote = quote)).unwrap_err().code(), "unknown-quote");
    assert_eq!(books.run(&stray(&|row| row.amount = Amount::ZERO)).unwrap_err().code(), "quote-amount");
    books.run(&Command::SetMode(Mode::Sunset)).unwrap();
    let terms = Box::new(mint_row(1));
    assert_eq!(books.run(&Command::OpenInlet(OpenInlet { terms, ..other })).unwrap_err().code(), "sunset");
    let cursor = CursorRow { block: 5, block_hash: [1; 32] };
    books.run(&Command::SetCursor(CHAIN, cursor)).unwrap();
    assert_eq!(books.0.cursors.get(&CHAIN).unwrap(), Some(&cursor));
    assert_eq!((books.paid(), books.books()), ([0, 0], [0, 0, 0]));
}
