//! Transfers to addresses of quotes when the chain, its nodes or the books are not as they should be: what came is counted once
//! and moved on all the same.

use std::sync::Arc;

use crate::support;
use crate::support::fickle::Fickle;
use crate::support::play::{NOW, Play, token};
use crate::support::scene::{DAY, OTHER, QUOTE, Scene, key, tell};
use crate::support::{CHAIN, Hands, Stage, chain_with, payee, token_at};
use farthing_channel::{Address, Digest, Word, call};
use farthing_engine::{QuoteId, Read};
use farthing_evm::{Block, Effect, InletRound, Node, NodeError};
use farthing_money::Amount;

/// A scene whose node may be told not to know something.
fn fickle() -> (Scene, Arc<Fickle>) {
    fickle_with(1)
}

fn fickle_with(confirmations: u64) -> (Scene, Arc<Fickle>) {
    let play = Play::with(|chain| chain.watched_blocks = 8);
    let node = Arc::new(Fickle::new(Arc::clone(&play.node)));
    let mut chain = chain_with(vec![token_at(token())]);
    chain.watched_blocks = 8;
    chain.confirmations = confirmations;
    let stage = Stage::new(chain, Arc::clone(&node) as Arc<dyn Node>, play.stage.hands.clone());
    (Scene::of(Play { stage, ..play }), node)
}

/// Went wrong: the newest block was asked for after the quotes were read, so that what was paid to one that was opened in
/// between lay in a block that counted as looked at.
#[tokio::test]
async fn a_quote_that_is_opened_while_the_head_is_asked_for_is_paid() {
    let (scene, node) = fickle();
    scene.open(OTHER);
    scene.look().await;
    let play = &scene.play;
    play.node.mint(token(), support::key(3).address(), Amount::new(400));
    let input = call::transfer(key(QUOTE).address(), Word::from(Amount::new(400)));
    let signed = play.signed_by_other(token(), input).await;
    let (chain, desk, hands) =
        (Arc::clone(&play.node), Arc::clone(&play.stage.desk), play.stage.hands.clone());
    node.before_head(move || {
        Box::pin(async move {
            tell(&desk, &hands, (QUOTE, 0, vec![]));
            chain.send(signed).await.unwrap();
            chain.mine();
        })
    });
    for _ in 0..3 {
        scene.look().await;
        scene.play.node.mine();
    }
    assert_eq!(scene.paid(QUOTE), 400);
}

/// Went wrong: the newest block was one of another branch, so that a transfer in the newest block seemed to be as deep as it has
/// to be, and counted.
#[tokio::test]
async fn what_lies_deep_on_no_branch_does_not_count() {
    let (scene, node) = fickle_with(3);
    let inlet = scene.open(QUOTE);
    scene.look().await;
    scene.send(inlet, 400).await;
    let head = scene.play.node.head().await.unwrap();
    let elsewhere = Digest::from_bytes([9; 32]);
    node.say_head(Some(Block { number: head.number + 2, hash: elsewhere, parent: elsewhere, ..head }));
    assert!(scene.watcher.run_once().await.is_err(), "nothing is passed over");
    assert_eq!(scene.paid(QUOTE), 0);
    node.say_head(None);
    scene.play.node.mine();
    scene.play.node.mine();
    assert_eq!(scene.look().await.counted, 1);
    assert_eq!(scene.paid(QUOTE), 400);
}

/// Went wrong: a node that had not seen a block said that nothing was in it, and the block counted as looked at.
#[tokio::test]
async fn a_node_that_says_too_little_is_asked_again() {
    let (scene, node) = fickle();
    let inlet = scene.open(QUOTE);
    scene.look().await;
    scene.send(inlet, 400).await;
    node.say_no_logs();
    assert_eq!(scene.look().await.counted, 0);
    scene.play.node.mine();
    assert_eq!(scene.look().await.counted, 1);
    assert_eq!(scene.paid(QUOTE), 400);
    // One that does not even have the block is not believed at all.
    scene.send(inlet, 50).await;
    node.say_no_logs();
    node.hide_after_logs(scene.play.node.head().await.unwrap().number);
    assert!(scene.watcher.run_once().await.is_err());
    node.hide(None);
    assert_eq!(scene.look().await.counted, 1);
    assert_eq!(scene.paid(QUOTE), 450);
}

/// Went wrong: the calls that move something on were counted anew when a quote was asked for again, and one of that name had
/// been made before: what came to it then stayed there for good.
#[tokio::test]
async fn what_comes_to_a_forgotten_quote_is_moved_on_as_well() {
    let scene = Scene::with(|chain| chain.watched_blocks = 2);
    let inlet = scene.open(QUOTE);
    scene.send(inlet, 600).await;
    scene.look().await;
    for _ in 0..8 {
        scene.play.stage.round().await;
        scene.play.node.mine();
        scene.look().await;
    }
    scene.play.stage.hands.pass(2 * DAY);
    scene.look().await;
    assert_eq!(scene.play.stage.desk.inlet(QUOTE).unwrap(), None, "it is over");
    scene.open_since(QUOTE, 3 * DAY, vec![CHAIN.number()]);
    scene.send(inlet, 700).await;
    scene.play.node.mine_at(scene.play.stage.hands.now());
    assert_eq!(scene.look().await, InletRound { counted: 1, undone: 0, swept: 1 });
    for _ in 0..2 {
        scene.play.stage.round().await;
        scene.play.node.mine();
    }
    assert_eq!(scene.play.node.units(token(), payee()), Amount::new(1_300));
    assert_eq!((scene.missing().await, scene.paid(QUOTE)), (0, 1_300));
}

/// Went wrong: a search that a node refused ended the round, so that nothing was moved on and no other search had its turn.
#[tokio::test]
async fn a_search_that_fails_holds_nothing_up() {
    let scene = Scene::new();
    scene.look().await;
    let quotes: Vec<_> = (10..16).map(|n| QuoteId::from_bytes([n; 16])).collect();
    for quote in &quotes {
        scene.send(key(*quote).address(), 100).await;
    }
    for _ in 0..50 {
        scene.play.node.mine();
    }
    let inlet = scene.open(OTHER);
    scene.look().await;
    scene.send(inlet, 600).await;
    for quote in &quotes {
        scene.open_since(*quote, DAY, vec![CHAIN.number()]);
    }
    // Whoever asks what this one has learns nothing.
    let stuck = call::balance_of(key(quotes[0]).address());
    scene.play.node.on(token(), &stuck, Effect::Refuses("no".into()));
    assert_eq!(scene.look().await, InletRound { counted: 4, undone: 0, swept: 1 }, "four at once");
    assert_eq!(scene.look().await.counted, 2, "the turn of the others");
    assert_eq!(quotes.iter().filter(|quote| scene.paid(**quote) == 100).count(), 5);
    scene.play.node.forget(token());
    assert_eq!(scene.look().await.counted, 0, "it rests");
    scene.play.stage.hands.pass(61);
    assert_eq!(scene.look().await.counted, 1);
    assert_eq!(scene.missing().await, 0);
}

/// A long search goes on where it was, and lets the others go on meanwhile.
#[tokio::test]
async fn a_long_search_takes_several_rounds() {
    let scene = Scene::new();
    let inlet = key(QUOTE).address();
    scene.send(inlet, 100).await;
    for _ in 0..40_000 {
        scene.play.node.mine();
    }
    scene.send(inlet, 10).await;
    scene.open_since(QUOTE, DAY, vec![CHAIN.number()]);
    assert_eq!(
        (scene.look().await.counted, scene.paid(QUOTE)),
        (2, 110),
        "the newest block is looked at too"
    );
    assert_eq!(scene.inlet(QUOTE).search, [CHAIN.number()]);
    for _ in 0..2 {
        scene.look().await;
    }
    assert!(scene.inlet(QUOTE).search.is_empty());
    assert_eq!(scene.paid(QUOTE), 110);
}

/// Went wrong: what had been moved on before a restore lay at no address any more, so that nobody searched for it.
#[tokio::test]
async fn what_was_moved_on_is_found_after_a_restore() {
    let scene = Scene::new();
    let inlet = scene.open(QUOTE);
    scene.send(inlet, 600).await;
    scene.look().await;
    scene.play.stage.round().await;
    scene.play.node.mine();
    assert_eq!(scene.play.node.units(token(), inlet), Amount::ZERO);
    // The books of before, much later: the newest blocks say nothing of it.
    let Scene { play, .. } = scene;
    let hands = Hands::at(NOW + 7_200);
    play.node.mine_at(hands.now());
    for _ in 0..50 {
        play.node.mine();
    }
    let stage =
        Stage::new(chain_with(vec![token_at(token())]), Arc::clone(&play.node) as Arc<dyn Node>, hands);
    let scene = Scene::of(Play { stage, ..play });
    scene.open(OTHER);
    assert_eq!(scene.look().await, InletRound::default());
    scene.open_since(QUOTE, 7_200, vec![CHAIN.number()]);
    assert_eq!(scene.look().await, InletRound { counted: 1, undone: 0, swept: 1 });
    assert_eq!(scene.paid(QUOTE), 600);
    // The books learn that it was moved on, and nothing moves twice.
    for _ in 0..70 {
        scene.play.stage.round().await;
        scene.play.node.mine();
        scene.play.stage.hands.pass(60);
        scene.look().await;
    }
    assert_eq!((scene.missing().await, scene.inlet(QUOTE).holds), (0, vec![]));
}

/// Went wrong: a transaction that moves something to somebody else after a fork still counted for the quote.
#[tokio::test]
async fn what_goes_to_somebody_else_after_a_fork_is_taken_back() {
    let scene = Scene::new();
    let (inlet, splitter) = (scene.open(QUOTE), Address::from_bytes([0x77; 20]));
    scene.play.node.put_code(splitter);
    scene.play.node.mint(token(), splitter, Amount::new(400));
    let sends =
        |to: Address| Effect::Carries(vec![(token(), call::transfer(to, Word::from(Amount::new(400))))]);
    scene.play.node.mine();
    scene.look().await;
    scene.play.node.on(splitter, &[1, 2, 3, 4], sends(inlet));
    scene.play.send_as_other(splitter, vec![1, 2, 3, 4]).await;
    scene.play.node.mine();
    assert_eq!((scene.look().await.counted, scene.paid(QUOTE)), (1, 400));
    scene.play.node.forget(splitter);
    scene.play.node.on(splitter, &[1, 2, 3, 4], sends(payee()));
    scene.play.node.fork(1, false);
    scene.play.node.mine();
    assert_eq!(scene.look().await.undone, 1);
    assert_eq!(scene.paid(QUOTE), 0);
}

/// Went wrong: while a node could not say what became of a counted transfer, what replaced it was counted as well.
#[tokio::test]
async fn nothing_is_counted_while_it_is_not_known_what_still_stands() {
    let (scene, node) = fickle();
    let inlet = scene.open(QUOTE);
    scene.look().await;
    scene.send(inlet, 400).await;
    for _ in 0..3 {
        scene.play.node.mine();
    }
    assert_eq!(scene.look().await.counted, 1);
    scene.play.node.fork(4, true);
    scene.send(inlet, 300).await;
    node.hide(Some(1));
    assert_eq!(scene.look().await, InletRound::default());
    assert_eq!(scene.paid(QUOTE), 400);
    node.hide(None);
    assert_eq!(scene.look().await, InletRound { counted: 1, undone: 1, swept: 0 });
    assert_eq!((scene.paid(QUOTE), scene.missing().await), (300, 0));
}

/// Went wrong: while the books still had what was just moved on, what came new was shown as counted.
#[tokio::test]
async fn what_comes_after_a_move_is_shown_as_not_counted() {
    let scene = Scene::new();
    let inlet = scene.open(QUOTE);
    scene.send(inlet, 600).await;
    scene.look().await;
    scene.play.stage.round().await;
    scene.play.mine_and_look().await;
    scene.send(inlet, 70).await;
    let lying = scene.watcher.lying_there().await.unwrap()[0];
    assert_eq!((lying.counted, lying.uncounted), (Amount::ZERO, Amount::new(70)));
    let slow = NodeError::Slow { node: "n".into(), seconds: 1 };
    scene.play.node.fail_next("head", slow);
    assert!(scene.watcher.run_once().await.is_err());
}
