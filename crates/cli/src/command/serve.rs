//! `farthing serve`: the gate and the issuer in front of a real upstream, until told to stop.

use std::path::PathBuf;

use clap::Args;
use farthing_gate::flow::system_clock;
use farthing_server::app::{self, Ready};
use farthing_server::installation::passphrase;
use tokio::sync::oneshot;

use crate::args::ConfigFile;
use crate::exit::Failure;
use crate::log::Level;
use crate::output::{Output, counted};
use crate::ready_file;
use crate::runtime;

#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    config: ConfigFile,
    /// Write a JSON file with the addresses once the server answers; it appears whole or not at all
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// How much is written to stderr meanwhile
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: Level,
}

impl Serve {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let path = self.config.path();
        let config = self.config.load()?;
        let passphrase = passphrase(&config.issuer)?;
        self.log.begin();
        let (failed, failure) = oneshot::channel();
        let on_ready = |ready: &Ready| {
            if let Err(failure) = self.announce(output, ready) {
                // The receiver waits as long as the server runs.
                let _ = failed.send(failure);
            }
        };
        let runtime = runtime::server()?;
        let ended = runtime.block_on(runtime::serve_until_told(output, failure, |stop| {
            app::run(config, Some(&path), &passphrase, system_clock(), on_ready, stop)
        }));
        runtime.shutdown_background();
        ended
    }

    fn announce(&self, output: &Output, ready: &Ready) -> Result<(), Failure> {
        if let Some(file) = &self.ready_file {
            ready_file::write(file, ready)?;
        }
        if ready.released > 0 {
            let payments = counted(ready.released, "payment");
            output.say(format_args!("the last run left {payments} on hold: released, nobody is charged"));
        }
        if ready.test_funding {
            output.warn(
                "anyone can make credits for nothing (test_funding in [issuer]); never on a real server",
            );
        }
        output.say(format_args!("listening on {}", ready.gate));
        Ok(())
    }
}
