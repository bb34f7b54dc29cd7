//! A price that is counted: what was used is charged, the rest comes back, and the limits know both.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use farthing_money::{Amount, Asset};
use farthing_wallet::{Outcome, Paid, WalletError};

use crate::world::{World, balance, total_spent};

fn usd(minor: u64) -> farthing_money::Money {
    Asset::micro("USD").unwrap().money(Amount::from(minor))
}

fn paid(outcome: Result<Outcome, WalletError>) -> Paid {
    match outcome {
        Ok(Outcome::Paid(paid)) => *paid,
        other => panic!("expected a payment, got {other:?}"),
    }
}

#[test]
fn of_a_metered_price_what_was_counted_is_charged() {
    // Said with the head, or found at the mint when the stream has ended.
    for (streams, amount) in [(false, 1 << 20), (true, 1 << 20), (false, 10_000), (true, 10_000)] {
        for counted in [4_321, 10_000] {
            let mut world = World::new();
            (world.shop.counted, world.shop.streams) = (Some(counted), streams);
            let (mut wallet, _) = world.wallet_with(amount);
            let paid = paid(world.pay(&mut wallet, "/page"));
            assert_eq!(paid.charged, usd(counted), "{streams} {amount}: {:?}", paid.notes);
            assert_eq!(balance(&wallet), (amount - counted, 0));
            assert_eq!((total_spent(&wallet), wallet.attempts().count()), (counted, 0));
            assert_eq!(wallet.history(1).unwrap()[0].money, usd(counted));
        }
    }
}

#[test]
fn what_was_counted_as_nothing_costs_nothing() {
    let mut world = World::new();
    world.shop.counted = Some(0);
    let (mut wallet, _) = world.wallet_with(1 << 20);
    assert_eq!(paid(world.pay(&mut wallet, "/page")).charged, usd(0));
    assert_eq!((balance(&wallet), total_spent(&wallet)), ((1 << 20, 0), 0));
    assert_eq!(wallet.attempts().count(), 0);
}
