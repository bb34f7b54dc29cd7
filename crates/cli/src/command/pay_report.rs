//! What `farthing pay` tells of a payment: what it cost, to whom, and what became of it if it went wrong.

use farthing_money::{Amount, Money, Timestamp};
use farthing_wallet::{OnChain, Outcome, RefusedPayment, Settled};
use farthing_wire::Receipt;
use farthing_wire::x402::Reason;
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
    on_chain: Option<OnChain>,
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
                    on_chain: paid.on_chain.clone(),
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

/// What moves on a chain, for programs.
pub fn on_chain_json(on: &OnChain) -> Value {
    json!({
        "chain": on.chain,
        "token": on.token,
        "symbol": on.symbol,
        "pay_to": on.pay_to,
        "scheme": on.scheme,
        "units": on.units,
        "taken": on.taken,
        "transaction": on.transaction,
        "channel": on.channel,
    })
}

/// The same for people.
pub fn on_chain_text(on: &OnChain) -> String {
    let most = if on.is_ceiling() { "at most " } else { "" };
    let (units, symbol) = (on.units, plain(&on.symbol));
    format!("{most}{units} minor units of {symbol} ({}) on {} to {}", on.token, on.chain, on.pay_to)
}

impl View for Report {
    fn json(&self) -> Value {
        let url = &self.url;
        match &self.what {
            What::Free { status, by_pass } => {
                json!({ "outcome": if *by_pass { "pass" } else { "free" }, "url": url, "status": status })
            }
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
                "on_chain": paid.on_chain.as_ref().map(on_chain_json),
                "notes": self.notes,
            }),
        }
    }

    fn text(&self) -> String {
        match &self.what {
            What::Free { by_pass: true, .. } => "nothing to pay: a pass opens it".to_owned(),
            What::Free { status, .. } => format!("nothing to pay: the answer is {status} as it is"),
            What::Refused { status, .. } => format!("nothing was delivered: the answer is {status}"),
            What::Paid(paid) => paid.text(),
        }
    }
}

impl Paid {
    fn text(&self) -> String {
        let merchant = self.receipt.as_ref().and_then(|receipt| receipt.merchant.as_deref());
        let to = merchant.map(|merchant| format!(" to {}", plain(merchant))).unwrap_or_default();
        let id = self
            .receipt
            .as_ref()
            .map(|receipt| plain(&receipt.payment).chars().take(ID_SHOWN).collect::<String>());
        let transaction = self.on_chain.as_ref().and_then(|on| on.transaction.as_deref());
        let channel = self.on_chain.as_ref().and_then(|on| on.channel);
        let id = match (id, transaction) {
            (Some(id), _) => format!(" (receipt {id}..)"),
            (None, None) if channel.is_some() => {
                let channel: String = channel.map(|id| id.to_string()).unwrap_or_default();
                format!(" (channel {}..)", channel.chars().take(ID_SHOWN).collect::<String>())
            }
            (None, Some(transaction)) => format!(" (transaction {transaction})"),
            (None, None) if self.dialect == "session" => " (by a session)".to_owned(),
            (None, None) => " (no receipt)".to_owned(),
        };
        let to = match &self.on_chain {
            Some(on) if to.is_empty() => format!(" to {} on {}", on.pay_to, on.chain),
            _ => to,
        };
        let until = self.pass_until.map(|until| format!(", open until {until}")).unwrap_or_default();
        format!("paid {}{to}{id}{until}", self.charged)
    }
}

/// Why nothing was delivered, and where the money is.
pub fn refusal(refused: RefusedPayment, tally: &Tally) -> Failure {
    let RefusedPayment { url, status, problem, reason, on_chain, settled } = refused;
    let why = match &problem {
        Some(problem) if !problem.detail.is_empty() => plain(&problem.detail),
        Some(problem) if !problem.title.is_empty() => plain(&problem.title),
        _ => match (&reason, status) {
            (Some(reason), _) => plain(reason),
            (None, 0) => "an earlier payment of it is not settled yet".to_owned(),
            (None, status) => format!("the server answered {status}"),
        },
    };
    let is_charged = matches!(settled, Ok(Settled::Charged { .. }));
    let until = on_chain.as_ref().map(|(_, until)| *until);
    let (exit, money) = match settled {
        Err(error) if until.is_some() => {
            (Exit::OutcomeUnknown, format!("what was signed stays booked for now: {error}"))
        }
        Err(error) => (Exit::OutcomeUnknown, format!("the credits stay set aside for now: {error}")),
        Ok(settled) => whereabouts(settled, status, until, reason.is_some(), tally),
    };
    let failure = Failure::new(exit, format!("{url}: {why}\n{money}"));
    if is_charged {
        return failure
            .hint("the receipt of it is lost with its answer; the same command again is a new payment");
    }
    if let Some(hint) = on_chain.as_ref().and_then(|(on, _)| advice(on, reason.as_deref())) {
        return failure.hint(hint);
    }
    match problem.and_then(|problem| problem.next) {
        Some(next) => failure.hint(plain(&next)),
        None => failure,
    }
}

/// Where the money of a refused payment is.
fn whereabouts(
    settled: Settled,
    status: u16,
    until: Option<Timestamp>,
    has_reason: bool,
    tally: &Tally,
) -> (Exit, String) {
    match settled {
        Settled::Back(money) if money.amount() == Amount::ZERO => {
            let why = "the credits are worth less than the mint's fee for taking them back";
            (Exit::Failed, format!("{why}; they count as spent, because the merchant may still take them"))
        }
        Settled::Back(money) if status == 402 => {
            (Exit::PaymentRequired, format!("nothing was charged, {money} is back"))
        }
        Settled::Back(money) | Settled::Refunded(money) => {
            (Exit::Failed, format!("nothing was charged, {money} is back"))
        }
        Settled::Charged { charged, .. } => {
            let charged = tally.of(charged.asset()).unwrap_or(charged);
            (Exit::Failed, format!("{charged} was charged all the same"))
        }
        Settled::InSession(money) => (Exit::Failed, format!("nothing was charged, {money} is in a session")),
        Settled::Taken(money) => (Exit::Failed, format!("{money} was spent by another copy of this wallet")),
        Settled::Unknown(money) => (Exit::Failed, format!("{money} counts as spent: nobody knows of it")),
        Settled::InChannel(money) => {
            let exit =
                if has_reason && matches!(status, 402 | 412) { Exit::PaymentRequired } else { Exit::Failed };
            let why = "the seller has a voucher for it";
            (exit, format!("{money} stays booked: {why}, which the next payment through the channel uses up"))
        }
        Settled::Open(money) => match until {
            None => (Exit::OutcomeUnknown, format!("{money} stays set aside for now")),
            Some(until) => {
                let exit = if has_reason && matches!(status, 402 | 412) {
                    Exit::PaymentRequired
                } else {
                    Exit::OutcomeUnknown
                };
                let so_long = format!("what was signed can still be taken until {until}");
                (exit, format!("{money} stays booked: {so_long}; the same command again sends the same"))
            }
        },
    }
}

/// What to do about a reason of x402.
fn advice(on: &OnChain, reason: Option<&str>) -> Option<String> {
    let (symbol, chain) = (plain(&on.symbol), on.chain);
    match reason?.parse().ok()? {
        Reason::Permit2AllowanceRequired | Reason::BatchPermit2AllowanceRequired => Some(format!(
            "this offer moves {symbol} through Permit2, which needs an allowance first: with a wallet that has the same twelve words and some of the chain's coin, call approve({PERMIT2}, amount) of {} on {chain}; or ask the merchant for an offer by EIP-3009, which needs none",
            on.token
        )),
        Reason::InsufficientBalance
        | Reason::Permit2InsufficientBalance
        | Reason::BatchInsufficientBalance => {
            Some(format!("send {symbol} on {chain} to the account that `farthing wallet deposit` shows"))
        }
        _ => None,
    }
}

/// Where every chain has Permit2.
const PERMIT2: &str = "0x000000000022D473030F116dDEE9F6B43aC78BA3";

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
            refusal(
                RefusedPayment { url, status: 402, problem: None, reason: None, on_chain: None, settled },
                &Tally::default(),
            )
        };
        assert!(refused(10_000).message.ends_with("nothing was charged, 0.01 USD is back"));
        assert_eq!(refused(10_000).exit, Exit::PaymentRequired);
        assert!(refused(0).message.contains("the merchant may still take them"));
        assert_eq!(refused(0).exit, Exit::Failed);
    }
}
