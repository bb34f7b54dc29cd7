//! A payout to a merchant on a real chain: paid once, whatever a fork drops, and given back when the token refuses it.

use crate::support;
use crate::support::anvil::World;
use crate::support::{payee, usd};
use farthing_channel::Address;
use farthing_engine::{
    Call, CallId, Carrier, ChainAddress, Chart, Command, Enter, Needs, PayoutId, PayoutState, PayoutTerms,
    PayoutTo, ProposePayout, Read, SendPayout,
};
use farthing_ledger::{AccountId, Reference};
use farthing_money::{Amount, Timestamp};
use serde_json::json;

fn engine(address: Address) -> ChainAddress {
    ChainAddress::from_bytes(*address.as_bytes())
}

fn merchant() -> AccountId {
    Chart::of(usd()).merchant("shop").id()
}

fn reserve(world: &World) -> AccountId {
    let chain = &world.stage.submitter().ports().chain;
    chain.reserve(chain.token(world.token).unwrap()).id()
}

/// A merchant has earned 500 units, which the books hold as a token.
fn earn(world: &World) {
    let (debit, credit) = (reserve(world), merchant());
    let (reference, amount) = (Reference::from_bytes([1; 32]), Amount::new(500));
    let (dated, memo) = (Timestamp::from_secs(world.now()), "earned".to_owned());
    let enter = Enter { reference, debit, credit, amount, asset: usd(), dated, memo, also: None };
    world.stage.desk.run(&Command::Enter(enter)).unwrap();
}

/// Proposes and sends a payout of all of it; twice, as whoever lost the answer does.
fn pay_out(world: &World) -> PayoutId {
    let (token, from, to) = (engine(world.token), engine(world.stage.submitter().address()), engine(payee()));
    let (units, chain) = (Amount::new(500), support::CHAIN.number());
    let to = PayoutTo::Evm { chain, token, from, to, units, reserve: reserve(world) };
    let (merchant_name, name) = ("shop".to_owned(), "2026-11".to_owned());
    let (account, asset) = (merchant(), usd());
    let terms = PayoutTerms { merchant: merchant_name, name, account, asset, amount: units, to: to.clone() };
    let (payout, moves) = (terms.id(), to.movement().unwrap().1);
    let input = farthing_channel::call::transfer(payee(), units.into());
    let until = Timestamp::from_secs(world.now() + 1_000);
    let call = Call { chain, to: token, input, moves, until, approval: None };
    for _ in 0..2 {
        let propose = ProposePayout { terms: terms.clone(), keep: Amount::ZERO, by: None, period: None };
        world.stage.desk.run(&Command::ProposePayout(propose)).unwrap();
        let (by, needs) = (Carrier::Call(Box::new(call.clone())), Needs::default());
        let send = SendPayout { payout, account, asset, to: to.clone(), by, needs };
        world.stage.desk.run(&Command::SendPayout(send)).unwrap();
    }
    payout
}

async fn rounds(world: &World) {
    world.stage.round().await;
    world.anvil.mine().await;
    world.stage.round().await;
}

fn state(world: &World, payout: PayoutId) -> PayoutState {
    world.stage.desk.payout(payout).unwrap().unwrap().state
}

/// What is owed to the merchant, what is on its way, and what we have of the token.
fn books(world: &World) -> [i128; 3] {
    let desk = &world.stage.desk;
    [merchant(), Chart::of(usd()).payouts_due, reserve(world)].map(|account| desk.credit_balance(account))
}

#[tokio::test]
async fn a_payout_that_a_fork_drops_is_paid_once() {
    let world = World::open().await;
    world.mint(world.stage.submitter().address(), 1_000).await;
    earn(&world);
    let payout = pay_out(&world);
    assert_eq!(books(&world), [0, 500, -500], "it has left the merchant");
    let before = world.anvil.ask("evm_snapshot", json!([])).await;
    rounds(&world).await;
    assert!(matches!(state(&world, payout), PayoutState::Paid(_)));
    assert_eq!((world.units(payee()).await, books(&world)), (500, [0, 0, 0]));

    world.anvil.ask("evm_revert", json!([before])).await;
    assert_eq!(world.units(payee()).await, 0);
    for _ in 0..3 {
        world.anvil.mine().await;
        world.stage.round().await;
    }
    rounds(&world).await;
    assert!(matches!(state(&world, payout), PayoutState::Paid(_)), "{:?}", state(&world, payout));
    assert_eq!((world.units(payee()).await, books(&world)), (500, [0, 0, 0]), "once");
    pay_out(&world);
    rounds(&world).await;
    assert_eq!(world.units(payee()).await, 500);
}

#[tokio::test]
async fn a_payout_that_the_token_refuses_comes_back() {
    let world = World::open().await;
    world.mint(world.stage.submitter().address(), 499).await;
    earn(&world);
    let payout = pay_out(&world);
    rounds(&world).await;
    assert!(matches!(state(&world, payout), PayoutState::Failed(_)), "{:?}", state(&world, payout));
    assert_eq!((world.units(payee()).await, books(&world)), (0, [500, 0, -500]));
    assert!(world.stage.failure(CallId::of_payout(payout)).is_some());
}
