//! `farthing chain status|end`: our account on each chain, and whether the tokens there are those of the books.

use clap::{Args, Subcommand};
use farthing_server::chains::outbox::UnderWay;
use farthing_server::chains::{ChainStatus, TokenStatus};
use serde_json::{Value, json};

use super::chain_end::End;
use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::operator::ask_those_of;
use crate::output::{Output, View};
use crate::table::table;

#[derive(Debug, Subcommand)]
pub enum Chain {
    /// Our account, its coin for gas, what is under way, and the tokens on the chain and in the books
    Status(Place),
    /// Say what became of a call that stays under way for good
    End(End),
}

#[derive(Debug, Args)]
pub struct Place {
    #[command(flatten)]
    config: ConfigFile,
}

impl Chain {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Status(place) => output.show(&Chains(ask(&place.config)?)),
            Self::End(end) => end.run(output),
        }
    }
}

/// What the chains say.
pub fn ask(config: &ConfigFile) -> Result<Vec<ChainStatus>, Failure> {
    let config = config.load()?;
    if config.chains.is_empty() {
        return Err(Failure::new(Exit::NotFound, "no chain is configured")
            .hint("add [[chain]] and [[token]] to the configuration; docs/config.md has the keys"));
    }
    ask_those_of(&config, async |access| access.chains().await)
}

/// Chains, for a terminal.
pub struct Chains(pub Vec<ChainStatus>);

impl View for Chains {
    fn json(&self) -> Value {
        json!(self.0)
    }

    fn text(&self) -> String {
        self.0.iter().map(text).collect::<Vec<_>>().join("\n\n")
    }
}

fn text(chain: &ChainStatus) -> String {
    let low = if chain.coin_low { ", which is low: send coin to the account" } else { "" };
    let signer = chain.signer.as_ref().map_or_else(String::new, |signer| match &signer.fault {
        None => format!("; {} signs for it", signer.place),
        Some(fault) => format!("; NOT SIGNED: {fault}"),
    });
    let line = |token: &TokenStatus| {
        let [on_chain, in_books] = token.shown.clone();
        let agrees = if token.agrees { "yes" } else { "NO" };
        [token.symbol.clone(), on_chain, in_books, agrees.to_owned(), token.account.clone()]
    };
    let tokens: Vec<_> = chain.tokens.iter().map(line).collect();
    let stray = |token: &TokenStatus| {
        let TokenStatus { units_uncounted, symbol, .. } = token;
        format!(
            "\n{units_uncounted} units of {symbol} lie at addresses of mint quotes and are not counted: too new, too little, or not what the quote asks for"
        )
    };
    let strays: String =
        chain.tokens.iter().filter(|token| !token.units_uncounted.is_zero()).map(stray).collect();
    let to_merchants = |token: &TokenStatus| {
        let TokenStatus { units_to_merchants, symbol, .. } = token;
        format!(
            "\n{units_to_merchants} units of {symbol} are on their way to merchants: see `farthing payout list --open`"
        )
    };
    let to_merchants: String =
        chain.tokens.iter().filter(|token| !token.units_to_merchants.is_zero()).map(to_merchants).collect();
    format!(
        "{}: account {} with {}{low}{signer}; paid is {}; {} under way\n{}{strays}{to_merchants}{}",
        chain.network,
        chain.account,
        chain.coin,
        chain.pay_to,
        chain.under_way,
        table(["TOKEN", "ON CHAIN", "IN BOOKS", "AGREE", "ACCOUNT"], &tokens),
        chain.calls.iter().map(under_way).collect::<String>()
    )
}

/// A call, and what was sent for it.
fn under_way(call: &UnderWay) -> String {
    let UnderWay { call, purpose, since, transactions, .. } = call;
    let last =
        transactions.last().map_or_else(|| "nothing sent yet".to_owned(), |last| format!("sent {last}"));
    format!("\nunder way: {call} ({purpose}) since {since}, {last}")
}
