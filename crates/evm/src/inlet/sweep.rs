//! Moves on what lies at inlets, to the account that payers pay: by an authorisation of EIP-3009 that the inlet's own key signs
//! and a call of the outbox carries. So no inlet needs coin for gas.

use farthing_channel::{Authorization, Word, call};
use farthing_engine::{
    Call, CallId, Command, EndSweep, Holding, InletRow, Movement, Outcome, QuoteId, Refusal, Sweep,
};
use farthing_money::Span;

use super::{InletRound, InletWatcher, Memory, mark};
use crate::chain::{of_engine, to_engine};
use crate::submit::{Ports, RoundFault};

/// How long such a call may wait for a cheaper block. Not longer than what is waited after one has failed: until another
/// authorization is signed, nobody can carry that of the failed one any more.
const TIME: Span = Span::from_secs(3600);
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
            if let Some(command) = self.worth_it(quote, &inlet) {
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
    fn worth_it(&self, quote: QuoteId, inlet: &InletRow) -> Option<Sweep> {
        let worth = |held: &&Holding| {
            let taken = self.tokens.iter().find(|taken| to_engine(taken.token) == held.token);
            held.chain == self.chain() && taken.is_some_and(|taken| held.units >= taken.sweep_least)
        };
        let held = inlet.holds.iter().find(worth)?;
        self.sweep_of(quote, inlet, held)
    }

    fn sweep_of(&self, quote: QuoteId, inlet: &InletRow, held: &Holding) -> Option<Sweep> {
        let Ports { chain, clock, .. } = self.ports();
        let token = chain.token(of_engine(held.token))?;
        let key = (self.keys)(quote)?;
        // Each try has a number of its own, and so has its authorisation.
        let (number, tried) = (held.chain.to_be_bytes(), inlet.sweeps.to_be_bytes());
        let parts = [&number[..], held.token.as_bytes(), quote.as_bytes(), &tried[..]];
        let id = CallId::of_parts("farthing/sweep/1", parts);
        let until = clock().after(TIME);
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
        Some(Sweep {
            quote,
            id,
            call: Call { chain: held.chain, to: held.token, input, moves, until, approval: None },
        })
    }
}
