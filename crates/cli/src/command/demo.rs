//! `farthing demo`: a site, a gate and an issuer on this machine, offline, and what to try with them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use farthing_gate::flow::system_clock;
use farthing_server::demo::{self, CODE_AMOUNT, DemoError, DemoReady};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::exit::{Exit, Failure};
use crate::log::Level;
use crate::output::{Output, View};
use crate::{play, ready_file, runtime};

#[derive(Debug, Args)]
pub struct Demo {
    /// Where the gate listens; any free port if this one is taken
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8402")]
    listen: SocketAddr,
    /// The folder of site, books and keys, kept afterwards; otherwise one that goes with the demo
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Write a JSON file with the addresses and the code once the demo answers
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// How much is written to stderr meanwhile
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    log: Level,
    /// Tell the whole story instead: ask, top up, pay, come back, check the books; then end
    #[arg(long, conflicts_with_all = ["listen", "data", "ready_file"])]
    play: bool,
}

impl Demo {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        self.log.begin();
        if self.play {
            return play::run(output);
        }
        let (folder, _kept_until_the_end) = self.folder()?;
        let (failed, failure) = oneshot::channel();
        let on_ready = |ready: &DemoReady| {
            if let Err(failure) = self.announce(output, ready) {
                // The receiver waits as long as the demo runs.
                let _ = failed.send(failure);
            }
        };
        let runtime = runtime::server()?;
        let ended = runtime.block_on(runtime::serve_until_told(output, failure, |stop| {
            demo::run(&folder, self.listen, system_clock(), on_ready, stop)
        }));
        runtime.shutdown_background();
        ended
    }

    fn folder(&self) -> Result<(PathBuf, Option<tempfile::TempDir>), Failure> {
        match &self.data {
            Some(folder) => Ok((folder.clone(), None)),
            None => play::passing_folder().map(|folder| (folder.path().to_owned(), Some(folder))),
        }
    }

    fn announce(&self, output: &Output, ready: &DemoReady) -> Result<(), Failure> {
        if ready.is_other_address {
            output.say(format_args!("{} is taken; another port serves instead", self.listen));
        }
        if let Some(file) = &self.ready_file {
            ready_file::write(file, ready)?;
        }
        output.show(ready)?;
        if let Ok(program) = std::env::current_exe() {
            output.say(format_args!("\nhere `farthing` is {}; Ctrl-C ends the demo", short(&program)));
        }
        Ok(())
    }
}

/// The program's path, from where we are if that is above it.
fn short(program: &Path) -> String {
    let here = std::env::current_dir().ok();
    let below = here.and_then(|here| program.strip_prefix(here).ok().map(Path::to_path_buf));
    below.map_or_else(|| program.display().to_string(), |below| format!("./{}", below.display()))
}

impl View for DemoReady {
    fn json(&self) -> Value {
        json!(self)
    }

    fn text(&self) -> String {
        let (gate, issuer, code) = (&self.server.gate, &self.server.issuer, &self.code);
        format!(
            "a site with a gate in front:  {gate}\n\
             the issuer of its credits:    {issuer}\n\
             a top-up code of {CODE_AMOUNT}:    {code}\n\
             \n\
             try, in another terminal:\n\
             \x20 curl -i {gate}/article.html\n\
             \x20 farthing wallet redeem {code} --mint {issuer}\n\
             \x20 farthing pay {gate}/article.html\n\
             \x20 farthing pay -L {gate}/pass/day    (all pages, for a day)\n\
             \x20 farthing ledger trial --config {}",
            self.config.display()
        )
    }
}

impl From<DemoError> for Failure {
    fn from(error: DemoError) -> Self {
        match error {
            DemoError::Config(error) => error.into(),
            DemoError::Open(error) => error.into(),
            DemoError::Serve(error) => error.into(),
            DemoError::Access(error) => error.into(),
            DemoError::Foreign(_) => Self::new(Exit::Failed, error.to_string())
                .hint("name a new folder with --data, or leave it out"),
            error => Self::new(Exit::Failed, error.to_string()),
        }
    }
}
