//! Payments on chains: what is held, settled, taken back and refused, and what the books say of it.

use crate::support;
use crate::support::{CHAIN, gas_accounts, merchant, reserve, usd};
use farthing_engine::{
    Answer, Attempt, BookGas, Call, CallId, CallReject, ChainAddress, Chart, Command, EndCall, Facilitate,
    Fund, Funds, Gas, Hold, Keys, Marks, Movement, Outcome, PaymentId, PaymentRow, PaymentState, Post,
    Reject, Release, ReopenCall, RequestTag, Rows, SendCall, Settle, SettledPayment, TransactionId,
    is_given_back, release_of,
};
use farthing_ledger::{AccountId, LedgerReject};
use farthing_money::{Amount, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(10_000);

fn address(n: u8) -> ChainAddress {
    ChainAddress::from_bytes([n; 20])
}

fn payment() -> PaymentId {
    PaymentId::of_authorization(CHAIN, address(1), address(2), &[3; 32])
}

fn call_id() -> CallId {
    CallId::of_payment(payment())
}

fn call(units: u128) -> Call {
    let moves = Movement { token: address(1), from: address(2), to: address(4), units: Amount::new(units) };
    Call { chain: CHAIN, to: address(1), input: vec![1, 2, 3], moves, until: NOW, approval: None }
}

/// Rows that nobody stores.
struct Books(Rows);

impl Books {
    fn open() -> Self {
        let accounts = support::accounts();
        let mut books = Self(Rows::default());
        books.run(&Command::OpenAccounts(accounts)).unwrap();
        books
    }

    /// A shop to which somebody has promised so much on a chain.
    fn holding(amount: u128) -> Self {
        let mut books = Self::open();
        books.run(&hold(amount, 1, "/page")).unwrap();
        books
    }

    /// The same, after the upstream has delivered.
    fn settling(amount: u128) -> Self {
        let mut books = Self::holding(amount);
        books.run(&settle(amount)).unwrap();
        books
    }

    fn run(&mut self, command: &Command) -> Result<Answer, Reject> {
        support::run(&mut self.0, command, NOW)
    }

    /// What was debited and credited for good, and what of each is pending.
    fn totals(&self, id: AccountId) -> [u128; 4] {
        support::totals(&self.0, id)
    }

    fn held(&self) -> Option<PaymentRow> {
        self.0.held.get(&payment()).unwrap().cloned()
    }
}

fn hold(amount: u128, price: u128, resource: &str) -> Command {
    Command::Hold(Hold {
        payment: payment(),
        funds: Funds::Chain { reserve: reserve().id(), amount: Amount::new(amount) },
        price: Amount::new(price),
        asset: usd(),
        merchant: merchant().id().into(),
        resource: resource.into(),
        tag: RequestTag::from_bytes([0; 16]),
        tax_code: None,
        marks: Marks::default(),
    })
}

fn settle(charged: u128) -> Command {
    Command::Settle(Settle {
        payment: payment(),
        call: Some(call(charged)),
        charged: Amount::new(charged),
        pass_until: None,
        accounts: vec![reserve().id()],
        merchant: merchant().id().into(),
        asset: usd(),
        marks: Marks::default(),
    })
}

fn send(number: u64, transaction: u8) -> Command {
    let transaction = TransactionId::from_bytes([transaction; 32]);
    let attempt = Attempt { transaction, signed: vec![9], at: NOW };
    Command::SendCall(SendCall { call: call_id(), chain: CHAIN, slot: (address(7), number), attempt })
}

fn named() -> SettledPayment {
    support::settled(payment())
}

fn end(outcome: Outcome, gas: u128) -> Command {
    let gas = Gas { accounts: gas_accounts(), paid: Amount::new(gas) };
    Command::EndCall(EndCall { call: call_id(), outcome, payment: Some(named()), gas: Some(gas), back: None })
}

fn settled() -> Outcome {
    Outcome::Settled { transaction: TransactionId::from_bytes([5; 32]), block: 17, log: 0 }
}

fn failed() -> Outcome {
    Outcome::Failed { transaction: None, reason: "invalid_exact_evm_transaction_failed".into() }
}

#[test]
fn what_the_chain_has_moved_is_charged_once() {
    let mut books = Books::holding(10);
    assert_eq!(books.totals(reserve().id()), [0, 0, 10, 0], "promised, not there");
    books.run(&settle(10)).unwrap();
    books.run(&send(3, 5)).unwrap();
    let Answer::Settled(ended) = books.run(&end(settled(), 21)).unwrap() else { panic!("it has ended") };
    assert_eq!(ended.outcome, settled());
    for _ in 0..2 {
        assert_eq!(books.totals(reserve().id()), [10, 0, 0, 0]);
        assert_eq!(books.totals(merchant().id()), [0, 10, 0, 0]);
        assert_eq!(books.totals(Chart::of(usd()).clearing), [10, 10, 0, 0]);
        assert_eq!(books.totals(gas_accounts().spent), [21, 0, 0, 0]);
        assert_eq!(books.totals(gas_accounts().purse), [0, 21, 0, 0]);
        // Whoever asks again, and says it again, changes nothing.
        assert_eq!(books.run(&end(failed(), 99)).unwrap(), Answer::Settled(ended.clone()));
        assert!(matches!(books.run(&settle(10)).unwrap(), Answer::Posted(_)));
        assert!(matches!(books.run(&hold(10, 1, "/page")).unwrap(), Answer::Posted(_)));
    }
    assert_eq!(books.held(), None);
}

#[test]
fn what_the_chain_refuses_is_given_back() {
    let mut books = Books::settling(10);
    books.run(&end(failed(), 21)).unwrap();
    assert_eq!(books.totals(reserve().id()), [0; 4]);
    assert_eq!(books.totals(merchant().id()), [0; 4]);
    assert_eq!(books.totals(gas_accounts().spent), [21, 0, 0, 0], "the fee is gone all the same");
    assert_eq!(books.held(), None);
}

#[test]
fn less_than_the_ceiling_may_be_charged() {
    let mut books = Books::holding(10);
    books.run(&settle(4)).unwrap();
    books.run(&end(settled(), 0)).unwrap();
    assert_eq!(books.totals(reserve().id()), [4, 0, 0, 0]);
    assert_eq!(books.totals(merchant().id()), [0, 4, 0, 0]);
}

#[test]
fn nothing_is_sent_for_nothing() {
    let mut books = Books::holding(10);
    let Answer::Posted(row) = books.run(&settle(0)).unwrap() else { panic!("charged with nothing") };
    assert_eq!(row.charged, Amount::ZERO);
    assert_eq!(books.0.calls.get(&call_id()).unwrap(), None);
    assert_eq!(books.totals(reserve().id()), [0; 4]);
}

#[test]
fn a_retry_joins_what_is_being_settled() {
    let mut books = Books::settling(10);
    assert!(matches!(books.run(&hold(10, 1, "/page")).unwrap(), Answer::Settling(_)));
    assert!(matches!(books.run(&settle(10)).unwrap(), Answer::Settling(_)));
    assert_eq!(books.totals(reserve().id()), [0, 0, 10, 0], "held once");
    let elsewhere = books.run(&hold(10, 1, "/other"));
    assert_eq!(elsewhere.err(), Some(Reject::PaymentUnderWay(payment())));
}

/// A start after a crash must not give back what a transaction may be moving.
#[test]
fn a_start_gives_back_what_is_held_and_not_what_is_being_settled() {
    let held = Books::holding(10).held().unwrap();
    assert!(is_given_back(&held));
    let mut books = Books::settling(10);
    let row = books.held().unwrap();
    assert!(!is_given_back(&row));
    assert_eq!(books.run(&release_of(payment(), &row)).err(), Some(Reject::PaymentSettling(payment())));
    assert_eq!(row.state, PaymentState::Settling);
}

#[test]
fn what_the_chain_takes_back_leaves_the_books_until_it_has_moved_again() {
    let mut books = Books::settling(10);
    books.run(&send(3, 5)).unwrap();
    books.run(&end(settled(), 1)).unwrap();
    let reopen = Command::ReopenCall(ReopenCall { call: call_id(), payment: Some(named()) });
    for _ in 0..2 {
        let Answer::Call(row) = books.run(&reopen).unwrap() else { panic!("under way again") };
        assert_eq!((row.attempts.len(), row.reopened), (1, true), "what was signed is sent again");
        assert_eq!(books.totals(reserve().id()), [10, 10, 0, 0]);
        assert_eq!(books.totals(merchant().id()), [10, 10, 0, 0]);
    }
    // Went wrong: the gas was entered once more, though one transaction of a number is carried out at the most.
    books.run(&end(settled(), 3)).unwrap();
    assert_eq!(books.totals(gas_accounts().spent), [3, 0, 0, 0]);
    assert_eq!(books.totals(reserve().id()), [20, 10, 0, 0]);
    assert_eq!(books.totals(merchant().id()), [10, 20, 0, 0]);
    books.run(&reopen).unwrap();
    books.run(&end(failed(), 1)).unwrap();
    assert_eq!(books.totals(merchant().id()), [20, 20, 0, 0], "served for nothing");
    assert_eq!(books.totals(gas_accounts().spent), [3, 2, 0, 0], "what failed there was cheaper");
    assert_eq!(books.totals(gas_accounts().purse), [2, 3, 0, 0]);
}

#[test]
fn a_call_for_others_is_made_once() {
    let id = CallId::of_parts("test", [&b"x"[..]]);
    let facilitate = |units| Command::Facilitate(Facilitate { id, call: call(units) });
    let mut books = Books::open();
    assert!(matches!(books.run(&facilitate(1)).unwrap(), Answer::Call(_)));
    assert!(matches!(books.run(&facilitate(1)).unwrap(), Answer::Call(_)));
    assert_eq!(books.run(&facilitate(2)).err(), Some(Reject::Call(CallReject::Exists(id))));
    let gas = Some(Gas { accounts: gas_accounts(), paid: Amount::new(7) });
    let end = Command::EndCall(EndCall { call: id, outcome: settled(), payment: None, gas, back: None });
    books.run(&end).unwrap();
    assert!(matches!(books.run(&facilitate(1)).unwrap(), Answer::Settled(_)));
    assert_eq!(books.run(&facilitate(2)).err(), Some(Reject::Call(CallReject::Exists(id))));
    assert_eq!(books.totals(gas_accounts().spent), [7, 0, 0, 0]);
    assert_eq!(books.totals(merchant().id()), [0; 4]);
}

#[test]
fn coin_for_an_approval_is_given_once_and_booked_as_gas() {
    let id = CallId::of_parts("test", [&b"funding"[..]]);
    let fund = |of| Command::Fund(Fund { id, of, call: call(40), instead_of: None });
    let mut books = Books::open();
    assert_eq!(
        books.run(&fund(call_id())).err(),
        Some(Reject::Call(CallReject::Unknown(call_id()))),
        "nobody needs it"
    );
    let mut books = Books::settling(10);
    let ended = |outcome, paid| {
        let gas = Some(Gas { accounts: gas_accounts(), paid: Amount::new(paid) });
        Command::EndCall(EndCall { call: id, outcome, payment: None, gas, back: None })
    };
    assert!(matches!(books.run(&fund(call_id())).unwrap(), Answer::Call(_)));
    assert!(matches!(books.run(&fund(call_id())).unwrap(), Answer::Call(_)), "the same");
    let unsent = Outcome::Failed { transaction: None, reason: "late".into() };
    books
        .run(&Command::EndCall(EndCall { call: id, outcome: unsent, payment: None, gas: None, back: None }))
        .unwrap();
    assert!(matches!(books.run(&fund(call_id())).unwrap(), Answer::Call(_)), "it was never sent");
    let attempt = Attempt { transaction: TransactionId::from_bytes([5; 32]), signed: vec![5], at: NOW };
    books
        .run(&Command::SendCall(SendCall { call: id, chain: CHAIN, slot: (address(9), 1), attempt }))
        .unwrap();
    books.run(&ended(settled(), 47)).unwrap();
    assert!(matches!(books.run(&fund(call_id())).unwrap(), Answer::Settled(_)), "given once");
    assert_eq!(books.totals(gas_accounts().spent), [47, 0, 0, 0]);
    assert_eq!(books.totals(gas_accounts().purse), [0, 47, 0, 0]);
    // A fork drops it: what is in the books stays, and the same transaction is sent again.
    books.run(&Command::ReopenCall(ReopenCall { call: id, payment: None })).unwrap();
    books.run(&ended(settled(), 45)).unwrap();
    assert_eq!(books.totals(gas_accounts().spent), [47, 2, 0, 0]);
}

#[test]
fn coin_that_may_have_been_given_is_not_given_again() {
    let id = CallId::of_parts("test", [&b"funding"[..]]);
    let fund = |instead_of| Command::Fund(Fund { id, of: call_id(), call: call(40), instead_of });
    let mut books = Books::settling(10);
    books.run(&fund(None)).unwrap();
    let attempt = Attempt { transaction: TransactionId::from_bytes([5; 32]), signed: vec![5], at: NOW };
    books
        .run(&Command::SendCall(SendCall { call: id, chain: CHAIN, slot: (address(9), 1), attempt }))
        .unwrap();
    let failed = Outcome::Failed { transaction: None, reason: "late".into() };
    books
        .run(&Command::EndCall(EndCall { call: id, outcome: failed, payment: None, gas: None, back: None }))
        .unwrap();
    for instead_of in [None, Some(TransactionId::from_bytes([5; 32]))] {
        let answer = books.run(&fund(instead_of)).unwrap();
        assert!(matches!(answer, Answer::Settled(_)), "a fork may carry it out after all");
    }
    assert!(books.0.calls.get(&id).unwrap().is_none());
}

/// Went wrong: whoever was to be given coin when the chain stood still was never given any.
#[test]
fn coin_is_given_anew_when_a_blank_transaction_has_used_up_its_number() {
    let id = CallId::of_parts("test", [&b"funding"[..]]);
    let fund = |instead_of| Command::Fund(Fund { id, of: call_id(), call: call(40), instead_of });
    let mut books = Books::settling(10);
    books.run(&fund(None)).unwrap();
    let [gift, blank] = [5, 6].map(|byte| TransactionId::from_bytes([byte; 32]));
    for transaction in [gift, blank] {
        let attempt = Attempt { transaction, signed: vec![5], at: NOW };
        books
            .run(&Command::SendCall(SendCall { chain: CHAIN, call: id, slot: (address(9), 1), attempt }))
            .unwrap();
    }
    let outcome = Outcome::Failed { transaction: Some(blank), reason: "late".into() };
    let gas = Some(Gas { accounts: gas_accounts(), paid: Amount::new(2) });
    books.run(&Command::EndCall(EndCall { call: id, outcome, payment: None, gas, back: None })).unwrap();
    for other in [None, Some(gift)] {
        assert!(matches!(books.run(&fund(other)).unwrap(), Answer::Settled(_)), "not what it failed by");
    }
    assert!(matches!(books.run(&fund(Some(blank))).unwrap(), Answer::Call(_)));
    assert!(books.0.calls.get(&id).unwrap().is_some());
    assert_eq!(books.totals(gas_accounts().spent), [2, 0, 0, 0]);
}

/// Went wrong: one honest transfer was taken for the outcome of every call with the same payer, payee and sum.
#[test]
fn one_movement_settles_one_call() {
    let id = CallId::of_parts("test", [&b"x"[..]]);
    let mut books = Books::settling(10);
    books.run(&Command::Facilitate(Facilitate { id, call: call(10) })).unwrap();
    books.run(&end(settled(), 1)).unwrap();
    let by = |log, transaction| {
        let outcome =
            Outcome::Settled { transaction: TransactionId::from_bytes([transaction; 32]), block: 17, log };
        Command::EndCall(EndCall { call: id, outcome, payment: None, gas: None, back: None })
    };
    let taken = Reject::Call(CallReject::MovementTaken { call: id, by: call_id() });
    assert_eq!(books.run(&by(0, 5)).err(), Some(taken.clone()));
    assert!(books.0.calls.get(&id).unwrap().is_some(), "it is still under way");
    // Taken back, it is the movement of the same call, and of no other.
    let reopen = Command::ReopenCall(ReopenCall { call: call_id(), payment: Some(named()) });
    books.run(&reopen).unwrap();
    assert_eq!(books.run(&by(0, 5)).err(), Some(taken));
    books.run(&end(settled(), 1)).unwrap();
    assert_eq!(books.totals(merchant().id()), [10, 20, 0, 0]);
    // Another log of the same transaction is another movement.
    assert!(matches!(books.run(&by(1, 5)).unwrap(), Answer::Settled(_)));
}

/// After a start nobody would look whether the chain takes something back, if the books did not say what to look at.
#[test]
fn what_a_chain_may_take_back_is_in_the_books_until_it_lies_deep() {
    let watched = |books: &Books| books.0.watched.get(&call_id()).unwrap().copied();
    let mut books = Books::settling(10);
    books.run(&end(settled(), 1)).unwrap();
    assert_eq!(watched(&books), Some(17));
    books.run(&Command::ReopenCall(ReopenCall { call: call_id(), payment: Some(named()) })).unwrap();
    assert_eq!(watched(&books), None, "it is under way again");
    books.run(&end(settled(), 1)).unwrap();
    for _ in 0..2 {
        books.run(&Command::Unwatch(vec![call_id()])).unwrap();
        assert_eq!(watched(&books), None);
    }
    let mut books = Books::settling(10);
    books.run(&end(failed(), 1)).unwrap();
    assert_eq!(watched(&books), None, "nothing was sent");
    // Went wrong: after a start nobody looked whether a fork has carried out what had failed.
    let mut books = Books::settling(10);
    books.run(&send(3, 5)).unwrap();
    books.run(&end(failed(), 1)).unwrap();
    assert_eq!(watched(&books), Some(0));
    books.run(&hold(10, 1, "/page")).unwrap();
    books.run(&settle(10)).unwrap();
    assert_eq!(watched(&books), None, "the same payment is tried anew");
}

/// Went wrong: a call whose transaction a fork has carried into another block was opened again to book what it costs there,
/// and one that had failed, or that somebody else's transaction has settled, kept its first cost.
#[test]
fn what_a_call_that_has_ended_costs_elsewhere_is_entered() {
    let cost = |paid| {
        let gas = Gas { accounts: gas_accounts(), paid: Amount::new(paid) };
        Command::BookGas(BookGas { call: call_id(), gas })
    };
    for outcome in [settled(), failed()] {
        let mut books = Books::settling(10);
        books.run(&send(3, 5)).unwrap();
        books.run(&end(outcome.clone(), 21)).unwrap();
        let before = [reserve().id(), merchant().id()].map(|id| books.totals(id));
        for (paid, spent, purse) in
            [(21, [21, 0], [0, 21]), (25, [25, 0], [0, 25]), (20, [25, 5], [5, 25]), (0, [25, 25], [25, 25])]
        {
            // Whoever says it twice changes nothing.
            for _ in 0..2 {
                let Answer::Settled(ended) = books.run(&cost(paid)).unwrap() else { panic!("it has ended") };
                assert_eq!((ended.row.gas, &ended.outcome), (Amount::new(paid), &outcome));
                assert_eq!(books.0.settlements.get(&call_id()).unwrap(), Some(&*ended));
                assert_eq!(books.totals(gas_accounts().spent)[..2], spent);
                assert_eq!(books.totals(gas_accounts().purse)[..2], purse);
            }
        }
        assert_eq!([reserve().id(), merchant().id()].map(|id| books.totals(id)), before);
    }
    // What is opened again goes on from what is in the books.
    let mut books = Books::settling(10);
    books.run(&end(settled(), 21)).unwrap();
    books.run(&cost(30)).unwrap();
    books.run(&Command::ReopenCall(ReopenCall { call: call_id(), payment: Some(named()) })).unwrap();
    books.run(&end(settled(), 31)).unwrap();
    assert_eq!(books.totals(gas_accounts().spent), [31, 0, 0, 0]);
}

#[test]
fn what_was_delivered_is_remembered() {
    let delivered = Command::Delivered(call_id());
    let mut books = Books::settling(10);
    assert_eq!(
        books.run(&delivered).err(),
        Some(Reject::Call(CallReject::Unknown(call_id()))),
        "not before it has ended"
    );
    books.run(&end(settled(), 1)).unwrap();
    let row = |books: &Books| books.0.settlements.get(&call_id()).unwrap().cloned().unwrap();
    assert!(!row(&books).row.delivered);
    for _ in 0..2 {
        assert_eq!(books.run(&delivered), Ok(Answer::Done));
        assert!(row(&books).row.delivered);
    }
    // It stays so when the chain changes its mind.
    books.run(&Command::ReopenCall(ReopenCall { call: call_id(), payment: Some(named()) })).unwrap();
    books.run(&end(settled(), 1)).unwrap();
    assert!(row(&books).row.delivered);
}

/// All that is refused of calls, and after each refusal nothing has changed.
#[test]
fn every_refusal_of_calls_changes_nothing() {
    let post = Command::Post(Post {
        payment: payment(),
        credits: vec![],
        accounts: vec![reserve().id()],
        merchant: merchant().id().into(),
        asset: usd(),
        charged: Amount::new(10),
        change: vec![],
        pass_until: None,
        marks: Marks::default(),
    });
    let release = Command::Release(Release {
        payment: payment(),
        credits: vec![],
        accounts: vec![reserve().id()],
        asset: usd(),
        channel: None,
        marks: Marks::default(),
    });
    let exceeds = LedgerReject::PostExceedsHold { held: Amount::new(10), posted: Amount::new(11) };
    let price = Amount::new(11);
    let gas = Gas { accounts: gas_accounts(), paid: Amount::new(1) };
    let cost = Command::BookGas(BookGas { call: call_id(), gas });
    let cases: Vec<(Books, Command, Reject)> = vec![
        (Books::open(), hold(10, 11, "/"), Reject::Insufficient { price, got: Amount::new(10) }),
        (Books::open(), settle(10), Reject::PaymentNotHeld(payment())),
        (Books::open(), send(1, 1), Reject::Call(CallReject::Unknown(call_id()))),
        (Books::open(), end(settled(), 1), Reject::Call(CallReject::Unknown(call_id()))),
        (Books::open(), cost.clone(), Reject::Call(CallReject::Unknown(call_id()))),
        (Books::settling(10), cost, Reject::Call(CallReject::UnderWay(call_id()))),
        (Books::holding(10), settle(11), Reject::Ledger(exceeds)),
        (Books::holding(10), post, Reject::NotOnChain(payment())),
        (Books::settling(10), release, Reject::PaymentSettling(payment())),
        (Books::settling(10), hold(10, 1, "/other"), Reject::PaymentUnderWay(payment())),
        (
            {
                let mut books = Books::settling(10);
                books.run(&send(3, 5)).unwrap();
                books
            },
            send(4, 6),
            Reject::Call(CallReject::Slot(call_id())),
        ),
    ];
    for (n, (mut books, command, reject)) in cases.into_iter().enumerate() {
        let look = |books: &Books| {
            let accounts = [reserve().id(), merchant().id(), Chart::of(usd()).clearing, gas_accounts().purse];
            format!("{:?} {:?}", books.0.held.get(&payment()), accounts.map(|id| books.totals(id)))
        };
        let mut keys = Keys::default();
        hold(1, 1, "/").keys(&mut keys);
        keys.accounts.push(gas_accounts().purse);
        books.0.load_absent(&keys);
        let before = look(&books);
        assert_eq!(books.run(&command).err(), Some(reject), "row {n}");
        assert_eq!(look(&books), before, "row {n}");
    }
}

#[test]
fn an_authorization_is_one_payment_however_it_is_written() {
    let id = |chain, counter, payer, nonce: u8| {
        PaymentId::of_authorization(chain, address(counter), address(payer), &[nonce; 32])
    };
    assert_eq!(id(1, 1, 1, 1), id(1, 1, 1, 1));
    for other in [id(2, 1, 1, 1), id(1, 2, 1, 1), id(1, 1, 2, 1), id(1, 1, 1, 2)] {
        assert_ne!(other, id(1, 1, 1, 1));
    }
}
