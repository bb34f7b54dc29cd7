//! Plain transfers to addresses of quotes, on a chain in memory: counted once and deep enough, in parts, late, after a crash,
//! taken back by a fork, and moved on.

use crate::support::play::{GAS, token};
use crate::support::scene::{DAY, OTHER, QUOTE, Scene};
use crate::support::{CHAIN, payee};
use farthing_engine::{QuoteId, Read};
use farthing_evm::{ChainConfig, Effect, InletRound, Node, NodeError, TokenConfig};
use farthing_money::Amount;

#[tokio::test]
async fn a_transfer_counts_when_it_is_deep_enough_and_once() {
    let scene = Scene::with(|chain| chain.confirmations = 3);
    scene.play.node.mine();
    let inlet = scene.open(QUOTE);
    assert_eq!(scene.look().await, InletRound::default());
    scene.send(inlet, 400).await;
    for _ in 0..2 {
        assert_eq!(scene.look().await.counted, 0);
        scene.play.node.mine();
    }
    assert_eq!(scene.paid(QUOTE), 0);
    assert_eq!(scene.look().await.counted, 1);
    scene.play.node.mine();
    assert_eq!(scene.look().await, InletRound::default());
    assert_eq!((scene.paid(QUOTE), scene.missing().await), (400, 0));
    let scene = scene.restarted();
    assert_eq!(scene.look().await, InletRound::default());
    assert_eq!(scene.paid(QUOTE), 400);
}

#[tokio::test]
async fn parts_add_up_and_quotes_are_told_apart() {
    let scene = Scene::new();
    let (first, second) = (scene.open(QUOTE), scene.open(OTHER));
    assert_ne!(first, second);
    scene.send(first, 100).await;
    scene.send(second, 30).await;
    scene.send(first, 100).await;
    scene.send(payee(), 5).await;
    assert_eq!(scene.look().await.counted, 3);
    assert_eq!((scene.paid(QUOTE), scene.paid(OTHER)), (200, 30));
    assert_eq!(scene.missing().await, -5, "what came to us directly is nobody's quote");
}

#[tokio::test]
async fn what_came_while_nobody_looked_is_found_after_a_start() {
    let scene = Scene::new();
    let inlet = scene.open(QUOTE);
    scene.look().await;
    scene.send(inlet, 100).await;
    for _ in 0..3_000 {
        scene.play.node.mine();
    }
    let scene = scene.restarted();
    assert_eq!(scene.look().await.counted, 1);
    scene.send(inlet, 11).await;
    let scene = scene.restarted();
    scene.play.node.take_asked();
    assert_eq!(scene.look().await.counted, 1);
    let logs = scene.play.node.take_asked().into_iter().filter(|name| *name == "logs").count();
    assert_eq!(logs, 1, "the books say how far was looked");
    assert_eq!(scene.paid(QUOTE), 111);
}

#[tokio::test]
async fn a_fork_takes_a_transfer_back_and_brings_it_again() {
    let scene = Scene::new();
    let inlet = scene.open(QUOTE);
    scene.look().await;
    scene.send(inlet, 600).await;
    assert_eq!(scene.look().await.counted, 1);
    scene.play.node.fork(1, false);
    assert_eq!(scene.look().await.undone, 1);
    assert_eq!((scene.paid(QUOTE), scene.inlet(QUOTE).holds.len()), (0, 0));
    scene.play.node.mine();
    assert_eq!(scene.look().await.counted, 1, "it waited, and is in another block now");
    assert_eq!((scene.paid(QUOTE), scene.missing().await), (600, 0));
    // One that comes while nobody looks is seen by the next start.
    let scene = scene.restarted();
    scene.play.node.fork(1, true);
    assert_eq!(scene.look().await.undone, 1);
    assert_eq!((scene.paid(QUOTE), scene.missing().await), (0, 0));
}

#[tokio::test]
async fn a_node_that_is_behind_silent_or_of_two_minds_costs_time_and_nothing_else() {
    let scene = Scene::new();
    let inlet = scene.open(QUOTE);
    scene.look().await;
    scene.send(inlet, 100).await;
    let faults = [
        NodeError::Slow { node: "n".into(), seconds: 1 },
        NodeError::Unreachable { node: "n".into(), cause: "x".into() },
    ];
    for question in ["head", "block", "receipt"] {
        for fault in faults.clone() {
            scene.play.node.fail_next(question, fault);
            assert!(scene.watcher.run_once().await.is_err(), "{question}");
            assert_eq!(scene.paid(QUOTE), 0);
        }
    }
    // Many nodes take no long stretch.
    for _ in 0..3 {
        scene.play.node.mine();
        let refused = NodeError::Refused { code: -32_000, message: "range too large".into() };
        scene.play.node.fail_next("logs", refused);
    }
    assert_eq!(scene.look().await.counted, 1);
    assert_eq!(scene.paid(QUOTE), 100);
}

#[tokio::test]
async fn what_comes_late_is_found_when_it_is_asked_for() {
    let scene = Scene::new();
    let inlet = scene.open(QUOTE);
    scene.look().await;
    scene.play.stage.hands.pass(2 * DAY);
    scene.look().await;
    assert_eq!(scene.play.stage.desk.inlet(QUOTE).unwrap(), None, "nobody has paid, it is over");
    assert_eq!(scene.play.stage.desk.mint_quote(QUOTE).unwrap(), None);
    scene.open(OTHER);
    scene.send(inlet, 100).await;
    for _ in 0..1_500 {
        scene.play.node.mine();
    }
    assert_eq!(scene.look().await.counted, 0);
    scene.open_since(QUOTE, 2 * DAY, vec![CHAIN.number()]);
    assert_eq!(scene.look().await.counted, 1);
    assert_eq!((scene.paid(QUOTE), scene.inlet(QUOTE).search), (100, vec![]));
    assert_eq!(scene.missing().await, 0);
    // Where nothing lies, nothing is searched.
    let third = QuoteId::from_bytes([9; 16]);
    scene.open_since(third, 2 * DAY, vec![CHAIN.number()]);
    scene.play.node.take_asked();
    scene.look().await;
    assert!(!scene.play.node.take_asked().contains(&"logs"));
    assert!(scene.inlet(third).search.is_empty());
}

#[tokio::test]
async fn what_is_worth_its_gas_is_moved_on() {
    let scene = Scene::with(|chain| chain.watched_blocks = 2);
    let inlet = scene.open(QUOTE);
    scene.send(inlet, 400).await;
    assert_eq!(scene.look().await, InletRound { counted: 1, undone: 0, swept: 0 });
    scene.send(inlet, 200).await;
    assert_eq!(scene.look().await, InletRound { counted: 1, undone: 0, swept: 1 });
    assert_eq!(scene.look().await.swept, 0, "one at a time");
    scene.play.stage.round().await;
    // More comes meanwhile, and stays.
    scene.send(inlet, 7).await;
    scene.play.stage.round().await;
    scene.look().await;
    assert_eq!(scene.play.node.units(token(), payee()), Amount::new(600));
    assert_eq!((scene.missing().await, scene.paid(QUOTE)), (0, 607));
    for _ in 0..6 {
        scene.play.mine_and_look().await;
        scene.look().await;
    }
    let left = scene.inlet(QUOTE);
    assert_eq!((left.sweep, left.holds.len(), left.holds[0].units), (None, 1, Amount::new(7)));
    assert_eq!(scene.missing().await, 0);
    let spent = scene.play.stage.chain.gas_accounts().spent;
    assert_eq!(-scene.play.stage.desk.credit_balance(spent), GAS, "its gas is in the books");
}

#[tokio::test]
async fn what_a_token_does_not_let_go_stays_and_is_tried_again() {
    let scene = Scene::new();
    let inlet = scene.open(QUOTE);
    scene.send(inlet, 900).await;
    scene.look().await;
    scene.play.node.on(token(), &[0xe3, 0xee, 0x16, 0x0e], Effect::Refuses("Pausable: paused".into()));
    scene.play.stage.round().await;
    assert_eq!(scene.look().await.swept, 0);
    assert_eq!(scene.look().await.swept, 0, "not at once");
    assert_eq!((scene.inlet(QUOTE).sweep, scene.missing().await), (None, 0));
    scene.play.node.forget(token());
    scene.play.stage.hands.pass(3_601);
    assert_eq!(scene.look().await.swept, 1);
    scene.play.stage.round().await;
    scene.play.mine_and_look().await;
    assert_eq!(scene.play.node.units(token(), payee()), Amount::new(900));
    assert_eq!(scene.missing().await, 0);
}

#[tokio::test]
async fn what_does_not_count_is_shown() {
    let fine = |chain: &mut ChainConfig| chain.tokens[0].decimals = 8;
    let scene = Scene::with(fine);
    let inlet = scene.open(QUOTE);
    scene.send(inlet, 1_234).await;
    scene.send(inlet, 99).await;
    assert_eq!(scene.look().await.counted, 1);
    assert_eq!(scene.paid(QUOTE), 12);
    let lying = scene.watcher.lying_there().await.unwrap()[0];
    assert_eq!((lying.counted, lying.uncounted), (Amount::new(1_200), Amount::new(133)));
}

#[tokio::test]
async fn tokens_that_need_gas_to_be_moved_on_are_not_taken() {
    let plain = |chain: &mut ChainConfig| {
        let token = chain.tokens.remove(0);
        chain.tokens.push(TokenConfig { eip3009: false, ..token });
    };
    let scene = Scene::with(plain);
    assert_eq!(scene.watcher.tokens().count(), 0);
    let inlet = scene.open(QUOTE);
    scene.send(inlet, 100).await;
    scene.play.node.take_asked();
    assert_eq!(scene.look().await, InletRound::default());
    assert!(scene.play.node.take_asked().is_empty());
    let head = scene.play.node.head().await.unwrap();
    assert_eq!(head.number, 1);
}
