//! `farthing wallet recover` and `reclaim`: what was left open, and tokens that nobody took.

use clap::Args;
use farthing_wallet::{Outcome, ReclaimFlow, RecoverFlow, Recovered, Settled};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::{Output, View, money_json};
use crate::payer::{Payer, tell};

#[derive(Debug, Args)]
pub struct Recover {}

#[derive(Debug, Args)]
pub struct Reclaim {
    /// The token's number, which `send` told and `history` lists
    #[arg(value_name = "NUMBER")]
    number: u64,
}

struct Ends<'a>(&'a [Recovered]);

impl Recover {
    pub async fn run(&self, payer: &mut Payer, output: &Output) -> Result<(), Failure> {
        ended(payer.run(&mut RecoverFlow::new()).await?, output)
    }
}

impl Reclaim {
    pub async fn run(&self, payer: &mut Payer, output: &Output) -> Result<(), Failure> {
        let outcome = payer.run(&mut ReclaimFlow::new(self.number)).await?;
        if let Outcome::Recovered(recovered) = &outcome
            && let [Recovered { ended: Ok(Settled::Taken(money)), .. }] = recovered.as_slice()
        {
            let message = format!("the token of {money} was received by someone; it cannot be taken back");
            return Err(Failure::new(Exit::NotFound, message));
        }
        ended(outcome, output)
    }
}

fn ended(outcome: Outcome, output: &Output) -> Result<(), Failure> {
    let Outcome::Recovered(recovered) = outcome else {
        return Err(Failure::new(Exit::Failed, "expected what was open, got another outcome"));
    };
    output.show(&Ends(&recovered))?;
    match recovered.into_iter().find_map(|recovered| recovered.ended.err()) {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

fn end_json(recovered: &Recovered) -> Value {
    let mut json = json!({ "number": recovered.attempt, "kind": recovered.kind });
    let fields = match &recovered.ended {
        Ok(Settled::Back(money)) => json!({ "end": "back", "amount": money_json(*money) }),
        Ok(Settled::Charged { charged, change }) => {
            json!({ "end": "charged", "amount": money_json(*charged), "change": money_json(*change) })
        }
        Ok(Settled::Taken(money)) => json!({ "end": "taken", "amount": money_json(*money) }),
        Ok(Settled::Refunded(money)) => json!({ "end": "refunded", "amount": money_json(*money) }),
        Ok(Settled::Unknown(money)) => json!({ "end": "unknown", "amount": money_json(*money) }),
        Ok(Settled::InSession(money)) => json!({ "end": "in-session", "amount": money_json(*money) }),
        Ok(Settled::InChannel(money)) => json!({ "end": "in-channel", "amount": money_json(*money) }),
        Ok(Settled::Open(money)) => json!({ "end": "open", "amount": money_json(*money) }),
        Err(error) => json!({ "end": "open", "code": error.code(), "reason": error.to_string() }),
    };
    if let (Some(json), Value::Object(fields)) = (json.as_object_mut(), fields) {
        json.extend(fields);
    }
    json
}

impl View for Ends<'_> {
    fn json(&self) -> Value {
        json!({ "attempts": self.0.iter().map(end_json).collect::<Vec<_>>() })
    }

    fn text(&self) -> String {
        let line = |recovered: &Recovered| {
            let open = || match recovered.kind {
                "pay" => {
                    format!("the payment of number {} can still be taken; it stays booked", recovered.attempt)
                }
                "buy" => format!("the order of number {} waits for its money", recovered.attempt),
                _ => format!("a token of number {} waits for its receiver", recovered.attempt),
            };
            tell(recovered).unwrap_or_else(open)
        };
        match self.0 {
            [] => "nothing is open".to_owned(),
            some => some.iter().map(line).collect::<Vec<_>>().join("\n"),
        }
    }
}
