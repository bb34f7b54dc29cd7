//! What does not go on: a call that no node tries out is given up, and holds no other up.

use crate::support;
use crate::support::payee;
use crate::support::play::{Play, token};
use farthing_engine::{CallId, PaymentId, Read};
use farthing_evm::{Effect, NodeError};
use farthing_money::Amount;

fn refused() -> NodeError {
    NodeError::Refused { code: -32_000, message: "header not found".into() }
}

/// Went wrong: calls that no node would try out were tried again at every round, for ever, in the place of all others.
#[tokio::test]
async fn calls_that_cannot_be_tried_out_hold_no_other_up() {
    let play = Play::with(|chain| chain.at_once = 2);
    let bad: Vec<CallId> = (1..=2).map(|nonce| play.settle(nonce)).collect();
    play.stage.hands.pass(1);
    let good = play.settle(3);
    (0..2).for_each(|_| play.node.fail_next("gas", refused()));
    let round = play.stage.round().await;
    assert_eq!((round.begun, round.stuck), (0, 2));
    // The third goes first now, and one of the two is tried again.
    let round = play.stage.round().await;
    assert_eq!(round.begun, 2);
    assert!(play.stage.desk.call(good).unwrap().unwrap().slot.is_some());
    for _ in 0..3 {
        play.mine_and_look().await;
    }
    assert!(play.stage.is_settled(good) && bad.iter().all(|id| play.stage.is_settled(*id)));
}

/// The end of a call that was never sent does not depend on what its payer has signed.
#[tokio::test]
async fn a_call_that_no_node_tries_out_is_given_up() {
    let play = Play::new();
    let id = play.settle(1);
    for pass in [0, 29] {
        play.stage.hands.pass(pass);
        play.node.fail_next("gas", refused());
        assert_eq!(play.stage.round().await.stuck, 1);
    }
    play.stage.hands.pass(1);
    play.node.fail_next("gas", refused());
    play.stage.round().await;
    let reason = "invalid_exact_evm_transaction_simulation_failed";
    assert_eq!(play.stage.failure(id).as_deref(), Some(reason));
    assert_eq!((play.stage.books(), play.node.waiting()), ([0, 0, 0], 0));
    // A node that cannot be reached is another matter.
    let other = play.settle(2);
    for _ in 0..3 {
        play.stage.hands.pass(31);
        play.node.fail_next("gas", NodeError::Unreachable { node: "n".into(), cause: "gone".into() });
        assert_eq!(play.stage.round().await.stuck, 1);
    }
    assert_eq!(play.stage.outcome(other), None);
}

/// Went wrong: that no node knew a receipt was taken for a withdrawal that had not gone out, and its credits were given back.
#[tokio::test]
async fn what_needs_no_authorization_is_not_failed_by_silence() {
    let play = Play::new();
    let mut call = play.call(1);
    call.input = farthing_channel::call::transfer(payee(), 1_000_u64.into());
    let payment = PaymentId::from_bytes([1; 32]);
    let id = play.stage.settle_call(payment, call, Amount::new(1_000));
    play.node.on(token(), &[0xa9, 0x05, 0x9c, 0xbb], Effect::Answers(vec![1]));
    play.stage.round().await;
    let ours = play.attempts(id)[0].clone();
    // Another transaction of the same number is carried out, which the books do not know.
    play.node.drop_waiting();
    let me = support::submitter();
    let other = farthing_evm::Transaction { to: me.address(), input: vec![], ..ours.transaction.clone() };
    let signature = me.sign(&other.digest());
    let signed = other.signed(&signature).unwrap();
    farthing_evm::Node::send(&*play.node, signed.bytes).await.unwrap();
    for _ in 0..3 {
        play.mine_and_look().await;
        play.stage.hands.pass(400);
        assert_eq!(play.stage.outcome(id), None);
    }
}

/// Went wrong: a node that was behind after a start counted fewer transactions than were carried out, a withdrawal was given a
/// number that was used up, and nobody could say any more what had become of it.
#[tokio::test]
async fn a_number_that_was_used_is_never_given_out_again() {
    let play = Play::new();
    let first = play.settle(9);
    play.stage.round().await;
    for _ in 0..3 {
        play.mine_and_look().await;
    }
    assert!(play.stage.is_settled(first));
    let again = play.stage.restarted();
    let mut call = play.call(1);
    call.input = farthing_channel::call::transfer(payee(), 1_000_u64.into());
    play.node.on(token(), &call.input[..4], Effect::Answers(vec![1]));
    let withdrawal = again.settle_call(PaymentId::from_bytes([1; 32]), call, Amount::new(1_000));
    play.node.count_behind(3);
    let _ = again.submitter().run_once().await;
    play.node.count_behind(0);
    let (_, number) = again.desk.call(withdrawal).unwrap().unwrap().slot.unwrap();
    assert_eq!(number, 1, "0 is used");
}
