//! `farthing sandbox`: the server of a configuration in memory, with credits for nothing and a clock that is moved by request.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use farthing_gate::flow::system_clock;
use farthing_server::app::Ready;
use farthing_server::sandbox::{self, CLOCK_PATH};
use tokio::sync::oneshot;

use crate::args::ConfigFile;
use crate::exit::Failure;
use crate::log::Level;
use crate::output::Output;
use crate::{play, ready_file, runtime};

#[derive(Debug, Args)]
pub struct Sandbox {
    #[command(flatten)]
    config: ConfigFile,
    /// Where the gate listens instead
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Write a JSON file with the addresses once the server answers; it appears whole or not at all
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// How much is written to stderr meanwhile
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: Level,
}

impl Sandbox {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let path = self.config.path();
        let mut config = self.config.load()?;
        if let Some(listen) = self.listen {
            config.server.listen = listen;
            // Whoever reaches it elsewhere than the real one knows it by its address.
            config.server.public_url = None;
        }
        self.log.begin();
        // For the operator's socket, which goes with the sandbox.
        let folder = play::passing_folder()?;
        let (failed, failure) = oneshot::channel();
        let on_ready = |ready: &Ready| {
            if let Err(failure) = self.announce(output, ready) {
                // The receiver waits as long as the server runs.
                let _ = failed.send(failure);
            }
        };
        let runtime = runtime::server()?;
        let ended = runtime.block_on(runtime::serve_until_told(output, failure, |stop| {
            sandbox::run(config, (&path, folder.path()), system_clock(), on_ready, stop)
        }));
        runtime.shutdown_background();
        ended
    }

    fn announce(&self, output: &Output, ready: &Ready) -> Result<(), Failure> {
        if let Some(file) = &self.ready_file {
            ready_file::write(file, ready)?;
        }
        output.say(format_args!("a sandbox on {}: nothing in it is kept or worth anything", ready.gate));
        if let Some(features) = &ready.features {
            output.say(format_args!("your software asks at {features}/v1/authorize"));
        }
        output.say(format_args!(
            "move its clock: curl -X POST {}{CLOCK_PATH} -d '{{\"by\":\"31d\"}}'",
            ready.gate
        ));
        Ok(())
    }
}
