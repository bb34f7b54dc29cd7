//! One file an operation. Each checks everything first, then changes rows; no branch returns after the first change.

pub(crate) mod bundle;
pub(crate) mod call;
pub(crate) mod channel;
pub(crate) mod code;
pub(crate) mod deposit;
pub(crate) mod entitlement;
pub(crate) mod entry;
pub(crate) mod escrow;
pub(crate) mod expire;
pub(crate) mod fare;
pub(crate) mod feature;
pub(crate) mod fold;
pub(crate) mod fund;
pub(crate) mod hold;
pub(crate) mod inlet;
pub(crate) mod issue;
pub(crate) mod mark;
pub(crate) mod melt;
pub(crate) mod meter;
pub(crate) mod open;
pub(crate) mod payout;
pub(crate) mod post;
pub(crate) mod quota;
pub(crate) mod quote;
pub(crate) mod rates;
pub(crate) mod refund;
pub(crate) mod release;
pub(crate) mod session;
pub(crate) mod standing;
pub(crate) mod swap;
pub(crate) mod trial;
pub(crate) mod voucher;
pub(crate) mod withdrawal;

use std::collections::BTreeSet;

use farthing_ledger::Entry;
use farthing_money::Timestamp;

use crate::{
    Answer, Command, CreditId, CreditRow, Input, Mode, Output, OutputId, OutputRow, Reject, RequestTag, Rows,
    Worth,
};

/// What an operation comes to.
pub(crate) type Decision = Result<(Answer, Option<Entry>), Reject>;

/// Goes on with a payment that is held: writes down what it has come to, charges it, or gives it back.
pub(crate) fn go_on(rows: &mut Rows, command: &Command, now: Timestamp) -> Decision {
    match command {
        Command::Meter(command) => meter::meter(rows, command),
        Command::Post(command) => post::post(rows, command, now),
        Command::Release(command) => release::release(rows, command),
        _ => Err(Reject::NotLoaded),
    }
}

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

/// The present epoch, unless the issuer is paused.
pub(crate) fn epoch(rows: &Rows) -> Result<u32, Reject> {
    let standing = rows.standing()?;
    if standing.mode == Mode::Paused { Err(Reject::Paused) } else { Ok(standing.epoch) }
}

/// Refuses what brings new money in, unless the issuer is open.
pub(crate) fn check_open(rows: &Rows) -> Result<(), Reject> {
    match rows.standing()?.mode {
        Mode::Open => Ok(()),
        Mode::Paused => Err(Reject::Paused),
        Mode::Sunset => Err(Reject::Sunset),
    }
}

impl Input {
    pub(crate) const fn worth(&self) -> Worth {
        Worth { account: self.account, amount: self.amount }
    }
}

/// Marks inputs spent.
pub(crate) fn spend(rows: &mut Rows, inputs: &[Input], tag: RequestTag, epoch: u32) {
    for input in inputs {
        let worth = Some(input.worth());
        let row = CreditRow::Spent { tag, witness: input.witness.clone(), worth, epoch };
        rows.credits.put(input.credit, row);
    }
}

/// Marks outputs signed.
pub(crate) fn sign(rows: &mut Rows, outputs: &[Output], epoch: u32) {
    for Output { output, account, amount } in outputs {
        rows.outputs.put(*output, OutputRow { account: *account, amount: *amount, epoch });
    }
}
