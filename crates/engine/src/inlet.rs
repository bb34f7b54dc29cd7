//! Addresses on chains at which mint quotes take plain transfers: each such quote has one of its own, its *inlet*. What comes
//! there is counted once, by the log that says so, and moved on when it is worth its gas.

use farthing_ledger::AccountId;
use farthing_money::{Amount, Asset, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Call, CallId, ChainAddress, Chart, Command, Keys, LogId, MintQuoteRow, QuoteId, TransactionId};

/// An inlet. Its address is derived from its quote's id, on all chains the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InletRow {
    /// When its address was told first: nothing has come before.
    pub since: Timestamp,
    /// Until when it is looked at, though nothing lies there.
    pub until: Timestamp,
    /// Chains, by their numbers, all blocks of which since then have to be searched, because nobody has looked meanwhile.
    pub search: Vec<u64>,
    /// What was counted and lies there.
    pub holds: Vec<Holding>,
    /// The call that moves something of it on.
    pub sweep: Option<CallId>,
}

/// Units of a token that lie at an inlet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The chain's number (EIP-155).
    pub chain: u64,
    /// The token's contract.
    pub token: ChainAddress,
    /// How many, in its smallest units.
    pub units: Amount,
}

impl InletRow {
    /// How many units of a token lie there, as far as they are counted.
    pub fn units(&self, chain: u64, token: ChainAddress) -> Amount {
        let found = self.holds.iter().find(|held| (held.chain, held.token) == (chain, token));
        found.map(|held| held.units).unwrap_or_default()
    }

    /// Whether it may be forgotten: nothing lies there, and nobody is expected to send anything.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until <= now && self.holds.is_empty() && self.sweep.is_none() && self.search.is_empty()
    }

    pub(crate) fn set(&mut self, chain: u64, token: ChainAddress, units: Amount) {
        self.holds.retain(|held| (held.chain, held.token) != (chain, token));
        if !units.is_zero() {
            self.holds.push(Holding { chain, token, units });
        }
    }
}

/// A transfer to an inlet that lies deep enough to count. Who sent it is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivalRow {
    /// The quote that it pays.
    pub quote: QuoteId,
    /// The chain's number (EIP-155).
    pub chain: u64,
    /// The token's contract.
    pub token: ChainAddress,
    /// How many of its units are counted.
    pub units: Amount,
    /// What they are worth.
    pub amount: Amount,
    /// In what.
    pub asset: Asset,
    /// The account of what we have of the token.
    pub reserve: AccountId,
    /// Which transaction.
    pub transaction: TransactionId,
    /// In which block.
    pub block: u64,
    /// The block's name.
    pub block_hash: [u8; 32],
}

/// How far the blocks of a chain were looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorRow {
    /// Up to and with this block.
    pub block: u64,
    /// The block's name. Another name at its place is a fork.
    pub block_hash: [u8; 32],
}

/// Begins to look at an inlet, or goes on with it.
#[derive(Clone, Debug)]
pub struct OpenInlet {
    /// Of which quote.
    pub quote: QuoteId,
    /// The quote's terms, if it was never written down: whoever makes the command vouches for them.
    pub terms: Box<MintQuoteRow>,
    /// When its address was told first.
    pub since: Timestamp,
    /// Until when it is looked at.
    pub until: Timestamp,
    /// Chains, by their numbers, at which nobody has looked since then.
    pub search: Vec<u64>,
}

/// Counts a transfer to an inlet.
#[derive(Clone, Debug)]
pub struct Arrive {
    /// The log that says so.
    pub log: LogId,
    /// The transfer.
    pub arrival: ArrivalRow,
}

/// Takes a transfer out of the books that a chain has taken back.
#[derive(Clone, Debug)]
pub struct UndoArrival {
    /// The log that said so.
    pub log: LogId,
    /// The quote that it paid, as its row names it.
    pub quote: QuoteId,
    /// The account of what we have of the token, as its row names it.
    pub reserve: AccountId,
    /// In what.
    pub asset: Asset,
}

/// Asks for what lies at an inlet to be moved on.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Of which quote.
    pub quote: QuoteId,
    /// The call's name. It was never used before.
    pub id: CallId,
    /// What moves it.
    pub call: Call,
}

/// Takes note of what became of such a call.
#[derive(Clone, Copy, Debug)]
pub struct EndSweep {
    /// Of which quote.
    pub quote: QuoteId,
    /// Which call.
    pub call: CallId,
}

impl Command {
    /// The keys of what comes by plain transfers.
    pub(crate) fn inlet_keys(&self, keys: &mut Keys) {
        match self {
            Self::OpenInlet(command) => keys.inlet(command.quote),
            Self::Arrive(command) => {
                let arrival = &command.arrival;
                keys.inlet(arrival.quote);
                keys.arrivals.push(command.log);
                keys.accounts.extend([arrival.reserve, Chart::of(arrival.asset).deposits]);
            }
            Self::UndoArrival(command) => {
                keys.inlet(command.quote);
                keys.arrivals.push(command.log);
                keys.accounts.extend([command.reserve, Chart::of(command.asset).deposits]);
            }
            Self::Sweep(command) => {
                keys.inlet(command.quote);
                keys.call(command.id);
            }
            Self::EndSweep(command) => {
                keys.inlet(command.quote);
                keys.call(command.call);
            }
            Self::Searched(quote, _) => keys.inlet(*quote),
            Self::CloseInlets(quotes) => quotes.iter().for_each(|quote| keys.inlet(*quote)),
            Self::SetCursor(chain, _) => keys.cursors.push(*chain),
            _ => {}
        }
    }
}
