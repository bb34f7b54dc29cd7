//! Channels: what vouchers pay, what a chain says, and that the books follow both whatever the order.

use crate::support;
use crate::support::{merchant, usd};
use farthing_channel::seller::{ChannelOffer, ChannelOnChain, Presented, Proven, Refused};
use farthing_channel::{
    Address, ChainId, ChannelId, ChannelTerms, Salt, SigningKey, Voucher, Word, batch_domain,
};
use farthing_engine::{
    AccessId, Answer, Call, CallId, CallReject, ChainAddress, ChannelAccounts, ChannelRow, ChannelStep,
    ChargeVoucher, Chart, Command, EndCall, Funds, GrantRefund, HeldVoucher, Hold, MakeChannelCall, Marks,
    Meter, Movement, NameId, Outcome, Payees, PaymentId, Post, ReceiverId, ReceiverRow, Refund, RefundReject,
    RefundTies, Reject, RequestTag, Rows, SeeChannel, SeeReceiver, TakeRefund, TransactionId, UnitWorth,
    end_of, release_of,
};
use farthing_ledger::AccountId;
use farthing_money::{Amount, Timestamp};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(10_000);
const TOKEN: &str = "eip155:84532:DAI";
const CHAIN: ChainId = ChainId::new(84_532);
/// A token whose smallest unit is a thousandth of the asset's.
const FINER: u128 = 1_000;
const UNIT: UnitWorth = UnitWorth { worth: 1, units: FINER };

fn accounts() -> ChannelAccounts {
    ChannelAccounts::of(&Chart::of(usd()), TOKEN)
}

fn address(n: u8) -> ChainAddress {
    ChainAddress::from_bytes([n; 20])
}

fn key() -> SigningKey {
    SigningKey::from_bytes([1; 32]).unwrap()
}

fn terms() -> ChannelTerms {
    ChannelTerms {
        payer: Address::from_bytes([1; 20]),
        payer_authorizer: key().address(),
        receiver: Address::from_bytes([3; 20]),
        receiver_authorizer: Address::from_bytes([4; 20]),
        token: Address::from_bytes([5; 20]),
        withdraw_delay: 900,
        salt: Salt::from_bytes([0; 32]),
    }
}

fn offer(exposure_most: Option<u128>) -> ChannelOffer {
    let ChannelTerms { receiver, receiver_authorizer, token, withdraw_delay, .. } = terms();
    ChannelOffer {
        receiver,
        receiver_authorizer,
        token,
        withdraw_delay,
        deposit_least: None,
        takes_contracts: false,
        exposure_most: exposure_most.map(units),
    }
}

fn channel() -> ChannelId {
    terms().id(&batch_domain(CHAIN))
}

fn receiver() -> ReceiverId {
    ReceiverId::of(CHAIN.number(), address(3), address(5))
}

/// So much of the asset, as the token counts it.
fn units(worth: u128) -> Amount {
    Amount::new(worth * FINER)
}

fn voucher(total: u128) -> Proven {
    let (batch, channel, ceiling) = (batch_domain(CHAIN), channel(), units(total));
    let signature = key().sign(&Voucher { channel, cumulative: ceiling }.batch_digest(&batch)).to_bytes();
    Presented { terms: terms(), channel, ceiling, signature: &signature }.prove(&batch, None).unwrap()
}

fn row() -> ChannelRow {
    ChannelRow::new((CHAIN.number(), terms()), (usd(), UNIT), accounts(), NOW)
}

fn call(step: ChannelStep, name: u8) -> Command {
    call_on(step, name, 0)
}

fn call_on(step: ChannelStep, name: u8, charged: u128) -> Command {
    let moves = Movement { token: address(5), from: address(1), to: address(6), units: Amount::new(1) };
    let call =
        Call { chain: CHAIN.number(), to: address(6), input: vec![name], moves, until: NOW, approval: None };
    let opens = matches!(step, ChannelStep::Deposit(_)).then(|| Box::new(row()));
    let (id, charged) = (CallId::from_bytes([name; 32]), units(charged));
    Command::MakeChannelCall(MakeChannelCall { id, call, step, opens, charged })
}

fn seen(balance: u128, claimed: u128) -> ChannelOnChain {
    let (balance, claimed) = (units(balance), units(claimed));
    ChannelOnChain { balance, claimed, withdraw_since: None, refund_nonce: Word::ZERO }
}

fn see(balance: u128, claimed: u128) -> Command {
    see_as(seen(balance, claimed), None)
}

fn see_as(on_chain: ChannelOnChain, refund_ended: Option<CallId>) -> Command {
    let (channel, accounts, asset) = (channel(), accounts(), usd());
    Command::SeeChannel(SeeChannel { channel, on_chain, accounts, asset, refund_ended, opens: None })
}

fn see_receiver(settled: u128) -> Command {
    see_found(settled, 0)
}

fn see_found(settled: u128, found: u128) -> Command {
    let (receiver, settled, found, accounts) = (receiver(), units(settled), units(found), accounts());
    Command::SeeReceiver(SeeReceiver { receiver, settled, found, unit: UNIT, accounts })
}

fn payment(base: u128, price: u128) -> PaymentId {
    PaymentId::of_voucher(channel(), units(base), units(base + price))
}

fn hold(base: u128, price: u128) -> Command {
    hold_within(base, price, None)
}

fn hold_within(base: u128, price: u128, exposure_most: Option<u128>) -> Command {
    let held = HeldVoucher {
        voucher: voucher(base + price),
        price: units(price),
        offer: offer(exposure_most),
        owed_elsewhere: Amount::ZERO,
        accounts: accounts(),
    };
    Command::Hold(Hold {
        payment: payment(base, price),
        funds: Funds::Voucher(Box::new(held)),
        price: Amount::new(price),
        asset: usd(),
        merchant: merchant().id().into(),
        resource: "/page".into(),
        tag: RequestTag::from_bytes([0; 16]),
        tax_code: None,
        marks: Marks::default(),
    })
}

fn charge(base: u128, price: u128, charged: u128) -> Command {
    Command::ChargeVoucher(ChargeVoucher {
        payment: payment(base, price),
        channel: channel(),
        accounts: accounts(),
        merchant: merchant().id().into(),
        asset: usd(),
        charged: units(charged),
        pass_until: None,
        marks: Marks::default(),
    })
}

/// Rows that nobody stores.
struct Books(Rows);

impl Books {
    fn open() -> Self {
        let chart = Chart::of(usd());
        let mut accounts = chart.accounts();
        accounts.extend(chart.channels(TOKEN));
        accounts.extend([chart.reserve(TOKEN), merchant()]);
        let mut books = Self(Rows::default());
        books.run(&Command::OpenAccounts(accounts)).unwrap();
        books
    }

    /// With a channel that has so much.
    fn funded(balance: u128) -> Self {
        let mut books = Self::open();
        books.run(&call(ChannelStep::Deposit(channel()), 1)).unwrap();
        books.run(&see(balance, 0)).unwrap();
        books
    }

    fn run(&mut self, command: &Command) -> Result<Answer, Reject> {
        support::run(&mut self.0, command, NOW)
    }

    fn release(&mut self, payment: PaymentId) {
        let row = self.0.held.get(&payment).unwrap().unwrap().clone();
        self.run(&release_of(payment, &row)).unwrap();
    }

    fn row(&self) -> ChannelRow {
        self.0.channels.get(&channel()).unwrap().unwrap().clone()
    }

    /// What was debited more than credited, and what of it is pending.
    fn debit(&self, id: AccountId) -> (i128, i128) {
        let totals = support::totals(&self.0, id).map(|total| i128::try_from(total).unwrap());
        let [debits, credits, debits_pending, credits_pending] = totals;
        (debits - credits, debits_pending - credits_pending)
    }

    /// What each account of the channel, the merchant and the clearing has, debits first.
    fn stand(&self) -> [i128; 7] {
        let ChannelAccounts { escrow, claimed, payers, lost, reserve } = accounts();
        [escrow, claimed, payers, lost, reserve, merchant().id(), Chart::of(usd()).clearing]
            .map(|id| self.debit(id).0)
    }
}

#[test]
fn a_voucher_pays_and_the_next_builds_on_it() {
    let mut books = Books::funded(100);
    assert_eq!(books.stand(), [100, 0, -100, 0, 0, 0, 0]);
    books.run(&hold(0, 10)).unwrap();
    assert_eq!(books.debit(accounts().payers), (-100, 10), "set aside");
    books.run(&charge(0, 10, 4)).unwrap();
    assert_eq!(books.stand(), [100, 0, -96, 0, 0, -4, 0]);
    assert_eq!(books.debit(accounts().payers).1, 0);
    assert_eq!(books.run(&hold(10, 6)), Err(base()), "of the ceiling, only what was charged counts");
    books.run(&hold(4, 6)).unwrap();
    books.run(&charge(4, 6, 6)).unwrap();
    let claim = books.row().books.claim(&terms()).unwrap();
    assert_eq!((claim.total_claimed, claim.ceiling), (units(10), units(10)));
    assert_eq!(claim.signature, voucher(10).signature());
    // Four are claimed: the rest of what was charged can still be. Then they are moved to us.
    books.run(&see(100, 4)).unwrap();
    books.run(&see_receiver(4)).unwrap();
    assert_eq!(books.stand(), [96, 0, -90, 0, 4, -10, 0]);
    // A fork takes that back.
    books.run(&see_receiver(0)).unwrap();
    books.run(&see(100, 0)).unwrap();
    assert_eq!(books.stand(), [100, 0, -90, 0, 0, -10, 0]);
}

#[test]
fn what_others_have_claimed_for_us_is_found_and_none_of_what_is_claimed() {
    let mut books = Books::funded(100);
    books.run(&hold(0, 10)).unwrap();
    books.run(&charge(0, 10, 10)).unwrap();
    books.run(&see(100, 4)).unwrap();
    // Somebody has claimed seven for our account; all eleven are moved.
    books.run(&see_found(11, 7)).unwrap();
    assert_eq!(books.stand(), [96, 0, -90, -7, 11, -10, 0]);
    // It turns out that three of the seven were claimed from a channel of ours.
    books.run(&see(100, 7)).unwrap();
    books.run(&see_found(11, 4)).unwrap();
    assert_eq!(books.stand(), [93, 0, -90, -4, 11, -10, 0]);
    books.run(&see_found(0, 0)).unwrap();
    assert_eq!(books.stand(), [93, 7, -90, 0, 0, -10, 0]);
    let found = |settled, claimed, ours| ReceiverRow::found_of(units(settled), units(claimed), units(ours));
    assert_eq!(found(11, 11, 4), units(7), "what our channels have not claimed");
    assert_eq!(found(7, 11, 4), units(7));
    assert_eq!(found(5, 11, 4), units(5), "what is left is taken for ours first");
    assert_eq!(found(4, 4, 4), Amount::ZERO);
    assert_eq!(found(4, 4, 9), Amount::ZERO, "the other way round it is a difference that is told");
}

fn base() -> Reject {
    Refused::CumulativeAmountMismatch.into()
}

#[test]
fn the_same_voucher_is_the_same_payment() {
    let mut books = Books::funded(100);
    books.run(&hold(0, 10)).unwrap();
    assert_eq!(books.run(&hold(0, 10)), Err(Reject::PaymentUnderWay(payment(0, 10))));
    assert_eq!(books.run(&hold(0, 11)), Err(Refused::ChannelBusy.into()));
    books.run(&charge(0, 10, 10)).unwrap();
    for command in [hold(0, 10), charge(0, 10, 10)] {
        assert!(matches!(books.run(&command).unwrap(), Answer::Posted(_)), "charged once");
    }
    assert_eq!(books.row().last, Some(payment(0, 10)));
    assert_eq!(books.stand(), [100, 0, -90, 0, 0, -10, 0]);
}

/// A voucher of a metered payment that was charged less may be signed again, letter for letter, for the next one.
#[test]
fn the_same_voucher_on_another_base_is_another_payment() {
    let mut books = Books::funded(100);
    books.run(&hold(0, 10)).unwrap();
    books.run(&charge(0, 10, 5)).unwrap();
    assert_ne!(payment(0, 10), payment(5, 5));
    books.run(&hold(5, 5)).unwrap();
    books.run(&charge(5, 5, 5)).unwrap();
    assert_eq!(books.row().books.charged(), units(10));
}

/// Who had paid through a channel was told that no window was offered.
#[test]
fn what_was_paid_in_a_channel_comes_by_the_operators_word_alone() {
    let mut books = Books::funded(100);
    books.run(&hold(0, 10)).unwrap();
    books.run(&charge(0, 10, 10)).unwrap();
    let (payment, merchant, asset) = (payment(0, 10), Payees::from(merchant().id()), usd());
    let (marks, ties, tag) = (Marks::default(), RefundTies::default(), RequestTag::from_bytes([0; 16]));
    let outputs = Vec::new();
    let take = TakeRefund { payment, merchant, asset, marks, ties, outputs, by: None, place: 0, tag };
    let take = Command::Refund(Refund::Take(take));
    assert_eq!(books.run(&take), Err(RefundReject::InChannel.into()));
    let grant = GrantRefund {
        payment,
        merchant: support::merchant().id().into(),
        asset,
        marks,
        ties,
        amount: Amount::new(4),
        code: None,
        why: "a blurred picture".into(),
        tag: RequestTag::from_bytes([1; 16]),
    };
    books.run(&Command::Refund(Refund::Grant(grant))).unwrap();
    // What is set aside is due; it is asked for with outputs.
    assert!(matches!(books.run(&take), Err(Reject::Unbalanced { .. })));
}

#[test]
fn what_was_free_is_paid_with_the_next_request() {
    let mut books = Books::funded(100);
    books.run(&hold(0, 10)).unwrap();
    let Answer::Posted(row) = books.run(&charge(0, 10, 0)).unwrap() else { panic!("it is charged") };
    assert_eq!(row.charged, Amount::ZERO);
    assert_eq!((books.row().books.charged(), books.row().last), (Amount::ZERO, None));
    assert!(matches!(books.run(&hold(0, 10)).unwrap(), Answer::Held(_)));
}

#[test]
fn what_is_given_back_frees_the_channel() {
    let mut books = Books::funded(100);
    books.run(&hold(0, 10)).unwrap();
    books.release(payment(0, 10));
    assert_eq!(books.stand(), [100, 0, -100, 0, 0, 0, 0]);
    assert_eq!(books.debit(accounts().payers).1, 0);
    books.run(&hold(0, 10)).unwrap();
}

#[test]
fn what_was_metered_of_a_voucher_is_charged_by_a_start() {
    let mut books = Books::funded(100);
    books.run(&hold(0, 10)).unwrap();
    let (payment, change) = (payment(0, 10), Vec::new());
    for charged in [4, 3] {
        let change = change.clone();
        books.run(&Command::Meter(Meter { payment, charged: units(charged), change })).unwrap();
    }
    assert_eq!(books.stand(), [100, 0, -100, 0, 0, 0, 0], "no money has moved");
    let row = books.0.held.get(&payment).unwrap().unwrap().clone();
    books.run(&end_of(payment, &row, Some(&books.row()))).unwrap();
    assert_eq!(books.stand(), [100, 0, -96, 0, 0, -4, 0]);
    books.run(&hold(4, 10)).unwrap();
}

/// The payer takes his money while a request is under way: it is charged all the same, and the books say what is lost.
#[test]
fn what_a_payer_has_taken_is_lost() {
    let mut books = Books::funded(100);
    books.run(&hold(0, 10)).unwrap();
    books.run(&see(3, 0)).unwrap();
    books.run(&charge(0, 10, 10)).unwrap();
    assert_eq!(books.stand(), [3, 0, 0, 7, 0, -10, 0]);
    // A fork brings it back.
    books.run(&see(100, 0)).unwrap();
    assert_eq!(books.stand(), [100, 0, -90, 0, 0, -10, 0]);
}

#[test]
fn a_refund_keeps_requests_away_until_it_is_seen() {
    let mut books = Books::funded(100);
    let (refund, id) = (call_on(ChannelStep::Refund(channel()), 2, 10), CallId::from_bytes([2; 32]));
    books.run(&hold(0, 10)).unwrap();
    assert_eq!(books.run(&refund), Err(Refused::ChannelBusy.into()));
    books.run(&charge(0, 10, 10)).unwrap();
    let early = call_on(ChannelStep::Refund(channel()), 2, 0);
    assert_eq!(books.run(&early), Err(base()), "it was worked out before something was charged");
    books.run(&refund).unwrap();
    assert!(matches!(books.run(&refund).unwrap(), Answer::Call(_)), "made once");
    assert_eq!(books.run(&hold(10, 10)), Err(Refused::ChannelBusy.into()));
    let transaction = TransactionId::from_bytes([5; 32]);
    let outcome = Outcome::Settled { transaction, block: 3, log: 0 };
    books
        .run(&Command::EndCall(EndCall { call: id, outcome, payment: None, gas: None, back: None }))
        .unwrap();
    let left = ChannelOnChain { refund_nonce: 1.into(), ..seen(10, 10) };
    books.run(&see_as(left, Some(id))).unwrap();
    assert_eq!(books.stand(), [0, 10, 0, 0, 0, -10, 0]);
    assert_eq!(books.row().refund, None);
    assert_eq!(books.run(&hold(10, 1)), Err(Refused::CumulativeExceedsBalance.into()));
}

/// Nothing of what has failed has moved, and what its payer has signed is still good: asked for again, it is made again.
#[test]
fn a_deposit_that_has_failed_may_be_made_anew() {
    let mut books = Books::open();
    let (deposit, id) = (call(ChannelStep::Deposit(channel()), 1), CallId::from_bytes([1; 32]));
    books.run(&deposit).unwrap();
    let end = |outcome| EndCall { call: id, outcome, payment: None, gas: None, back: None };
    let failed = Outcome::Failed { transaction: None, reason: "reverted".into() };
    books.run(&Command::EndCall(end(failed))).unwrap();
    assert!(matches!(books.run(&deposit).unwrap(), Answer::Call(_)), "once more");
    let outcome = Outcome::Settled { transaction: TransactionId::from_bytes([5; 32]), block: 3, log: 0 };
    books.run(&Command::EndCall(end(outcome))).unwrap();
    assert!(matches!(books.run(&deposit).unwrap(), Answer::Settled(_)), "it is done");
    let claim = call(ChannelStep::Claim, 3);
    books.run(&claim).unwrap();
    let failed = Outcome::Failed { transaction: None, reason: "reverted".into() };
    let end = EndCall { call: CallId::from_bytes([3; 32]), ..end(failed) };
    books.run(&Command::EndCall(end)).unwrap();
    assert!(matches!(books.run(&claim).unwrap(), Answer::Settled(_)), "claims have names of their own");
}

/// Names and accesses go with a voucher as with any payment; what was free keeps no name, because it keeps no row.
#[test]
fn a_voucher_has_its_marks() {
    let (name, access) = (NameId::from_bytes([7; 32]), AccessId::from_bytes([8; 32]));
    let marks = Marks { name: Some(name), access: Some(access), ..Marks::default() };
    let marked = |command| match command {
        Command::Hold(held) => Command::Hold(Hold { marks, ..held }),
        Command::ChargeVoucher(charge) => {
            Command::ChargeVoucher(ChargeVoucher { marks, pass_until: Some(NOW), ..charge })
        }
        other => other,
    };
    let mut books = Books::funded(100);
    books.run(&marked(hold(0, 10))).unwrap();
    books.run(&marked(charge(0, 10, 0))).unwrap();
    assert_eq!(books.0.names.get(&name), Ok(None), "it was free");
    books.run(&marked(hold(0, 20))).unwrap();
    books.run(&marked(charge(0, 20, 20))).unwrap();
    assert_eq!(books.0.names.get(&name).unwrap().unwrap().payment, payment(0, 20));
    assert_eq!(books.0.access.get(&access).unwrap().unwrap().until, NOW);
    assert_eq!(books.run(&marked(hold(20, 10))), Err(Reject::PaymentNameTaken));
}

/// After a restore the chain knows of claims that the books do not: what was claimed was charged.
#[test]
fn what_was_claimed_was_charged() {
    let mut books = Books::funded(100);
    books.run(&hold(0, 10)).unwrap();
    books.run(&charge(0, 10, 10)).unwrap();
    books.run(&see(100, 30)).unwrap();
    assert_eq!(books.row().books.charged(), units(30));
    assert_eq!(books.stand(), [70, 30, -70, -20, 0, -10, 0], "twenty were found");
}

#[test]
fn every_refusal_changes_nothing() {
    let closing = ChannelOnChain { withdraw_since: Some(5), ..seen(100, 0) };
    let unknown = Reject::UnknownChannel(channel());
    assert_eq!(Books::open().run(&hold(0, 1)), Err(unknown.clone()));
    assert_eq!(Books::open().run(&see(1, 0)), Err(unknown));
    let cases: Vec<(Vec<Command>, Command, Reject)> = vec![
        (vec![], hold(1, 5), base()),
        (vec![see_as(closing, None)], hold(0, 5), Refused::WithdrawalPending.into()),
        (vec![], hold(0, 101), Refused::CumulativeExceedsBalance.into()),
        (vec![see(100, 5)], hold(0, 5), base()),
        (vec![hold(0, 5), charge(0, 5, 5)], hold_within(5, 6, Some(10)), Refused::ExposureExceeded.into()),
        (vec![hold(0, 5)], charge(0, 5, 6), Refused::ChargeExceedsSigned.into()),
        (vec![], charge(0, 5, 5), Reject::PaymentNotHeld(payment(0, 5))),
        (vec![hold(0, 5)], post(), Reject::NotOnChain(payment(0, 5))),
        (
            vec![call(ChannelStep::Claim, 3)],
            other_call(),
            Reject::Call(CallReject::Exists(CallId::from_bytes([3; 32]))),
        ),
        (vec![], misnamed(), Reject::NotLoaded),
        (vec![], dear(), Reject::Insufficient { price: Amount::new(6), got: Amount::new(5) }),
    ];
    for (before, command, expected) in cases {
        let mut books = Books::funded(100);
        for command in &before {
            books.run(command).unwrap();
        }
        let (row, stand) = (books.row(), books.stand());
        assert_eq!(books.run(&command), Err(expected.clone()), "{command:?}");
        assert_eq!((books.row(), books.stand()), (row, stand));
        assert!(!expected.to_string().is_empty());
    }
}

/// A payment that is called like another one.
fn misnamed() -> Command {
    let Command::Hold(held) = hold(0, 5) else { panic!("it holds") };
    Command::Hold(Hold { payment: payment(1, 4), ..held })
}

/// A voucher for less than the price.
fn dear() -> Command {
    let Command::Hold(held) = hold(0, 5) else { panic!("it holds") };
    Command::Hold(Hold { price: Amount::new(6), ..held })
}

fn post() -> Command {
    let (payment, merchant, asset) = (payment(0, 5), merchant().id(), usd());
    let accounts = vec![accounts().payers];
    let (credits, change, charged) = (vec![], vec![], Amount::new(5));
    Command::Post(Post {
        payment,
        credits,
        accounts,
        merchant: merchant.into(),
        asset,
        charged,
        change,
        pass_until: None,
        marks: Marks::default(),
    })
}

/// Another call under the name of one that was made.
fn other_call() -> Command {
    let Command::MakeChannelCall(made) = call(ChannelStep::Claim, 3) else { panic!("it makes a call") };
    let call = Call { input: vec![9], ..made.call };
    Command::MakeChannelCall(MakeChannelCall { call, ..made })
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Hold { price: u128 },
    Charge { part: u128 },
    Release,
    See { balance: u128, claimed: u128 },
    Settle { settled: u128, found: u128 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1u128..40).prop_map(|price| Step::Hold { price }),
        (0u128..=100).prop_map(|part| Step::Charge { part }),
        Just(Step::Release),
        (0u128..200, 0u128..100).prop_map(|(balance, claimed)| Step::See { balance, claimed }),
        (0u128..100, 0u128..50).prop_map(|(settled, found)| Step::Settle { settled, found }),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    /// Whatever comes in whatever order: the merchant has what was charged, nobody is charged more than he has signed for,
    /// and the accounts are what two numbers of the chain and one of ours say.
    #[test]
    fn the_books_follow(steps in steps()) {
        let mut books = Books::funded(150);
        let (mut charged, mut signed, mut settled, mut under_way) = (0u128, 0u128, 0u128, None);
        let (mut balance, mut claimed, mut found) = (150u128, 0u128, 0u128);
        for step in steps {
            match step {
                Step::Hold { price } => {
                    let taken = books.run(&hold(charged, price));
                    let fits = under_way.is_none() && charged + price <= balance && charged + price > claimed;
                    prop_assert_eq!(taken.is_ok(), fits, "{:?}", taken);
                    if fits {
                        under_way = Some(price);
                    }
                }
                Step::Charge { part } => {
                    let Some(price) = under_way.take() else { continue };
                    let cost = price * part / 100;
                    books.run(&charge(charged, price, cost)).unwrap();
                    signed = signed.max(charged + price);
                    charged += cost;
                }
                Step::Release => {
                    let Some(price) = under_way.take() else { continue };
                    books.release(payment(charged, price));
                }
                Step::See { balance: now, claimed: part } => {
                    // A contract never claims more than it has, nor we more than was charged.
                    (balance, claimed) = (now, part.min(now).min(charged));
                    books.run(&see(balance, claimed)).unwrap();
                }
                Step::Settle { settled: now, found: others } => {
                    (settled, found) = (now.min(claimed), others);
                    books.run(&see_found(settled + found, found)).unwrap();
                }
            }
            let row = books.row();
            prop_assert_eq!(row.books.charged(), units(charged));
            prop_assert_eq!(row.earned, Amount::new(charged));
            prop_assert!(charged <= signed);
            let claim = row.books.claim(&terms());
            prop_assert!(claim.is_none_or(|row| row.total_claimed <= row.ceiling && row.total_claimed <= units(balance)));
            let [escrow, held_for_us, payers, lost, reserve, earned, clearing] = books.stand();
            let int = |n: u128| i128::try_from(n).unwrap();
            prop_assert_eq!(clearing, 0);
            prop_assert_eq!(earned, -int(charged));
            prop_assert_eq!(escrow, int(balance - claimed));
            prop_assert_eq!(held_for_us, int(claimed) - int(settled));
            prop_assert_eq!(reserve, int(settled + found));
            prop_assert_eq!(payers, -int(balance.saturating_sub(charged)));
            prop_assert_eq!(lost, int(charged.saturating_sub(balance)) - int(found));
            prop_assert_eq!(books.debit(accounts().payers).1, int(under_way.unwrap_or_default()));
        }
    }
}
