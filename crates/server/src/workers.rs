//! What goes on in the background while the server answers: a list of short pieces of work, each done again and again.
//!
//! A worker keeps nothing between two runs but what is in the books, so that a crash in the middle costs one run. A
//! simulation runs the same pieces whenever it likes.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::installation::Installation;
use crate::liabilities::Liabilities;
use crate::life;
use crate::operator::Operator;
use crate::payouts;
use crate::{entitlements, features};

/// One run of a worker. It says itself what went wrong; the next run comes in any case.
pub type Run = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A piece of work that is done again and again.
#[derive(Clone, Copy, Debug)]
pub struct Worker {
    /// Its name.
    pub name: &'static str,
    /// How long it rests between two runs.
    pub every: Duration,
    /// Does it once.
    pub run: fn(Installation) -> Run,
}

/// All workers. To add one, add a line.
pub const WORKERS: &[Worker] = &[
    Worker { name: "keysets", every: Duration::from_mins(1), run: |at| Box::pin(rotate(at)) },
    Worker { name: "expiry", every: Duration::from_mins(10), run: |at| Box::pin(life::expire_work(at)) },
    Worker { name: "pruning", every: Duration::from_mins(30), run: |at| Box::pin(life::prune_work(at)) },
    Worker { name: "forgetting", every: Duration::from_mins(30), run: |at| Box::pin(life::forget_work(at)) },
    Worker {
        name: "entitlements",
        every: Duration::from_mins(30),
        run: |at| Box::pin(entitlements::forget_work(at)),
    },
    Worker {
        name: "authorizations",
        every: Duration::from_secs(5),
        run: |at| Box::pin(features::lapse_work(at)),
    },
    Worker { name: "uses", every: Duration::from_mins(30), run: |at| Box::pin(features::forget_work(at)) },
    Worker { name: "liabilities", every: Duration::from_mins(1), run: |at| Box::pin(state_liabilities(at)) },
    Worker { name: "rates", every: Duration::from_mins(1), run: |at| Box::pin(ask_for_rates(at)) },
    Worker { name: "sessions", every: Duration::from_secs(1), run: |at| Box::pin(fold_sessions(at)) },
    Worker { name: "payouts", every: Duration::from_secs(30), run: |at| Box::pin(payouts::worker::work(at)) },
    Worker { name: "heads", every: Duration::from_mins(10), run: |at| Box::pin(publish_heads(at)) },
];

/// Starts all workers; they end with the set.
pub(crate) fn start(tasks: &mut JoinSet<()>, installation: &Installation) {
    for worker in WORKERS {
        let installation = installation.clone();
        tasks.spawn(async move {
            let mut ticks = tokio::time::interval(worker.every);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                (worker.run)(installation.clone()).await;
            }
        });
    }
}

/// Looks at the keysets; one that is half over makes room for the next.
async fn rotate(at: Installation) {
    match at.keysets.rotate((at.clock)()).await {
        Ok(true) => tracing::info!("a new keyset signs from now on"),
        Ok(false) => {}
        Err(error) => tracing::error!(%error, "no new keyset could be opened"),
    }
}

/// Asks for rates between currencies when it is time.
async fn ask_for_rates(at: Installation) {
    at.rates.turn().await;
}

/// Brings what sessions have spent into the books.
async fn fold_sessions(at: Installation) {
    let Some(sessions) = &at.sessions else { return };
    match sessions.fold().await {
        Ok(0) => {}
        Ok(rows) => tracing::debug!(rows, "brought what sessions have spent into the books"),
        Err(error) => tracing::error!(%error, "what sessions have spent could not be brought into the books"),
    }
}

/// Signs the journal's head at the end of each day that is over.
async fn publish_heads(at: Installation) {
    match Operator::new(&at).publish_heads().await {
        Ok(0) => {}
        Ok(heads) => tracing::info!(heads, "signed the journal's head at the end of the day"),
        Err(error) => tracing::error!(%error, "the journal's head could not be signed"),
    }
}

/// Ends the epoch when it is over, and publishes what is owed.
async fn state_liabilities(at: Installation) {
    match Liabilities::new(&at).turn(at.epoch).await {
        Ok(0) => {}
        Ok(statements) => tracing::info!(statements, "signed what is owed at the end of the epoch"),
        Err(error) => tracing::error!(%error, "it could not be stated what is owed"),
    }
}
