//! Forgets what is over: names that payers gave to payments, and who comes back without paying again. A page at a time.

use farthing_engine::{AccessId, Command, Forget, NameId, Refusal};

use crate::installation::Installation;

/// Rows that are looked at, and forgotten, in one commit at the most.
const PAGE: usize = 500;

/// Forgets all that is over; says how much it was.
pub async fn forget(at: &Installation) -> Result<usize, Refusal> {
    Ok(names(at).await?.saturating_add(access(at).await?))
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
        commit(at, Forget { names, access: Vec::new() }).await?;
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
        commit(at, Forget { names: Vec::new(), access }).await?;
    }
}

async fn commit(at: &Installation, forget: Forget) -> Result<(), Refusal> {
    if forget.names.is_empty() && forget.access.is_empty() {
        tokio::task::yield_now().await;
        return Ok(());
    }
    at.writer.execute(Command::Forget(forget)).await.map(|_| ())
}

/// The worker.
pub(crate) async fn work(at: Installation) {
    match forget(&at).await {
        Ok(0) => {}
        Ok(rows) => tracing::info!(rows, "names of payments and accesses that are over were forgotten"),
        Err(error) => tracing::error!(%error, "what is over could not be forgotten"),
    }
}
