//! `farthing wallet parked`, `approve` and `deny`: payments that wait for their owner's yes.

use clap::Args;
use farthing_money::Span;
use farthing_wallet::{APPROVAL_LASTS, Approval, Parked};
use serde_json::{Value, json};

use super::pay::Pay;
use super::pay_ask::parked_json;
use super::wallet_subscriptions::approved;
use crate::exit::{Exit, Failure};
use crate::output::{Output, View};
use crate::payer::{Hop, Payer, WalletPlace, now};
use crate::table::table;

/// The list of them.
pub struct ListParked;

#[derive(Debug, Args)]
#[command(
    after_long_help = "An approval lets the same request (method, address, body, tool and task) pay up to the price that was seen. It raises no limit. Without a flag it is good for one payment within 24 hours; it is used up by the payment itself, also if the answer to that is lost."
)]
pub struct Approve {
    /// The number, which `farthing wallet parked` lists
    #[arg(value_name = "NUMBER")]
    number: u64,
    /// For one payment within 24 hours, which is what happens anyway
    #[arg(long, conflicts_with_all = ["lasting", "always"])]
    once: bool,
    /// For every such payment within this time, such as 1h
    #[arg(long = "for", value_name = "SPAN")]
    lasting: Option<Span>,
    /// For every such payment from now on; `farthing wallet deny` ends it
    #[arg(long, conflicts_with = "lasting")]
    always: bool,
    /// Send the parked request now, pay for it, and print its answer; a pass of a subscription is bought as `farthing wallet renew` does
    #[arg(long)]
    pay: bool,
}

#[derive(Debug, Args)]
pub struct Deny {
    /// The number, which `farthing wallet parked` lists
    #[arg(value_name = "NUMBER")]
    number: u64,
}

struct All(Vec<Parked>);

struct One {
    parked: Parked,
    is_denied: bool,
}

impl ListParked {
    pub fn run(payer: &Payer, output: &Output) -> Result<(), Failure> {
        let now = now();
        let open = payer.wallet.parked().filter(|parked| parked.waits(now) || parked.is_approved(now));
        output.show(&All(open.cloned().collect()))
    }
}

impl Approve {
    pub async fn run(&self, place: &WalletPlace, mut payer: Payer, output: &Output) -> Result<(), Failure> {
        let at = now();
        let lasts = self.lasting.unwrap_or(APPROVAL_LASTS);
        let until = (!self.always).then(|| at.after(lasts));
        let once = self.lasting.is_none() && !self.always;
        let parked = payer.wallet.approve(self.number, Approval { at, until, once })?;
        if !self.pay {
            return output.show(&One { parked, is_denied: false });
        }
        if let Some(renews) = parked.renews {
            return approved(&mut payer, &parked, renews, output).await;
        }
        let body = parked.whole_body().ok_or_else(|| {
            let message = format!(
                "the request {} is not kept whole: its body is large, or it had fields of its own",
                self.number
            );
            Failure::new(Exit::Failed, message)
                .hint("it is approved: the command that was parked pays now if it is run again")
        })?;
        let Parked { method, url, headers, asker, price, .. } = parked;
        let hop = Hop { method, url, headers, body };
        Pay::of(hop.url.clone(), (asker, price.asset().code()), place.clone()).once(payer, hop, output).await
    }
}

impl Deny {
    pub fn run(&self, payer: &mut Payer, output: &Output) -> Result<(), Failure> {
        let parked = payer.wallet.deny(self.number)?;
        output.show(&One { parked, is_denied: true })
    }
}

/// Who asked, for people.
fn who(parked: &Parked) -> String {
    let names = [("tool", &parked.asker.tool), ("task", &parked.asker.task)];
    let texts = names.iter().filter_map(|(kind, name)| Some(format!("{kind} {}", name.as_ref()?)));
    texts.collect::<Vec<_>>().join(", ")
}

fn standing(parked: &Parked) -> String {
    match parked.approval {
        None => "waits".to_owned(),
        Some(Approval { until, once, .. }) => {
            let often = if once { "approved once" } else { "approved" };
            until.map_or_else(|| often.to_owned(), |until| format!("{often} until {until}"))
        }
    }
}

impl View for All {
    fn json(&self) -> Value {
        json!({ "parked": self.0.iter().map(parked_json).collect::<Vec<_>>() })
    }

    fn text(&self) -> String {
        if self.0.is_empty() {
            return "nothing is parked".to_owned();
        }
        let row = |parked: &Parked| {
            let request = format!("{} {}", parked.method, parked.url);
            [parked.number.to_string(), parked.price.to_string(), standing(parked), who(parked), request]
        };
        table(
            ["NUMBER", "PRICE", "STANDING", "ASKED BY", "REQUEST"],
            &self.0.iter().map(row).collect::<Vec<_>>(),
        )
    }
}

impl View for One {
    fn json(&self) -> Value {
        json!({ "outcome": if self.is_denied { "denied" } else { "approved" }, "parked": parked_json(&self.parked) })
    }

    fn text(&self) -> String {
        let Parked { number, method, url, price, .. } = &self.parked;
        if self.is_denied {
            return format!("denied: {number}, {method} {url} for {price}");
        }
        format!("{}: {number}, {method} {url} up to {price}", standing(&self.parked))
    }
}
