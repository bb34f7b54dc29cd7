//! Refunds of what was paid on a chain: nothing before its last word, and then for as long as was told.

use crate::support;
use crate::support::{CHAIN, credits, merchant, reserve, usd};
use farthing_engine::{
    Answer, BUNDLE_GRACE, BeginBundleUse, BundleCommand, BundleUseId, Call, CallId, ChainAddress, Command,
    EndBundleUse, EndCall, Extends, Forget, Funds, GrantRefund, Hold, ItemId, Marks, Movement, Outcome,
    Output, OutputId, PaymentId, PaymentRow, Refund, RefundReject, RefundTerms, RefundTies, Reject,
    ReopenCall, RequestTag, Rows, Settle, SettledPayment, TakeRefund, TransactionId,
};
use farthing_money::{Amount, Span, Timestamp};

const START: Timestamp = Timestamp::from_secs(100_000_000);
const WITHIN: Span = Span::from_secs(600);
const PRICE: u64 = 64;

fn address(n: u8) -> ChainAddress {
    ChainAddress::from_bytes([n; 20])
}

fn payment() -> PaymentId {
    PaymentId::of_authorization(CHAIN, address(1), address(2), &[3; 32])
}

fn call() -> CallId {
    CallId::of_payment(payment())
}

fn marks() -> Marks {
    let item = ItemId::of("GET http://a.example/page");
    let refund = Some(RefundTerms { item, within: WITHIN, per_payer: 3, rate_most: 20 });
    Marks { refund, ..Marks::default() }
}

fn named() -> SettledPayment {
    SettledPayment { marks: marks(), ..support::settled(payment()) }
}

struct Books {
    rows: Rows,
    now: Timestamp,
}

impl Books {
    fn open() -> Self {
        Self { rows: support::issuer([reserve(), merchant()], START), now: START }
    }

    /// A payment that a chain has moved just now.
    fn paid() -> Self {
        let mut books = Self::open();
        books.pay(marks(), None);
        books
    }

    fn pay(&mut self, marks: Marks, pass_until: Option<Timestamp>) {
        let amount = Amount::from(PRICE);
        self.run(&Command::Hold(Hold {
            payment: payment(),
            funds: Funds::Chain { reserve: reserve().id(), amount },
            price: amount,
            asset: usd(),
            merchant: merchant().id().into(),
            resource: "GET http://a.example/page".into(),
            tag: RequestTag::from_bytes([0; 16]),
            tax_code: None,
            marks,
        }))
        .unwrap();
        let moves = Movement { token: address(1), from: address(2), to: address(4), units: amount };
        let call = Call { chain: CHAIN, to: address(1), input: vec![1], moves, until: START, approval: None };
        self.run(&Command::Settle(Settle {
            payment: payment(),
            call: Some(call),
            charged: amount,
            pass_until,
            accounts: vec![reserve().id()],
            merchant: merchant().id().into(),
            asset: usd(),
            marks,
        }))
        .unwrap();
        self.settled(marks);
    }

    fn run(&mut self, command: &Command) -> Result<Answer, Reject> {
        support::run(&mut self.rows, command, self.now)
    }

    fn settled(&mut self, marks: Marks) {
        let outcome = Outcome::Settled { transaction: TransactionId::from_bytes([5; 32]), block: 17, log: 0 };
        let named = SettledPayment { marks, ..named() };
        let end = EndCall { call: call(), outcome, payment: Some(named), gas: None, back: None };
        self.run(&Command::EndCall(end)).unwrap();
    }

    fn unwatch(&mut self) {
        self.run(&Command::Unwatch(vec![call()])).unwrap();
    }

    fn wait(&mut self, span: Span) {
        self.now = self.now.after(span);
    }

    /// The daily look for what is over.
    fn forget(&mut self) {
        let forget = Forget { refunds: vec![payment()], ..Forget::default() };
        self.run(&Command::Forget(forget)).unwrap();
        let forget = BundleCommand::Forget { bundles: vec![payment()], uses: Vec::new() };
        self.run(&Command::Bundle(forget)).unwrap();
    }

    /// Asks so much back; says how much came.
    fn take(&mut self, amount: u64) -> Result<u128, Reject> {
        let output = Output { output: OutputId::from_bytes([3; 33]), account: credits(), amount };
        let take = TakeRefund {
            payment: payment(),
            merchant: merchant().id().into(),
            asset: usd(),
            marks: marks(),
            ties: RefundTies::default(),
            outputs: vec![output],
            by: None,
            place: 0,
            tag: RequestTag::from_bytes([1; 16]),
        };
        match self.run(&Command::Refund(Refund::Take(take)))? {
            Answer::Refund(step) => Ok(step.amount.value()),
            other => panic!("expected a refund, got {other:?}"),
        }
    }

    fn grant(&mut self) -> Result<Answer, Reject> {
        let grant = GrantRefund {
            payment: payment(),
            merchant: merchant().id().into(),
            asset: usd(),
            marks: marks(),
            ties: RefundTies::default(),
            amount: Amount::new(1),
            code: None,
            why: "a blurred picture".into(),
            tag: RequestTag::from_bytes([2; 16]),
        };
        self.run(&Command::Refund(Refund::Grant(grant)))
    }
}

/// A chain that was slower than the window was long: nothing came before its last word, and nothing after it.
#[test]
fn a_window_is_open_for_its_time_after_the_last_word_of_the_chain() {
    let mut books = Books::paid();
    assert_eq!(books.take(PRICE), Err(RefundReject::NotFinal.into()));
    assert_eq!(books.grant(), Err(RefundReject::NotFinal.into()));
    books.wait(WITHIN);
    books.wait(WITHIN);
    books.forget();
    books.unwatch();
    books.wait(Span::from_secs(WITHIN.secs() - 1));
    books.forget();
    assert_eq!(books.take(PRICE), Ok(u128::from(PRICE)));
    // Said again, it opens nothing again.
    let mut books = Books::paid();
    books.unwatch();
    books.wait(WITHIN);
    books.unwatch();
    let until = START.after(WITHIN);
    assert_eq!(books.take(PRICE), Err(RefundReject::Over { until }.into()));
    books.forget();
    assert_eq!(books.take(PRICE), Err(RefundReject::NotOffered.into()));
}

#[test]
fn what_a_fork_took_back_waits_for_the_last_word_too() {
    let mut books = Books::paid();
    books.run(&Command::ReopenCall(ReopenCall { call: call(), payment: Some(named()) })).unwrap();
    books.wait(WITHIN);
    books.forget();
    assert_eq!(books.take(PRICE), Err(RefundReject::NotFinal.into()));
    books.settled(marks());
    books.forget();
    books.unwatch();
    assert_eq!(books.take(PRICE), Ok(u128::from(PRICE)));
}

/// A pass that is paid on a chain goes on from an earlier one like any other.
#[test]
fn an_earlier_pass_is_looked_at_when_the_chain_has_moved() {
    let (earlier, day) = (PaymentId::from_bytes([7; 32]), Span::from_secs(86_400));
    let ends = START.after(day);
    let extending = Marks { extends: Some(Extends { payment: earlier, ends }), ..marks() };
    for (back, until) in [(PRICE, ends), (PRICE - 1, ends.after(day))] {
        let books = Books::paid();
        let row = books.rows.payments.get(&payment()).unwrap().unwrap().clone();
        let known = books.rows.refunds.get(&payment()).unwrap().unwrap().clone();
        let mut books = Books::open();
        books.rows.payments.load(earlier, Some(PaymentRow { back: Amount::from(back), ..row }));
        books.rows.refunds.load(earlier, Some(known));
        books.pay(extending, Some(ends.after(day)));
        let row = books.rows.payments.get(&payment()).unwrap().unwrap().clone();
        assert_eq!((row.pass_until, row.marks), (Some(until), marks()));
        let extended = books.rows.refunds.get(&earlier).unwrap().unwrap().extended;
        assert_eq!(extended, u32::from(back < PRICE), "{back}");
        let extends = books.rows.refunds.get(&payment()).unwrap().unwrap().extends;
        assert_eq!(extends, (back < PRICE).then_some(earlier), "free again once this comes back");
    }
}

/// How much of a bundle was used was forgotten before its window began.
#[test]
fn how_much_of_a_bundle_is_used_is_known_until_the_window_is_over() {
    let mut books = Books::paid();
    let (bundle, ends, used) = (payment(), START.after(WITHIN), BundleUseId::from_bytes([1; 32]));
    let begin = BundleCommand::Begin(BeginBundleUse { bundle, of: 4, ends, used });
    books.run(&Command::Bundle(begin)).unwrap();
    let end = EndBundleUse { bundle, used, delivered: Some(WITHIN) };
    books.run(&Command::Bundle(BundleCommand::End(end))).unwrap();
    books.wait(BUNDLE_GRACE);
    books.wait(WITHIN);
    books.wait(WITHIN);
    books.forget();
    books.unwatch();
    let used = PRICE / 4;
    let error = Reject::Unbalanced {
        inputs: Amount::from(PRICE - used),
        outputs: Amount::from(PRICE),
        fee: Amount::ZERO,
    };
    assert_eq!(books.take(PRICE), Err(error));
}
