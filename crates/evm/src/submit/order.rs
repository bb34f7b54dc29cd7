//! Which new calls go next. What is owed through channels is claimed first: its payer may be taking his money out, while
//! anybody asks for deposits and refunds as often as he likes.

use std::collections::BTreeMap;

use farthing_engine::{CallId, CallRow, ChannelStep, Purpose};
use farthing_money::Timestamp;

use crate::chain::ChainConfig;

/// So many places are kept for claims, at the most ..
const KEPT_MOST: usize = 2;
/// .. and at most one of so many.
const KEPT_OF: usize = 8;

/// How urgent a call is, the least first.
fn rank(row: &CallRow) -> u8 {
    match row.purpose {
        Purpose::Channel(ChannelStep::Claim) => 0,
        Purpose::Channel(ChannelStep::Sweep) => 1,
        _ => 2,
    }
}

fn is_claim(row: &CallRow) -> bool {
    rank(row) == 0
}

/// How many places are kept for claims. Where only a few calls go at once, each of them is needed.
fn kept(chain: &ChainConfig) -> usize {
    if chain.channels.is_some() { (chain.at_once / KEPT_OF).min(KEPT_MOST) } else { 0 }
}

/// Of the new calls, oldest first, those that go next beside what is under way. Whatever was tried in vain lets all others
/// of its rank go first.
pub(super) fn next(
    chain: &ChainConfig,
    held_up: &BTreeMap<CallId, Timestamp>,
    begun: &[(CallId, CallRow)],
    mut new: Vec<(CallId, CallRow)>,
) -> Vec<(CallId, CallRow)> {
    new.sort_by_key(|(id, row)| (rank(row), held_up.get(id).copied()));
    let mut free = chain.at_once.saturating_sub(begun.len());
    let others = begun.iter().filter(|(_, row)| !is_claim(row)).count();
    let mut free_for_others = chain.at_once.saturating_sub(kept(chain)).saturating_sub(others);
    new.retain(|(_, row)| {
        let goes = free > 0 && (is_claim(row) || free_for_others > 0);
        free = free.saturating_sub(usize::from(goes));
        free_for_others = free_for_others.saturating_sub(usize::from(goes && !is_claim(row)));
        goes
    });
    new
}
