//! The 402: every offer at one price, for programs and for people.

use farthing_engine::{Exchange, Mode, QuotaReject, Refusal, Reject};
use farthing_money::{Amount, Money, Timestamp};
use farthing_wire::cashu::PaymentRequest;
use farthing_wire::mpp::{self, credit};
use farthing_wire::problem::{PaymentAuthType, Problem};
use farthing_wire::x402::{PaymentRequired, Requirements, Resource};
use farthing_wire::{QuotaField, header};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use serde_json::json;

use super::Shared;
use super::config::{Demand, XCashu};
use super::free::put_quota;
use super::metered;
use super::offered;
use super::quota::QuotaTerms;
use super::quote::Quote;
use super::refusal::{Kind, Refused};
use super::sale::told_extension;
use super::teaser::Shown;
use crate::body::Body;
use crate::chain::{offer, settled};
use crate::cors;
use crate::page::{CUT_POLICY, FORM_POLICY, FreePart, POLICY, Page, PageQuota, locale, prefers_html};
use crate::problem;
use crate::teaser::Part;

/// What our own fields of a 402 may have together: the rest is for the usual ones, and for those of a proxy before us.
const FIELDS_BYTES_MAX: usize = header::CHALLENGE_LIMIT_BYTES - 1_024;

/// What the offers of a 402 are made of.
pub(super) struct Asked<'a> {
    pub(super) quote: &'a Quote,
    pub(super) headers: &'a HeaderMap,
    /// The digest of the request's body, when it has one that was read.
    pub(super) digest: Option<String>,
}

impl Shared {
    /// The answer to a request that brought nothing.
    pub(super) fn challenge(&self, asked: &Asked<'_>) -> Response<Body> {
        if self.mode() == Mode::Paused {
            // No credential would be taken now, so none is asked for.
            return self.refuse(asked, &Refused::Engine(Refusal::Reject(Reject::Paused)), false);
        }
        let quote = asked.quote;
        let what = if quote.description.is_empty() { "This resource" } else { &quote.description };
        let detail = match &quote.meter {
            Some(meter) => format!("{what} costs {} at the most: {}.", quote.price, meter.in_words()),
            None => format!("{what} costs {}.", quote.price),
        };
        let problem = Problem::new("payment-required", 402, "Payment Required", detail)
            .of_type(PaymentAuthType::PaymentRequired)
            .expected(format!("a credential worth {}", quote.price))
            .got("none")
            .next(format!(
                "pay with `farthing pay {}`, or any client that knows one of the offers",
                quote.url
            ));
        self.challenge_with(asked, problem, None)
    }

    /// The answer to a credential that was refused.
    pub(super) fn refuse(&self, asked: &Asked<'_>, refused: &Refused, cashu: bool) -> Response<Body> {
        let problem = refused.problem(cashu);
        let retry_after_secs = match refused.kind() {
            Kind::Conflict => Some(1),
            Kind::Taken | Kind::Used => None,
            // Rounded up: who comes back a moment too early is refused again.
            Kind::Limited(span) | Kind::Unavailable(span) => Some(span.millis().div_ceil(1_000).max(1)),
            Kind::Later(span) => {
                let mut response = self.challenge_with(asked, problem, Some(refused));
                let secs = span.millis().div_ceil(1_000).max(1);
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(secs));
                return response;
            }
            Kind::Stranger
            | Kind::Named
            | Kind::Over
            | Kind::Invalid
            | Kind::Unsupported
            | Kind::Unprepared => {
                return self.challenge_with(asked, problem, Some(refused));
            }
        };
        let mut response = problem::answer(&problem);
        let headers = response.headers_mut();
        headers.extend(retry_after_secs.map(|secs| (RETRY_AFTER, HeaderValue::from(secs))));
        self.put_unsettled(headers, asked.quote, refused);
        cors::open(headers, asked.headers);
        response
    }

    /// Tells a payer on a chain that its payment was not settled, or not yet.
    fn put_unsettled(&self, headers: &mut HeaderMap, quote: &Quote, refused: &Refused) {
        if !matches!(refused, Refused::Settling(_) | Refused::NotSettled { .. }) {
            return;
        }
        let Some(offer) = self.chain_offers(quote, quote.price).into_iter().next() else { return };
        let text = refused.reason().and_then(|reason| settled::unsettled(&offer.network, reason));
        if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(header::PAYMENT_RESPONSE, value);
        }
    }

    /// What the issuer does at present; if that cannot be read, what is paid for will say so.
    fn mode(&self) -> Mode {
        self.config.read.books().map(|books| books.mode).unwrap_or_default()
    }

    fn challenge_with(
        &self,
        asked: &Asked<'_>,
        problem: Problem,
        refused: Option<&Refused>,
    ) -> Response<Body> {
        let now = (self.config.clock)();
        let quote = asked.quote;
        let money = quote.price;
        let problem = problem.with("price", offered::priced(money)).with("resource", quote.url.clone());
        let sunset = self.mode() == Mode::Sunset;
        let mint = self.config.names.mints.first().map_or("", String::as_str);
        let trial = quote.trial.filter(|_| !sunset && !mint.is_empty());
        let problem = told_trial(problem, trial, mint);
        let problem = if sunset { problem.with("issuer_mode", Mode::Sunset.as_str()) } else { problem };
        let (problem, field) = told_quota(problem, quote, now);
        let problem = metered::in_problem(offered::in_problem(problem, quote), quote);
        let mut problem = self.refunds_in_problem(told_extension(told_teaser(problem, quote), quote), quote);
        let mut fields = offered::links(&quote.plans);
        let others = self.exchanges(quote);
        let creq_b = self.add_cashu_requests(quote, &mut fields);
        match self.mpp_challenge(quote, quote.price, asked.digest.clone(), now) {
            Ok((id, text)) => {
                fields.push((header::WWW_AUTHENTICATE, text));
                problem = problem.with("challengeId", id);
            }
            // Not for which URL: its query may say who asks.
            Err(error) => tracing::error!(%error, "an MPP challenge cannot be written"),
        }
        let problem = self.add_chain_offers((asked, refused, now), &others, problem, &mut fields);
        let problem = self.add_other_credits((asked, now), &others, problem, &mut fields);
        let mut response = problem::answer(&problem);
        let is_page = prefers_html(asked.headers);
        if is_page {
            let refusal = refused.map(ToString::to_string);
            let passes = offered::choices(quote);
            let meter = quote.meter.as_ref().map(|meter| meter.in_words());
            let page = Page {
                url: &quote.url,
                description: &quote.description,
                price: money,
                others: &others,
                locale: locale(asked.headers),
                pass: quote.pass,
                request: creq_b.as_deref(),
                problem: refusal.as_deref(),
                sunset,
                quota: quote.quota.as_ref().map(|terms| page_quota(terms, now)),
                least: quote.least,
                meter: meter.as_deref(),
                passes: &passes,
                free_part: free_part(quote),
                refund: self.refunds_of(quote),
                extends: quote.extends().map(|extends| extends.ends),
                trial: trial.map(|money| (money, mint)),
            };
            put_page(&mut response, &page, quote);
        }
        let headers = response.headers_mut();
        put_public(headers, asked, is_page);
        if let Some(field) = field {
            put_quota(headers, &field);
        }
        metered::put_asked(headers, quote);
        if let Some(refused) = refused {
            self.put_unsettled(headers, quote, refused);
        }
        append(headers, fields);
        response
    }

    /// The payment request for credits of the own asset, in the encodings that are wanted; the second one is for people as well.
    pub(super) fn add_cashu_requests(
        &self,
        quote: &Quote,
        fields: &mut Vec<(&'static str, String)>,
    ) -> Option<String> {
        let request = self.cashu_request(quote, quote.price)?;
        let (style, creq_b) = (self.config.offers.x_cashu, request.encode_b().ok());
        let creq_a = (style != XCashu::B).then(|| request.encode_a().ok()).flatten();
        fields.extend(creq_a.map(|text| (header::X_CASHU, text)));
        fields.extend(creq_b.clone().filter(|_| style != XCashu::A).map(|text| (header::X_CASHU, text)));
        creq_b
    }

    /// The offers of chains, if there are any, in the dialects that know them.
    fn add_chain_offers(
        &self,
        (asked, refused, now): (&Asked<'_>, Option<&Refused>, Timestamp),
        others: &[Exchange],
        problem: Problem,
        fields: &mut Vec<(&'static str, String)>,
    ) -> Problem {
        let prices = std::iter::once(asked.quote.price).chain(others.iter().map(Exchange::paid));
        // By asset, the price's own first: MPP has a challenge of its own for each.
        let mut by_asset: Vec<_> = prices.map(|price| self.chain_offers(asked.quote, price)).collect();
        by_asset.retain(|offers| !offers.is_empty());
        if by_asset.is_empty() {
            return problem;
        }
        let evm = by_asset
            .iter()
            .filter_map(|offers| self.evm_challenge(asked.quote, offers, asked.digest.clone(), now));
        let mut evm = evm.collect::<Vec<_>>().into_iter();
        fields.extend(evm.next().map(|text| (header::WWW_AUTHENTICATE, text)));
        if let Some(Refused::Corrective(corrective)) = refused {
            for offers in &mut by_asset {
                corrective.put(offers);
            }
        }
        let sessions: Vec<_> = by_asset
            .iter()
            .filter_map(|offers| self.session_challenge(asked.quote, offers, asked.digest.clone(), now))
            .collect();
        let offers = by_asset.into_iter().flatten().collect();
        let mut required = required(asked.quote, offers, refused);
        self.declare(&mut required, asked.quote, now, room(fields));
        fields.extend(required.to_header().ok().map(|text| (header::PAYMENT_REQUIRED, text)));
        // They say once more what is said already.
        for text in sessions.into_iter().chain(evm) {
            if text.len() < room(fields) {
                fields.push((header::WWW_AUTHENTICATE, text));
            }
        }
        // A payment of version 1 cannot be named.
        let named = self.config.offers.extensions.payment_identifier == Demand::Required;
        if named { problem } else { offer::for_version_1(problem, &required) }
    }

    /// Sessions, and the price in other assets, in all dialects that credits are paid in. Own offers come first: whoever reads only one field
    /// of a kind reads that.
    fn add_other_credits(
        &self,
        (asked, now): (&Asked<'_>, Timestamp),
        others: &[Exchange],
        problem: Problem,
        fields: &mut Vec<(&'static str, String)>,
    ) -> Problem {
        let session = self.credit_session_challenge(asked.quote, now);
        let session = session.filter(|text| text.len() < room(fields));
        fields.extend(session.map(|text| (header::WWW_AUTHENTICATE, text)));
        if others.is_empty() {
            return problem;
        }
        let keyring = self.config.keyring.borrow().clone();
        let issued = |price: &Money| keyring.active(price.asset().unit()).is_some();
        for price in others.iter().map(Exchange::paid).filter(issued) {
            let style = self.config.offers.x_cashu;
            let request = self.cashu_request(asked.quote, price).and_then(|request| {
                if style == XCashu::B { request.encode_b().ok() } else { request.encode_a().ok() }
            });
            let challenge = self.mpp_challenge(asked.quote, price, asked.digest.clone(), now).ok();
            let request = request.map(|text| (header::X_CASHU, text));
            let challenge = challenge.map(|(_, text)| (header::WWW_AUTHENTICATE, text));
            for field in request.into_iter().chain(challenge) {
                if field.1.len() < room(fields) {
                    fields.push(field);
                }
            }
        }
        problem.with("prices", others.iter().map(price_json).collect::<Vec<_>>())
    }

    fn cashu_request(&self, quote: &Quote, price: Money) -> Option<PaymentRequest> {
        let amount: Amount = price.amount();
        Some(PaymentRequest {
            amount: Some(amount.to_u64()?),
            unit: Some(price.asset().unit().as_str().to_owned()),
            single_use: Some(true),
            mints: self.config.names.mints.clone(),
            description: (!quote.description.is_empty()).then(|| quote.description.clone()),
            ..PaymentRequest::default()
        })
    }

    pub(super) fn mpp_challenge(
        &self,
        quote: &Quote,
        price: Money,
        digest: Option<String>,
        now: Timestamp,
    ) -> Result<(String, String), credit::CreditError> {
        let asset = price.asset();
        let request = credit::Request {
            amount: price.amount(),
            currency: asset.unit(),
            mints: self.config.names.mints.clone(),
            method_details: credit::MethodDetails {
                decimals: asset.scale(),
                asset: asset.code(),
                metered: quote.meter.is_some(),
            },
        };
        let method = (mpp::METHOD_CREDIT, mpp::INTENT_CHARGE);
        let challenge = self.issue(quote, method, &request.to_json()?, digest, now)?;
        let text = challenge.to_header()?;
        Ok((challenge.id, text))
    }

    /// A challenge of ours for a request, of one of MPP's methods and intents.
    pub(super) fn issue(
        &self,
        quote: &Quote,
        (method, intent): (&str, &str),
        request: &serde_json::Value,
        digest: Option<String>,
        now: Timestamp,
    ) -> Result<mpp::Challenge, mpp::ChallengeError> {
        let tag = quote.tag();
        let draft = mpp::Draft {
            realm: &self.config.names.realm,
            method,
            intent,
            request,
            expires: Some(now.after(self.config.offers.lifetime)),
            digest,
            header: None,
            opaque: Some(tag.as_bytes()),
            description: Some(quote.description.as_str()).filter(|text| !text.is_empty()),
        };
        mpp::Challenge::issue(&self.config.secrets.challenge, &draft)
    }
}

/// A 402 is kept by no cache, is another one for people, and may be read by any page.
fn put_public(headers: &mut HeaderMap, asked: &Asked<'_>, is_page: bool) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let vary = if is_page { "accept, accept-language" } else { "accept" };
    headers.insert(VARY, HeaderValue::from_static(vary));
    cors::open(headers, asked.headers);
}

/// Says in a problem how little may be named, and where what is free stands.
fn told_quota(problem: Problem, quote: &Quote, now: Timestamp) -> (Problem, Option<QuotaField>) {
    let problem = match quote.least {
        Some(least) => problem.with("least", least.to_string()),
        None => problem,
    };
    let Some(terms) = &quote.quota else { return (problem, None) };
    let field = terms.field(now);
    let told = json!({
        "free": field.free,
        "per": terms.quota.per.as_str(),
        "left": field.left,
        "by": field.by.as_str(),
        "resets": field.resets.to_string(),
        "refused": terms.refused.as_ref().map(Reject::code),
    });
    (problem.with("quota", told), Some(field))
}

/// Says in a problem what newcomers get for nothing, and where.
fn told_trial(problem: Problem, trial: Option<Money>, mint: &str) -> Problem {
    let Some(money) = trial else { return problem };
    let asset = money.asset();
    let told = json!({ "amount": money.amount(), "unit": asset.unit(), "asset": asset.code(), "scale": asset.scale(), "mint": mint, "method": "trial" });
    problem.with("trial", told)
}

/// Says in a problem what is free of it, and what it is if that is a list.
fn told_teaser(problem: Problem, quote: &Quote) -> Problem {
    let Some(terms) = &quote.teaser else { return problem };
    let part = &terms.teaser.part;
    let free = part.to_string();
    let told = match (part, terms.shown.as_deref()) {
        (Part::Bytes(bytes), _) => {
            json!({ "free": free, "range": format!("bytes=0-{}", bytes.saturating_sub(1)) })
        }
        (Part::Items { at, .. }, Some(Shown::Items { items, all })) => {
            json!({ "free": free, "at": at, "items": items, "of": all })
        }
        _ => json!({ "free": free }),
    };
    problem.with("teaser", told)
}

/// The free part that stands in the page itself.
fn free_part(quote: &Quote) -> Option<FreePart<'_>> {
    match quote.teaser.as_ref()?.shown.as_deref()? {
        Shown::Text(text) => Some(FreePart::Text(text)),
        // Of the same origin, however the page was reached.
        Shown::Picture => {
            let after_scheme = quote.url.split_once("://").map_or(quote.url.as_str(), |(_, rest)| rest);
            after_scheme.find('/').and_then(|at| after_scheme.get(at..)).map(FreePart::Picture)
        }
        Shown::Page { .. } | Shown::Items { .. } => None,
    }
}

fn put_page(response: &mut Response<Body>, page: &Page<'_>, quote: &Quote) {
    let shown = quote.teaser.as_ref().and_then(|terms| terms.shown.as_deref());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    if let Some(Shown::Page { page: cut, fields }) = shown {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(CUT_POLICY));
        // Of several policies each holds.
        for (name, value) in fields {
            headers.append(name, value.clone());
        }
        *response.body_mut() = Body::from(format!("{}{}{}", cut.before, page.to_section(), cut.after));
        return;
    }
    let policy = if page.least.is_some() { FORM_POLICY } else { POLICY };
    let pictures = if matches!(shown, Some(Shown::Picture)) { "; img-src 'self'" } else { "" };
    if let Ok(policy) = HeaderValue::try_from(format!("{policy}{pictures}")) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    *response.body_mut() = Body::from(page.to_html());
}

fn page_quota(terms: &QuotaTerms, now: Timestamp) -> PageQuota {
    let field = terms.field(now);
    let crowded = matches!(terms.refused, Some(Reject::Quota(QuotaReject::Crowded { .. })));
    PageQuota { field, per: terms.quota.per, crowded }
}

/// A price in another asset, and the rate that it was worked out by.
fn price_json(exchange: &Exchange) -> serde_json::Value {
    let (price, rate) = (exchange.paid(), &exchange.rate);
    json!({
        "amount": price.amount(),
        "unit": price.asset().unit(),
        "asset": price.asset().code(),
        "scale": price.asset().scale(),
        "rate": rate.to_decimal(),
        "at": rate.at.to_string(),
        "source": rate.source,
    })
}

/// Adds fields. What cannot stand in one is left out.
pub(super) fn append(headers: &mut HeaderMap, fields: Vec<(&'static str, String)>) {
    for (name, text) in fields {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(text)) {
            headers.append(name, value);
        }
    }
}

/// How many bytes are left for more of our fields.
fn room(fields: &[(&'static str, String)]) -> usize {
    let taken = fields.iter().map(|(name, text)| name.len().saturating_add(text.len()));
    FIELDS_BYTES_MAX.saturating_sub(taken.sum())
}

/// All ways to pay on chains, and why what came was not enough.
fn required(quote: &Quote, accepts: Vec<Requirements>, refused: Option<&Refused>) -> PaymentRequired {
    let error = refused.map(|refused| refused.reason().map_or_else(|| refused.to_string(), str::to_owned));
    let description = (!quote.description.is_empty()).then(|| quote.description.clone());
    offer::required(Resource { description, ..Resource::of(quote.url.clone()) }, accepts, error)
}
