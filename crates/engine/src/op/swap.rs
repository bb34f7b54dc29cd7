//! Swaps credits for others of the same worth.

use farthing_ledger::{EntryKind, Transfer};

use super::Decision;
use crate::books::{Draft, input_sums, output_sums, total};
use crate::{Answer, Chart, Reject, Rows, Swap};

pub(crate) fn swap(rows: &mut Rows, command: &Swap) -> Decision {
    let Swap { inputs, outputs, fee, asset, tag } = command;
    if super::is_repetition(rows, inputs, *tag)? {
        return Ok((Answer::Done, None));
    }
    let epoch = super::epoch(rows)?;
    super::check_inputs(rows, inputs)?;
    super::check_outputs(rows, outputs)?;
    let (spent, signed) = (input_sums(inputs)?, output_sums(outputs)?);
    let (came, goes) = (total(&spent)?, total(&signed)?);
    if goes.checked_add(*fee) != Some(came) {
        return Err(Reject::Unbalanced { inputs: came, outputs: goes, fee: *fee });
    }
    let chart = Chart::of(*asset);
    let mut draft = Draft::new(EntryKind::Swap, None);
    for (account, amount) in spent {
        draft.push(Transfer::post(account, chart.clearing, amount));
    }
    for (account, amount) in signed {
        draft.push(Transfer::post(chart.clearing, account, amount));
    }
    draft.push(Transfer::post(chart.clearing, chart.fees, *fee));
    let entry = draft.apply(rows)?;
    super::spend(rows, inputs, *tag, epoch);
    super::sign(rows, outputs, epoch);
    Ok((Answer::Done, Some(entry)))
}
