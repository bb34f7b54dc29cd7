//! `farthing wallet refund-payment`: asks a seller to give a payment back, by its receipt.

use clap::Args;
use farthing_wallet::{AskBackFlow, Entry, Outcome};
use farthing_wire::Receipt;

use super::wallet_redeem::CameIn;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::payer::{Payer, WalletPlace, first_line};

#[derive(Debug, Args)]
pub struct RefundPayment {
    /// The payment: its number in `farthing wallet history`, its id, the address that was paid for (the latest payment
    /// counts), or - to read a receipt from stdin
    #[arg(value_name = "PAYMENT|URL|-")]
    payment: String,
    /// Trust the seller's mint even if the wallet does not know it yet
    #[arg(long)]
    any_mint: bool,
}

impl RefundPayment {
    pub async fn run(&self, place: &WalletPlace, output: &Output) -> Result<(), Failure> {
        let mut payer = Payer::new(place.open().await?);
        payer.recover(output).await?;
        let receipt = if self.payment == "-" {
            first_line("-".as_ref(), "a receipt")?.to_string()
        } else {
            self.known(&payer.wallet.history(usize::MAX)?)?
        };
        let outcome =
            payer.run(&mut AskBackFlow::new(&receipt, self.any_mint)?).await.map_err(|failure| match failure
                .exit
            {
                Exit::NotAllowed => failure
                    .hint("the same command with --any-mint takes it, if you trust that mint to honour it"),
                _ => failure,
            });
        match outcome? {
            Outcome::Received { mint, money } => output.show(&CameIn { mint, money }),
            _ => Err(Failure::new(Exit::Failed, "expected credits for the payment, got another outcome")),
        }
    }

    /// The receipt of a payment in the history, whose latest entries come first.
    fn known(&self, entries: &[Entry]) -> Result<String, Failure> {
        let is_meant = |entry: &&Entry| {
            let receipt = entry.receipt.as_deref().and_then(|text| Receipt::verify(text, None).ok());
            entry.number.to_string() == self.payment
                || entry.url.as_deref() == Some(self.payment.as_str())
                || receipt.is_some_and(|receipt| receipt.payment == self.payment)
        };
        let found = entries.iter().filter(|entry| entry.receipt.is_some()).find(is_meant);
        found.and_then(|entry| entry.receipt.clone()).ok_or_else(|| {
            let message = format!("there is no payment {} with a receipt in this wallet", self.payment);
            Failure::new(Exit::NotFound, message).hint("`farthing wallet history` lists payments")
        })
    }
}
