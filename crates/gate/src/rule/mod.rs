//! Price rules: which requests cost what, and for how long one payment opens them.

mod case;
mod choose;
mod explain;
mod feature;
mod host;
mod hours;
mod path;
mod people;
mod plan;
mod quota;
mod refunds;
mod terms;
mod trial;

use farthing_money::{Asset, Label, Money, Span};
use farthing_wire::x402::PaymentFlow;
use http::Method;
use thiserror::Error;

use self::terms::RuleTerms;
use crate::meter::Count;
pub use case::{Case, CrawlerCase, Due};
pub use choose::{Chosen, Rules};
pub use explain::{Explanation, Loser};
pub use feature::{Feature, FeatureQuota, Features, HOLD_DEFAULT, HOLD_MOST};
pub use host::HostPattern;
pub use hours::{Days, Hours, When, WhenError};
pub use path::PathPattern;
pub use people::{Asker, Crawler, CrawlerClass, Group, KnownCrawler, People, Signs};
pub use plan::{BUNDLE_LASTS, Covers, Plan};
pub use quota::{NEWCOMERS_DEFAULT, Per, Period, Quota};
pub use refunds::{PER_PAYER_DEFAULT, RATE_MOST_DEFAULT, Refunds};
pub use trial::{TRIAL_NEWCOMERS_DEFAULT, TRIALS_MOST_DEFAULT, Trial};

/// What something costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// Nothing.
    Free,
    /// This much.
    Paid {
        /// The price.
        amount: Money,
    },
}

/// What one payment opens while its pass lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PassScope {
    /// The URL with its query: a search is not another search.
    #[default]
    Url,
    /// The path with any query.
    Path,
    /// All that the same rule prices.
    Rule,
}

/// A merchant's part of what a rule earns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Who, as its account is called.
    pub merchant: String,
    /// How many of a hundred parts.
    pub share: u32,
}

/// How long one payment opens what it paid for, unless a rule says otherwise: for methods that change nothing. What
/// changes things is done once for one payment.
pub const PASS_DEFAULT: Span = Span::from_secs(60);

/// One price for some requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    host: HostPattern,
    /// Whether it says for which hosts it is, if only that it is for all.
    host_named: bool,
    methods: Vec<Method>,
    path: PathPattern,
    price: Price,
    pass: Option<Span>,
    pass_scope: PassScope,
    description: String,
    tax_code: Option<Label>,
    flow: PaymentFlow,
    shares: Vec<Share>,
    terms: RuleTerms,
    accepts: Option<Vec<Asset>>,
    line: Option<usize>,
}

/// Why a rule is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RuleError {
    /// Not a host pattern.
    #[error("expected a host such as example.com, *.example.com or *, got {0:?}")]
    Host(String),
    /// Not a path pattern.
    #[error(
        "{got:?} is not a path pattern: {why}; write such as /articles/** (* stays within a segment, ** does not)"
    )]
    Path {
        /// What came.
        got: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Not a method.
    #[error("expected a method such as GET, got {0:?}")]
    Method(String),
    /// A price of nothing is written as free.
    #[error("the price of {0} is zero; write that it is free instead")]
    Zero(String),
    /// Not the name of a plan.
    #[error("expected a name of 1 to 32 small letters, digits and hyphens such as day, got {0:?}")]
    PlanName(String),
    /// A pass that ends as it begins.
    #[error("expected a pass that lasts longer than nothing, got 0s")]
    PlanSpan,
    /// Two plans of one name.
    #[error("two passes are called {0:?}; give one of them another name")]
    PlanTwice(String),
    /// Nothing is covered, or more than a pass can say.
    #[error("expected 1 to 16 places of at most 1024 bytes together, got {got} of {bytes} bytes")]
    Covers {
        /// How many places.
        got: usize,
        /// How long together.
        bytes: usize,
    },
    /// Two rules, neither of which is more specific.
    #[error(
        "the rules {first} and {second} can both be meant and neither is more specific; change or remove one"
    )]
    Conflict {
        /// One rule, with its line.
        first: String,
        /// The other.
        second: String,
    },
}

impl Rule {
    /// A rule for the paths of a pattern, all hosts and all methods.
    pub fn new(path: &str, price: Price) -> Result<Self, RuleError> {
        if let Price::Paid { amount } = price
            && amount.amount() == farthing_money::Amount::default()
        {
            return Err(RuleError::Zero(path.to_owned()));
        }
        Ok(Self {
            host: HostPattern::Any,
            host_named: false,
            methods: Vec::new(),
            path: PathPattern::parse(path)?,
            price,
            pass: None,
            pass_scope: PassScope::default(),
            description: String::new(),
            tax_code: None,
            flow: PaymentFlow::default(),
            shares: Vec::new(),
            terms: RuleTerms::default(),
            accepts: None,
            line: None,
        })
    }

    /// Only for these hosts; `*` says that all are meant.
    pub fn host(self, pattern: &str) -> Result<Self, RuleError> {
        Ok(Self { host: HostPattern::parse(pattern)?, host_named: true, ..self })
    }

    /// Only for these methods; none is all. GET covers HEAD as well.
    pub fn methods<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Result<Self, RuleError> {
        Ok(Self { methods: names.into_iter().map(Self::method).collect::<Result<_, _>>()?, ..self })
    }

    fn method(name: &str) -> Result<Method, RuleError> {
        let good = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-');
        let method = Method::from_bytes(name.to_ascii_uppercase().as_bytes()).ok().filter(|_| good);
        method.ok_or_else(|| RuleError::Method(name.chars().take(32).collect()))
    }

    /// For how long one payment opens it, whatever the method, and what.
    #[must_use]
    pub fn pass(self, pass: Span, pass_scope: PassScope) -> Self {
        Self { pass: Some(pass), pass_scope, ..self }
    }

    /// What one payment opens, for as long as it does by default.
    #[must_use]
    pub fn opening(self, pass_scope: PassScope) -> Self {
        Self { pass_scope, ..self }
    }

    /// What people read about it.
    #[must_use]
    pub fn description(self, description: impl Into<String>) -> Self {
        Self { description: description.into(), ..self }
    }

    /// Under which code the operator's books tax what it earns.
    #[must_use]
    pub fn taxed(self, tax_code: Label) -> Self {
        Self { tax_code: Some(tax_code), ..self }
    }

    /// When a payment on a chain is settled: after the upstream has answered, or before it is asked.
    #[must_use]
    pub fn settled(self, flow: PaymentFlow) -> Self {
        Self { flow, ..self }
    }

    /// Who gets which part of what it earns; what is left of a hundred is for the merchant who runs the gate.
    #[must_use]
    pub fn shared(self, shares: Vec<Share>) -> Self {
        Self { shares, ..self }
    }

    /// In which assets it may be paid beside its own, whatever the gate accepts otherwise.
    #[must_use]
    pub fn accepting(self, accepts: Vec<Asset>) -> Self {
        Self { accepts: Some(accepts), ..self }
    }

    /// The line of the configuration that it stands on.
    #[must_use]
    pub fn line(self, line: usize) -> Self {
        Self { line: Some(line), ..self }
    }

    /// Which hosts.
    pub fn host_pattern(&self) -> &HostPattern {
        &self.host
    }

    /// Which methods; none is all.
    pub fn method_names(&self) -> &[Method] {
        &self.methods
    }

    /// Which paths.
    pub fn path_pattern(&self) -> &PathPattern {
        &self.path
    }

    /// What it costs.
    pub fn price(&self) -> Price {
        self.price
    }

    /// For how long one payment opens it, by the most lasting of its methods.
    pub fn pass_span(&self) -> Span {
        let changing = !self.methods.is_empty() && !self.methods.iter().any(is_safe);
        self.pass.unwrap_or(if changing { Span::ZERO } else { self.usual_pass() })
    }

    /// For how long one payment opens it to requests of a method.
    pub fn pass_for(&self, method: &Method) -> Span {
        self.pass.unwrap_or(if is_safe(method) { self.usual_pass() } else { Span::ZERO })
    }

    /// What is paid by what was used is not opened once more for nothing.
    fn usual_pass(&self) -> Span {
        let counted = self.meter().is_some_and(|meter| meter.count != Count::Segments);
        if counted { Span::ZERO } else { PASS_DEFAULT }
    }

    /// What one payment opens.
    pub fn pass_scope(&self) -> PassScope {
        self.pass_scope
    }

    /// What people read about it.
    pub fn describe(&self) -> &str {
        &self.description
    }

    /// Under which code the operator's books tax what it earns.
    pub fn tax_code(&self) -> Option<Label> {
        self.tax_code
    }

    /// When a payment on a chain is settled.
    pub fn flow(&self) -> PaymentFlow {
        self.flow
    }

    /// Who gets which part of what it earns, of a hundred; the rest is for the merchant who runs the gate.
    pub fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// In which assets it may be paid beside its own, if it says so itself.
    pub fn accepts(&self) -> Option<&[Asset]> {
        self.accepts.as_deref()
    }

    /// The line of the configuration, when it came from one.
    pub fn config_line(&self) -> Option<usize> {
        self.line
    }

    fn covers_method(&self, method: &Method) -> bool {
        let named =
            |name: &Method| self.methods.iter().any(|own| own.as_str().eq_ignore_ascii_case(name.as_str()));
        self.methods.is_empty() || named(method) || *method == Method::HEAD && named(&Method::GET)
    }

    /// A price holds whatever the case of the path, since many servers ignore it; what is free is so only as written.
    fn covers_path(&self, path: &[u8]) -> bool {
        self.path.matches(path, matches!(self.price, Price::Paid { .. }))
    }
}

/// Whether a method changes nothing (RFC 9110, 9.2.1).
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

impl Rule {
    /// The rule in words, without the line that it happens to stand on.
    pub(crate) fn without_line(&self) -> String {
        let names: Vec<_> = self.methods.iter().map(Method::as_str).collect();
        let methods = if names.is_empty() { String::new() } else { format!("{} ", names.join(",")) };
        let host = if self.host == HostPattern::Any { String::new() } else { self.host.to_string() };
        format!("{methods}{host}{}", self.path)
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.without_line())?;
        match self.line {
            Some(line) => write!(f, " (line {line})"),
            None => Ok(()),
        }
    }
}
