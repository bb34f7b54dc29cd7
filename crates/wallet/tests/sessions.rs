//! Sessions of the wallet where something goes wrong: an answer that is lost for long, a shop that asks for more, somebody on the way
//! who answers in the gate's place, an owner who wants to be asked.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use farthing_money::Span;
use farthing_wallet::{Outcome, PayFlow, SessionCloseFlow, Wallet, WalletError};

use crate::world::vault::SharedVault;
use crate::world::{Fault, World, balance, get, reopen, total_spent};

/// What a call costs in this world.
const CALL: u64 = 10_000;

fn call(world: &mut World, wallet: &mut Wallet) -> Result<Outcome, WalletError> {
    world.run(wallet, PayFlow::new(get("/call")).unwrap().in_sessions(None))
}

fn close(world: &mut World, wallet: &mut Wallet) -> Result<Outcome, WalletError> {
    let id = wallet.sessions().next().unwrap().id.clone();
    world.run(wallet, SessionCloseFlow::new(&id))
}

/// A wallet that has paid one call of a session for a hundred.
fn in_session(world: &mut World) -> (Wallet, SharedVault) {
    let (mut wallet, vault) = world.wallet_with(1 << 21);
    let paid = call(world, &mut wallet).unwrap();
    assert!(matches!(paid, Outcome::Paid(_)), "{paid:?}");
    assert_eq!(total_spent(&wallet), 100 * CALL);
    (wallet, vault)
}

/// What went wrong: the answer to a closing was lost, the issuer forgot the session meanwhile, and the wallet took the counters of
/// its outputs back: what had come back was never found.
#[test]
fn what_came_back_is_found_when_the_issuer_has_forgotten_the_session() {
    for is_killed in [false, true] {
        let mut world = World::new();
        let (mut wallet, vault) = in_session(&mut world);
        world.now = world.now.after(Span::from_secs(2 * 86_400));
        // The first request is for the keysets.
        world.faults = vec![Fault::None, Fault::AnswerLost];
        close(&mut world, &mut wallet).unwrap_err();
        world.faults.clear();
        world.sessions.rows.clear();
        if is_killed {
            wallet = reopen(&vault);
        }
        let closed = close(&mut world, &mut wallet).unwrap();
        let Outcome::SessionClosed { back, .. } = closed else { panic!("it is closed, got {closed:?}") };
        assert_eq!(back.amount().to_u64(), Some(99 * CALL));
        assert_eq!(balance(&wallet), ((1 << 21) - CALL, 0));
        assert_eq!(
            (total_spent(&wallet), wallet.sessions().count(), wallet.attempts().count()),
            (CALL, 0, 0)
        );
        // The counters go on above those that were signed.
        world.pay(&mut wallet, "/page").unwrap();
        assert_eq!(balance(&wallet), ((1 << 21) - 2 * CALL, 0));
    }
}

/// What went wrong: a closing that was refused for the moment, because it was still under way, was begun anew with other outputs.
#[test]
fn a_closing_that_is_refused_for_the_moment_is_the_same_request_again() {
    let mut world = World::new();
    let (mut wallet, _) = in_session(&mut world);
    world.faults = vec![Fault::AnswerLost];
    close(&mut world, &mut wallet).unwrap_err();
    world.faults.clear();
    world.sessions.closing_for_now = true;
    close(&mut world, &mut wallet).unwrap_err();
    world.sessions.closing_for_now = false;
    assert!(matches!(close(&mut world, &mut wallet), Ok(Outcome::SessionClosed { .. })));
    assert_eq!(balance(&wallet), ((1 << 21) - CALL, 0));
}
