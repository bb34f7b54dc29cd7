//! `farthing price ..`, and a rule as programs see it.

use clap::Subcommand;
use farthing_gate::{PassScope, Price as RulePrice, Rule};
use serde_json::{Value, json};

use super::price_explain::Explain;
use super::price_list::List;
use crate::exit::Failure;
use crate::output::{Output, money_json};

#[derive(Debug, Subcommand)]
pub enum Price {
    /// Say which rule a request falls under, and why the others do not win
    Explain(Explain),
    /// List all rules, the most specific first
    List(List),
}

impl Price {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Explain(explain) => explain.run(output),
            Self::List(list) => list.run(output),
        }
    }
}

/// A rule for programs.
pub fn rule_json(rule: &Rule, built_in: bool) -> Value {
    let methods: Vec<&str> = rule.method_names().iter().map(http::Method::as_str).collect();
    let mut json = json!({
        "rule": rule.to_string(),
        "line": rule.config_line(),
        "built_in": built_in,
        "host": rule.host_pattern().to_string(),
        "methods": methods,
        "path": rule.path_pattern().to_string(),
        "free": rule.price() == RulePrice::Free,
        "description": rule.describe(),
    });
    if let RulePrice::Paid { amount } = rule.price()
        && let Some(fields) = json.as_object_mut()
    {
        fields.insert("price".to_owned(), money_json(amount));
        fields.insert("pass".to_owned(), rule.pass_span().to_string().into());
        fields.insert("pass_scope".to_owned(), scope(rule.pass_scope()).into());
        fields.insert("tax".to_owned(), json!(rule.tax_code()));
        fields.insert(
            "cases".to_owned(),
            rule.cases().iter().map(ToString::to_string).collect::<Vec<_>>().into(),
        );
        let quota = rule
            .quota()
            .map(|quota| json!({ "free": quota.free, "per": quota.per.as_str(), "by": quota.by.as_str() }));
        fields.insert("quota".to_owned(), json!(quota));
        fields.insert("least".to_owned(), json!(rule.least().map(money_json)));
        fields.insert("teaser".to_owned(), json!(rule.teaser().map(|teaser| teaser.part.to_string())));
    }
    json
}

/// A price for people.
pub fn price_text(rule: &Rule) -> String {
    match rule.price() {
        RulePrice::Free => "free".to_owned(),
        RulePrice::Paid { amount } => amount.to_string(),
    }
}

/// What one payment opens, as the configuration writes it.
pub fn scope(scope: PassScope) -> &'static str {
    match scope {
        PassScope::Url => "url",
        PassScope::Path => "path",
        PassScope::Rule => "rule",
    }
}
