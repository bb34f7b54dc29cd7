//! Which of several rules wins: the most specific, by one written and total order.
//!
//! 1. host: one host > a longer domain > a shorter one > any
//! 2. path: no wildcard > more bytes before the first wildcard > fewer `**` > fewer `*` > more bytes in all
//! 3. method: named > any
//! 4. path in the very case of the rule > in another case; then paid > free; then the earlier rule
//!
//! Rules that agree in 1 to 3 and can be meant by one request are refused when the table is built. The built-in free
//! paths yield to every rule of the operator that names the path at least as exactly (2).

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use http::Method;

use super::path::Exactness;
use super::trial::Trial;
use super::{Features, HostPattern, People, Plan, Price, Rule, RuleError};
use crate::target::{Target, TargetError};

/// All rules, compiled once.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The most specific first.
    sorted: Vec<Rule>,
    people: Arc<People>,
    /// The passes for sale, in the operator's order.
    plans: Vec<Arc<Plan>>,
    features: Arc<Features>,
    /// What newcomers get.
    pub(super) trial: Option<Trial>,
}

/// The rule that a request falls under.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// Whether it is one of the built-in free paths.
    pub built_in: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Specificity {
    pub(super) host: (u8, usize),
    pub(super) path: Exactness,
    pub(super) method: bool,
}

/// What is free unless a rule says otherwise: what crawlers and feed readers need in order to find the rest.
const FREE_PATHS: [&str; 8] = [
    "/robots.txt",
    "/.well-known/**",
    "/favicon.ico",
    "/feed",
    "/rss.xml",
    "/atom.xml",
    "/feed.xml",
    "/index.xml",
];

static BUILT_IN: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let free = |path: &&str| Rule::new(path, Price::Free).ok();
    FREE_PATHS.iter().filter_map(free).map(|rule| rule.description("free by default")).collect()
});

pub(super) fn specificity(rule: &Rule) -> Specificity {
    Specificity {
        host: rule.host_pattern().rank(),
        path: rule.path_pattern().exactness(),
        method: !rule.method_names().is_empty(),
    }
}

impl Rules {
    /// Compiles the operator's rules, or tells all pairs of which neither is more specific.
    pub fn new(rules: Vec<Rule>) -> Result<Self, Vec<RuleError>> {
        let mut sorted = rules;
        sorted.sort_by_key(|rule| Reverse(specificity(rule)));
        let mut errors = Vec::new();
        for (index, first) in sorted.iter().enumerate() {
            let equals =
                sorted.iter().skip(index + 1).take_while(|other| specificity(other) == specificity(first));
            for second in equals.filter(|second| overlap(first, second)) {
                errors.push(RuleError::Conflict { first: first.to_string(), second: second.to_string() });
            }
        }
        if errors.is_empty() {
            let features = Arc::default();
            Ok(Self { sorted, people: Arc::default(), plans: Vec::new(), features, trial: None })
        } else {
            Err(errors)
        }
    }

    /// With the people and programs of whom the merchant knows.
    #[must_use]
    pub fn knowing(self, people: People) -> Self {
        Self { people: Arc::new(people), ..self }
    }

    /// The people and programs of whom the merchant knows.
    pub fn people(&self) -> &People {
        &self.people
    }

    /// With features for sale.
    #[must_use]
    pub fn featuring(self, features: Features) -> Self {
        Self { features: Arc::new(features), ..self }
    }

    /// The features for sale.
    pub fn features(&self) -> &Arc<Features> {
        &self.features
    }

    /// The same with passes for sale, each of its own name.
    pub fn selling(self, plans: Vec<Plan>) -> Result<Self, RuleError> {
        for (index, plan) in plans.iter().enumerate() {
            if plans.iter().take(index).any(|other| other.name() == plan.name()) {
                return Err(RuleError::PlanTwice(plan.name().to_owned()));
            }
        }
        Ok(Self { plans: plans.into_iter().map(Arc::new).collect(), ..self })
    }

    /// The passes for sale, in the operator's order.
    pub fn plans(&self) -> &[Arc<Plan>] {
        &self.plans
    }

    /// The passes for sale that cover a request.
    pub(crate) fn plans_for(&self, method: &Method, target: &Target<'_>) -> Vec<Arc<Plan>> {
        let covers = |plan: &&Arc<Plan>| plan.covers().cover(method, target.host(), target.readings());
        self.plans.iter().filter(covers).cloned().collect()
    }

    /// The rule for a request, if there is one; without, it is proxied untouched.
    ///
    /// A path of several readings is refused unless all of them lead to the same rule.
    pub fn choose(&self, method: &Method, target: &Target<'_>) -> Result<Option<Chosen<'_>>, TargetError> {
        let mut readings = target.readings();
        let first = readings.next().and_then(|path| self.pick(method, target.host(), path));
        for path in readings {
            let other = self.pick(method, target.host(), path);
            if first.map(|chosen| std::ptr::from_ref(chosen.rule))
                != other.map(|chosen| std::ptr::from_ref(chosen.rule))
            {
                return Err(target.ambiguous());
            }
        }
        Ok(first)
    }

    /// The rule for one reading of a path.
    pub(super) fn pick(&self, method: &Method, host: &str, path: &[u8]) -> Option<Chosen<'_>> {
        if let Some(free) = BUILT_IN.iter().find(|rule| rule.covers_path(path)) {
            let exactness = free.path_pattern().exactness();
            let mut named = self.sorted.iter().filter(|rule| rule.path_pattern().exactness() >= exactness);
            if !named.any(|rule| covers(rule, method, host, path)) {
                return Some(Chosen { rule: free, built_in: true });
            }
        }
        self.best(method, host, path).map(|rule| Chosen { rule, built_in: false })
    }

    fn best(&self, method: &Method, host: &str, path: &[u8]) -> Option<&Rule> {
        let covers = |rule: &&Rule| covers(rule, method, host, path);
        let first = self.sorted.iter().position(|rule| covers(&rule))?;
        let mut rest = self.sorted.iter().skip(first);
        let winner = rest.next()?;
        let rank = |rule: &Rule| (rule.path_pattern().matches(path, false), rule.price() != Price::Free);
        let equals = rest.take_while(|rule| specificity(rule) == specificity(winner)).filter(covers);
        Some(equals.fold(winner, |best, rule| if rank(rule) > rank(best) { rule } else { best }))
    }

    /// The operator's rules, the most specific first.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.sorted.iter()
    }

    /// The merchants who have a share of what some rule earns, beside the one who runs the gate.
    pub fn merchants(&self) -> BTreeSet<&str> {
        let shares = self.sorted.iter().flat_map(Rule::shares);
        shares.map(|share| share.merchant.as_str()).collect()
    }

    /// The built-in free paths.
    pub fn built_in() -> &'static [Rule] {
        &BUILT_IN
    }

    /// Whether a host is one of those that the rules name. Once one of them names a host, what the upstream would serve
    /// under any other name has no price, and a client could use such a name to pay nothing.
    pub fn know_host(&self, host: &str) -> bool {
        let mut named = self.sorted.iter().filter(|rule| rule.host_named);
        !self.sorted.iter().any(|rule| rule.host != HostPattern::Any)
            || named.any(|rule| rule.host.matches(host))
    }

    /// Whether any rule names a method, so that headers which override the method matter.
    pub fn name_methods(&self) -> bool {
        self.sorted.iter().any(|rule| !rule.method_names().is_empty())
    }
}

pub(super) fn covers(rule: &Rule, method: &Method, host: &str, path: &[u8]) -> bool {
    rule.covers_path(path) && rule.covers_method(method) && rule.host_pattern().matches(host)
}

fn overlap(left: &Rule, right: &Rule) -> bool {
    let hosts = match (left.host_pattern(), right.host_pattern()) {
        (HostPattern::Exact(a), HostPattern::Exact(b)) | (HostPattern::Below(a), HostPattern::Below(b)) => {
            a == b
        }
        _ => true,
    };
    let names = right.method_names();
    let methods = left.method_names().is_empty() && names.is_empty()
        || left.method_names().iter().any(|method| right.covers_method(method))
        || names.iter().any(|method| left.covers_method(method));
    hosts && methods && left.path_pattern().overlaps(right.path_pattern())
}

#[cfg(test)]
mod tests {
    use farthing_money::{Amount, Asset};
    use proptest::prelude::*;

    use super::*;

    fn cents(cents: u128) -> Price {
        Price::Paid { amount: Asset::micro("USD").unwrap().money(Amount::new(cents * 10_000)) }
    }

    fn rule(text: &str, price: u128) -> Rule {
        let (methods, rest) = text.split_once(' ').unwrap_or(("", text));
        let (host, path) = rest.split_at(rest.find('/').unwrap());
        let price = if price == 0 { Price::Free } else { cents(price) };
        let host = if host.is_empty() { "*" } else { host };
        let names = methods.split(',').filter(|name| !name.is_empty());
        Rule::new(path, price).unwrap().host(host).unwrap().methods(names).unwrap()
    }

    fn rules(list: &[(&str, u128)]) -> Rules {
        Rules::new(list.iter().map(|(text, price)| rule(text, *price)).collect()).unwrap()
    }

    /// What `GET host path` costs in cents; `None` is no rule, and an error is a refusal.
    fn ask(rules: &Rules, method: &str, host: &str, path: &str) -> Result<Option<String>, TargetError> {
        let target = Target::new(host, path)?;
        let chosen = rules.choose(&Method::from_bytes(method.as_bytes()).unwrap(), &target)?;
        Ok(chosen.map(|chosen| chosen.rule.to_string()))
    }

    fn get(rules: &Rules, path: &str) -> String {
        match ask(rules, "GET", "example.com", path) {
            Ok(Some(rule)) => rule,
            Ok(None) => "untouched".to_owned(),
            Err(error) => error.code().to_owned(),
        }
    }

    #[test]
    fn the_most_specific_rule_wins() {
        let table = rules(&[
            ("/**", 1),
            ("/a/**", 2),
            ("/a/*", 3),
            ("/a/b*", 4),
            ("/a/b", 5),
            ("POST /a/b", 6),
            ("*.example.com/**", 7),
            ("*.b.example.com/**", 8),
            ("c.b.example.com/**", 9),
            ("/**/*.pdf", 10),
        ]);
        for (path, expected) in [
            ("/", "/**"),
            ("/a", "/a/**"),
            ("/a/x/y", "/a/**"),
            ("/a/x", "/a/*"),
            ("/a/bc", "/a/b*"),
            ("/a/b", "/a/b"),
            ("/x/y.pdf", "/**"),
            ("/a/b/", "/a/b"),
        ] {
            assert_eq!(get(&table, path), expected, "{path}");
        }
        let by = |method, host| ask(&table, method, host, "/a/b").unwrap().unwrap();
        assert_eq!(by("POST", "example.com"), "POST /a/b");
        assert_eq!(by("post", "example.com"), "POST /a/b", "the case of a method is no way round its price");
        assert_eq!(by("GET", "x.example.com"), "*.example.com/**");
        assert_eq!(by("POST", "x.b.example.com"), "*.b.example.com/**");
        assert_eq!(by("GET", "c.b.example.com"), "c.b.example.com/**");
    }

    #[test]
    fn get_covers_head() {
        let table = rules(&[("GET /a", 1)]);
        assert!(ask(&table, "HEAD", "h", "/a").unwrap().is_some());
        assert!(ask(&table, "POST", "h", "/a").unwrap().is_none());
    }

    #[test]
    fn what_everyone_needs_is_free_unless_named() {
        let table = rules(&[
            ("/**", 1),
            ("example.com/**", 2),
            ("/feed*", 3),
            ("/.well-known/secret/**", 4),
            ("/rss.xml", 5),
        ]);
        let built_in =
            |path: &str| table.pick(&Method::GET, "example.com", path.as_bytes()).unwrap().built_in;
        for free in ["/robots.txt", "/.well-known/acme/x", "/favicon.ico", "/feed", "/atom.xml", "/index.xml"]
        {
            assert!(built_in(free), "{free}");
        }
        for priced in ["/rss.xml", "/", "/feeds", "/Robots.txt"] {
            assert!(!built_in(priced), "{priced}");
        }
        let other = |path| ask(&table, "GET", "other.org", path).unwrap().unwrap();
        assert_eq!(other("/.well-known/secret/x"), "/.well-known/secret/**");
        assert_eq!(other("/feed"), "/feed", "the built-in path is more exact than /feed*");
    }

    #[test]
    fn no_spelling_slips_past_a_price() {
        let table = rules(&[("/paid/**", 1), ("/free/**", 0)]);
        for paid in [
            "/paid",
            "/paid/",
            "/paid/x",
            "/%70aid",
            "/%70%61id/x",
            "/PAID/x",
            "/paid/../paid/x",
            "/paid/a%2Fb",
            "/paid/;v=1",
        ] {
            assert_eq!(get(&table, paid), "/paid/**", "{paid}");
        }
        for doubtful in [
            "//paid",
            "/./paid",
            "/x/../paid",
            "/free/../paid/x",
            "/paid/../x",
            "/paid%2Fx",
            "/paid%5cx",
            "/paid;a",
            "/free/..;/paid",
            "/free%2F..%2Fpaid",
        ] {
            assert_eq!(get(&table, doubtful), "path-ambiguous", "{doubtful}");
        }
        assert_eq!(get(&table, "/paid%00"), "path-byte");
        assert_eq!(get(&table, "/free/x"), "/free/**");
        assert_eq!(get(&table, "/FREE/x"), "untouched");
        for untouched in ["/@scope%2Fname", "/x//y", "/a/../b", "/x;y"] {
            assert_eq!(get(&table, untouched), "untouched", "{untouched}");
        }
    }

    #[test]
    fn case_decides_between_equals() {
        let table = rules(&[("/About", 1), ("/about", 0), ("/ABOUT", 2)]);
        assert_eq!(get(&table, "/about"), "/about");
        assert_eq!(get(&table, "/About"), "/About");
        assert_eq!(get(&table, "/ABOUT"), "/ABOUT");
        assert_ne!(get(&table, "/aBOUT"), "/about", "in another case it is not free");
    }

    #[test]
    fn equals_that_overlap_are_refused_all_at_once() {
        let list = ["/a*b/*", "/a*/b*", "/x", "/x", "GET,POST /y", "POST /y", "/*/k", "GET /y"];
        let errors =
            Rules::new(list.iter().enumerate().map(|(line, text)| rule(text, 1).line(line + 1)).collect());
        let texts: Vec<_> = errors.unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 4, "{texts:#?}");
        assert!(texts.iter().any(|text| text.contains("/x (line 3) and /x (line 4)")), "{texts:#?}");
        rules(&[
            ("/a/*/b", 1),
            ("/a/*/c", 1),
            ("GET /y", 1),
            ("POST /y", 1),
            ("a.com/**", 1),
            ("b.com/**", 1),
        ]);
    }

    proptest! {
        #[test]
        fn the_order_of_the_rules_does_not_matter(
            texts in proptest::collection::vec("(GET )?(a\\.b|\\*\\.b|)/[xy/*]{0,4}", 1..6),
            path in "/[xyXY/]{0,5}",
            host in "a\\.b|c\\.b|z",
        ) {
            let parse = |text: &String| {
                let (method, rest) = text.strip_prefix("GET ").map_or((None, text.as_str()), |rest| (Some("GET"), rest));
                let (host, path) = rest.split_at(rest.find('/')?);
                let rule = Rule::new(path, cents(1)).ok()?.methods(method).ok()?;
                if host.is_empty() { Some(rule) } else { rule.host(host).ok() }
            };
            let list: Vec<Rule> = texts.iter().filter_map(parse).collect();
            let reversed = list.iter().rev().cloned().collect();
            match (Rules::new(list), Rules::new(reversed)) {
                (Ok(one), Ok(two)) => {
                    let pick = |rules: &Rules| rules.pick(&Method::GET, &host, path.as_bytes()).map(|c| specificity(c.rule).path);
                    prop_assert_eq!(pick(&one), pick(&two));
                }
                (one, two) => prop_assert!(one.is_err() && two.is_err()),
            }
        }
    }
}
