//! The commands, one file each.

mod backup;
mod chain;
mod chain_end;
mod channel;
mod channel_watch;
mod check;
mod code;
mod code_refund;
mod demo;
mod doctor;
mod entitlement;
mod issuer;
mod issuer_epoch;
mod ledger;
mod ledger_books;
mod ledger_close;
mod ledger_entry;
mod ledger_export;
mod ledger_fx;
mod ledger_heads;
mod ledger_receipt;
mod ledger_reconcile;
mod ledger_statement;
mod pay;
mod pay_ask;
mod pay_mandate;
mod pay_many;
mod pay_quote;
mod pay_report;
mod payout;
mod payout_file;
mod payout_key;
mod price;
mod price_explain;
mod price_list;
mod rates;
mod receipt;
mod refund;
mod renewal;
mod restore;
mod sandbox;
mod schema;
mod serve;
mod wallet;
mod wallet_account;
mod wallet_audit;
mod wallet_backup;
mod wallet_balance;
mod wallet_chain_token;
mod wallet_channels;
mod wallet_deposit;
mod wallet_history;
mod wallet_init;
mod wallet_limits;
mod wallet_mandate;
mod wallet_mandate_shown;
mod wallet_parked;
mod wallet_recover;
mod wallet_redeem;
mod wallet_refund;
mod wallet_refund_payment;
mod wallet_rules;
mod wallet_sessions;
mod wallet_subscriptions;
mod wallet_subscriptions_shown;
mod wallet_token;
mod wallet_trial;

use clap::Subcommand;

use crate::exit::Failure;
use crate::output::Output;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Back the issuer up into one file, while it runs
    Backup(backup::Backup),
    /// Chains: our account on each, and whether the tokens there are those of the books
    #[command(subcommand)]
    Chain(chain::Chain),
    /// Channels: how each stands, and claims, settlements and refunds by hand
    #[command(subcommand)]
    Channel(channel::Channel),
    /// Look whether a configuration is sound, and tell every mistake in it
    Check(check::Check),
    /// Top-up codes: they buy credits
    #[command(subcommand)]
    Code(code::Code),
    /// Try it: a site, a gate and an issuer on this machine, offline
    Demo(demo::Demo),
    /// Is the endpoint payable? Look as a payer would, and pay it once
    Doctor(doctor::Doctor),
    /// Entitlements: what applications check offline before they open a feature
    #[command(subcommand)]
    Entitlement(entitlement::Entitlement),
    /// The issuer: how it stands, pause it, end it
    #[command(subcommand)]
    Issuer(issuer::Issuer),
    /// The books: trial balance, journal, exports, statements, closed periods, and the proof that all agree
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// Ask for a page and pay for it, like curl with a purse
    Pay(pay::Pay),
    /// What merchants are paid: propose, approve, send, and bank files
    #[command(subcommand)]
    Payout(payout::Payout),
    /// Prices: what costs how much, and why
    #[command(subcommand)]
    Price(price::Price),
    /// Rates between currencies: those in force, and asking their source anew
    Rates(rates::Rates),
    /// Ask what something costs: every offer, and whether this wallet can pay it
    Quote(pay_quote::Quote),
    /// Receipts: proof of what was paid
    #[command(subcommand)]
    Receipt(receipt::Receipt),
    /// Give a payment back, wholly or in part, and see how often what is sold is given back
    Refund(refund::Refund),
    /// Check a backup, or make a data folder of it
    Restore(restore::Restore),
    /// Try software against the server of a configuration, in memory, with a clock that is moved
    Sandbox(sandbox::Sandbox),
    /// Commands, flags, exit codes and configuration keys as JSON, for programs
    Schema(schema::Schema),
    /// Charge for what a web server has: gate, issuer and books in one
    Serve(serve::Serve),
    /// Credits: redeem, send, receive, back up, limit
    Wallet(wallet::Wallet),
}

/// Runs one command.
pub fn run(command: Command, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Backup(backup) => backup.run(output),
        Command::Chain(chain) => chain.run(output),
        Command::Channel(channel) => channel.run(output),
        Command::Check(check) => check.run(output),
        Command::Code(code) => code.run(output),
        Command::Demo(demo) => demo.run(output),
        Command::Doctor(doctor) => doctor.run(output),
        Command::Entitlement(entitlement) => entitlement.run(output),
        Command::Issuer(issuer) => issuer.run(output),
        Command::Ledger(ledger) => ledger.run(output),
        Command::Pay(pay) => pay.run(output),
        Command::Payout(payout) => payout.run(output),
        Command::Price(price) => price.run(output),
        Command::Rates(rates) => rates.run(output),
        Command::Quote(quote) => quote.run(output),
        Command::Receipt(receipt) => receipt.run(output),
        Command::Refund(refund) => refund.run(output),
        Command::Restore(restore) => restore.run(output),
        Command::Sandbox(sandbox) => sandbox.run(output),
        Command::Schema(schema) => schema.run(output),
        Command::Serve(serve) => serve.run(output),
        Command::Wallet(wallet) => wallet.run(output),
    }
}
