//! Authorizations that nobody has ended in time are given up, and those that ended a day ago are forgotten.

use farthing_engine::{Command, Read, Refusal, ReleaseUse, UseCommand, UseId, UseRow, pages};

use crate::installation::Installation;
use crate::life::{keys, sweep};

/// Rows that are looked at, and changed, at once.
const PAGE: usize = 500;

/// Gives up what is over; says how many they were.
pub async fn lapse(at: &Installation) -> Result<usize, Refusal> {
    let mut lapsed = 0_usize;
    for page in pages(PAGE, |after, limit| at.books.open_uses_after(after, limit)) {
        let (page, now) = (page?, (at.clock)());
        let over = page.iter().filter(|(_, row)| row.has_lapsed(now));
        let commands: Vec<_> =
            over.map(|(id, row)| release_of(&*at.books, *id, row)).collect::<Result<_, _>>()?;
        // All are in the writer's line before any of them is waited for: they go together.
        let answers: Vec<_> = commands.into_iter().map(|command| at.writer.execute(command)).collect();
        for answer in answers {
            match answer.await {
                Ok(_) => lapsed = lapsed.saturating_add(1),
                // Who committed in the last moment was first.
                Err(Refusal::Reject(_)) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(lapsed)
}

fn release_of(read: &dyn Read, id: UseId, row: &UseRow) -> Result<Command, Refusal> {
    Ok(UseCommand::Release(ReleaseUse::of(read, id, row)?).into())
}

/// Forgets what nobody asks for any more; says how many they were.
pub async fn forget(at: &Installation) -> Result<usize, Refusal> {
    sweep(
        (&*at.writer, &at.clock),
        |after, limit| at.books.ended_uses_after(after, limit),
        UseRow::may_be_forgotten,
        |over| UseCommand::Forget(keys(over)).into(),
    )
    .await
}

/// The worker that gives up what is over.
pub(crate) async fn lapse_work(at: Installation) {
    match lapse(&at).await {
        Ok(0) => {}
        Ok(uses) => tracing::info!(uses, "authorizations that nobody has ended in time were given up"),
        Err(error) => tracing::error!(%error, "authorizations that are over could not be given up"),
    }
}

/// The worker that forgets.
pub(crate) async fn forget_work(at: Installation) {
    match forget(&at).await {
        Ok(0) => {}
        Ok(uses) => tracing::info!(uses, "authorizations that ended a day ago were forgotten"),
        Err(error) => tracing::error!(%error, "authorizations that ended could not be forgotten"),
    }
}
