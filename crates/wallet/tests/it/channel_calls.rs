//! Transactions that the account sends for its channels itself: what they may cost, what becomes of one that no block takes, and
//! that what is signed for one is signed once.

use farthing_channel::{SignedTransaction, bytes_from_hex};
use farthing_money::{Amount, Span};
use farthing_wallet::{
    Channel, ChannelCall, ChannelCallFlow, ChannelNews, ChannelRefundFlow, ChannelSeeFlow, Entry, EntryKind,
    Limits, Outcome, Wallet, WalletError,
};

use crate::world::chain::{CHAIN, NODE, token};
use crate::world::vault::SharedVault;
use crate::world::{Fault, World, reopen, total_spent};

/// What gas costs at the beginning, and how much of it a call uses here with a quarter to spare; a deposit surely uses less than
/// `DEPOSIT_GAS`.
const PRICE: u64 = 1_000_000_000;
const GAS: u64 = 125_000;
const DEPOSIT_GAS: u64 = 300_000;
const WITHDRAW: ChannelCall = ChannelCall::Withdraw;

struct Scene {
    world: World,
    vault: SharedVault,
    wallet: Wallet,
}

impl Scene {
    /// A channel with 9,000 left in it.
    fn new() -> Self {
        let (vault, mut world) = (SharedVault::default(), World::new());
        let mut wallet = vault.create();
        wallet.add_token(token()).unwrap();
        wallet.set_node(CHAIN, Some(NODE)).unwrap();
        wallet.set_limits(Limits::none("uusd".parse().unwrap())).unwrap();
        assert!(matches!(world.pass(&mut wallet, "/page"), Ok(Outcome::Paid(_))));
        Self { world, vault, wallet }
    }

    fn channel(&self) -> Channel {
        let all: Vec<_> = self.wallet.channels().cloned().collect();
        assert_eq!(all.len(), 1);
        all[0].clone()
    }

    fn call(&mut self, call: ChannelCall, fee_most: u64) -> Result<ChannelNews, WalletError> {
        let random = self.world.random();
        let flow = ChannelCallFlow::new(self.channel().id(), call, fee_most.into(), random);
        match self.world.run(&mut self.wallet, flow)? {
            Outcome::Channel(_, news) => Ok(news),
            other => panic!("expected news, got {other:?}"),
        }
    }

    /// The same, where gas may cost anything.
    fn run(&mut self, call: ChannelCall) -> Result<ChannelNews, WalletError> {
        self.call(call, u64::MAX)
    }

    /// What went into channels and came back, as the history tells it, the oldest first.
    fn moved(&self) -> Vec<String> {
        let told = |entry: &Entry| {
            let on = entry.on_chain.as_ref().unwrap();
            assert_eq!(on.units, entry.money.amount());
            assert_eq!(on.channel, Some(self.channel().id()));
            let hash = on.transaction.as_deref().unwrap_or("-");
            format!("{} {} {hash}", entry.kind.as_str(), on.units)
        };
        let entries = self.wallet.history(100).unwrap();
        let mut moved: Vec<_> =
            entries.iter().filter(|entry| entry.kind != EntryKind::Pay).map(told).collect();
        moved.reverse();
        moved
    }

    /// What is under way, as it was signed last.
    fn under_way(&self) -> SignedTransaction {
        let sent = self.channel().sent.unwrap();
        SignedTransaction::decode(&bytes_from_hex(&sent.bytes, 10_000).unwrap()).unwrap()
    }

    fn stuck(&mut self, call: ChannelCall) -> SignedTransaction {
        let news = self.run(call).unwrap();
        let last = self.under_way();
        assert_eq!(news, ChannelNews::Sent(last.hash.to_string()));
        last
    }
}

fn is_replaced(before: &SignedTransaction, after: &SignedTransaction) {
    let (old, new) = (&before.transaction, &after.transaction);
    assert_eq!((old.number, &old.input, old.gas), (new.number, &new.input, new.gas));
    let eighth = |old: Amount, new: Amount| new.value() * 8 >= old.value() * 9 && new > old;
    assert!(eighth(old.fees.most, new.fees.most) && eighth(old.fees.tip, new.fees.tip), "{old:?}, {new:?}");
}

/// A transaction that had become too cheap was sent again as it was for ever, and its number was in the way of all others.
#[test]
fn a_call_for_a_channel_that_became_too_cheap_is_sent_again_with_higher_fees() {
    for call in [WITHDRAW, ChannelCall::Fill(Amount::new(4_000))] {
        for price in [2 * PRICE + 1, 7 * PRICE] {
            let mut scene = Scene::new();
            scene.world.chain.sender.price = PRICE;
            scene.world.chain.sender.is_stuck = true;
            let first = scene.stuck(call);
            // Gas is not dearer than the transaction pays: it is sent again as it is.
            scene.world.chain.sender.price = 2 * PRICE;
            assert_eq!(scene.stuck(call), first);
            scene.world.chain.sender.is_stuck = false;
            scene.world.chain.sender.price = price;
            let news = scene.run(call).unwrap();
            let is_done = match call {
                ChannelCall::Withdraw => matches!(news, ChannelNews::Waiting { .. }),
                ChannelCall::Fill(amount) => news == ChannelNews::Filled(amount),
            };
            assert!(is_done, "{news:?}");
            is_replaced(&first, scene.world.chain.sender.seen.last().unwrap());
            assert_eq!(scene.world.chain.sender.count, 1, "one of them came");
            assert!(scene.channel().sent.is_none());
        }
    }
}

/// Only the last transaction was asked for: a block that had taken an earlier one of the same number was not believed.
#[test]
fn any_transaction_of_a_channel_that_a_block_takes_counts() {
    for place in 0..3 {
        let mut scene = Scene::new();
        scene.world.chain.sender.is_stuck = true;
        let first = scene.stuck(WITHDRAW);
        scene.world.chain.sender.price = 3 * PRICE;
        let second = scene.stuck(WITHDRAW);
        scene.world.chain.sender.price = 9 * PRICE;
        let third = scene.stuck(WITHDRAW);
        is_replaced(&first, &second);
        is_replaced(&second, &third);
        assert_eq!(scene.channel().sent.unwrap().earlier, [first.hash, second.hash]);
        scene.wallet = reopen(&scene.vault);
        assert_eq!(scene.world.chain.sender.seen, [first, second, third]);
        scene.world.chain.mine(place, scene.world.now);
        assert!(matches!(scene.run(WITHDRAW), Ok(ChannelNews::Waiting { .. })), "{place}");
        assert_eq!(scene.world.chain.sender.seen.len(), 3, "nothing more is sent");
    }
}

#[test]
fn higher_fees_for_a_channel_are_within_what_is_allowed_and_what_there_is() {
    let mut scene = Scene::new();
    scene.world.chain.sender.is_stuck = true;
    let first = scene.stuck(WITHDRAW);
    scene.world.chain.sender.is_stuck = false;
    scene.world.chain.sender.price = 3 * PRICE;
    let most = 6 * PRICE * GAS;
    let error = scene.call(WITHDRAW, most - 1).unwrap_err();
    assert_eq!(error.code(), "wallet-not-on-chain");
    assert!(error.to_string().contains(&format!("{} has become too cheap", first.hash)), "{error}");
    scene.world.chain.sender.coin = most - 1;
    assert_eq!(scene.call(WITHDRAW, most).unwrap_err().code(), "wallet-no-coin");
    assert_eq!(scene.under_way(), first, "it is kept");
    scene.world.chain.sender.coin = most;
    assert!(matches!(scene.call(WITHDRAW, most), Ok(ChannelNews::Waiting { .. })));
    is_replaced(&first, scene.world.chain.sender.seen.last().unwrap());
}

/// What the node says counts too: gas may look cheap enough, and the pool be full of what pays more.
#[test]
fn a_node_that_asks_for_more_gets_more_once_in_a_run() {
    let mut scene = Scene::new();
    scene.world.chain.sender.refuses = Some("transaction underpriced");
    let error = scene.run(WITHDRAW).unwrap_err();
    assert!(error.to_string().contains("transaction underpriced; it is kept"), "{error}");
    assert_eq!(scene.channel().sent.unwrap().earlier.len(), 1, "it was raised once");
    scene.world.chain.sender.refuses = Some("insufficient funds for gas * price + value");
    let error = scene.run(WITHDRAW).unwrap_err();
    assert!(error.to_string().contains("insufficient funds"), "{error}");
    assert_eq!(scene.channel().sent.unwrap().earlier.len(), 1, "that is no reason to pay more");
    scene.world.chain.sender.refuses = None;
    assert!(matches!(scene.run(WITHDRAW), Ok(ChannelNews::Waiting { .. })));
}

#[test]
fn fees_for_a_channel_are_raised_once_though_the_power_is_cut() {
    for (commits, durable) in (0..4).flat_map(|commits| [(commits, false), (commits, true)]) {
        let mut scene = Scene::new();
        scene.world.chain.sender.is_stuck = true;
        let first = scene.stuck(WITHDRAW);
        scene.world.chain.sender.is_stuck = false;
        scene.world.chain.sender.price = 3 * PRICE;
        scene.vault.crash_after(commits, durable);
        let _ = scene.run(WITHDRAW);
        scene.vault.never_crash();
        scene.wallet = reopen(&scene.vault);
        let news = scene.run(WITHDRAW).unwrap();
        assert!(matches!(news, ChannelNews::Waiting { .. }), "{news:?}");
        let seen = &scene.world.chain.sender.seen;
        is_replaced(&first, &seen[1]);
        assert!(seen[1..].iter().all(|again| *again == seen[1]), "{commits} {durable}");
        assert_eq!(scene.world.chain.sender.count, 1);
    }
}

/// A deposit is good for ten minutes: the transaction that carries it can only fail then, and is in nobody's way.
#[test]
fn a_channel_whose_deposit_is_over_gets_another_one_in_its_place() {
    for call in [ChannelCall::Fill(Amount::new(4_000)), WITHDRAW] {
        let mut scene = Scene::new();
        scene.world.chain.sender.is_stuck = true;
        let first = scene.stuck(ChannelCall::Fill(Amount::new(4_000)));
        scene.world.now = scene.world.now.after(Span::from_secs(700));
        scene.world.chain.sender.is_stuck = false;
        let news = scene.run(call).unwrap();
        assert!(matches!(news, ChannelNews::Filled(_) | ChannelNews::Waiting { .. }), "{news:?}");
        let last = scene.world.chain.sender.seen.last().unwrap().clone();
        assert_eq!(last.transaction.number, first.transaction.number);
        assert_ne!(last.transaction.input, first.transaction.input);
        assert_eq!(scene.world.chain.sender.carried.len(), 1, "nothing failed");
    }
}

/// The deposit was signed, written down and shown to the node before anybody knew what its transaction costs: whoever ran the command
/// again signed another one, and the node had them all.
#[test]
fn a_deposit_for_a_channel_is_signed_when_its_fee_is_allowed_and_there() {
    let fill = ChannelCall::Fill(Amount::new(4_000));
    let most = 2 * PRICE * DEPOSIT_GAS;
    let mut scene = Scene::new();
    let (spent, asked) = (total_spent(&scene.wallet), scene.world.log.len());
    let error = scene.call(fill, most - 1).unwrap_err();
    assert_eq!(error.code(), "wallet-not-on-chain");
    assert!(error.to_string().contains("--fee-most"), "{error}");
    scene.world.chain.sender.coin = most - 1;
    assert_eq!(scene.call(fill, most).unwrap_err().code(), "wallet-no-coin");
    assert_eq!((scene.channel().deposits, total_spent(&scene.wallet)), (Vec::new(), spent));
    let asked = scene.world.log[asked..].iter().map(|request| String::from_utf8_lossy(&request.body));
    assert_eq!(asked.filter(|body| body.contains("estimateGas") || body.contains("sendRaw")).count(), 0);
    scene.world.chain.sender.coin = most;
    assert_eq!(scene.call(fill, most).unwrap(), ChannelNews::Filled(Amount::new(4_000)));
}

/// What uses more gas than any deposit should is found out with the deposit in hand: that one is used again.
#[test]
fn a_deposit_for_a_channel_that_is_open_is_used_again() {
    let mut scene = Scene::new();
    scene.world.chain.sender.gas = Some(10 * DEPOSIT_GAS);
    let most = 2 * PRICE * DEPOSIT_GAS;
    let error = scene.call(ChannelCall::Fill(Amount::new(4_000)), most).unwrap_err();
    assert!(error.to_string().contains("the deposit is signed, and the next command uses it"), "{error}");
    let open = scene.channel().deposits;
    assert_eq!(open.len(), 1);
    scene.world.chain.sender.gas = None;
    for amount in [4_000, 3_000] {
        scene.run(ChannelCall::Fill(Amount::new(amount))).unwrap_err();
        assert_eq!(scene.channel().deposits, open, "{amount}");
    }
    scene.wallet = reopen(&scene.vault);
    scene.world.chain.sender.gas = Some(100_000);
    let news = scene.run(ChannelCall::Fill(Amount::new(3_000))).unwrap();
    assert_eq!(news, ChannelNews::Filled(Amount::new(4_000)), "it is said what was put in");
    assert_eq!(scene.world.chain.escrow.balance(), 14_000);
    // One that is too small for what is asked for, or over, is no help.
    scene.world.chain.sender.gas = None;
    scene.run(ChannelCall::Fill(Amount::new(1_000))).unwrap_err();
    scene.run(ChannelCall::Fill(Amount::new(2_000))).unwrap_err();
    assert_eq!(scene.channel().deposits.len(), 2);
    scene.world.now = scene.world.now.after(Span::from_secs(500));
    scene.run(ChannelCall::Fill(Amount::new(1_000))).unwrap_err();
    assert_eq!(scene.channel().deposits.len(), 3);
}

/// The history told of payments through a channel, and not of what went in and came back.
#[test]
fn what_a_channel_gets_and_gives_back_is_in_the_history_once() {
    for is_lost in [false, true] {
        let mut scene = Scene::new();
        assert_eq!(scene.moved(), ["channel-deposit 10000 0x02"]);
        scene.run(ChannelCall::Fill(Amount::new(4_000))).unwrap();
        let filled = scene.world.chain.sender.seen[0].hash;
        assert_eq!(scene.moved()[1..], [format!("channel-deposit 4000 {filled}")]);
        // The seller gives back a part; where its answer is lost the chain tells of it.
        if is_lost {
            let is_looked = Fault::None;
            scene.world.faults = [vec![is_looked; 5], vec![Fault::AnswerLost]].concat();
        }
        let refund = ChannelRefundFlow::new(scene.channel().id(), Some(Amount::new(2_000)), [9; 32]);
        assert_eq!(scene.world.run(&mut scene.wallet, refund).is_err(), is_lost);
        for _ in 0..2 {
            let look = ChannelSeeFlow::new(scene.channel().id());
            scene.world.run(&mut scene.wallet, look).unwrap();
            let hash = if is_lost { "-" } else { "0x01" };
            assert_eq!(scene.moved()[2..], [format!("channel-refund 2000 {hash}")]);
        }
        assert!(matches!(scene.run(WITHDRAW), Ok(ChannelNews::Waiting { .. })));
        assert_eq!(scene.moved().len(), 3, "a wish moves nothing");
        scene.world.now = scene.world.now.after(Span::from_secs(901));
        assert_eq!(scene.run(WITHDRAW).unwrap(), ChannelNews::Withdrawn(Amount::new(11_000)));
        let taken = scene.world.chain.sender.seen[2].hash;
        assert_eq!(scene.moved()[3..], [format!("channel-withdrawal 11000 {taken}")]);
    }
}

/// A transaction that a block took while nobody looked is found by whatever looks next, and said by the command.
#[test]
fn a_withdrawal_from_a_channel_that_others_saw_first_is_still_said() {
    let mut scene = Scene::new();
    scene.run(WITHDRAW).unwrap();
    scene.world.now = scene.world.now.after(Span::from_secs(901));
    scene.world.chain.sender.is_stuck = true;
    scene.stuck(WITHDRAW);
    scene.world.chain.mine(1, scene.world.now);
    let look = ChannelSeeFlow::new(scene.channel().id());
    scene.world.run(&mut scene.wallet, look).unwrap();
    assert_eq!(scene.moved()[1..], ["channel-withdrawal 9000 -"]);
    assert_eq!(scene.run(WITHDRAW).unwrap(), ChannelNews::Withdrawn(Amount::new(9_000)));
    assert_eq!(scene.moved().len(), 2, "it is entered once");
}

#[test]
fn what_lies_in_channels_is_summed_by_asset() {
    let mut scene = Scene::new();
    let sums = |scene: &Scene| {
        let sums = scene.wallet.channel_sums().unwrap();
        sums.iter()
            .map(|sum| (sum.left.to_string(), sum.under_way.to_string(), sum.channels))
            .collect::<Vec<_>>()
    };
    assert_eq!(sums(&scene), [("0.009 USD".into(), "0.00 USD".into(), 1)]);
    scene.world.chain.sender.gas = None;
    scene.run(ChannelCall::Fill(Amount::new(4_000))).unwrap_err();
    assert_eq!(sums(&scene), [("0.009 USD".into(), "0.004 USD".into(), 1)]);
    scene.world.chain.sender.gas = Some(100_000);
    scene.run(ChannelCall::Fill(Amount::new(4_000))).unwrap();
    assert_eq!(sums(&scene), [("0.013 USD".into(), "0.00 USD".into(), 1)]);
    let refund = ChannelRefundFlow::new(scene.channel().id(), None, [9; 32]);
    scene.world.run(&mut scene.wallet, refund).unwrap();
    assert_eq!(sums(&scene), []);
}
