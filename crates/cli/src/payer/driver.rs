//! Runs what the wallet wants done: its flows say what to send, here it is sent, and told what came back.

use farthing_gate::flow::system_clock;
use farthing_money::{Span, Timestamp};
use farthing_wallet::{
    Address, Attempt, AttemptKind, Event, Flow, Outcome, RecoverFlow, Recovered, SessionCloseFlow, Settled,
    Step, Wallet, WalletError,
};

use super::delivery::Delivery;
use super::http::{Client, Patience};
use crate::exit::Failure;
use crate::output::Output;

/// A wallet that is open, and the way out of this machine.
pub struct Payer {
    pub wallet: Wallet,
    /// Made when it is first needed.
    client: Option<Client>,
}

/// The time.
pub fn now() -> Timestamp {
    system_clock()()
}

impl Payer {
    /// A payer with this wallet.
    pub fn new(wallet: Wallet) -> Self {
        Self { wallet, client: None }
    }

    /// Runs a flow that delivers nothing.
    pub async fn run(&mut self, flow: &mut impl Flow) -> Result<Outcome, Failure> {
        self.deliver(flow, &mut Delivery::none()).await
    }

    /// Runs a flow to its end; answers go where the delivery says.
    pub async fn deliver(
        &mut self,
        flow: &mut impl Flow,
        delivery: &mut Delivery,
    ) -> Result<Outcome, Failure> {
        Ok(self.attempt(flow, delivery).await??)
    }

    /// Runs a flow to its end, with the wallet's own word for why it ended.
    pub async fn attempt(
        &mut self,
        flow: &mut impl Flow,
        delivery: &mut Delivery,
    ) -> Result<Result<Outcome, WalletError>, Failure> {
        let client = match self.client.take() {
            Some(client) => client,
            None => Client::new(Patience::default())?,
        };
        let wallet = &mut self.wallet;
        let step = |flow: &mut _, event| Flow::next(flow, wallet, event, now());
        let outcome = drive(&client, step, flow, delivery).await;
        self.client = Some(client);
        Ok(outcome)
    }

    /// The wallet and the way out, for several flows at once.
    pub(super) fn into_parts(self) -> Result<(Wallet, Client), Failure> {
        let client = match self.client {
            Some(client) => client,
            None => Client::new(Patience::default())?,
        };
        Ok((self.wallet, client))
    }

    /// Whether a payment of this request is open: begun, and its answer never seen.
    pub fn has_open_payment(&self, method: &str, url: &str) -> bool {
        let url = url.parse().map_or_else(|_| url.to_owned(), |address: Address| address.to_string());
        self.wallet
            .attempts()
            .filter_map(Attempt::payment)
            .any(|payment| payment.method == method && payment.url == url && !payment.delivered)
    }

    /// Brings to its end what an earlier run left open. What cannot be ended now is told and stays; so does, for a while, a
    /// payment whose outcome is unknown, because the same request made again may still get what was paid for.
    pub async fn recover(&mut self, output: &Output) -> Result<(), Failure> {
        let left = |kind: &AttemptKind| !matches!(kind, AttemptKind::Sent { .. });
        if !self.wallet.attempts().any(|attempt| left(&attempt.kind)) {
            return Ok(());
        }
        if let Outcome::Recovered(recovered) = self.run(&mut RecoverFlow::overdue()).await? {
            recovered.iter().filter_map(tell).for_each(|talk| output.say(talk));
        }
        Ok(())
    }
}

impl Payer {
    /// Closes sessions with which nothing more can be paid, so that what is left of them is at hand. What cannot be closed now stays.
    pub async fn close_used_up(&mut self, output: &Output) -> Result<(), Failure> {
        self.wallet.note_sessions()?;
        let at = now();
        let used: Vec<String> = self
            .wallet
            .sessions()
            .filter(|session| session.is_used_up(at))
            .map(|session| session.id.clone())
            .collect();
        for id in used {
            let ended = self.attempt(&mut SessionCloseFlow::new(&id), &mut Delivery::none()).await?;
            match ended {
                Ok(_) => {}
                Err(error @ WalletError::Vault(_)) => return Err(error.into()),
                Err(error) => output.say(format_args!("note: the session {id} stays open: {error}")),
            }
        }
        Ok(())
    }
}

/// Runs a flow to its end; `step` lets it have the wallet between two requests.
pub(super) async fn drive<F: Flow>(
    client: &Client,
    mut step: impl FnMut(&mut F, Event) -> Result<Step, WalletError>,
    flow: &mut F,
    delivery: &mut Delivery,
) -> Result<Outcome, WalletError> {
    let (mut event, mut last) = (Event::Go, None);
    loop {
        match step(flow, std::mem::replace(&mut event, Event::Go))? {
            Step::Send(request) => match client.send(request).await {
                Ok(answer) => {
                    event = Event::Answer(answer.to_response());
                    last = Some(answer);
                }
                Err(none) => event = none,
            },
            Step::Wait(span) => wait(span).await,
            Step::Deliver => {
                let answer = last.take().ok_or(WalletError::Misuse("an answer to deliver"))?;
                delivery.deliver(answer, flow.is_paying()).await;
                event = delivery.receipt().map_or(Event::Go, |text| Event::Receipt(text.to_owned()));
            }
            Step::Done(outcome) => return Ok(*outcome),
        }
    }
}

async fn wait(span: Span) {
    tokio::time::sleep(std::time::Duration::from_millis(span.millis())).await;
}

/// What to say of an attempt that an earlier run left open.
pub fn tell(recovered: &Recovered) -> Option<String> {
    let what = match recovered.kind {
        "pay" => "an earlier payment",
        "redeem" => "an earlier top-up code",
        "buy" => "an order of credits",
        "receive" => "a token that was being received",
        "change" => "a change of credits",
        "refund" => "an earlier refund",
        "session" => "a session",
        _ => "a token that was given away",
    };
    match &recovered.ended {
        Ok(Settled::Back(money)) if matches!(recovered.kind, "redeem" | "buy") => {
            Some(format!("recovered: {what} brought {money}"))
        }
        Ok(Settled::Back(money)) => Some(format!("recovered: {money} of {what}")),
        Ok(Settled::Charged { charged, change }) => {
            Some(format!("recovered: {what} was charged {charged}; {change} came back"))
        }
        Ok(Settled::Taken(money)) => Some(format!("{what} of {money} was taken")),
        Ok(Settled::Refunded(money)) => Some(format!(
            "recovered: {what} of {money} has its top-up code; `farthing wallet history` shows it"
        )),
        Ok(Settled::Unknown(money)) => Some(format!(
            "note: {what} of {money} counts as spent: its time is over, and no node of its chain is named that could say more"
        )),
        Ok(Settled::InChannel(money)) => Some(format!(
            "note: {what} through a channel was not answered: its {money} stays booked until the channel's next payment"
        )),
        Ok(Settled::InSession(money)) => {
            Some(format!("recovered: {money} is in {what}; `farthing wallet sessions list` shows it"))
        }
        Ok(Settled::Open(_)) => None,
        Err(error) => Some(format!("note: {what} stays open: {error}")),
    }
}
