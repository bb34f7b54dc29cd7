//! `farthing wallet refund`: credits become top-up codes, which the operator takes back for money.

use clap::Args;
use farthing_money::{Money, Unit};
use farthing_wallet::{Outcome, RefundFlow};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::{Output, View, money_json};
use crate::payer::{Payer, Typed, WalletPlace};

#[derive(Debug, Args)]
pub struct Refund {
    /// The mint whose credits they are
    #[arg(value_name = "MINT")]
    mint: String,
    /// How much, such as "0.50 USD"; everything otherwise
    #[arg(long, value_name = "AMOUNT")]
    amount: Option<String>,
    /// Which of the mint's units, if there are credits of several, such as uusd
    #[arg(long, value_name = "UNIT", conflicts_with = "amount")]
    unit: Option<Unit>,
}

/// One code and what it is worth.
struct Refunded {
    mint: String,
    code: String,
    money: Money,
    fee: Money,
}

impl Refund {
    pub async fn run(&self, place: &WalletPlace, output: &Output) -> Result<(), Failure> {
        let mut payer = Payer::new(place.open().await?);
        let usage = |message: String| Failure::new(Exit::Usage, message);
        let typed: Option<Typed> =
            self.amount.as_ref().map(|text| text.parse()).transpose().map_err(usage)?;
        let money = typed.map(|typed| typed.money(&payer.wallet)).transpose()?;
        let amount = match money {
            Some(money) => {
                let amount = money.amount().to_u64().filter(|amount| *amount > 0);
                Some(amount.ok_or_else(|| usage(format!("expected more than nothing, got {money}")))?)
            }
            None => None,
        };
        let unit = money.map(|money| money.asset().unit()).or(self.unit);
        // A refund that was begun before carries on; the rest of what is open follows.
        let outcome = payer.run(&mut RefundFlow::new(&self.mint, unit, amount)?).await?;
        payer.recover(output).await?;
        let Outcome::Refunded { mint, code, money, fee } = outcome else {
            return Err(Failure::new(Exit::Failed, "expected a top-up code, got another outcome"));
        };
        output.say(format_args!(
            "{money}; whoever has the code has the money. Send it to the operator, who pays it out"
        ));
        output.show(&Refunded { mint, code, money, fee })
    }
}

impl View for Refunded {
    fn json(&self) -> Value {
        json!({
            "mint": self.mint,
            "code": self.code,
            "refunded": money_json(self.money),
            "fee": money_json(self.fee),
        })
    }

    fn text(&self) -> String {
        self.code.clone()
    }
}
