//! Forgetting, whatever it is: a table is read a page at a time, and what is over of a page goes in one commit.

use farthing_engine::{Command, Execute, Fault, Refusal, pages};
use farthing_money::Timestamp;
use farthing_store::Clock;

/// Rows that are looked at, and forgotten, in one commit at the most.
const PAGE: usize = 500;

/// Forgets the rows of a table that are over; says how many they were.
pub(crate) async fn sweep<K: Copy, R>(
    (writer, clock): (&dyn Execute, &Clock),
    read: impl FnMut(Option<K>, usize) -> Result<Vec<(K, R)>, Fault>,
    is_over: impl Fn(&R, Timestamp) -> bool,
    forget: impl Fn(Vec<(K, R)>) -> Command,
) -> Result<usize, Refusal> {
    let mut forgotten = 0_usize;
    for page in pages(PAGE, read) {
        let now = clock();
        let over: Vec<(K, R)> = page?.into_iter().filter(|(_, row)| is_over(row, now)).collect();
        if over.is_empty() {
            tokio::task::yield_now().await;
            continue;
        }
        forgotten = forgotten.saturating_add(over.len());
        writer.execute(forget(over)).await?;
    }
    Ok(forgotten)
}

/// The keys of rows.
pub(crate) fn keys<K, R>(rows: Vec<(K, R)>) -> Vec<K> {
    rows.into_iter().map(|(key, _)| key).collect()
}
