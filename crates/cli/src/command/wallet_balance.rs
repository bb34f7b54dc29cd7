//! `farthing wallet balance`: what there is.

use clap::Args;
use farthing_wallet::Balance as Held;
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::output::{Output, View, money_json};
use crate::payer::Payer;
use crate::table::table;

#[derive(Debug, Args)]
pub struct Balance {}

struct Balances(Vec<Held>);

impl Balance {
    #[expect(clippy::unused_self, reason = "it has no options yet, and is called as the others are")]
    pub fn run(&self, payer: &Payer, output: &Output) -> Result<(), Failure> {
        output.show(&Balances(payer.wallet.balances()?))
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
        json!({ "balances": self.0.iter().map(balance).collect::<Vec<_>>() })
    }

    fn text(&self) -> String {
        if self.0.is_empty() {
            return "no credits; `farthing wallet redeem CODE` turns a top-up code into some".to_owned();
        }
        let row = |held: &Held| [held.free.to_string(), held.reserved.to_string(), held.mint.clone()];
        table(["FREE", "SET ASIDE", "MINT"], &self.0.iter().map(row).collect::<Vec<_>>())
    }
}
