//! The commands, one file each.

mod check;
mod code;
mod ledger;
mod price;
mod price_explain;
mod price_list;
mod receipt;
mod schema;
mod serve;

use clap::Subcommand;

use crate::exit::Failure;
use crate::output::Output;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look whether a configuration is sound, and tell every mistake in it
    Check(check::Check),
    /// Top-up codes: they buy credits
    #[command(subcommand)]
    Code(code::Code),
    /// The books: trial balance, journal, and the proof that both agree
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// Prices: what costs how much, and why
    #[command(subcommand)]
    Price(price::Price),
    /// Receipts: proof of what was paid
    #[command(subcommand)]
    Receipt(receipt::Receipt),
    /// Commands, flags, exit codes and configuration keys as JSON, for programs
    Schema(schema::Schema),
    /// Charge for what a web server has: gate, issuer and books in one
    Serve(serve::Serve),
}

/// Runs one command.
pub fn run(command: Command, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Check(check) => check.run(output),
        Command::Code(code) => code.run(output),
        Command::Ledger(ledger) => ledger.run(output),
        Command::Price(price) => price.run(output),
        Command::Receipt(receipt) => receipt.run(output),
        Command::Schema(schema) => schema.run(output),
        Command::Serve(serve) => serve.run(output),
    }
}
