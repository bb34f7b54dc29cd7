//! `[[price]]` and `[[free]]`: what costs how much.

use farthing_gate::rule::{HostPattern, PathPattern};
use farthing_gate::{PassScope, Price, Rule, RuleError, Rules};
use farthing_money::{AssetTable, Label, LabelError, Money, MoneyError};
use farthing_wire::x402::PaymentFlow;
use thiserror::Error;

use super::cases;
use super::chains::{ChainSection, Chains};
use super::gate::accepts;
use super::meter;
use super::quota;
use super::refunds;
use super::section::Section;
use super::source::Source;
use super::split;
use super::teaser;

/// Why a text is not the price of a rule.
#[derive(Debug, Error)]
pub(super) enum AmountError {
    #[error(transparent)]
    Money(#[from] MoneyError),
    #[error("expected more than nothing, got {0}; write amount = \"free\" if it costs nothing")]
    Zero(Money),
    #[error("expected at most 2^64 - 1 minor units, got {0}")]
    TooLarge(Money),
}

/// Why a text is not a tax code.
#[derive(Debug, Error)]
#[error("expected a tax code of 1 to 15 letters, digits and . _ - % such as standard, got {0:?}")]
pub(super) struct TaxCodeError(String);

/// Compiles the rules of the file.
pub(super) fn read(
    root: &Section<'_>,
    source: &Source<'_>,
    (assets, chains): (&AssetTable, &Chains),
    torn: bool,
) -> Option<Rules> {
    let mut rules: Vec<(usize, Rule)> = Vec::new();
    let mut complete = true;
    for section in root.sections("price", "[[price]]") {
        section.require("path", torn);
        section.require("amount", torn);
        let rule = read_price(&section, source, assets, torn);
        complete &= rule.is_some();
        if let Some(rule) = &rule {
            meter::judge(&section, rule);
        }
        // A token that could not be read may be the one that is missed.
        if let Some(rule) = rule.as_ref().filter(|_| chains.whole) {
            judge_escrow(&section, rule, &chains.read);
            quota::judge_wallet(&section, rule, chains.read.is_empty());
        }
        rules.extend(rule.map(|rule| (section.at(), rule)));
        section.finish();
    }
    for section in root.sections("free", "[[free]]") {
        section.require("path", torn);
        let rule = read_rule(&section, source, Some(Price::Free));
        complete &= rule.is_some();
        rules.extend(rule.map(|rule| (section.at(), rule)));
        section.finish();
    }
    let places: Vec<(usize, String)> = rules.iter().map(|(at, rule)| (*at, rule.to_string())).collect();
    match Rules::new(rules.into_iter().map(|(_, rule)| rule).collect()) {
        Ok(rules) => complete.then_some(rules),
        Err(errors) => {
            for error in errors {
                source.mistake(place_of(&error, &places), error.to_string(), None);
            }
            None
        }
    }
}

/// The place of an error of the whole table: of two rules that collide, the later one's.
fn place_of(error: &RuleError, places: &[(usize, String)]) -> usize {
    let RuleError::Conflict { first, second } = error else { return 0 };
    let named = places.iter().filter(|(_, rule)| rule == first || rule == second);
    named.map(|(at, _)| *at).max().unwrap_or_default()
}

fn read_price(section: &Section<'_>, source: &Source<'_>, assets: &AssetTable, torn: bool) -> Option<Rule> {
    let price = section.judged("amount", |text| amount(text, assets));
    let pass = section.given_or("pass", None, |key| section.parsed(key, |text| text.parse().ok()).map(Some));
    let scope = section.given_or("pass_scope", PassScope::default(), |key| section.parsed(key, scope));
    let description = section.line("description", 512);
    let tax = section.given_or("tax", None, |key| section.judged(key, tax_code).map(Some));
    let flow = section.given_or("flow", PaymentFlow::default(), |key| section.parsed(key, flow));
    let shares = split::read(section, price, torn);
    let quota = quota::read(section, price, torn);
    let refunds = refunds::read(section, "[price.refund]", price, torn);
    let found = cases::read(section, price, assets, torn);
    let least = cases::read_least(section, price, assets);
    let teaser = teaser::read(section, price, torn);
    let meter = meter::read(section, price, assets, torn);
    if price == Some(Price::Free) {
        let useless = [
            ("pass", "needs no pass"),
            ("pass_scope", "needs no pass"),
            ("tax", "is not taxed"),
            ("flow", "is not settled"),
        ];
        for (key, why) in useless.into_iter().filter(|(key, _)| section.has(key)) {
            let hint = "remove it or give an amount".to_owned();
            section.remark(key, format!("what is free {why}"), Some(hint));
        }
    }
    let rule = read_rule(section, source, price)?;
    let (pass, scope, tax, flow) = (pass?, scope?, tax?, flow?);
    let rule = rule.settled(flow).shared(shares?);
    let rule = if let Some(quota) = quota.ok()? { rule.free_up_to(quota) } else { rule };
    let rule = if section.has("accepts") { rule.accepting(accepts(section, assets)?) } else { rule };
    let rule = if let Some(least) = least.ok()? { rule.at_least(least) } else { rule };
    let rule = if let Some(teaser) = teaser.ok()? { rule.showing(teaser) } else { rule };
    let rule = if let Some(meter) = meter.ok()? { rule.metered(meter) } else { rule };
    let rule = if let Some(refunds) = refunds.ok()? { rule.refunding(refunds) } else { rule };
    let rule = rule.in_case(found?);
    let rule = if let Some(tax_code) = tax { rule.taxed(tax_code) } else { rule };
    let rule = if let Some(pass) = pass { rule.pass(pass, scope) } else { rule.opening(scope) };
    Some(rule.description(description.unwrap_or_default()))
}

/// What goes through an escrow needs a token that goes there; without one nobody could pay on a chain.
fn judge_escrow(section: &Section<'_>, rule: &Rule, chains: &[ChainSection]) {
    let (Price::Paid { amount }, PaymentFlow::Escrow) = (rule.price(), rule.flow()) else { return };
    let asset = amount.asset();
    let mut tokens = chains.iter().flat_map(ChainSection::tokens);
    if !tokens.any(|token| token.escrow && token.asset == asset) {
        let message = format!("expected a [[token]] that counts as {asset} and goes into escrow, got none");
        let hint = "add \"auth-capture\" to the schemes of such a token, on a chain that has the escrow";
        section.remark("flow", message, Some(hint.to_owned()));
    }
}

fn read_rule(section: &Section<'_>, source: &Source<'_>, price: Option<Price>) -> Option<Rule> {
    let path = section.judged("path", |text| PathPattern::parse(text).map(|_| text));
    let judge = |key| section.judged(key, |text| HostPattern::parse(text).map(|_| text));
    let host = section.given_or("host", None, |key| judge(key).map(Some));
    let methods = section.given_or("method", Vec::new(), |key| section.list(key, method));
    let (line, _) = source.place(section.at());
    let (host, methods) = (host?, methods?);
    let rule = Rule::new(path?, price?)
        .and_then(|rule| if let Some(host) = host { rule.host(host) } else { Ok(rule) })
        .and_then(|rule| rule.methods(methods.iter().map(String::as_str)));
    match rule {
        Ok(rule) => Some(rule.line(line)),
        Err(error) => {
            section.remark("path", error, None);
            None
        }
    }
}

pub(super) fn method(name: &str) -> Result<String, RuleError> {
    Rule::new("/", Price::Free)?.methods([name]).map(|_| name.to_owned())
}

/// The price of something that is never free.
pub(super) fn amount_of_more_than_nothing(
    text: &str,
    assets: &AssetTable,
) -> Result<Price, impl std::fmt::Display> {
    price(text, assets)
}

pub(super) fn amount(text: &str, assets: &AssetTable) -> Result<Price, AmountError> {
    if text == "free" {
        return Ok(Price::Free);
    }
    price(text, assets)
}

fn price(text: &str, assets: &AssetTable) -> Result<Price, AmountError> {
    let amount = assets.parse_money(text)?;
    if amount.amount().is_zero() {
        return Err(AmountError::Zero(amount));
    }
    if amount.amount().to_u64().is_none() {
        return Err(AmountError::TooLarge(amount));
    }
    Ok(Price::Paid { amount })
}

/// A tax code is the operator's own word; it goes into exports, so it is kept to what every reader of them takes.
pub(super) fn tax_code(text: &str) -> Result<Label, TaxCodeError> {
    let good = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-%".contains(&byte));
    let label: Label = text.parse().map_err(|LabelError(text)| TaxCodeError(text))?;
    if good { Ok(label) } else { Err(TaxCodeError(text.to_owned())) }
}

fn flow(text: &str) -> Option<PaymentFlow> {
    [PaymentFlow::Authorization, PaymentFlow::Upfront, PaymentFlow::Escrow]
        .into_iter()
        .find(|flow| flow.as_str() == text)
}

fn scope(text: &str) -> Option<PassScope> {
    match text {
        "url" => Some(PassScope::Url),
        "path" => Some(PassScope::Path),
        "rule" => Some(PassScope::Rule),
        _ => None,
    }
}
