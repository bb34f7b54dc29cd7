//! Two copies of one wallet. One that was made again from the words looks for what the lost one has used before it draws
//! anything. Two that live and know nothing of each other draw the same counters; nothing is lost by it, nothing stays open,
//! and nothing is taken in that is spent.

use farthing_money::{Amount, Asset};
use farthing_wallet::{
    Outcome, PayRequest, ReclaimFlow, RecoverFlow, RefundFlow, RestoreFlow, SendFlow, Settled, Wallet,
    WalletError,
};
use proptest::prelude::*;

use crate::world::vault::SharedVault;
use crate::world::{Fault, MINT, World, balance, get, reopen, total_spent};

fn send(world: &mut World, wallet: &mut Wallet, amount: u64) -> Result<String, WalletError> {
    let money = Asset::micro("USD").unwrap().money(Amount::from(amount));
    match world.run(wallet, SendFlow::new(money, None, None)?)? {
        Outcome::Sent { token, .. } => Ok(token),
        other => panic!("expected a token, got {other:?}"),
    }
}

/// What a wallet finds by the words alone: everything that is unspent.
fn by_words(world: &mut World) -> u64 {
    let mut found = SharedVault::default().restore();
    world.run(&mut found, RestoreFlow::new(MINT).unwrap()).unwrap();
    balance(&found).0
}

/// Nobody has told it to search, and the search that it begins by itself is cut short at first.
#[test]
fn a_wallet_made_again_from_its_words_draws_nothing_that_was_drawn() {
    let mut world = World::new();
    let (mut lost, _) = world.wallet_with(1_000);
    world.pay(&mut lost, "/page").unwrap_err();
    world.shop.price = 10;
    world.pay(&mut lost, "/page").unwrap();
    drop(lost);

    let vault = SharedVault::default();
    drop(vault.restore());
    world.mint.add_code("SECOND", 64);
    for faults in [vec![Fault::None, Fault::None, Fault::NotSent], vec![Fault::None, Fault::AnswerLost]] {
        world.faults = faults;
        world.redeem(&mut reopen(&vault), "SECOND").unwrap_err();
        world.faults.clear();
    }
    world.log.clear();
    let mut again = reopen(&vault);
    world.redeem(&mut again, "SECOND").unwrap();
    assert_eq!(balance(&again), (990 + 64, 0), "what the lost one had is found on the way");
    let asked = |end: &str| world.log.iter().filter(|request| request.url.ends_with(end)).count();
    assert_eq!((asked("/v1/restore"), asked("/v1/mint/code")), (4, 1), "nothing was refused");
    world.log.clear();
    world.pay(&mut again, "/other").unwrap();
    assert!(!world.log.iter().any(|request| request.url.ends_with("/v1/restore")), "once is enough");
}

/// The first wallet took 64 with its first counter and has spent it. A copy redeems another 64: the issuer refuses the
/// output as signed, and what it remembers of it looks just as planned.
#[test]
fn a_signature_for_another_copy_is_not_mistaken_for_ones_own() {
    let mut world = World::new();
    world.shop.price = 64;
    let (mut lost, _) = world.wallet_with(64);
    world.pay(&mut lost, "/page").unwrap();
    assert_eq!((balance(&lost), world.shop.revenue), ((0, 0), 64));

    let mut copy = SharedVault::default().create();
    world.mint.add_code("SECOND", 64);
    world.redeem(&mut copy, "SECOND").unwrap();
    assert_eq!(balance(&copy), (64, 0));
    assert_eq!(copy.attempts().count(), 0);
    world.pay(&mut copy, "/other").unwrap();
    assert_eq!((balance(&copy), world.shop.revenue), ((0, 0), 128), "the credits are good");
}

/// A wallet, and a copy that knows its credits; the counters of the first have gone on without the copy, which has 1,024.
fn two(world: &mut World) -> (Wallet, Wallet) {
    let (mut first, _) = world.wallet_with(1 << 10);
    let mut copy = SharedVault::default().create();
    world.run(&mut copy, RestoreFlow::new(MINT).unwrap()).unwrap();
    world.mint.add_code("LATER", 63);
    world.redeem(&mut first, "LATER").unwrap();
    (first, copy)
}

/// Everything that the wallet takes for its own can be given away.
fn all_is_good(world: &mut World, wallet: &mut Wallet) {
    let (free, _) = balance(wallet);
    send(world, wallet, free).unwrap();
}

#[test]
fn a_copy_changes_credits_with_counters_that_were_used() {
    let mut world = World::new();
    let (_first, mut copy) = two(&mut world);
    send(&mut world, &mut copy, 300).unwrap();
    assert_eq!(balance(&copy), (1_024 + 63 - 300, 300), "it has found the other's on the way");
    all_is_good(&mut world, &mut copy);
}

#[test]
fn a_copy_refunds_with_change_for_counters_that_were_used() {
    let mut world = World::new();
    let (_first, mut copy) = two(&mut world);
    let refund = RefundFlow::new(MINT, None, Some(300)).unwrap();
    let refunded = world.run(&mut copy, refund).unwrap();
    assert!(matches!(refunded, Outcome::Refunded { .. }), "{refunded:?}");
    assert_eq!(balance(&copy), (1_024 + 63 - 300, 0));
    all_is_good(&mut world, &mut copy);
}

/// The issuer cannot sign the change, so it comes as a token; the answer is lost and the token with it. What the issuer
/// remembers of the outputs is the other's, which has spent it.
#[test]
fn change_of_another_copy_is_not_mistaken_for_ones_own() {
    let mut world = World::new();
    let (mut first, mut copy) = two(&mut world);
    world.shop.price = 63;
    world.pay(&mut first, "/first").unwrap();
    world.shop.price = 1_000;
    world.faults =
        vec![Fault::None, Fault::AnswerLost, Fault::RequestLost, Fault::RequestLost, Fault::RequestLost];
    world.pay(&mut copy, "/copy").unwrap_err();
    world.faults.clear();
    assert_eq!(world.shop.revenue, 1_063);
    let Ok(Outcome::Recovered(list)) = world.recover(&mut copy) else { panic!("expected a recovery") };
    assert!(matches!(list[0].ended, Ok(Settled::Charged { .. })), "{list:?}");
    assert_eq!(balance(&copy), (0, 0));
    assert_eq!(copy.attempts().count(), 0);
}

/// The same, and the other has not spent it: it is taken in, and the budget gets nothing back that was not change.
#[test]
fn a_budget_gets_nothing_back_for_another_copys_credits() {
    for (price, booked) in [(1_000, 1_000), (900, 1_024)] {
        let mut world = World::new();
        let (_first, mut copy) = two(&mut world);
        world.shop.price = price;
        world.faults = [Fault::None].into_iter().chain([Fault::AnswerLost; 4]).collect();
        world.pay(&mut copy, "/copy").unwrap_err();
        world.faults.clear();
        assert_eq!(world.shop.revenue, price);
        world.recover(&mut copy).unwrap();
        // With blanks enough for 24 or 124 the outputs of the other's 1, 2, 4, 8, 16 are found, then 32 too.
        assert!([31, 63].contains(&balance(&copy).0));
        assert_eq!(total_spent(&copy), booked);
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Redeem(u64),
    Pay(u64),
    Send(u64),
    Reclaim,
    Refund(u64),
    Recover,
    Search,
    Rotate,
    /// The program is killed at the commit after so many of the next operation.
    Crash(usize, bool),
}

fn op() -> impl Strategy<Value = (bool, Op, Vec<Fault>)> {
    let op = prop_oneof![
        // The same few sums again and again, so that plans look alike.
        4 => (3..8_u32).prop_map(|order| Op::Redeem(1 << order)),
        2 => (1..300_u64).prop_map(Op::Redeem),
        6 => (1..100_u64).prop_map(Op::Pay),
        2 => (1..100_u64).prop_map(Op::Send),
        1 => Just(Op::Reclaim),
        1 => (1..50_u64).prop_map(Op::Refund),
        2 => Just(Op::Recover),
        1 => Just(Op::Search),
        1 => Just(Op::Rotate),
        2 => (0..5_usize, any::<bool>()).prop_map(|(commits, durable)| Op::Crash(commits, durable)),
    ];
    // Answers of the shop are not lost: change that comes as a token would be, as it is written (docs/payments.md).
    let fault = prop_oneof![4 => Just(Fault::None), 1 => Just(Fault::NotSent), 1 => Just(Fault::Twice)];
    (any::<bool>(), op, prop::collection::vec(fault, 0..5))
}

/// A copy with its disk.
struct Copy {
    vault: SharedVault,
    wallet: Wallet,
}

impl Copy {
    fn new() -> Self {
        let vault = SharedVault::default();
        let wallet = vault.create();
        Self { vault, wallet }
    }

    fn act(&mut self, world: &mut World, op: Op, codes: &mut usize) -> Result<(), WalletError> {
        let wallet = &mut self.wallet;
        match op {
            Op::Redeem(amount) => {
                *codes += 1;
                let code = format!("CODE-{codes}");
                world.mint.add_code(&code, amount);
                world.redeem(wallet, &code)?;
            }
            Op::Pay(price) => {
                world.shop.price = price;
                let request = PayRequest { max: None, ..get(&format!("/page/{price}")) };
                world.run(wallet, farthing_wallet::PayFlow::new(request)?)?;
            }
            Op::Send(amount) => drop(send(world, wallet, amount)?),
            Op::Reclaim => {
                let sent = wallet.attempts().find(|one| one.kind_name() == "sent").map(|one| one.id);
                if let Some(id) = sent {
                    world.run(wallet, ReclaimFlow::new(id))?;
                }
            }
            Op::Refund(amount) => {
                world.run(wallet, RefundFlow::new(MINT, None, Some(amount))?)?;
            }
            Op::Recover => {
                world.recover(wallet)?;
            }
            Op::Search => {
                world.run(wallet, RestoreFlow::new(MINT)?)?;
            }
            Op::Rotate => world.mint.rotate(),
            Op::Crash(commits, durable) => self.vault.crash_after(commits, durable),
        }
        Ok(())
    }

    /// Brings what is open to its end; only tokens that were given away may stay.
    fn settle(&mut self, world: &mut World) {
        for _ in 0..4 {
            world.run(&mut self.wallet, RecoverFlow::new()).unwrap();
            if self.wallet.attempts().all(|attempt| attempt.kind_name() == "sent") {
                return;
            }
        }
        let open: Vec<_> = self.wallet.attempts().collect();
        panic!("attempts that never end: {open:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn two_copies_lose_nothing(acts in prop::collection::vec(op(), 1..16)) {
        let mut world = World::new();
        let mut copies = [Copy::new(), Copy::new()];
        let mut codes = 0;
        for (which, op, faults) in acts {
            let copy = &mut copies[usize::from(which)];
            world.faults = faults;
            let acted = copy.act(&mut world, op, &mut codes);
            world.faults.clear();
            prop_assert!(!matches!(acted, Err(WalletError::Misuse(_) | WalletError::BadAnswer { .. })), "{:?}", acted);
            if !matches!(op, Op::Crash(..)) {
                copy.vault.never_crash();
                copy.wallet = reopen(&copy.vault);
            }
        }
        for copy in &mut copies {
            copy.vault.never_crash();
            copy.wallet = reopen(&copy.vault);
            copy.settle(&mut world);
        }
        prop_assert_eq!(by_words(&mut world), world.mint.outstanding(), "every unit is where it belongs");
    }
}
