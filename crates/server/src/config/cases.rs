//! `[[price.case]]`: for whom, or when, a rule has another price.

use farthing_gate::Price;
use farthing_gate::rule::{Case, CrawlerCase, CrawlerClass, Days, Hours, When};
use farthing_money::{AssetTable, Money};

use super::prices::amount;
use super::section::Section;

/// The cases of a rule; nothing if one of them cannot be read.
pub(super) fn read(
    section: &Section<'_>,
    price: Option<Price>,
    assets: &AssetTable,
    torn: bool,
) -> Option<Vec<Case>> {
    let (mut cases, mut whole) = (Vec::new(), true);
    for part in section.sections("case", "[[price.case]]") {
        part.require("amount", torn);
        let case = read_case(&part, assets);
        whole &= case.is_some();
        if price == Some(Price::Free) {
            let hint = "give the rule the amount that others pay, and the case amount = \"free\"".to_owned();
            part.remark("amount", "what is free has no cases", Some(hint));
        }
        if let (Some(Price::Paid { amount: own }), Some(Price::Paid { amount })) =
            (price, case.as_ref().map(|case| case.price))
            && own.asset() != amount.asset()
        {
            let message = format!("expected an amount in {} as the rule's own, got {amount}", own.asset());
            part.remark("amount", message, None);
        }
        cases.extend(case);
        part.finish();
    }
    whole.then_some(cases)
}

fn read_case(part: &Section<'_>, assets: &AssetTable) -> Option<Case> {
    let price = part.judged("amount", |text| amount(text, assets));
    let crawler = part.given_or("crawler", None, |key| part.parsed(key, crawler).map(Some));
    let group = part.given_or("group", None, |key| part.line(key, 64).map(Some));
    let hours = part.given_or("hours", None, |key| part.judged(key, Hours::parse).map(Some));
    let days = part.given_or("days", None, |key| part.judged(key, Days::parse).map(Some));
    let from = part.given_or("from", None, |key| part.judged(key, When::parse_date).map(Some));
    let until = part.given_or("until", None, |key| part.judged(key, When::parse_date).map(Some));
    let zone = part.given_or("zone", None, |key| part.judged(key, When::parse_zone).map(Some));
    let (from, until) = (from?, until?);
    if let (Some(from), Some(until)) = (from, until)
        && until < from
    {
        part.remark("until", format!("expected a date from {from} on, got {until}"), None);
        return None;
    }
    let when = When { hours: hours?, days: days?, from, until, zone: zone?.unwrap_or(When::default().zone) };
    let case = Case { crawler: crawler?, group: group?, when, price: price? };
    let anybody = case.crawler.is_none() && case.group.is_none();
    let always = When { zone: case.when.zone.clone(), ..When::default() };
    if anybody && always == case.when {
        let hint = "say for whom or when: crawler, group, hours, days, from or until".to_owned();
        part.remark("amount", "the case fits everybody at all times", Some(hint));
        return None;
    }
    Some(case)
}

fn crawler(text: &str) -> Option<CrawlerCase> {
    match text {
        "any" => Some(CrawlerCase::Any),
        "none" => Some(CrawlerCase::None),
        _ => CrawlerClass::ALL.into_iter().find(|class| class.as_str() == text).map(CrawlerCase::Class),
    }
}

/// `least`: the floor where payers name what they pay.
pub(super) fn read_least(
    section: &Section<'_>,
    price: Option<Price>,
    assets: &AssetTable,
) -> Result<Option<Money>, super::quota::Unread> {
    if !section.has("least") {
        return Ok(None);
    }
    let least = section.judged("least", |text| amount(text, assets)).ok_or(super::quota::Unread)?;
    let Price::Paid { amount: least } = least else {
        section.remark("least", "expected an amount, got \"free\"", Some("leave it out".to_owned()));
        return Err(super::quota::Unread);
    };
    match price {
        Some(Price::Paid { amount })
            if amount.asset() == least.asset() && least.amount() <= amount.amount() =>
        {
            Ok(Some(least))
        }
        Some(Price::Paid { amount }) => {
            let message = format!("expected at most the amount that is suggested, {amount}, got {least}");
            section.remark("least", message, None);
            Err(super::quota::Unread)
        }
        Some(Price::Free) => {
            let hint = "give the amount that is suggested".to_owned();
            section.remark("least", "what is free has no floor", Some(hint));
            Err(super::quota::Unread)
        }
        None => Err(super::quota::Unread),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    const HEAD: &str = "[server]\nupstream = \"http://127.0.0.1:1\"\n[[asset]]\ncode = \"USD\"\n[[asset]]\ncode = \"EUR\"\n[[group]]\nname = \"staff\"\n[[price]]\npath = \"/**\"\n";

    fn read(text: &str) -> Result<Config, String> {
        let read = Config::read(&format!("{HEAD}{text}"), Path::new("farthing.toml"));
        read.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn cases_and_floors_are_read() {
        let config = read(
            "amount = \"0.10 USD\"\nleast = \"0.01 USD\"\n\
             [[price.case]]\ngroup = \"staff\"\namount = \"free\"\n\
             [[price.case]]\ncrawler = \"training\"\namount = \"1 USD\"\n\
             [[price.case]]\nhours = \"17:00-19:00\"\ndays = \"mon-fri\"\nzone = \"Europe/Berlin\"\nfrom = \"2026-12-01\"\nuntil = \"2026-12-24\"\namount = \"0.05 USD\"\n",
        )
        .unwrap();
        let rule = config.rules.iter().next().unwrap().clone();
        let cases: Vec<String> = rule.cases().iter().map(ToString::to_string).collect();
        assert_eq!(
            cases,
            [
                "group staff",
                "training crawlers",
                "17:00-19:00, mon,tue,wed,thu,fri, from 2026-12-01, until 2026-12-24, Europe/Berlin"
            ]
        );
        assert_eq!(rule.least().unwrap().to_string(), "0.01 USD");
    }

    #[test]
    fn wrong_cases_and_floors_are_told_with_what_is_expected() {
        for (amount, text, expected) in [
            ("1 USD", "[[price.case]]\ngroup = \"staff\"", "expected the key \"amount\" in [[price.case]]"),
            ("1 USD", "[[price.case]]\namount = \"free\"", "the case fits everybody at all times"),
            ("1 USD", "[[price.case]]\ngroup = \"staff\"\namount = \"1 EUR\"", "expected an amount in USD"),
            (
                "1 USD",
                "[[price.case]]\ngroup = \"guests\"\namount = \"free\"",
                "expected the name of a [[group]]",
            ),
            (
                "1 USD",
                "[[price.case]]\ncrawler = \"bots\"\namount = \"free\"",
                "crawler in [[price.case]]: expected",
            ),
            (
                "1 USD",
                "[[price.case]]\nhours = \"9-5\"\namount = \"free\"",
                "expected hours such as 17:00-19:00",
            ),
            (
                "1 USD",
                "[[price.case]]\nfrom = \"2026-12-24\"\nuntil = \"2026-12-01\"\namount = \"free\"",
                "expected a date from 2026-12-24 on",
            ),
            ("free", "[[price.case]]\ngroup = \"staff\"\namount = \"free\"", "what is free has no cases"),
            ("1 USD", "least = \"2 USD\"", "expected at most the amount that is suggested"),
            ("1 USD", "least = \"0.5 EUR\"", "expected at most the amount that is suggested"),
            ("1 USD", "least = \"free\"", "expected an amount, got \"free\""),
            ("free", "least = \"0.5 USD\"", "what is free has no floor"),
        ] {
            let told = read(&format!("amount = \"{amount}\"\n{text}\n")).map(|_| ()).unwrap_err();
            assert!(told.contains(expected), "{expected}: {told}");
        }
    }
}
