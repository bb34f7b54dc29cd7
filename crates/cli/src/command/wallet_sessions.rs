//! `farthing wallet sessions`: the sessions that pay for calls by steps, what is left in them, and how it comes back.

use clap::{Args, Subcommand};
use farthing_money::{Money, Timestamp};
use farthing_wallet::{
    Outcome, Session, SessionCloseFlow, SessionFindFlow, SessionTopUpFlow, Wallet, WalletError,
};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::{Output, View, money_json};
use crate::payer::{Payer, Typed, now};
use crate::table::table;

#[derive(Debug, Subcommand)]
pub enum Sessions {
    /// Every session, and what is left in it as far as that is known here
    List,
    /// Close one, or all: what is left comes back as fresh credits
    Close(Close),
    /// Put more credits into one
    Topup(TopUp),
    /// Find the sessions again that these words have at an issuer
    Find(Find),
}

#[derive(Debug, Args)]
pub struct Close {
    /// The session, or how its name begins
    #[arg(value_name = "SESSION", required_unless_present = "all", conflicts_with = "all")]
    session: Option<String>,
    /// All of them
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub struct TopUp {
    /// The session, or how its name begins
    #[arg(value_name = "SESSION")]
    session: String,
    /// How much, such as "0.50 USD"
    #[arg(value_name = "AMOUNT")]
    amount: Typed,
}

#[derive(Debug, Args)]
pub struct Find {
    /// The issuer's address
    #[arg(value_name = "MINT")]
    mint: String,
}

struct List(Vec<Session>);

struct Closed(Vec<(Session, Money)>);

impl Sessions {
    pub async fn run(&self, payer: &mut Payer, output: &Output) -> Result<(), Failure> {
        match self {
            Self::List => output.show(&List(payer.wallet.sessions().cloned().collect())),
            Self::Close(Close { session, all: _ }) => {
                let ids = match session {
                    Some(text) => vec![found(&payer.wallet, text)?],
                    None => payer.wallet.sessions().map(|session| session.id.clone()).collect(),
                };
                close(payer, &ids, output).await
            }
            Self::Topup(TopUp { session, amount }) => {
                let (id, money) = (found(&payer.wallet, session)?, amount.money(&payer.wallet)?);
                match payer.run(&mut SessionTopUpFlow::new(&id, money)).await? {
                    Outcome::SessionFilled(session) => output.show(&List(vec![*session])),
                    _ => Err(Failure::new(Exit::Failed, "expected a session, got another outcome")),
                }
            }
            Self::Find(Find { mint }) => match payer.run(&mut SessionFindFlow::new(mint)?).await? {
                Outcome::Sessions(found) => output.show(&List(found)),
                _ => Err(Failure::new(Exit::Failed, "expected sessions, got another outcome")),
            },
        }
    }
}

/// Closes them one after the other; what was closed is told though another one cannot be.
async fn close(payer: &mut Payer, ids: &[String], output: &Output) -> Result<(), Failure> {
    let (mut closed, mut failure) = (Vec::new(), None);
    for id in ids {
        match payer.run(&mut SessionCloseFlow::new(id)).await {
            Ok(Outcome::SessionClosed { session, back }) => closed.push((*session, back)),
            Ok(_) => {
                return Err(Failure::new(Exit::Failed, "expected a closed session, got another outcome"));
            }
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    if !closed.is_empty() || failure.is_none() {
        output.show(&Closed(closed))?;
    }
    failure.map_or(Ok(()), Err)
}

/// The one session whose name begins so.
fn found(wallet: &Wallet, text: &str) -> Result<String, Failure> {
    let named = |session: &&Session| session.id.starts_with(&text.to_ascii_lowercase());
    let mut all = wallet.sessions().filter(named);
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(only.id.clone()),
        (Some(_), Some(_)) => {
            let message = format!("expected the name of one session, got {text:?}, with which several begin");
            Err(Failure::new(Exit::Usage, message).hint("write more of it"))
        }
        (None, _) => Err(WalletError::UnknownSession(text.to_owned()).into()),
    }
}

fn state(session: &Session) -> &'static str {
    match (session.is_over, session.is_open(now()), session.left) {
        (true, ..) => "over",
        (_, false, _) => "ended",
        (_, _, 0) => "used up",
        _ => "open",
    }
}

fn of_session(session: &Session) -> Value {
    json!({
        "session": session.id,
        "origin": session.origin,
        "mint": session.mint,
        "state": state(session),
        "left": session.remains().ok().map(money_json),
        "steps_left": session.left,
        "step": session.step,
        "unit": session.unit,
        "generation": session.generation,
        "ends_at": Timestamp::from_secs(session.ends_at).to_string(),
        "opened": session.opened.to_string(),
    })
}

impl View for List {
    fn json(&self) -> Value {
        json!({ "sessions": self.0.iter().map(of_session).collect::<Vec<_>>() })
    }

    fn text(&self) -> String {
        if self.0.is_empty() {
            return "there are no sessions; `farthing pay --session` opens one with a site that takes them"
                .to_owned();
        }
        let row = |session: &Session| {
            [
                session.id.chars().take(12).collect(),
                session.origin.clone(),
                session.remains().map_or_else(|error| error.to_string(), |money| money.to_string()),
                session.left.to_string(),
                Timestamp::from_secs(session.ends_at).to_string(),
                state(session).to_owned(),
            ]
        };
        let rows: Vec<[String; 6]> = self.0.iter().map(row).collect();
        table(["SESSION", "SITE", "LEFT", "STEPS", "ENDS", "STATE"], &rows)
    }
}

impl View for Closed {
    fn json(&self) -> Value {
        let one =
            |(session, back): &(Session, Money)| json!({ "session": session.id, "back": money_json(*back) });
        json!({ "closed": self.0.iter().map(one).collect::<Vec<_>>() })
    }

    fn text(&self) -> String {
        if self.0.is_empty() {
            return "there are no sessions to close".to_owned();
        }
        let one = |(session, back): &(Session, Money)| format!("{back} is back from {}", session.origin);
        self.0.iter().map(one).collect::<Vec<_>>().join("\n")
    }
}
