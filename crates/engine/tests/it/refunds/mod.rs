//! Refunds: whatever is asked back, given back, fetched and repeated, in whichever order, a payment never gives back more than it
//! was charged, and the books have what every payment's row says.

mod books;
mod renewals;

use std::collections::BTreeMap;

use farthing_engine::{
    BundleCommand, Chart, CodeId, Command, ExpireKeyset, Forget, Marks, PaymentRow, Prune, RATE_PERIOD,
    REFUND_WITHIN_MAX, RefundReject, RefundRow, RefundedTo, Reject,
};
use farthing_money::{Amount, Span};
use proptest::prelude::*;

use self::books::{Books, CAP, CREDIT, START, WITHIN, fare, marks, marks_within, merchants, payment, units};
use crate::support::{credits, fund, issuer_until, usd};

#[test]
fn a_payment_comes_back_once_and_opens_nothing_any_more() {
    let mut books = Books::open();
    let out = books.balance(credits());
    books.pay(1, 50);
    assert_eq!((books.earned(), books.balance(credits())), ([35, 10, 5], out - 50));
    let first = books.take(1, 1, 101).unwrap();
    assert_eq!((first.amount, books.earned(), books.balance(credits())), (units(50), [0, 0, 0], out));
    assert!(matches!(&first.to, RefundedTo::Payer { credits, aside: false } if credits.len() == 1));
    assert_eq!(books.take(1, 1, 101), Ok(first), "the same request is answered alike");
    assert_eq!(books.take(1, 1, 102), Err(RefundReject::Done.into()));
    assert_eq!(books.grant(1, 1, (None, 103)), Err(RefundReject::Done.into()));
    assert_eq!(books.hold(1, 50, marks(None)), Err(RefundReject::Done.into()), "a retry is told so");
    assert_eq!((books.row(1).back, books.rate()), (units(50), (1, 1, 1)));
    assert_eq!(books.balance(Chart::of(usd()).clearing), 0);
}

#[test]
fn the_operator_gives_back_in_parts_and_never_more_than_was_charged() {
    let mut books = Books::open();
    let (due, codes) = (Chart::of(usd()).refunds_due, Chart::of(usd()).codes);
    books.pay(1, 51);
    let left = |left| Err(RefundReject::TooMuch { asked: units(52), left: units(left) }.into());
    assert_eq!(books.grant(1, 52, (None, 1)), left(51));
    assert!(matches!(books.grant(1, 0, (None, 1)), Err(Reject::Refund(RefundReject::TooMuch { .. }))));
    let first = books.grant(1, 20, (None, 1)).unwrap();
    assert_eq!((&first.to, books.balance(due), books.row(1).kept()), (&RefundedTo::Aside, 20, units(31)));
    assert_eq!(books.grant(1, 20, (None, 1)), Ok(first), "the same again is the same");
    let code = books.grant(1, 7, (Some(8), 2)).unwrap();
    assert_eq!((code.to, books.balance(codes)), (RefundedTo::Code(CodeId::from_bytes([8; 32])), 7));
    let code = CodeId::from_bytes([8; 32]);
    assert_eq!(books.grant(1, 7, (Some(8), 3)), Err(Reject::CodeExists(code)));
    // Whoever comes gets what was set aside, even long after the window.
    books.now = START.after(WITHIN).after(WITHIN);
    assert_eq!(books.take(1, 1, 4).unwrap().amount, units(20));
    assert_eq!(books.take(1, 1, 5), Err(RefundReject::Over { until: START.after(WITHIN) }.into()));
    assert_eq!(books.grant(1, 24, (None, 6)).unwrap().amount, units(24));
    assert_eq!((books.earned(), books.balance(due), books.rate()), ([0, 0, 0], 24, (1, 1, 0)));
}

#[test]
fn what_was_told_no_window_is_given_back_by_the_operator_alone() {
    let mut books = Books::open();
    assert_eq!(books.take(1, 1, 1), Err(RefundReject::Unknown(payment(1)).into()));
    books.hold(1, 50, Marks::default()).unwrap();
    assert_eq!(books.take(1, 1, 1), Err(Reject::PaymentUnderWay(payment(1))));
    books.post(1, 50, Marks::default());
    assert_eq!(books.take(1, 1, 1), Err(RefundReject::NotOffered.into()));
    books.grant(1, 20, (None, 2)).unwrap();
    assert_eq!(books.take(1, 1, 3).unwrap().amount, units(20));
    assert_eq!(books.take(1, 1, 4), Err(RefundReject::NotOffered.into()));
    for n in 5..35 {
        books.grant(1, 1, (None, n)).unwrap();
    }
    assert_eq!(books.grant(1, 1, (None, 99)), Err(RefundReject::Steps.into()));
    // Went wrong: no more steps, no way to what was set aside.
    assert_eq!(books.take(1, 1, 100).unwrap().amount, units(30));
    assert_eq!(books.row(1).kept(), Amount::ZERO);
}

/// Many parts set aside, or become codes, keep nobody from what is due, nor from asking for the rest within the window.
#[test]
fn what_is_due_is_never_locked_in_by_the_number_of_steps() {
    let mut books = Books::open();
    books.pay(1, 50);
    for n in 1..32 {
        books.grant(1, 1, (Some(n), n)).unwrap();
    }
    books.grant(1, 1, (None, 32)).unwrap();
    assert_eq!(books.grant(1, 1, (None, 33)), Err(RefundReject::Steps.into()));
    assert_eq!(books.take(1, 1, 101).unwrap().amount, units(1));
    assert_eq!(books.take(1, 1, 102).unwrap().amount, units(18));
    assert_eq!(books.take(1, 1, 103), Err(RefundReject::Done.into()));
    assert_eq!((books.refund(1).steps.len(), books.earned()), (34, [0, 0, 0]));
}

/// The button for what was set aside gave the rest, if that was as much and a program had fetched the other just before.
#[test]
fn who_means_a_step_that_came_meanwhile_gets_no_other() {
    let mut books = Books::open();
    books.pay(1, 50);
    books.grant(1, 25, (None, 1)).unwrap();
    books.take_as(1, (1, 0), 2).unwrap();
    assert_eq!(books.take_as(1, (1, 0), 3), Err(Reject::NotLoaded), "whoever has read this reads again");
    assert_eq!(books.row(1).kept(), units(25));
    assert_eq!(books.take_as(1, (1, 0), 2).unwrap().amount, units(25), "the same request is answered alike");
    assert_eq!(books.take_as(1, (1, 1), 3).unwrap().amount, units(25));
}

#[test]
fn a_payer_and_an_item_have_their_limits() {
    let mut books = Books::open();
    for n in 1..=60 {
        books.pay(n, 10);
    }
    for n in 1..=3 {
        books.take(n, 1, n).unwrap();
    }
    assert_eq!(books.take(4, 1, 4), Err(RefundReject::PayerLimit { limit: 3 }.into()));
    // Twelve of sixty are a fifth.
    for n in 4..=12 {
        books.take(n, n, n).unwrap();
    }
    assert_eq!(books.take(13, 13, 13), Err(RefundReject::RateLimit { most: 20 }.into()));
    assert_eq!((books.rate(), books.row(13).back), ((60, 12, 12), Amount::ZERO));
    books.grant(13, 10, (None, 99)).unwrap();
    assert_eq!(books.rate(), (60, 13, 12), "what the operator gives closes nothing");
    // Five are given whatever the rate is.
    books.now = START.after(RATE_PERIOD).after(RATE_PERIOD).after(RATE_PERIOD);
    books.pay(61, 10);
    books.take(61, 61, 61).unwrap();
    assert_eq!(books.rate(), (61, 14, 1));
}

#[test]
fn what_comes_back_counts_in_no_fare() {
    let mut books = Books::open();
    books.pay_with(1, 50, marks(Some(50)));
    books.pay_with(2, 50, marks(Some(50)));
    assert_eq!(books.row(1).marks.fare, None, "its row does not say what else was paid");
    assert_eq!(books.fare().unwrap().spent, units(100));
    books.take(1, 1, 1).unwrap();
    assert_eq!(books.fare().unwrap().spent, units(50));
    books.pay_with(3, 50, marks(Some(50)));
    books.pay_with(4, 50, marks(Some(50)));
    // The fare has bought its pass, which nobody can take back.
    assert!(books.fare().unwrap().is_paid());
    assert_eq!(books.take(2, 1, 2), Err(RefundReject::FarePaid.into()));
    books.grant(2, 50, (None, 3)).unwrap();
    assert!(books.fare().unwrap().is_paid());
    // After the window nobody can tell any more which payments were of one fare.
    books.now = START.after(WITHIN);
    let refunds = vec![payment(1), payment(2), payment(3)];
    books.run(&Command::Forget(Forget { refunds: refunds.clone(), ..Forget::default() })).unwrap();
    assert_eq!((books.refund(1).fare, books.refund(1).steps.len()), (None, 1));
    assert_eq!((books.refund(2).fare, books.refund(3)), (Some(fare()), RefundRow::default()));
    assert_eq!(books.take(2, 1, 4).unwrap().amount, units(50));
    books.run(&Command::Forget(Forget { refunds, ..Forget::default() })).unwrap();
    assert_eq!(books.refund(2).fare, None);
}

/// A window that was open longer than the fare could not be used once the fare was over, whether it was paid or not.
#[test]
fn a_fare_that_is_over_and_was_not_paid_closes_no_window() {
    for (charged, paid) in [(50, false), (64, true)] {
        let mut books = Books::open();
        let marks = Marks { fare: marks(Some(charged)).fare, ..marks_within(REFUND_WITHIN_MAX) };
        for n in 1..=2 {
            books.pay_with(n, charged, marks);
        }
        // Of the third only what is left is taken.
        let left = CAP - 2 * charged;
        books.pay_with(3, if paid { left } else { 1 }, marks);
        for days in [2, 30] {
            books.now = START.after(Span::from_secs(days * 86_400));
            let fares = vec![fare()];
            books.run(&Command::Forget(Forget { fares, ..Forget::default() })).unwrap();
            let taken = books.take(1, 1, 1).map(|step| step.amount);
            let expected = if paid { Err(RefundReject::FarePaid.into()) } else { Ok(units(charged)) };
            assert_eq!((taken, books.fare().is_some()), (expected, paid), "{days}");
        }
    }
}

/// A bundle that was used up came back whole after its end: how much of it was used was forgotten before its window was over.
#[test]
fn of_a_bundle_that_is_over_only_what_was_left_comes_back() {
    let day = Span::from_secs(86_400);
    let long = marks_within(Span::from_secs(5 * 86_400));
    let mut books = Books::open();
    for (n, of) in [(1, 1), (2, 5)] {
        books.pay_with(n, 50, long);
        books.use_one(n, of, day);
    }
    assert_eq!(books.take(1, 1, 101), Err(RefundReject::Used.into()));
    for days in 1..=4 {
        books.now = START.after(Span::from_secs(days * 86_400));
        let forget = BundleCommand::Forget { bundles: vec![payment(1), payment(2)], uses: Vec::new() };
        books.run(&Command::Bundle(forget)).unwrap();
        assert_eq!(books.take(1, 1, 101), Err(RefundReject::Used.into()), "{days}");
    }
    assert_eq!(books.take(2, 1, 102).unwrap().amount, units(40));
}

/// Once its keyset was written off and pruned, nobody knew that a payment had gone back, and its pass was good again.
#[test]
fn what_went_back_wholly_is_known_longer_than_its_keyset() {
    let expiry = START.after(WITHIN);
    let mut rows = issuer_until(merchants(), START, Some(expiry));
    fund(&mut rows, 256 * CREDIT, START);
    let mut books = Books { rows, now: START, drawn: 0 };
    for n in 1..=3 {
        books.pay(n, 50);
    }
    books.take(1, 1, 1).unwrap();
    books.grant(2, 50, (Some(2), 2)).unwrap();
    books.now = expiry;
    let (index, account) = (0, credits());
    books.run(&Command::ExpireKeyset(ExpireKeyset { index, account, asset: usd() })).unwrap();
    let payments = (1..=3).map(payment).collect();
    let prune = Prune { index, account, credits: Vec::new(), outputs: Vec::new(), payments };
    books.run(&Command::Prune(prune)).unwrap();
    let known = [1, 2, 3].map(|n| books.rows.payments.get(&payment(n)).unwrap().map(PaymentRow::is_refunded));
    assert_eq!(known, [Some(true), Some(true), None]);
}

/// What may happen to a payment.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pay { n: u8, charged: u128 },
    Take { n: u8, by: u8, this: u8 },
    Grant { n: u8, amount: u128, code: bool, this: u8 },
    Wait { secs: u64 },
    Forget { n: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let n = || 1_u8..8;
    let step = prop_oneof![
        4 => (n(), 1_u128..=64).prop_map(|(n, charged)| Step::Pay { n, charged }),
        4 => (n(), 1_u8..4, 1_u8..40).prop_map(|(n, by, this)| Step::Take { n, by, this }),
        3 => (n(), 0_u128..40, any::<bool>(), 40_u8..80)
            .prop_map(|(n, amount, code, this)| Step::Grant { n, amount, code, this }),
        1 => (0_u64..400).prop_map(|secs| Step::Wait { secs }),
        1 => n().prop_map(|n| Step::Forget { n }),
    ];
    prop::collection::vec(step, 1..120)
}

/// What a naive bookkeeper writes beside each payment.
#[derive(Clone, Debug, Default)]
struct Naive {
    charged: u128,
    due: u128,
    taken: u128,
    coded: u128,
    done: BTreeMap<u8, u128>,
}

impl Naive {
    fn back(&self) -> u128 {
        self.due + self.taken + self.coded
    }
}

proptest! {
    /// Against the naive sums: nobody gets more than was charged, what was said once is said again, and the accounts say so too.
    #[test]
    fn refunds_never_give_back_more_than_was_charged(steps in steps()) {
        let mut books = Books::open();
        let out = books.balance(credits());
        let mut naive = BTreeMap::<u8, Naive>::new();
        let mut code = 0;
        for one in steps {
            match one {
                Step::Pay { n, charged } => {
                    if naive.contains_key(&n) {
                        continue;
                    }
                    books.pay(n, charged);
                    naive.insert(n, Naive { charged, ..Naive::default() });
                }
                Step::Take { n, by, this } => {
                    let taken = books.take(n, by, this);
                    let Some(known) = naive.get_mut(&n) else {
                        prop_assert!(taken.is_err());
                        continue;
                    };
                    if let Some(before) = known.done.get(&this) {
                        prop_assert_eq!(taken.unwrap().amount, units(*before));
                    } else if let Ok(step) = taken {
                        let amount = if known.due > 0 { known.due } else { known.charged - known.back() };
                        prop_assert_eq!(step.amount, units(amount));
                        known.due = 0;
                        known.taken += amount;
                        known.done.insert(this, amount);
                    }
                }
                Step::Grant { n, amount, code: as_code, this } => {
                    code += 1;
                    let granted = books.grant(n, amount, (as_code.then_some(code), this));
                    let Some(known) = naive.get_mut(&n) else {
                        prop_assert!(granted.is_err());
                        continue;
                    };
                    if let Some(before) = known.done.get(&this) {
                        prop_assert_eq!(granted.unwrap().amount, units(*before));
                    } else if granted.is_ok() {
                        known.done.insert(this, amount);
                        if as_code { known.coded += amount } else { known.due += amount }
                    }
                }
                Step::Wait { secs } => books.now = books.now.after(Span::from_secs(secs)),
                Step::Forget { n } => {
                    let refunds = vec![payment(n)];
                    books.run(&Command::Forget(Forget { refunds, ..Forget::default() })).unwrap();
                }
            }
            let sum = |of: fn(&Naive) -> u128| naive.values().map(of).sum::<u128>();
            for (n, known) in &naive {
                prop_assert!(known.back() <= known.charged);
                prop_assert_eq!(books.row(*n).back, units(known.back()));
            }
            let chart = Chart::of(usd());
            prop_assert_eq!(books.earned().iter().sum::<u128>(), sum(|one| one.charged) - sum(Naive::back));
            prop_assert_eq!(books.balance(chart.refunds_due), sum(|one| one.due));
            prop_assert_eq!(books.balance(chart.codes), sum(|one| one.coded));
            prop_assert_eq!(books.balance(credits()), out - sum(|one| one.charged) + sum(|one| one.taken));
            prop_assert_eq!(books.balance(chart.clearing), 0);
        }
    }
}
