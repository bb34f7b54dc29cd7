//! The doctor: is this endpoint payable? Looks at it from outside as a payer would, one check after the other, and in the
//! end pays it, with credits that the operator gives it for this one time.

mod chains;
mod issuer;
mod offers;
mod payment;
mod payouts;
mod place;
mod rates;

use farthing_gate::flow::Clock;
use farthing_wallet::{Event, HttpRequest, HttpResponse, Read};
use http::Method;
use serde::Serialize;

use crate::config::Config;
use crate::mount::ABOUT_PATH;
pub use chains::warnings;
use issuer::About;
use place::Place;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it should be.
    Ok,
    /// Not as it should be.
    Bad,
    /// Not looked at.
    LeftOut,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it came out.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do, if it is not as it should be.
    pub next: Option<String>,
}

/// All findings about one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was asked for, once that is known.
    pub url: Option<String>,
    /// In the order in which they were made.
    pub findings: Vec<Finding>,
    /// Whether a payer can pay, as far as was looked at.
    pub payable: bool,
}

/// What is not as it should be.
#[derive(Debug)]
pub(crate) struct Bad {
    found: String,
    next: String,
}

/// What a check says.
pub(crate) type Check<T> = Result<T, Bad>;

impl Bad {
    fn new(found: impl Into<String>, next: impl Into<String>) -> Self {
        Self { found: found.into(), next: next.into() }
    }
}

impl Report {
    /// Notes a check; what it looked at, if that is as it should be.
    fn note<T>(&mut self, check: &'static str, result: Check<(T, String)>) -> Option<T> {
        let (value, state, found, next) = match result {
            Ok((value, found)) => (Some(value), State::Ok, found, None),
            Err(bad) => (None, State::Bad, bad.found, Some(bad.next)),
        };
        self.findings.push(Finding { check, state, found, next });
        value
    }

    fn leave_out(&mut self, check: &'static str, why: &str, next: &str) {
        let next = Some(next.to_owned());
        self.findings.push(Finding { check, state: State::LeftOut, found: why.to_owned(), next });
    }

    fn end(mut self) -> Self {
        self.payable = self.findings.iter().all(|finding| finding.state != State::Bad);
        self
    }
}

/// What is to be looked at.
#[derive(Clone, Copy, Debug)]
pub struct Examination<'a> {
    /// The configuration, which is sound.
    pub config: &'a Config,
    /// A URL or a path; otherwise the first that has a price.
    pub target: Option<&'a str>,
    /// Whether it is paid in the end.
    pub pay: bool,
}

/// Examines an endpoint. `send` performs requests and follows no redirect.
pub async fn examine<S>(examination: Examination<'_>, clock: &Clock, send: S) -> Report
where
    S: AsyncFn(HttpRequest) -> Event,
{
    let mut report = Report::default();
    let Examination { config, target, pay } = examination;
    let count = config.rules.iter().count();
    report.note("configuration", Ok(((), format!("sound, {count} rules"))));
    let Some(place) = report.note("price", Place::find(config, target)) else { return report.end() };
    report.url = Some(place.url.clone());
    let about = report.note("server", About::ask(config, &place, &send).await);
    let Some(about) = about else { return report.end() };
    let challenge = match ask(&send, &place.url).await {
        Ok(answer) => report.note("challenge", offers::is_challenge(&place, answer)),
        Err(reason) => report.note("challenge", Err(unreachable(&place.url, &reason))),
    };
    if let Some(answer) = challenge {
        report.note("caching", offers::is_not_cached(&answer));
        report.note("cashu offer", offers::cashu(&place, &about.issuer, &answer));
        report.note("mpp offer", offers::mpp(&place, &about.issuer, &answer));
    }
    report.note("issuer", issuer::keysets(&place, &about.issuer, &send).await);
    let is_sick = report.findings.iter().any(|finding| finding.state == State::Bad);
    if !pay {
        report.leave_out("payment", "not asked for", "leave out --no-pay to have it paid");
    } else if is_sick {
        report.leave_out("payment", "not tried", "mend the above first");
    } else if place.is_sample {
        let next = "name a page that is there: farthing doctor URL";
        report.leave_out("payment", "the rules have patterns only, no page is known to be there", next);
    } else {
        payment::pay(&mut report, config, &place, &about, clock, &send).await;
    }
    chains::look(&mut report, config).await;
    report.end()
}

/// Asks for something without paying.
async fn ask<S>(send: &S, url: &str) -> Result<HttpResponse, String>
where
    S: AsyncFn(HttpRequest) -> Event,
{
    let request = HttpRequest {
        method: Method::GET.as_str().to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        read: Read::Whole,
    };
    match send(request).await {
        Event::Answer(answer) => Ok(answer),
        Event::NotSent(reason) | Event::NoAnswer(reason) => Err(reason),
        Event::Go | Event::Receipt(_) => Err("nothing was sent".to_owned()),
    }
}

fn unreachable(url: &str, reason: &str) -> Bad {
    let next = "start the server with `farthing serve`, and see that public_url in [server] leads to it";
    Bad::new(format!("{url} cannot be reached: {reason}"), next)
}

fn about_url(origin: &str) -> String {
    format!("{origin}{ABOUT_PATH}")
}
