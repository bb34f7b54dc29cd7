//! Why a request falls under a rule, for `farthing price explain`.

use std::fmt;

use farthing_money::Span;
use http::Method;

use super::choose::{covers, specificity};
use super::{Price, Rule, Rules};
use crate::target::{Target, TargetError};

/// The rule that won, and why each other one did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The request that was asked about.
    pub asked: String,
    /// The rule; none is proxied untouched.
    pub winner: Option<Rule>,
    /// For how long one payment opens what the winner prices, to this method.
    pub pass: Span,
    /// Whether the winner is one of the built-in free paths.
    pub built_in: bool,
    /// All others.
    pub losers: Vec<Loser>,
}

/// A rule that did not win.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loser {
    /// The rule.
    pub rule: Rule,
    /// Why it did not.
    pub reason: String,
}

impl Rules {
    /// The winner and every loser with its reason.
    pub fn explain(&self, method: &Method, target: &Target<'_>) -> Result<Explanation, TargetError> {
        let chosen = self.choose(method, target)?;
        let is_winner = |rule: &Rule| chosen.is_some_and(|chosen| std::ptr::eq(chosen.rule, rule));
        let covering = |rule: &&Rule| covers(rule, method, target.host(), target.path());
        let candidates = self.iter().chain(Self::built_in().iter().filter(covering));
        let losers = candidates
            .filter(|rule| !is_winner(rule))
            .map(|rule| Loser {
                rule: rule.clone(),
                reason: reason(rule, chosen.map(|c| c.rule), method, target),
            })
            .collect();
        Ok(Explanation {
            asked: format!("{method} {}{}", target.host(), String::from_utf8_lossy(target.path())),
            winner: chosen.map(|chosen| chosen.rule.clone()),
            pass: chosen.map_or(Span::ZERO, |chosen| chosen.rule.pass_for(method)),
            built_in: chosen.is_some_and(|chosen| chosen.built_in),
            losers,
        })
    }
}

fn reason(rule: &Rule, winner: Option<&Rule>, method: &Method, target: &Target<'_>) -> String {
    let host = rule.host_pattern();
    if !host.matches(target.host()) {
        return format!("is for the host {host}");
    }
    if !rule.covers_path(target.path()) {
        let folded = rule.path_pattern().matches(target.path(), true);
        let text =
            if folded { "is free only in the case in which it is written" } else { "is for other paths" };
        return text.to_owned();
    }
    if !rule.covers_method(method) {
        return format!("is not for {method}");
    }
    let Some(winner) = winner else { return "did not match".to_owned() };
    let (own, best) = (specificity(rule), specificity(winner));
    let (path, best_path) = (own.path, best.path);
    let text = if Rules::built_in().iter().any(|free| std::ptr::eq(free, winner)) {
        "names the path less exactly than the built-in free path"
    } else if Rules::built_in().iter().any(|free| std::ptr::eq(free, rule)) {
        "is built in and yields to a rule that names the path as exactly"
    } else if own.host != best.host {
        "names the host less exactly"
    } else if path.whole != best_path.whole {
        "has a wildcard in its path, the winner has none"
    } else if path.prefix != best_path.prefix {
        "has a shorter path before its first wildcard"
    } else if path.fewer_deep != best_path.fewer_deep {
        "has more ** in its path"
    } else if path.fewer_stars != best_path.fewer_stars {
        "has more * in its path"
    } else if path.letters != best_path.letters {
        "names fewer letters of the path"
    } else if own.method != best.method {
        "is for all methods, the winner names this one"
    } else {
        "is written in another case than the path"
    };
    text.to_owned()
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.asked)?;
        match &self.winner {
            None => writeln!(f, "  no rule: proxied untouched, nothing to pay")?,
            Some(rule) => {
                let price = match rule.price() {
                    Price::Free => "free".to_owned(),
                    Price::Paid { amount } if self.pass == Span::ZERO => {
                        format!("{amount}, a payment buys one delivery")
                    }
                    Price::Paid { amount } => format!("{amount}, a payment opens it for {}", self.pass),
                };
                let note = if self.built_in { ", built in" } else { "" };
                writeln!(f, "  {rule}: {price}{note}")?;
                write_terms(f, rule)?;
            }
        }
        for loser in &self.losers {
            writeln!(f, "  not {}: {}", loser.rule, loser.reason)?;
        }
        Ok(())
    }
}

/// What softens the price: a quota, cases in their order, a floor.
fn write_terms(f: &mut fmt::Formatter<'_>, rule: &Rule) -> fmt::Result {
    for case in rule.cases() {
        match case.price {
            Price::Free => writeln!(f, "    {case}: free")?,
            Price::Paid { amount } => writeln!(f, "    {case}: {amount}")?,
        }
    }
    if let Some(refunds) = rule.refunds() {
        let (within, most) = (refunds.within, refunds.per_payer);
        writeln!(f, "    given back for the asking within {within}, {most} a day for each payer")?;
    }
    if let Some(quota) = rule.quota() {
        writeln!(f, "    free {} times a {} for each {}", quota.free, quota.per.as_str(), quota.by.as_str())?;
    }
    if let Some(teaser) = rule.teaser() {
        writeln!(f, "    free to look at: {}", teaser.part)?;
    }
    match rule.least() {
        Some(least) => writeln!(f, "    payers name what they pay, at least {least}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use farthing_money::{Amount, Asset};

    use super::*;
    use crate::rule::{Case, Per, Quota, When};

    #[test]
    fn every_loser_has_its_reason() {
        let price = Price::Paid { amount: Asset::micro("USD").unwrap().money(Amount::new(10_000)) };
        let rule = |path: &str| Rule::new(path, price).unwrap();
        let rules = Rules::new(vec![
            rule("/articles/*").line(3),
            rule("/articles/**").line(7),
            rule("/articles/one").methods(["POST"]).unwrap(),
            rule("/**").host("b.org").unwrap(),
            rule("/x"),
            Rule::new("/Articles/one", Price::Free).unwrap(),
        ])
        .unwrap();
        let target = Target::new("a.org", "/articles/one").unwrap();
        let text = rules.explain(&Method::GET, &target).unwrap().to_string();
        let expected = "\
GET a.org/articles/one
  /articles/* (line 3): 0.01 USD, a payment opens it for 1m
  not b.org/**: is for the host b.org
  not POST /articles/one: is not for GET
  not /Articles/one: is free only in the case in which it is written
  not /x: is for other paths
  not /articles/** (line 7): has more ** in its path
";
        assert_eq!(text, expected);
        let post = rules.explain(&Method::POST, &target).unwrap().to_string();
        assert!(post.contains("POST /articles/one: 0.01 USD, a payment buys one delivery"), "{post}");
        let robots = rules.explain(&Method::GET, &Target::new("b.org", "/robots.txt").unwrap()).unwrap();
        assert!(
            robots.built_in && robots.to_string().contains("not b.org/**: names the path less exactly"),
            "{robots}"
        );
        let quota = Quota { free: 3, per: Per::Month, by: farthing_wire::QuotaBy::Visitor, newcomers: 16 };
        let case =
            Case { crawler: None, group: Some("staff".into()), when: When::default(), price: Price::Free };
        let soft = Rules::new(vec![rule("/**").free_up_to(quota).in_case(vec![case])]).unwrap();
        let text = soft.explain(&Method::GET, &target).unwrap().to_string();
        assert!(
            text.contains("\n    group staff: free\n    free 3 times a month for each visitor\n"),
            "{text}"
        );
        let other = rules.explain(&Method::GET, &Target::new("a.org", "/y").unwrap()).unwrap();
        assert!(other.winner.is_none() && other.to_string().contains("no rule: proxied untouched"));
    }
}
