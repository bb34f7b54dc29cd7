//! One file an operation. Each checks everything first, then changes rows; no branch returns after the first change.

pub(crate) mod code;
pub(crate) mod hold;
pub(crate) mod issue;
pub(crate) mod melt;
pub(crate) mod open;
pub(crate) mod post;
pub(crate) mod quote;
pub(crate) mod release;
pub(crate) mod swap;

use std::collections::BTreeSet;

use farthing_ledger::Entry;

use crate::{Answer, CreditId, CreditRow, Input, Output, OutputId, OutputRow, Reject, RequestTag, Rows};

/// What an operation comes to.
pub(crate) type Decision = Result<(Answer, Option<Entry>), Reject>;

/// Refuses inputs that are given twice, pending or spent.
pub(crate) fn check_inputs(rows: &Rows, inputs: &[Input]) -> Result<(), Reject> {
    let mut seen = BTreeSet::<CreditId>::new();
    for input in inputs {
        if !seen.insert(input.credit) {
            return Err(Reject::DuplicateCredit(input.credit));
        }
        match rows.credits.get(&input.credit)? {
            None => {}
            Some(CreditRow::Pending { .. }) => return Err(Reject::CreditPending(input.credit)),
            Some(CreditRow::Spent { .. }) => return Err(Reject::CreditSpent(input.credit)),
        }
    }
    Ok(())
}

/// Refuses outputs that are given twice or were signed before.
pub(crate) fn check_outputs(rows: &Rows, outputs: &[Output]) -> Result<(), Reject> {
    let mut seen = BTreeSet::<OutputId>::new();
    for output in outputs {
        if !seen.insert(output.output) {
            return Err(Reject::DuplicateOutput(output.output));
        }
        if rows.outputs.get(&output.output)?.is_some() {
            return Err(Reject::OutputSigned(output.output));
        }
    }
    Ok(())
}

/// Whether this very request was carried out before: all its credits are spent by it.
pub(crate) fn is_repetition(rows: &Rows, inputs: &[Input], by: RequestTag) -> Result<bool, Reject> {
    for input in inputs {
        match rows.credits.get(&input.credit)? {
            Some(CreditRow::Spent { tag, .. }) if *tag == by => {}
            _ => return Ok(false),
        }
    }
    Ok(!inputs.is_empty())
}

/// Marks inputs spent.
pub(crate) fn spend(rows: &mut Rows, inputs: &[Input], tag: RequestTag) {
    for input in inputs {
        rows.credits.put(input.credit, CreditRow::Spent { tag, witness: input.witness.clone() });
    }
}

/// Marks outputs signed.
pub(crate) fn sign(rows: &mut Rows, outputs: &[Output]) {
    for output in outputs {
        rows.outputs.put(output.output, OutputRow { account: output.account, amount: output.amount });
    }
}
