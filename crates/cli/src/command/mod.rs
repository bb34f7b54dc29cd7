//! The commands, one file each.

mod check;
mod price;
mod price_explain;
mod price_list;
mod receipt;
mod schema;

use clap::Subcommand;

use crate::exit::Failure;
use crate::output::Output;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look whether a configuration is sound, and tell every mistake in it
    Check(check::Check),
    /// Prices: what costs how much, and why
    #[command(subcommand)]
    Price(price::Price),
    /// Receipts: proof of what was paid
    #[command(subcommand)]
    Receipt(receipt::Receipt),
    /// Commands, flags, exit codes and configuration keys as JSON, for programs
    Schema(schema::Schema),
}

/// Runs one command.
pub fn run(command: Command, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Check(check) => check.run(output),
        Command::Price(price) => price.run(output),
        Command::Receipt(receipt) => receipt.run(output),
        Command::Schema(schema) => schema.run(output),
    }
}
