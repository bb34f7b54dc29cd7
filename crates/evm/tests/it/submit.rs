//! Sending and watching on a chain in memory: every way in which a call ends, and everything that gets in between.

use crate::support::payer::Transfer;
use crate::support::play::{GAS, NOW, PRICE, Play, token};
use crate::support::{CHAIN, payee, payer, submitter};
use farthing_channel::Address;
use farthing_engine::{Outcome, Read};
use farthing_evm::{Effect, Node, NodeError, Transaction};
use farthing_money::{Amount, Timestamp};

#[tokio::test]
async fn a_payment_is_settled_once_it_is_deep_enough() {
    let play = Play::with(|chain| chain.confirmations = 3);
    let id = play.settle(1);
    let round = play.stage.round().await;
    assert_eq!((round.under_way, round.begun, round.ended), (1, 1, 0));
    play.mine_and_look().await;
    play.mine_and_look().await;
    assert_eq!(play.stage.outcome(id), None, "two blocks hold it");
    play.mine_and_look().await;
    assert!(play.stage.is_settled(id));
    assert_eq!(play.stage.books(), [1_000, 1_000, GAS]);
    assert_eq!(play.node.units(token(), payee()), Amount::new(PRICE));
    assert_eq!(play.stage.round().await.under_way, 0);
}

#[tokio::test]
async fn many_calls_have_numbers_in_a_row_and_wait_for_their_turn() {
    let play = Play::with(|chain| chain.at_once = 3);
    let ids: Vec<_> = (1..=5).map(|nonce| play.settle(nonce)).collect();
    assert_eq!(play.stage.round().await.begun, 3);
    let numbers: Vec<_> =
        play.stage.desk.calls().unwrap().iter().filter_map(|(_, row)| row.slot.map(|slot| slot.1)).collect();
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 1, 2]);
    play.mine_and_look().await;
    play.mine_and_look().await;
    play.mine_and_look().await;
    assert!(ids.iter().all(|id| play.stage.is_settled(*id)));
    assert_eq!(play.stage.books(), [5_000, 5_000, 5 * GAS]);
}

/// A payer's balance in the newest block is without what the calls there have moved, though they are under way until they lie deep.
#[tokio::test]
async fn what_a_block_has_is_known_before_it_lies_deep() {
    let play = Play::with(|chain| chain.confirmations = 3);
    let id = play.settle(1);
    let carried = async || play.stage.facilitator.carried_of(payer().address(), token()).await.unwrap();
    play.stage.round().await;
    assert_eq!((carried().await, play.node.waiting()), (vec![], 1), "sent, and in no block");
    play.mine_and_look().await;
    assert_eq!(carried().await, [id]);
    assert_eq!(play.stage.facilitator.carried_of(payee(), token()).await.unwrap(), []);
    assert_eq!(play.stage.facilitator.carried_of(payer().address(), payee()).await.unwrap(), []);
    play.pass(2).await;
    assert!(play.stage.is_settled(id) && carried().await.is_empty(), "it has ended");
}

#[tokio::test]
async fn what_was_written_down_and_not_sent_is_sent_after_a_start() {
    let play = Play::new();
    let id = play.settle(1);
    let down = NodeError::Unreachable { node: "n".into(), cause: "gone".into() };
    play.node.fail_next("send", down.clone());
    assert_eq!(play.stage.round().await.stuck, 1);
    assert_eq!((play.attempts(id).len(), play.node.waiting()), (1, 0));
    let again = play.stage.restarted();
    play.node.set_down(Some(down));
    assert!(again.submitter().run_once().await.is_err(), "the chain is down");
    play.node.set_down(None);
    again.round().await;
    assert_eq!(play.node.waiting(), 1, "the same transaction");
    assert_eq!(play.attempts(id).len(), 1);
    play.node.mine();
    again.round().await;
    assert!(again.is_settled(id));
    assert_eq!(again.books(), [1_000, 1_000, GAS]);
}

#[tokio::test]
async fn a_chain_that_goes_away_and_comes_back_loses_nothing() {
    let play = Play::new();
    let id = play.settle(1);
    let asked = {
        play.stage.round().await;
        play.node.take_asked().len()
    };
    assert!(asked > 3, "{asked}");
    let faults = [
        NodeError::Slow { node: "n".into(), seconds: 10 },
        NodeError::Lying { node: "n".into(), expected: "a".into(), got: "b".into() },
        NodeError::Busy { node: "n".into(), cause: "429".into() },
    ];
    for fault in faults {
        play.node.fail_next("", fault);
        assert!(play.stage.submitter().run_once().await.is_err());
    }
    play.mine_and_look().await;
    assert!(play.stage.is_settled(id));
}

#[tokio::test]
async fn a_transaction_that_is_stuck_is_paid_more_for() {
    let play = Play::new();
    let id = play.settle(1);
    play.stage.round().await;
    play.node.set_base_fee(Amount::new(5_000_000_000));
    play.mine_and_look().await;
    assert_eq!((play.node.waiting(), play.attempts(id).len()), (1, 1));
    play.stage.hands.pass(31);
    play.stage.round().await;
    let [first, second] = &play.attempts(id)[..] else { panic!("two attempts") };
    assert_eq!(first.transaction.number, second.transaction.number);
    assert!(second.transaction.fees.most.value() * 8 >= first.transaction.fees.most.value() * 9);
    assert_eq!(first.transaction.input, second.transaction.input);
    play.mine_and_look().await;
    assert!(play.stage.is_settled(id));
    assert_eq!(play.node.units(token(), payee()), Amount::new(PRICE), "once");
}

#[tokio::test]
async fn nothing_is_sent_while_gas_costs_too_much() {
    let play = Play::with(|chain| chain.fees.most = Amount::new(3_000_000_000));
    play.node.set_base_fee(Amount::new(4_000_000_000));
    play.node.mine();
    let id = play.settle(1);
    play.stage.round().await;
    assert_eq!(play.stage.desk.call(id).unwrap().unwrap().slot, None);
    let late = play.settle(2);
    play.node.set_base_fee(Amount::new(1_000_000_000));
    play.mine_and_look().await;
    play.mine_and_look().await;
    assert!(play.stage.is_settled(id) && play.stage.is_settled(late));
}

#[tokio::test]
async fn what_is_too_late_and_was_never_sent_fails_without_a_transaction() {
    let play = Play::with(|chain| chain.fees.most = Amount::new(3));
    let id = play.settle(1);
    play.stage.round().await;
    assert_eq!(play.stage.outcome(id), None);
    play.stage.hands.pass(301);
    play.stage.round().await;
    let reason = "invalid_exact_evm_payload_authorization_valid_before".to_owned();
    assert_eq!(play.stage.outcome(id), Some(Outcome::Failed { transaction: None, reason }));
    assert_eq!(play.stage.books(), [0, 0, 0]);
}

#[tokio::test]
async fn a_call_that_can_no_longer_succeed_makes_room_for_those_behind_it() {
    let play = Play::new();
    let offer = play.offer.clone();
    let short = Transfer { valid_before: NOW + 60, ..Transfer::of(&offer, payer().address(), NOW, 1) };
    let first = play.stage.settle(&offer, &short.signed(&offer, &payer()), Amount::new(PRICE));
    play.stage.round().await;
    let second = play.settle(2);
    play.stage.round().await;
    assert_eq!(play.node.waiting(), 2);
    // The fee rises above what both pay; when it falls again the first one's time is over.
    play.node.set_base_fee(Amount::new(50_000_000_000));
    play.node.mine_at(Timestamp::from_secs(NOW + 61));
    play.stage.hands.pass(61);
    play.stage.round().await;
    assert!(play.attempts(first).last().unwrap().transaction.is_blank());
    play.mine_and_look().await;
    play.stage.hands.pass(31);
    play.mine_and_look().await;
    play.mine_and_look().await;
    play.mine_and_look().await;
    let reason = "invalid_exact_evm_payload_authorization_valid_before";
    assert_eq!(play.stage.failure(first).as_deref(), Some(reason));
    assert!(play.stage.is_settled(second));
    assert_eq!(play.node.units(token(), payee()), Amount::new(PRICE));
    assert_eq!(play.stage.books()[..2], [1_000, 1_000]);
}

#[tokio::test]
async fn an_attempt_that_was_carried_out_while_another_was_watched_is_found() {
    let play = Play::new();
    let id = play.settle(1);
    play.stage.round().await;
    play.stage.hands.pass(31);
    play.stage.round().await;
    assert_eq!(play.attempts(id).len(), 2);
    // The node forgets the second and takes the first.
    play.node.drop_waiting();
    play.node.send(play.attempts(id)[0].bytes.clone()).await.unwrap();
    play.mine_and_look().await;
    let first = play.stage.outcome(id);
    let Some(Outcome::Settled { transaction, .. }) = first else { panic!("{first:?}") };
    let settled = play.stage.desk.settlement(id).unwrap().unwrap();
    assert_eq!(transaction, settled.row.attempts[0].transaction);
}

#[tokio::test]
async fn what_the_token_refuses_is_given_back_with_its_reason() {
    for (sentence, reason) in [
        ("Pausable: paused", "invalid_exact_evm_transaction_failed"),
        ("ERC20: transfer amount exceeds balance", "invalid_exact_evm_insufficient_balance"),
        ("FiatTokenV2: invalid signature", "invalid_exact_evm_signature"),
    ] {
        let play = Play::new();
        let id = play.settle(1);
        play.node.on(token(), &play.call(1).input[..4], Effect::Refuses(sentence.into()));
        play.stage.round().await;
        assert_eq!(play.stage.failure(id).as_deref(), Some(reason), "{sentence}");
        assert_eq!(play.node.waiting(), 0, "nothing was sent");
    }
}

#[tokio::test]
async fn what_fails_on_the_chain_has_cost_its_gas() {
    let play = Play::new();
    let id = play.failed().await;
    let Some(Outcome::Failed { transaction: Some(_), reason }) = play.stage.outcome(id) else {
        panic!("failed")
    };
    assert_eq!(reason, "invalid_exact_evm_transaction_failed");
    assert_eq!(play.stage.books(), [0, 0, GAS]);
}

/// A token that says that all went well and has moved nothing.
#[tokio::test]
async fn a_token_that_lies_is_not_believed() {
    let play = Play::new();
    let liar = Address::from_bytes([6; 20]);
    play.node.put_code(liar);
    play.node.on(liar, &[], Effect::Answers(vec![]));
    let mut call = play.call(1);
    call.to = farthing_engine::ChainAddress::from_bytes([6; 20]);
    call.moves.token = call.to;
    let payment = farthing_engine::PaymentId::from_bytes([1; 32]);
    let id = play.stage.settle_call(payment, call, Amount::new(PRICE));
    play.stage.round().await;
    play.mine_and_look().await;
    assert_eq!(play.stage.failure(id).as_deref(), Some("invalid_exact_evm_transfer_event_mismatch"));
    assert_eq!(play.stage.books()[..2], [0, 0]);
}

#[tokio::test]
async fn what_a_fork_takes_back_is_settled_again() {
    let play = Play::new();
    let id = play.settle(1);
    play.stage.round().await;
    play.mine_and_look().await;
    assert!(play.stage.is_settled(id));
    play.node.fork(1, true);
    let round = play.stage.round().await;
    assert_eq!((round.reopened, round.under_way), (1, 1));
    assert_eq!(play.stage.books()[..2], [0, 0], "the books follow the chain");
    assert_eq!(play.node.waiting(), 1, "and the same transaction is sent again");
    play.mine_and_look().await;
    assert!(play.stage.is_settled(id));
    assert_eq!(play.stage.books(), [1_000, 1_000, GAS]);
    assert_eq!(play.node.units(token(), payee()), Amount::new(PRICE));
}

#[tokio::test]
async fn a_fork_that_holds_the_same_transaction_changes_nothing() {
    let play = Play::new();
    let id = play.settle(1);
    play.stage.round().await;
    play.mine_and_look().await;
    play.node.fork(1, false);
    play.node.mine();
    assert_eq!(play.stage.round().await.reopened, 0);
    assert!(play.stage.is_settled(id));
    assert_eq!(play.stage.books(), [1_000, 1_000, GAS]);
}

#[tokio::test]
async fn what_the_books_remember_is_watched_after_a_start() {
    let play = Play::new();
    let id = play.settle(1);
    play.stage.round().await;
    play.mine_and_look().await;
    let again = play.stage.restarted();
    assert_eq!(again.round().await.reopened, 0);
    play.node.fork(1, true);
    assert_eq!(again.round().await.reopened, 1);
    play.node.mine();
    again.round().await;
    assert!(again.is_settled(id));
}

#[tokio::test]
async fn what_lies_deep_is_watched_no_longer() {
    let play = Play::with(|chain| chain.watched_blocks = 2);
    let id = play.settle(1);
    play.stage.round().await;
    for _ in 0..6 {
        play.mine_and_look().await;
    }
    play.node.take_asked();
    play.stage.round().await;
    assert_eq!(play.node.take_asked(), Vec::<&str>::new(), "nothing to ask about");
    assert!(play.stage.is_settled(id));
}

#[tokio::test]
async fn a_hole_before_our_numbers_is_filled() {
    let play = Play::with(|chain| chain.watched_blocks = 0);
    let first = play.settle(1);
    play.stage.round().await;
    for _ in 0..3 {
        play.mine_and_look().await;
    }
    assert!(play.stage.is_settled(first));
    let second = play.settle(2);
    play.stage.round().await;
    // The chain forgets the first for good, deeper than anybody watches: its number is missing.
    let again = play.stage.restarted();
    assert!(again.desk.watched().unwrap().is_empty());
    play.node.fork(3, true);
    play.node.drop_waiting();
    again.round().await;
    play.node.mine();
    again.round().await;
    assert!(!again.is_settled(second), "it waits behind the missing one");
    play.stage.hands.pass(31);
    again.round().await;
    play.node.mine();
    again.round().await;
    assert!(again.is_settled(second));
}

#[tokio::test]
async fn a_number_that_somebody_else_used_up_ends_the_call_after_a_while() {
    let play = Play::new();
    let id = play.settle(1);
    play.stage.round().await;
    play.node.drop_waiting();
    // Another program with the same key.
    let fees = play.attempts(id)[0].transaction.fees;
    let me = submitter();
    let other = Transaction {
        chain: CHAIN,
        number: 0,
        fees,
        gas: 21_000,
        to: me.address(),
        coin: Amount::ZERO,
        input: vec![],
    };
    let signature = me.sign(&other.digest());
    play.node.send(other.signed(&signature).unwrap().bytes).await.unwrap();
    play.mine_and_look().await;
    assert_eq!(play.stage.outcome(id), None, "a node may be behind");
    play.stage.hands.pass(31);
    play.stage.round().await;
    assert_eq!(play.stage.failure(id).as_deref(), Some("invalid_exact_evm_transaction_failed"));
}

#[tokio::test]
async fn an_empty_purse_holds_calls_up_until_it_is_filled() {
    let play = Play::new();
    let id = play.settle(1);
    play.node.fund(submitter().address(), Amount::ZERO);
    assert_eq!(play.stage.round().await.stuck, 1);
    assert_eq!(play.attempts(id).len(), 1);
    let status = play.stage.facilitator.purse().await.unwrap();
    assert_eq!(
        (status.account, status.coin.amount(), status.is_low()),
        (submitter().address(), Amount::ZERO, false)
    );
    play.node.fund(submitter().address(), Amount::new(10_u128.pow(18)));
    play.stage.round().await;
    play.mine_and_look().await;
    assert!(play.stage.is_settled(id));
}

#[tokio::test]
async fn what_another_account_has_sent_is_only_watched() {
    let play = Play::new();
    let id = play.settle(1);
    let slot = (farthing_engine::ChainAddress::from_bytes([9; 20]), 0);
    let attempt = farthing_engine::Attempt {
        transaction: farthing_engine::TransactionId::from_bytes([8; 32]),
        signed: vec![1],
        at: Timestamp::from_secs(NOW),
    };
    let send = farthing_engine::SendCall { call: id, chain: CHAIN.number(), slot, attempt };
    play.stage.desk.run(&farthing_engine::Command::SendCall(send)).unwrap();
    play.stage.round().await;
    assert_eq!(play.node.waiting(), 0);
    play.node.mine_at(Timestamp::from_secs(NOW + 400));
    play.stage.round().await;
    play.stage.hands.pass(31);
    play.stage.round().await;
    assert!(play.stage.failure(id).is_some(), "after its time it is over");
}
