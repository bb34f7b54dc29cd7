//! Pays a melt quote with credits.

use farthing_ledger::{EntryKind, Transfer};
use farthing_money::{Amount, Timestamp};

use super::Decision;
use crate::books::{Draft, input_sums, output_sums, total};
use crate::{Answer, ChangeOutput, Chart, CodeRow, CodeState, Melt, MeltQuoteRow, Output, Reject, Rows};

pub(crate) fn melt(rows: &mut Rows, command: &Melt, now: Timestamp) -> Decision {
    let Melt { quote, terms, inputs, change, fee, asset, target, code, tag } = command;
    let known = rows.melt_quotes.get(quote)?.or(terms.as_deref());
    let row = known.ok_or(Reject::UnknownQuote(*quote))?.clone();
    if let Some((paid_by, _)) = &row.paid {
        return if paid_by == tag {
            Ok((Answer::MeltQuote(*quote, Box::new(row)), None))
        } else {
            Err(Reject::QuoteUsed(*quote))
        };
    }
    if row.expires_at <= now {
        return Err(Reject::QuoteExpired(*quote));
    }
    if row.asset != *asset {
        return Err(Reject::WrongAsset { expected: row.asset, got: *asset });
    }
    if row.target != *target || row.code != *code {
        return Err(Reject::NotLoaded);
    }
    if let Some(code) = code
        && rows.codes.get(code)?.is_some()
    {
        return Err(Reject::CodeExists(*code));
    }
    let epoch = super::epoch(rows)?;
    super::check_inputs(rows, inputs)?;
    super::check_outputs(rows, change)?;
    let (spent, signed) = (input_sums(inputs)?, output_sums(change)?);
    let (came, back) = (total(&spent)?, total(&signed)?);
    let out = Amount::try_sum([row.amount, back, *fee]).ok_or(Reject::AmountOverflow)?;
    if out != came {
        let outputs = row.amount.checked_add(back).ok_or(Reject::AmountOverflow)?;
        return Err(Reject::Unbalanced { inputs: came, outputs, fee: *fee });
    }
    let chart = Chart::of(*asset);
    let mut draft = Draft::new(EntryKind::Melt, None);
    for (account, amount) in spent {
        draft.push(Transfer::post(account, chart.clearing, amount));
    }
    draft.push(Transfer::post(chart.clearing, *target, row.amount));
    for (account, amount) in signed {
        draft.push(Transfer::post(chart.clearing, account, amount));
    }
    draft.push(Transfer::post(chart.clearing, chart.fees, *fee));
    let entry = draft.apply(rows)?;
    super::spend(rows, inputs, *tag, epoch);
    super::sign(rows, change, epoch);
    if let Some(code) = code {
        let funded = CodeRow {
            amount: row.amount,
            asset: *asset,
            state: CodeState::Unused,
            created_at: now.hour(),
            expires_at: None,
        };
        rows.codes.put(*code, funded);
    }
    // As with an issue, the hour is enough.
    let expires_at = row.expires_at.hour();
    let paid = MeltQuoteRow { paid: Some((*tag, change_outputs(change))), expires_at, ..row };
    rows.melt_quotes.put(*quote, paid.clone());
    Ok((Answer::MeltQuote(*quote, Box::new(paid)), Some(entry)))
}

/// Outputs as a row keeps them.
pub(crate) fn change_outputs(outputs: &[Output]) -> Vec<ChangeOutput> {
    outputs.iter().map(|o| ChangeOutput { output: o.output, account: o.account, amount: o.amount }).collect()
}
