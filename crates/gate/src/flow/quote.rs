//! What one request would cost, and what a payment for it opens.

use std::sync::Arc;

use farthing_engine::{Chart, Payees, Reject, RequestTag};
use farthing_money::{Asset, Label, Money, Span};
use farthing_wire::Pass;
use farthing_wire::pass::plan_scope;
use farthing_wire::x402::PaymentFlow;
use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use http::{Method, header};
use sha2::Sha256;

use super::fare::Riding;
use super::named::{self, NamedRefusal};
use super::quota::QuotaTerms;
use super::sale::Sale;
use super::teaser::TeaserTerms;
use super::terms::Ask;
use crate::meter::{Count, Meter};
use crate::peer::Peer;
use crate::rule::{Covers, Feature, PassScope, Plan, Refunds, Rule, Share, is_safe};
use crate::target::Target;

/// Into how many parts a rule divides what it earns.
const SHARES: u32 = 100;

/// A price for a request. What few prices have is by itself on the heap: every priced request makes one.
#[derive(Clone, Debug)]
pub(super) struct Quote {
    pub(super) price: Money,
    pub(super) pass: Span,
    /// What a pass opens, in words that a pass for anything else cannot have.
    pub(super) scope: String,
    /// Where a browser sends the pass.
    pub(super) cookie_path: String,
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) description: String,
    /// Goes with the payment into the books.
    pub(super) tax_code: Option<Label>,
    /// When a payment on a chain is settled.
    pub(super) flow: PaymentFlow,
    /// What is counted of it, if less than the price may be charged.
    pub(super) meter: Option<Arc<Meter>>,
    /// Who gets which part of it.
    pub(super) shares: Vec<Share>,
    /// What is free of it, and where that stands.
    pub(super) quota: Option<Box<QuotaTerms>>,
    /// What of it is shown to who has not paid.
    pub(super) teaser: Option<Box<TeaserTerms>>,
    /// What newcomers get for nothing, to pay it with.
    pub(super) trial: Option<Money>,
    /// In what it may be paid beside its own asset, if its rule says so.
    pub(super) accepts: Option<Vec<Asset>>,
    /// It costs this asker nothing, though others pay.
    pub(super) granted: bool,
    /// The least that payers may name, where they name what they pay.
    pub(super) least: Option<Money>,
    /// What the payer has named.
    pub(super) named: Option<Money>,
    /// Why that is not taken.
    pub(super) refused: Option<Box<NamedRefusal>>,
    pub(super) place: Place,
    /// The passes for sale that cover it.
    pub(super) plans: Vec<Arc<Plan>>,
    /// What is bought, if it is a pass.
    pub(super) sale: Option<Sale>,
    /// The fare that it is paid in, if it is in one.
    pub(super) fare: Option<Box<Riding>>,
    /// On which terms a payment for it is given back.
    pub(super) refunds: Option<Refunds>,
    /// Bundles that came with the request and cover it.
    pub(super) bundles: Vec<Pass>,
    /// Why the last of them opens nothing.
    pub(super) used_up: Option<Box<Reject>>,
}

/// Where something is, in all readings of its path.
#[derive(Clone, Debug)]
pub(super) struct Place {
    host: String,
    readings: Vec<Vec<u8>>,
}

impl Place {
    fn of(target: &Target<'_>) -> Self {
        Self { host: target.host().to_owned(), readings: target.readings().map(<[u8]>::to_vec).collect() }
    }

    /// Whether a pass covers it.
    pub(super) fn is_covered(&self, covers: &Covers, method: &Method) -> bool {
        covers.cover(method, &self.host, self.readings.iter().map(Vec::as_slice))
    }
}

impl Quote {
    pub(super) fn new(
        rule: &Rule,
        ask: Ask,
        parts: &Parts,
        target: &Target<'_>,
        https: Option<bool>,
    ) -> Self {
        // What HEAD tells belongs to what GET delivers.
        let method = if parts.method == Method::HEAD { Method::GET } else { parts.method.clone() };
        // As it is forwarded: what two spellings mean to the upstream is not for us to say.
        let (path, host) = (parts.uri.path(), target.host());
        let query = parts.uri.query().map(|query| match rule.least() {
            Some(_) => named::without(query),
            None => query.to_owned(),
        });
        let query = query.filter(|query| !query.is_empty() || rule.least().is_none());
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        let (scope, cookie_path) = match rule.pass_scope() {
            PassScope::Url => (["url ", method.as_str(), " ", host, path, &query].concat(), path),
            PassScope::Path => (["path ", method.as_str(), " ", host, path].concat(), path),
            PassScope::Rule => (format!("rule {method} {host} {}", rule.without_line()), "/"),
        };
        Self {
            price: ask.price,
            pass: rule.pass_for(&method),
            scope,
            cookie_path: cookie_path.to_owned(),
            url: url(parts, https),
            method,
            description: rule.describe().to_owned(),
            tax_code: rule.tax_code(),
            flow: rule.flow(),
            meter: rule.meter().cloned(),
            shares: rule.shares().to_vec(),
            accepts: rule.accepts().map(<[Asset]>::to_vec),
            quota: rule.quota().filter(|_| ask.counts).map(|quota| Box::new(QuotaTerms::new(rule, quota))),
            teaser: rule.teaser().map(|teaser| Box::new(TeaserTerms { teaser: teaser.clone(), shown: None })),
            trial: None,
            granted: ask.granted,
            least: rule.least(),
            named: ask.named.then_some(ask.price),
            refused: ask.refused,
            place: Place::of(target),
            plans: Vec::new(),
            sale: None,
            fare: None,
            refunds: rule.refunds(),
            bundles: Vec::new(),
            used_up: None,
        }
    }

    /// Of a pass for sale.
    pub(super) fn of_sale(sale: Sale, parts: &Parts, target: &Target<'_>, https: Option<bool>) -> Self {
        let plan = &sale.plan;
        let description = match plan.describe() {
            "" => format!("A pass: {}", plan.name()),
            text => text.to_owned(),
        };
        Self {
            price: plan.price(),
            pass: plan.lasts(),
            scope: plan_scope(plan.name()),
            cookie_path: "/".to_owned(),
            method: Method::GET,
            url: url(parts, https),
            description,
            tax_code: plan.tax_code(),
            flow: PaymentFlow::default(),
            meter: None,
            shares: Vec::new(),
            quota: None,
            teaser: None,
            trial: None,
            accepts: None,
            granted: false,
            least: None,
            named: None,
            refused: None,
            place: Place::of(target),
            plans: Vec::new(),
            refunds: sale.plan.refunds(),
            bundles: Vec::new(),
            used_up: None,
            sale: Some(sale),
            fare: None,
        }
    }

    /// Of a use of a feature: credits pay it, and nothing else.
    pub(super) fn of_feature(feature: &Feature, price: Money) -> Self {
        Self {
            price,
            pass: Span::ZERO,
            scope: String::new(),
            cookie_path: String::new(),
            method: Method::POST,
            url: format!("feature:{}", feature.name),
            description: feature.description.clone(),
            tax_code: feature.tax_code,
            flow: PaymentFlow::default(),
            shares: Vec::new(),
            quota: None,
            accepts: Some(Vec::new()),
            granted: false,
            least: None,
            named: None,
            refused: None,
            place: Place { host: String::new(), readings: Vec::new() },
            meter: None,
            teaser: None,
            trial: None,
            plans: Vec::new(),
            sale: None,
            fare: None,
            refunds: None,
            bundles: Vec::new(),
            used_up: None,
        }
    }

    /// The payment's resource in the books: a credential buys this and nothing else. Of a query, which may say who asks,
    /// the books keep a code that only our secret makes.
    pub(super) fn resource(&self, secret: &[u8; 32]) -> String {
        let url = match (self.least, self.url.split_once('?')) {
            // What is bought is the same, whatever is paid for it.
            (Some(_), Some((place, query))) => match named::without(query) {
                rest if rest.is_empty() => place.to_owned(),
                rest => format!("{place}?{rest}"),
            },
            _ => self.url.clone(),
        };
        let Some((place, query)) = url.split_once('?') else {
            return format!("{} {}", self.method, url);
        };
        let code = Hmac::<Sha256>::new_from_slice(secret).map(|code| {
            let code = code.chain_update(b"farthing/query/1").chain_update(query);
            hex::encode(code.finalize().into_bytes().get(..8).unwrap_or_default())
        });
        format!("{} {place}?{}", self.method, code.unwrap_or_default())
    }

    /// Whom a payment in this asset pays: the merchants who have a share, in their order, and the gate's own for the rest.
    pub(super) fn payees(&self, own: &str, asset: Asset) -> Payees {
        let account = |merchant: &str| Chart::merchant_of(asset, merchant);
        if self.shares.is_empty() {
            return account(own).into();
        }
        let taken: u32 = self.shares.iter().fold(0, |sum, share| sum.saturating_add(share.share));
        let rest = SHARES.saturating_sub(taken);
        let is_named = self.shares.iter().any(|share| share.merchant == own);
        let named = self.shares.iter().map(|Share { merchant, share }| {
            let more = if merchant == own { rest } else { 0 };
            (account(merchant), share.saturating_add(more))
        });
        let own_part = (!is_named).then(|| (account(own), rest));
        Payees::shared(named.chain(own_part)).unwrap_or_else(|| account(own).into())
    }

    /// Binds a challenge to the request that it was made for, and to the fare that has lowered its price.
    pub(super) fn tag(&self) -> RequestTag {
        let Some(binding) = self.fare.as_deref().and_then(Riding::binding) else { return self.plain_tag() };
        let parts = [self.method.as_str().as_bytes(), self.url.as_bytes(), &binding];
        RequestTag::of_parts("farthing/quote/fare/1", parts)
    }

    /// Binds a challenge to the request that it was made for, at its full price.
    pub(super) fn plain_tag(&self) -> RequestTag {
        let named = self.named.map(|money| money.to_string());
        let parts = [self.method.as_str(), &self.url].into_iter().chain(named.as_deref());
        RequestTag::of_parts("farthing/quote/1", parts.map(str::as_bytes))
    }

    /// Whether it is a segment of media, whose length makes its price.
    pub(super) fn is_by_segments(&self) -> bool {
        self.meter.as_ref().is_some_and(|meter| meter.count == Count::Segments)
    }

    /// Whether a pass may stand for the payment: what changes things is repeated only with its own credential.
    pub(super) fn is_safe(&self) -> bool {
        is_safe(&self.method)
    }
}

/// The URL as the payer wrote it.
fn url(parts: &Parts, https: Option<bool>) -> String {
    let peer_scheme = parts.extensions.get::<Peer>().map_or("http", Peer::scheme);
    let scheme = https.map_or(peer_scheme, |https| if https { "https" } else { "http" });
    let field = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = parts.uri.authority().map_or(field.unwrap_or_default(), |authority| authority.as_str());
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut url = [scheme, "://", host, path].concat();
    let named = scheme.len()..url.len().saturating_sub(path.len());
    if let Some(host) = url.get_mut(named) {
        host.make_ascii_lowercase();
    }
    url
}
