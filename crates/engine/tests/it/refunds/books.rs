//! The books of a shop that gives back: pages are paid for, and come back by whoever asks.

use farthing_engine::{
    Answer, BeginBundleUse, BundleCommand, BundleUseId, Chart, CodeId, Command, CreditId, EndBundleUse,
    FareId, FareRow, FareShare, GrantRefund, Hold, Input, ItemId, Marks, Output, OutputId, Payees, PaymentId,
    PaymentRow, Post, QuotaId, Refund, RefundRow, RefundStep, RefundTerms, Reject, RequestTag, Rows,
    TakeRefund,
};
use farthing_ledger::{Account, AccountId};
use farthing_money::{Amount, Span, Timestamp};

use crate::support::{self, credits, totals, usd};

pub const START: Timestamp = Timestamp::from_secs(100_000_000);
pub const WITHIN: Span = Span::from_secs(600);
/// What every credit here is worth.
pub const CREDIT: u64 = 64;
pub const CAP: u128 = 150;

pub fn units(n: u128) -> Amount {
    Amount::new(n)
}

pub fn merchants() -> [Account; 3] {
    ["author", "platform", "translator"].map(|name| Chart::of(usd()).merchant(name))
}

pub fn payees() -> Payees {
    Payees::shared(merchants().map(|account| account.id()).into_iter().zip([70, 20, 10])).unwrap()
}

pub fn credit(n: u8) -> CreditId {
    CreditId::from_bytes([n; 33])
}

pub fn payment(n: u8) -> PaymentId {
    PaymentId::of_credits(&[credit(n)])
}

pub fn fare() -> FareId {
    FareId::from_bytes([9; 32])
}

pub fn payer(n: u8) -> QuotaId {
    QuotaId::from_bytes([n; 32])
}

pub fn tag(n: u8) -> RequestTag {
    RequestTag::from_bytes([n; 16])
}

pub const PAGE: &str = "GET http://a.example/page";

pub fn marks_within(within: Span) -> Marks {
    let terms = |terms| RefundTerms { within, ..terms };
    Marks { refund: marks(None).refund.map(terms), ..Marks::default() }
}

pub fn marks(in_fare: Option<u128>) -> Marks {
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

pub struct Books {
    pub rows: Rows,
    pub now: Timestamp,
    pub drawn: u32,
}

impl Books {
    pub fn open() -> Self {
        let mut rows = support::issuer(merchants(), START);
        support::fund(&mut rows, 256 * CREDIT, START);
        Self { rows, now: START, drawn: 0 }
    }

    pub fn run(&mut self, command: &Command) -> Result<Answer, Reject> {
        support::run(&mut self.rows, command, self.now)
    }

    pub fn outputs(&mut self, amount: u64) -> Vec<Output> {
        self.drawn += 1;
        let mut id = [3; 33];
        id[..4].copy_from_slice(&self.drawn.to_be_bytes());
        let output = Output { output: OutputId::from_bytes(id), account: credits(), amount };
        if amount == 0 { Vec::new() } else { vec![output] }
    }

    pub fn hold(&mut self, n: u8, price: u128, marks: Marks) -> Result<Answer, Reject> {
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

    pub fn post(&mut self, n: u8, charged: u128, marks: Marks) {
        self.post_until(n, (charged, None), marks);
    }

    /// With a pass that lasts so long.
    pub fn post_until(&mut self, n: u8, (charged, pass_until): (u128, Option<Timestamp>), marks: Marks) {
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
            pass_until,
            marks,
        }))
        .unwrap();
    }

    pub fn pay(&mut self, n: u8, charged: u128) {
        self.pay_with(n, charged, marks(None));
    }

    pub fn pay_with(&mut self, n: u8, charged: u128, marks: Marks) {
        self.hold(n, charged, marks).unwrap();
        self.post(n, charged, marks);
    }

    pub fn row(&mut self, n: u8) -> PaymentRow {
        self.rows.payments.get(&payment(n)).unwrap().unwrap().clone()
    }

    pub fn refund(&mut self, n: u8) -> RefundRow {
        self.rows.refunds.load(payment(n), None);
        self.rows.refunds.get(&payment(n)).unwrap().cloned().unwrap_or_default()
    }

    /// As the gate does: reads what there is, signs for it, and asks.
    pub fn take(&mut self, n: u8, by: u8, this: u8) -> Result<RefundStep, Reject> {
        let place = self.refund(n).taken();
        self.take_as(n, (by, place), this)
    }

    /// As somebody does who means another step than the next.
    pub fn take_as(&mut self, n: u8, (by, place): (u8, usize), this: u8) -> Result<RefundStep, Reject> {
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
        let (payment, asset, ties) = (payment(n), usd(), known.ties());
        let by = Some((payer(by), until));
        let take = TakeRefund { payment, merchant, asset, marks, ties, outputs, by, place, tag: tag(this) };
        step(self.run(&Command::Refund(Refund::Take(take))))
    }

    /// Opens a page with the bundle that a payment has bought.
    pub fn use_one(&mut self, n: u8, of: u32, lasts: Span) {
        let (bundle, ends, used) = (payment(n), START.after(lasts), BundleUseId::from_bytes([n; 32]));
        let begin = BundleCommand::Begin(BeginBundleUse { bundle, of, ends, used });
        self.run(&Command::Bundle(begin)).unwrap();
        let end = EndBundleUse { bundle, used, delivered: Some(WITHIN) };
        self.run(&Command::Bundle(BundleCommand::End(end))).unwrap();
    }

    pub fn grant(
        &mut self,
        n: u8,
        amount: u128,
        (code, this): (Option<u8>, u8),
    ) -> Result<RefundStep, Reject> {
        let known = self.refund(n);
        let marks = self.rows.payments.get(&payment(n)).ok().flatten().map_or(marks(None), |row| row.marks);
        let grant = GrantRefund {
            payment: payment(n),
            merchant: payees(),
            asset: usd(),
            marks,
            ties: known.ties(),
            amount: units(amount),
            code: code.map(|code| CodeId::from_bytes([code; 32])),
            why: "a blurred picture".into(),
            tag: tag(this),
        };
        step(self.run(&Command::Refund(Refund::Grant(grant))))
    }

    pub fn balance(&self, id: AccountId) -> u128 {
        let [debits, credits, _, _] = totals(&self.rows, id);
        credits - debits
    }

    pub fn earned(&self) -> [u128; 3] {
        merchants().map(|account| self.balance(account.id()))
    }

    pub fn fare(&mut self) -> Option<FareRow> {
        self.rows.fares.load(fare(), None);
        self.rows.fares.get(&fare()).unwrap().copied()
    }

    /// How often the page was paid for, and asked back.
    pub fn rate(&mut self) -> (u64, u64, u64) {
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
