//! The threads and the signals of a command that talks to anything.

use std::pin::Pin;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Resolves when a server is to stop.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A runtime for a server.
pub fn server() -> Result<Runtime, Failure> {
    Builder::new_multi_thread().enable_all().build().map_err(|error| no_runtime(&error))
}

/// Runs a command that asks and waits.
pub fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| no_runtime(&error))?.block_on(future)
}

fn no_runtime(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("expected threads and signals of the system, got: {error}"))
}

/// Serves until SIGINT or SIGTERM, then finishes what is in flight; a second signal, or a failure that comes in while it
/// serves, ends at once.
pub async fn serve_until_told<F, E>(
    output: &Output,
    failure: oneshot::Receiver<Failure>,
    serve: impl FnOnce(Stop) -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), E>>,
    E: Into<Failure>,
{
    let mut signals = Signals::listen()?;
    let (drain, drained) = oneshot::channel::<()>();
    let stop: Stop = Box::pin(async {
        // Either way it is time.
        let _ = drained.await;
    });
    let told_twice = async {
        signals.next().await;
        output.say("stopping once what is in flight is done; a second signal ends at once");
        drop(drain);
        signals.next().await;
    };
    tokio::select! {
        served = serve(stop) => served.map_err(Into::into),
        Ok(failure) = failure => Err(failure),
        () = told_twice => Err(Failure::new(Exit::Failed, "ended before what was in flight was done")
            .hint("payments that were on hold are released at the next start")),
    }
}

/// Requests to end: SIGINT and SIGTERM.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens from now on.
    pub fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| no_runtime(&error));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for the next.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
