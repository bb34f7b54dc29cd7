//! `farthing wallet deposit --amount`: buys credits with money on a chain, from the wallet's own account there or by a transfer
//! from any other. The order is kept before it is paid for, so that `farthing wallet recover` brings its credits in any case.

use std::time::Duration;

use clap::{Args, ValueEnum};
use farthing_money::Money;
use farthing_wallet::{
    Attempt, Means, OrderFlow, Ordered, Outcome, PayFlow, PayRequest, RedeemFlow, TransferWay, WalletError,
};
use serde_json::{Value, json};

use super::pay_report::refusal;
use super::wallet_account::Account;
use super::wallet_redeem::{CameIn, only_mint};
use crate::exit::{Exit, Failure};
use crate::output::{Output, View, money_json};
use crate::payer::{Delivery, Payer, Tally, Typed, WalletPlace, assets_of, draw};
use crate::table::table;

/// How often the mint is asked whether a transfer has come.
const EVERY: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub struct Deposit {
    /// The number of a chain, such as 8453; all that are known otherwise
    #[arg(long, value_name = "NUMBER", conflicts_with = "amount")]
    chain: Option<u64>,
    /// Buy credits for so much, such as "5 USD"; without it, how to fill the wallet's own account is shown
    #[arg(long, value_name = "AMOUNT")]
    amount: Option<Typed>,
    /// What pays for them
    #[arg(long, value_name = "MEANS", value_enum, default_value = "chain", requires = "amount")]
    with: With,
    /// The mint; not needed when the wallet knows exactly one
    #[arg(long, value_name = "URL", requires = "amount")]
    mint: Option<String>,
    /// Show where to send the transfer and end; `farthing wallet recover` takes the credits in when it has come
    #[arg(long, requires = "amount")]
    no_wait: bool,
}

/// What pays for credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum With {
    /// The wallet's own account, within its limits.
    Chain,
    /// A transfer from anywhere else, to an address of the mint's.
    Transfer,
}

impl Deposit {
    pub async fn run(&self, place: &WalletPlace, output: &Output) -> Result<(), Failure> {
        let wallet = place.open().await?;
        let Some(typed) = &self.amount else { return Account::to_fill(&wallet, self.chain, output) };
        let mut payer = Payer::new(wallet);
        payer.recover(output).await?;
        let mint = self.mint.clone().map_or_else(|| only_mint(&payer), Ok)?;
        let assets = assets_of(typed.code(&payer.wallet)?, &payer.wallet)?;
        let sums: Vec<Money> = assets.iter().filter_map(|asset| typed.exactly(*asset).ok()).collect();
        let by_transfer = self.with == With::Transfer;
        let Outcome::Ordered(order) = payer.run(&mut OrderFlow::new(&mint, sums, by_transfer)?).await? else {
            return Err(Failure::new(Exit::Failed, "expected an order, got another outcome"));
        };
        let kept = |failure: Failure| {
            let kept = "the order is kept: `farthing wallet recover` takes its credits in once it is paid; the same command again is another order";
            let hint =
                failure.hint.as_ref().map_or_else(|| kept.to_owned(), |first| format!("{first}; {kept}"));
            failure.hint(hint)
        };
        if by_transfer {
            let Ordered { money, transfer, .. } = *order.clone();
            let transfer = transfer.map_or_else(Place::default, |transfer| Place {
                money: Some(money),
                address: transfer.address,
                ways: transfer.ways,
            });
            if self.no_wait {
                return output.show(&transfer);
            }
            output.say(transfer.text());
        } else {
            pay(&mut payer, &order).await.map_err(kept)?;
        }
        await_credits(&mut payer, &order, output).await.map_err(kept)
    }
}

/// Pays for an order from the wallet's own account.
async fn pay(payer: &mut Payer, order: &Ordered) -> Result<(), Failure> {
    let request = PayRequest {
        method: "GET".to_owned(),
        url: order.request.clone(),
        headers: Vec::new(),
        body: Vec::new(),
        max: Some(order.money),
    };
    let mut flow = PayFlow::new(request)?.only_with(Some(Means::Chain)).on_chains(draw()?);
    match payer.deliver(&mut flow, &mut Delivery::none()).await? {
        Outcome::Refused(refused) => Err(refusal(*refused, &Tally::default())),
        _ => Ok(()),
    }
}

/// Waits for the money and takes the credits in.
async fn await_credits(payer: &mut Payer, order: &Ordered, output: &Output) -> Result<(), Failure> {
    let mut before = None;
    loop {
        let open = payer.wallet.attempts().find(|attempt| attempt.id == order.attempt);
        let open: &Attempt = open.ok_or(WalletError::UnknownAttempt(order.attempt))?;
        let mut flow = RedeemFlow::of_order(open);
        match payer.run(&mut flow).await? {
            Outcome::Redeemed { mint, money } => return output.show(&CameIn { mint, money }),
            Outcome::Waiting { asked, paid, .. } => {
                if before.is_some_and(|before| before != paid) {
                    output.say(format_args!("{paid} of {asked} have come"));
                }
                before = Some(paid);
                tokio::time::sleep(EVERY).await;
            }
            _ => return Err(Failure::new(Exit::Failed, "expected credits, got another outcome")),
        }
    }
}

/// Where a transfer goes.
#[derive(Default)]
struct Place {
    money: Option<Money>,
    address: String,
    ways: Vec<TransferWay>,
}

impl View for Place {
    fn json(&self) -> Value {
        json!({ "amount": self.money.map(money_json), "address": self.address, "ways": self.ways })
    }

    fn text(&self) -> String {
        let row = |way: &TransferWay| {
            let number = format!("eip155:{}", way.chain_id);
            [number, way.symbol.clone(), way.units.clone(), way.uri.clone()]
        };
        let rows: Vec<_> = self.ways.iter().map(row).collect();
        let ways = table(["CHAIN", "TOKEN", "UNITS", "FOR A WALLET TO READ"], &rows);
        let money = self.money.map(|money| money.to_string()).unwrap_or_default();
        format!(
            "for credits of {money}, send one of these, on its own chain, to\n\n    {}\n\n{ways}",
            self.address
        )
    }
}
