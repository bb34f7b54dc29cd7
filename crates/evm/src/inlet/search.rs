//! Searches for what inlets have got while nobody looked: all blocks since their addresses were told. A search may be long, and a
//! node may refuse it, so it goes on by a few stretches in each round, and one that fails holds no other up.

use std::collections::BTreeMap;

use farthing_channel::Address;
use farthing_engine::{Command, InletRow, QuoteId};
use farthing_money::{Span, Timestamp};

use super::{InletRound, InletWatcher, Memory, Open, blocks};
use crate::chain::to_engine;
use crate::purse::units_of;
use crate::submit::RoundFault;

/// How many searches go on in one round; then it is the turn of others.
const SEARCHES_AT_ONCE: usize = 4;
/// How many questions each may ask in one round.
const STRETCHES_AT_ONCE: usize = 16;
/// How long one rests that has failed.
const REST: Span = Span::from_secs(60);

/// How far searches have come. After a start they begin anew.
#[derive(Default)]
pub(super) struct Searches {
    turn: u64,
    all: BTreeMap<QuoteId, Search>,
}

#[derive(Default)]
struct Search {
    /// What is left; nothing before it was asked whether there is something to find.
    left: Option<blocks::Stretch>,
    /// When it was its turn last.
    turn: u64,
    /// When it failed.
    failed: Option<Timestamp>,
}

impl InletWatcher {
    /// Goes on with the searches whose turn it is.
    pub(super) async fn search(&self, memory: &mut Memory, open: &Open, round: &mut InletRound) {
        let now = (self.ports().clock)();
        let searches = &mut memory.searches;
        searches.turn = searches.turn.saturating_add(1);
        let mut sought: Vec<_> =
            open.inlets.iter().filter(|(_, inlet)| inlet.search.contains(&self.chain())).collect();
        let is_sought = |quote: &QuoteId| sought.iter().any(|(known, _)| known == quote);
        searches.all.retain(|quote, _| is_sought(quote));
        let rests = |search: &Search| search.failed.is_some_and(|at| now.since(at) < REST);
        sought.retain(|(quote, _)| !searches.all.get(quote).is_some_and(rests));
        sought.sort_by_key(|(quote, _)| searches.all.get(quote).map_or(0, |search| search.turn));
        for (quote, inlet) in sought.into_iter().take(SEARCHES_AT_ONCE) {
            let mut search = searches.all.remove(quote).unwrap_or_default();
            (search.turn, search.failed) = (searches.turn, None);
            let address = memory.addresses.get(quote).copied();
            match self.go_on(&mut search, (*quote, inlet, address), open, round).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, %quote, chain = %self.ports().chain.id, "the search for what came to a quote's address does not go on; it is tried again in a minute");
                    search.failed = Some(now);
                }
            }
            searches.all.insert(*quote, search);
        }
    }

    /// Goes on with one search. Says whether it has come to its end.
    async fn go_on(
        &self,
        search: &mut Search,
        (quote, inlet, address): (QuoteId, &InletRow, Option<Address>),
        open: &Open,
        round: &mut InletRound,
    ) -> Result<bool, RoundFault> {
        let Some(address) = address else { return self.end(quote).await };
        let mut left = match search.left.take() {
            Some(left) => left,
            None if self.has_got(quote, inlet, address).await? => {
                let node = self.ports().node.as_ref();
                let first = blocks::first_since(node, inlet.since, (0, open.head)).await?;
                // What comes later is seen with all others.
                blocks::Stretch::from(first, open.settled)
            }
            None => return self.end(quote).await,
        };
        let is_over = self.search_on(&mut left, address, open, round).await;
        search.left = Some(left);
        if is_over? { self.end(quote).await } else { Ok(false) }
    }

    async fn search_on(
        &self,
        left: &mut blocks::Stretch,
        address: Address,
        open: &Open,
        round: &mut InletRound,
    ) -> Result<bool, RoundFault> {
        for _ in 0..STRETCHES_AT_ONCE {
            let Some(blocks) = left.next() else { return Ok(true) };
            let found = self.look_through(left, std::slice::from_ref(&address), blocks).await?;
            let Some((found, _)) = found else { continue };
            for transaction in found {
                self.count(transaction, open, round).await?;
            }
            left.go_on();
        }
        Ok(left.next().is_none())
    }

    async fn end(&self, quote: QuoteId) -> Result<bool, RoundFault> {
        self.ports().execute.execute(Command::Searched(quote, self.chain())).await?;
        Ok(true)
    }

    /// Whether an address has got more than was counted. Many blocks are a long search, and most who ask have sent nothing.
    async fn has_got(&self, quote: QuoteId, inlet: &InletRow, address: Address) -> Result<bool, RoundFault> {
        for token in self.tokens() {
            let lies = units_of(self.ports(), token, address).await?;
            if lies > inlet.units(self.chain(), to_engine(token.address))
                || self.was_moved_on(quote, token, address).await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
