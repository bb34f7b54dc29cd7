//! `farthing pay`: like curl with a purse. What is free comes as it is; what has a price is paid, within limits.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use farthing_money::{AssetCode, Money, Span};
use farthing_wallet::{Asker, Means, Name, Outcome, PayFlow, PayRequest, Run, WalletError};

use super::pay_ask::{self, News, Said};
use super::pay_mandate;
use super::pay_many::{Many, Sums};
use super::pay_quote;
use super::pay_report::{Report, refusal};
use super::renewal::{self, When};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::payer::{
    Delivered, Delivery, Hop, OutFile, Payer, Redirect, Tally, Typed, WalletPlace, draw, next_hop, now,
};
use crate::runtime;

#[derive(Debug, Args)]
#[command(
    after_long_help = "What is free comes as it is; what has a price is paid: with credits if there are enough, or else with a token on a chain, by x402 or MPP, from the wallet's own account (`farthing wallet address`). Only tokens that the wallet knows are paid (`farthing wallet token list`). The body goes to stdout (or to -o FILE), talk to stderr.\n\nA pass that the wallet has is shown first, so that what was paid for is not paid again while the pass lasts. Without limits of your own a payment may cost 1.00 at most and the payments of a day 10.00, in each asset; see `farthing wallet limits`. Above a threshold of yours (`farthing wallet limits set --ask-above`) you are asked on a terminal; elsewhere the payment is parked until you say yes (`farthing wallet parked`). A redirect that answers a payment is delivered and not followed, so that one command pays once. When the outcome is unknown, the same command again sends the same credential, which is never charged twice; what was signed for a chain stays booked until it is over or known.\n\nExit codes: 0 delivered, 1 failed or an HTTP error status, 3 unreachable, 6 payment required but no offer fits or the funds are short, 7 refused by a limit or parked, 8 outcome unknown and safe to repeat."
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Pay {
    /// The address: https, or http on this machine
    #[arg(value_name = "URL")]
    url: String,
    /// The method; GET, or POST with -d
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    method: Option<String>,
    /// The body; @FILE reads it from a file and @- from stdin, as it is
    #[arg(short, long, value_name = "DATA")]
    data: Option<String>,
    /// A field of the request, such as 'Accept: text/html'; may be given more than once
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = field)]
    headers: Vec<(String, String)>,
    /// Write the body into a file; the report then goes to stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write status and fields before the body
    #[arg(short, long)]
    include: bool,
    /// Follow redirects, at most ten, but none that answers a payment; passes stay with their origin
    #[arg(short = 'L', long)]
    location: bool,
    /// The most that this call may cost in all, redirects included, such as "0.05 USD"; goes before the limit per call, not before the others
    #[arg(long, value_name = "AMOUNT")]
    max: Option<Typed>,
    /// Pay with nothing else; credits come first otherwise, if there are enough
    #[arg(long, value_name = "MEANS", value_enum)]
    with: Option<With>,
    /// Pay in this asset alone, such as EUR; otherwise in the first that is offered and of which there is enough. A payment of the same request that is still open is carried on with in its own
    #[arg(long, value_name = "CODE")]
    asset: Option<AssetCode>,
    /// Open a channel with the seller, or fill one up, if it takes channels (x402's batch-settlement); pays with nothing but a chain
    #[arg(long)]
    channel: bool,
    /// Pay by steps of a session: the one that is open for the site, or a new one that credits are put into first
    #[arg(long, conflicts_with = "channel")]
    session: bool,
    /// With --session: put so much into a new session at the most, such as "0.50 USD"; what a hundred calls cost otherwise, or less. It goes before the limit per call
    #[arg(long, value_name = "AMOUNT", requires = "session")]
    session_deposit: Option<Typed>,
    /// Name the tool that asks; its own limits hold then, and the history tells it
    #[arg(long, value_name = "NAME")]
    tool: Option<Name>,
    /// Name the task for which it asks
    #[arg(long, value_name = "NAME")]
    task: Option<Name>,
    /// Pay under the mandate in this file or not at all
    #[arg(long, value_name = "FILE")]
    mandate: Option<PathBuf>,
    /// Ask, but pay nothing, deliver nothing and write nothing down: tell the price, who would get it, which limits it would use, and whether it would be paid, asked for, or refused
    #[arg(long)]
    dry_run: bool,
    /// Buy no pass of a subscription that has ended; pay for the page alone
    #[arg(long)]
    no_renew: bool,
    /// Write the signed receipt into a file; `farthing receipt verify` checks it
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    many: Many,
    #[command(flatten)]
    place: WalletPlace,
}

/// What may pay.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum With {
    /// Credits.
    Credits,
    /// A token on a chain.
    Chain,
}

impl From<With> for Means {
    fn from(with: With) -> Self {
        match with {
            With::Credits => Self::Credits,
            With::Chain => Self::Chain,
        }
    }
}

/// On whose behalf it is paid, and within what.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    asker: Asker,
    max: Option<Money>,
    run: Option<Run>,
    mandate: Option<String>,
    /// What may be put into a new session.
    deposit: Option<Money>,
}

/// Where the redirects led, and what came of it there.
struct Followed {
    url: String,
    outcome: Outcome,
    delivered: Option<Delivered>,
    /// What was charged on the whole way.
    tally: Tally,
}

const HOPS_MAX: u32 = 10;
/// What HTTP itself decides, or the wallet.
const NOT_THE_USERS: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "farthing-pass",
    "farthing-session",
    "payment-signature",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-cashu",
    "x-payment",
];

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected 'Name: value', got no colon")?;
    let (name, value) = (name.trim(), value.trim());
    http::HeaderName::try_from(name).map_err(|_| format!("expected the name of a field, got {name:?}"))?;
    http::HeaderValue::try_from(value)
        .map_err(|_| format!("expected the value of a field, got {value:?}"))?;
    if NOT_THE_USERS.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(format!("expected a field that is yours to set; {name} is set as it has to be"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

impl Pay {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        runtime::block_on(self.act(output))
    }

    /// For a request that is at hand, with no flag but who asks and in what it is paid.
    pub fn of(url: String, (asker, asset): (Asker, AssetCode), place: WalletPlace) -> Self {
        Self {
            url,
            method: None,
            data: None,
            headers: Vec::new(),
            output: None,
            include: false,
            location: false,
            max: None,
            with: None,
            asset: Some(asset),
            channel: false,
            session: false,
            session_deposit: None,
            tool: asker.tool,
            task: asker.task,
            mandate: None,
            dry_run: false,
            no_renew: true,
            receipt: None,
            many: Many::one(),
            place,
        }
    }

    async fn act(&self, output: &Output) -> Result<(), Failure> {
        let hop = self.request()?;
        let mut payer = Payer::new(self.place.open_or_empty().await?);
        if self.dry_run && !self.many.is_many() {
            return self.ask(&mut payer, hop, output).await;
        }
        // A payment of the same request that is still open is carried on below, not undone.
        if !payer.has_open_payment(&hop.method, &hop.url) {
            payer.recover(output).await?;
        }
        if self.many.is_many() {
            return self.pay_many(payer, hop, output).await;
        }
        self.once(payer, hop, output).await
    }

    /// Pays for one request.
    pub async fn once(&self, mut payer: Payer, hop: Hop, output: &Output) -> Result<(), Failure> {
        let file = |path: &Option<PathBuf>| path.as_deref().map(OutFile::open).transpose();
        let (body, mut receipt) = (file(&self.output)?, file(&self.receipt)?);
        let mut delivery = Delivery::to(body, self.include);
        let Followed { url, outcome, delivered, tally } =
            self.follow(&mut payer, hop, &mut delivery, output).await?;
        payer.close_used_up(output).await?;
        let report = Report::of(&url, &outcome, &tally);
        if let (Some(file), Some(text)) = (&mut receipt, report.receipt()) {
            file.write(&format!("{text}\n"))?;
        }
        report.show(output, self.output.is_some())?;
        ended(outcome, delivered, &tally)
    }

    fn request(&self) -> Result<Hop, Failure> {
        let body = self.data.as_deref().map(body).transpose()?;
        let method = match (&self.method, &body) {
            (Some(method), _) => method.clone(),
            (None, Some(_)) => "POST".to_owned(),
            (None, None) => "GET".to_owned(),
        };
        http::Method::from_bytes(method.as_bytes()).map_err(|_| {
            Failure::new(Exit::Usage, format!("expected a method such as GET, got {method:?}"))
        })?;
        let mut headers = self.headers.clone();
        let is_typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if body.is_some() && !is_typed {
            headers.push(("Content-Type".into(), "application/x-www-form-urlencoded".into()));
        }
        Ok(Hop { method, url: self.url.clone(), headers, body: body.unwrap_or_default() })
    }

    /// The request as the wallet takes it.
    fn pay_request(hop: &Hop, max: Option<Money>) -> PayRequest {
        let Hop { method, url, headers, body } = hop.clone();
        PayRequest { method, url, headers, body, max }
    }

    /// The flow of a request. A wallet that nobody keeps signs nothing: nobody could send its account anything.
    fn flow(&self, hop: &Hop, terms: &Terms) -> Result<PayFlow, Failure> {
        let means = if self.channel { Some(Means::Chain) } else { self.with.map(Means::from) };
        let flow = PayFlow::new(Self::pay_request(hop, terms.max))?.only_with(means).only_in(self.asset);
        let flow = flow.opening_channels(self.channel).asked_by(terms.asker.clone()).within_run(terms.run);
        let flow = flow.under_mandate(terms.mandate.clone());
        let is_in_session = self.session && !self.dry_run;
        let flow = if is_in_session { flow.in_sessions(terms.deposit) } else { flow };
        Ok(if self.place.exists()? { flow.on_chains(draw()?) } else { flow })
    }

    fn asker(&self) -> Asker {
        Asker { tool: self.tool.clone(), task: self.task.clone() }
    }

    fn terms(&self, payer: &mut Payer) -> Result<Terms, Failure> {
        let money = |typed: &Option<Typed>, payer: &Payer| {
            typed.as_ref().map(|typed| typed.money(&payer.wallet)).transpose()
        };
        let (max, total) = (money(&self.max, payer)?, money(&self.many.max_total, payer)?);
        let mandate = self.mandate.as_deref().map(|file| pay_mandate::known(payer, file)).transpose()?;
        let run = total.map(|total| Run::begin(&mut payer.wallet, total)).transpose()?;
        let deposit = money(&self.session_deposit, payer)?;
        Ok(Terms { asker: self.asker(), max, run, mandate, deposit })
    }

    /// Pays for the request, or for where its redirects lead if they are to be followed.
    async fn follow(
        &self,
        payer: &mut Payer,
        hop: Hop,
        delivery: &mut Delivery,
        output: &Output,
    ) -> Result<Followed, Failure> {
        let terms = self.terms(payer)?;
        let (mut hop, mut hops, mut tally) = (hop, 0, Tally::default());
        let mut gives_way = !self.no_renew && !self.session;
        loop {
            delivery.follow_redirects(self.location && hops < HOPS_MAX);
            let flow = self.flow(&hop, &terms)?.charged_before(tally.sums().iter().copied());
            let flow = flow.giving_way(gives_way);
            let mut outcome = self.deliver(payer, &hop, flow, delivery, output).await?;
            if let Outcome::RenewFirst(number) = outcome {
                outcome = self.renew(payer, number, (&terms, &tally), output).await?;
                tally.count(&outcome);
                gives_way = false;
                continue;
            }
            tally.count(&outcome);
            let delivered = delivery.take();
            let (status, location) = match &delivered {
                Some(Delivered { status, redirect: Some(Redirect::Follow(location)), .. }) => {
                    (*status, location.clone())
                }
                Some(Delivered { redirect: Some(Redirect::AfterPayment(location)), .. }) => {
                    output.say(format_args!(
                        "{} answers the payment with a redirect to {location}, which is not followed",
                        hop.url
                    ));
                    return Ok(Followed { url: hop.url, outcome, delivered, tally });
                }
                _ => return Ok(Followed { url: hop.url, outcome, delivered, tally }),
            };
            let from = hop.url.clone();
            hop = next_hop(hop, status, &location).ok_or_else(|| {
                let message = format!("{from} redirects to {location:?}, where HTTP does not go");
                Failure::new(Exit::Failed, message)
            })?;
            hops += 1;
            output.say(format_args!("{from} redirects to {}", hop.url));
        }
    }

    /// Buys the pass of a subscription that has ended, within what this call may cost.
    async fn renew(
        &self,
        payer: &mut Payer,
        number: u64,
        (terms, tally): (&Terms, &Tally),
        output: &Output,
    ) -> Result<Outcome, Failure> {
        let pay = |hop: &Hop| Ok(self.flow(hop, terms)?.charged_before(tally.sums().iter().copied()));
        let when = When { asker: &terms.asker, margin: Span::ZERO };
        let renewed = renewal::renew(payer, number, when, pay, output).await;
        let outcome = renewed.map_err(|failure| {
            let message = format!(
                "the subscription {number} opens it, and its pass cannot be bought: {}",
                failure.message
            );
            let hint = "--no-renew pays for this request alone".to_owned();
            let hint = failure.hint.as_ref().map_or(hint.clone(), |other| format!("{other}; {hint}"));
            Failure { message, ..failure }.hint(hint)
        })?;
        if let Outcome::Renewed { subscription, paid: Some(paid), .. } = &outcome {
            output.say(renewal::told(&subscription.url, paid));
        }
        Ok(outcome)
    }

    /// Runs the flow of a request; asks the owner where the owner wants to be asked, or parks it where nobody can be.
    async fn deliver(
        &self,
        payer: &mut Payer,
        hop: &Hop,
        mut flow: PayFlow,
        delivery: &mut Delivery,
        output: &Output,
    ) -> Result<Outcome, Failure> {
        loop {
            let needs = match payer.attempt(&mut flow, delivery).await? {
                Ok(outcome) => return Ok(outcome),
                Err(WalletError::Ask(needs)) => needs,
                Err(error) => return Err(open_payment(payer, hop, error.into())),
            };
            match pay_ask::ask(&needs, &hop.url, output)? {
                // The price is asked for again: it holds for what was shown, and for no more.
                Said::Yes(price) => flow = flow.again(draw()?).agreed_up_to(Some(price)),
                Said::No => {
                    let message = format!(
                        "{} asks {}, and the answer was no; nothing was sent",
                        needs.host, needs.price
                    );
                    return Err(Failure::new(Exit::BudgetRefused, message));
                }
                Said::Nothing => {
                    let parked = pay_ask::park(&mut payer.wallet, hop, (&self.asker(), None), &needs, now())?;
                    if self.output.is_some() {
                        output.show(&News(&parked))?;
                    } else if output.is_json_wanted() {
                        output.say(crate::output::View::json(&News(&parked)));
                    }
                    return Err(pay_ask::parked(&parked, &needs));
                }
            }
        }
    }

    /// Pays for the same request many times over; each may cost an equal part of --max, and all of them --max-total.
    async fn pay_many(&self, mut payer: Payer, hop: Hop, output: &Output) -> Result<(), Failure> {
        Many::check(self.dry_run || self.location || self.output.is_some())?;
        let terms = self.terms(&mut payer)?;
        let terms = Terms { max: terms.max.map(|max| self.many.part(max)), ..terms };
        let flow = self.flow(&hop, &terms)?;
        let flow = if self.many.at_once() > 1 { flow.among_others() } else { flow };
        let sums = Sums::new(hop.url.clone(), self.many.times());
        let more = self.many.flows(flow, sums.clone(), draw);
        let ended = sums.clone();
        let mut payer = payer.each(self.many.at_once(), more, move |end| ended.count(end)).await?;
        payer.close_used_up(output).await?;
        if let Some(needs) = sums.needs() {
            let parked = pay_ask::park(&mut payer.wallet, &hop, (&terms.asker, None), &needs, now())?;
            sums.parked(pay_ask::parked(&parked, &needs));
        }
        sums.end(output)
    }

    /// Asks what it would cost, and whom.
    async fn ask(&self, payer: &mut Payer, hop: Hop, output: &Output) -> Result<(), Failure> {
        if payer.has_open_payment(&hop.method, &hop.url) {
            let message = format!("a payment of {} is under way already", hop.url);
            return Err(Failure::new(Exit::OutcomeUnknown, message)
                .hint("without --dry-run the command carries on with it; it is not charged twice"));
        }
        let money = |typed: &Typed| typed.money(&payer.wallet);
        let max = self.max.as_ref().or(self.many.max_total.as_ref()).map(money).transpose()?;
        let mandate = self.mandate.as_deref().map(|file| pay_mandate::in_wallet(payer, file)).transpose()?;
        let terms = Terms { asker: self.asker(), max, run: None, mandate, deposit: None };
        let mut flow = self.flow(&hop, &terms)?.only_asking();
        match payer.run(&mut flow).await? {
            Outcome::Quoted(quote) => pay_quote::tell(&quote, output),
            outcome => Report::of(&hop.url, &outcome, &Tally::default()).show(output, true),
        }
    }
}

/// What to do if a limit forbids to carry on with a payment that an earlier call began.
fn open_payment(payer: &Payer, hop: &Hop, failure: Failure) -> Failure {
    if failure.exit != Exit::BudgetRefused || !payer.has_open_payment(&hop.method, &hop.url) {
        return failure;
    }
    failure.hint("an earlier payment of it is open: the same command as then carries on with it, and `farthing wallet recover` finds out what became of it")
}

/// The body that -d means.
fn body(data: &str) -> Result<Vec<u8>, Failure> {
    let Some(place) = data.strip_prefix('@') else { return Ok(data.as_bytes().to_vec()) };
    let mut bytes = Vec::new();
    let read = match place {
        "-" => std::io::stdin().lock().read_to_end(&mut bytes),
        path => std::fs::File::open(Path::new(path)).and_then(|mut file| file.read_to_end(&mut bytes)),
    };
    read.map_err(|error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Failure::new(exit, format!("cannot read the body from {place}: {error}"))
    })?;
    Ok(bytes)
}

/// How it ended, after the report.
fn ended(outcome: Outcome, delivered: Option<Delivered>, tally: &Tally) -> Result<(), Failure> {
    if let Outcome::Refused(refused) = outcome {
        return Err(refusal(*refused, tally));
    }
    let Some(delivered) = delivered else { return Ok(()) };
    if let Some(broken) = delivered.broken {
        let failure = Failure::new(Exit::Failed, broken);
        return Err(match outcome {
            Outcome::Paid(paid) if paid.pass_until.is_some() => {
                failure.hint("the pass is kept: the same command again costs nothing while it lasts")
            }
            _ => failure,
        });
    }
    if delivered.status.is_client_error() || delivered.status.is_server_error() {
        return Err(Failure::new(Exit::Failed, format!("the server answered {}", delivered.status)));
    }
    Ok(())
}
