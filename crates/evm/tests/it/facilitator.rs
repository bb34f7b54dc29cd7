//! What other gates are answered, and what our own gate waits for, on a chain in memory.

use std::sync::Arc;
use std::time::Duration;

use crate::support::payer::{Permitted, pay, tampered};
use crate::support::{CHAIN, Hands, Stage, chain_with, key, payee, payer, submitter, token_at, usd};
use farthing_channel::{Address, permit2};
use farthing_engine::{Funds, Read};
use farthing_evm::{Effect, Facilitator, Facilitators, Node, NodeError, Revert, ScriptedNode, Unsettled};
use farthing_money::{Amount, Money, Timestamp};
use farthing_wire::x402::{Requirements, SettleResponse, Uint};

const NOW: u64 = 1_000_000;
const PRICE: u128 = 1_000;
const NO_PATIENCE: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_mins(1);

fn token() -> Address {
    Address::from_bytes([5; 20])
}

struct Play {
    stage: Stage,
    node: Arc<ScriptedNode>,
    offers: Vec<Requirements>,
}

impl Play {
    fn new() -> Self {
        let node = Arc::new(ScriptedNode::new(CHAIN, Timestamp::from_secs(NOW)));
        node.put_token(token(), "USDC", "2");
        node.mint(token(), payer().address(), Amount::new(1_000_000));
        node.fund(submitter().address(), Amount::new(10_u128.pow(18)));
        for proxy in [permit2::EXACT_PROXY, permit2::UPTO_PROXY] {
            node.put_code(proxy);
            node.on(proxy, &[], Effect::Answers(vec![]));
        }
        let chain = chain_with(vec![token_at(token())]);
        let stage = Stage::new(chain, Arc::clone(&node) as Arc<dyn Node>, Hands::at(NOW));
        let offers = stage.facilitator.offers(Money::new(Amount::new(PRICE), usd()));
        Self { stage, node, offers }
    }

    async fn settle(&self, offer: &Requirements, payload: &farthing_wire::x402::Payload) -> SettleResponse {
        self.stage.facilitator.settle_for_others(offer, payload, NO_PATIENCE).await.unwrap()
    }
}

fn reason(response: &SettleResponse) -> Option<&str> {
    response.error_reason.as_deref()
}

#[tokio::test]
async fn a_retry_joins_what_is_under_way_and_learns_its_end() {
    let play = Play::new();
    let offer = &play.offers[0];
    let payload = pay(offer, &payer(), NOW, 1);
    let first = play.settle(offer, &payload).await;
    assert_eq!((reason(&first), first.transaction.as_str()), (Some("settlement_pending"), ""));
    play.stage.round().await;
    let second = play.settle(offer, &payload).await;
    assert_eq!(reason(&second), Some("settlement_pending"));
    assert_eq!(second.transaction.len(), 66, "its transaction is known by now");
    play.node.mine();
    play.stage.round().await;
    let settled = play.settle(offer, &payload).await;
    assert!(settled.success, "{settled:?}");
    assert_eq!(
        (settled.transaction.as_str(), settled.network.as_str()),
        (&*second.transaction, "eip155:84532")
    );
    assert_eq!(settled.payer, Some(payer().address().to_string()));
    assert_eq!(play.node.units(token(), payee()), Amount::new(PRICE), "once");
    assert_eq!(play.stage.books()[..2], [0, 0], "nobody's money here");
    assert!(play.stage.books()[2] > 0, "but the gas");
}

/// A seller delivers for each success that it hears, and one payment opened its pages again and again.
#[tokio::test]
async fn that_it_is_settled_is_told_once() {
    let play = Play::new();
    let (offer, payload) = (&play.offers[0], pay(&play.offers[0], &payer(), NOW, 1));
    assert_eq!(reason(&play.settle(offer, &payload).await), Some("settlement_pending"));
    play.stage.round().await;
    play.node.mine();
    play.stage.round().await;
    let told = play.settle(offer, &payload).await;
    assert!(told.success, "{told:?}");
    let restarted = play.stage.restarted().facilitator;
    for facilitator in [&play.stage.facilitator, &restarted] {
        let again = facilitator.settle_for_others(offer, &payload, LONG).await.unwrap();
        assert_eq!((again.success, reason(&again)), (false, Some("invalid_exact_evm_nonce_already_used")));
        assert_eq!(again.payer, told.payer);
    }
}

/// Sixteen at once joined one transaction, and all sixteen were told that they are paid.
#[tokio::test]
async fn of_those_who_ask_at_once_one_is_told() {
    let play = Play::new();
    let (offer, payload) = (play.offers[0].clone(), pay(&play.offers[0], &payer(), NOW, 1));
    let ask = || {
        let facilitator = Arc::clone(&play.stage.facilitator);
        let (offer, payload) = (offer.clone(), payload.clone());
        tokio::spawn(async move { facilitator.settle_for_others(&offer, &payload, LONG).await.unwrap() })
    };
    let asked: Vec<_> = (0..16).map(|_| ask()).collect();
    while play.stage.desk.calls().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    play.stage.round().await;
    play.node.mine();
    play.stage.round().await;
    let mut told = 0;
    for answer in asked {
        let answer = answer.await.unwrap();
        told += usize::from(answer.success);
        assert!(answer.success || reason(&answer) == Some("settlement_pending"), "{answer:?}");
    }
    assert_eq!(told, 1);
    assert_eq!(play.node.units(token(), payee()), Amount::new(PRICE));
}

/// A request whose connection is lost leaves its turn to the next, who learns the end.
#[tokio::test]
async fn a_lost_connection_leaves_the_end_to_the_next() {
    let play = Play::new();
    let (offer, payload) = (play.offers[0].clone(), pay(&play.offers[0], &payer(), NOW, 1));
    let facilitator = Arc::clone(&play.stage.facilitator);
    let lost = {
        let (offer, payload) = (offer.clone(), payload.clone());
        tokio::spawn(async move { facilitator.settle_for_others(&offer, &payload, LONG).await })
    };
    while play.stage.desk.calls().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(reason(&play.settle(&offer, &payload).await), Some("settlement_pending"));
    lost.abort();
    assert!(lost.await.unwrap_err().is_cancelled());
    play.stage.round().await;
    play.node.mine();
    play.stage.round().await;
    assert!(play.settle(&offer, &payload).await.success);
}

#[tokio::test]
async fn whoever_waits_is_woken_when_it_has_ended() {
    let play = Play::new();
    let offer = play.offers[0].clone();
    let payload = pay(&offer, &payer(), NOW, 1);
    let facilitator = Arc::clone(&play.stage.facilitator);
    let waiting = tokio::spawn(async move { facilitator.settle_for_others(&offer, &payload, LONG).await });
    while play.stage.desk.calls().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    play.stage.round().await;
    play.node.mine();
    play.stage.round().await;
    assert!(waiting.await.unwrap().unwrap().success);
}

#[tokio::test]
async fn the_loop_sends_when_it_is_woken_and_stops_when_told() {
    let play = Play::new();
    let submitter = Arc::clone(play.stage.facilitator.submitter());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let going = tokio::spawn(async move { submitter.run(async { drop(stopped.await) }).await });
    let offer = &play.offers[0];
    play.settle(offer, &pay(offer, &payer(), NOW, 1)).await;
    while play.node.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    going.await.unwrap();
}

#[tokio::test]
async fn what_is_refused_is_said_with_its_reason() {
    let play = Play::new();
    let offer = &play.offers[0];
    let good = pay(offer, &payer(), NOW, 1);
    let bad = tampered(&good);
    let refused = play.settle(offer, &bad).await;
    assert_eq!(reason(&refused), Some("invalid_exact_evm_signature"));
    assert!(!refused.success && refused.transaction.is_empty());
    let verified = play.stage.facilitator.verify_for_others(offer, &bad).await.unwrap();
    assert_eq!(verified.invalid_reason.as_deref(), Some("invalid_exact_evm_signature"));
    assert_eq!(verified.payer, Some(payer().address().to_string()));
    assert!(play.stage.facilitator.verify_for_others(offer, &good).await.unwrap().is_valid);
    let mut shapeless = good.clone();
    shapeless.payload = farthing_wire::x402::SchemePayload::Other(serde_json::Map::new());
    assert_eq!(reason(&play.settle(offer, &shapeless).await), Some("unsupported_payload_type"));
    let error = NodeError::Slow { node: "n".into(), seconds: 10 };
    play.node.set_down(Some(error.clone()));
    assert_eq!(play.stage.facilitator.verify_for_others(offer, &good).await, Err(error));
    let unsettled = play.stage.facilitator.settle_for_others(offer, &good, NO_PATIENCE).await;
    assert!(matches!(unsettled, Err(Unsettled::Node(_))));
    assert!(play.stage.desk.calls().unwrap().is_empty());
}

/// One settled for somebody whom it does not pay would be a gift of a stranger's money.
#[tokio::test]
async fn what_is_under_way_is_not_settled_for_somebody_else() {
    let play = Play::new();
    let offer = &play.offers[0];
    let payload = pay(offer, &payer(), NOW, 1);
    play.settle(offer, &payload).await;
    let mut other = offer.clone();
    other.pay_to = key(3).address().to_string();
    assert_eq!(reason(&play.settle(&other, &payload).await), Some("invalid_exact_evm_recipient_mismatch"));
    let mut more = offer.clone();
    more.amount = Uint::from(2_000_u64);
    assert_eq!(
        reason(&play.settle(&more, &payload).await),
        Some("invalid_exact_evm_payload_authorization_value_mismatch")
    );
}

/// What failed before a transaction was made stayed the answer for ever, also when nothing stood in its way any more.
#[tokio::test]
async fn what_failed_unsent_is_begun_anew() {
    let play = Play::new();
    let (offer, payload) = (&play.offers[0], pay(&play.offers[0], &payer(), NOW, 1));
    assert_eq!(reason(&play.settle(offer, &payload).await), Some("settlement_pending"));
    // The contract refuses it once, as when the payer's money was elsewhere for a moment.
    play.node.fail_next("gas", NodeError::Reverted(Revert::new(vec![], "not now")));
    play.stage.round().await;
    assert!(play.stage.desk.calls().unwrap().is_empty(), "it has failed, with nothing sent");
    assert_eq!(reason(&play.settle(offer, &payload).await), Some("settlement_pending"));
    play.stage.round().await;
    play.node.mine();
    play.stage.round().await;
    assert!(play.settle(offer, &payload).await.success);
    assert_eq!(reason(&play.settle(offer, &payload).await), Some("invalid_exact_evm_nonce_already_used"));
}

/// The gate of somebody else would have made its answer before it heard that we do not pay so much gas.
#[tokio::test]
async fn what_would_use_too_much_gas_is_not_good() {
    let Play { node, offers, .. } = Play::new();
    let mut chain = chain_with(vec![token_at(token())]);
    chain.fees.gas_most = 21_000;
    let stage = Stage::new(chain, node as Arc<dyn Node>, Hands::at(NOW));
    let (exact, by_permit2) = (&offers[0], &offers[1]);
    let permitted = Permitted::of(by_permit2, payer().address(), NOW, 1).signed(by_permit2, &payer());
    for (offer, payload, expected) in [
        (exact, pay(exact, &payer(), NOW, 1), "invalid_exact_evm_transaction_simulation_failed"),
        (by_permit2, permitted, "permit2_simulation_failed"),
    ] {
        let verified = stage.facilitator.verify_for_others(offer, &payload).await.unwrap();
        assert_eq!((verified.is_valid, verified.invalid_reason.as_deref()), (false, Some(expected)));
        let settled = stage.facilitator.settle_for_others(offer, &payload, LONG).await.unwrap();
        assert_eq!(reason(&settled), Some(expected));
    }
    assert!(stage.desk.calls().unwrap().is_empty());
}

/// Only what is asked for is held so far, and nothing was asked of the chain.
#[tokio::test]
async fn what_is_held_here_is_not_settled_for_others() {
    let play = Play::new();
    let (offer, payload) = (&play.offers[0], pay(&play.offers[0], &payer(), NOW, 1));
    let payment = play.stage.facilitator.payment_of(offer, &payload).unwrap();
    let funds = Funds::Chain {
        reserve: play.stage.chain.reserve(&token_at(token())).id(),
        amount: Amount::new(PRICE),
    };
    play.stage.hold(payment, funds, Amount::new(PRICE)).unwrap();
    assert_eq!(reason(&play.settle(offer, &payload).await), Some("invalid_exact_evm_nonce_already_used"));
    assert!(play.stage.desk.calls().unwrap().is_empty());
}

#[tokio::test]
async fn what_pays_here_is_not_settled_for_others() {
    let play = Play::new();
    let offer = &play.offers[0];
    let payload = pay(offer, &payer(), NOW, 1);
    play.stage.settle(offer, &payload, Amount::new(PRICE));
    assert_eq!(reason(&play.settle(offer, &payload).await), Some("invalid_exact_evm_nonce_already_used"));
}

#[tokio::test]
async fn up_to_the_ceiling_the_seller_says_how_much() {
    let play = Play::new();
    let upto = &play.offers[2];
    let payload = Permitted::of(upto, payer().address(), NOW, 1).signed(upto, &payer());
    let used = |units: u64| Requirements { amount: Uint::from(units), ..upto.clone() };
    let nothing = play.settle(&used(0), &payload).await;
    assert!(nothing.success && nothing.transaction.is_empty());
    assert_eq!(nothing.amount, Some(Uint::zero()));
    assert!(play.stage.desk.calls().unwrap().is_empty(), "no transaction for nothing");
    assert_eq!(
        reason(&play.settle(&used(1_001), &payload).await),
        Some("invalid_upto_evm_payload_settlement_exceeds_amount")
    );
    let pending = play.settle(&used(137), &payload).await;
    assert_eq!(reason(&pending), Some("settlement_pending"));
    assert_eq!(pending.amount, Some(Uint::from(137_u64)));
    let row = play.stage.desk.calls().unwrap().remove(0).1;
    assert_eq!(row.call.moves.units, Amount::new(137));
    assert_eq!(
        reason(&play.settle(&used(138), &payload).await),
        Some("permit2_invalid_nonce"),
        "one payment has one sum"
    );
}

#[tokio::test]
async fn what_is_supported_is_said_once() {
    let play = Play::new();
    let both =
        Facilitators::new(vec![Arc::clone(&play.stage.facilitator), Arc::clone(&play.stage.facilitator)]);
    let one = play.stage.facilitator.supported();
    let account = submitter().address().to_string();
    assert_eq!(one.kinds.len(), 2);
    assert_eq!((one.kinds[0].scheme.as_str(), one.kinds[0].network.as_str()), ("exact", "eip155:84532"));
    assert_eq!(one.kinds[1].extra["facilitatorAddress"], account.as_str());
    let all = both.supported();
    assert_eq!((all.kinds.len(), &all.extensions), (4, &one.extensions));
    assert_eq!(all.signers["eip155:*"], [account]);
    assert!(both.of_network("eip155:84532").is_some() && both.of_network("eip155:1").is_none());
    assert!(both.of_chain(84_532).is_some() && both.of_chain(1).is_none());
    assert_eq!(both.offers(Money::new(Amount::new(1), usd())).len(), 6);
}

#[tokio::test]
async fn reserves_are_read_beside_their_accounts() {
    let play = Play::new();
    play.node.mint(token(), payee(), Amount::new(77));
    let reserves = play.stage.facilitator.reserves().await.unwrap();
    let [(account, units)] = &reserves[..] else { panic!("one token") };
    assert_eq!((account.name.as_str(), *units), ("reserve:eip155:84532:USDC", Amount::new(77)));
    let error = NodeError::Slow { node: "n".into(), seconds: 10 };
    play.node.set_down(Some(error.clone()));
    assert_eq!(play.stage.facilitator.reserves().await, Err(error));
    assert_ne!(Facilitator::call_id(farthing_engine::PaymentId::from_bytes([1; 32])).as_bytes(), &[1; 32]);
}
