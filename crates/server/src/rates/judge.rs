//! Whether rates are believed: not too old, not of the future, none of nothing, and not wildly other than those before.

use farthing_engine::{Quotation, RateSet};
use farthing_money::{Amount, AssetCode, AssetTable, Rounding, Span, Timestamp};
use thiserror::Error;

use super::feed::Feed;
use crate::config::RatesConfig;

/// How far the clocks of a source may be ahead, time zones included.
const AHEAD_MOST: Span = Span::from_secs(24 * 3600);

/// Why rates that could be read are not put into force.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RateRefusal {
    /// Too old.
    #[error("expected rates of the last {most}, got those of {at}; look whether the source still publishes")]
    Stale {
        /// How old they may be.
        most: Span,
        /// When they were true.
        at: Timestamp,
    },
    /// Not yet true.
    #[error("expected rates of today, got those of {at}, which is in the future; look at the clocks")]
    Future {
        /// When they are to be true.
        at: Timestamp,
    },
    /// Worth nothing.
    #[error("expected a rate of {0} above zero, got zero")]
    Zero(AssetCode),
    /// None of our currencies.
    #[error("expected rates of at least two of the assets of the configuration, got {0}")]
    Strange(usize),
    /// The base itself at another rate than one.
    #[error("expected no rate of the base {0}, or 1, got another")]
    Base(AssetCode),
    /// Much more or less than before.
    #[error(
        "expected {code} within {most} % of the last accepted rate, got {got} % of it; if that is true, raise max_change for one refresh"
    )]
    Wild {
        /// Of what.
        code: AssetCode,
        /// How many per cent it may be more or less.
        most: u32,
        /// How many per cent of the last one it is, rounded.
        got: u128,
    },
}

/// The rates of our assets, if the feed is believed by itself.
pub(super) fn judge(
    feed: Feed,
    source: &str,
    assets: &AssetTable,
    max_age: Span,
    now: Timestamp,
) -> Result<RateSet, RateRefusal> {
    let Feed { base, at, rates } = feed;
    if at > now.after(AHEAD_MOST) {
        return Err(RateRefusal::Future { at });
    }
    if at.after(max_age) < now {
        return Err(RateRefusal::Stale { most: max_age, at });
    }
    if let Some((code, _)) = rates.iter().find(|(_, (numerator, _))| *numerator == 0) {
        return Err(RateRefusal::Zero(*code));
    }
    if rates.iter().any(|(code, (numerator, denominator))| *code == base && numerator != denominator) {
        return Err(RateRefusal::Base(base));
    }
    let ours = |code: &AssetCode| *code != base && assets.by_code(code.as_str()).is_some();
    let quotations: Vec<Quotation> = rates
        .into_iter()
        .filter(|(code, _)| ours(code))
        .map(|(code, (numerator, denominator))| Quotation { code, numerator, denominator })
        .collect();
    let known = quotations.len().saturating_add(usize::from(assets.by_code(base.as_str()).is_some()));
    if known < 2 {
        return Err(RateRefusal::Strange(known));
    }
    Ok(RateSet { base, at, source: source.to_owned(), quotations })
}

/// Whether rates are near those before, as long as those hold: every pair is looked at through the base that they share.
pub(super) fn is_not_wild(
    set: &RateSet,
    known: Option<&RateSet>,
    config: &RatesConfig,
    now: Timestamp,
) -> Result<(), RateRefusal> {
    let Some(known) = known.filter(|known| known.at.after(config.max_age) >= now) else { return Ok(()) };
    for Quotation { code, numerator, denominator } in &set.quotations {
        // In units for one of the new base, as the old rates say it.
        let (Some(old), Some(base)) = (known.of_base(*code), known.of_base(set.base)) else { continue };
        let fits = (|| {
            let up = numerator.checked_mul(old.1)?.checked_mul(base.0)?;
            let down = denominator.checked_mul(old.0)?.checked_mul(base.1)?;
            Some((up, down))
        })();
        let Some((up, down)) = fits else { continue };
        let percent =
            |rounding| Amount::new(up).mul_div(100, down, rounding).map_or(u128::MAX, Amount::value);
        let (most, least) = (
            100_u128.saturating_add(config.max_change.into()),
            100_u128.saturating_sub(config.max_change.into()),
        );
        if percent(Rounding::Up) > most || percent(Rounding::Down) < least {
            let got = percent(Rounding::HalfEven);
            return Err(RateRefusal::Wild { code: *code, most: config.max_change, got });
        }
    }
    Ok(())
}
