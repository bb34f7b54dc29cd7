//! A price that is counted: what was used is charged, the rest comes back, and the limits know both.

use farthing_money::{Amount, Asset};
use farthing_wallet::{Event, Flow, Outcome, Paid, PayFlow, Step, WalletError};
use farthing_wire::Receipt;

use crate::world::{SHOP, World, balance, get, total_spent};

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

/// Pays for a stream whose end tells a receipt.
fn streamed(world: &mut World, wallet: &mut farthing_wallet::Wallet, receipt: &str) -> Paid {
    (world.shop.counted, world.shop.streams) = (Some(4_321), true);
    let (mut flow, mut event) = (PayFlow::new(get("/page")).unwrap(), Event::Go);
    loop {
        event = match flow.next(wallet, event, world.now).unwrap() {
            Step::Send(request) => world.send(&request),
            Step::Deliver => Event::Receipt(receipt.to_owned()),
            Step::Wait(_) => Event::Go,
            Step::Done(outcome) => return paid(Ok(*outcome)),
        };
    }
}

/// What went wrong: the receipt of a stream, which comes with its last event, was not read; the history had none, so nothing could be asked back with it.
#[test]
fn the_receipt_of_a_stream_is_kept() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    let receipt = Receipt::new("ab".into(), format!("{SHOP}/page"), "mpp", usd(4_321), world.now);
    let other = receipt.sign(&ed25519_dalek::SigningKey::from_bytes(&[5; 32])).unwrap();
    let ours = receipt.sign(&world.shop.key).unwrap();
    // By a key that is not known yet, and by the same one again; then by another one, and what is no receipt.
    for (told, is_kept) in [(&ours, true), (&ours, true), (&other, false), (&"no receipt".to_owned(), false)]
    {
        let paid = streamed(&mut world, &mut wallet, told);
        assert_eq!(paid.charged, usd(4_321));
        let expected = is_kept.then(|| told.clone());
        assert_eq!(paid.receipt, expected);
        assert_eq!(
            paid.notes.iter().any(|note| note.starts_with("no receipt")),
            !is_kept,
            "{:?}",
            paid.notes
        );
        assert_eq!(wallet.history(1).unwrap()[0].receipt, expected);
    }
    assert_eq!(total_spent(&wallet), 4 * 4_321);
}
