//! `[price.meter]`: what is counted of an answer, and what that costs.

use farthing_gate::meter::{READ_DEFAULT, Unread as OnUnread};
use farthing_gate::{Count, Meter, Price, Rule};
use farthing_money::{Amount, AssetTable, Money, Span};
use farthing_wire::x402::PaymentFlow;

use super::prices::amount;
use super::quota::Unread;
use super::section::Section;

/// More than anything is counted by.
const PER_MAX: u32 = u32::MAX;
/// More than anybody waits for.
const READ_MAX: u32 = 64 * 1024 * 1024;

/// What is counted of what a rule prices, if anything is.
pub(super) fn read(
    section: &Section<'_>,
    price: Option<Price>,
    assets: &AssetTable,
    torn: bool,
) -> Result<Option<Meter>, Unread> {
    let meter = section.section("meter", "[price.meter]");
    if !meter.is_present() {
        meter.finish();
        return if section.has("meter") { Err(Unread) } else { Ok(None) };
    }
    meter.require("count", torn);
    let count = meter.judged("count", str::parse::<Count>);
    if count != Some(Count::Cost) {
        meter.require("each", torn);
    }
    let each = meter.given_or("each", None, |key| money(&meter, key, price, assets).map(Some));
    let least = meter.given_or("least", None, |key| least(&meter, key, price, assets).map(Some));
    let per = meter.given_or("per", 1, |key| meter.number(key, 1..=PER_MAX));
    let unread = meter.given_or("unread", OnUnread::default(), |key| {
        meter.parsed(key, |text| OnUnread::ALL.into_iter().find(|unread| unread.as_str() == text))
    });
    let read_most = meter.given_or("read", READ_DEFAULT, |key| meter.number(key, 1..=READ_MAX));
    let playlist = meter.given_or("playlist", None, |key| meter.line(key, 1_024).map(Some));
    if count == Some(Count::Cost) && (meter.has("each") || meter.has("per")) {
        let hint = "remove each and per".to_owned();
        meter.remark("count", "the upstream says what it has cost, so that nothing else counts", Some(hint));
    }
    if price == Some(Price::Free) {
        let hint = "remove it or give the amount that is charged at the most".to_owned();
        meter.remark("count", "what is free needs no meter", Some(hint));
    }
    meter.finish();
    let (Some(Price::Paid { amount: most }), Some(count)) = (price, count) else { return Err(Unread) };
    let (each, least) = (each.ok_or(Unread)?, least.ok_or(Unread)?);
    let each = each.or_else(|| (count == Count::Cost).then(|| most.asset().money(Amount::new(1))));
    Ok(Some(Meter {
        least: least.map_or(Amount::ZERO, |least| least.amount()),
        unread: unread.ok_or(Unread)?,
        read_most: read_most.ok_or(Unread)?,
        playlist: playlist.ok_or(Unread)?,
        ..Meter::new(count, each.ok_or(Unread)?, u64::from(per.ok_or(Unread)?))
    }))
}

/// An amount of the rule's own asset.
fn money(meter: &Section<'_>, key: &str, price: Option<Price>, assets: &AssetTable) -> Option<Money> {
    let Price::Paid { amount: money } = meter.judged(key, |text| amount(text, assets))? else {
        meter.remark(key, "expected an amount, got \"free\"", Some("leave it out".to_owned()));
        return None;
    };
    if let Some(Price::Paid { amount: most }) = price
        && money.asset() != most.asset()
    {
        let message = format!("expected an amount in {} as the rule's own, got {money}", most.asset());
        meter.remark(key, message, None);
        return None;
    }
    Some(money)
}

/// The same, not above what is charged at the most.
fn least(meter: &Section<'_>, key: &str, price: Option<Price>, assets: &AssetTable) -> Option<Money> {
    let least = money(meter, key, price, assets)?;
    if let Some(Price::Paid { amount: most }) = price
        && least.amount() > most.amount()
    {
        let message = format!("expected at most the amount of the price, {most}, got {least}");
        meter.remark(key, message, None);
        return None;
    }
    Some(least)
}

/// What is settled before the upstream is asked cannot be charged by what it does; and what streams is not opened once more.
pub(super) fn judge(section: &Section<'_>, rule: &Rule) {
    let Some(counted) = rule.meter() else { return };
    if rule.flow() == PaymentFlow::Upfront && counted.count != Count::Segments {
        let hint = "use \"authorization\" or \"escrow\"".to_owned();
        section.remark("flow", "what is metered is settled after the upstream has answered", Some(hint));
    }
    if counted.count.always_streams() && rule.pass_span() > Span::ZERO {
        let hint = "remove the pass: whoever comes back pays for what he uses then".to_owned();
        section.remark("pass", "a pass would open what is counted as it streams for nothing", Some(hint));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    const HEAD: &str = "[server]\nupstream = \"http://127.0.0.1:1\"\n[[asset]]\ncode = \"USD\"\n[[asset]]\ncode = \"EUR\"\n[[price]]\npath = \"/**\"\n";

    fn read(text: &str) -> Result<Config, String> {
        let read = Config::read(&format!("{HEAD}{text}"), Path::new("farthing.toml"));
        read.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn a_meter_is_read() {
        let config = read("amount = \"0.05 USD\"\n[price.meter]\ncount = \"json usage.total_tokens\"\neach = \"0.002 USD\"\nper = 1000\nleast = \"0.0001 USD\"\nunread = \"most\"\nread = 4096\n").unwrap();
        let rule = config.rules.iter().next().unwrap().clone();
        let meter = rule.meter().unwrap();
        assert_eq!((meter.count.to_string().as_str(), meter.per), ("json usage.total_tokens", 1000));
        assert_eq!((meter.each.to_string().as_str(), meter.least), ("0.002 USD", Amount::new(100)));
        assert_eq!((meter.unread, meter.read_most), (OnUnread::Most, 4096));
        assert_eq!(rule.pass_span(), Span::ZERO, "what is counted is not opened once more by itself");
        let config = read("amount = \"0.05 USD\"\n[price.meter]\ncount = \"cost\"\n").unwrap();
        let rule = config.rules.iter().next().unwrap().clone();
        assert_eq!(rule.meter().unwrap().count, Count::Cost);
    }

    #[test]
    fn wrong_meters_are_told_with_what_is_expected() {
        let amount = "amount = \"0.05 USD\"";
        let tokens = "count = \"header X-Tokens\"";
        for (price, meter, expected) in [
            (amount, "each = \"0.01 USD\"".to_owned(), "expected the key \"count\" in [price.meter]"),
            (amount, tokens.to_owned(), "expected the key \"each\" in [price.meter]"),
            (
                amount,
                "count = \"sheep\"\neach = \"0.01 USD\"".to_owned(),
                "count in [price.meter]: expected \"cost\"",
            ),
            (
                amount,
                "count = \"json a..b\"\neach = \"0.01 USD\"".to_owned(),
                "count in [price.meter]: expected \"cost\"",
            ),
            (amount, format!("{tokens}\neach = \"0.01 EUR\""), "expected an amount in USD as the rule's own"),
            (amount, format!("{tokens}\neach = \"free\""), "expected an amount, got \"free\""),
            (amount, format!("{tokens}\neach = \"0.01 USD\"\nper = 0"), "expected a whole number from 1"),
            (
                amount,
                format!("{tokens}\neach = \"0.01 USD\"\nleast = \"0.06 USD\""),
                "expected at most the amount",
            ),
            (
                amount,
                format!("{tokens}\neach = \"0.01 USD\"\nunread = \"all\""),
                "expected \"least\" or \"most\"",
            ),
            (
                amount,
                format!("{tokens}\neach = \"0.01 USD\"\nevery = 5"),
                "unknown key \"every\" in [price.meter]",
            ),
            (
                amount,
                "count = \"cost\"\neach = \"0.01 USD\"".to_owned(),
                "the upstream says what it has cost",
            ),
            ("amount = \"free\"", format!("{tokens}\neach = \"0.01 USD\""), "what is free needs no meter"),
            (
                "amount = \"0.05 USD\"\nflow = \"upfront\"",
                format!("{tokens}\neach = \"0.01 USD\""),
                "what is metered is settled after the upstream has answered",
            ),
            (
                "amount = \"0.05 USD\"\npass = \"1h\"",
                "count = \"bytes\"\neach = \"0.01 USD\"".to_owned(),
                "a pass would open what is counted as it streams",
            ),
        ] {
            let told = read(&format!("{price}\n[price.meter]\n{meter}\n")).map(|_| ()).unwrap_err();
            assert!(told.contains(expected), "{expected}: {told}");
        }
    }
}
