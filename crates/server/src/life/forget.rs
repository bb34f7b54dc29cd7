//! Forgets what is over: names that payers gave to payments, who comes back without paying again, fares, windows for refunds, what was had for
//! nothing in periods that have ended, with the keys that name who had it, and closed sessions.

use farthing_engine::{
    BundleCommand, BundleRow, BundleUseRow, Command, FareRow, Forget, ForgetQuotas, QuotaRow, RefundRow,
    Refusal, SessionRow,
};

use super::sweep::{keys, sweep};
use crate::installation::Installation;

/// Forgets all that is over; says how much it was.
pub async fn forget(at: &Installation) -> Result<usize, Refusal> {
    let books = &*at.books;
    let by = (&*at.writer, &at.clock);
    let parts = [
        sweep(
            by,
            |after, limit| books.names_after(after, limit),
            |row, now| row.until <= now,
            |over| Command::Forget(Forget { names: keys(over), ..Forget::default() }),
        )
        .await?,
        sweep(
            by,
            |after, limit| books.access_after(after, limit),
            |row, now| row.until <= now,
            |over| Command::Forget(Forget { access: keys(over), ..Forget::default() }),
        )
        .await?,
        quotas(at).await?,
        sweep(
            by,
            |after, limit| books.fares_after(after, limit),
            FareRow::is_over,
            |over| Command::Forget(Forget { fares: keys(over), ..Forget::default() }),
        )
        .await?,
        sweep(
            by,
            |after, limit| books.refunds_after(after, limit),
            // What went back stays, without its fare.
            |row: &RefundRow, now| row.is_over(now) && (row.steps.is_empty() || row.fare.is_some()),
            |over| Command::Forget(Forget { refunds: keys(over), ..Forget::default() }),
        )
        .await?,
        bundles(at).await?,
        sweep(
            by,
            |after, limit| books.sessions_after(after, limit),
            |row: &SessionRow, now| row.is_over(now),
            |over| Command::Forget(Forget { sessions: keys(over), ..Forget::default() }),
        )
        .await?,
    ];
    Ok(parts.into_iter().fold(0, usize::saturating_add))
}

/// Uses before the bundles that they are of.
async fn bundles(at: &Installation) -> Result<usize, Refusal> {
    let by = (&*at.writer, &at.clock);
    let uses = sweep(
        by,
        |after, limit| at.books.bundle_uses_after(after, limit),
        |row: &BundleUseRow, now| row.until <= now,
        |over| {
            let uses = over.into_iter().map(|(id, row)| (id, row.bundle)).collect();
            Command::Bundle(BundleCommand::Forget { bundles: Vec::new(), uses })
        },
    );
    let uses = uses.await?;
    let bundles = sweep(
        by,
        |after, limit| at.books.bundles_after(after, limit),
        |row: &BundleRow, now| row.is_over(now),
        |over| Command::Bundle(BundleCommand::Forget { bundles: keys(over), uses: Vec::new() }),
    );
    Ok(bundles.await?.saturating_add(uses))
}

async fn quotas(at: &Installation) -> Result<usize, Refusal> {
    let forgotten = sweep(
        (&*at.writer, &at.clock),
        |after, limit| at.books.quotas_after(after, limit),
        |row: &QuotaRow, now| row.until <= now,
        |over| Command::from(ForgetQuotas { quotas: keys(over), keys: Vec::new() }),
    );
    let forgotten = forgotten.await?;
    // The keys at last: as long as there is a count, it can be said whose it is.
    let now = (at.clock)();
    let over = at.books.quota_keys()?.into_iter().filter(|(_, row)| row.until <= now);
    let keys: Vec<u32> = over.map(|(day, _)| day).collect();
    if keys.is_empty() {
        return Ok(forgotten);
    }
    let forgotten = forgotten.saturating_add(keys.len());
    at.writer.execute(Command::from(ForgetQuotas { quotas: Vec::new(), keys })).await?;
    Ok(forgotten)
}

/// The worker.
pub(crate) async fn work(at: Installation) {
    match forget(&at).await {
        Ok(0) => {}
        Ok(rows) => {
            tracing::info!(
                rows,
                "names of payments, accesses, fares, windows, counts, keys and sessions that are over were forgotten"
            );
        }
        Err(error) => tracing::error!(%error, "what is over could not be forgotten"),
    }
}
