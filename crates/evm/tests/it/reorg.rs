//! A chain that changes its mind: what it takes back leaves the books, and nothing stops the rest. What a call costs is one
//! question, and how it has ended another.

use std::sync::Arc;

use crate::support::fickle::Fickle;
use crate::support::play::{GAS, NOW, Play, token};
use crate::support::{CHAIN, Hands, Stage, chain_with, payer, submitter, token_at};
use farthing_channel::{Address, Digest, SignedTransaction, Transaction};
use farthing_engine::{Call, CallId, ChainAddress, Command, Fund, Movement, Read};
use farthing_evm::{Block, ChainConfig, Effect, Node, NodeError};
use farthing_money::{Amount, Span};

/// What the same call costs when the chain asks for more.
const DEARER: i128 = 60_000 * 1_501_000_000;

/// What was in the newest block comes into another one, where the same call is [`DEARER`].
fn fork_dearer(play: &Play) {
    play.node.set_base_fee(Amount::new(1_500_000_000));
    play.node.fork(1, false);
    play.node.mine();
}

/// Went wrong: a transaction that came back in another block was taken for as good as before, though it failed there.
#[tokio::test]
async fn what_comes_back_and_fails_there_is_taken_back() {
    let play = Play::new();
    let id = play.settle(1);
    play.stage.round().await;
    play.mine_and_look().await;
    assert!(play.stage.is_settled(id));
    play.node.on(token(), &play.call(1).input[..4], Effect::Refuses("Pausable: paused".into()));
    play.node.fork(1, false);
    play.node.mine();
    let round = play.stage.round().await;
    assert_eq!((round.reopened, round.ended), (1, 1));
    assert_eq!(play.stage.failure(id).as_deref(), Some("invalid_exact_evm_transaction_failed"));
    assert_eq!(play.stage.books(), [0, 0, GAS], "one transaction, whatever became of it");
}

/// Went wrong: one question about the past that was not answered, and nothing was sent any more.
#[tokio::test]
async fn a_past_that_cannot_be_seen_does_not_stop_what_is_new() {
    let play = Play::new();
    let first = play.settle(1);
    play.stage.round().await;
    play.mine_and_look().await;
    let second = play.settle(2);
    play.node.mine();
    play.node.fail_next("block", NodeError::Refused { code: -32_000, message: "missing trie node".into() });
    let round = play.stage.round().await;
    assert_eq!((round.stuck, round.begun, round.reopened), (1, 1, 0));
    play.mine_and_look().await;
    assert!(play.stage.is_settled(first) && play.stage.is_settled(second));
    assert_eq!(play.stage.books(), [2_000, 2_000, 2 * GAS]);
}

/// A fork may carry out what had failed. Whoever runs this has to hear of it, and nothing is entered twice.
#[tokio::test]
async fn what_had_failed_is_watched_for_a_while() {
    let play = Play::with(|chain| chain.watched_blocks = 2);
    play.failed().await;
    play.node.take_asked();
    play.mine_and_look().await;
    assert!(play.node.take_asked().contains(&"receipt"), "its transaction is looked for");
    play.lies_deep_after(4).await;
}

/// Went wrong: nobody looked at what had failed, and money that a fork moved after all was in no books.
#[tokio::test]
async fn what_a_fork_carries_out_after_all_is_cried_out() {
    let play = Play::new();
    // The token is paused in the first block, and not any more in the one that takes its place.
    play.failed().await;
    play.node.forget(token());
    play.node.fork(1, false);
    play.node.mine();
    assert_eq!(play.stage.round().await.astray, 1);
    assert_eq!(play.stage.round().await.astray, 0, "once");
    assert_eq!(play.stage.books(), [0, 0, GAS]);
}

/// Went wrong: a transaction that came into another block had cost something else there, and the books kept the first cost.
#[tokio::test]
async fn what_a_transaction_costs_in_another_block_is_booked() {
    let play = Play::new();
    let id = play.settle(1);
    play.stage.round().await;
    play.mine_and_look().await;
    assert_eq!(play.stage.books(), [1_000, 1_000, GAS]);
    fork_dearer(&play);
    let round = play.stage.round().await;
    assert_eq!((round.reopened, round.under_way), (0, 0), "the payment stands");
    assert!(play.stage.is_settled(id));
    assert_eq!(play.stage.books(), [1_000, 1_000, DEARER]);
}

/// A call that somebody else's transaction carries in the newest block, and ours, which is in none.
async fn forestalled(play: &Play) -> (CallId, Vec<u8>) {
    let id = play.settle(1);
    play.stage.round().await;
    let ours = play.attempts(id)[0].bytes.clone();
    play.node.drop_waiting();
    play.send_as_other(token(), play.call(1).input).await;
    play.node.mine();
    (id, ours)
}

/// A call that somebody else's transaction has settled, in a block before that of ours, which came to nothing.
async fn overtaken(play: &Play) -> CallId {
    let (id, ours) = forestalled(play).await;
    play.node.send(ours).await.unwrap();
    play.mine_and_look().await;
    assert!(play.stage.is_settled(id));
    assert_eq!(play.stage.books(), [1_000, 1_000, GAS]);
    id
}

/// Went wrong: when somebody else's transaction had settled a call, nobody looked at ours any more.
#[tokio::test]
async fn what_ours_costs_in_another_block_is_booked_whoever_has_settled_the_call() {
    for restarts in [false, true] {
        let play = Play::new();
        let id = overtaken(&play).await;
        fork_dearer(&play);
        let stage = if restarts { &play.stage.restarted() } else { &play.stage };
        let round = stage.round().await;
        assert_eq!((round.reopened, round.under_way, round.stuck), (0, 0, 0));
        assert!(stage.is_settled(id));
        assert_eq!(stage.books(), [1_000, 1_000, DEARER]);
    }
}

/// Went wrong: a transaction of ours that a fork has dropped costs nothing, and what it had cost stayed in the books.
#[tokio::test]
async fn what_no_block_has_any_more_costs_nothing() {
    let play = Play::with(|chain| chain.confirmations = 2);
    let (id, ours) = forestalled(&play).await;
    play.node.send(ours.clone()).await.unwrap();
    play.node.mine();
    play.mine_and_look().await;
    assert!(play.stage.is_settled(id));
    assert_eq!(play.stage.books(), [1_000, 1_000, GAS]);
    // The other's stays where it is.
    play.node.fork(2, true);
    play.stage.round().await;
    assert_eq!(play.stage.books(), [1_000, 1_000, GAS], "a node may be behind");
    play.mine_and_look().await;
    play.mine_and_look().await;
    assert!(play.stage.is_settled(id));
    assert_eq!(play.stage.books(), [1_000, 1_000, 0]);
    // Went wrong: it was looked for no more, though nothing else had its number. It comes after all.
    play.pass(80).await;
    play.node.send(ours).await.unwrap();
    play.mine_and_look().await;
    assert_eq!(play.stage.books(), [1_000, 1_000, GAS]);
}

#[tokio::test]
async fn what_another_has_the_number_of_is_looked_for_no_more() {
    let play = Play::with(|chain| chain.watched_blocks = 30);
    let id = overtaken(&play).await;
    let row = play.stage.desk.settlement(id).unwrap().unwrap().row;
    let ours = SignedTransaction::decode(&row.attempts[0].signed).unwrap().transaction;
    play.node.fork(1, true);
    let (to, input) = (submitter().address(), Vec::new());
    let blank = Transaction { to, input, ..ours };
    let signature = submitter().sign(&blank.digest());
    play.node.send(blank.signed(&signature).unwrap().bytes).await.unwrap();
    // The receipt may only be late.
    play.pass(15).await;
    assert_eq!(play.stage.books(), [1_000, 1_000, GAS]);
    play.pass(5).await;
    assert_eq!(play.stage.books(), [1_000, 1_000, 0]);
    assert!(play.stage.is_settled(id));
    play.lies_deep_after(20).await;
}

/// Went wrong: a call that had failed kept its first cost.
#[tokio::test]
async fn what_has_failed_costs_what_it_costs_in_another_block() {
    for restarts in [false, true] {
        let play = Play::new();
        let id = play.failed().await;
        fork_dearer(&play);
        let stage = if restarts { &play.stage.restarted() } else { &play.stage };
        assert_eq!(stage.round().await.astray, 0);
        assert!(stage.failure(id).is_some());
        assert_eq!(stage.books(), [0, 0, DEARER]);
    }
}

/// Went wrong: what had failed was forgotten at a start, and nobody heard when a fork carried it out.
#[tokio::test]
async fn what_a_fork_carries_out_after_a_start_is_cried_out() {
    let play = Play::new();
    play.failed().await;
    let again = play.restarted();
    assert_eq!(again.stage.round().await.astray, 0);
    play.node.forget(token());
    play.node.fork(1, false);
    play.node.mine();
    assert_eq!(again.stage.round().await.astray, 1);
    assert_eq!(again.stage.round().await.astray, 0, "once");
    again.lies_deep_after(80).await;
    play.stage.restarted().round().await;
    assert_eq!(play.node.take_asked(), Vec::<&str>::new(), "also after another start");
}

/// Went wrong: a node did not have the receipt of our transaction in its new block, so that the call was looked for as if
/// somebody else had carried it; it was found to be ours, and kept the cost that it had in the block before. The simulator
/// found it.
#[tokio::test]
async fn what_is_found_to_be_ours_costs_what_its_receipt_says() {
    let (play, fickle) = fickle(1);
    let id = play.settle(1);
    play.stage.round().await;
    play.mine_and_look().await;
    assert_eq!(play.stage.books(), [1_000, 1_000, GAS]);
    fork_dearer(&play);
    // It is neither found where it was nor among those of the call.
    fickle.hide_receipts(3);
    let round = play.stage.round().await;
    assert_eq!((round.reopened, round.under_way, round.ended), (1, 1, 0));
    play.stage.hands.pass(60);
    fickle.hide_receipts(1);
    play.stage.round().await;
    assert!(play.stage.is_settled(id), "{:?}", play.stage.outcome(id));
    assert_eq!(play.stage.books(), [1_000, 1_000, DEARER]);
}

/// Went wrong: coin that was given away is booked with its fee, and after a start it looked as if the transaction had cost
/// something else: the gift was taken for taken back.
#[tokio::test]
async fn what_was_given_away_stands_after_a_start() {
    let play = Play::new();
    let at = |address: Address| ChainAddress::from_bytes(*address.as_bytes());
    let (id, payer) = (CallId::from_bytes([7; 32]), at(payer().address()));
    let none = ChainAddress::from_bytes([0; 20]);
    let moves = Movement { token: none, from: at(submitter().address()), to: payer, units: Amount::new(500) };
    let until = play.stage.hands.now().after(Span::from_secs(300));
    let chain = CHAIN.number();
    let call = Call { chain, to: payer, input: Vec::new(), moves, until, approval: None };
    let of = play.settle(1);
    play.stage.desk.run(&Command::Fund(Fund { id, of, call, instead_of: None })).unwrap();
    play.stage.round().await;
    play.mine_and_look().await;
    assert!(play.stage.is_settled(id) && play.stage.is_settled(of));
    assert_eq!(play.stage.books(), [1_000, 1_000, 2 * GAS + 500]);
    let again = play.stage.restarted();
    for _ in 0..2 {
        let round = again.round().await;
        assert_eq!((round.reopened, round.under_way), (0, 0));
    }
    assert_eq!(play.stage.books(), [1_000, 1_000, 2 * GAS + 500]);
}

/// A play whose node is not always of one opinion.
fn fickle(confirmations: u64) -> (Play, Arc<Fickle>) {
    let Play { node, offer, .. } = Play::new();
    let fickle = Arc::new(Fickle::new(Arc::clone(&node)));
    let chain = ChainConfig { confirmations, ..chain_with(vec![token_at(token())]) };
    let stage = Stage::new(chain, Arc::clone(&fickle) as Arc<dyn Node>, Hands::at(NOW));
    (Play { stage, node, offer }, fickle)
}

/// Went wrong: the newest block was one of another branch, so that what lay in the newest block seemed to be as deep as it has
/// to be, and a payment was charged before it counted. The simulator found it.
#[tokio::test]
async fn what_lies_deep_on_no_branch_does_not_count() {
    let (play, fickle) = fickle(3);
    let id = play.settle(1);
    play.stage.round().await;
    play.node.mine();
    let head = play.node.head().await.unwrap();
    let elsewhere = Digest::from_bytes([9; 32]);
    fickle.say_head(Some(Block { number: head.number + 2, hash: elsewhere, parent: elsewhere, ..head }));
    play.stage.round().await;
    assert_eq!(play.stage.outcome(id), None, "nothing lies on it");
    play.node.mine();
    play.node.mine();
    let block = play.node.head().await.unwrap();
    fickle.say_block(Some(Block { parent: elsewhere, ..block }));
    play.stage.round().await;
    assert_eq!(play.stage.outcome(id), None, "what lies there lies on something else");
    fickle.say_head(None);
    fickle.say_block(None);
    play.stage.round().await;
    assert!(play.stage.is_settled(id));
    assert_eq!(play.stage.books(), [1_000, 1_000, GAS]);
}
