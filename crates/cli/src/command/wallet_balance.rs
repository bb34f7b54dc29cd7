//! `farthing wallet balance`: what there is, in credits and on chains.

use clap::Args;
use farthing_wallet::{Balance as Held, Holding, HoldingsFlow, Outcome};
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::output::{Output, View, money_json};
use crate::payer::Payer;
use crate::table::table;

#[derive(Debug, Args)]
pub struct Balance {}

struct Balances {
    credits: Vec<Held>,
    on_chain: Vec<Holding>,
}

impl Balance {
    pub async fn run(&self, payer: &mut Payer, output: &Output) -> Result<(), Failure> {
        let on_chain = match payer.run(&mut HoldingsFlow::new()).await? {
            Outcome::Holdings(found) => found,
            _ => Vec::new(),
        };
        for Holding { token, money } in &on_chain {
            if let Err(error) = money {
                output.say(format_args!("note: {} on {} is not known: {error}", token.symbol, token.chain));
            }
        }
        output.show(&Balances { credits: payer.wallet.balances()?, on_chain })
    }
}

impl View for Balances {
    fn json(&self) -> Value {
        let balance = |held: &Held| {
            json!({
                "mint": held.mint,
                "free": money_json(held.free),
                "reserved": money_json(held.reserved),
            })
        };
        let holding = |held: &Holding| {
            json!({
                "chain": held.token.chain,
                "token": held.token.address,
                "symbol": held.token.symbol,
                "money": held.money.as_ref().ok().map(|money| money_json(*money)),
            })
        };
        json!({
            "balances": self.credits.iter().map(balance).collect::<Vec<_>>(),
            "on_chain": self.on_chain.iter().map(holding).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let row = |held: &Held| [held.free.to_string(), held.reserved.to_string(), held.mint.clone()];
        let credits = table(["FREE", "SET ASIDE", "MINT"], &self.credits.iter().map(row).collect::<Vec<_>>());
        let row = |held: &Holding| {
            let money = held.money.as_ref().map_or_else(|_| "not known".to_owned(), ToString::to_string);
            [money, held.token.symbol.clone(), held.token.chain.to_string()]
        };
        let on_chain = table(["THERE", "TOKEN", "CHAIN"], &self.on_chain.iter().map(row).collect::<Vec<_>>());
        match (self.credits.is_empty(), self.on_chain.is_empty()) {
            (true, true) => {
                "no credits; `farthing wallet redeem CODE` turns a top-up code into some".to_owned()
            }
            (false, true) => credits,
            (true, false) => on_chain,
            (false, false) => format!("{credits}\n\n{on_chain}"),
        }
    }
}
