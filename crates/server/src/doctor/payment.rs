//! The doctor pays: a top-up code of exactly the price, a wallet that lives as long as this, and a look into the books.

use farthing_gate::flow::Clock;
use farthing_money::Money;
use farthing_wallet::{
    Event, Flow, HttpRequest, MemoryVault, Outcome, Paid, PayFlow, PayRequest, RedeemFlow, SealingEntropy,
    Seed, SendFlow, Step, Unlock, Wallet, WalletError,
};
use farthing_wire::{Receipt, jws};

use super::issuer::About;
use super::place::Place;
use super::{Bad, Check, Report, ask};
use crate::access::{Access, AccessError};
use crate::config::Config;
use crate::random::{RandomError, draw, system_random};

const BOOKS: &str = "run `farthing ledger verify`";

/// Pays and looks what came of it.
pub(super) async fn pay<S>(
    report: &mut Report,
    config: &Config,
    place: &Place,
    about: &About,
    clock: &Clock,
    send: &S,
) where
    S: AsyncFn(HttpRequest) -> Event,
{
    if report.note("upstream", upstream(config, place, send).await).is_none() {
        return;
    }
    let Some(access) = report.note("operator", operator(config, clock).await) else { return };
    let paid = report.note("payment", payment(&access, place, about, clock, send).await);
    if let Some(paid) = paid {
        report.note("receipt", receipt(place, about, &paid));
    }
    report.note("books", books(&access).await);
    access.close().await;
}

/// Looks whether there is a page to pay for.
async fn upstream<S>(config: &Config, place: &Place, send: &S) -> Check<((), String)>
where
    S: AsyncFn(HttpRequest) -> Event,
{
    let url = format!("{}{}", config.server.upstream, place.path);
    match ask(send, &url).await {
        Ok(answer) if (200..300).contains(&answer.status) => {
            Ok(((), format!("{url} answers {}", answer.status)))
        }
        Ok(answer) => {
            let found =
                format!("expected 2xx from the web server behind the gate, got {} at {url}", answer.status);
            Err(Bad::new(
                found,
                "name a page that is there: farthing doctor URL; for anything else nobody is charged",
            ))
        }
        Err(reason) => {
            let found = format!("the web server behind the gate cannot be reached at {url}: {reason}");
            Err(Bad::new(found, "start it, or correct upstream in [server]"))
        }
    }
}

/// Finds the way to the installation, which must be the one that answered.
async fn operator(config: &Config, clock: &Clock) -> Check<(Access, String)> {
    let data = config.server.data.display();
    let access = Access::open(config, clock.clone()).await;
    let access = access
        .map_err(|error| Bad::new(error.to_string(), "run the doctor as the user that runs the server"))?;
    if matches!(access, Access::Socket(_)) {
        return Ok((access, format!("the server answers at its socket in {data}")));
    }
    access.close().await;
    let found = format!("the server that answers does not use the data folder {data}");
    Err(Bad::new(found, "run the doctor on the server's machine with the server's configuration"))
}

/// Makes a code, redeems it and pays.
async fn payment<S>(
    access: &Access,
    place: &Place,
    about: &About,
    clock: &Clock,
    send: &S,
) -> Check<(Paid, String)>
where
    S: AsyncFn(HttpRequest) -> Event,
{
    let price = place.price;
    let codes = access.create_codes(&price.to_string(), 1, None).await;
    let codes = codes.map_err(|error: AccessError| Bad::new(error.to_string(), BOOKS))?;
    let code = codes.codes.first().map(String::as_str).unwrap_or_default();
    let unused =
        |error: String| Bad::new(error, format!("the code {code} of {price} was made for this; keep it"));
    let mut payer = Payer { wallet: wallet().map_err(&unused)?, clock, send };
    let unit = Some(price.asset().unit());
    let mut redeem = RedeemFlow::new(code, &about.issuer, unit).map_err(|error| unused(error.to_string()))?;
    payer.run(&mut redeem).await.map_err(|error| unused(error.to_string()))?;
    let request = PayRequest {
        method: "GET".to_owned(),
        url: place.url.clone(),
        headers: Vec::new(),
        body: Vec::new(),
        max: Some(price),
    };
    let outcome = match PayFlow::new(request) {
        Ok(mut flow) => payer.run(&mut flow).await,
        Err(error) => Err(error),
    };
    let found = match outcome {
        Ok(Outcome::Paid(paid)) if paid.charged == price => {
            let found = format!(
                "{price} moved from codes-sold to the merchant, by {}; {} came",
                paid.dialect, paid.status
            );
            return Ok((*paid, found));
        }
        Ok(Outcome::Paid(paid)) => format!("expected to be charged {price}, was charged {}", paid.charged),
        Ok(Outcome::Served { status, .. }) => format!("expected to pay, got {status} for nothing"),
        Ok(Outcome::Refused(refused)) => {
            let problem = refused.problem.map(|problem| problem.detail).unwrap_or_default();
            format!("the payment was refused with {}: {problem}", refused.status)
        }
        Ok(_) => "expected to pay, got another outcome".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Bad::new(found, payer.rest(price).await))
}

/// A wallet in memory.
fn wallet() -> Result<Wallet, String> {
    let random = system_random();
    let bytes = |error: RandomError| error.to_string();
    let key = draw(&random).map_err(bytes)?;
    let (salt, nonce) = (draw(&random).map_err(bytes)?, draw(&random).map_err(bytes)?);
    let seed = Seed::from_entropy(draw(&random).map_err(bytes)?).map_err(|error| error.to_string())?;
    let entropy = SealingEntropy { salt, nonce };
    Wallet::create(MemoryVault::default(), seed, Unlock::Key(&key), &entropy)
        .map_err(|error| error.to_string())
}

struct Payer<'a, S> {
    wallet: Wallet,
    clock: &'a Clock,
    send: &'a S,
}

impl<S> Payer<'_, S>
where
    S: AsyncFn(HttpRequest) -> Event,
{
    async fn run(&mut self, flow: &mut impl Flow) -> Result<Outcome, WalletError> {
        let mut event = Event::Go;
        loop {
            let happened = std::mem::replace(&mut event, Event::Go);
            match flow.next(&mut self.wallet, happened, (self.clock)())? {
                Step::Send(request) => event = (self.send)(request).await,
                Step::Wait(span) => tokio::time::sleep(std::time::Duration::from_millis(span.millis())).await,
                Step::Deliver => {}
                Step::Done(outcome) => return Ok(*outcome),
            }
        }
    }

    /// What becomes of the credits after a payment that failed: they go to the operator as a token.
    async fn rest(mut self, price: Money) -> String {
        let sent = match SendFlow::new(price, None, None) {
            Ok(mut flow) => self.run(&mut flow).await,
            Err(error) => Err(error),
        };
        match sent {
            Ok(Outcome::Sent { token, .. }) => {
                format!("the credits are unspent: farthing wallet receive {token}")
            }
            _ => format!("see `farthing ledger journal` for what became of the {price}"),
        }
    }
}

/// Checks the receipt against the key that the gate shows.
fn receipt(place: &Place, about: &About, paid: &Paid) -> Check<((), String)> {
    let next = "is the server that answers the only one at this address?";
    let text = paid.receipt.as_deref().ok_or_else(|| Bad::new("expected a receipt, got none", next))?;
    let key = jws::read_key(&about.receipt_key).map_err(|error| Bad::new(error.to_string(), next))?;
    let receipt = Receipt::verify(text, Some(&key)).map_err(|error| Bad::new(error.to_string(), next))?;
    if receipt.money() != Ok(place.price) || receipt.resource != place.url {
        let found = format!(
            "expected a receipt of {} for {}, got {} {} for {}",
            place.price, place.url, receipt.decimal, receipt.asset, receipt.resource
        );
        return Err(Bad::new(found, "set public_url in [server] to the address by which payers come"));
    }
    let short: String = receipt.payment.chars().take(16).collect();
    Ok(((), format!("signed by the gate's key, payment {short}")))
}

async fn books(access: &Access) -> Check<((), String)> {
    let trial = access.trial().await.map_err(|error| Bad::new(error.to_string(), BOOKS))?;
    match (trial.balances, trial.settled) {
        (true, true) => Ok(((), "debits equal credits; nothing is on hold".to_owned())),
        (true, false) => Ok(((), "debits equal credits; other payments are on hold".to_owned())),
        (false, _) => Err(Bad::new("debits do not equal credits", BOOKS)),
    }
}
