//! Permits that others carry to a real chain, or that their payer takes back: Permit2 counts numbers and says little of them.

use crate::support::anvil::{PRICE, World, with_words};
use crate::support::payer::Permitted;
use crate::support::{key, payee, payer};
use farthing_channel::{Address, Word, permit2};
use farthing_engine::{CallId, Read};
use farthing_money::Amount;

/// A payment by Permit2 that the gate wants settled, and its call.
fn settle(world: &World, nonce: u64) -> (CallId, Address, Vec<u8>) {
    let offer = &world.offers[1];
    let payload = Permitted::of(offer, payer().address(), world.now(), nonce).signed(offer, &payer());
    let id = world.stage.settle(offer, &payload, Amount::new(PRICE));
    let call = world.stage.desk.call(id).unwrap().unwrap().call;
    (id, Address::from_bytes(*call.to.as_bytes()), call.input)
}

/// The payer uses a small number up.
async fn take_back(world: &World, nonce: u64) {
    let words = [Word::ZERO, Word::from(1 << nonce)];
    let input = with_words("invalidateUnorderedNonces(uint256,uint256)", &words);
    world.anvil.send(payer().address(), Some(permit2::PERMIT2), &input).await;
}

#[tokio::test]
async fn whoever_carries_a_permit_before_us_has_paid_it() {
    let world = World::open().await;
    world.approve().await;
    let (id, proxy, input) = settle(&world, 1);
    world.anvil.send(key(3).address(), Some(proxy), &input).await;
    // That its payer takes it back afterwards changes nothing.
    take_back(&world, 1).await;
    world.stage.round().await;
    assert!(world.stage.is_settled(id), "{:?}", world.stage.outcome(id));
    assert_eq!(world.stage.books(), [1_000, 1_000, 0]);
    assert_eq!(world.units(payee()).await, PRICE);
}

/// Went wrong: one permit that was carried with the numbers of others behind it settled all of them.
#[tokio::test]
async fn a_permit_that_was_taken_back_fails_whatever_is_mentioned() {
    let world = World::open().await;
    world.approve().await;
    let (honest, proxy, mut input) = settle(&world, 1);
    let (other, _, _) = settle(&world, 2);
    take_back(&world, 2).await;
    input.extend(Word::from(2).as_bytes());
    world.anvil.send(key(3).address(), Some(proxy), &input).await;
    world.stage.round().await;
    assert!(world.stage.is_settled(honest), "{:?}", world.stage.outcome(honest));
    assert_eq!(world.stage.failure(other).as_deref(), Some("permit2_invalid_nonce"));
    assert_eq!(world.stage.books(), [1_000, 1_000, 0]);
}
