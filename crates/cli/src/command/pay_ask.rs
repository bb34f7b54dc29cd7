//! What a payment above the owner's threshold comes to: a question on a terminal, and a parked request where nobody can be asked.

use std::io::{self, BufRead, IsTerminal};

use farthing_money::{Money, Timestamp};
use farthing_wallet::{Address, Asker, NeedsYes, Parked, Renews, ToPark, Wallet, WalletError, asset_of};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::{Output, View, money_json};
use crate::payer::Hop;

/// What the owner says.
pub enum Said {
    /// Yes, up to this price.
    Yes(Money),
    /// No.
    No,
    /// Nobody is there.
    Nothing,
}

/// A request that was parked just now.
pub struct News<'a>(pub &'a Parked);

/// The price that is asked for, as money.
pub fn price_of(needs: &NeedsYes) -> Result<Money, Failure> {
    let asset = asset_of(needs.price.unit);
    let asset = asset.ok_or(WalletError::Misuse("a unit with letters or digits in it"))?;
    Ok(asset.money(needs.price.amount))
}

/// Asks whoever sits at the terminal.
pub fn ask(needs: &NeedsYes, url: &str, output: &Output) -> Result<Said, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(Said::Nothing);
    }
    let left = match &needs.left {
        Some((kind, left)) => format!("; the limit {kind} leaves {left}"),
        None => String::new(),
    };
    output.say(format_args!("{url}\n{} asks {}{left}. Pay? [y/N]", needs.host, needs.price));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failure::new(Exit::Failed, format!("cannot read the answer: {error}")))?;
    let is_yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    Ok(if is_yes { Said::Yes(price_of(needs)?) } else { Said::No })
}

/// Writes the request down, for the owner to say yes to later.
pub fn park(
    wallet: &mut Wallet,
    hop: &Hop,
    (asker, renews): (&Asker, Option<Renews>),
    needs: &NeedsYes,
    now: Timestamp,
) -> Result<Parked, Failure> {
    let address: Address = hop.url.parse().map_err(WalletError::from)?;
    let request = ToPark {
        method: &hop.method,
        url: address.to_string(),
        body: &hop.body,
        headers: &hop.headers,
        asker,
        price: price_of(needs)?,
        renews,
    };
    Ok(wallet.park(&request, now)?)
}

/// What to do about it.
pub fn parked(parked: &Parked, needs: &NeedsYes) -> Failure {
    let number = parked.number;
    Failure::new(Exit::BudgetRefused, format!("{needs}; it is parked as number {number}")).hint(format!(
        "the owner says `farthing wallet approve {number}`, and the same command pays then; `farthing wallet deny {number}` forgets it"
    ))
}

/// A parked request, for programs.
pub fn parked_json(parked: &Parked) -> Value {
    json!({
        "number": parked.number,
        "at": parked.at.to_string(),
        "method": parked.method,
        "url": parked.url,
        "body_sha256": parked.body_digest,
        "price": money_json(parked.price),
        "tool": parked.asker.tool,
        "task": parked.asker.task,
        "subscription": parked.renews.map(|renews| renews.subscription),
        "approval": parked.approval.map(|approval| json!({
            "at": approval.at.to_string(),
            "until": approval.until.map(|until| until.to_string()),
            "once": approval.once,
        })),
    })
}

impl View for News<'_> {
    fn json(&self) -> Value {
        let mut json = parked_json(self.0);
        if let Some(json) = json.as_object_mut() {
            json.insert("outcome".to_owned(), "parked".into());
        }
        json
    }

    fn text(&self) -> String {
        format!("parked as number {}: {} {} for {}", self.0.number, self.0.method, self.0.url, self.0.price)
    }
}
