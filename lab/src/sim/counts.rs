//! What a run did, in numbers.

use super::{chain, channels};

/// What happened, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that came to the server.
    pub requests: u64,
    /// Durable commits.
    pub commits: u64,
    /// Commits that a crash or a failure left in doubt.
    pub doubts: u64,
    /// Times that the server's power went.
    pub crashes: u64,
    /// Times that a wallet's program died.
    pub kills: u64,
    /// Times that clocks jumped.
    pub jumps: u64,
    /// Payments that were charged.
    pub charged: u64,
    /// Of those, payments in another asset than their price's.
    pub exchanged: u64,
    /// Times that something was had for nothing.
    pub free: u64,
    /// Fares that single payments have paid.
    pub fares: u64,
    /// Payouts that were sent.
    pub payouts: u64,
    /// Whether at the end a wallet needed its words to find everything.
    pub needed_words: u64,
    /// Payments on the chain that were delivered.
    pub on_chain: u64,
    /// Of those, payments that a fork deeper than the confirmations has taken back for good.
    pub unpaid: u64,
    /// Payments that such a fork has carried out after they had failed.
    pub astray: u64,
    /// Calls on the chain that failed.
    pub failed: u64,
    /// Deposits that settled.
    pub deposits: u64,
    /// Withdrawals that did.
    pub withdrawals: u64,
    /// What was settled for somebody else.
    pub facilitated: u64,
    /// What happened to channels.
    pub channels: channels::Counts,
    /// What happened on chains.
    pub chain: chain::Counts,
}

impl Counts {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            commits: self.commits.saturating_add(other.commits),
            doubts: self.doubts.saturating_add(other.doubts),
            crashes: self.crashes.saturating_add(other.crashes),
            kills: self.kills.saturating_add(other.kills),
            jumps: self.jumps.saturating_add(other.jumps),
            charged: self.charged.saturating_add(other.charged),
            exchanged: self.exchanged.saturating_add(other.exchanged),
            free: self.free.saturating_add(other.free),
            fares: self.fares.saturating_add(other.fares),
            payouts: self.payouts.saturating_add(other.payouts),
            needed_words: self.needed_words.saturating_add(other.needed_words),
            on_chain: self.on_chain.saturating_add(other.on_chain),
            unpaid: self.unpaid.saturating_add(other.unpaid),
            astray: self.astray.saturating_add(other.astray),
            failed: self.failed.saturating_add(other.failed),
            deposits: self.deposits.saturating_add(other.deposits),
            withdrawals: self.withdrawals.saturating_add(other.withdrawals),
            facilitated: self.facilitated.saturating_add(other.facilitated),
            channels: self.channels.and(other.channels),
            chain: self.chain.and(other.chain),
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { requests, commits, doubts, crashes, kills, jumps, charged, needed_words, .. } = self;
        write!(
            f,
            "{requests} requests, {commits} commits ({doubts} in doubt), {charged} charges, {crashes} crashes, {kills} \
             kills of wallets, {jumps} jumps of the clock; {needed_words} \
             seeds needed the words at the end"
        )?;
        let Self { exchanged, free, fares, payouts, .. } = self;
        write!(
            f,
            "; {exchanged} charges exchanged, {free} answers for nothing, {fares} fares paid, {payouts} payouts sent"
        )?;
        let Self { on_chain, unpaid, astray, failed, deposits, withdrawals, facilitated, .. } = self;
        let chain::Counts { blocks, forks, deep, carried } = self.chain;
        write!(
            f,
            "; on chains {blocks} blocks, {forks} forks ({deep} deep), {carried} transactions carried out, {on_chain} \
             pages delivered ({unpaid} taken back for good), {deposits} deposits, {withdrawals} withdrawals, {facilitated} settled \
             for others, {failed} failed, {astray} astray; {}",
            self.channels
        )
    }
}
