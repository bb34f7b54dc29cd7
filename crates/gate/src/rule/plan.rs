//! Passes for sale: what one costs, what it covers, for how long and how often.

use farthing_money::{Label, Money, Span};
use farthing_wire::{Bought, PASSES_PATH};
use http::Method;

use super::{HostPattern, PathPattern, Refunds, Rule, RuleError, is_safe};

/// A bundle that says nothing else lasts a year: what is signed has to end.
pub const BUNDLE_LASTS: Span = Span::from_secs(366 * 24 * 3_600);
/// Whoever reads a pass compares each request with all of them.
const COVERS_MAX: usize = 16;
/// A pass is sent with every request, and a cookie has at most 4 KiB.
const COVERS_BYTES_MAX: usize = 1_024;
const NAME_CHARS_MAX: usize = 32;

/// A pass for sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    name: String,
    price: Money,
    covers: Covers,
    lasts: Span,
    uses: Option<u32>,
    cap: bool,
    description: String,
    tax_code: Option<Label>,
    pub(super) refunds: Option<Refunds>,
}

/// Which requests a pass opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covers {
    places: Vec<(HostPattern, PathPattern)>,
    /// None is all that change nothing.
    methods: Vec<Method>,
}

impl Covers {
    /// Reads patterns such as `/articles/**` and `example.com/articles/**`, and the names of methods.
    pub fn parse(places: &[String], methods: &[String]) -> Result<Self, RuleError> {
        let bytes = places.iter().map(String::len).fold(0, usize::saturating_add);
        if places.is_empty() || places.len() > COVERS_MAX || bytes > COVERS_BYTES_MAX {
            return Err(RuleError::Covers { got: places.len(), bytes });
        }
        let place = |text: &String| {
            let at = text.find('/').unwrap_or(0);
            let (host, path) = text.split_at_checked(at).unwrap_or(("", text));
            let host = if host.is_empty() { HostPattern::Any } else { HostPattern::parse(host)? };
            Ok((host, PathPattern::parse(path)?))
        };
        let places = places.iter().map(place).collect::<Result<_, RuleError>>()?;
        Ok(Self { places, methods: methods.iter().map(|name| Rule::method(name)).collect::<Result<_, _>>()? })
    }

    /// What a pass says that it covers; nothing if that is not a way to say it.
    pub fn of(bought: &Bought) -> Option<Self> {
        Self::parse(&bought.covers, &bought.methods).ok()
    }

    /// Whether all readings of a path are covered, in the very case in which the patterns are written.
    pub fn cover<'p>(
        &self,
        method: &Method,
        host: &str,
        mut readings: impl Iterator<Item = &'p [u8]>,
    ) -> bool {
        let by_method = if self.methods.is_empty() {
            is_safe(method)
        } else {
            let head = *method == Method::HEAD;
            self.methods.iter().any(|own| own == method || head && *own == Method::GET)
        };
        let covered = |path: &[u8]| {
            self.places.iter().any(|(hosts, paths)| hosts.matches(host) && paths.matches(path, false))
        };
        by_method && readings.all(covered)
    }

    /// The patterns, as they are written.
    pub fn places(&self) -> Vec<String> {
        let text = |(host, path): &(HostPattern, PathPattern)| match host {
            HostPattern::Any => path.as_str().to_owned(),
            host => format!("{host}{}", path.as_str()),
        };
        self.places.iter().map(text).collect()
    }

    /// The methods, as they are written.
    pub fn methods(&self) -> Vec<String> {
        self.methods.iter().map(|method| method.as_str().to_owned()).collect()
    }
}

impl Plan {
    /// A pass that lasts for a time, for a price that is more than nothing.
    pub fn new(name: &str, price: Money, covers: Covers, lasts: Span) -> Result<Self, RuleError> {
        Self::check_name(name)?;
        if price.amount().is_zero() {
            return Err(RuleError::Zero(name.to_owned()));
        }
        if lasts == Span::ZERO {
            return Err(RuleError::PlanSpan);
        }
        Ok(Self {
            name: name.to_owned(),
            price,
            covers,
            lasts,
            uses: None,
            cap: false,
            description: String::new(),
            tax_code: None,
            refunds: None,
        })
    }

    /// Refuses what is no name.
    pub fn check_name(name: &str) -> Result<(), RuleError> {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.bytes().all(good) {
            return Err(RuleError::PlanName(name.chars().take(64).collect()));
        }
        Ok(())
    }

    /// Only for so many uses.
    #[must_use]
    pub fn uses(self, uses: u32) -> Self {
        Self { uses: Some(uses), ..self }
    }

    /// Single payments for what it covers count toward it: beyond its price nothing more is charged until it ends.
    #[must_use]
    pub fn capping(self) -> Self {
        Self { cap: true, ..self }
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

    /// Its name, which stands in its address.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it costs.
    pub fn price(&self) -> Money {
        self.price
    }

    /// How long it lasts.
    pub fn lasts(&self) -> Span {
        self.lasts
    }

    /// How often it opens something, if that is counted.
    pub fn uses_max(&self) -> Option<u32> {
        self.uses
    }

    /// What it covers.
    pub fn covers(&self) -> &Covers {
        &self.covers
    }

    /// Whether single payments count toward it.
    pub fn is_cap(&self) -> bool {
        self.cap
    }

    /// What people read about it.
    pub fn describe(&self) -> &str {
        &self.description
    }

    /// Under which code the operator's books tax what it earns.
    pub fn tax_code(&self) -> Option<Label> {
        self.tax_code
    }

    /// Where it is sold.
    pub fn path(&self) -> String {
        format!("{PASSES_PATH}{}", self.name)
    }

    /// What a pass says that was bought by it.
    pub fn bought(&self) -> Bought {
        Bought {
            plan: self.name.clone(),
            covers: self.covers.places(),
            methods: self.covers.methods(),
            uses: self.uses,
        }
    }

    /// For how long, or how often, in words.
    pub fn extent(&self) -> String {
        match self.uses {
            Some(1) => "1 use".to_owned(),
            Some(uses) => format!("{uses} uses"),
            None => self.lasts.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use farthing_money::{Amount, Asset};

    use super::*;
    use crate::target::Target;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    fn price(cents: u128) -> Money {
        Asset::micro("USD").unwrap().money(Amount::new(cents * 10_000))
    }

    #[test]
    fn what_is_covered_is_so_in_every_reading() {
        let covers = Covers::parse(&texts(&["/articles/**", "b.example/x"]), &[]).unwrap();
        let covered = |method: &str, host: &str, path: &str| {
            let target = Target::new(host.to_owned(), path).unwrap();
            covers.cover(&Method::from_bytes(method.as_bytes()).unwrap(), target.host(), target.readings())
        };
        assert!(covered("GET", "a.example", "/articles/1") && covered("HEAD", "a.example", "/articles/1"));
        assert!(covered("GET", "b.example", "/x") && !covered("GET", "a.example", "/x"));
        assert!(!covered("POST", "a.example", "/articles/1"), "it changes things");
        assert!(!covered("GET", "a.example", "/ARTICLES/1"), "a server may tell the two apart");
        assert!(!covered("GET", "a.example", "/articles/..%2fpremium/1"), "one reading is elsewhere");
        assert!(!covered("GET", "a.example", "/articles/x/../../premium/1"));
    }

    #[test]
    fn methods_are_covered_that_are_named() {
        let covers = Covers::parse(&texts(&["/api/**"]), &texts(&["POST"])).unwrap();
        let covered = |method| covers.cover(&method, "a.example", std::iter::once(&b"/api/1"[..]));
        assert!(covered(Method::POST) && !covered(Method::GET) && !covered(Method::HEAD));
    }

    #[test]
    fn a_pass_says_what_it_covers_as_its_plan_does() {
        let covers = Covers::parse(&texts(&["/a/**", "*.b.example/c"]), &texts(&["GET", "POST"])).unwrap();
        let plan = Plan::new("day-1", price(100), covers.clone(), Span::from_secs(60)).unwrap().uses(10);
        let bought = plan.bought();
        assert_eq!((bought.covers.len(), bought.uses), (2, Some(10)));
        assert_eq!(Covers::of(&bought), Some(covers));
        assert_eq!(plan.path(), "/.well-known/farthing/passes/day-1");
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        let covers = Covers::parse(&texts(&["/a"]), &[]).unwrap();
        let minute = Span::from_secs(60);
        for name in ["", "Day", "a b", "a/b", &"x".repeat(33)] {
            let error = Plan::new(name, price(1), covers.clone(), minute).unwrap_err();
            assert!(matches!(error, RuleError::PlanName(_)), "{name}");
        }
        assert!(matches!(Plan::new("a", price(0), covers.clone(), minute), Err(RuleError::Zero(_))));
        assert_eq!(Plan::new("a", price(1), covers, Span::ZERO), Err(RuleError::PlanSpan));
        for bad in [vec![], vec!["/a"; 17], vec!["a"], vec!["a..b/x"], vec!["/***"]] {
            assert!(Covers::parse(&texts(&bad), &[]).is_err(), "{bad:?}");
        }
        assert!(Covers::parse(&texts(&["/a"]), &texts(&["G ET"])).is_err());
    }
}
