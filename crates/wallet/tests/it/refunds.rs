//! Credits become top-up codes: cut at every commit, with any answer lost, the money is in the wallet or in a code that
//! the wallet knows.

use farthing_wallet::{Outcome, RecoverFlow, RefundFlow, Settled, Wallet, WalletError};
use sha2::{Digest, Sha256};

use crate::world::mint::Mint;
use crate::world::{Fault, MINT, World, balance, reopen};

fn flow(amount: Option<u64>) -> RefundFlow {
    RefundFlow::new(MINT, None, amount).unwrap()
}

/// What the issuer knows a code by, as the engine computes it.
fn hash(code: &str) -> String {
    let plain: String = code.chars().filter(|c| *c != '-').collect();
    hex::encode(Sha256::new().chain_update("farthing/code/1").chain_update(plain).finalize())
}

/// What the wallet can still hand in: codes in its history that the mint has funded.
fn in_codes(world: &World, wallet: &Wallet) -> u64 {
    let entries = wallet.history(1_000).unwrap();
    let codes = entries.iter().filter(|entry| entry.kind.as_str() == "refund");
    let worth = |code: &str| world.mint.funded[&hash(code)];
    codes.map(|entry| worth(entry.notes[0].strip_prefix("top-up code ").unwrap())).sum()
}

#[test]
fn credits_become_a_code() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1_000);
    let Ok(Outcome::Refunded { code, money, fee, .. }) = world.run(&mut wallet, flow(Some(300))) else {
        panic!()
    };
    assert_eq!((money.amount().to_u64(), fee.amount().to_u64()), (Some(300), Some(0)));
    assert!(code.starts_with("FT-") && code.len() == 26, "{code}");
    assert_eq!(world.mint.funded[&hash(&code)], 300, "the mint knows its hash and never saw the code");
    assert!(!world.log.iter().any(|request| String::from_utf8_lossy(&request.body).contains(&code)));
    assert_eq!(balance(&wallet), (700, 0));
    let Ok(Outcome::Refunded { code: rest, money, .. }) = world.run(&mut wallet, flow(None)) else {
        panic!()
    };
    assert_ne!(rest, code);
    assert_eq!((money.amount().to_u64(), balance(&wallet)), (Some(700), (0, 0)));
    assert_eq!(in_codes(&world, &wallet), 1_000);
    let nothing = world.run(&mut wallet, flow(None)).unwrap_err();
    assert_eq!(nothing.code(), "wallet-funds-short");
    let much = world.run(&mut wallet, flow(Some(1))).unwrap_err();
    assert_eq!(much.code(), "wallet-funds-short");
}

#[test]
fn the_mints_fee_is_paid_from_the_credits() {
    let mut world = World::new();
    world.mint = Mint::with_fee(500);
    let (mut wallet, _) = world.wallet_with(1_000);
    let before = balance(&wallet).0;
    let Ok(Outcome::Refunded { money, fee, .. }) = world.run(&mut wallet, flow(None)) else { panic!() };
    let (money, fee) = (money.amount().to_u64().unwrap(), fee.amount().to_u64().unwrap());
    assert!(fee > 0 && money + fee == before, "{money} and {fee} of {before}");
    assert_eq!(balance(&wallet), (0, 0));
}

/// The power goes out at each commit in turn, before or after it is durable, and any answer may be lost as well.
#[test]
fn a_refund_is_cut_at_every_commit() {
    for amount in [None, Some(300)] {
        for (crash, durable) in (0..4).flat_map(|crash| [(crash, false), (crash, true)]) {
            for (place, fault) in (0..3).flat_map(|place| {
                [Fault::None, Fault::NotSent, Fault::RequestLost, Fault::AnswerLost, Fault::Twice]
                    .map(|fault| (place, fault))
            }) {
                let mut world = World::new();
                let (mut wallet, vault) = world.wallet_with(1_000);
                vault.crash_after(crash, durable);
                world.faults = vec![Fault::None; place];
                world.faults.push(fault);
                let first = world.run(&mut wallet, flow(amount));
                vault.never_crash();
                world.faults.clear();
                let mut wallet = reopen(&vault);
                let Ok(Outcome::Recovered(ends)) = world.run(&mut wallet, RecoverFlow::new()) else {
                    panic!()
                };
                assert!(ends.iter().all(|end| matches!(end.ended, Ok(Settled::Refunded(_)))), "{ends:?}");
                let (free, reserved) = balance(&wallet);
                let what = (amount, crash, durable, place, fault, first.is_ok());
                assert_eq!((free + in_codes(&world, &wallet), reserved), (1_000, 0), "{what:?}");
                assert_eq!(wallet.attempts().count(), 0, "{what:?}");
            }
        }
    }
}

/// A refund was begun, its quote ended before it was paid, and the credits would have stayed set aside for ever.
#[test]
fn a_quote_that_ended_is_asked_for_anew() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1_000);
    world.faults = vec![Fault::None, Fault::RequestLost];
    let lost = world.run(&mut wallet, flow(None)).unwrap_err();
    assert!(matches!(lost, WalletError::Unknown { .. }), "{lost:?}");
    assert_eq!(balance(&wallet), (0, 1_000));
    world.mint.forget_melt_quotes();
    let Ok(Outcome::Refunded { money, .. }) = world.run(&mut wallet, flow(None)) else { panic!() };
    assert_eq!((money.amount().to_u64(), balance(&wallet)), (Some(1_000), (0, 0)));
}

/// Another copy of the wallet was faster: its credits are gone, and no code comes of them.
#[test]
fn spent_credits_make_no_code() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1_000);
    world.faults = vec![Fault::None, Fault::RequestLost];
    world.run(&mut wallet, flow(None)).unwrap_err();
    let ys: Vec<_> = wallet.attempts().flat_map(|attempt| attempt.inputs.clone()).collect();
    world.mint.spend(&ys, "the copy");
    let spent = world.run(&mut wallet, flow(None)).unwrap_err();
    assert!(matches!(spent, WalletError::Spent(_)), "{spent:?}");
    assert_eq!((balance(&wallet), in_codes(&world, &wallet)), ((0, 0), 0));
    assert_eq!(wallet.attempts().count(), 0);
}
