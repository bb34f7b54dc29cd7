//! What a million spent credits weigh: memory, folder and start. They are spent by real swaps of a thousand each.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::connection::Connection;
use crate::failure::{Failure, Result};
use crate::figure::Figure;
use crate::mint::{BATCH, Credit, Mint};
use crate::ours::Ours;
use crate::settings::Settings;
use crate::stat::mebibytes;

/// Chains of swaps at the same time, so that every core has work.
const CHAINS: usize = 2;
const PEER: &str = "an empty folder";

/// Fills a folder and weighs it.
pub async fn measure(settings: &Settings) -> Result<Vec<Figure>> {
    if !settings.wants("memory_1m_spent") {
        return Ok(Vec::new());
    }
    let begun = Instant::now();
    let ours = Ours::start(&settings.farthing, 9)?;
    let empty_start = begun.elapsed().as_secs_f64();
    let empty = mebibytes(ours.server.resident_bytes()?);
    let mint = ours.mint().await?;
    let swaps = settings.spent / BATCH;
    settings.say(&format!("memory: spending {} credits by {swaps} swaps", swaps * BATCH));
    let begun = Instant::now();
    let mut chains = tokio::task::JoinSet::new();
    for chain in 0..CHAINS {
        let share = (swaps + chain) / CHAINS;
        chains.spawn(spend(mint.clone(), share));
    }
    while let Some(done) = chains.join_next().await {
        done.map_err(Failure::at("a chain of swaps broke off"))??;
    }
    settings.say(&format!("memory: spent in {:.0} s", begun.elapsed().as_secs_f64()));
    let full = mebibytes(ours.server.resident_bytes()?);
    let folder = ours.server.stop()?;
    let size = mebibytes(bytes_below(folder.path()).map_err(Failure::at("weighing the folder"))?);
    let begun = Instant::now();
    let again = Ours::start_in(&settings.farthing, folder)?;
    let full_start = begun.elapsed().as_secs_f64();
    let restarted = mebibytes(again.server.resident_bytes()?);
    let spent = if settings.spent == 1_000_000 { "1m".to_owned() } else { settings.spent.to_string() };
    Ok(vec![
        Figure::against(format!("memory_{spent}_spent"), "MiB", PEER, &[(full, empty)]),
        Figure::against(format!("memory_{spent}_spent_restarted"), "MiB", PEER, &[(restarted, empty)]),
        Figure::alone(format!("folder_{spent}_spent"), "MiB", size),
        Figure::against(format!("start_{spent}_spent"), "s", PEER, &[(full_start, empty_start)]),
    ])
}

/// Swaps a thousand credits again and again.
async fn spend(mint: Mint, swaps: usize) -> Result<()> {
    let ones = [1; BATCH];
    let mut connection = Connection::open(&mint.address).await?;
    let mut credits: Vec<Credit> = mint.fund(&ones).await?;
    for _ in 0..swaps {
        let outputs = mint.outputs(&ones)?;
        let request = mint.swap(&credits, &outputs)?;
        let answer = connection.exchange(&request).await?;
        answer.expect(200)?;
        credits = outputs.signed(answer.body)?;
    }
    Ok(())
}

/// How large everything below a folder is.
pub fn bytes_below(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.metadata()?;
        bytes += if kind.is_dir() { bytes_below(&entry.path())? } else { kind.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_weighed_with_all_that_is_below() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/b"), [0; 100]).unwrap();
        fs::write(folder.path().join("c"), [0; 20]).unwrap();
        assert_eq!(bytes_below(folder.path()).unwrap(), 120);
    }
}
