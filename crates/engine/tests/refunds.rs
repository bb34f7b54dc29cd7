//! Refunds: whatever is asked back, given back, fetched and repeated, in whichever order, a payment never gives back more than it
//! was charged, and the books have what every payment's row says.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::large_types_passed_by_value, reason = "a test need not be fast")]

mod support;

use std::collections::BTreeMap;

use farthing_engine::{
    Answer, BeginBundleUse, BundleCommand, BundleUseId, Chart, CodeId, Command, CreditId, EndBundleUse,
    ExpireKeyset, FareId, FareRow, FareShare, Forget, GrantRefund, Hold, Input, ItemId, Marks, Output,
    OutputId, Payees, PaymentId, PaymentRow, Post, Prune, QuotaId, RATE_PERIOD, REFUND_WITHIN_MAX, Refund,
    RefundReject, RefundRow, RefundStep, RefundTerms, RefundedTo, Reject, RequestTag, Rows, TakeRefund,
};
use farthing_ledger::{Account, AccountId};
use farthing_money::{Amount, Span, Timestamp};
use proptest::prelude::*;
use support::{credits, totals, usd};

const START: Timestamp = Timestamp::from_secs(100_000_000);
const WITHIN: Span = Span::from_secs(600);
/// What every credit here is worth.
const CREDIT: u64 = 64;
const CAP: u128 = 150;

fn units(n: u128) -> Amount {
    Amount::new(n)
}

fn merchants() -> [Account; 3] {
    ["author", "platform", "translator"].map(|name| Chart::of(usd()).merchant(name))
}

fn payees() -> Payees {
    Payees::shared(merchants().map(|account| account.id()).into_iter().zip([70, 20, 10])).unwrap()
}

fn credit(n: u8) -> CreditId {
    CreditId::from_bytes([n; 33])
}

fn payment(n: u8) -> PaymentId {
    PaymentId::of_credits(&[credit(n)])
}

fn fare() -> FareId {
    FareId::from_bytes([9; 32])
}

fn payer(n: u8) -> QuotaId {
    QuotaId::from_bytes([n; 32])
}

fn tag(n: u8) -> RequestTag {
    RequestTag::from_bytes([n; 16])
}

const PAGE: &str = "GET http://a.example/page";

fn marks_within(within: Span) -> Marks {
    let terms = |terms| RefundTerms { within, ..terms };
    Marks { refund: marks(None).refund.map(terms), ..Marks::default() }
}

fn marks(in_fare: Option<u128>) -> Marks {
    let refund = RefundTerms { item: ItemId::of(PAGE), within: WITHIN, per_payer: 3, rate_most: 20 };
    let share = |full| FareShare {
        fare: fare(),
        cap: units(CAP),
        ends: START.after(Span::from_secs(86_400)),
        full: units(full),
        took: units(full),
    };
    Marks { fare: in_fare.map(share), refund: Some(refund), ..Marks::default() }
}

struct Books {
    rows: Rows,
    now: Timestamp,
    drawn: u32,
}

impl Books {
    fn open() -> Self {
        let mut rows = support::issuer(merchants(), START);
        support::fund(&mut rows, 256 * CREDIT, START);
        Self { rows, now: START, drawn: 0 }
    }

    fn run(&mut self, command: &Command) -> Result<Answer, Reject> {
        support::run(&mut self.rows, command, self.now)
    }

    fn outputs(&mut self, amount: u64) -> Vec<Output> {
        self.drawn += 1;
        let mut id = [3; 33];
        id[..4].copy_from_slice(&self.drawn.to_be_bytes());
        let output = Output { output: OutputId::from_bytes(id), account: credits(), amount };
        if amount == 0 { Vec::new() } else { vec![output] }
    }

    fn hold(&mut self, n: u8, price: u128, marks: Marks) -> Result<Answer, Reject> {
        let inputs = vec![Input { credit: credit(n), account: credits(), amount: CREDIT, witness: None }];
        self.run(&Command::Hold(Hold {
            payment: payment(n),
            funds: inputs.into(),
            price: units(price),
            asset: usd(),
            merchant: payees(),
            resource: format!("{PAGE}?0123"),
            tag: tag(n),
            tax_code: None,
            marks,
        }))
    }

    fn post(&mut self, n: u8, charged: u128, marks: Marks) {
        let back = CREDIT - u64::try_from(charged).unwrap();
        let change = self.outputs(back);
        self.run(&Command::Post(Post {
            payment: payment(n),
            credits: vec![credit(n)],
            accounts: vec![credits()],
            merchant: payees(),
            asset: usd(),
            charged: units(charged),
            change,
            pass_until: None,
            marks,
        }))
        .unwrap();
    }

    fn pay(&mut self, n: u8, charged: u128) {
        self.pay_with(n, charged, marks(None));
    }

    fn pay_with(&mut self, n: u8, charged: u128, marks: Marks) {
        self.hold(n, charged, marks).unwrap();
        self.post(n, charged, marks);
    }

    fn row(&mut self, n: u8) -> PaymentRow {
        self.rows.payments.get(&payment(n)).unwrap().unwrap().clone()
    }

    fn refund(&mut self, n: u8) -> RefundRow {
        self.rows.refunds.load(payment(n), None);
        self.rows.refunds.get(&payment(n)).unwrap().cloned().unwrap_or_default()
    }

    /// As the gate does: reads what there is, signs for it, and asks.
    fn take(&mut self, n: u8, by: u8, this: u8) -> Result<RefundStep, Reject> {
        let known = self.refund(n);
        let row = self.rows.payments.get(&payment(n)).ok().flatten().cloned();
        let kept = row.as_ref().map(PaymentRow::kept).unwrap_or_default();
        self.rows.bundles.load(payment(n), None);
        let bundle = self.rows.bundles.get(&payment(n)).unwrap().copied();
        let unused = row.as_ref().map_or(kept, |row| row.unused(bundle));
        let amount = if known.due.is_zero() { unused } else { known.due };
        let outputs = self.outputs(amount.to_u64().unwrap());
        let merchant = row.as_ref().map_or_else(payees, |row| row.merchant.clone());
        let marks = row.map_or(marks(None), |row| row.marks);
        let until = self.now.after(Span::from_secs(86_400));
        let (payment, asset, fare) = (payment(n), usd(), known.fare);
        let by = Some((payer(by), until));
        let take = TakeRefund { payment, merchant, asset, marks, fare, outputs, by, tag: tag(this) };
        step(self.run(&Command::Refund(Refund::Take(take))))
    }

    /// Opens a page with the bundle that a payment has bought.
    fn use_one(&mut self, n: u8, of: u32, lasts: Span) {
        let (bundle, ends, used) = (payment(n), START.after(lasts), BundleUseId::from_bytes([n; 32]));
        let begin = BundleCommand::Begin(BeginBundleUse { bundle, of, ends, used });
        self.run(&Command::Bundle(begin)).unwrap();
        let end = EndBundleUse { bundle, used, delivered: Some(WITHIN) };
        self.run(&Command::Bundle(BundleCommand::End(end))).unwrap();
    }

    fn grant(&mut self, n: u8, amount: u128, (code, this): (Option<u8>, u8)) -> Result<RefundStep, Reject> {
        let known = self.refund(n);
        let marks = self.rows.payments.get(&payment(n)).ok().flatten().map_or(marks(None), |row| row.marks);
        let grant = GrantRefund {
            payment: payment(n),
            merchant: payees(),
            asset: usd(),
            marks,
            fare: known.fare,
            amount: units(amount),
            code: code.map(|code| CodeId::from_bytes([code; 32])),
            why: "a blurred picture".into(),
            tag: tag(this),
        };
        step(self.run(&Command::Refund(Refund::Grant(grant))))
    }

    fn balance(&self, id: AccountId) -> u128 {
        let [debits, credits, _, _] = totals(&self.rows, id);
        credits - debits
    }

    fn earned(&self) -> [u128; 3] {
        merchants().map(|account| self.balance(account.id()))
    }

    fn fare(&mut self) -> Option<FareRow> {
        self.rows.fares.load(fare(), None);
        self.rows.fares.get(&fare()).unwrap().copied()
    }

    /// How often the page was paid for, and asked back.
    fn rate(&mut self) -> (u64, u64, u64) {
        let row = self.rows.items.get(&ItemId::of(PAGE)).unwrap().unwrap();
        assert_eq!(row.name, PAGE, "without its query");
        (row.paid, row.refunded, row.clone().at(self.now).counted().asked)
    }
}

fn step(answer: Result<Answer, Reject>) -> Result<RefundStep, Reject> {
    match answer? {
        Answer::Refund(step) => Ok(*step),
        other => panic!("expected a refund, got {other:?}"),
    }
}

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
    let mut rows = support::issuer_until(merchants(), START, Some(expiry));
    support::fund(&mut rows, 256 * CREDIT, START);
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
