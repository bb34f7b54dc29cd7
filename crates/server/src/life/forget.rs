//! Forgets what is over: names that payers gave to payments, who comes back without paying again, fares, windows for refunds, what was had for
//! nothing in periods that have ended, with the keys that name who had it, and closed sessions. A page at a time.

use farthing_engine::{
    AccessId, BundleCommand, BundleUseId, Command, FareId, Forget, ForgetQuotas, NameId, PaymentId, QuotaId,
    Refusal, SessionId, SessionState,
};

use crate::installation::Installation;

/// Rows that are looked at, and forgotten, in one commit at the most.
const PAGE: usize = 500;

/// Forgets all that is over; says how much it was.
pub async fn forget(at: &Installation) -> Result<usize, Refusal> {
    let known = names(at).await?.saturating_add(access(at).await?);
    let known = known.saturating_add(quotas(at).await?).saturating_add(fares(at).await?);
    let known = known.saturating_add(refunds(at).await?).saturating_add(bundle_uses(at).await?);
    let known = known.saturating_add(bundles(at).await?);
    Ok(known.saturating_add(sessions(at).await?))
}

async fn sessions(at: &Installation) -> Result<usize, Refusal> {
    let (mut after, mut forgotten) = (None, 0_usize);
    loop {
        let page = at.books.sessions_after(after, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(forgotten) };
        after = Some(*last);
        let now = (at.clock)();
        let over = page.iter().filter(|(_, row)| row.state != SessionState::Open && row.ends_at <= now);
        let over: Vec<SessionId> = over.map(|(id, _)| *id).collect();
        forgotten = forgotten.saturating_add(over.len());
        commit(at, Forget { sessions: over, ..Forget::default() }).await?;
    }
}

async fn names(at: &Installation) -> Result<usize, Refusal> {
    let (mut after, mut forgotten) = (None, 0_usize);
    loop {
        let page = at.books.names_after(after, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(forgotten) };
        after = Some(*last);
        let now = (at.clock)();
        let names: Vec<NameId> = page.iter().filter(|(_, row)| row.until <= now).map(|(id, _)| *id).collect();
        forgotten = forgotten.saturating_add(names.len());
        commit(at, Forget { names, ..Forget::default() }).await?;
    }
}

async fn access(at: &Installation) -> Result<usize, Refusal> {
    let (mut after, mut forgotten) = (None, 0_usize);
    loop {
        let page = at.books.access_after(after, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(forgotten) };
        after = Some(*last);
        let now = (at.clock)();
        let access: Vec<AccessId> =
            page.iter().filter(|(_, row)| row.until <= now).map(|(id, _)| *id).collect();
        forgotten = forgotten.saturating_add(access.len());
        commit(at, Forget { access, ..Forget::default() }).await?;
    }
}

async fn fares(at: &Installation) -> Result<usize, Refusal> {
    let (mut after, mut forgotten) = (None, 0_usize);
    loop {
        let page = at.books.fares_after(after, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(forgotten) };
        after = Some(*last);
        let now = (at.clock)();
        let over = page.iter().filter(|(_, row)| row.ends <= now && row.held.is_zero());
        let fares: Vec<FareId> = over.map(|(id, _)| *id).collect();
        forgotten = forgotten.saturating_add(fares.len());
        commit(at, Forget { fares, ..Forget::default() }).await?;
    }
}

async fn refunds(at: &Installation) -> Result<usize, Refusal> {
    let (mut after, mut forgotten) = (None, 0_usize);
    loop {
        let page = at.books.refunds_after(after, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(forgotten) };
        after = Some(*last);
        let now = (at.clock)();
        // What went back stays, without its fare.
        let over =
            page.iter().filter(|(_, row)| row.is_over(now) && (row.steps.is_empty() || row.fare.is_some()));
        let refunds: Vec<PaymentId> = over.map(|(id, _)| *id).collect();
        forgotten = forgotten.saturating_add(refunds.len());
        commit(at, Forget { refunds, ..Forget::default() }).await?;
    }
}

async fn bundle_uses(at: &Installation) -> Result<usize, Refusal> {
    let (mut after, mut forgotten) = (None, 0_usize);
    loop {
        let page = at.books.bundle_uses_after(after, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(forgotten) };
        after = Some(*last);
        let now = (at.clock)();
        let over = page.iter().filter(|(_, row)| row.until <= now);
        let uses: Vec<_> = over.map(|(id, row)| (*id, row.bundle)).collect();
        forgotten = forgotten.saturating_add(uses.len());
        commit_bundles(at, Vec::new(), uses).await?;
    }
}

async fn bundles(at: &Installation) -> Result<usize, Refusal> {
    let (mut after, mut forgotten) = (None, 0_usize);
    loop {
        let page = at.books.bundles_after(after, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(forgotten) };
        after = Some(*last);
        let now = (at.clock)();
        let over = page.iter().filter(|(_, row)| row.ends <= now);
        let bundles: Vec<PaymentId> = over.map(|(id, _)| *id).collect();
        forgotten = forgotten.saturating_add(bundles.len());
        commit_bundles(at, bundles, Vec::new()).await?;
    }
}

async fn commit_bundles(
    at: &Installation,
    bundles: Vec<PaymentId>,
    uses: Vec<(BundleUseId, PaymentId)>,
) -> Result<(), Refusal> {
    if bundles.is_empty() && uses.is_empty() {
        tokio::task::yield_now().await;
        return Ok(());
    }
    let command = Command::Bundle(BundleCommand::Forget { bundles, uses });
    at.writer.execute(command).await.map(|_| ())
}

async fn quotas(at: &Installation) -> Result<usize, Refusal> {
    let (mut after, mut forgotten) = (None, 0_usize);
    loop {
        let page = at.books.quotas_after(after, PAGE)?;
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        let now = (at.clock)();
        let quotas: Vec<QuotaId> =
            page.iter().filter(|(_, row)| row.until <= now).map(|(id, _)| *id).collect();
        forgotten = forgotten.saturating_add(quotas.len());
        commit_quotas(at, ForgetQuotas { quotas, keys: Vec::new() }).await?;
    }
    // The keys at last: as long as there is a count, it can be said whose it is.
    let now = (at.clock)();
    let keys: Vec<u32> =
        at.books.quota_keys()?.iter().filter(|(_, row)| row.until <= now).map(|(day, _)| *day).collect();
    forgotten = forgotten.saturating_add(keys.len());
    commit_quotas(at, ForgetQuotas { quotas: Vec::new(), keys }).await?;
    Ok(forgotten)
}

async fn commit_quotas(at: &Installation, forget: ForgetQuotas) -> Result<(), Refusal> {
    if forget.quotas.is_empty() && forget.keys.is_empty() {
        tokio::task::yield_now().await;
        return Ok(());
    }
    at.writer.execute(Command::ForgetQuotas(forget)).await.map(|_| ())
}

async fn commit(at: &Installation, forget: Forget) -> Result<(), Refusal> {
    let Forget { names, access, fares, refunds, sessions } = &forget;
    let is_nothing = names.is_empty() && access.is_empty() && fares.is_empty();
    if is_nothing && refunds.is_empty() && sessions.is_empty() {
        tokio::task::yield_now().await;
        return Ok(());
    }
    at.writer.execute(Command::Forget(forget)).await.map(|_| ())
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
