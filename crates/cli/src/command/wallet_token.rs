//! `farthing wallet send` and `receive`: credits as a token, from hand to hand.

use clap::Args;
use farthing_wallet::{Outcome, ReceiveFlow, SendFlow};
use serde_json::{Value, json};

use super::wallet_redeem::CameIn;
use crate::exit::{Exit, Failure};
use crate::output::{Output, View, money_json};
use crate::payer::{Payer, Typed, WalletPlace, first_line};

#[derive(Debug, Args)]
pub struct Send {
    /// How much, such as 0.50 USD
    #[arg(value_name = "AMOUNT", num_args = 1..=2, required = true)]
    amount: Vec<String>,
    /// The mint whose credits are sent; the one with the most otherwise
    #[arg(long, value_name = "URL")]
    mint: Option<String>,
    /// A note for whoever receives it
    #[arg(long, value_name = "TEXT")]
    memo: Option<String>,
}

#[derive(Debug, Args)]
pub struct Receive {
    /// The token; - reads it from stdin, out of sight of other programs
    #[arg(value_name = "TOKEN|-")]
    token: String,
    /// Trust the token's mint even if the wallet does not know it yet
    #[arg(long)]
    any_mint: bool,
}

struct Sent {
    token: String,
    number: u64,
    money: farthing_money::Money,
}

impl Send {
    pub async fn run(&self, payer: &mut Payer, output: &Output) -> Result<(), Failure> {
        let typed: Typed =
            self.amount.join(" ").parse().map_err(|message: String| Failure::new(Exit::Usage, message))?;
        let money = typed.money(&payer.wallet)?;
        if money.amount().is_zero() {
            return Err(Failure::new(
                Exit::Usage,
                format!("expected more than nothing to send, got {money}"),
            ));
        }
        let mut flow = SendFlow::new(money, self.mint.as_deref(), self.memo.clone())?;
        match payer.run(&mut flow).await? {
            Outcome::Sent { attempt, token, money } => {
                output.say(format_args!(
                    "{money}; whoever has the token has the money. Until it is received, `farthing wallet reclaim {attempt}` takes it back"
                ));
                let sent = Sent { token, number: attempt, money };
                if output.is_json_wanted() { output.show(&sent) } else { output.line(&sent.token) }
            }
            _ => Err(Failure::new(Exit::Failed, "expected a token, got another outcome")),
        }
    }
}

impl Receive {
    pub async fn run(&self, place: &WalletPlace, output: &Output) -> Result<(), Failure> {
        let stdin = (self.token == "-").then(|| first_line("-".as_ref(), "a token")).transpose()?;
        let token = stdin.as_ref().map_or(self.token.as_str(), |line| line.trim());
        let mut flow = ReceiveFlow::new(token, self.any_mint)?;
        // A wallet that knows no mint refuses every token unless any mint will do; none is made just to say so.
        let wallet =
            if self.any_mint { place.open_or_create(output).await? } else { place.open_or_empty().await? };
        let mut payer = Payer::new(wallet);
        payer.recover(output).await?;
        let outcome = payer.run(&mut flow).await.map_err(|failure| match failure.exit {
            Exit::NotAllowed => {
                failure.hint("the same command with --any-mint takes it, if you trust that mint to honour it")
            }
            _ => failure,
        });
        match outcome? {
            Outcome::Received { mint, money } => output.show(&CameIn { mint, money }),
            _ => Err(Failure::new(Exit::Failed, "expected credits for the token, got another outcome")),
        }
    }
}

impl View for Sent {
    fn json(&self) -> Value {
        json!({ "token": self.token, "number": self.number, "sent": money_json(self.money) })
    }

    fn text(&self) -> String {
        self.token.clone()
    }
}
