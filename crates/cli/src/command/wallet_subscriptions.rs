//! `farthing wallet subscribe`, `subscriptions`, `unsubscribe` and `renew`: passes that are bought again.

use clap::Args;
use farthing_money::{Money, Span, Timestamp};
use farthing_wallet::{
    Asker, Before, Every, Outcome, Paid, Parked, PayFlow, PayRequest, Renews, Shown, Standing,
    SubscribeTerms, Subscription, SubscriptionReject, WalletError,
};

use super::renewal::{When, renew};
use super::wallet_mandate::{Until, until};
use super::wallet_subscriptions_shown::{Ended, Looked, Shelf, Stand};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::payer::{Hop, Payer, Typed, draw, now};

#[derive(Debug, Args)]
#[command(
    after_long_help = "A subscription is a pass that this wallet buys again; the seller knows of none, and nothing is bought while this program does not run. `farthing wallet renew`, from a timer, buys what has ended, and `farthing pay` does so on the spot for a page that the pass opens. Each time limits, mandates and questions hold as for every payment. Subscribing again changes those terms of a subscription that stands that are named, and keeps the others; to drop --every, --until or --times, unsubscribe and subscribe again."
)]
pub struct Subscribe {
    /// Where the pass is sold, such as <https://example.com/.well-known/farthing/passes/day>
    #[arg(value_name = "URL")]
    url: String,
    /// The most that one pass may cost, such as "0.50 USD"; it goes before the limit per call, not before the others
    #[arg(long, value_name = "PRICE")]
    max: Typed,
    /// How often at most: day, month, or a span such as 7d; whenever the last pass has ended otherwise
    #[arg(long, value_name = "HOW OFTEN")]
    every: Option<Every>,
    /// Buy nothing for a time from then on: after a day such as 2026-12-31, from a time, or after a span
    #[arg(long, value_name = "DATE", value_parser = until)]
    until: Option<Until>,
    /// Buy so many passes from now on, and then no more
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    times: Option<u32>,
}

#[derive(Debug, Args)]
pub struct Unsubscribe {
    /// The number of the subscription, or its address
    #[arg(value_name = "ID|URL")]
    named: String,
}

#[derive(Debug, Args)]
#[command(
    after_long_help = "For a timer, such as one of cron or systemd. It looks at every subscription once and buys at most one pass for each; run again, it buys nothing that is paid for already. One that fails does not keep the others from being looked at; the exit code is that of the first failure."
)]
pub struct Renew {
    /// Buy so long before the last pass ends, but never before half of its time is over, nor before the time that --every has set; the
    /// new one lasts from that end. A bundle is bought when the last one has ended
    #[arg(long, value_name = "SPAN", default_value = "1h")]
    before: Span,
}

/// The list of them.
pub struct ListSubscriptions;

/// How a plain renewal pays: with what the wallet has.
fn plain(hop: &Hop) -> Result<PayFlow, Failure> {
    let Hop { method, url, headers, body } = hop.clone();
    Ok(PayFlow::new(PayRequest { method, url, headers, body, max: None })?.on_chains(draw()?))
}

async fn look(
    payer: &mut Payer,
    number: u64,
    margin: Span,
    output: &Output,
) -> Result<Option<Box<Paid>>, Failure> {
    look_for(payer, number, When { asker: &Asker::default(), margin }, output).await
}

async fn look_for(
    payer: &mut Payer,
    number: u64,
    when: When<'_>,
    output: &Output,
) -> Result<Option<Box<Paid>>, Failure> {
    match renew(payer, number, when, plain, output).await? {
        Outcome::Renewed { paid, .. } => Ok(paid),
        _ => Err(Failure::new(Exit::Failed, "expected a pass, got another outcome")),
    }
}

/// Buys the pass that a parked request was to buy, as its subscription does: it counts there, and is not bought if it is not due any more,
/// which fails.
pub async fn approved(
    payer: &mut Payer,
    parked: &Parked,
    renews: Renews,
    output: &Output,
) -> Result<(), Failure> {
    let Renews { subscription, margin } = renews;
    let when = When { asker: &parked.asker, margin };
    let Some(paid) = look_for(payer, subscription, when, output).await? else {
        return Err(not_due(payer, parked, renews)?);
    };
    output.show(&Looked::renewed(vec![(stand(payer, subscription)?, Ok(Some(paid)))]))
}

/// A yes that has bought nothing: it stays, for the same request by hand.
fn not_due(payer: &Payer, parked: &Parked, renews: Renews) -> Result<Failure, Failure> {
    let one = payer.wallet.subscription(&renews.subscription.to_string())?;
    let came = match payer.wallet.standing(one, renews.margin, now()) {
        Standing::Waits(due) => format!("one that is not due before {due}"),
        _ => "one that is not due any more".to_owned(),
    };
    let (url, number) = (&parked.url, parked.number);
    let message =
        format!("expected a subscription whose pass is due, got {came}; nothing is bought at {url}");
    let asker = if parked.asker == Asker::default() { "" } else { ", for the tool and task that asked," };
    let hint = format!(
        "`farthing pay {url}`{asker} buys the pass with this yes all the same; `farthing wallet deny {number}` takes the yes back"
    );
    Ok(Failure::new(Exit::Failed, message).hint(hint))
}

impl Subscribe {
    pub async fn run(&self, payer: &mut Payer, output: &Output) -> Result<(), Failure> {
        let (max, at) = (self.max.money(&payer.wallet)?, now());
        let until = self.until.map(|until| match until {
            Until::At(time) => time,
            Until::In(span) => at.after(span),
        });
        if let Some(until) = until.filter(|until| *until <= at) {
            let message = format!("expected an end to come, got {until}, which is past");
            return Err(Failure::new(Exit::Usage, message));
        }
        let url = Subscription::place(&self.url)?;
        ask(payer, &url, max).await?;
        let terms = SubscribeTerms { max, every: self.every, until, times: self.times };
        let subscription = payer.wallet.subscribe(&url, terms, at)?;
        let bought = look(payer, subscription.number, Span::ZERO, output).await;
        let failure = bought.as_ref().err().cloned();
        output.show(&Looked::subscribed(stand(payer, subscription.number)?, bought))?;
        failure.map_or(Ok(()), |failure| {
            let message =
                format!("it is subscribed, and the first pass is not bought yet: {}", failure.message);
            Err(Failure { message, ..failure })
        })
    }
}

fn stand(payer: &Payer, number: u64) -> Result<Stand, Failure> {
    Stand::of(&payer.wallet, payer.wallet.subscription(&number.to_string())?, now())
}

/// Asks what the pass costs now; nothing is set aside.
async fn ask(payer: &mut Payer, url: &str, max: Money) -> Result<(), Failure> {
    let (headers, body) = (Vec::new(), Vec::new());
    let hop = Hop { method: "GET".to_owned(), url: url.to_owned(), headers, body };
    let price = match payer.run(&mut plain(&hop)?.only_asking()).await? {
        Outcome::Quoted(quote) => quote.price,
        Outcome::Served { status, .. } => {
            let reject = SubscriptionReject::NotForSale { url: url.to_owned(), status };
            return Err(WalletError::from(reject).into());
        }
        _ => return Err(Failure::new(Exit::Failed, "expected a price, got another outcome")),
    };
    if price.asset() != max.asset() {
        let message = format!("expected --max in what the pass costs, {price}, got {max}");
        return Err(Failure::new(Exit::Usage, message));
    }
    if price.amount() > max.amount() {
        let asked = Shown { amount: price.amount(), unit: price.asset().unit() };
        let last = payer.wallet.subscription(url).ok().and_then(|one| one.last);
        let before = Before(last.map(|last| last.charged));
        let reject = SubscriptionReject::Dearer { url: url.to_owned(), asked, max, before };
        return Err(WalletError::from(reject).into());
    }
    Ok(())
}

impl ListSubscriptions {
    pub fn run(payer: &Payer, output: &Output) -> Result<(), Failure> {
        output.show(&Shelf(stands(payer, now())?))
    }
}

fn stands(payer: &Payer, at: Timestamp) -> Result<Vec<Stand>, Failure> {
    payer.wallet.subscriptions().map(|one| Stand::of(&payer.wallet, one, at)).collect()
}

impl Unsubscribe {
    pub fn run(&self, payer: &mut Payer, output: &Output) -> Result<(), Failure> {
        let stand = Stand::of(&payer.wallet, payer.wallet.subscription(&self.named)?, now())?;
        payer.wallet.unsubscribe(&self.named)?;
        output.show(&Ended(stand))
    }
}

impl Renew {
    pub async fn run(&self, payer: &mut Payer, output: &Output) -> Result<(), Failure> {
        let all: Vec<u64> = payer.wallet.subscriptions().map(|one| one.number).collect();
        let (mut looked, mut failures) = (Vec::new(), Vec::new());
        for number in &all {
            let bought = look(payer, *number, self.before, output).await;
            failures.extend(bought.as_ref().err().cloned());
            let one = payer.wallet.subscription(&number.to_string())?;
            looked.push((Stand::of(&payer.wallet, one, now())?, bought));
        }
        output.show(&Looked::renewed(looked))?;
        let (failed, of) = (failures.len(), all.len());
        let Some(first) = failures.into_iter().next() else { return Ok(()) };
        let message =
            format!("{failed} of {of} subscriptions cannot go on now; the first: {}", first.message);
        Err(Failure { message, ..first })
    }
}
