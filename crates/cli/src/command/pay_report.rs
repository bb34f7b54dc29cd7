//! What `farthing pay` tells of a payment: what it cost, to whom, and what became of it if it went wrong.

use farthing_money::{Amount, Money, Timestamp};
use farthing_wallet::{Outcome, RefusedPayment, Settled, Shown, asset_of};
use farthing_wire::Receipt;
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::{Output, View, money_json};
use crate::payer::Tally;

/// What is told.
pub struct Report {
    url: String,
    what: What,
    notes: Vec<String>,
}

enum What {
    Free { status: u16, by_pass: bool },
    Priced(Shown),
    Paid(Box<Paid>),
    Refused { status: u16, charged: Option<Money> },
}

struct Paid {
    status: u16,
    price: Money,
    /// On the whole way.
    charged: Money,
    dialect: String,
    text: Option<String>,
    receipt: Option<Receipt>,
    pass_until: Option<Timestamp>,
}

/// How much of a payment's id is shown to people.
const ID_SHOWN: usize = 12;

impl Report {
    /// Of a request that is over, at the end of a way on which so much was charged.
    pub fn of(url: &str, outcome: &Outcome, tally: &Tally) -> Self {
        let (what, notes) = match outcome {
            Outcome::Served { status, by_pass } => {
                (What::Free { status: *status, by_pass: *by_pass }, Vec::new())
            }
            Outcome::Paid(paid) => {
                let receipt = paid.receipt.as_deref();
                let receipt = receipt.and_then(|text| Receipt::verify_signer(text, None).ok());
                let told = Paid {
                    status: paid.status,
                    price: paid.price,
                    charged: tally.of(paid.charged.asset()).unwrap_or(paid.charged),
                    dialect: paid.dialect.clone(),
                    text: paid.receipt.clone(),
                    receipt: receipt.map(|(receipt, _)| receipt),
                    pass_until: paid.pass_until,
                };
                (What::Paid(Box::new(told)), paid.notes.clone())
            }
            Outcome::Refused(refused) => {
                let charged = tally.sums().first().copied();
                (What::Refused { status: refused.status, charged }, Vec::new())
            }
            // A payment has no other outcome; were there one, it would not have been paid.
            _ => (What::Refused { status: 0, charged: None }, Vec::new()),
        };
        Self { url: url.to_owned(), what, notes }
    }

    /// Of a price that was only asked for.
    pub fn price(url: &str, asked: Shown) -> Self {
        Self { url: url.to_owned(), what: What::Priced(asked), notes: Vec::new() }
    }

    /// The signed receipt.
    pub fn receipt(&self) -> Option<&str> {
        match &self.what {
            What::Paid(paid) => paid.text.as_deref(),
            _ => None,
        }
    }

    /// Tells it: as data if stdout is free of the body, as talk otherwise.
    pub fn show(&self, output: &Output, is_stdout_free: bool) -> Result<(), Failure> {
        self.notes.iter().for_each(|note| output.say(format_args!("note: {}", plain(note))));
        if is_stdout_free {
            return output.show(self);
        }
        if output.is_json_wanted() {
            output.say(self.json());
        } else if !matches!(self.what, What::Free { by_pass: false, .. } | What::Refused { .. }) {
            output.say(self.text());
        }
        Ok(())
    }
}

fn shown_json(shown: Shown) -> Value {
    match asset_of(shown.unit) {
        Some(asset) => money_json(asset.money(shown.amount)),
        None => json!({ "amount": shown.amount, "unit": shown.unit }),
    }
}

impl View for Report {
    fn json(&self) -> Value {
        let url = &self.url;
        match &self.what {
            What::Free { status, by_pass } => {
                json!({ "outcome": if *by_pass { "pass" } else { "free" }, "url": url, "status": status })
            }
            What::Priced(asked) => json!({ "outcome": "priced", "url": url, "price": shown_json(*asked) }),
            What::Refused { status, charged } => json!({
                "outcome": "refused",
                "url": url,
                "status": status,
                "charged": charged.map(money_json),
            }),
            What::Paid(paid) => json!({
                "outcome": "paid",
                "url": url,
                "status": paid.status,
                "price": money_json(paid.price),
                "charged": money_json(paid.charged),
                "dialect": paid.dialect,
                "merchant": paid.receipt.as_ref().and_then(|receipt| receipt.merchant.as_ref()),
                "payment": paid.receipt.as_ref().map(|receipt| &receipt.payment),
                "pass_until": paid.pass_until.map(|until| until.to_string()),
                "receipt": paid.text,
                "notes": self.notes,
            }),
        }
    }

    fn text(&self) -> String {
        match &self.what {
            What::Free { by_pass: true, .. } => "nothing to pay: a pass opens it".to_owned(),
            What::Free { status, .. } => format!("nothing to pay: the answer is {status} as it is"),
            What::Priced(asked) => format!("{} costs {asked}", self.url),
            What::Refused { status, .. } => format!("nothing was delivered: the answer is {status}"),
            What::Paid(paid) => paid.text(),
        }
    }
}

impl Paid {
    fn text(&self) -> String {
        let merchant = self.receipt.as_ref().and_then(|receipt| receipt.merchant.as_deref());
        let to = merchant.map(|merchant| format!(" to {}", plain(merchant))).unwrap_or_default();
        let id =
            self.receipt.as_ref().map(|receipt| plain(&receipt.payment).chars().take(ID_SHOWN).collect());
        let id = id.map_or_else(|| " (no receipt)".to_owned(), |id: String| format!(" (receipt {id}..)"));
        let until = self.pass_until.map(|until| format!(", open until {until}")).unwrap_or_default();
        format!("paid {}{to}{id}{until}", self.charged)
    }
}

/// Why nothing was delivered, and where the credits are.
pub fn refusal(refused: RefusedPayment, tally: &Tally) -> Failure {
    let RefusedPayment { url, status, problem, settled } = refused;
    let why = match &problem {
        Some(problem) if !problem.detail.is_empty() => plain(&problem.detail),
        Some(problem) if !problem.title.is_empty() => plain(&problem.title),
        _ => format!("the server answered {status}"),
    };
    let is_charged = matches!(settled, Ok(Settled::Charged { .. }));
    let (exit, money) = match settled {
        Err(error) => (Exit::OutcomeUnknown, format!("the credits stay set aside for now: {error}")),
        Ok(Settled::Back(money)) if money.amount() == Amount::ZERO => {
            let why = "the credits are worth less than the mint's fee for taking them back";
            (Exit::Failed, format!("{why}; they count as spent, because the merchant may still take them"))
        }
        Ok(Settled::Back(money)) if status == 402 => {
            (Exit::PaymentRequired, format!("nothing was charged, {money} is back"))
        }
        Ok(Settled::Back(money) | Settled::Refunded(money)) => {
            (Exit::Failed, format!("nothing was charged, {money} is back"))
        }
        Ok(Settled::Charged { charged, .. }) => {
            let charged = tally.of(charged.asset()).unwrap_or(charged);
            (Exit::Failed, format!("{charged} was charged all the same"))
        }
        Ok(Settled::Taken(money)) => {
            (Exit::Failed, format!("{money} was spent by another copy of this wallet"))
        }
        Ok(Settled::Open(money)) => (Exit::OutcomeUnknown, format!("{money} stays set aside for now")),
    };
    let failure = Failure::new(exit, format!("{url}: {why}\n{money}"));
    if is_charged {
        return failure
            .hint("the receipt of it is lost with its answer; the same command again is a new payment");
    }
    match problem.and_then(|problem| problem.next) {
        Some(next) => failure.hint(plain(&next)),
        None => failure,
    }
}

/// Text of others, without what would move the terminal's cursor.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use farthing_money::Asset;

    use super::*;

    #[test]
    fn what_is_out_of_reach_is_not_said_to_be_back() {
        let refused = |back| {
            let money = Asset::micro("USD").unwrap().money(Amount::new(back));
            let url = "https://a.example/".to_owned();
            let settled = Ok(Settled::Back(money));
            refusal(RefusedPayment { url, status: 402, problem: None, settled }, &Tally::default())
        };
        assert!(refused(10_000).message.ends_with("nothing was charged, 0.01 USD is back"));
        assert_eq!(refused(10_000).exit, Exit::PaymentRequired);
        assert!(refused(0).message.contains("the merchant may still take them"));
        assert_eq!(refused(0).exit, Exit::Failed);
    }
}
