//! Whether merchants wait for their money: payouts that nobody approves or sends.

use farthing_gate::flow::system_clock;
use farthing_money::Span;

use super::{Bad, Check, Report};
use crate::access::Access;
use crate::config::Config;
use crate::payouts::PayoutView;

/// So long a payout may wait for persons or for the bank's word.
const WAITS_MOST: Span = Span::from_secs(7 * 86_400);

/// Looks at the payouts of a running server, if merchants are paid here.
pub(super) async fn look(report: &mut Report, config: &Config) {
    if config.payouts.merchants.is_empty() {
        return;
    }
    let Some(access) = Access::running(config).await else { return };
    let silent = |error: &dyn ToString| Bad::new(error.to_string(), "look at `farthing payout list`");
    let open = access.payouts(true).await.map_err(|error| silent(&error));
    let now = system_clock()();
    let found = open.and_then(|open| waiting(&open, |view| now.since(view.since) > WAITS_MOST));
    report.note("payouts", found);
}

fn waiting(open: &[PayoutView], is_late: impl Fn(&PayoutView) -> bool) -> Check<((), String)> {
    let late: Vec<&PayoutView> = open.iter().filter(|view| is_late(view)).collect();
    let Some(first) = late.first() else {
        return Ok(((), format!("{} on their way, none waits for more than a week", open.len())));
    };
    let (count, PayoutView { id, merchant, shown, state, .. }) = (late.len(), first);
    let found = format!(
        "{count} of {} payouts wait for more than a week, such as {shown} to {merchant}, {state}",
        open.len()
    );
    let id: String = id.chars().take(12).collect();
    Err(Bad::new(found, format!("see `farthing payout show {id}`: approve, send, settle or cancel it")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_too_long_is_said_with_what_to_do() {
        let view: PayoutView = serde_json::from_value(serde_json::json!({
            "id": "ab".repeat(32), "merchant": "author", "name": "2026-11", "amount": "5", "asset": "USD",
            "shown": "5.00 USD", "way": "bank", "to": "x", "state": "approved", "why": null, "by": null,
            "proposed_at": 1, "since": 1, "paid_on": null, "approvals": [], "approved": 2, "needed": 2,
            "transaction": null, "file": null, "end_to_end": null, "statement": ""
        }))
        .unwrap();
        let open = [view.clone(), view];
        assert!(waiting(&open, |_| false).is_ok());
        let bad = waiting(&open, |_| true).unwrap_err();
        assert!(bad.found.starts_with("2 of 2") && bad.next.contains("abababababab"), "{}", bad.next);
    }
}
