//! Whether the source of rates answers, and with rates that are believed.

use farthing_gate::flow::system_clock;

use super::{Bad, Report};
use crate::config::Config;
use crate::rates;

/// Asks the source once, if there is one.
pub(super) async fn look(report: &mut Report, config: &Config) {
    let Some(section) = &config.rates else { return };
    let next = "look at [rates]; until the source answers, payers are offered no other assets than the prices' own once the rates that were accepted are too old";
    let asked = rates::look(section, &config.assets, system_clock()()).await;
    let found = asked.map(|set| ((), format!("{} answers with the rates of {}", set.source, set.at)));
    report.note("rates", found.map_err(|error| Bad::new(error.to_string(), next)));
}
