//! Which channels are claimed, and in which batches. One bad row undoes a whole batch, and a payer who takes his money at the
//! right moment can make one bad: so a batch is tried before it is sent, and one that fails is halved until the bad rows are
//! alone.

use farthing_channel::{Address, BATCH_ESCROW, ChannelId, ClaimRow, Domain, batch_call};
use farthing_engine::ChannelRow;
use farthing_money::Timestamp;

use super::ChannelConfig;
use crate::node::{Node, NodeError, Trial};

/// A channel of which something can be claimed.
#[derive(Clone, Debug)]
pub(super) struct Due {
    pub(super) channel: ChannelId,
    pub(super) row: ClaimRow,
    /// Whether its payer wants his money: then it cannot wait.
    pub(super) urgent: bool,
}

/// What is to be claimed of a channel now; nothing if it can wait. `since` is when it was first seen with something to claim.
pub(super) fn due(
    config: &ChannelConfig,
    (channel, row): (ChannelId, &ChannelRow),
    since: Timestamp,
    now: Timestamp,
) -> Option<Due> {
    // What its balance does not cover is claimed as far as it does.
    let claim = row.books.claim(&row.terms)?;
    let urgent = row.books.chain().withdraw_since.is_some();
    let waited = now.since(since.min(row.used_at)) >= config.claim_after;
    let enough = row.worth(row.unclaimed()).is_none_or(|worth| worth >= config.claim_from);
    (urgent || waited || enough).then_some(Due { channel, row: claim, urgent })
}

/// The rows of a batch that the escrow takes together, and those that it does not take even alone.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) good: Vec<Due>,
    pub(super) bad: Vec<Due>,
}

/// Tries a batch out, and its halves if it fails or would use more gas than one call may. What is verified by a known key may
/// be written otherwise than the escrow reads it, so each signature is mended first. What finds no room waits.
pub(super) async fn sort(
    node: &dyn Node,
    (from, batch, gas_most): (Address, &Domain, u64),
    due: Vec<Due>,
) -> Result<Sorted, NodeError> {
    let (mut sorted, mut used) = (Sorted::default(), 0_u64);
    let mut mended = Vec::with_capacity(due.len());
    for due in due {
        if let Some(row) = due.row.clone().mended(batch) {
            mended.push(Due { row, ..due });
        } else {
            tracing::error!(channel = %due.channel, "a voucher in the books is not signed by whom its channel names; look where it came from");
            sorted.bad.push(due);
        }
    }
    let mut waiting = vec![mended];
    while let Some(mut rows) = waiting.pop() {
        if rows.is_empty() {
            continue;
        }
        let claims: Vec<ClaimRow> = rows.iter().map(|due| due.row.clone()).collect();
        let input = batch_call::claim(&claims);
        match node.gas(Trial { from, to: BATCH_ESCROW, input }).await {
            Ok(gas) if used.saturating_add(gas) <= gas_most => {
                used = used.saturating_add(gas);
                sorted.good.append(&mut rows);
            }
            // The next claim has room for what is left.
            Ok(_) if rows.len() == 1 && !sorted.good.is_empty() => {}
            Ok(_) | Err(NodeError::Reverted(_)) if rows.len() > 1 => {
                let half = rows.split_off(rows.len() / 2);
                waiting.extend([half, rows]);
            }
            Ok(gas) => {
                for due in &rows {
                    tracing::error!(channel = %due.channel, gas, gas_most, "one claim alone would use more gas than is paid for a call; set gas_most higher");
                }
                sorted.bad.append(&mut rows);
            }
            Err(NodeError::Reverted(revert)) => {
                for due in &rows {
                    tracing::error!(channel = %due.channel, %revert, "what was charged through a channel cannot be claimed; it is tried again later");
                }
                sorted.bad.append(&mut rows);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(sorted)
}
