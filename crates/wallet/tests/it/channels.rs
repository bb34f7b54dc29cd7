//! Payments through channels, honest sellers and others, with the power cut at every commit and answers lost: at every moment
//! what the seller can take is booked, what lies in channels is within its limit, and in the end the books agree to the unit.

use farthing_channel::ChannelId;
use farthing_money::{Amount, Asset, Money, Span};
use farthing_wallet::{
    Attempt, Channel, ChannelCall, ChannelCallFlow, ChannelNews, ChannelPolicy, ChannelRefundFlow, EntryKind,
    Limits, Outcome, Paid, PayFlow, Settled, Wallet, WalletError,
};
use proptest::prelude::*;

use crate::world::chain::{CHAIN, NODE, token};
use crate::world::toll::{TOLL, Ways};
use crate::world::vault::SharedVault;
use crate::world::{Fault, World, get_of, reopen, total_spent};

const LIMIT: u64 = 90_000;
const IN_CHANNELS: u64 = 30_000;

struct Model {
    world: World,
    vault: SharedVault,
    wallet: Wallet,
}

#[derive(Clone, Debug)]
struct Act {
    page: u8,
    price: u64,
    ways: Ways,
    actual: Option<u64>,
    later: u64,
    claims: bool,
    faults: Vec<Fault>,
    crash: Option<(usize, bool)>,
}

fn usd(minor: u64) -> Money {
    Asset::micro("USD").unwrap().money(Amount::from(minor))
}

fn paid(outcome: Result<Outcome, WalletError>) -> Paid {
    match outcome {
        Ok(Outcome::Paid(paid)) => *paid,
        other => panic!("expected a payment, got {other:?}"),
    }
}

fn limits() -> Limits {
    let some = |amount: u64| Some(Amount::from(amount));
    Limits { total: some(LIMIT), in_channels: some(IN_CHANNELS), ..Limits::none("uusd".parse().unwrap()) }
}

fn only(wallet: &Wallet) -> Channel {
    let all: Vec<_> = wallet.channels().cloned().collect();
    assert_eq!(all.len(), 1);
    all[0].clone()
}

impl Model {
    fn new(node: bool) -> Self {
        let vault = SharedVault::default();
        let mut wallet = vault.create();
        wallet.add_token(token()).unwrap();
        if node {
            wallet.set_node(CHAIN, Some(NODE)).unwrap();
        }
        wallet.set_limits(limits()).unwrap();
        Self { world: World::new(), vault, wallet }
    }

    fn buy(&mut self, path: &str) -> Result<Outcome, WalletError> {
        self.world.pass(&mut self.wallet, path)
    }

    fn act(&mut self, act: &Act) -> Result<Outcome, WalletError> {
        self.world.now = self.world.now.after(Span::from_secs(act.later));
        let toll = &mut self.world.toll;
        (toll.ways, toll.price, toll.actual) = (act.ways, act.price, act.actual);
        self.world.faults.clone_from(&act.faults);
        if let Some((commits, durable)) = act.crash {
            self.vault.crash_after(commits, durable);
        }
        let result = self.buy(&format!("/{}", act.page));
        assert!(!matches!(result, Err(WalletError::Misuse(_))), "{result:?}");
        self.vault.never_crash();
        self.world.faults.clear();
        if act.crash.is_some() {
            self.wallet = reopen(&self.vault);
        }
        if act.claims {
            self.world.toll.carry(&mut self.world.chain, self.world.now);
            self.world.toll.claim_everything(&mut self.world.chain);
        }
        self.check();
        result
    }

    fn check(&self) {
        let (stake, booked) =
            (self.world.chain.escrow.at_stake(&self.world.toll.signed), self.vault.total_spent());
        assert!(stake <= booked, "{stake} can be taken, {booked} are booked");
        assert!(booked <= LIMIT, "{booked} of {LIMIT}");
        let signed: u64 = self.world.toll.signed.values().sum();
        let lies = self.world.chain.escrow.balance();
        assert!(lies <= IN_CHANNELS + signed, "{lies} lie in channels, of which {signed} may be taken");
    }

    fn history(&self) -> u64 {
        let entries = self.wallet.history(1_000).unwrap();
        let paid = entries.iter().filter(|entry| entry.kind == EntryKind::Pay);
        paid.map(|entry| entry.money.amount().to_u64().unwrap()).sum()
    }

    /// What the history says that lies in channels: what went in, without what came back.
    fn moved(&self) -> u64 {
        let (mut came, mut back) = (0, 0);
        for entry in self.wallet.history(1_000).unwrap() {
            let amount = entry.money.amount().to_u64().unwrap();
            match entry.kind {
                EntryKind::ChannelDeposit => came += amount,
                EntryKind::ChannelRefund | EntryKind::ChannelWithdrawal | EntryKind::Refused => {
                    back += amount;
                }
                _ => {}
            }
        }
        came - back
    }

    /// Everybody is honest now, and asks for what is left.
    fn end(mut self, agrees: bool) {
        let honest = Act {
            page: 9,
            price: 1_000,
            ways: Ways::Honest,
            actual: None,
            later: 700,
            claims: false,
            faults: Vec::new(),
            crash: None,
        };
        let last = self.act(&honest);
        if !agrees {
            return;
        }
        if !matches!(last, Err(WalletError::Budget(_))) {
            paid(last);
            assert_eq!(self.history(), self.world.toll.total_charged(), "the history agrees");
        }
        // What nobody heard the end of is found out by the same command, as the payer was told; also where no limit is left.
        let open = self.wallet.attempts().filter_map(Attempt::payment).map(|payment| payment.url.clone());
        for url in open.collect::<Vec<_>>() {
            let _ = self.buy(url.strip_prefix(TOLL).unwrap());
        }
        assert_eq!(self.wallet.attempts().count(), 0);
        let ids: Vec<ChannelId> = self.wallet.channels().map(Channel::id).collect();
        for id in ids {
            let flow = ChannelRefundFlow::new(id, None, [9; 32]);
            match self.world.run(&mut self.wallet, flow) {
                Ok(Outcome::Channel(channel, ChannelNews::Refunded(_))) => {
                    assert_eq!(channel.left(), Amount::ZERO);
                }
                other => assert!(matches!(other, Err(WalletError::Channel(_))), "{other:?}"),
            }
        }
        self.check();
        assert_eq!(self.world.chain.escrow.balance(), self.world.toll.total_charged());
        assert_eq!(self.moved(), self.world.chain.escrow.balance(), "the history has what moved");
        assert_eq!(total_spent(&self.wallet), self.world.toll.total_charged(), "budget and chain agree");
    }
}

#[test]
fn a_deposit_then_vouchers_then_a_refund() {
    for node in [true, false] {
        let mut model = Model::new(node);
        let first = paid(model.buy("/page"));
        assert_eq!((first.charged, model.world.chain.escrow.balance()), (usd(1_000), 10_000));
        let asked = model.world.log.len();
        for n in 2..=10 {
            assert_eq!(paid(model.buy("/page")).charged, usd(1_000));
            assert_eq!(total_spent(&model.wallet), n * 1_000);
        }
        assert_eq!(model.world.log.len() - asked, 9, "one request each");
        assert_eq!(model.world.chain.escrow.balance(), 10_000);
        paid(model.buy("/page"));
        assert_eq!(model.world.chain.escrow.balance(), 20_000, "it is filled up");
        assert_eq!(model.history(), 11_000);
        let flow = ChannelRefundFlow::new(only(&model.wallet).id(), Some(Amount::new(4_000)), [9; 32]);
        let outcome = model.world.run(&mut model.wallet, flow);
        assert!(
            matches!(outcome, Ok(Outcome::Channel(_, ChannelNews::Refunded(amount))) if amount == Amount::new(4_000))
        );
        assert_eq!(only(&model.wallet).left(), Amount::new(5_000));
        model.end(true);
    }
}

/// Deposits moved the token as the channel's first one did, whatever the page at hand asked for: facilitators refuse that.
#[test]
fn a_channel_is_filled_in_the_way_that_the_page_asks_for() {
    use farthing_wire::x402::AssetTransferMethod::{Eip3009, Permit2};
    for is_crashed in [false, true] {
        let mut model = Model::new(true);
        for n in 1..=30_u64 {
            model.world.toll.method = if n % 2 == 0 { Eip3009 } else { Permit2 };
            model.world.toll.least = Some(if n % 3 == 0 { 3_000 } else { 10_000 });
            if is_crashed {
                // It is signed, and nobody has it: for a page that asks otherwise it is no help.
                model.vault.crash_after(0, true);
                let _ = model.buy(&format!("/lost/{n}"));
                model.vault.never_crash();
                model.wallet = reopen(&model.vault);
                model.world.toll.method = if n % 2 == 0 { Permit2 } else { Eip3009 };
            }
            model.world.now = model.world.now.after(Span::from_secs(300));
            paid(model.buy("/page"));
            model.check();
        }
        assert_eq!(model.world.toll.total_charged(), 30_000);
        model.end(true);
    }
}

#[test]
fn a_price_that_has_changed_is_learned_from_the_refusal() {
    let mut model = Model::new(false);
    paid(model.buy("/page"));
    model.world.toll.price = 1_500;
    let asked = model.world.log.len();
    assert_eq!(paid(model.buy("/page")).charged, usd(1_500));
    assert_eq!(model.world.log.len() - asked, 2, "the guess and the right one");
    assert_eq!((model.history(), total_spent(&model.wallet)), (2_500, 2_500));
    // A guess that is beyond the limits is not sent.
    model.wallet.set_limits(Limits { total: Some(Amount::new(3_000)), ..limits() }).unwrap();
    model.world.toll.price = 400;
    assert_eq!(paid(model.buy("/page")).charged, usd(400));
    model.check();
}

#[test]
fn what_a_metered_voucher_left_over_is_used_by_the_next() {
    let mut model = Model::new(true);
    model.world.toll.actual = Some(137);
    assert_eq!(paid(model.buy("/page")).charged, usd(137));
    assert_eq!((total_spent(&model.wallet), model.history()), (1_000, 137));
    model.world.toll.actual = Some(0);
    paid(model.buy("/page"));
    assert_eq!((total_spent(&model.wallet), model.history()), (1_137, 137));
    model.end(true);
}

#[test]
fn nothing_is_opened_unasked_and_what_is_dear_is_paid_otherwise() {
    let mut model = Model::new(false);
    let pay = |model: &mut Model, path: &str| {
        let flow = PayFlow::new(get_of(TOLL, path)).unwrap().on_chains(model.world.random());
        model.world.run(&mut model.wallet, flow)
    };
    let error = pay(&mut model, "/page").unwrap_err();
    assert!(error.to_string().contains("farthing pay --channel"), "{error}");
    assert_eq!((error.code(), model.wallet.channels().count()), ("wallet-no-offer", 0));
    model.wallet.set_channel_policy(ChannelPolicy { opens: true }).unwrap();
    assert_eq!(paid(pay(&mut model, "/page")).on_chain.unwrap().scheme, "batch-settlement");
    model.wallet.set_channel_policy(ChannelPolicy::default()).unwrap();
    // One that is open is used.
    assert_eq!(paid(pay(&mut model, "/other")).on_chain.unwrap().scheme, "batch-settlement");
    model.world.toll.price = IN_CHANNELS + 1_000;
    let error = model.buy("/dear").unwrap_err();
    assert_eq!(error.code(), "budget-in-channels");
    assert_eq!(total_spent(&model.wallet), 2_000);
    model.world.toll.takes_exact = true;
    assert_eq!(paid(model.buy("/dear")).on_chain.unwrap().scheme, "exact");
}

#[test]
fn a_seller_that_lies_gets_what_was_signed_and_no_more() {
    for (ways, code) in [(Ways::Lying, "channel-total-differs"), (Ways::Overcharging, "channel-overcharged")]
    {
        for node in [true, false] {
            let mut model = Model::new(node);
            model.world.toll.ways = ways;
            let odd = paid(model.buy("/page"));
            assert_eq!((odd.notes.len(), odd.charged), (1, usd(0)), "{:?}", odd.notes);
            assert_eq!(only(&model.wallet).doubt.as_deref(), Some(code));
            assert_eq!(total_spent(&model.wallet), 1_000, "what was signed is booked");
            model.world.toll.claim_everything(&mut model.world.chain);
            model.check();
            model.world.toll.ways = Ways::Honest;
            if node {
                // The chain is asked, and the seller shows what it has: all of it is in the history at last.
                paid(model.buy("/page"));
                assert_eq!(model.history(), model.world.toll.total_charged());
            }
            model.check();
        }
    }
}

#[test]
fn a_total_without_a_voucher_is_believed_of_the_chain_alone() {
    for node in [true, false] {
        let mut model = Model::new(node);
        paid(model.buy("/page"));
        // Its answer is lost, and nobody asks again for it.
        model.world.faults = [vec![Fault::None], vec![Fault::AnswerLost; 4]].concat();
        assert_eq!(model.buy("/lost").unwrap_err().code(), "wallet-outcome-unknown");
        model.world.faults.clear();
        model.world.toll.ways = Ways::Mute;
        let outcome = model.buy("/page");
        model.check();
        match outcome {
            Ok(Outcome::Refused(refused)) => assert!(matches!(refused.settled, Ok(Settled::InChannel(_)))),
            other => panic!("expected a refusal, got {other:?}"),
        }
        model.world.toll.ways = Ways::Honest;
        if node {
            paid(model.buy("/page"));
            model.end(true);
        }
    }
}

fn call(model: &mut Model, call: ChannelCall) -> Result<ChannelNews, WalletError> {
    let id = model.wallet.channels().next().map(Channel::id).unwrap();
    let flow = ChannelCallFlow::new(id, call, Amount::new(u128::MAX), model.world.random());
    match model.world.run(&mut model.wallet, flow)? {
        Outcome::Channel(_, news) => Ok(news),
        other => panic!("expected news, got {other:?}"),
    }
}

#[test]
fn a_withdrawal_is_cut_at_every_commit_and_ends_once() {
    let faults = [Fault::None, Fault::AnswerLost, Fault::RequestLost];
    for (commits, durable) in (0..8).flat_map(|commits| [(commits, false), (commits, true)]) {
        for fault in faults {
            let place = (commits * 5 + usize::from(durable)) % 12;
            let mut model = Model::new(true);
            paid(model.buy("/page"));
            model.world.faults = [vec![Fault::None; place], vec![fault]].concat();
            model.vault.crash_after(commits, durable);
            let _ = call(&mut model, ChannelCall::Withdraw);
            model.vault.never_crash();
            model.world.faults.clear();
            model.wallet = reopen(&model.vault);
            let news = call(&mut model, ChannelCall::Withdraw).unwrap();
            assert!(
                matches!(news, ChannelNews::Waiting { amount, .. } if amount == Amount::new(9_000)),
                "{news:?}"
            );
            assert_eq!(model.world.chain.sender.count, 1, "asked once");
            let emptied = only(&model.wallet).id();
            let other = paid(model.buy("/page")).on_chain.unwrap().channel;
            assert!(other.is_some_and(|other| other != emptied), "nothing more is paid through it");
            model.world.toll.claim_everything(&mut model.world.chain);
            model.world.now = model.world.now.after(Span::from_secs(901));
            let id = model.wallet.channels().find(|channel| channel.withdrawal.is_some()).unwrap().id();
            model.vault.crash_after(commits, durable);
            model.world.faults = [vec![Fault::None; place], vec![fault]].concat();
            let flow = |model: &Model| {
                ChannelCallFlow::new(id, ChannelCall::Withdraw, Amount::new(u128::MAX), model.world.random())
            };
            let first = flow(&model);
            let _ = model.world.run(&mut model.wallet, first);
            model.vault.never_crash();
            model.world.faults.clear();
            model.wallet = reopen(&model.vault);
            let again = flow(&model);
            let _ = model.world.run(&mut model.wallet, again);
            assert_eq!(model.world.chain.sender.count, 2, "taken once");
            let channel = model.wallet.channels().find(|channel| channel.id() == id).unwrap();
            assert_eq!((channel.books.balance(), channel.left()), (Amount::new(1_000), Amount::ZERO));
            assert_eq!(model.moved(), 11_000, "the other one has what it had");
            assert!(channel.sent.is_none() && channel.withdrawal.is_none());
            model.check();
        }
    }
}

#[test]
fn a_channel_that_its_payer_fills_is_filled_once() {
    for (commits, durable) in (0..5).flat_map(|commits| [(commits, false), (commits, true)]) {
        let mut model = Model::new(true);
        paid(model.buy("/page"));
        model.vault.crash_after(commits, durable);
        let first = call(&mut model, ChannelCall::Fill(Amount::new(4_000)));
        model.vault.never_crash();
        model.wallet = reopen(&model.vault);
        let sent = model.wallet.channels().any(|channel| channel.sent.is_some());
        if first.is_err() && (sent || model.world.chain.sender.count == 0) {
            let filled = call(&mut model, ChannelCall::Fill(Amount::new(4_000))).unwrap();
            assert_eq!(filled, ChannelNews::Filled(Amount::new(4_000)));
        }
        assert_eq!(model.world.chain.sender.count, 1);
        assert_eq!((model.world.chain.escrow.balance(), model.moved()), (14_000, 14_000));
        // Nothing is put in beyond the limit.
        let error = call(&mut model, ChannelCall::Fill(Amount::new(IN_CHANNELS.into()))).unwrap_err();
        assert_eq!(error.code(), "budget-in-channels");
        paid(model.buy("/page"));
        model.check();
    }
}

#[test]
fn a_transaction_that_no_block_takes_is_sent_again_as_it_is() {
    let mut model = Model::new(true);
    paid(model.buy("/page"));
    model.world.chain.sender.is_stuck = true;
    let ChannelNews::Sent(hash) = call(&mut model, ChannelCall::Withdraw).unwrap() else {
        panic!("it is stuck")
    };
    assert_eq!(call(&mut model, ChannelCall::Withdraw).unwrap(), ChannelNews::Sent(hash.clone()));
    model.world.chain.sender.is_stuck = false;
    assert!(matches!(call(&mut model, ChannelCall::Withdraw).unwrap(), ChannelNews::Waiting { .. }));
    assert_eq!(model.world.chain.sender.carried.keys().collect::<Vec<_>>(), [&hash]);
    // Another wallet with the same words takes a number: what was signed for it is given up, and made anew.
    model.world.now = model.world.now.after(Span::from_secs(901));
    model.world.chain.sender.is_stuck = true;
    assert!(matches!(call(&mut model, ChannelCall::Withdraw), Ok(ChannelNews::Sent(_))));
    model.world.chain.sender.count += 1;
    let error = call(&mut model, ChannelCall::Withdraw).unwrap_err();
    assert_eq!(error.code(), "wallet-not-on-chain", "{error}");
    model.world.chain.sender.is_stuck = false;
    assert!(matches!(call(&mut model, ChannelCall::Withdraw), Ok(ChannelNews::Withdrawn(_))));
}

#[test]
fn the_power_is_cut_at_every_commit() {
    for node in [true, false] {
        for actual in [None, Some(300)] {
            for (commits, durable) in (0..6).flat_map(|commits| [(commits, false), (commits, true)]) {
                let mut model = Model::new(node);
                let act = |crash| Act {
                    page: 1,
                    price: 1_000,
                    ways: Ways::Honest,
                    actual,
                    later: 1,
                    claims: false,
                    faults: Vec::new(),
                    crash,
                };
                let _ = model.act(&act(Some((commits, durable))));
                let _ = model.act(&act(None));
                paid(model.act(&act(None)));
                model.end(true);
            }
        }
    }
}

fn act(ways: impl Strategy<Value = Ways>) -> impl Strategy<Value = Act> {
    let fault = prop_oneof![
        5 => Just(Fault::None),
        1 => Just(Fault::NotSent),
        1 => Just(Fault::RequestLost),
        2 => Just(Fault::AnswerLost),
        1 => Just(Fault::Twice),
    ];
    let actual = prop::option::weighted(0.3, 0..3_000_u64);
    let crash = prop::option::weighted(0.3, (0..5_usize, any::<bool>()));
    let later = prop_oneof![4 => 1..20_u64, 1 => Just(290_u64), 1 => Just(700_u64)];
    let faults = prop::collection::vec(fault, 0..7);
    let claims = prop::bool::weighted(0.1);
    (0..3_u8, 1..3_000_u64, ways, actual, later, claims, faults, crash).prop_map(
        |(page, price, ways, actual, later, claims, faults, crash)| Act {
            page,
            price,
            ways,
            actual,
            later,
            claims,
            faults,
            crash,
        },
    )
}

fn any_ways() -> impl Strategy<Value = Ways> {
    prop_oneof![
        6 => Just(Ways::Honest),
        1 => Just(Ways::Forgetful),
        1 => Just(Ways::Silent),
        1 => Just(Ways::Lying),
        1 => Just(Ways::Overcharging),
        1 => Just(Ways::Broken),
        1 => Just(Ways::Stealing),
        1 => Just(Ways::Busy),
        1 => Just(Ways::Mute),
        1 => Just(Ways::Greedy),
        1 => Just(Ways::Hoarding),
    ]
}

fn usual_ways() -> impl Strategy<Value = Ways> {
    prop_oneof![6 => Just(Ways::Honest), 1 => Just(Ways::Broken), 1 => Just(Ways::Stealing), 1 => Just(Ways::Busy)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn whatever_a_seller_does_what_it_can_take_is_booked(node: bool, acts in prop::collection::vec(act(any_ways()), 1..14)) {
        let mut model = Model::new(node);
        for act in &acts {
            let _ = model.act(act);
        }
        model.end(false);
    }

    #[test]
    fn with_an_honest_seller_the_books_agree_in_the_end(acts in prop::collection::vec(act(usual_ways()), 1..14)) {
        let mut model = Model::new(true);
        for act in &acts {
            let _ = model.act(&Act { claims: false, ..act.clone() });
        }
        model.end(true);
    }
}

#[test]
fn an_attempt_is_not_shared_by_two_flows() {
    let mut model = Model::new(false);
    // The first request is under way: its flow is at hand, and its attempt is its own.
    let mut first = PayFlow::new(get_of(TOLL, "/page")).unwrap().on_chains([1; 32]).opening_channels(true);
    let mut event = farthing_wallet::Event::Go;
    let sent = loop {
        use farthing_wallet::{Flow, Step};
        match first.next(&mut model.wallet, event, model.world.now).unwrap() {
            Step::Send(request) if request.headers.is_empty() => event = model.world.answer(&request),
            Step::Send(request) => break request,
            other => panic!("expected a request, got {other:?}"),
        }
    };
    paid(model.buy("/page"));
    assert_eq!(model.wallet.channels().map(|channel| channel.lane).collect::<Vec<_>>().len(), 2);
    event = model.world.answer(&sent);
    let outcome = loop {
        use farthing_wallet::{Event, Flow, Step};
        match first.next(&mut model.wallet, event, model.world.now).unwrap() {
            Step::Deliver => event = Event::Go,
            Step::Done(outcome) => break *outcome,
            other => panic!("expected an end, got {other:?}"),
        }
    };
    paid(Ok(outcome));
    assert_eq!(model.wallet.attempts().filter_map(Attempt::channel).count(), 0);
    assert_eq!((model.world.toll.served, total_spent(&model.wallet)), (2, 2_000));
    model.end(true);
}
