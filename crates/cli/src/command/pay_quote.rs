//! What a payment would cost and what the wallet would do about it: `farthing pay --dry-run`, and every offer: `farthing quote`.

use clap::Args;
use farthing_wallet::{
    LimitUse, Offers, Outcome, PayRequest, Quote as Priced, QuoteFlow, SeenOffer, Verdict, WalletError,
};
use serde_json::{Value, json};

use super::pay_report::{on_chain_json, on_chain_text};
use crate::exit::{Exit, Failure};
use crate::output::{Output, View, money_json};
use crate::payer::{Payer, WalletPlace};
use crate::runtime;
use crate::table::table;

#[derive(Debug, Args)]
#[command(
    after_long_help = "Asks once, without a pass and without paying, and lists what the 402 offers: in which dialect, for how much, and whether this wallet can pay it. `farthing pay --dry-run` tells which of them would be taken, and what the limits say to it. Exit codes: 0 there are offers or nothing is to be paid, 3 unreachable, 6 payment is required and no offer can be paid."
)]
pub struct Quote {
    /// The address: https, or http on this machine
    #[arg(value_name = "URL")]
    url: String,
    /// The method
    #[arg(short = 'X', long = "request", value_name = "METHOD", default_value = "GET")]
    method: String,
    /// The body, as it is
    #[arg(short, long, value_name = "DATA", default_value = "")]
    data: String,
    #[command(flatten)]
    place: WalletPlace,
}

struct Told<'a>(&'a Priced);
struct All<'a>(&'a Offers);

impl Quote {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        runtime::block_on(self.act(output))
    }

    async fn act(&self, output: &Output) -> Result<(), Failure> {
        let may_sign = self.place.exists()?;
        let mut payer = Payer::new(self.place.open_or_empty().await?);
        let (method, url, body) = (self.method.clone(), self.url.clone(), self.data.clone().into_bytes());
        let request = PayRequest { method, url, headers: Vec::new(), body, max: None };
        let Outcome::Offers(offers) = payer.run(&mut QuoteFlow::new(request, None, may_sign)?).await? else {
            return Err(Failure::new(Exit::Failed, "expected offers, got another outcome"));
        };
        output.show(&All(&offers))?;
        if offers.status == 402 && offers.offers.iter().all(|offer| offer.hindrance.is_some()) {
            let message =
                format!("{} asks for payment, and this wallet can pay none of its offers", offers.url);
            return Err(Failure::new(Exit::PaymentRequired, message));
        }
        Ok(())
    }
}

/// Tells it, and ends as a payment would.
pub fn tell(quote: &Priced, output: &Output) -> Result<(), Failure> {
    output.show(&Told(quote))?;
    match &quote.verdict {
        Verdict::Pay => Ok(()),
        Verdict::Ask(needs) => Err(Failure::new(Exit::BudgetRefused, needs.to_string()).hint(
            "on a terminal `farthing pay` asks; elsewhere it parks the payment (`farthing wallet parked`)",
        )),
        Verdict::Limit(reject) => Err(WalletError::Budget(reject.clone()).into()),
        Verdict::Mandate(reject) => Err(WalletError::Mandate(reject.clone()).into()),
    }
}

/// What the wallet would do, in a word.
fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pay => "pay",
        Verdict::Ask(_) => "ask",
        Verdict::Limit(_) | Verdict::Mandate(_) => "refuse",
    }
}

fn limit_json(one: &LimitUse) -> Value {
    let left = one.limit.amount.checked_sub(one.used.amount).unwrap_or_default();
    json!({
        "limit": one.kind.to_string(),
        "unit": one.limit.unit,
        "of": one.limit.amount,
        "used": one.used.amount,
        "left": left,
    })
}

impl View for Told<'_> {
    fn json(&self) -> Value {
        let Priced { url, price, dialect, mint, on_chain, deposit, set_aside, limits, verdict } = self.0;
        let why = match verdict {
            Verdict::Pay => None,
            Verdict::Ask(needs) => Some(needs.to_string()),
            Verdict::Limit(reject) => Some(reject.to_string()),
            Verdict::Mandate(reject) => Some(reject.to_string()),
        };
        json!({
            "outcome": "priced",
            "url": url,
            "price": money_json(*price),
            "dialect": dialect,
            "mint": mint,
            "on_chain": on_chain.as_ref().map(on_chain_json),
            "deposit": deposit.map(money_json),
            "set_aside": money_json(*set_aside),
            "limits": limits.iter().map(limit_json).collect::<Vec<_>>(),
            "would": word(verdict),
            "why": why,
        })
    }

    fn text(&self) -> String {
        let Priced { url, price, dialect, mint, on_chain, deposit, set_aside, limits, verdict } = self.0;
        let on = on_chain.as_ref().map(|on| format!(": {}", on_chain_text(on))).unwrap_or_default();
        let deposit =
            deposit.map(|deposit| format!("; {deposit} would be put into a channel")).unwrap_or_default();
        let mint = mint.as_ref().map(|mint| format!(" with credits of {mint}")).unwrap_or_default();
        let mut lines = vec![
            format!("{url} costs {price}{on}{deposit}"),
            format!("by {dialect}{mint}; {set_aside} would be set aside"),
        ];
        lines.extend(
            limits.iter().map(|one| format!("limit {}: {} of {} used", one.kind, one.used, one.limit)),
        );
        lines.push(format!("the wallet would {}", word(verdict)));
        lines.join("\n")
    }
}

impl View for All<'_> {
    fn json(&self) -> Value {
        let offer = |offer: &SeenOffer| {
            json!({
                "price": money_json(offer.price),
                "dialect": offer.dialect,
                "mints": offer.mints,
                "on_chain": offer.on_chain.as_ref().map(on_chain_json),
                "payable": offer.hindrance.is_none(),
                "why_not": offer.hindrance,
            })
        };
        json!({
            "url": self.0.url,
            "status": self.0.status,
            "offers": self.0.offers.iter().map(offer).collect::<Vec<_>>(),
            "unread": self.0.unread,
        })
    }

    fn text(&self) -> String {
        if self.0.status != 402 {
            return format!("nothing to pay: the answer is {}", self.0.status);
        }
        let row = |offer: &SeenOffer| {
            let with = match &offer.on_chain {
                Some(on) => on_chain_text(on),
                None if offer.mints.is_empty() => "credits of any mint".to_owned(),
                None => format!("credits of {}", offer.mints.join(", ")),
            };
            let can = offer.hindrance.as_ref().map_or_else(|| "yes".to_owned(), |why| format!("no: {why}"));
            [offer.price.to_string(), offer.dialect.clone(), with, can]
        };
        let rows: Vec<_> = self.0.offers.iter().map(row).collect();
        let mut text = table(["PRICE", "BY", "WITH", "CAN BE PAID"], &rows);
        for reason in &self.0.unread {
            text.push_str("\nnot understood: ");
            text.extend(reason.chars().filter(|c| !c.is_control()));
        }
        text
    }
}
