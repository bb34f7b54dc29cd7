//! `farthing demo --play`: the demo tells its own story. Each step is a real command or request against real servers,
//! shown with what it said; what was expected of it is checked, and the first difference ends the story.

mod shown;
mod stage;
mod story;

use std::net::{Ipv4Addr, SocketAddr};

use farthing_gate::flow::system_clock;
use farthing_server::demo::{self, DemoReady};
use tokio::sync::oneshot;

use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::runtime;
use stage::Stage;

/// Starts the demo, tells the story and ends the demo.
pub fn run(output: &Output) -> Result<(), Failure> {
    let home = passing_folder()?;
    let runtime = runtime::server()?;
    let told = runtime.block_on(async {
        let mut signals = runtime::Signals::listen()?;
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let folder = home.path().join("demo");
        let (send, ready) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let on_ready = |known: &DemoReady| {
            // The story waits for it.
            let _ = send.send(known.clone());
        };
        let until_stopped = async {
            let _ = stopped.await;
        };
        let tell = async {
            let lost = |_| Failure::new(Exit::Failed, "the demo ended before it was ready");
            let ready = ready.await.map_err(lost)?;
            let told = story::tell(&Stage::new(output, home.path(), ready)?).await;
            drop(stop);
            told
        };
        let served = demo::run(&folder, any_port, system_clock(), on_ready, until_stopped);
        let story = async {
            let (served, told) = tokio::join!(served, tell);
            served.map_err(Failure::from).and(told)
        };
        tokio::select! {
            told = story => told,
            // So that the folder goes even then.
            () = signals.next() => Err(Failure::new(Exit::Failed, "the story was interrupted")),
        }
    });
    runtime.shutdown_background();
    told
}

/// A folder that goes with the program.
pub fn passing_folder() -> Result<tempfile::TempDir, Failure> {
    let folder = tempfile::Builder::new().prefix("farthing-demo-").tempdir();
    folder.map_err(|error| Failure::new(Exit::Failed, format!("cannot make a folder for the demo: {error}")))
}
