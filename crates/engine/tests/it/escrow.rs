//! Payments that go through an escrow: put there, captured, given back, and what the books say of it. Nothing that lies there
//! is anybody's, nothing is captured twice, and nothing is left lying.

use crate::support;
use crate::support::{CHAIN, gas_accounts, merchant, reserve, usd};
use farthing_engine::{
    Answer, Authorize, Call, CallId, Capture, ChainAddress, Command, EndCall, Funds, Gas, Hold, Keys, Marks,
    Movement, Outcome, PaymentId, PaymentRow, PaymentState, Purpose, Reject, ReopenCall, RequestTag, Rows,
    Settle, SettledPayment, TransactionId, Void, is_given_back, release_of,
};
use farthing_ledger::AccountId;
use farthing_money::{Amount, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(10_000);
const HELD: u128 = 10;

fn payment() -> PaymentId {
    PaymentId::of_authorization(
        CHAIN,
        ChainAddress::from_bytes([1; 20]),
        ChainAddress::from_bytes([2; 20]),
        &[3; 32],
    )
}

/// A call of the escrow, told from others by its one byte.
fn call(step: u8, units: u128) -> Call {
    let at = |n| ChainAddress::from_bytes([n; 20]);
    let moves = Movement { token: at(1), from: at(2), to: at(4), units: Amount::new(units) };
    Call { chain: CHAIN, to: at(9), input: vec![step], moves, until: NOW, approval: None }
}

const AUTHORIZE: u8 = 1;
const CAPTURE: u8 = 2;
const VOID: u8 = 3;

struct Books(Rows);

impl Books {
    /// A shop to which somebody has promised so much.
    fn holding() -> Self {
        let accounts = support::accounts();
        let mut books = Self(Rows::default());
        books.run(&Command::OpenAccounts(accounts)).unwrap();
        books.run(&hold()).unwrap();
        books
    }

    fn authorizing() -> Self {
        let mut books = Self::holding();
        assert!(
            matches!(books.run(&authorize()).unwrap(), Answer::Escrow(row) if row.state == PaymentState::Authorizing)
        );
        books
    }

    fn escrowed() -> Self {
        let mut books = Self::authorizing();
        books.run(&end(CallId::of_authorize(payment()), settled(1), None)).unwrap();
        assert_eq!(books.held().unwrap().state, PaymentState::Escrowed);
        books
    }

    fn run(&mut self, command: &Command) -> Result<Answer, Reject> {
        support::run(&mut self.0, command, NOW)
    }

    fn totals(&self, id: AccountId) -> [u128; 4] {
        support::totals(&self.0, id)
    }

    /// What is the merchant's, what is ours on the chain, what is pending there, and the gas.
    fn sums(&self) -> [u128; 4] {
        let [reserve, _, pending, _] = self.totals(reserve().id());
        [self.totals(merchant().id())[1], reserve, pending, self.totals(gas_accounts().spent)[0]]
    }

    fn held(&self) -> Option<PaymentRow> {
        self.0.held.get(&payment()).unwrap().cloned()
    }

    /// The call that gives something back, if one is under way.
    fn back(&mut self) -> Option<Call> {
        let mut keys = Keys::default();
        keys.calls.push(CallId::of_void(payment()));
        self.0.load_absent(&keys);
        let row = self.0.calls.get(&CallId::of_void(payment())).unwrap()?;
        assert_eq!(row.purpose, Purpose::Void(payment()));
        Some(row.call.clone())
    }
}

fn hold() -> Command {
    Command::Hold(Hold {
        payment: payment(),
        funds: Funds::Chain { reserve: reserve().id(), amount: Amount::new(HELD) },
        price: Amount::new(HELD),
        asset: usd(),
        merchant: merchant().id().into(),
        resource: "/page".into(),
        tag: RequestTag::from_bytes([0; 16]),
        tax_code: None,
        marks: Marks::default(),
    })
}

fn authorize() -> Command {
    Command::Authorize(Authorize {
        payment: payment(),
        call: call(AUTHORIZE, HELD),
        accounts: vec![reserve().id()],
        asset: usd(),
    })
}

fn capture(charged: u128) -> Command {
    Command::Capture(Capture {
        payment: payment(),
        call: (charged > 0).then(|| call(CAPTURE, charged)),
        back: call(VOID, HELD),
        charged: Amount::new(charged),
        pass_until: None,
        accounts: vec![reserve().id()],
        merchant: merchant().id().into(),
        asset: usd(),
        marks: Marks::default(),
    })
}

fn void() -> Command {
    Command::Void(Void {
        payment: payment(),
        call: call(VOID, HELD),
        accounts: vec![reserve().id()],
        asset: usd(),
        marks: Marks::default(),
    })
}

fn named() -> SettledPayment {
    support::settled(payment())
}

/// The chain's word for a call, which cost one unit of gas.
fn end(call: CallId, outcome: Outcome, back: Option<Call>) -> Command {
    let gas = Some(Gas { accounts: gas_accounts(), paid: Amount::new(1) });
    let payment = (call != CallId::of_void(payment())).then(named);
    Command::EndCall(EndCall { call, outcome, payment, gas, back })
}

fn settled(n: u8) -> Outcome {
    Outcome::Settled { transaction: TransactionId::from_bytes([n; 32]), block: 17, log: 0 }
}

fn failed() -> Outcome {
    Outcome::Failed { transaction: None, reason: "invalid_auth_capture_evm_simulation_failed".into() }
}

fn end_capture(outcome: Outcome) -> Command {
    end(CallId::of_payment(payment()), outcome, Some(call(VOID, HELD)))
}

#[test]
fn what_is_captured_is_earned_and_nothing_before() {
    let mut books = Books::authorizing();
    assert_eq!(books.sums(), [0, 0, HELD, 0]);
    assert!(matches!(books.run(&authorize()).unwrap(), Answer::Escrow(_)), "asked again");
    books.run(&end(CallId::of_authorize(payment()), settled(1), None)).unwrap();
    assert_eq!(books.sums(), [0, 0, HELD, 1], "gas alone");
    assert!(matches!(books.run(&capture(HELD)).unwrap(), Answer::Settling(_)));
    assert!(matches!(books.run(&capture(4)).unwrap(), Answer::Settling(row) if row.charged.value() == HELD));
    books.run(&end_capture(settled(2))).unwrap();
    assert_eq!(books.sums(), [HELD, HELD, 0, 2]);
    assert_eq!((books.held(), books.back()), (None, None), "nothing is left");
    for again in [hold(), authorize(), capture(HELD)] {
        assert!(matches!(books.run(&again).unwrap(), Answer::Posted(_)));
    }
    assert_eq!(books.sums(), [HELD, HELD, 0, 2]);
}

#[test]
fn what_a_capture_leaves_goes_back() {
    let mut books = Books::escrowed();
    books.run(&capture(4)).unwrap();
    assert_eq!(books.back(), None, "not before it is captured");
    books.run(&end_capture(settled(2))).unwrap();
    assert_eq!(books.sums(), [4, 4, 0, 2]);
    assert_eq!(books.back(), Some(call(VOID, HELD)));
    books.run(&end(CallId::of_void(payment()), settled(3), Some(call(VOID, HELD)))).unwrap();
    assert_eq!((books.sums(), books.back()), ([4, 4, 0, 3], None));
}

#[test]
fn what_cost_nothing_goes_back_whole() {
    let mut books = Books::escrowed();
    assert!(matches!(books.run(&capture(0)).unwrap(), Answer::Posted(row) if row.charged.is_zero()));
    assert_eq!((books.sums(), books.back()), ([0, 0, 0, 1], Some(call(VOID, HELD))));
}

#[test]
fn what_was_not_served_goes_back() {
    let mut books = Books::escrowed();
    books.run(&void()).unwrap();
    assert_eq!((books.sums(), books.held()), ([0, 0, 0, 1], None));
    assert_eq!(books.back(), Some(call(VOID, HELD)));
    // Said twice, it is one call; and what is on its way back is captured by nobody.
    assert_eq!(books.run(&void()).unwrap(), Answer::Done);
    assert_eq!(books.run(&capture(HELD)).err(), Some(Reject::NotInEscrow(payment())));
    books.run(&end(CallId::of_void(payment()), settled(3), Some(call(VOID, HELD)))).unwrap();
    assert_eq!((books.sums(), books.back()), ([0, 0, 0, 2], None));
    // It is not put there a second time, whatever a node says of it.
    books.run(&hold()).unwrap();
    assert_eq!(books.run(&authorize()).err(), Some(Reject::EscrowOver(payment())));
}

/// A void that a chain carries out and refuses leaves the money where it is: it is begun anew, with a number of its own.
#[test]
fn what_did_not_go_back_is_tried_anew() {
    let mut books = Books::escrowed();
    books.run(&void()).unwrap();
    let answer = books.run(&end(CallId::of_void(payment()), failed(), Some(call(VOID, HELD)))).unwrap();
    assert!(matches!(answer, Answer::Call(row) if row.slot.is_none() && row.attempts.is_empty()));
    assert_eq!((books.sums()[3], books.back()), (2, Some(call(VOID, HELD))));
    // Nothing is left there: the payer has taken it back.
    books.run(&end(CallId::of_void(payment()), failed(), None)).unwrap();
    assert_eq!((books.sums(), books.back()), ([0, 0, 0, 3], None));
}

#[test]
fn what_never_got_there_is_given_back() {
    let mut books = Books::authorizing();
    books.run(&end(CallId::of_authorize(payment()), failed(), None)).unwrap();
    assert_eq!((books.sums(), books.held(), books.back()), ([0, 0, 0, 1], None, None));
    // It may still be good: the next try is a new one.
    books.run(&hold()).unwrap();
    assert!(matches!(books.run(&authorize()).unwrap(), Answer::Escrow(_)));
}

/// The deadline is over, or the token refuses: it was served and not paid, and what lies there is the payer's.
#[test]
fn what_cannot_be_captured_goes_back() {
    let mut books = Books::escrowed();
    books.run(&capture(4)).unwrap();
    books.run(&end_capture(failed())).unwrap();
    assert_eq!((books.sums(), books.held()), ([0, 0, 0, 2], None));
    assert_eq!(books.back(), Some(call(VOID, HELD)));
}

#[test]
fn each_step_has_its_turn() {
    let mut books = Books::holding();
    assert_eq!(books.run(&capture(HELD)).err(), Some(Reject::NotInEscrow(payment())));
    assert_eq!(books.run(&void()).err(), Some(Reject::NotInEscrow(payment())));
    let mut books = Books::authorizing();
    let row = books.held().unwrap();
    assert!(!is_given_back(&row), "a start does not give it back");
    assert_eq!(books.run(&release_of(payment(), &row)).err(), Some(Reject::PaymentSettling(payment())));
    assert_eq!(books.run(&void()).err(), Some(Reject::PaymentSettling(payment())));
    assert_eq!(books.run(&capture(HELD)).err(), Some(Reject::NotInEscrow(payment())));
    let mut books = Books::escrowed();
    let row = books.held().unwrap();
    assert!(!is_given_back(&row), "a start does not give it back");
    assert_eq!(books.run(&release_of(payment(), &row)).err(), Some(Reject::PaymentSettling(payment())));
    let direct = Command::Settle(Settle {
        payment: payment(),
        call: Some(call(AUTHORIZE, HELD)),
        charged: Amount::new(HELD),
        pass_until: None,
        accounts: vec![reserve().id()],
        merchant: merchant().id().into(),
        asset: usd(),
        marks: Marks::default(),
    });
    assert_eq!(books.run(&direct).err(), Some(Reject::PaymentSettling(payment())));
    books.run(&capture(HELD)).unwrap();
    assert_eq!(books.run(&void()).err(), Some(Reject::PaymentSettling(payment())), "one way or the other");
    assert_eq!(books.run(&hold()).unwrap(), Answer::Settling(Box::new(books.held().unwrap())));
}

#[test]
fn a_fork_takes_back_each_step_by_itself() {
    let (into, out) = (CallId::of_authorize(payment()), CallId::of_payment(payment()));
    let mut books = Books::escrowed();
    books.run(&capture(4)).unwrap();
    books.run(&end_capture(settled(2))).unwrap();
    let reopen = |call| Command::ReopenCall(ReopenCall { call, payment: Some(named()) });
    for call in [into, out] {
        books.run(&reopen(call)).unwrap();
    }
    assert_eq!(books.totals(merchant().id())[..2], [4, 4], "taken out of the books");
    books.run(&end(into, settled(1), None)).unwrap();
    books.run(&end_capture(settled(2))).unwrap();
    assert_eq!(books.totals(merchant().id())[..2], [4, 8], "and in again");
    assert_eq!(books.sums()[3], 2, "each transaction is paid for once");
    assert_eq!(books.back(), Some(call(VOID, HELD)), "asked for once");
    // Its payer has taken the authorization back on a fork while somebody was served.
    let mut books = Books::escrowed();
    books.run(&reopen(into)).unwrap();
    books.run(&end(into, failed(), None)).unwrap();
    assert_eq!((books.sums(), books.held()), ([0, 0, 0, 1], None));
    assert_eq!(books.run(&capture(HELD)).err(), Some(Reject::NotInEscrow(payment())));
}
