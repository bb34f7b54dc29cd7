//! `farthing wallet trial`: credits that an issuer gives newcomers for nothing.

use clap::Args;
use farthing_money::Unit;
use farthing_wallet::{Outcome, RedeemFlow};

use super::wallet_redeem::CameIn;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::payer::{Payer, WalletPlace};

#[derive(Debug, Args)]
pub struct Trial {
    /// The issuer, as a 402 or its page names it
    #[arg(value_name = "URL")]
    mint: String,
    /// Which of the issuer's units, if it has several, such as uusd
    #[arg(long, value_name = "UNIT")]
    unit: Option<Unit>,
}

impl Trial {
    pub async fn run(&self, place: &WalletPlace, output: &Output) -> Result<(), Failure> {
        let mut payer = Payer::new(place.open_or_create(output).await?);
        // One that was begun before carries on; the rest of what is open follows.
        let outcome = payer.run(&mut RedeemFlow::trial(&self.mint, self.unit)?).await?;
        payer.recover(output).await?;
        match outcome {
            Outcome::Redeemed { mint, money } => output.show(&CameIn { mint, money }),
            _ => Err(Failure::new(Exit::Failed, "expected credits to try, got another outcome")),
        }
    }
}
