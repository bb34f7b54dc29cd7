//! Sellers that say of a channel what is not so, and a chain that is behind: what a channel may take is booked once, given back
//! once, and never more is asked for one page than its price.

use farthing_money::{Amount, Span};
use farthing_wallet::{
    Channel, ChannelCall, ChannelCallFlow, ChannelRefundFlow, ChannelSeeFlow, EntryKind, Event, Flow, Limits,
    Outcome, Paid, PayFlow, Settled, Step, Wallet, WalletError,
};

use crate::world::chain::{CHAIN, NODE, token};
use crate::world::toll::{TOLL, Ways};
use crate::world::vault::SharedVault;
use crate::world::{Fault, World, get_of, total_spent};

const IN_CHANNELS: u64 = 30_000;

fn scene(node: bool) -> (World, Wallet) {
    let mut wallet = SharedVault::default().create();
    wallet.add_token(token()).unwrap();
    if node {
        wallet.set_node(CHAIN, Some(NODE)).unwrap();
    }
    let free = Limits::none("uusd".parse().unwrap());
    wallet.set_limits(Limits { in_channels: Some(Amount::from(IN_CHANNELS)), ..free }).unwrap();
    (World::new(), wallet)
}

fn paid(outcome: Result<Outcome, WalletError>) -> Paid {
    match outcome {
        Ok(Outcome::Paid(paid)) => *paid,
        other => panic!("expected a payment, got {other:?}"),
    }
}

fn only(wallet: &Wallet) -> Channel {
    let all: Vec<_> = wallet.channels().cloned().collect();
    assert_eq!(all.len(), 1);
    all[0].clone()
}

fn look(world: &mut World, wallet: &mut Wallet) -> Channel {
    match world.run(wallet, ChannelSeeFlow::new(only(wallet).id())) {
        Ok(Outcome::Channel(channel, _)) => *channel,
        other => panic!("expected a channel, got {other:?}"),
    }
}

fn refund(world: &mut World, wallet: &mut Wallet) {
    let flow = ChannelRefundFlow::new(only(wallet).id(), None, [9; 32]);
    let outcome = world.run(wallet, flow);
    assert!(matches!(outcome, Ok(Outcome::Channel(..))), "{outcome:?}");
}

fn history(wallet: &Wallet) -> u64 {
    let entries = wallet.history(1_000).unwrap();
    let paid = entries.iter().filter(|entry| entry.kind == EntryKind::Pay);
    paid.map(|entry| entry.money.amount().to_u64().unwrap()).sum()
}

/// What went into channels and did not, the latest first.
fn moved(wallet: &Wallet) -> Vec<(EntryKind, u64)> {
    let entries = wallet.history(1_000).unwrap();
    let moved = entries.iter().filter(|entry| entry.kind != EntryKind::Pay);
    moved.map(|entry| (entry.kind, entry.money.amount().to_u64().unwrap())).collect()
}

/// A deposit that was put in and given back between two looks of a node is no deposit that never came.
#[test]
fn a_deposit_that_came_and_went_between_two_looks_is_not_taken_back() {
    let (mut world, mut wallet) = scene(false);
    paid(world.pass(&mut wallet, "/page"));
    refund(&mut world, &mut wallet);
    wallet.set_node(CHAIN, Some(NODE)).unwrap();
    world.now = world.now.after(Span::from_secs(700));
    for _ in 0..2 {
        assert_eq!(look(&mut world, &mut wallet).books.balance(), Amount::new(1_000));
        let told = [(EntryKind::ChannelRefund, 9_000), (EntryKind::ChannelDeposit, 10_000)];
        assert_eq!(moved(&wallet), told);
    }
}

fn at_stake(world: &World) -> u64 {
    world.chain.escrow.at_stake(&world.toll.signed)
}

/// A seller charged each voucher that it was sent, answered with its own total, and was sent the next one: three prices for
/// one page, whatever the call was allowed to cost.
#[test]
fn a_seller_that_charges_and_refuses_gets_one_price() {
    for node in [true, false] {
        for is_open in [false, true] {
            let (mut world, mut wallet) = scene(node);
            if is_open {
                paid(world.pass(&mut wallet, "/before"));
            }
            let before = total_spent(&wallet);
            world.toll.ways = Ways::Greedy;
            let mut request = get_of(TOLL, "/page");
            request.max = Some(only_dollars(1_000));
            let flow = PayFlow::new(request).unwrap().on_chains([7; 32]).opening_channels(true);
            match world.run(&mut wallet, flow) {
                Ok(Outcome::Refused(refused)) => assert!(
                    matches!(refused.settled, Ok(Settled::Charged { charged, .. }) if charged == only_dollars(1_000)),
                    "{:?}",
                    refused.settled
                ),
                other => panic!("expected a refusal, got {other:?}"),
            }
            assert_eq!(total_spent(&wallet) - before, 1_000, "one price");
            assert_eq!(at_stake(&world) - before, 1_000, "no more was signed");
            assert_eq!(history(&wallet), before + 1_000);
            assert_eq!(wallet.attempts().count(), 0);
        }
    }
}

fn only_dollars(minor: u64) -> farthing_money::Money {
    farthing_money::Asset::micro("USD").unwrap().money(Amount::from(minor))
}

/// Each look at an empty channel gave the same rest back to the budgets again, at the cost of what others were paid.
#[test]
fn what_an_empty_channel_leaves_comes_back_once() {
    let (mut world, mut wallet) = scene(true);
    world.toll.actual = Some(137);
    for _ in 0..3 {
        paid(world.pass(&mut wallet, "/page"));
    }
    assert_eq!(total_spent(&wallet), 1_274, "what the last voucher allows");
    refund(&mut world, &mut wallet);
    for _ in 0..4 {
        look(&mut world, &mut wallet);
        assert_eq!(total_spent(&wallet), 411, "what was taken");
    }
    // Filled again it can give what was signed before.
    paid(world.pass(&mut wallet, "/page"));
    assert_eq!(total_spent(&wallet), 1_411);
    assert!(at_stake(&world) <= total_spent(&wallet));
}

/// The seller said that a deposit was in, and it was taken for gone once the chain did not have it: so its vouchers were given
/// back to the budgets, and were good again when the deposit came.
#[test]
fn a_deposit_that_is_kept_back_is_waited_for() {
    let (mut world, mut wallet) = scene(true);
    world.toll.ways = Ways::Hoarding;
    paid(world.pass(&mut wallet, "/page"));
    look(&mut world, &mut wallet);
    assert_eq!(total_spent(&wallet), 1_000, "it may still come");
    world.toll.carry(&mut world.chain, world.now);
    world.toll.claim_everything(&mut world.chain);
    assert_eq!(look(&mut world, &mut wallet).books.balance(), Amount::new(10_000));
    assert_eq!((total_spent(&wallet), at_stake(&world)), (1_000, 1_000));
}

/// A deposit whose time is over on the chain never comes, whatever the seller has said of it.
#[test]
fn a_deposit_that_is_over_is_given_up() {
    let (mut world, mut wallet) = scene(true);
    world.toll.ways = Ways::Hoarding;
    paid(world.pass(&mut wallet, "/page"));
    assert_eq!(moved(&wallet), [(EntryKind::ChannelDeposit, 10_000)], "so the seller says");
    world.now = world.now.after(Span::from_secs(700));
    let channel = look(&mut world, &mut wallet);
    let told = [(EntryKind::Refused, 10_000), (EntryKind::ChannelDeposit, 10_000)];
    assert_eq!(moved(&wallet), told, "the history takes it back");
    assert_eq!((channel.books.balance(), channel.deposits.len()), (Amount::ZERO, 0));
    assert_eq!(total_spent(&wallet), 0, "nothing can be taken");
    assert_eq!(wallet.in_channels("uusd".parse().unwrap()), Amount::ZERO);
}

/// A seller said of each deposit that it was in, and of the next voucher that it was not covered: one deposit of the whole
/// limit after the other was signed.
#[test]
fn no_word_of_a_seller_frees_the_limit_of_channels() {
    for node in [true, false] {
        let (mut world, mut wallet) = scene(node);
        world.toll.least = Some(IN_CHANNELS);
        world.toll.ways = Ways::Hoarding;
        for n in 0..5 {
            let _ = world.pass(&mut wallet, &format!("/{n}"));
            world.now = world.now.after(Span::from_secs(100));
        }
        world.toll.carry(&mut world.chain, world.now);
        let (lies, spent) = (world.chain.escrow.balance(), total_spent(&wallet));
        assert!(lies <= IN_CHANNELS + spent, "{lies} lie in channels, {spent} are spent");
    }
}

/// Its claim was seen before its answer came, and the cost counted twice.
#[test]
fn a_cost_that_was_seen_on_the_chain_counts_once() {
    for tells in [true, false] {
        let (mut world, mut wallet) = scene(true);
        paid(world.pass(&mut wallet, "/page"));
        world.toll.ways = Ways::Repeating { tells };
        world.faults = [vec![Fault::None], vec![Fault::AnswerLost; 4]].concat();
        assert_eq!(world.pass(&mut wallet, "/lost").unwrap_err().code(), "wallet-outcome-unknown");
        world.faults.clear();
        world.toll.claim_everything(&mut world.chain);
        assert_eq!(look(&mut world, &mut wallet).books.charged(), Amount::new(2_000));
        paid(world.pass(&mut wallet, "/lost"));
        let channel = only(&wallet);
        assert_eq!((channel.books.charged(), channel.doubt), (Amount::new(2_000), None));
        assert_eq!((history(&wallet), total_spent(&wallet)), (2_000, 2_000));
        world.toll.ways = Ways::Honest;
        paid(world.pass(&mut wallet, "/next"));
        assert_eq!((total_spent(&wallet), at_stake(&world)), (3_000, 3_000), "one price more");
    }
}

/// What was signed for an empty channel is good again once it is filled up; and a deposit that is not sent yet was signed anew by each
/// run of the same command.
#[test]
fn who_fills_a_channel_up_is_charged_with_what_it_can_give_then() {
    let (mut world, mut wallet) = scene(true);
    world.toll.actual = Some(137);
    for _ in 0..3 {
        paid(world.pass(&mut wallet, "/page"));
    }
    refund(&mut world, &mut wallet);
    assert_eq!(total_spent(&wallet), 411);
    let free = Limits::none("uusd".parse().unwrap());
    wallet.set_limits(Limits { total: Some(Amount::new(1_000)), ..free }).unwrap();
    assert_eq!(fill(&mut world, &mut wallet, 1).unwrap_err().code(), "budget-total");
    assert_eq!((total_spent(&wallet), only(&wallet).deposits.len()), (411, 0));
    wallet.set_limits(Limits { per_call: Some(Amount::new(1)), ..free }).unwrap();
    for n in 2..5 {
        fill(&mut world, &mut wallet, n).unwrap();
        assert_eq!((total_spent(&wallet), only(&wallet).deposits.len()), (1_274, 1));
    }
}

/// Fills it up, until the deposit is signed and the node is asked what it would use of gas.
fn fill(world: &mut World, wallet: &mut Wallet, n: u8) -> Result<(), WalletError> {
    let call = ChannelCall::Fill(Amount::new(5_000));
    let mut flow = ChannelCallFlow::new(only(wallet).id(), call, Amount::MAX, [n; 32]);
    let mut event = Event::Go;
    loop {
        match flow.next(wallet, event, world.now)? {
            Step::Send(request) if String::from_utf8_lossy(&request.body).contains("estimateGas") => {
                return Ok(());
            }
            Step::Send(request) => event = world.answer(&request),
            other => panic!("expected a question, got {other:?}"),
        }
    }
}
