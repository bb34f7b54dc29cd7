//! Own rules of the budget at the command line: whom they are about, and how they are shown.

use clap::Args;
use farthing_money::{Amount, Asset, Timestamp};
use farthing_wallet::{HostPattern, Measure, Name, Rule, Subject, Wallet, asset_of};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::money_json;

/// Whom or what a rule is about.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct About {
    /// For hosts: example.com with every port, example.com:8443, or *.example.com for what is below it
    #[arg(long, value_name = "HOST")]
    host: Option<HostPattern>,
    /// For a path and everything below it: example.com/articles
    #[arg(long, value_name = "HOST/PATH", value_parser = path)]
    path: Option<Subject>,
    /// For a tool, as `farthing pay --tool` names it
    #[arg(long, value_name = "NAME")]
    tool: Option<Name>,
    /// For a task, as `farthing pay --task` names it
    #[arg(long, value_name = "NAME")]
    task: Option<Name>,
}

fn path(text: &str) -> Result<Subject, String> {
    format!("path/{text}").parse().map_err(|error: farthing_wallet::SubjectError| error.to_string())
}

impl About {
    /// The subject, if one is named.
    pub fn subject(&self) -> Option<Subject> {
        let host = self.host.clone().map(Subject::Host);
        let tool = self.tool.clone().map(Subject::Tool);
        host.or_else(|| self.path.clone()).or(tool).or_else(|| self.task.clone().map(Subject::Task))
    }

    /// Takes every rule of the subject away. Answers with how many there were.
    pub fn remove(&self, wallet: &mut Wallet) -> Result<usize, Failure> {
        let subject = self.subject().ok_or_else(|| {
            Failure::new(Exit::Usage, "expected whose rules to take away, got nothing")
                .hint("for example: farthing wallet limits remove --host api.example.com")
        })?;
        let rules: Vec<Rule> = wallet.rules().filter(|rule| rule.subject == subject).cloned().collect();
        wallet.remove_rules(&rules)?;
        Ok(rules.len())
    }
}

/// Sets rules of one subject in one unit; what is none is taken away.
pub fn set(
    wallet: &mut Wallet,
    subject: &Subject,
    asset: Asset,
    amounts: &[(Measure, Option<Amount>)],
) -> Result<(), Failure> {
    let rule = |measure, amount| Rule { unit: asset.unit(), subject: subject.clone(), measure, amount };
    let (mut put, mut gone) = (Vec::new(), Vec::new());
    for (measure, amount) in amounts {
        match amount {
            Some(amount) => put.push(rule(*measure, *amount)),
            None => gone.push(rule(*measure, Amount::ZERO)),
        }
    }
    wallet.set_rules(put)?;
    Ok(wallet.remove_rules(&gone)?)
}

/// A rule, and how much of it is used now.
pub struct Used {
    rule: Rule,
    asset: Asset,
    /// Nothing where nothing is counted.
    spent: Option<Amount>,
}

impl Used {
    /// All of them.
    pub fn all(wallet: &Wallet, now: Timestamp) -> Vec<Self> {
        let one = |rule: &Rule| {
            let spent = rule.scope(now).map(|scope| wallet.spent(rule.unit, &scope));
            Some(Self { rule: rule.clone(), asset: asset_of(rule.unit)?, spent })
        };
        wallet.rules().filter_map(one).collect()
    }

    fn left(&self) -> Option<Amount> {
        self.spent.map(|used| self.rule.amount.checked_sub(used).unwrap_or_default())
    }

    pub fn json(&self) -> Value {
        let money = |amount: Amount| money_json(self.asset.money(amount));
        json!({
            "kind": self.rule.subject.kind(),
            "name": self.rule.subject.name(),
            "measure": self.rule.measure.key(),
            "limit": money(self.rule.amount),
            "used": self.spent.map(money),
            "left": self.left().map(money),
        })
    }

    pub fn row(&self) -> [String; 5] {
        let money = |amount: Option<Amount>| {
            amount.map_or_else(String::new, |amount| self.asset.money(amount).to_string())
        };
        let Rule { unit, subject, measure, amount } = &self.rule;
        let what = format!("{} for the {} {}", measure.as_str(), subject.kind(), subject.name());
        [unit.to_string(), what, money(Some(*amount)), money(self.spent), money(self.left())]
    }
}
