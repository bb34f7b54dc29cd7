//! Fares: whatever is held, charged, given back and taken back, in whichever order, what is charged is never more than the cap.

use std::collections::BTreeMap;

use crate::support;
use crate::support::{credits, merchant, reserve, usd};
use farthing_engine::{
    Answer, Call, CallId, ChainAddress, Command, CreditId, EndCall, FARE_PAID_STAYS, FareId, FareReject,
    FareRow, FareShare, Forget, Funds, Hold, Input, Marks, Movement, Outcome, Output, OutputId, PaymentId,
    PaymentState, Post, Reject, ReopenCall, RequestTag, Rows, Settle, SettledPayment, TransactionId,
    release_of,
};
use farthing_money::{Amount, Timestamp};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(10_000);
const ENDS: Timestamp = Timestamp::from_secs(20_000);
const CAP: u128 = 100;
/// What every credit here is worth.
const CREDIT: u64 = 64;

fn units(n: u128) -> Amount {
    Amount::new(n)
}

fn fare() -> FareId {
    FareId::from_bytes([9; 32])
}

fn credit(n: u8) -> CreditId {
    CreditId::from_bytes([n; 33])
}

/// Even payments pay with credits, odd ones on a chain.
fn payment(n: u8) -> PaymentId {
    let address = |n| ChainAddress::from_bytes([n; 20]);
    if by_credits(n) {
        PaymentId::of_credits(&[credit(n)])
    } else {
        PaymentId::of_authorization(1, address(1), address(2), &[n; 32])
    }
}

fn by_credits(n: u8) -> bool {
    n.is_multiple_of(2)
}

fn marks(full: u128, agreed: u128) -> Marks {
    let (cap, full, took) = (units(CAP), units(full), units(agreed));
    Marks { fare: Some(FareShare { fare: fare(), cap, ends: ENDS, full, took }), ..Marks::default() }
}

struct Books {
    rows: Rows,
    now: Timestamp,
}

impl Books {
    fn open() -> Self {
        let mut rows = support::issuer([reserve(), merchant()], NOW);
        support::fund(&mut rows, 256 * CREDIT, NOW);
        Self { rows, now: NOW }
    }

    fn run(&mut self, command: &Command) -> Result<Answer, Reject> {
        support::run(&mut self.rows, command, self.now)
    }

    fn hold(&mut self, n: u8, full: u128, agreed: u128) -> Result<Answer, Reject> {
        let funds = if by_credits(n) {
            vec![Input { credit: credit(n), account: credits(), amount: CREDIT, witness: None }].into()
        } else {
            Funds::Chain { reserve: reserve().id(), amount: units(agreed) }
        };
        self.run(&Command::Hold(Hold {
            payment: payment(n),
            funds,
            price: units(agreed),
            asset: usd(),
            merchant: merchant().id().into(),
            resource: "/page".into(),
            tag: RequestTag::from_bytes([n; 16]),
            tax_code: None,
            marks: marks(full, agreed),
        }))
    }

    /// Charges a held payment: with credits at once, on a chain once that has ended.
    fn charge(&mut self, n: u8, charged: u128) -> Result<Answer, Reject> {
        if by_credits(n) {
            let back = CREDIT - u64::try_from(charged).unwrap();
            let output = Output { output: OutputId::from_bytes([n; 33]), account: credits(), amount: back };
            return self.run(&Command::Post(Post {
                payment: payment(n),
                credits: vec![credit(n)],
                accounts: vec![credits()],
                merchant: merchant().id().into(),
                asset: usd(),
                charged: units(charged),
                change: if back == 0 { Vec::new() } else { vec![output] },
                pass_until: None,
                marks: marks(0, 0),
            }));
        }
        let at = |n| ChainAddress::from_bytes([n; 20]);
        let moves = Movement { token: at(1), from: at(2), to: at(4), units: units(charged) };
        let call = Call { chain: 1, to: at(1), input: vec![n], moves, until: NOW, approval: None };
        self.run(&Command::Settle(Settle {
            payment: payment(n),
            call: (charged > 0).then_some(call),
            charged: units(charged),
            pass_until: None,
            accounts: vec![reserve().id()],
            merchant: merchant().id().into(),
            asset: usd(),
            marks: marks(0, 0),
        }))
    }

    fn end(&mut self, n: u8, has_moved: bool) -> Result<Answer, Reject> {
        let outcome = if has_moved {
            Outcome::Settled { transaction: TransactionId::from_bytes([n; 32]), block: 1, log: 0 }
        } else {
            Outcome::Failed { transaction: None, reason: "x".into() }
        };
        let (call, payment) = (CallId::of_payment(payment(n)), Some(named(n)));
        self.run(&Command::EndCall(EndCall { call, outcome, payment, gas: None, back: None }))
    }

    fn reopen(&mut self, n: u8) -> Result<Answer, Reject> {
        let call = CallId::of_payment(payment(n));
        self.run(&Command::ReopenCall(ReopenCall { call, payment: Some(named(n)) }))
    }

    fn release(&mut self, n: u8) -> Result<Answer, Reject> {
        let row = self.rows.held.get(&payment(n)).ok().flatten().cloned();
        match row {
            Some(row) => self.run(&release_of(payment(n), &row)),
            None => Ok(Answer::Done),
        }
    }

    fn row(&mut self) -> Option<FareRow> {
        self.rows.fares.load(fare(), None);
        self.rows.fares.get(&fare()).unwrap().copied()
    }

    /// What was charged and what is held.
    fn counted(&mut self) -> (u128, u128) {
        self.row().map_or((0, 0), |row| (row.spent.value(), row.held.value()))
    }

    fn took(&self, n: u8) -> u128 {
        let row = self.rows.held.get(&payment(n)).unwrap().unwrap();
        row.marks.fare.unwrap().took.value()
    }
}

fn named(n: u8) -> SettledPayment {
    SettledPayment { marks: marks(0, 0), ..support::settled(payment(n)) }
}

#[test]
fn what_is_left_is_the_price_and_then_nothing() {
    let mut books = Books::open();
    books.hold(0, 60, 60).unwrap();
    assert_eq!(books.counted(), (0, 60));
    books.charge(0, 60).unwrap();
    assert_eq!(books.counted(), (60, 0));
    let posted = books.rows.payments.get(&payment(0)).unwrap().unwrap();
    assert_eq!((posted.charged, posted.marks), (units(60), Marks::default()), "the row forgets the fare");

    // Sixty were asked for, forty are left, and that is what is taken.
    books.hold(2, 60, 60).unwrap();
    assert_eq!((books.took(2), books.counted()), (40, (60, 40)));
    assert_eq!(books.hold(4, 60, 60), Err(Reject::Fare(FareReject::UnderWay)));
    books.release(2).unwrap();
    assert_eq!(books.counted(), (60, 0));
    books.hold(4, 60, 60).unwrap();
    books.charge(4, 40).unwrap();
    assert_eq!(books.hold(2, 60, 60), Err(Reject::Fare(FareReject::Paid)));
    assert!(books.row().unwrap().is_paid());
    assert_eq!(books.hold(4, 60, 60).map(|answer| matches!(answer, Answer::Posted(_))), Ok(true), "a retry");
}

#[test]
fn nobody_pays_more_than_he_was_told_and_what_is_signed_is_taken_as_it_is() {
    let mut books = Books::open();
    books.hold(0, 60, 60).unwrap();
    // Told forty because sixty were held; by now there is room for sixty.
    books.release(0).unwrap();
    assert_eq!(books.hold(2, 60, 40), Err(Reject::Fare(FareReject::Changed)));
    assert_eq!(books.row(), None, "a fare that nothing was paid in is forgotten");
    books.hold(2, 60, 60).unwrap();
    // Signed for sixty, and only forty are left.
    assert_eq!(books.hold(1, 60, 60), Err(Reject::Fare(FareReject::Changed)));
    books.hold(1, 60, 40).unwrap();
    books.now = ENDS;
    assert_eq!(books.hold(4, 60, 60), Err(Reject::Fare(FareReject::Changed)), "it has ended");
    // What is held ends in it all the same, and then it is forgotten.
    let forget = Command::Forget(Forget { fares: vec![fare()], ..Forget::default() });
    books.run(&forget).unwrap();
    assert_eq!(books.counted(), (0, 100));
    books.charge(2, 60).unwrap();
    books.charge(1, 40).unwrap();
    books.end(1, true).unwrap();
    assert_eq!(books.counted(), (100, 0));
    books.run(&forget).unwrap();
    assert_eq!(books.counted(), (100, 0), "it was paid, and what counted in it may be asked back");
    books.now = ENDS.after(FARE_PAID_STAYS);
    books.run(&forget).unwrap();
    assert_eq!(books.row(), None);
}

#[test]
fn what_a_chain_takes_back_makes_no_room_until_its_last_word() {
    let mut books = Books::open();
    books.hold(1, 100, 100).unwrap();
    books.charge(1, 100).unwrap();
    assert_eq!(books.counted(), (0, 100), "the chain has not said so yet");
    books.end(1, true).unwrap();
    books.reopen(1).unwrap();
    assert_eq!(books.counted(), (0, 100));
    assert_eq!(books.hold(0, 10, 10), Err(Reject::Fare(FareReject::UnderWay)));
    books.end(1, true).unwrap();
    assert_eq!((books.counted(), books.hold(0, 10, 10)), ((100, 0), Err(Reject::Fare(FareReject::Paid))));
    books.reopen(1).unwrap();
    books.end(1, false).unwrap();
    assert_eq!(books.row(), None);
}

/// What may happen to a payment.
#[derive(Clone, Copy, Debug)]
enum Step {
    Hold { n: u8, full: u128, less: u128 },
    Charge { n: u8, less: u128 },
    Release { n: u8 },
    End { n: u8, has_moved: bool },
    Reopen { n: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let n = || 0_u8..16;
    let step = prop_oneof![
        4 => (n(), 1_u128..=50, 0_u128..3).prop_map(|(n, full, less)| Step::Hold { n, full, less }),
        4 => (n(), 0_u128..3).prop_map(|(n, less)| Step::Charge { n, less }),
        1 => n().prop_map(|n| Step::Release { n }),
        3 => (n(), any::<bool>()).prop_map(|(n, has_moved)| Step::End { n, has_moved }),
        1 => n().prop_map(|n| Step::Reopen { n }),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    /// Against the naive sum of what every payment's own row says.
    #[test]
    fn a_fare_cap_never_over_charges(steps in steps()) {
        let mut books = Books::open();
        // What was taken back and may come again.
        let mut back = BTreeMap::<u8, bool>::new();
        for step in steps {
            match step {
                Step::Hold { n, full, less } => {
                    let _ = books.hold(n, full, full.saturating_sub(less).max(1));
                }
                Step::Charge { n, less } => {
                    let row = books.rows.held.get(&payment(n)).ok().flatten();
                    let held = row.is_some_and(|row| row.state == PaymentState::Held);
                    if held {
                        let took = books.took(n);
                        let _ = books.charge(n, took.saturating_sub(less));
                    }
                }
                Step::Release { n } => {
                    let _ = books.release(n);
                }
                Step::End { n, has_moved } if !by_credits(n) => {
                    // A call ends once; what comes after that changes nothing.
                    if books.end(n, has_moved).is_ok() && back.get(&n) == Some(&false) {
                        if has_moved {
                            back.remove(&n);
                        } else {
                            back.insert(n, true);
                        }
                    }
                }
                Step::Reopen { n } if !by_credits(n) => {
                    let known = books.rows.payments.get(&payment(n)).ok().flatten().is_some();
                    if known && books.reopen(n).is_ok() && !back.contains_key(&n) {
                        back.insert(n, false);
                    }
                }
                Step::End { .. } | Step::Reopen { .. } => {}
            }
            let (mut charged, mut held) = (0, 0);
            for n in 0..16 {
                if let Some(row) = books.rows.payments.get(&payment(n)).ok().flatten() {
                    match back.get(&n) {
                        None => charged += row.charged.value(),
                        Some(false) => held += row.charged.value(),
                        Some(true) => {}
                    }
                }
                if books.rows.held.get(&payment(n)).ok().flatten().is_some() {
                    held += books.took(n);
                }
            }
            prop_assert!(charged + held <= CAP, "{step:?}: {charged} charged, {held} held");
            prop_assert_eq!(books.counted(), (charged, held), "{:?}", step);
        }
    }
}
