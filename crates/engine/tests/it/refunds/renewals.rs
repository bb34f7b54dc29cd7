//! Passes that go on from the end of an earlier one: what is paid for once is had once, whatever is asked back and in whichever order.

use farthing_engine::{Command, Extends, Forget, Marks, RefundReject, RefundTerms};
use farthing_money::{Span, Timestamp};
use proptest::prelude::*;

use super::books::{Books, START, WITHIN, marks, marks_within, payment, units};

const PRICE: u128 = 10;
const DAY: Span = Span::from_secs(86_400);

/// Without limits of payers and items.
fn easy() -> Marks {
    let refund = marks(None).refund.map(|terms| RefundTerms { per_payer: 100, rate_most: 100, ..terms });
    Marks { refund, ..Marks::default() }
}

impl Books {
    /// Buys a day, beginning at the end of an earlier pass if one is shown.
    fn buy(&mut self, n: u8, shown: Option<Extends>) -> Timestamp {
        self.buy_with(n, Marks { extends: shown, ..marks(None) })
    }

    fn buy_with(&mut self, n: u8, marks: Marks) -> Timestamp {
        self.hold(n, PRICE, marks).unwrap();
        self.charge_pass(n, marks)
    }

    fn charge_pass(&mut self, n: u8, marks: Marks) -> Timestamp {
        let from = marks.extends.map_or(self.now, |extends| extends.ends.max(self.now));
        self.post_until(n, (PRICE, Some(from.after(DAY))), marks);
        self.row(n).pass_until.unwrap()
    }

    /// The pass of a payment, as it is shown when another is bought.
    fn pass(&mut self, n: u8) -> Extends {
        let ends = self.row(n).pass_until.unwrap();
        Extends { payment: payment(n), ends }
    }
}

/// Two days were had for the price of one: the first came back, and the second went on from its end.
#[test]
fn a_pass_that_is_extended_does_not_come_back() {
    let mut books = Books::open();
    assert_eq!(books.buy(1, None), START.after(DAY));
    let shown = Some(books.pass(1));
    assert_eq!(books.buy(2, shown), START.after(DAY).after(DAY));
    assert_eq!(books.row(2).marks.extends, None, "its row does not say what else was paid");
    assert_eq!(books.take(1, 1, 1), Err(RefundReject::Extended.into()));
    // The later one does, and then so does the earlier.
    assert_eq!(books.take(2, 1, 2).unwrap().amount, units(PRICE));
    assert_eq!(books.take(1, 1, 3).unwrap().amount, units(PRICE));
    assert_eq!(books.earned(), [0; 3]);
}

/// Each of the later ones has its time.
#[test]
fn a_pass_that_is_extended_twice_comes_back_after_both() {
    let mut books = Books::open();
    books.buy(1, None);
    for n in [2, 3] {
        let shown = Some(books.pass(1));
        books.buy(n, shown);
    }
    books.take(3, 1, 3).unwrap();
    assert_eq!(books.take(1, 1, 1), Err(RefundReject::Extended.into()));
    // A part of it is not all of it.
    books.grant(2, PRICE - 1, (Some(1), 4)).unwrap();
    assert_eq!(books.take(1, 1, 1), Err(RefundReject::Extended.into()));
    books.grant(2, 1, (Some(2), 5)).unwrap();
    assert_eq!(books.take(1, 1, 1).unwrap().amount, units(PRICE));
}

/// The operator gave the middle one of three back: the first could be asked back then, though the last had its time.
#[test]
fn what_the_operator_gives_back_between_frees_nothing() {
    let mut books = Books::open();
    books.buy(1, None);
    for n in [2, 3] {
        let shown = Some(books.pass(n - 1));
        books.buy(n, shown);
    }
    books.grant(2, PRICE, (Some(1), 1)).unwrap();
    assert_eq!(books.take(1, 1, 2), Err(RefundReject::Extended.into()));
    assert_eq!(books.take(3, 1, 3).unwrap().amount, units(PRICE));
}

/// What is paid after its end adds nothing to it, and locks nothing.
#[test]
fn a_pass_that_has_ended_by_the_charge_is_not_extended() {
    let mut books = Books::open();
    let long = marks_within(Span::from_secs(3 * DAY.secs()));
    books.buy_with(1, long);
    let marks = Marks { extends: Some(books.pass(1)), ..long };
    for n in [2, 3] {
        books.hold(n, PRICE, marks).unwrap();
    }
    assert_eq!(books.charge_pass(2, marks), START.after(DAY).after(DAY));
    books.now = START.after(DAY);
    assert_eq!(books.charge_pass(3, marks), books.now.after(DAY));
    assert_eq!((books.refund(1).extended, books.refund(3).extends), (1, None));
    books.take(3, 1, 3).unwrap();
    assert_eq!(books.take(1, 1, 1), Err(RefundReject::Extended.into()), "one has its time still");
    books.take(2, 1, 2).unwrap();
    books.take(1, 1, 4).unwrap();
}

/// Whoever gives a pass back while the next one is being paid has its time no more.
#[test]
fn the_time_of_a_pass_that_came_back_meanwhile_is_not_added() {
    let mut books = Books::open();
    books.buy(1, None);
    let marks = Marks { extends: Some(books.pass(1)), ..marks(None) };
    books.hold(2, PRICE, marks).unwrap();
    books.now = START.after(Span::from_secs(60));
    books.take(1, 1, 1).unwrap();
    assert_eq!(books.charge_pass(2, marks), books.now.after(DAY));
    assert_eq!(books.take(2, 1, 2).unwrap().amount, units(PRICE));
}

/// A pass that has ended adds nothing, and nothing is kept of it.
#[test]
fn what_has_no_window_any_more_is_extended_without_a_word() {
    let mut books = Books::open();
    books.buy_with(1, Marks::default());
    let shown = Some(books.pass(1));
    assert_eq!(books.buy(2, shown), START.after(DAY).after(DAY));
    assert_eq!((books.refund(1).extended, books.refund(2).extends), (0, None));
    let shown = Some(books.pass(2));
    books.buy_with(3, Marks { extends: shown, ..marks_within(Span::from_secs(2 * WITHIN.secs())) });
    assert_eq!((books.refund(2).extended, books.refund(3).extends), (1, Some(payment(2))));
    // With its window it is forgotten which one it was.
    books.take(3, 1, 3).unwrap();
    books.now = START.after(WITHIN).after(WITHIN);
    let refunds = vec![payment(2), payment(3)];
    books.run(&Command::Forget(Forget { refunds, ..Forget::default() })).unwrap();
    assert_eq!((books.refund(2).extended, books.refund(3).extends), (0, None));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Another pass, with the payment of one that is good, if there is one.
    Hold {
        shows: Option<usize>,
    },
    Charge {
        one: usize,
    },
    Take {
        one: usize,
    },
    Grant {
        one: usize,
        amount: u128,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = || any::<usize>();
    let step = prop_oneof![
        4 => prop::option::weighted(0.9, one()).prop_map(|shows| Step::Hold { shows }),
        4 => one().prop_map(|one| Step::Charge { one }),
        3 => one().prop_map(|one| Step::Take { one }),
        1 => (one(), 1..PRICE).prop_map(|(one, amount)| Step::Grant { one, amount }),
    ];
    prop::collection::vec(step, 1..60)
}

fn of<T: Copy>(all: &[T], one: usize) -> Option<T> {
    all.get(one.checked_rem(all.len())?).copied()
}

proptest! {
    /// All at one moment: no pass that is good ends later than the payments that are charged have paid for.
    #[test]
    fn whoever_asks_back_has_no_day_for_nothing(steps in steps()) {
        let mut books = Books::open();
        let (mut held, mut good) = (Vec::new(), Vec::new());
        for (this, step) in (1..).zip(steps) {
            match step {
                Step::Hold { shows } => {
                    let shown = shows.and_then(|one| of(&good, one)).map(|shown| books.pass(shown));
                    let marks = Marks { extends: shown, ..easy() };
                    books.hold(this, PRICE, marks).unwrap();
                    held.push((this, marks));
                }
                Step::Charge { one } => if let Some((n, marks)) = of(&held, one) {
                    held.retain(|(held, _)| *held != n);
                    books.charge_pass(n, marks);
                    good.push(n);
                }
                Step::Take { one } => if let Some(n) = of(&good, one) {
                    let expected = books.refund(n).extended == 0;
                    prop_assert_eq!(books.take(n, n, this).is_ok(), expected);
                }
                Step::Grant { one, amount } => if let Some(n) = of(&good, one) {
                    // The operator may give a day for nothing. Here it keeps something of each.
                    if books.row(n).kept() > units(amount) {
                        books.grant(n, amount, (Some(this), this)).unwrap();
                    }
                }
            }
            good.retain(|n| !books.row(*n).is_refunded());
            let ends = good.iter().filter_map(|n| books.row(*n).pass_until);
            let days = ends.max().unwrap_or(START).since(START).secs() / DAY.secs();
            prop_assert!(days <= u64::try_from(good.len()).unwrap(), "{days} days for {} payments", good.len());
        }
        // Whoever gives back the latest first gets everything back.
        good.sort_by_key(|n| books.row(*n).pass_until);
        for (n, this) in good.into_iter().rev().zip(100..) {
            books.take(n, n, this).unwrap();
        }
        prop_assert_eq!(books.earned(), [0; 3]);
    }
}
