//! The program `farthing`: read the command line, run one command, tell how it ended.

mod args;
mod command;
mod exit;
mod locale;
mod log;
mod operator;
mod output;
mod payer;
mod play;
mod ready_file;
mod runtime;
mod table;

use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use exit::Exit;
use output::Output;

/// A paid request takes memory and gives it back often, a part of it in pieces that the system's own allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing can be done if the terminal is gone.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok }.into();
        }
    };
    let output = Output::new(&cli.shape);
    match command::run(cli.command, &output) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            output.fail(&failure);
            failure.exit.into()
        }
    }
}
