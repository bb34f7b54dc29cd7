//! Channels: what vouchers pay, what a chain says, and that the books follow both whatever the order.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use farthing_engine::{
    Answer, Call, CallId, ChainAddress, ChannelAccounts, ChannelId, ChannelRow, ChannelStep, ChannelTermsRow,
    ChargeVoucher, Chart, Command, EndCall, Funds, HeldVoucher, Hold, Keys, MakeChannelCall, Marks, Movement,
    OnChain, Outcome, PaymentId, Post, ReceiverId, Reject, RequestTag, Rows, SeeChannel, SeeReceiver, Tally,
    TransactionId, decide, release_of,
};
use farthing_ledger::{Account, AccountId};
use farthing_money::{Amount, Asset, Timestamp};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(10_000);
const TOKEN: &str = "eip155:84532:DAI";
/// A token whose smallest unit is a thousandth of the asset's.
const FINER: u128 = 1_000;

fn usd() -> Asset {
    Asset::micro("USD").unwrap()
}

fn merchant() -> Account {
    Chart::of(usd()).merchant("shop")
}

fn accounts() -> ChannelAccounts {
    ChannelAccounts::of(&Chart::of(usd()), TOKEN)
}

fn address(n: u8) -> ChainAddress {
    ChainAddress::from_bytes([n; 20])
}

fn channel() -> ChannelId {
    ChannelId::from_bytes([7; 32])
}

fn receiver() -> ReceiverId {
    ReceiverId::of(84_532, address(3), address(5))
}

/// So much of the asset, as the token counts it.
fn tally(worth: u128) -> Tally {
    Tally { units: Amount::new(worth * FINER), worth: Amount::new(worth) }
}

fn row() -> ChannelRow {
    let terms = ChannelTermsRow {
        chain: 84_532,
        payer: address(1),
        payer_authorizer: address(2),
        receiver: address(3),
        receiver_authorizer: address(4),
        token: address(5),
        withdraw_delay: 900,
        salt: [0; 32],
    };
    ChannelRow::new(terms, usd(), accounts(), NOW)
}

fn call(step: ChannelStep, name: u8) -> Command {
    let moves = Movement { token: address(5), from: address(1), to: address(6), units: Amount::new(1) };
    let call = Call { chain: 84_532, to: address(6), input: vec![name], moves, until: NOW, approval: None };
    let opens = matches!(step, ChannelStep::Deposit(_)).then(|| Box::new(row()));
    Command::MakeChannelCall(MakeChannelCall { id: CallId::from_bytes([name; 32]), call, step, opens })
}

fn see(balance: u128, claimed: u128) -> Command {
    see_as(OnChain { balance: tally(balance), claimed: tally(claimed), ..OnChain::default() }, None)
}

fn see_as(on_chain: OnChain, refund_ended: Option<CallId>) -> Command {
    Command::SeeChannel(SeeChannel {
        channel: channel(),
        on_chain,
        accounts: accounts(),
        asset: usd(),
        refund_ended,
    })
}

fn see_receiver(settled: u128) -> Command {
    let (settled, accounts) = (tally(settled), accounts());
    Command::SeeReceiver(SeeReceiver { receiver: receiver(), settled, accounts, asset: usd() })
}

fn payment(base: u128, price: u128) -> PaymentId {
    PaymentId::of_voucher(channel(), tally(base).units, tally(base + price).units)
}

fn hold(base: u128, price: u128) -> Command {
    hold_within(base, price, u128::MAX / FINER)
}

fn hold_within(base: u128, price: u128, exposure_most: u128) -> Command {
    let voucher = HeldVoucher {
        channel: channel(),
        base: tally(base).units,
        ceiling: tally(price),
        signature: vec![u8::try_from(base % 200).unwrap(); 65],
        exposure_most: tally(exposure_most).units,
        accounts: accounts(),
    };
    Command::Hold(Hold {
        payment: payment(base, price),
        funds: Funds::Voucher(Box::new(voucher)),
        price: Amount::new(price),
        asset: usd(),
        merchant: merchant().id(),
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
        merchant: merchant().id(),
        asset: usd(),
        charged: tally(charged),
        pass_until: None,
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
        let mut keys = Keys::default();
        command.keys(&mut keys);
        self.0.load_absent(&keys);
        decide(&mut self.0, command, NOW).map(|(answer, _)| answer)
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
        let totals = self.0.accounts.get(&id).unwrap().unwrap().totals;
        let signed = |amount: Amount| i128::try_from(amount.value()).unwrap();
        (
            signed(totals.debits_posted) - signed(totals.credits_posted),
            signed(totals.debits_pending) - signed(totals.credits_pending),
        )
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
    assert_eq!(books.run(&hold(10, 6)), Err(base(4, 16)), "of the ceiling, only what was charged counts");
    books.run(&hold(4, 6)).unwrap();
    books.run(&charge(4, 6, 6)).unwrap();
    let row = books.row();
    assert_eq!((row.charged, row.signed), (tally(10), tally(10).units));
    assert_eq!(row.signature, vec![4; 65]);
    // Four are claimed: the rest of what was charged can still be. Then they are moved to us.
    books.run(&see(100, 4)).unwrap();
    books.run(&see_receiver(4)).unwrap();
    assert_eq!(books.stand(), [96, 0, -90, 0, 4, -10, 0]);
    // A fork takes that back.
    books.run(&see_receiver(0)).unwrap();
    books.run(&see(100, 0)).unwrap();
    assert_eq!(books.stand(), [100, 0, -90, 0, 0, -10, 0]);
}

fn base(charged: u128, signed: u128) -> Reject {
    let (charged, signed) = (tally(charged).units, tally(signed).units);
    Reject::VoucherBase { channel: channel(), charged, signed }
}

#[test]
fn the_same_voucher_is_the_same_payment() {
    let mut books = Books::funded(100);
    books.run(&hold(0, 10)).unwrap();
    assert_eq!(books.run(&hold(0, 10)), Err(Reject::PaymentUnderWay(payment(0, 10))));
    assert_eq!(books.run(&hold(0, 11)), Err(Reject::ChannelBusy(channel())));
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
    assert_eq!(books.row().charged, tally(10));
}

#[test]
fn what_was_free_is_paid_with_the_next_request() {
    let mut books = Books::funded(100);
    books.run(&hold(0, 10)).unwrap();
    let Answer::Posted(row) = books.run(&charge(0, 10, 0)).unwrap() else { panic!("it is charged") };
    assert_eq!(row.charged, Amount::ZERO);
    assert_eq!((books.row().charged, books.row().signed), (Tally::default(), Amount::ZERO));
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
    let (refund, id) = (call(ChannelStep::Refund(channel()), 2), CallId::from_bytes([2; 32]));
    books.run(&hold(0, 10)).unwrap();
    assert_eq!(books.run(&refund), Err(Reject::ChannelBusy(channel())));
    books.run(&charge(0, 10, 10)).unwrap();
    books.run(&refund).unwrap();
    assert!(matches!(books.run(&refund).unwrap(), Answer::Call(_)), "made once");
    assert_eq!(books.run(&hold(10, 10)), Err(Reject::ChannelBusy(channel())));
    let transaction = TransactionId::from_bytes([5; 32]);
    let outcome = Outcome::Settled { transaction, block: 3, log: 0 };
    books.run(&Command::EndCall(EndCall { call: id, outcome, payment: None, gas: None })).unwrap();
    let left = OnChain { balance: tally(10), claimed: tally(10), refunds: 1, ..OnChain::default() };
    books.run(&see_as(left, Some(id))).unwrap();
    assert_eq!(books.stand(), [0, 10, 0, 0, 0, -10, 0]);
    assert_eq!(books.row().refund, None);
    let short =
        Reject::ChannelShort { channel: channel(), balance: tally(10).units, signed: tally(11).units };
    assert_eq!(books.run(&hold(10, 1)), Err(short));
}

#[test]
fn every_refusal_changes_nothing() {
    let closing = OnChain { balance: tally(100), withdraw_asked_at: Some(NOW), ..OnChain::default() };
    let unknown = Reject::UnknownChannel(channel());
    assert_eq!(Books::open().run(&hold(0, 1)), Err(unknown.clone()));
    assert_eq!(Books::open().run(&see(1, 0)), Err(unknown));
    let (at, units) = (channel(), |worth: u128| tally(worth).units);
    let cases: Vec<(Vec<Command>, Command, Reject)> = vec![
        (vec![], hold(1, 5), base(0, 6)),
        (vec![see_as(closing, None)], hold(0, 5), Reject::ChannelClosing(at)),
        (vec![], hold(0, 101), Reject::ChannelShort { channel: at, balance: units(100), signed: units(101) }),
        (
            vec![see(100, 5)],
            hold(0, 5),
            Reject::VoucherClaimed { channel: at, claimed: units(5), signed: units(5) },
        ),
        (
            vec![hold(0, 5), charge(0, 5, 5)],
            hold_within(5, 6, 10),
            Reject::ChannelExposure { channel: at, most: units(10), open: units(11) },
        ),
        (
            vec![hold(0, 5)],
            charge(0, 5, 6),
            Reject::ChargeExceedsVoucher { channel: at, ceiling: units(5), charged: units(6) },
        ),
        (vec![], charge(0, 5, 5), Reject::PaymentNotHeld(payment(0, 5))),
        (vec![hold(0, 5)], post(), Reject::NotOnChain(payment(0, 5))),
        (vec![call(ChannelStep::Claim, 3)], other_call(), Reject::CallExists(CallId::from_bytes([3; 32]))),
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

fn post() -> Command {
    let (payment, merchant, asset) = (payment(0, 5), merchant().id(), usd());
    let accounts = vec![accounts().payers];
    let (credits, change, charged) = (vec![], vec![], Amount::new(5));
    Command::Post(Post { payment, credits, accounts, merchant, asset, charged, change, pass_until: None })
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
    Settle { settled: u128 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1u128..40).prop_map(|price| Step::Hold { price }),
        (0u128..=100).prop_map(|part| Step::Charge { part }),
        Just(Step::Release),
        (0u128..200, 0u128..100).prop_map(|(balance, claimed)| Step::See { balance, claimed }),
        (0u128..100).prop_map(|settled| Step::Settle { settled }),
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
        let (mut balance, mut claimed) = (150u128, 0u128);
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
                    if cost > 0 {
                        signed = charged + price;
                    }
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
                Step::Settle { settled: now } => {
                    settled = now.min(claimed);
                    books.run(&see_receiver(settled)).unwrap();
                }
            }
            let row = books.row();
            prop_assert_eq!(row.charged, tally(charged));
            prop_assert!(row.charged.units <= row.signed && row.signed == tally(signed).units);
            let [escrow, held_for_us, payers, lost, reserve, earned, clearing] = books.stand();
            let int = |n: u128| i128::try_from(n).unwrap();
            prop_assert_eq!(clearing, 0);
            prop_assert_eq!(earned, -int(charged));
            prop_assert_eq!(escrow, int(balance - claimed));
            prop_assert_eq!(held_for_us, int(claimed) - int(settled));
            prop_assert_eq!(reserve, int(settled));
            prop_assert_eq!(payers, -int(balance.saturating_sub(charged)));
            prop_assert_eq!(lost, int(charged.saturating_sub(balance)));
            prop_assert_eq!(books.debit(accounts().payers).1, int(under_way.unwrap_or_default()));
        }
    }
}
