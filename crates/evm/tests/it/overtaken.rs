//! Others carry what a payer has signed, or the payer takes it back: who has paid is settled, and nobody else.

use crate::support::play::{GAS, PRICE, Play, token};
use crate::support::{payee, payer};
use farthing_channel::{Address, keccak256};
use farthing_engine::CallId;
use farthing_evm::{Effect, Node};
use farthing_money::Amount;

/// A contract of somebody else.
fn carrier() -> Address {
    Address::from_bytes([8; 20])
}

/// A payer takes an authorisation back.
fn cancel(nonce: u8) -> Vec<u8> {
    let selector = keccak256(b"cancelAuthorization(address,bytes32,bytes)");
    let mut input = selector.as_bytes()[..4].to_vec();
    input.extend([0; 12]);
    input.extend(payer().address().as_bytes());
    input.extend([nonce; 32]);
    input
}

#[tokio::test]
async fn whoever_overtakes_us_has_paid_all_the_same() {
    let play = Play::new();
    let id = play.settle(1);
    play.send_as_other(token(), play.call(1).input).await;
    play.node.mine();
    // Ours is refused before it is sent.
    play.stage.round().await;
    assert!(play.stage.is_settled(id));
    assert_eq!(play.stage.books(), [1_000, 1_000, 0], "and cost nothing");
    assert_eq!(play.node.units(token(), payee()), Amount::new(PRICE));
}

#[tokio::test]
async fn whoever_overtakes_us_in_the_same_block_has_paid_all_the_same() {
    let play = Play::with(|chain| chain.confirmations = 2);
    let id = play.settle(1);
    play.stage.round().await;
    play.node.drop_waiting();
    play.send_as_other(token(), play.call(1).input).await;
    play.node.mine();
    play.node.send(play.attempts(id)[0].bytes.clone()).await.unwrap();
    play.mine_and_look().await;
    assert_eq!(play.stage.outcome(id), None, "ours is not deep enough yet");
    play.mine_and_look().await;
    assert!(play.stage.is_settled(id), "{:?}", play.stage.outcome(id));
    assert_eq!(play.stage.books(), [1_000, 1_000, GAS], "the one that failed has cost its gas");
}

/// Went wrong: the block came after the round had read the chain's head and before it asked whether the authorisation was
/// used. It was, and no block up to that head held it, so that it seemed to be taken back: paid, and denied.
#[tokio::test]
async fn whoever_overtakes_us_while_we_look_has_paid_all_the_same() {
    let play = Play::new();
    let id = play.settle(1);
    play.send_as_other(token(), play.call(1).input).await;
    play.node.mine_after("head");
    play.stage.round().await;
    assert!(play.stage.is_settled(id), "{:?}", play.stage.outcome(id));
    assert_eq!(play.stage.books(), [1_000, 1_000, 0]);
}

#[tokio::test]
async fn an_authorization_that_was_taken_back_fails() {
    let play = Play::new();
    let id = play.settle(1);
    play.send_as_other(token(), cancel(1)).await;
    play.node.mine();
    play.stage.round().await;
    assert_eq!(play.stage.failure(id).as_deref(), Some("invalid_exact_evm_nonce_already_used"));
    assert_eq!(play.stage.books(), [0, 0, 0]);
}

/// Went wrong: any transaction that moved the right sum and mentioned the number of an authorisation was taken for its
/// outcome. Payers choose those numbers: one payment, and as many served as were mentioned in it.
#[tokio::test]
async fn one_transfer_does_not_settle_what_it_only_mentions() {
    let play = Play::new();
    let ids: Vec<CallId> = (1..=4).map(|nonce| play.settle(nonce)).collect();
    let mut input = play.call(1).input;
    for nonce in 2..=4 {
        play.send_as_other(token(), cancel(nonce)).await;
        input.extend([nonce; 32]);
    }
    play.send_as_other(token(), input).await;
    play.node.mine();
    play.stage.round().await;
    assert!(play.stage.is_settled(ids[0]));
    for id in &ids[1..] {
        assert_eq!(play.stage.failure(*id).as_deref(), Some("invalid_exact_evm_nonce_already_used"));
    }
    assert_eq!(play.stage.books(), [1_000, 1_000, 0]);
    assert_eq!(play.node.units(token(), payee()), Amount::new(PRICE));
}

/// Went wrong: the input of a transaction that calls some other contract does not name the number, and a payer who had
/// paid was told that the authorisation was used.
#[tokio::test]
async fn whoever_overtakes_us_by_a_contract_has_paid_all_the_same() {
    let play = Play::new();
    let ids = [play.settle(1), play.settle(2)];
    let both = [1, 2].map(|nonce| (token(), play.call(nonce).input));
    play.node.put_code(carrier());
    play.node.on(carrier(), &[7], Effect::Carries(both.to_vec()));
    play.send_as_other(carrier(), vec![7]).await;
    play.node.mine();
    play.stage.round().await;
    assert!(ids.iter().all(|id| play.stage.is_settled(*id)));
    assert_eq!(play.stage.books(), [2_000, 2_000, 0]);
}

/// A payer signs twice with one number, and has the transfer to itself carried beside an honest one.
#[tokio::test]
async fn a_number_that_was_used_for_something_else_settles_nothing() {
    // Whether the honest one pays for something here or at somebody else's: its transfer is no answer to the other.
    for is_ours in [true, false] {
        let play = Play::new();
        let honest = is_ours.then(|| play.settle(1));
        let other = play.settle(2);
        let mut own = play.call(2).input;
        own[4 + 32 + 12..4 + 64].copy_from_slice(payer().address().as_bytes());
        let calls = vec![(token(), play.call(1).input), (token(), own)];
        play.node.put_code(carrier());
        play.node.on(carrier(), &[7], Effect::Carries(calls));
        play.send_as_other(carrier(), vec![7]).await;
        play.node.mine();
        play.stage.round().await;
        assert!(honest.is_none_or(|honest| play.stage.is_settled(honest)));
        assert_eq!(play.stage.failure(other).as_deref(), Some("invalid_exact_evm_nonce_already_used"));
        let paid = if is_ours { 1_000 } else { 0 };
        assert_eq!(play.stage.books(), [paid, paid, 0]);
    }
}

/// Went wrong: a node that answered with an error was taken for a contract that says that the number is unused.
#[tokio::test]
async fn a_node_that_refuses_to_say_decides_nothing() {
    let play = Play::new();
    let id = play.settle(1);
    play.send_as_other(token(), play.call(1).input).await;
    play.node.mine();
    let refused = farthing_evm::NodeError::Refused { code: -32_000, message: "header not found".into() };
    play.node.fail_next("call", refused);
    assert_eq!(play.stage.round().await.stuck, 1);
    assert_eq!(play.stage.outcome(id), None);
    play.stage.round().await;
    assert!(play.stage.is_settled(id));
}
