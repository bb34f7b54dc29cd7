//! The rates in force, for the operator to look at.

use farthing_engine::{Fault, RateSet};
use farthing_money::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RateDesk, RateTally};

/// One rate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLine {
    /// A unit of this ..
    pub from: String,
    /// .. in that ..
    pub to: String,
    /// .. is worth so much, rounded for people.
    pub rate: String,
    /// The exact fraction, in whole units.
    pub exact: String,
}

/// The rates in force and how the last question for them came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateListing {
    /// Where they come from, if that is configured.
    pub source: Option<String>,
    /// When they were true; nothing if there are none.
    pub at: Option<Timestamp>,
    /// When they were accepted.
    pub accepted_at: Option<Timestamp>,
    /// Until when they hold.
    pub until: Option<Timestamp>,
    /// Whether they hold now: if not, nothing is offered in other assets than the price's own.
    pub in_force: bool,
    /// What was wrong with what the source said last.
    pub refusal: Option<String>,
    /// How often it was asked and refused since the server's start.
    #[serde(default)]
    pub tally: RateTally,
    /// Each rate.
    pub rates: Vec<RateLine>,
}

impl RateDesk {
    /// The rates in force.
    pub fn listing(&self) -> Result<RateListing, Fault> {
        let row = self.read.rates()?;
        let now = (self.clock)();
        let (config, last) = (self.config(), self.last());
        let age = config.as_ref().map(|config| config.max_age);
        let until = row.current.as_ref().zip(age).map(|(set, age)| set.at.after(age));
        Ok(RateListing {
            source: config.as_ref().map(|config| config.source.name()),
            at: row.current.as_ref().map(|set| set.at),
            accepted_at: row.current.as_ref().map(|_| row.accepted_at),
            until,
            in_force: until.is_some_and(|until| until >= now),
            refusal: last.refusal,
            tally: last.tally,
            rates: row.current.as_ref().map(|set| self.lines(set)).unwrap_or_default(),
        })
    }

    fn lines(&self, set: &RateSet) -> Vec<RateLine> {
        let Some(base) = self.assets.by_code(set.base.as_str()) else {
            let line = |quotation: &farthing_engine::Quotation| RateLine {
                from: set.base.to_string(),
                to: quotation.code.to_string(),
                rate: format!("{}/{}", quotation.numerator, quotation.denominator),
                exact: format!("{}/{}", quotation.numerator, quotation.denominator),
            };
            return set.quotations.iter().map(line).collect();
        };
        let others = self.assets.iter().filter(|asset| asset.code() != set.base);
        let line = |asset: farthing_money::Asset| {
            let rate = set.rate(base, asset)?;
            let (numerator, denominator) = set.of_base(asset.code())?;
            Some(RateLine {
                from: base.code().to_string(),
                to: asset.code().to_string(),
                rate: rate.to_decimal()?,
                exact: format!("{numerator}/{denominator}"),
            })
        };
        others.filter_map(line).collect()
    }
}
