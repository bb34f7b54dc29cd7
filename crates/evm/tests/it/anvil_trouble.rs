//! What goes wrong with a real chain: it is another one, it goes away, its fees rise, it forks, and others carry the same
//! payment. Nothing is paid twice, and everything ends in a state that says what happened.

use std::sync::Arc;
use std::time::Duration;

use crate::support::anvil::{Anvil, FUNDS, Front, PRICE, World};
use crate::support::payer::pay;
use crate::support::{CHAIN, key, payee, payer};
use farthing_channel::{Address, TxHash};
use farthing_engine::{CallId, Outcome, Read};
use farthing_evm::{HttpLimits, HttpNode, Node, NodeError, NotVerified, SignedTransaction};
use farthing_money::Amount;
use farthing_wire::x402::Payload;
use serde_json::json;

fn payment(world: &World, nonce: u8) -> Payload {
    pay(&world.offers[0], &payer(), world.now(), nonce)
}

fn settle(world: &World, nonce: u8) -> CallId {
    world.stage.settle(&world.offers[0], &payment(world, nonce), Amount::new(PRICE))
}

fn attempts(world: &World, id: CallId) -> Vec<SignedTransaction> {
    let row = world.stage.desk.call(id).unwrap().unwrap();
    row.attempts.iter().map(|attempt| SignedTransaction::decode(&attempt.signed).unwrap()).collect()
}

async fn mine_and_look(world: &World) {
    world.anvil.mine().await;
    world.stage.round().await;
}

#[tokio::test]
async fn a_node_of_another_chain_is_not_believed() {
    let anvil = Anvil::start(1);
    let node = HttpNode::new(CHAIN, &[anvil.uri()], HttpLimits::default()).unwrap();
    let error = node.head().await.unwrap_err();
    assert!(matches!(&error, NodeError::Lying { .. }), "{error}");
    assert!(error.to_string().contains("eip155:84532"), "{error}");
}

#[tokio::test]
async fn a_chain_goes_away_and_comes_back() {
    let anvil = Anvil::start(CHAIN.number());
    let front = Front::open(anvil.port).await;
    let address = format!("http://127.0.0.1:{}", front.port).parse().unwrap();
    let mut world = World::on(anvil, "TestDollar", |chain| chain.nodes = vec![address]).await;
    let (offer, payload) = (world.offers[0].clone(), payment(&world, 1));
    let id = settle(&world, 1);
    world.stage.round().await;
    let state = world.anvil.ask("anvil_dumpState", json!([])).await;
    front.put(None);
    let down = world.stage.submitter().run_once().await.unwrap_err();
    assert!(down.to_string().contains("could not reach"), "{down}");
    let unknown = world.stage.facilitator.verify(&offer, &payload).await;
    assert!(matches!(unknown, Err(NotVerified::Unknown(NodeError::Unreachable { .. }))));
    assert_eq!(world.stage.outcome(id), None, "nothing is known, so nothing is said");
    // It comes back with all its blocks and without what waited for one.
    world.anvil = Anvil::start(CHAIN.number());
    world.anvil.ask("anvil_loadState", json!([state])).await;
    front.put(Some(world.anvil.port));
    world.stage.hands.pass(31);
    world.stage.round().await;
    mine_and_look(&world).await;
    assert!(world.stage.is_settled(id), "{:?}", world.stage.outcome(id));
    assert_eq!(world.units(payee()).await, PRICE);
}

#[tokio::test]
async fn a_start_sends_what_was_written_down() {
    let world = World::open().await;
    let id = settle(&world, 1);
    world.stage.round().await;
    // As if it had ended between writing down and sending.
    let hash = attempts(&world, id)[0].hash;
    world.anvil.ask("anvil_dropTransaction", json!([hash])).await;
    let again = world.stage.restarted();
    again.round().await;
    assert_eq!(attempts(&world, id).len(), 1, "the same transaction");
    world.anvil.mine().await;
    again.round().await;
    assert!(again.is_settled(id));
    assert_eq!(world.units(payee()).await, PRICE);
    let after = again.restarted();
    assert_eq!(after.round().await.under_way, 0);
}

#[tokio::test]
async fn a_stuck_fee_is_raised() {
    let world = World::open().await;
    let id = settle(&world, 1);
    world.stage.round().await;
    let first = attempts(&world, id)[0].transaction.fees;
    let dear = first.most.checked_mul(2).unwrap();
    let set = format!("{:#x}", farthing_channel::Word::from(dear));
    world.anvil.ask("anvil_setNextBlockBaseFeePerGas", json!([set])).await;
    mine_and_look(&world).await;
    assert_eq!((world.stage.outcome(id), attempts(&world, id).len()), (None, 1));
    world.stage.hands.pass(31);
    world.stage.round().await;
    let second = attempts(&world, id)[1].clone();
    assert!(second.transaction.fees.most > dear);
    mine_and_look(&world).await;
    let Some(Outcome::Settled { transaction, .. }) = world.stage.outcome(id) else { panic!("settled") };
    assert_eq!(transaction.as_bytes(), second.hash.as_bytes());
    assert_eq!(world.units(payee()).await, PRICE, "once");
}

#[tokio::test]
async fn a_payment_whose_time_is_over_makes_room() {
    let world = World::open().await;
    let first = settle(&world, 1);
    world.stage.round().await;
    let hash: TxHash = attempts(&world, first)[0].hash;
    world.anvil.ask("anvil_dropTransaction", json!([hash])).await;
    world.anvil.pass(400).await;
    world.anvil.mine().await;
    world.stage.hands.set(world.node.head().await.unwrap().at);
    world.stage.round().await;
    assert!(attempts(&world, first)[1].transaction.is_blank());
    let second = settle(&world, 2);
    world.stage.round().await;
    mine_and_look(&world).await;
    let reason = "invalid_exact_evm_payload_authorization_valid_before";
    assert_eq!(world.stage.failure(first).as_deref(), Some(reason));
    assert!(world.stage.is_settled(second));
    assert_eq!(world.units(payee()).await, PRICE);
}

#[tokio::test]
async fn what_a_fork_takes_back_is_settled_again() {
    let world = World::open().await;
    let id = settle(&world, 1);
    world.stage.round().await;
    mine_and_look(&world).await;
    assert!(world.stage.is_settled(id));
    world.anvil.ask("anvil_reorg", json!([1, []])).await;
    world.anvil.mine().await;
    assert_eq!(world.units(payee()).await, 0);
    let round = world.stage.round().await;
    assert_eq!(round.reopened, 1);
    assert_eq!(world.stage.books()[..2], [0, 0], "the books follow the chain");
    mine_and_look(&world).await;
    assert!(world.stage.is_settled(id), "{:?}", world.stage.outcome(id));
    assert_eq!(world.stage.books()[..2], [1_000, 1_000]);
    assert_eq!((world.units(payee()).await, world.units(payer().address()).await), (PRICE, FUNDS - PRICE));
}

#[tokio::test]
async fn only_what_is_deep_enough_counts() {
    let world = World::with("TestDollar", |chain| chain.confirmations = 3).await;
    let id = settle(&world, 1);
    world.stage.round().await;
    mine_and_look(&world).await;
    mine_and_look(&world).await;
    assert_eq!(world.stage.outcome(id), None);
    // A fork before it counts is no matter of the books.
    world.anvil.ask("anvil_reorg", json!([2, []])).await;
    world.stage.hands.pass(31);
    world.stage.round().await;
    for _ in 0..3 {
        mine_and_look(&world).await;
    }
    assert!(world.stage.is_settled(id), "{:?}", world.stage.outcome(id));
    assert_eq!(world.units(payee()).await, PRICE);
}

#[tokio::test]
async fn whoever_carries_the_same_payment_before_us_has_paid_it() {
    let world = World::open().await;
    let id = settle(&world, 1);
    let call = world.stage.desk.call(id).unwrap().unwrap().call;
    world.anvil.send(key(3).address(), Some(Address::from_bytes(*call.to.as_bytes())), &call.input).await;
    let coin = world.coin().await;
    world.stage.round().await;
    assert!(world.stage.is_settled(id), "{:?}", world.stage.outcome(id));
    assert_eq!((world.stage.books(), world.coin().await), ([1_000, 1_000, 0], coin));
    assert_eq!(world.units(payee()).await, PRICE);
}

#[tokio::test]
async fn whoever_carries_it_in_the_same_block_has_paid_it_too() {
    let world = World::open().await;
    let id = settle(&world, 1);
    world.stage.round().await;
    let call = world.stage.desk.call(id).unwrap().unwrap().call;
    let rich = "0x174876e800";
    let other = json!({
        "from": key(3).address(), "to": call.to, "data": farthing_channel::bytes_to_hex(&call.input),
        "gas": "0x30d40", "maxFeePerGas": rich, "maxPriorityFeePerGas": rich,
    });
    let mut other = other;
    other["to"] = json!(Address::from_bytes(*call.to.as_bytes()));
    world.anvil.ask("eth_sendTransaction", json!([other])).await;
    let coin = world.coin().await;
    mine_and_look(&world).await;
    assert!(world.stage.is_settled(id), "{:?}", world.stage.outcome(id));
    let [earned, reserve, gas] = world.stage.books();
    assert_eq!((earned, reserve), (1_000, 1_000));
    assert_eq!(gas, coin - world.coin().await, "the one that failed has cost its gas");
    assert!(gas > 0);
    assert_eq!(world.units(payee()).await, PRICE, "once");
}

#[tokio::test]
async fn the_same_payment_sixteen_times_moves_once() {
    let world = World::open().await;
    let offer = world.offers[0].clone();
    let payload = payment(&world, 1);
    let facilitator = &world.stage.facilitator;
    let asked = (0..16).map(|_| {
        let (facilitator, offer, payload) = (Arc::clone(facilitator), offer.clone(), payload.clone());
        tokio::spawn(async move {
            facilitator.settle_for_others(&offer, &payload, Duration::from_mins(1)).await.unwrap()
        })
    });
    let asked: Vec<_> = asked.collect();
    while world.stage.desk.calls().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    world.stage.round().await;
    mine_and_look(&world).await;
    let mut told = 0;
    for answer in asked {
        let response = answer.await.unwrap();
        told += usize::from(response.success);
        let pending = response.error_reason.as_deref() == Some("settlement_pending");
        assert!(response.success || pending, "{response:?}");
    }
    assert_eq!(told, 1, "each that is told delivers");
    assert_eq!(world.units(payee()).await, PRICE);
}

#[tokio::test]
async fn an_empty_purse_is_said_and_holds_calls_up() {
    let world = World::with("TestDollar", |chain| chain.purse_low = Amount::new(10)).await;
    let me = world.stage.submitter().address();
    world.anvil.ask("anvil_setBalance", json!([me, "0x5"])).await;
    assert!(world.stage.facilitator.purse().await.unwrap().is_low());
    let id = settle(&world, 1);
    assert_eq!(world.stage.round().await.stuck, 1);
    world.anvil.ask("anvil_setBalance", json!([me, "0xde0b6b3a7640000"])).await;
    assert!(!world.stage.facilitator.purse().await.unwrap().is_low());
    world.stage.round().await;
    mine_and_look(&world).await;
    assert!(world.stage.is_settled(id), "{:?}", world.stage.outcome(id));
    let [(account, units)] = &world.stage.facilitator.reserves().await.unwrap()[..] else {
        panic!("one token")
    };
    assert_eq!((account.name.as_str(), units.value()), ("reserve:eip155:84532:USDC", PRICE));
}
