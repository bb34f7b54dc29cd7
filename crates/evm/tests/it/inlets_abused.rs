//! What somebody does with what he sees of transfers to addresses of quotes: the authorizations that move them on.

use crate::support::payee;
use crate::support::payer::Transfer;
use crate::support::play::{PRICE, token};
use crate::support::scene::{QUOTE, Scene};
use farthing_channel::Address;
use farthing_engine::{CallId, CallRow, Purpose, Read};
use farthing_evm::{Effect, NotVerified, Said};
use farthing_money::Amount;
use farthing_wire::x402::{Payload, Reason};

/// The selector of `transferWithAuthorization`.
const CARRIED: [u8; 4] = [0xe3, 0xee, 0x16, 0x0e];

/// A quote whose address has got the price of a page, and the call that moves it on.
async fn swept() -> (Scene, CallId, CallRow) {
    let scene = Scene::new();
    let inlet = scene.open(QUOTE);
    scene.send(inlet, PRICE).await;
    let round = scene.look().await;
    assert_eq!((round.counted, round.swept), (1, 1));
    let calls = scene.play.stage.desk.calls().unwrap();
    let (id, row) = calls.into_iter().find(|(_, row)| matches!(row.purpose, Purpose::Sweep(_))).unwrap();
    (scene, id, row)
}

/// The authorization of a call, as a payment.
fn as_payment(scene: &Scene, row: &CallRow) -> Payload {
    let word = |n: usize| -> [u8; 32] { row.call.input[4 + 32 * n..36 + 32 * n].try_into().unwrap() };
    let number = |n: usize| u64::from_be_bytes(word(n)[24..].try_into().unwrap());
    let address = |n: usize| Address::from_bytes(word(n)[12..].try_into().unwrap());
    let transfer = Transfer {
        from: address(0),
        to: address(1),
        value: u128::from(number(2)),
        valid_after: number(3),
        valid_before: number(4),
        nonce: word(5),
    };
    let mut signature = [word(7), word(8)].concat();
    signature.push(word(6)[31]);
    transfer.signed_with(&scene.play.offer, &signature)
}

/// Went wrong: the authorization that moves on what came to a quote's address is a payment to us like any other, so that whoever
/// saw it on the chain bought a page with what had paid the quote already.
#[tokio::test]
async fn what_moves_money_on_pays_for_nothing() {
    let (scene, id, row) = swept().await;
    let payload = as_payment(&scene, &row);
    let facilitator = &scene.play.stage.facilitator;
    let refused = facilitator.verify(&scene.play.offer, &payload).await;
    let Err(NotVerified::Invalid(refused)) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.reason, Reason::NonceAlreadyUsed);
    let call = facilitator.call_of(&scene.play.offer, &payload, Amount::new(PRICE));
    assert_eq!(call.unwrap_err().reason, Reason::NonceAlreadyUsed);
    // The token refuses once, so that the bytes are known and nothing has moved.
    scene.play.node.on(token(), &CARRIED, Effect::Refuses("Pausable: paused".into()));
    scene.play.stage.round().await;
    assert!(scene.play.stage.failure(id).is_some());
    scene.play.node.forget(token());
    assert!(facilitator.verify(&scene.play.offer, &payload).await.is_err());
    // Somebody carries it: it moves what it should, and nothing more is in the books.
    scene.play.send_as_other(token(), row.call.input.clone()).await;
    scene.play.node.mine();
    assert_eq!(scene.play.node.units(token(), payee()), Amount::new(PRICE));
    assert_eq!(scene.missing().await, 0);
}

/// Went wrong: what nobody but the operator could end was told to end by itself.
#[tokio::test]
async fn a_call_that_moves_money_on_is_ended_by_hand() {
    let (scene, id, row) = swept().await;
    let submitter = scene.play.stage.submitter();
    let early = submitter.end_by_hand(id, Said::Failed).await;
    assert!(early.is_err(), "it may still be carried out");
    scene.play.send_as_other(token(), row.call.input.clone()).await;
    scene.play.node.mine();
    scene.play.stage.hands.pass(3_700);
    scene.play.node.mine_at(scene.play.stage.hands.now());
    submitter.end_by_hand(id, Said::Failed).await.unwrap();
    assert!(scene.play.stage.is_settled(id), "the chain's word goes first");
    scene.look().await;
    assert_eq!(scene.missing().await, 0);
}

/// Went wrong: after a start another authorization was signed while that of a failed call could still be carried, and both
/// together moved more on than was counted.
#[tokio::test]
async fn no_two_authorizations_may_be_carried_at_once() {
    let (scene, _, row) = swept().await;
    scene.play.node.on(token(), &CARRIED, Effect::Refuses("Pausable: paused".into()));
    scene.play.stage.round().await;
    scene.look().await;
    scene.play.node.forget(token());
    let scene = scene.restarted();
    assert_eq!(scene.look().await.swept, 0);
    scene.play.stage.hands.set(row.call.until);
    assert_eq!(scene.look().await.swept, 0);
    scene.play.stage.hands.pass(1);
    assert_eq!(scene.look().await.swept, 1);
}
