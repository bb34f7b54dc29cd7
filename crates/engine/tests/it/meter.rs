//! Progress of what is metered: it rises, moves no money, and is what a start charges.

use crate::support;
use crate::support::{credits, merchant, usd};
use farthing_engine::{
    Answer, Command, CreditId, Hold, Input, Marks, Meter, Output, OutputId, PaymentId, PaymentRow,
    PaymentState, Reject, RequestTag, Rows, end_of, release_of,
};
use farthing_money::{Amount, Timestamp};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(10_000);
const WORTH: u64 = 1_000;
const PRICE: u128 = 600;

fn credit() -> CreditId {
    CreditId::from_bytes([2; 33])
}

fn payment() -> PaymentId {
    PaymentId::of_credits(&[credit()])
}

struct Books(Rows);

impl Books {
    fn open() -> Self {
        let mut rows = support::issuer([merchant()], NOW);
        support::fund(&mut rows, WORTH, NOW);
        Self(rows)
    }

    fn run(&mut self, command: &Command) -> Result<Answer, Reject> {
        support::run(&mut self.0, command, NOW)
    }

    fn hold(&mut self) {
        let input = Input { credit: credit(), account: credits(), amount: WORTH, witness: None };
        let hold = Hold {
            payment: payment(),
            funds: vec![input].into(),
            price: Amount::new(PRICE),
            asset: usd(),
            merchant: merchant().id().into(),
            resource: "/stream".into(),
            tag: RequestTag::from_bytes([3; 16]),
            tax_code: None,
            marks: Marks::default(),
        };
        self.run(&Command::Hold(hold)).unwrap();
    }

    fn meter(&mut self, charged: u64) -> Result<Answer, Reject> {
        let change = if charged < WORTH { vec![output(7, WORTH - charged)] } else { Vec::new() };
        self.run(&Command::Meter(Meter { payment: payment(), charged: Amount::from(charged), change }))
    }

    fn held(&mut self) -> Option<PaymentRow> {
        self.0.held.load(payment(), None);
        self.0.held.get(&payment()).unwrap().cloned()
    }

    fn posted(&mut self) -> Option<PaymentRow> {
        self.0.payments.load(payment(), None);
        self.0.payments.get(&payment()).unwrap().cloned()
    }

    fn earned(&mut self) -> u128 {
        self.0.accounts.get(&merchant().id()).unwrap().unwrap().totals.credits_posted.value()
    }
}

fn output(n: u8, amount: u64) -> Output {
    Output { output: OutputId::from_bytes([n; 33]), account: credits(), amount }
}

#[test]
fn what_is_metered_rises_and_is_charged_by_a_start() {
    let mut books = Books::open();
    books.hold();
    assert!(matches!(books.meter(10), Ok(Answer::Held(row)) if row.charged == Amount::new(10)));
    assert!(
        matches!(books.meter(4), Ok(Answer::Held(row)) if row.charged == Amount::new(10)),
        "it never falls"
    );
    books.meter(25).unwrap();
    assert_eq!(books.earned(), 0, "no money has moved");
    let row = books.held().unwrap();
    books.run(&end_of(payment(), &row, None)).unwrap();
    let posted = books.posted().unwrap();
    assert_eq!(
        (posted.state, posted.charged, posted.change[0].amount),
        (PaymentState::Posted, Amount::new(25), 975)
    );
    assert_eq!((books.earned(), books.held()), (25, None));
    assert!(
        matches!(books.meter(30), Ok(Answer::Posted(row)) if row.charged == Amount::new(25)),
        "that is over"
    );
}

#[test]
fn what_is_refused_is_not_written_down() {
    let mut books = Books::open();
    assert_eq!(books.meter(1).err(), Some(Reject::PaymentNotHeld(payment())));
    books.hold();
    let unbalanced = Meter { payment: payment(), charged: Amount::new(5), change: vec![output(7, 10)] };
    assert!(matches!(books.run(&Command::Meter(unbalanced)), Err(Reject::Unbalanced { .. })));
    let signed = Meter { payment: payment(), charged: Amount::new(5), change: vec![output(255, 995)] };
    let reused = Some(Reject::OutputSigned(OutputId::from_bytes([255; 33])));
    assert_eq!(books.run(&Command::Meter(signed)).err(), reused);
    let row = books.held().unwrap();
    assert_eq!((row.charged, row.change.len()), (Amount::ZERO, 0));
    books.run(&end_of(payment(), &row, None)).unwrap();
    assert_eq!(
        (books.held(), books.posted(), books.earned()),
        (None, None, 0),
        "what nothing was metered of goes back"
    );
}

#[test]
fn what_was_metered_can_still_be_given_back() {
    let mut books = Books::open();
    books.hold();
    books.meter(25).unwrap();
    let row = books.held().unwrap();
    books.run(&release_of(payment(), &row)).unwrap();
    books.hold();
    assert_eq!(books.held().unwrap().charged, Amount::ZERO, "a new hold begins anew");
}

proptest! {
    #[test]
    fn a_crash_at_any_step_charges_the_last_that_is_written_down(steps in proptest::collection::vec(0..1_200_u64, 0..8)) {
        let mut books = Books::open();
        books.hold();
        let mut written = 0;
        for step in steps {
            if step <= WORTH {
                books.meter(step).unwrap();
                written = written.max(step);
            } else {
                let over = Meter { payment: payment(), charged: Amount::from(step), change: Vec::new() };
                prop_assert!(books.run(&Command::Meter(over)).is_err(), "not above what is held");
            }
            let (mut crashed, row) = (Books(books.0.clone()), books.held().unwrap());
            crashed.run(&end_of(payment(), &row, None)).unwrap();
            prop_assert_eq!(crashed.earned(), u128::from(written));
        }
    }
}
