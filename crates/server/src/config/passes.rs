//! `[[pass]]`: passes for sale.

use farthing_gate::rule::{BUNDLE_LASTS, Covers, Plan};
use farthing_gate::{Price, RuleError, Rules};
use farthing_money::AssetTable;

use super::prices::{amount_of_more_than_nothing, method, tax_code};
use super::refunds;
use super::section::Section;

/// More than anybody reads.
const USES_MAX: u32 = 1_000_000;

/// Reads the passes of the file and adds them to its rules.
pub(super) fn read(
    root: &Section<'_>,
    rules: Option<Rules>,
    assets: &AssetTable,
    torn: bool,
) -> Option<Rules> {
    let mut plans: Vec<Plan> = Vec::new();
    let mut complete = true;
    for section in root.sections("pass", "[[pass]]") {
        let bundle = section.has("uses");
        for key in
            ["name", "amount", "covers", "lasts"].into_iter().filter(|key| !(bundle && *key == "lasts"))
        {
            section.require(key, torn);
        }
        let plan = read_plan(&section, assets, torn);
        complete &= plan.is_some();
        if let Some(plan) = plan {
            if plans.iter().any(|other| other.name() == plan.name()) {
                section.remark("name", RuleError::PlanTwice(plan.name().to_owned()), None);
                complete = false;
            }
            plans.push(plan);
        }
        section.finish();
    }
    rules.filter(|_| complete)?.selling(plans).ok()
}

fn read_plan(section: &Section<'_>, assets: &AssetTable, torn: bool) -> Option<Plan> {
    let name = section.judged("name", |text| Plan::check_name(text).map(|()| text));
    let price = section.judged("amount", |text| amount_of_more_than_nothing(text, assets));
    let places =
        section.list("covers", |text| Covers::parse(&[text.to_owned()], &[]).map(|_| text.to_owned()));
    let methods = section.given_or("method", Vec::new(), |key| section.list(key, method));
    let uses = section.given_or("uses", None, |key| section.number(key, 1..=USES_MAX).map(Some));
    let lasts = if section.has("lasts") || !section.has("uses") {
        section.parsed("lasts", |text| text.parse().ok())
    } else {
        Some(BUNDLE_LASTS)
    };
    let cap = section.given_or("cap", false, |key| section.boolean(key));
    let description = section.given_or("description", String::new(), |key| section.line(key, 512));
    let tax = section.given_or("tax", None, |key| section.judged(key, tax_code).map(Some));
    let refunds = refunds::read(section, "[pass.refund]", price, torn);
    let covers = match Covers::parse(&places?, &methods?) {
        Ok(covers) => covers,
        Err(error) => {
            section.remark("covers", error, None);
            return None;
        }
    };
    if uses.is_some_and(|uses| uses.is_some()) && cap == Some(true) {
        let hint = "remove one of the two: single payments count toward a pass for a time".to_owned();
        section.remark("cap", "a pass with uses has no cap", Some(hint));
        return None;
    }
    let Price::Paid { amount } = price? else { return None };
    let plan = match Plan::new(name?, amount, covers, lasts?) {
        Ok(plan) if cap? => plan.capping().description(description?),
        Ok(plan) => plan.description(description?),
        Err(error) => {
            section.remark("lasts", error, None);
            return None;
        }
    };
    let plan = if let Some(uses) = uses? { plan.uses(uses) } else { plan };
    let plan = if let Some(refunds) = refunds.ok()? { plan.refunding(refunds) } else { plan };
    Some(if let Some(tax) = tax? { plan.taxed(tax) } else { plan })
}
