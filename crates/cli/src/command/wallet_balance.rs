//! `farthing wallet balance`: what there is, in credits, on chains and in channels.

use clap::Args;
use farthing_wallet::{Balance as Held, Holding, HoldingsFlow, InChannels, Outcome};
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
    in_channels: Vec<InChannels>,
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
        let (credits, in_channels) = (payer.wallet.balances()?, payer.wallet.channel_sums()?);
        output.show(&Balances { credits, on_chain, in_channels })
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
        let channels = |sum: &InChannels| {
            json!({
                "left": money_json(sum.left),
                "deposits_under_way": money_json(sum.under_way),
                "channels": sum.channels,
            })
        };
        json!({
            "balances": self.credits.iter().map(balance).collect::<Vec<_>>(),
            "on_chain": self.on_chain.iter().map(holding).collect::<Vec<_>>(),
            "in_channels": self.in_channels.iter().map(channels).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let credits = self.credits.iter();
        let credits =
            credits.map(|held| [held.free.to_string(), held.reserved.to_string(), held.mint.clone()]);
        let on_chain = self.on_chain.iter().map(|held| {
            let money = held.money.as_ref().map_or_else(|_| "not known".to_owned(), ToString::to_string);
            [money, held.token.symbol.clone(), held.token.chain.to_string()]
        });
        let in_channels = self.in_channels.iter();
        let in_channels = in_channels
            .map(|sum| [sum.left.to_string(), sum.under_way.to_string(), sum.channels.to_string()]);
        let tables = [
            rows(["FREE", "SET ASIDE", "MINT"], &credits.collect::<Vec<_>>()),
            rows(["THERE", "TOKEN", "CHAIN"], &on_chain.collect::<Vec<_>>()),
            rows(["IN CHANNELS", "DEPOSITS UNDER WAY", "CHANNELS"], &in_channels.collect::<Vec<_>>()),
        ];
        let tables: Vec<String> = tables.into_iter().flatten().collect();
        if tables.is_empty() {
            return "no credits; `farthing wallet redeem CODE` turns a top-up code into some".to_owned();
        }
        tables.join("\n\n")
    }
}

/// A table; nothing if it has no rows.
fn rows(heads: [&str; 3], rows: &[[String; 3]]) -> Option<String> {
    (!rows.is_empty()).then(|| table(heads, rows))
}
