//! Sellers that say of a channel what is not so, and a chain that is behind: what a channel may take is booked once, given back
//! once, and never more is asked for one page than its price.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use farthing_money::Amount;
use farthing_wallet::{EntryKind, Limits, Outcome, Paid, PayFlow, Settled, Wallet, WalletError};

use crate::world::chain::{CHAIN, NODE, token};
use crate::world::toll::{TOLL, Ways};
use crate::world::vault::SharedVault;
use crate::world::{World, get_of, total_spent};

const IN_CHANNELS: u64 = 30_000;

fn scene(node: bool) -> (World, Wallet) {
    let mut wallet = SharedVault::default().create();
    wallet.add_token(token()).unwrap();
    if node {
        wallet.set_node(CHAIN, Some(NODE)).unwrap();
    }
    let none = Limits::none("uusd".parse().unwrap());
    wallet.set_limits(Limits { in_channels: Some(Amount::from(IN_CHANNELS)), ..none }).unwrap();
    (World::new(), wallet)
}

fn paid(outcome: Result<Outcome, WalletError>) -> Paid {
    match outcome {
        Ok(Outcome::Paid(paid)) => *paid,
        other => panic!("expected a payment, got {other:?}"),
    }
}

fn history(wallet: &Wallet) -> u64 {
    let entries = wallet.history(1_000).unwrap();
    let paid = entries.iter().filter(|entry| entry.kind == EntryKind::Pay);
    paid.map(|entry| entry.money.amount().to_u64().unwrap()).sum()
}

fn at_stake(world: &World) -> u64 {
    world.chain.escrow.at_stake(&world.toll.signed)
}

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
