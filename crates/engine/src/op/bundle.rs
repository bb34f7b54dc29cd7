//! Uses of bundles are decided in turn, so that however many ask at once, nobody has more than were bought. No money moves: it
//! did when the bundle was bought.

use farthing_money::Timestamp;

use super::Decision;
use crate::{
    Answer, BUNDLE_GRACE, BUNDLE_USE_WAITS, BeginBundleUse, BundleCommand, BundleReject, BundleRow,
    BundleUseId, BundleUseRow, EndBundleUse, PaymentId, RefundReject, Rows,
};

pub(crate) fn decide(rows: &mut Rows, command: &BundleCommand, now: Timestamp) -> Decision {
    match command {
        BundleCommand::Begin(command) => begin(rows, command, now),
        BundleCommand::End(command) => end(rows, command, now),
        BundleCommand::Forget { bundles, uses } => forget(rows, bundles, uses, now),
    }
}

fn begin(rows: &mut Rows, command: &BeginBundleUse, now: Timestamp) -> Decision {
    let BeginBundleUse { bundle, of, ends, used } = *command;
    if ends <= now {
        return Err(BundleReject::Over { ends }.into());
    }
    if rows.payments.get(&bundle)?.is_some_and(crate::PaymentRow::is_refunded) {
        return Err(RefundReject::Done.into());
    }
    let known = rows.bundles.get(&bundle)?.copied().unwrap_or(BundleRow { of, taken: 0, ends });
    let before = rows.bundle_uses.get(&used)?.copied().filter(|row| row.bundle == bundle);
    let open = before.filter(|row| row.until > now);
    let waits = now.after(BUNDLE_USE_WAITS);
    if let Some(row) = open {
        let under_way = row.under_way.saturating_add(1);
        // Coming back makes it no longer.
        let until = if row.delivered { row.until } else { row.until.max(waits) };
        rows.bundle_uses.put(used, BundleUseRow { under_way, until, ..row });
        return Ok((Answer::BundleUse { left: of.saturating_sub(known.taken) }, None));
    }
    // One whose answer never began was never had: it is taken again.
    let more = u32::from(before.is_none_or(|row| row.delivered));
    let taken = known.taken.checked_add(more).filter(|taken| *taken <= of);
    let taken = taken.ok_or(BundleReject::UsedUp { of })?;
    rows.bundles.put(bundle, BundleRow { of, taken, ends });
    rows.bundle_uses.put(used, BundleUseRow { bundle, under_way: 1, delivered: false, until: waits });
    Ok((Answer::BundleUse { left: of.saturating_sub(taken) }, None))
}

/// The use counts once something was delivered. If nothing was, and nothing more is under way, it is given back.
fn end(rows: &mut Rows, command: &EndBundleUse, now: Timestamp) -> Decision {
    let EndBundleUse { bundle, used, delivered } = *command;
    let known = rows.bundles.get(&bundle)?.copied();
    let Some(row) = rows.bundle_uses.get(&used)?.copied().filter(|row| row.bundle == bundle) else {
        if let Some(span) = delivered {
            count_late(rows, (bundle, used), known, now.after(span));
        }
        return Ok((Answer::Done, None));
    };
    let under_way = row.under_way.saturating_sub(1);
    match delivered {
        Some(span) => {
            // The first delivery says for how long; coming back does not make it longer.
            let until = if row.delivered { row.until } else { now.after(span) };
            rows.bundle_uses.put(used, BundleUseRow { under_way, delivered: true, until, ..row });
        }
        None if row.delivered || under_way > 0 => {
            rows.bundle_uses.put(used, BundleUseRow { under_way, ..row });
        }
        None => {
            rows.bundle_uses.remove(used);
            give_back(rows, bundle, known);
        }
    }
    Ok((Answer::Done, None))
}

/// What was delivered after its use was given back, because its answer was so late or another one of it failed, counts all the same.
/// Others may have taken what was left meanwhile: then one more was had than was bought, and none is left.
fn count_late(
    rows: &mut Rows,
    (bundle, used): (PaymentId, BundleUseId),
    known: Option<BundleRow>,
    until: Timestamp,
) {
    // A bundle that is forgotten is over.
    let Some(row) = known else { return };
    rows.bundles.put(bundle, BundleRow { taken: row.taken.saturating_add(1).min(row.of), ..row });
    rows.bundle_uses.put(used, BundleUseRow { bundle, under_way: 0, delivered: true, until });
}

fn give_back(rows: &mut Rows, bundle: PaymentId, known: Option<BundleRow>) {
    let Some(row) = known else { return };
    rows.bundles.put(bundle, BundleRow { taken: row.taken.saturating_sub(1), ..row });
}

/// Only what is over goes. A use whose answer never began, because the gate was killed, is given back.
fn forget(
    rows: &mut Rows,
    bundles: &[PaymentId],
    uses: &[(BundleUseId, PaymentId)],
    now: Timestamp,
) -> Decision {
    let mut over = Vec::new();
    for (used, bundle) in uses {
        rows.bundles.get(bundle)?;
        // One that somebody has come back to is known until that is over as well: its end is not a use of its own.
        let waits = |row: &BundleUseRow| row.delivered && row.under_way > 0;
        let kept =
            |row: &BundleUseRow| if waits(row) { row.until.after(BUNDLE_USE_WAITS) } else { row.until };
        if let Some(row) = rows.bundle_uses.get(used)?.filter(|row| row.bundle == *bundle && kept(row) <= now)
        {
            over.push((*used, *row));
        }
    }
    let mut ended = Vec::new();
    for bundle in bundles {
        let is_over = rows.bundles.get(bundle)?.is_some_and(|row| row.is_over(now));
        // How much is used is asked as long as what is left may come back.
        let may_come_back = rows.refunds.get(bundle)?.is_some_and(|row| row.until.after(BUNDLE_GRACE) > now);
        // The window of what a chain may still take back has not begun.
        if is_over && !may_come_back && super::refund::is_final(rows, *bundle)? {
            ended.push(*bundle);
        }
    }
    for (used, row) in over {
        rows.bundle_uses.remove(used);
        if !row.delivered {
            let known = rows.bundles.get(&row.bundle)?.copied();
            give_back(rows, row.bundle, known);
        }
    }
    for bundle in ended {
        rows.bundles.remove(bundle);
    }
    Ok((Answer::Done, None))
}
