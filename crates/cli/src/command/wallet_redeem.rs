//! `farthing wallet redeem`: a top-up code becomes credits.

use clap::Args;
use farthing_money::{Money, Unit};
use farthing_wallet::{Outcome, RedeemFlow};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::{Output, View, money_json};
use crate::payer::{Payer, WalletPlace, first_line};

#[derive(Debug, Args)]
pub struct Redeem {
    /// The top-up code; - reads it from stdin, out of sight of other programs
    #[arg(value_name = "CODE|-")]
    code: String,
    /// The mint that gave the code; not needed when the wallet knows exactly one
    #[arg(long, value_name = "URL")]
    mint: Option<String>,
    /// Which of the mint's units, if it has several, such as uusd
    #[arg(long, value_name = "UNIT")]
    unit: Option<Unit>,
}

/// Credits that came in.
pub struct CameIn {
    pub mint: String,
    pub money: Money,
}

impl Redeem {
    pub async fn run(&self, place: &WalletPlace, output: &Output) -> Result<(), Failure> {
        if self.mint.is_none() && !place.exists()? {
            return Err(which_mint("a new wallet knows none"));
        }
        let stdin = (self.code == "-").then(|| first_line("-".as_ref(), "a top-up code")).transpose()?;
        let code = stdin.as_ref().map_or(self.code.as_str(), |line| line.as_str());
        if code.trim().is_empty() {
            let failure = Failure::new(Exit::Usage, "expected a top-up code, got none");
            return Err(failure.hint("credits to try are had with `farthing wallet trial URL`"));
        }
        let mut payer = Payer::new(place.open_or_create(output).await?);
        let mint = self.mint.clone().map_or_else(|| only_mint(&payer), Ok)?;
        // The same code begun before carries on; the rest of what is open follows.
        let outcome = payer.run(&mut RedeemFlow::new(code, &mint, self.unit)?).await?;
        payer.recover(output).await?;
        match outcome {
            Outcome::Redeemed { mint, money } => output.show(&CameIn { mint, money }),
            _ => Err(Failure::new(Exit::Failed, "expected credits for the code, got another outcome")),
        }
    }
}

pub fn only_mint(payer: &Payer) -> Result<String, Failure> {
    let mints: Vec<&str> = payer.wallet.mints().map(|mint| mint.url.as_str()).collect();
    match mints.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Err(which_mint("the wallet knows none yet")),
        several => Err(which_mint(&format!("the wallet knows {}", several.join(", ")))),
    }
}

fn which_mint(known: &str) -> Failure {
    Failure::new(Exit::Usage, format!("expected the mint of the code, and {known}"))
        .hint("name it with --mint URL; it stands beside the code")
}

impl View for CameIn {
    fn json(&self) -> Value {
        json!({ "mint": self.mint, "received": money_json(self.money) })
    }

    fn text(&self) -> String {
        format!("{} in credits of {}", self.money, self.mint)
    }
}
