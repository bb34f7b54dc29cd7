//! What nobody here can decide is ended by the operator's word: only that, and never against the chain's.

use crate::support;
use crate::support::payee;
use crate::support::play::{Play, token};
use farthing_channel::TxHash;
use farthing_engine::{CallId, Outcome, PaymentId};
use farthing_evm::{Effect, Fees, Node, NotByHand, Said, SignedTransaction, Transaction};
use farthing_money::Amount;

/// A withdrawal that is sent, and whose transaction number is not used up yet.
async fn withdrawal(play: &Play) -> (CallId, SignedTransaction) {
    let mut call = play.call(1);
    call.input = farthing_channel::call::transfer(payee(), 1_000_u64.into());
    let id = play.stage.settle_call(PaymentId::from_bytes([1; 32]), call, Amount::new(1_000));
    play.node.on(token(), &[0xa9, 0x05, 0x9c, 0xbb], Effect::Answers(vec![1]));
    play.stage.round().await;
    let sent = play.attempts(id)[0].clone();
    (id, sent)
}

/// Another transaction takes the number, which the books do not know.
async fn overtake(
    play: &Play,
    change: impl FnOnce(Transaction) -> Transaction,
    ours: &SignedTransaction,
) -> TxHash {
    play.node.drop_waiting();
    let other = change(ours.transaction.clone());
    let signed = other.clone().signed(&support::submitter().sign(&other.digest())).unwrap();
    play.node.send(signed.bytes.clone()).await.unwrap();
    play.mine_and_look().await;
    signed.hash
}

async fn end(play: &Play, id: CallId, said: Said) -> Result<Outcome, NotByHand> {
    play.stage.submitter().end_by_hand(id, said).await
}

#[tokio::test]
async fn what_may_still_be_carried_out_is_not_given_up() {
    let play = Play::new();
    let (id, _) = withdrawal(&play).await;
    play.stage.hands.pass(400);
    let refused = end(&play, id, Said::Failed).await.unwrap_err();
    assert!(matches!(refused, NotByHand::MayBeCarriedOut { number: 0, .. }), "{refused}");
    let strange = CallId::from_bytes([9; 32]);
    assert!(matches!(end(&play, strange, Said::Failed).await, Err(NotByHand::NotUnderWay(_))));
    assert_eq!(play.stage.outcome(id), None);
}

/// The number of a withdrawal went to something else: it stays under way for good, until the operator says that it never moved.
#[tokio::test]
async fn a_withdrawal_whose_number_is_gone_is_given_up_by_hand() {
    let play = Play::new();
    let (id, ours) = withdrawal(&play).await;
    let blank =
        |before: Transaction| Transaction { to: support::submitter().address(), input: vec![], ..before };
    let other = overtake(&play, blank, &ours).await;
    let early = end(&play, id, Said::Failed).await.unwrap_err();
    assert!(matches!(early, NotByHand::Decides(_)), "nodes may differ: {early}");
    play.stage.hands.pass(400);
    play.stage.round().await;
    assert_eq!(play.stage.outcome(id), None, "nobody here can say");
    for wrong in [other, TxHash::from_bytes([7; 32])] {
        let refused = end(&play, id, Said::Settled(wrong)).await.unwrap_err();
        assert!(matches!(refused, NotByHand::NotMoved { .. }), "{refused}");
    }
    let failed = end(&play, id, Said::Failed).await.unwrap();
    assert_eq!(play.stage.outcome(id), Some(failed));
    assert_eq!(play.stage.failure(id).as_deref(), Some("invalid_exact_evm_transaction_failed"));
    assert_eq!(play.stage.books(), [0, 0, 0], "what was set aside is free again");
    assert!(matches!(end(&play, id, Said::Failed).await, Err(NotByHand::NotUnderWay(_))), "once");
}

/// The operator has sent the same payment himself, for more: it has moved, and the books say so.
#[tokio::test]
async fn a_transaction_that_has_moved_it_settles_by_hand() {
    let play = Play::new();
    let moved = play.call(1);
    let (id, ours) = withdrawal(&play).await;
    let dearer = Fees { most: Amount::new(90_000_000_000), tip: Amount::new(2_000_000_000) };
    // What the token moves is what a payer has signed: the number is the withdrawal's.
    let same = |before: Transaction| Transaction { fees: dearer, input: moved.input.clone(), ..before };
    let hash = overtake(&play, same, &ours).await;
    play.stage.hands.pass(400);
    play.stage.round().await;
    assert_eq!(play.stage.outcome(id), None, "it is no transaction of the books");
    let settled = end(&play, id, Said::Settled(hash)).await.unwrap();
    let Outcome::Settled { transaction, .. } = settled else { panic!("{settled:?}") };
    assert_eq!(transaction.as_bytes(), hash.as_bytes());
    assert_eq!(play.stage.books(), [1_000, 1_000, 0]);
}

/// What the chain can say is the chain's to say, whatever the operator believes.
#[tokio::test]
async fn the_chains_word_goes_before_the_operators() {
    let play = Play::with(|chain| chain.confirmations = 2);
    let id = play.settle(1);
    let unsent = end(&play, id, Said::Failed).await.unwrap_err();
    assert!(matches!(unsent, NotByHand::Decides(_)), "{unsent}");
    play.stage.round().await;
    play.node.mine();
    let shallow = end(&play, id, Said::Failed).await.unwrap_err();
    assert!(matches!(shallow, NotByHand::Decides(_)), "{shallow}");
    play.node.mine();
    let outcome = end(&play, id, Said::Failed).await.unwrap();
    assert!(matches!(outcome, Outcome::Settled { .. }), "it has moved: {outcome:?}");
    assert_eq!(play.stage.books()[..2], [1_000, 1_000]);
}

/// Nobody can tell whether an authorization was used, and its number is gone: while its time lasts anybody may carry it.
#[tokio::test]
async fn what_a_payer_has_signed_is_not_given_up_before_its_time_is_over() {
    let play = Play::new();
    let id = play.settle(1);
    play.stage.round().await;
    let ours = play.attempts(id)[0].clone();
    let blank =
        |before: Transaction| Transaction { to: support::submitter().address(), input: vec![], ..before };
    overtake(&play, blank, &ours).await;
    play.stage.hands.pass(100);
    let question = farthing_channel::keccak256(b"authorizationState(address,bytes32)");
    play.node.on(token(), &question.as_bytes()[..4], Effect::Answers(vec![]));
    play.stage.round().await;
    assert_eq!(play.stage.outcome(id), None);
    let refused = end(&play, id, Said::Failed).await.unwrap_err();
    assert!(matches!(refused, NotByHand::MayBeUsed(_)), "{refused}");
    let until = play.call(1).until;
    play.node.mine_at(until.after(farthing_money::Span::from_secs(1)));
    let failed = end(&play, id, Said::Failed).await.unwrap();
    assert!(matches!(failed, Outcome::Failed { .. }), "{failed:?}");
    assert_eq!(play.stage.books(), [0, 0, 0]);
}
