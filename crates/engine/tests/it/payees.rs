//! One payment among several merchants, and one in another asset than its price: no unit is made or lost, in any ledger, in
//! whichever way a payment ends.

use crate::support;
use crate::support::{reserve, usd};
use farthing_engine::{
    Answer, Call, CallId, ChainAddress, Chart, Command, EndCall, Enter, Exchange, ExchangeAccounts, Funds,
    Hold, Leg, Marks, Movement, Outcome, Payees, PaymentId, Reject, ReopenCall, RequestTag, Rows, Settle,
    SettledPayment, TransactionId,
};
use farthing_ledger::{Account, AccountId, AccountKind, LedgerReject, Reference, Step};
use farthing_money::{Amount, Asset, Rate, Timestamp};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(10_000);

fn eur() -> Asset {
    Asset::new("EUR", 2, "eur").unwrap()
}

fn merchants(asset: Asset) -> [Account; 3] {
    ["author", "platform", "translator"].map(|name| Chart::of(asset).merchant(name))
}

fn shares(asset: Asset, shares: [u32; 3]) -> Payees {
    Payees::shared(merchants(asset).map(|account| account.id()).into_iter().zip(shares)).unwrap()
}

/// A price in euros, paid in millionths of dollars.
fn exchange(price: u64, spread: u32) -> Exchange {
    let assets = (eur(), usd());
    let rate = Rate::of_whole_units(assets, (10_853, 10_000), NOW, "test").unwrap();
    Exchange::quoted(rate, spread, eur().money(Amount::from(price))).unwrap()
}

struct Books {
    rows: Rows,
    accounts: Vec<Account>,
}

impl Books {
    fn open() -> Self {
        let mut accounts = support::accounts();
        accounts.extend(Chart::of(eur()).accounts());
        accounts.extend(merchants(usd()).into_iter().chain(merchants(eur())));
        accounts.extend(ExchangeAccounts::between(usd(), eur()));
        let mut books = Self { rows: Rows::default(), accounts: accounts.clone() };
        books.run(&Command::OpenAccounts(accounts)).unwrap();
        books
    }

    fn run(&mut self, command: &Command) -> Result<Answer, Reject> {
        support::run(&mut self.rows, command, NOW)
    }

    /// Credits less debits.
    fn balance(&self, id: AccountId) -> i128 {
        let [debits, credits, _, _] = support::totals(&self.rows, id).map(|sum| i128::try_from(sum).unwrap());
        credits - debits
    }

    fn earned(&self, asset: Asset) -> [i128; 3] {
        merchants(asset).map(|account| self.balance(account.id()))
    }

    /// What all accounts of an asset sum to, and what of it is pending.
    fn sums(&self, asset: Asset) -> (i128, i128) {
        let of_asset = self.accounts.iter().filter(|account| account.asset == asset).map(Account::id);
        let of_asset: std::collections::BTreeSet<AccountId> = of_asset.collect();
        let pending = |id: &AccountId| {
            let [_, _, debits, credits] = support::totals(&self.rows, *id);
            i128::try_from(debits).unwrap() - i128::try_from(credits).unwrap()
        };
        (of_asset.iter().map(|id| self.balance(*id)).sum(), of_asset.iter().map(pending).sum())
    }
}

fn payment(n: u8) -> PaymentId {
    let address = ChainAddress::from_bytes([1; 20]);
    PaymentId::of_authorization(support::CHAIN, address, address, &[n; 32])
}

fn hold(n: u8, amount: Amount, merchant: Payees) -> Command {
    Command::Hold(Hold {
        payment: payment(n),
        funds: Funds::Chain { reserve: reserve().id(), amount },
        price: amount,
        asset: usd(),
        merchant,
        resource: "/".into(),
        tag: RequestTag::from_bytes([0; 16]),
        tax_code: None,
        marks: Marks::default(),
    })
}

fn settle(n: u8, charged: Amount, merchant: Payees) -> Command {
    let address = ChainAddress::from_bytes([1; 20]);
    let moves = Movement { token: address, from: address, to: address, units: charged };
    let call = Call { chain: support::CHAIN, to: address, input: vec![1], moves, until: NOW, approval: None };
    Command::Settle(Settle {
        payment: payment(n),
        call: (!charged.is_zero()).then_some(call),
        charged,
        pass_until: None,
        accounts: vec![reserve().id()],
        merchant,
        asset: usd(),
        marks: Marks::default(),
    })
}

fn named(n: u8, merchant: Payees) -> SettledPayment {
    SettledPayment { merchant, ..support::settled(payment(n)) }
}

fn end(n: u8, merchant: Payees) -> Command {
    let transaction = TransactionId::from_bytes([n; 32]);
    let outcome = Outcome::Settled { transaction, block: 1, log: 0 };
    let payment = Some(named(n, merchant));
    Command::EndCall(EndCall {
        call: CallId::of_payment(self::payment(n)),
        outcome,
        payment,
        gas: None,
        back: None,
    })
}

fn reopen(n: u8, merchant: Payees) -> Command {
    let payment = Some(named(n, merchant));
    Command::ReopenCall(ReopenCall { call: CallId::of_payment(self::payment(n)), payment })
}

#[test]
fn a_payment_is_divided_to_the_last_unit_and_a_fork_takes_back_the_same_parts() {
    let (mut books, payees) = (Books::open(), shares(usd(), [70, 20, 10]));
    let amount = Amount::new(101);
    books.run(&hold(1, amount, payees.clone())).unwrap();
    books.run(&settle(1, amount, payees.clone())).unwrap();
    books.run(&end(1, payees.clone())).unwrap();
    assert_eq!(books.earned(usd()), [71, 20, 10]);
    books.run(&reopen(1, payees.clone())).unwrap();
    assert_eq!(books.earned(usd()), [0, 0, 0]);
    books.run(&end(1, payees)).unwrap();
    assert_eq!(books.earned(usd()), [71, 20, 10]);
    assert_eq!(books.sums(usd()), (0, 0));
}

#[test]
fn merchants_are_paid_in_the_asset_of_the_price() {
    let exchange = exchange(100, 15_000);
    let (mut books, payees) = (Books::open(), shares(eur(), [70, 20, 10]).by(exchange.clone()));
    assert_eq!(exchange.paid, Amount::new(1_101_580));
    books.run(&hold(1, exchange.paid, payees.clone())).unwrap();
    books.run(&settle(1, exchange.paid, payees.clone())).unwrap();
    books.run(&end(1, payees.clone())).unwrap();
    assert_eq!((books.earned(eur()), books.earned(usd())), ([70, 20, 10], [0, 0, 0]));
    let (dollars, euros) = (Chart::of(usd()), Chart::of(eur()));
    assert_eq!(books.balance(dollars.exchange(eur()).id()), 1_085_300);
    assert_eq!(books.balance(dollars.exchange_earned().id()), 16_280);
    assert_eq!(books.balance(euros.exchange(usd()).id()), -100);
    books.run(&reopen(1, payees)).unwrap();
    assert_eq!(books.balance(dollars.exchange_earned().id()), 0);
    assert_eq!((books.earned(eur()), books.sums(usd()), books.sums(eur())), ([0, 0, 0], (0, 0), (0, 0)));
}

#[test]
fn what_could_not_be_charged_is_not_set_aside() {
    let mut books = Books::open();
    let amount = Amount::new(100);
    let stranger = Chart::of(usd()).merchant("stranger").id();
    let unknown = Payees::shared([(stranger, 1), (merchants(usd())[0].id(), 1)]).unwrap();
    let refused = Reject::Ledger(LedgerReject::UnknownAccount(stranger));
    assert_eq!(books.run(&hold(1, amount, unknown)), Err(refused));
    let mixed = Payees::shared([(merchants(usd())[0].id(), 1), (merchants(eur())[0].id(), 1)]).unwrap();
    let refused = Err(Reject::WrongAsset { expected: usd(), got: eur() });
    assert_eq!(books.run(&hold(1, amount, mixed)), refused);
    // An exchange into another asset than the one that is held.
    let back = Rate::of_whole_units((usd(), eur()), (1, 1), NOW, "test").unwrap();
    let back = Exchange::quoted(back, 0, usd().money(Amount::new(10_000))).unwrap();
    let turned = Payees::from(merchants(usd())[0].id()).by(back);
    assert_eq!(books.run(&hold(1, amount, turned)), Err(Reject::WrongAsset { expected: eur(), got: usd() }));
    // Merchants are paid in the asset of the price.
    let wrong = Payees::from(merchants(usd())[0].id()).by(exchange(100, 0));
    assert_eq!(books.run(&hold(1, amount, wrong)), Err(Reject::WrongAsset { expected: eur(), got: usd() }));
    assert_eq!(books.sums(usd()), (0, 0));
}

#[test]
fn an_exchange_made_outside_stands_or_falls_as_one() {
    let mut books = Books::open();
    let (dollars, euros) = (Chart::of(usd()), Chart::of(eur()));
    let bank = |chart: &Chart| chart.own("bank", AccountKind::Asset);
    books.run(&Command::OpenAccounts(vec![bank(&dollars), bank(&euros)])).unwrap();
    books.accounts.extend([bank(&dollars), bank(&euros)]);
    let exchange = |reference: u8, credit: AccountId, got: u128| {
        Command::Enter(Enter {
            reference: Reference::from_bytes([reference; 32]),
            debit: dollars.exchange(eur()).id(),
            credit: bank(&dollars).id(),
            amount: Amount::new(1_100_000),
            asset: usd(),
            dated: NOW,
            memo: "at the bank".into(),
            also: Some(Leg { debit: bank(&euros).id(), credit, amount: Amount::new(got), asset: eur() }),
        })
    };
    let given = euros.exchange(usd()).id();
    let refused = books.run(&exchange(1, dollars.exchange(eur()).id(), 100));
    assert_eq!(refused, Err(Reject::WrongAsset { expected: usd(), got: eur() }));
    assert_eq!(books.run(&exchange(1, given, 0)), Err(Reject::Ledger(LedgerReject::ZeroAmount)));
    assert_eq!(books.balance(bank(&dollars).id()), 0, "one half alone is not entered");
    books.run(&exchange(1, given, 100)).unwrap();
    books.run(&exchange(1, given, 100)).unwrap();
    assert_eq!(books.run(&exchange(1, given, 99)), Err(Reject::EntryExists(Reference::from_bytes([1; 32]))));
    assert_eq!((books.balance(bank(&dollars).id()), books.balance(bank(&euros).id())), (1_100_000, -100));
    assert_eq!((books.sums(usd()), books.sums(eur())), ((0, 0), (0, 0)));
}

proptest! {
    #[test]
    fn conversions_and_splits_never_create_or_lose_a_unit(
        parts in prop::array::uniform3(1u32..200),
        payments in prop::collection::vec((1u64..100_000, 0u32..50_000, 0u32..=100, any::<bool>(), any::<bool>()), 1..8),
    ) {
        let mut books = Books::open();
        let (mut paid, mut priced) = (0, 0);
        for (n, (price, spread, part, exchanged, forked)) in payments.into_iter().enumerate() {
            let n = u8::try_from(n).unwrap() + 1;
            let exchange = exchange(price, spread);
            let (payees, most) = if exchanged {
                let most = exchange.paid;
                (shares(eur(), parts).by(exchange.clone()), most)
            } else {
                (shares(usd(), parts), Amount::from(price))
            };
            let charged = Amount::new(most.value() * u128::from(part) / 100);
            books.run(&hold(n, most, payees.clone())).unwrap();
            books.run(&settle(n, charged, payees.clone())).unwrap();
            if !charged.is_zero() {
                books.run(&end(n, payees.clone())).unwrap();
            }
            if forked && !charged.is_zero() {
                books.run(&reopen(n, payees)).unwrap();
            } else if exchanged {
                priced += i128::try_from(exchange.of(charged).unwrap().earned.value()).unwrap();
                paid += i128::try_from(charged.value()).unwrap();
            } else {
                paid += i128::try_from(charged.value()).unwrap();
            }
            prop_assert_eq!((books.sums(usd()), books.sums(eur())), ((0, 0), (0, 0)));
        }
        prop_assert_eq!(books.balance(reserve().id()), -paid);
        prop_assert_eq!(books.earned(eur()).iter().sum::<i128>(), priced);
        prop_assert_eq!(books.balance(Chart::of(eur()).exchange(usd()).id()), -priced);
    }

    /// In steps of any size: nobody gives back more than he got, and in the end exactly that.
    #[test]
    fn parts_that_go_back_sum_to_what_came(
        parts in prop::array::uniform3(1u32..200),
        price in 1u64..100_000,
        steps in prop::collection::vec(0u64..1_000_000, 0..6),
        exchanged in any::<bool>(),
    ) {
        let exchange = exchange(price, 10_000);
        let charged = exchange.paid;
        let payees = if exchanged { shares(eur(), parts).by(exchange) } else { shares(usd(), parts) };
        let into = reserve().id();
        let mut marks: Vec<u128> = steps.into_iter().map(|step| u128::from(step).min(charged.value())).collect();
        marks.extend([0, charged.value()]);
        marks.sort_unstable();
        let mut moved = std::collections::BTreeMap::<AccountId, i128>::new();
        let got = payees.parts(charged).unwrap();
        for pair in marks.windows(2) {
            let (before, after) = (Amount::new(pair[0]), Amount::new(pair[1]));
            for transfer in payees.part_back(into, charged, (before, after)).unwrap() {
                let Step::Post(amount) = transfer.step else { panic!("it moves at once") };
                let amount = i128::try_from(amount.value()).unwrap();
                *moved.entry(transfer.debit).or_default() += amount;
                *moved.entry(transfer.credit).or_default() -= amount;
            }
            for (merchant, amount) in &got {
                let back = moved.get(merchant).copied().unwrap_or_default();
                prop_assert!(back >= 0 && back <= i128::try_from(amount.value()).unwrap());
            }
            prop_assert_eq!(moved.get(&into).copied().unwrap_or_default(), -i128::try_from(after.value()).unwrap());
        }
        for (merchant, amount) in got {
            prop_assert_eq!(moved.get(&merchant).copied().unwrap_or_default(), i128::try_from(amount.value()).unwrap());
        }
    }
}
