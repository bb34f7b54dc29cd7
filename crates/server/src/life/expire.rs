//! Writes expired keysets off: what was never redeemed is income, and can never be redeemed any more.

use farthing_engine::{Command, ExpireKeyset, KeysetRow, Refusal, Reject, credits_account};
use farthing_money::{Span, Timestamp};

use crate::installation::{Installation, OpenError};

/// So long after its final expiry a keyset is written off: clocks differ, and payments on hold need time to end.
pub const GRACE: Span = Span::from_secs(24 * 3600);

/// Writes off every keyset that expired some time ago, and says how many. What is on hold ends first: the next run takes
/// care of such a keyset.
pub async fn expire(at: &Installation) -> Result<usize, OpenError> {
    let now = (at.clock)();
    let mut written_off = 0_usize;
    for row in at.books.keysets()?.iter().filter(|row| is_over(row, now)) {
        let account = credits_account(row.asset, &row.id).id();
        let command = ExpireKeyset { index: row.index, account, asset: row.asset };
        match at.writer.execute(Command::ExpireKeyset(command)).await {
            Ok(_) => written_off = written_off.saturating_add(1),
            Err(Refusal::Reject(Reject::KeysetHeld(index))) => {
                tracing::info!(index, "an expired keyset has credits on hold; it is written off later");
            }
            Err(Refusal::Fault(fault)) => return Err(fault.into()),
            Err(refusal) => return Err(OpenError::Refused(refusal)),
        }
    }
    if written_off > 0 {
        at.keysets.reload()?;
    }
    Ok(written_off)
}

/// Whether a keyset is to be written off now.
pub(super) fn is_over(row: &KeysetRow, now: Timestamp) -> bool {
    !row.closed && row.final_expiry.is_some_and(|expiry| Timestamp::from_secs(expiry).after(GRACE) <= now)
}

/// The worker.
pub(crate) async fn work(at: Installation) {
    match expire(&at).await {
        Ok(0) => {}
        Ok(keysets) => tracing::info!(keysets, "expired keysets were written off"),
        Err(error) => tracing::error!(%error, "an expired keyset could not be written off"),
    }
}
