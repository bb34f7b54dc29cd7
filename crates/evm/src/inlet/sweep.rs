//! Moves on what lies at inlets, to the account that payers pay: by an authorisation of EIP-3009 that the inlet's own key signs
//! and a call of the outbox carries. So no inlet needs coin for gas.

use farthing_channel::{Address, Authorization, Word, call};
use farthing_engine::{
    Call, CallId, Command, EndSweep, Fault, Holding, InletRow, Movement, Outcome, QuoteId, Refusal, Sweep,
};
use farthing_money::{Span, Timestamp};

use super::{InletRound, InletWatcher, Memory, mark};
use crate::authorized::{Authorized, Counter};
use crate::chain::{TokenConfig, of_engine, to_engine};
use crate::node::Trial;
use crate::submit::{Ports, RoundFault};

/// How long such a call may wait for a cheaper block. Until then nobody signs another one, though it has failed.
const TIME: Span = Span::from_secs(3600);
/// After a restore so many calls are asked about that the books do not know: those between may have failed.
const NAMES_AHEAD: usize = 4;
/// How long is waited after one has failed, as with a token that is paused.
const REST: Span = Span::from_secs(3600);

impl InletWatcher {
    /// Takes note of calls that have ended, and asks for new ones.
    pub(super) async fn sweep(&self, memory: &mut Memory, round: &mut InletRound) -> Result<(), RoundFault> {
        let Ports { read, execute, clock, .. } = self.ports();
        let now = clock();
        for (quote, inlet) in read.inlets()? {
            if let Some(call) = inlet.sweep {
                let Some(ended) = read.settlement(call)?.filter(|ended| ended.row.call.chain == self.chain())
                else {
                    continue;
                };
                let settled = matches!(ended.outcome, Outcome::Settled { .. });
                // As long as a fork may take it back, it may still lie here.
                if settled && read.watched()?.iter().any(|(watched, _)| *watched == call) {
                    continue;
                }
                if !settled {
                    tracing::warn!(%quote, outcome = ?ended.outcome, chain = %self.ports().chain.id, "what lies at a quote's address was not moved on; it is tried again in an hour");
                    memory.rested.insert(quote, now);
                }
                execute.execute(Command::EndSweep(EndSweep { quote, call })).await?;
                continue;
            }
            if memory.rested.get(&quote).is_some_and(|at| now.since(*at) < REST) {
                continue;
            }
            if let Some(command) = self.worth_it(quote, &inlet)? {
                match execute.execute(Command::Sweep(command)).await {
                    Ok(_) => round.swept = round.swept.saturating_add(1),
                    Err(Refusal::Reject(reject)) => {
                        tracing::error!(%reject, %quote, "what lies at a quote's address cannot be moved on");
                        memory.rested.insert(quote, now);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if round.swept > 0 {
            self.submitter.wake();
        }
        Ok(())
    }

    /// What moves on the first thing there that is worth its gas.
    fn worth_it(&self, quote: QuoteId, inlet: &InletRow) -> Result<Option<Sweep>, Fault> {
        let worth = |held: &&Holding| {
            let taken = self.tokens.iter().find(|taken| to_engine(taken.token) == held.token);
            held.chain == self.chain() && taken.is_some_and(|taken| held.units >= taken.sweep_least)
        };
        match inlet.holds.iter().find(worth) {
            Some(held) => self.sweep_of(quote, held),
            None => Ok(None),
        }
    }

    fn sweep_of(&self, quote: QuoteId, held: &Holding) -> Result<Option<Sweep>, Fault> {
        let Ports { chain, clock, .. } = self.ports();
        let (Some(token), Some(key)) = (chain.token(of_engine(held.token)), (self.keys)(quote)) else {
            return Ok(None);
        };
        let (names, now) = (self.names(quote, token)?, clock());
        // Of two authorizations both might be carried, and what came meanwhile moved on before it is counted.
        if names.failed_until.is_some_and(|until| until >= now) {
            return Ok(None);
        }
        let Some(id) = names.unknown.into_iter().next() else { return Ok(None) };
        let until = now.after(TIME);
        let authorization = Authorization {
            from: key.address(),
            to: chain.pay_to,
            value: Word::from(held.units),
            valid_after: Word::ZERO,
            valid_before: Word::from_seconds(until),
            nonce: mark::nonce(chain.id, token.address, key.address(), id),
        };
        let signature = key.sign(&authorization.transfer_digest(&token.domain(chain.id)));
        let moves = Movement {
            token: held.token,
            from: to_engine(key.address()),
            to: to_engine(chain.pay_to),
            units: held.units,
        };
        let input = call::transfer_with_authorization(&authorization, &signature);
        Ok(Some(Sweep {
            quote,
            id,
            call: Call { chain: held.chain, to: held.token, input, moves, until, approval: None },
        }))
    }

    /// Whether something was moved on from there that the books know nothing of, as after a restore: then it came there before.
    pub(super) async fn was_moved_on(
        &self,
        quote: QuoteId,
        token: &TokenConfig,
        address: Address,
    ) -> Result<bool, RoundFault> {
        let chain = self.ports().chain.id;
        for name in self.names(quote, token)?.unknown {
            let nonce = *mark::nonce(chain, token.address, address, name).as_bytes();
            let authorized = Authorized { counter: Counter::Token(token.address), payer: address, nonce };
            let trial = Trial { from: address, to: token.address, input: authorized.question() };
            let answer = self.ports().node.call(trial).await?;
            if authorized.is_used(&answer) == Some(true) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The names of calls that may be made next. Each try has a number of its own, counted from the first one on, so that they are
    /// known again though the books were restored, or the inlet forgotten meanwhile.
    fn names(&self, quote: QuoteId, token: &TokenConfig) -> Result<Names, Fault> {
        let (chain, contract) = (self.chain().to_be_bytes(), to_engine(token.address));
        let mut names = Names::default();
        for number in 0..u32::MAX {
            let number = number.to_be_bytes();
            let parts = [&chain[..], contract.as_bytes(), quote.as_bytes(), &number[..]];
            let id = CallId::of_parts("farthing/sweep/1", parts);
            let read = &self.ports().read;
            if let Some(ended) = read.settlement(id)? {
                let failed = matches!(ended.outcome, Outcome::Failed { .. });
                names.failed_until = names.failed_until.max(failed.then_some(ended.row.call.until));
            } else if read.call(id)?.is_none() {
                names.unknown.push(id);
            }
            if names.unknown.len() == NAMES_AHEAD {
                break;
            }
        }
        Ok(names)
    }
}

/// What the books say of the calls that move something on from one inlet.
#[derive(Default)]
struct Names {
    /// The first ones that they do not have.
    unknown: Vec<CallId>,
    /// Until when somebody may carry what one of those carried that have failed.
    failed_until: Option<Timestamp>,
}
