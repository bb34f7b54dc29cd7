//! Several flows at once over one wallet: each takes its turn with the wallet between two requests, which overlap.

use std::cell::RefCell;
use std::rc::Rc;

use farthing_wallet::{Flow, Outcome, WalletError};
use tokio::task::LocalSet;

use super::delivery::Delivery;
use super::driver::{Payer, drive, now};
use crate::exit::{Exit, Failure};

/// What came of one flow.
pub type End = Result<Outcome, WalletError>;

fn broken<E>(_: E) -> Failure {
    Failure::new(Exit::Failed, "expected every request to end, got one that did not")
}

impl Payer {
    /// Runs the flows that `next` makes, `at_once` of them at a time, until it makes none any more. `ended` is told of each and
    /// says whether to go on. What is delivered goes nowhere. Answers with the payer again.
    pub async fn each<F: Flow + 'static>(
        self,
        at_once: u32,
        next: impl FnMut() -> Result<Option<F>, Failure> + 'static,
        ended: impl FnMut(End) -> bool + 'static,
    ) -> Result<Self, Failure> {
        let (wallet, client) = self.into_parts()?;
        let client = Rc::new(client);
        let (wallet, next) = (Rc::new(RefCell::new(wallet)), Rc::new(RefCell::new(next)));
        let ended = Rc::new(RefCell::new(ended));
        let set = LocalSet::new();
        let mut workers = Vec::new();
        for _ in 0..at_once.max(1) {
            let (client, wallet) = (Rc::clone(&client), Rc::clone(&wallet));
            let (next, ended) = (Rc::clone(&next), Rc::clone(&ended));
            workers.push(set.spawn_local(async move {
                loop {
                    let made = (*next.borrow_mut())()?;
                    let Some(mut flow) = made else { return Ok(()) };
                    let step = |flow: &mut F, event| flow.next(&mut wallet.borrow_mut(), event, now());
                    let end = drive(&client, step, &mut flow, &mut Delivery::none()).await;
                    if !(*ended.borrow_mut())(end) {
                        return Ok(());
                    }
                }
            }));
        }
        set.await;
        let mut first: Result<(), Failure> = Ok(());
        for worker in workers {
            let end = worker.await.map_err(broken)?;
            first = first.and(end);
        }
        first?;
        // The workers are gone, and what they shared with them.
        let wallet = Rc::into_inner(wallet).ok_or_else(|| broken(()))?;
        Ok(Self::new(wallet.into_inner()))
    }
}
