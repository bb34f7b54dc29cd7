//! Whether the source of rates answers, and with rates that are believed; and what a running server thinks of what it said last.

use farthing_gate::flow::system_clock;

use super::{Bad, Check, Report};
use crate::access::Access;
use crate::config::Config;
use crate::rates::{self, RateListing};

const NEXT: &str = "look at [rates]; until the source answers, payers are offered no other assets than the prices' own once the rates that were accepted are too old";

/// Asks the source once, if there is one, and a running server how it stands with it.
pub(super) async fn look(report: &mut Report, config: &Config) {
    let Some(section) = &config.rates else { return };
    let asked = rates::look(section, &config.assets, system_clock()()).await;
    let found = asked.map(|set| ((), format!("{} answers with the rates of {}", set.source, set.at)));
    report.note("rates", found.map_err(|error| Bad::new(error.to_string(), NEXT)));
    let Some(access) = Access::running(config).await else { return };
    let listing = access.rates().await.map_err(|error| Bad::new(error.to_string(), NEXT));
    report.note("rates in force", listing.and_then(|listing| in_force(&listing)));
}

fn in_force(listing: &RateListing) -> Check<((), String)> {
    let RateListing { at, until, refusal, tally, .. } = listing;
    let times = format!("{} refused and {} accepted since its start", tally.refused(), tally.accepted);
    if let Some(refusal) = refusal {
        return Err(Bad::new(
            format!("the server refuses what the source said last: {refusal}; {times}"),
            NEXT,
        ));
    }
    match (at, until) {
        (Some(at), Some(until)) if listing.in_force => {
            Ok(((), format!("of {at}, good until {until}; {times}")))
        }
        (Some(at), _) => Err(Bad::new(format!("the rates of {at} are too old; {times}"), NEXT)),
        (None, _) => Err(Bad::new(format!("none yet; {times}"), "ask for them: `farthing rates refresh`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rates::RateTally;

    #[test]
    fn a_refusal_is_told_before_the_rates_are_too_old() {
        let good = RateListing {
            source: Some("bank".to_owned()),
            at: Some("2026-11-26T00:00:00Z".parse().unwrap()),
            accepted_at: None,
            until: Some("2026-12-01T00:00:00Z".parse().unwrap()),
            in_force: true,
            refusal: None,
            tally: RateTally { accepted: 3, torn: 1, silent: 1, ..RateTally::default() },
            rates: Vec::new(),
        };
        let ((), found) = in_force(&good).unwrap();
        assert!(found.ends_with("2 refused and 3 accepted since its start"), "{found}");
        let refused = RateListing { refusal: Some("expected USD within 10 %".to_owned()), ..good.clone() };
        let bad = in_force(&refused).unwrap_err();
        assert!(
            bad.found.contains("refuses what the source said last: expected USD within 10 %"),
            "{}",
            bad.found
        );
        let old = RateListing { in_force: false, ..good.clone() };
        assert!(in_force(&old).unwrap_err().found.contains("too old"));
        assert!(in_force(&RateListing { at: None, ..good }).unwrap_err().found.starts_with("none yet"));
    }
}
