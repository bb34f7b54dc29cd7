//! Names that payers give to payments, and who comes back without paying: they go the way of the payment.

use crate::support;
use crate::support::{merchant, reserve, usd};
use farthing_engine::{
    AccessId, AccessRow, Answer, Call, CallId, ChainAddress, Chart, Command, EndCall, Forget, Funds, Hold,
    Marks, Movement, NAME_LASTS, NameId, NameRow, Outcome, PaymentId, Reject, ReopenCall, RequestTag, Rows,
    Settle, SettledPayment, TransactionId, release_of,
};
use farthing_money::{Amount, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(10_000);
const PASS: Timestamp = Timestamp::from_secs(11_000);

fn payment(n: u8) -> PaymentId {
    PaymentId::of_authorization(
        1,
        ChainAddress::from_bytes([1; 20]),
        ChainAddress::from_bytes([2; 20]),
        &[n; 32],
    )
}

fn name() -> NameId {
    NameId::from_bytes([7; 32])
}

fn access() -> AccessId {
    AccessId::from_bytes([8; 32])
}

fn marks() -> Marks {
    Marks { name: Some(name()), access: Some(access()), ..Marks::default() }
}

struct Books {
    rows: Rows,
    now: Timestamp,
}

impl Books {
    fn open() -> Self {
        let mut accounts = Chart::of(usd()).accounts();
        accounts.extend([reserve(), merchant()]);
        let mut books = Self { rows: Rows::default(), now: NOW };
        books.run(&Command::OpenAccounts(accounts)).unwrap();
        books
    }

    fn run(&mut self, command: &Command) -> Result<Answer, Reject> {
        support::run(&mut self.rows, command, self.now)
    }

    fn hold(&mut self, n: u8, marks: &Marks) -> Result<Answer, Reject> {
        self.run(&Command::Hold(Hold {
            payment: payment(n),
            funds: Funds::Chain { reserve: reserve().id(), amount: Amount::new(10) },
            price: Amount::new(10),
            asset: usd(),
            merchant: merchant().id().into(),
            resource: "/page".into(),
            tag: RequestTag::from_bytes([n; 16]),
            tax_code: None,
            marks: *marks,
        }))
    }

    fn settle(&mut self, n: u8, pass_until: Option<Timestamp>, units: u128) {
        let at = |n| ChainAddress::from_bytes([n; 20]);
        let moves = Movement { token: at(1), from: at(2), to: at(4), units: Amount::new(units) };
        let call = Call { chain: 1, to: at(1), input: vec![1], moves, until: NOW, approval: None };
        self.run(&Command::Settle(Settle {
            payment: payment(n),
            call: (units > 0).then_some(call),
            charged: Amount::new(units),
            pass_until,
            accounts: vec![reserve().id()],
            merchant: merchant().id().into(),
            asset: usd(),
            marks: marks(),
        }))
        .unwrap();
    }

    fn end(&mut self, n: u8, settles: bool) {
        let outcome = if settles {
            Outcome::Settled { transaction: TransactionId::from_bytes([n; 32]), block: 1, log: 0 }
        } else {
            Outcome::Failed { transaction: None, reason: "x".into() }
        };
        let call = CallId::of_payment(payment(n));
        self.run(&Command::EndCall(EndCall {
            call,
            outcome,
            payment: Some(named(n)),
            gas: None,
            back: None,
        }))
        .unwrap();
    }

    fn reopen(&mut self, n: u8) {
        let call = CallId::of_payment(payment(n));
        self.run(&Command::ReopenCall(ReopenCall { call, payment: Some(named(n)) })).unwrap();
    }

    fn named(&self) -> Option<NameRow> {
        self.rows.names.get(&name()).unwrap().copied()
    }

    fn opened(&self) -> Option<AccessRow> {
        self.rows.access.get(&access()).unwrap().copied()
    }
}

fn named(n: u8) -> SettledPayment {
    SettledPayment {
        payment: payment(n),
        accounts: vec![reserve().id()],
        merchant: merchant().id().into(),
        asset: usd(),
        credits: vec![],
        change: vec![],
        quote: None,
        marks: marks(),
    }
}

#[test]
fn a_name_is_one_payments() {
    let mut books = Books::open();
    assert!(matches!(books.hold(1, &marks()).unwrap(), Answer::Held(_)));
    assert_eq!(books.named(), Some(NameRow { payment: payment(1), until: NOW.after(NAME_LASTS) }));
    assert_eq!(books.hold(2, &marks()), Err(Reject::PaymentNameTaken));
    assert_eq!(books.hold(1, &marks()), Err(Reject::PaymentUnderWay(payment(1))), "the same payment");
    assert!(matches!(books.hold(3, &Marks::default()).unwrap(), Answer::Held(_)), "one without a name");
    // Given back, it leaves its name.
    let row = books.rows.held.get(&payment(1)).unwrap().unwrap().clone();
    books.run(&release_of(payment(1), &row)).unwrap();
    assert_eq!(books.named(), None);
    assert!(matches!(books.hold(2, &marks()).unwrap(), Answer::Held(_)));
    // A release of the first that comes late takes nothing from the second.
    books.run(&release_of(payment(1), &row)).unwrap();
    assert_eq!(books.named().map(|row| row.payment), Some(payment(2)));
    books.settle(2, None, 10);
    books.end(2, true);
    assert_eq!(books.hold(4, &marks()), Err(Reject::PaymentNameTaken), "it was paid with");
    books.now = NOW.after(NAME_LASTS);
    assert!(matches!(books.hold(4, &marks()).unwrap(), Answer::Held(_)), "its time is over");
}

#[test]
fn what_a_chain_refuses_leaves_its_name_and_opens_nothing() {
    let mut books = Books::open();
    books.hold(1, &marks()).unwrap();
    books.settle(1, Some(PASS), 10);
    assert_eq!(books.opened(), None, "not before the chain has said so");
    books.end(1, false);
    assert_eq!((books.named(), books.opened()), (None, None));
}

#[test]
fn who_has_paid_comes_back_until_the_chain_takes_it_back() {
    let mut books = Books::open();
    books.hold(1, &marks()).unwrap();
    books.settle(1, Some(PASS), 10);
    books.end(1, true);
    let opened = Some(AccessRow { payment: payment(1), until: PASS, next: None });
    assert_eq!(books.opened(), opened);
    books.reopen(1);
    assert_eq!(books.opened(), None);
    books.end(1, true);
    assert_eq!(books.opened(), opened);
    books.reopen(1);
    books.end(1, false);
    assert_eq!(books.opened(), None);
}

#[test]
fn the_later_end_counts() {
    let mut books = Books::open();
    let only_access = Marks { name: None, ..marks() };
    for (n, until, opened_by) in
        [(1, PASS, 1), (2, Timestamp::from_secs(10_500), 1), (3, PASS.after(NAME_LASTS), 3)]
    {
        books.hold(n, &only_access).unwrap();
        // What cost nothing is charged at once.
        books.settle(n, Some(until), 0);
        assert_eq!(books.opened().map(|row| row.payment), Some(payment(opened_by)), "{n}");
    }
    books.hold(4, &only_access).unwrap();
    books.settle(4, None, 0);
    assert_eq!(books.opened().map(|row| row.payment), Some(payment(3)), "no pass opens nothing");
}

/// Two payments for the same: whichever the chain takes back, the other opens it as long as it would have alone.
#[test]
fn what_an_earlier_payment_opened_stays() {
    let only_access = Marks { name: None, ..marks() };
    let longer = PASS.after(NAME_LASTS);
    for (taken_back, left) in [(1, (2, longer)), (2, (1, PASS))] {
        let mut books = Books::open();
        for (n, until) in [(1, PASS), (2, longer)] {
            books.hold(n, &only_access).unwrap();
            books.settle(n, Some(until), 10);
            books.end(n, true);
        }
        books.reopen(taken_back);
        let opened = books.opened().map(|row| (row.payment, row.until));
        assert_eq!(opened, Some((payment(left.0), left.1)), "{taken_back}");
        books.end(taken_back, true);
        assert_eq!(books.opened().map(|row| row.until), Some(longer), "it has moved after all");
        books.reopen(1);
        books.reopen(2);
        assert_eq!(books.opened(), None);
    }
}

#[test]
fn only_what_is_over_is_forgotten() {
    let mut books = Books::open();
    books.hold(1, &marks()).unwrap();
    books.settle(1, Some(PASS), 10);
    books.end(1, true);
    let forget = Command::Forget(Forget { names: vec![name()], access: vec![access()], ..Forget::default() });
    books.run(&forget).unwrap();
    assert!(books.named().is_some() && books.opened().is_some());
    books.now = PASS;
    books.run(&forget).unwrap();
    assert!(books.named().is_some() && books.opened().is_none());
    books.now = NOW.after(NAME_LASTS);
    books.run(&forget).unwrap();
    assert_eq!(books.named(), None);
}
