//! Coin for a payer who has none to pay the gas of his approval with. It is a call of its own, written down like any other, and
//! given once: whoever uses it for something else gets no more.

use farthing_money::Timestamp;

use super::{Decision, call};
use crate::{Answer, CallReject, Fund, Outcome, Purpose, Reject, Rows};

/// Puts the gift into the outbox, unless it was given or may have been. One that failed before there was a transaction of it
/// was not, nor one that failed by the transaction which the command says has given nothing.
pub(crate) fn fund(rows: &mut Rows, command: &Fund, now: Timestamp) -> Decision {
    let Fund { id, of, call, instead_of } = command;
    if let Some(row) = rows.calls.get(id)? {
        return Ok((Answer::Call(Box::new(row.clone())), None));
    }
    if let Some(ended) = rows.settlements.get(id)? {
        let given = match &ended.outcome {
            Outcome::Settled { .. } => true,
            Outcome::Failed { transaction: None, .. } => !ended.row.attempts.is_empty(),
            Outcome::Failed { transaction, .. } => transaction != instead_of,
        };
        if given {
            return Ok((Answer::Settled(Box::new(ended.clone())), None));
        }
    }
    if rows.calls.get(of)?.is_none() {
        return Err(Reject::Call(CallReject::Unknown(*of)));
    }
    let row = call::open(call.clone(), Purpose::Funding { of: *of }, now);
    call::begin(rows, *id, row.clone());
    Ok((Answer::Call(Box::new(row)), None))
}
