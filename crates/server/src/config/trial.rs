//! `[trial]`: what newcomers get for nothing.

use farthing_gate::rule::{TRIAL_NEWCOMERS_DEFAULT, TRIALS_MOST_DEFAULT, Trial};
use farthing_gate::{Per, Price, Rules};
use farthing_money::AssetTable;

use super::prices::amount_of_more_than_nothing;
use super::section::Section;

/// More than anybody gives away.
const TRIALS_MAX: u32 = 1_000_000;

/// The rules, with the trial of the file if it has one.
pub(super) fn read(
    trial: Section<'_>,
    rules: Option<Rules>,
    assets: &AssetTable,
    torn: bool,
) -> Option<Rules> {
    if !trial.is_present() {
        trial.finish();
        return rules;
    }
    trial.require("amount", torn);
    let amount = trial.judged("amount", |text| amount_of_more_than_nothing(text, assets));
    let per = trial.given_or("per", Per::Month, |key| {
        trial.parsed(key, |text| Per::ALL.into_iter().find(|per| per.as_str() == text))
    });
    let number = |key: &str, usual| trial.given_or(key, usual, |key| trial.number(key, 1..=TRIALS_MAX));
    let (newcomers, most) =
        (number("visitors", TRIAL_NEWCOMERS_DEFAULT), number("most", TRIALS_MOST_DEFAULT));
    trial.finish();
    let Price::Paid { amount } = amount? else { return None };
    let trial = Trial { amount, per: per?, newcomers: newcomers?, most: most? };
    Some(rules?.giving(trial))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn read(text: &str) -> Result<Config, String> {
        let text = format!("[server]\nupstream = \"http://127.0.0.1:1\"\n{text}");
        let read = Config::read(&text, Path::new("farthing.toml"));
        read.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn a_trial_is_read() {
        assert_eq!(read("").unwrap().rules.trial(), None);
        let usual = read("[trial]\namount = \"0.10 USD\"\n").unwrap().rules.trial().unwrap();
        assert_eq!((usual.amount.to_string().as_str(), usual.per), ("0.10 USD", Per::Month));
        assert_eq!((usual.newcomers, usual.most), (TRIAL_NEWCOMERS_DEFAULT, TRIALS_MOST_DEFAULT));
        let own = "[trial]\namount = \"0.10 USD\"\nper = \"day\"\nvisitors = 1\nmost = 50\n";
        let own = read(own).unwrap().rules.trial().unwrap();
        assert_eq!((own.per, own.newcomers, own.most), (Per::Day, 1, 50));
    }

    #[test]
    fn wrong_trials_are_told_with_what_is_expected() {
        for (text, expected) in [
            ("", "expected the key \"amount\" in [trial]"),
            ("amount = \"free\"", "amount in [trial]"),
            ("amount = \"0 USD\"", "expected more than nothing"),
            ("amount = \"1 EUR\"", "EUR"),
            ("amount = \"1 USD\"\nper = \"year\"", "expected \"day\", \"week\" or \"month\""),
            ("amount = \"1 USD\"\nmost = 0", "expected a whole number from 1 to 1000000, got 0"),
            ("amount = \"1 USD\"\nfor = \"all\"", "unknown key \"for\" in [trial]"),
        ] {
            let told = read(&format!("[trial]\n{text}\n")).map(|_| ()).unwrap_err();
            assert!(told.contains(expected), "{expected}: {told}");
        }
    }
}
