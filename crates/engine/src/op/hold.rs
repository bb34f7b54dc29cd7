//! Sets what a credential pays with aside, so that the upstream may be asked.

use std::collections::BTreeMap;

use farthing_ledger::{EntryKind, Reference, Transfer};
use farthing_money::{Amount, Timestamp};

use super::Decision;
use crate::books::{Draft, input_sums, total};
use crate::{
    Answer, Chart, CreditRow, Funds, Hold, PaymentId, PaymentRow, PaymentState, RefundReject, Reject,
    RequestTag, Rows,
};

/// What became of this payment when it came before; nothing if it did not, or was given back.
pub(crate) fn before(
    rows: &Rows,
    payment: PaymentId,
    resource: &str,
    tag: RequestTag,
) -> Result<Option<Answer>, Reject> {
    if let Some(row) = rows.payments.get(&payment)? {
        return if row.resource == resource && row.tag == tag && row.is_refunded() {
            Err(RefundReject::Done.into())
        } else if row.resource == resource && row.tag == tag {
            Ok(Some(Answer::Posted(Box::new(row.clone()))))
        } else {
            Err(Reject::PaymentElsewhere(payment))
        };
    }
    match rows.held.get(&payment)? {
        Some(row) if row.state == PaymentState::Settling && row.resource == resource && row.tag == tag => {
            Ok(Some(Answer::Settling(Box::new(row.clone()))))
        }
        Some(_) => Err(Reject::PaymentUnderWay(payment)),
        None => Ok(None),
    }
}

pub(crate) fn hold(rows: &mut Rows, command: &Hold, now: Timestamp) -> Decision {
    let Hold { payment, funds, price, asset, merchant, resource, tag, tax_code, marks } = command;
    if let Some(answer) = before(rows, *payment, resource, *tag)? {
        return Ok((answer, None));
    }
    super::epoch(rows)?;
    super::mark::check(rows, *payment, marks, now)?;
    merchant.check(rows, *asset)?;
    let (price, marks) = &super::fare::due(rows, marks, (*price, *asset), funds, now)?;
    let mut channel = None;
    let (inputs, sums) = match funds {
        Funds::Credits(inputs) => {
            super::check_inputs(rows, inputs)?;
            (inputs.as_slice(), input_sums(inputs)?)
        }
        Funds::Chain { reserve, amount } => (&[][..], BTreeMap::from([(*reserve, *amount)])),
        Funds::Voucher(voucher) => {
            let (row, aside) = super::voucher::taken(rows, *payment, voucher, now)?;
            channel = Some((voucher.voucher.channel(), row));
            (&[][..], BTreeMap::from([aside]))
        }
    };
    let got = total(&sums)?;
    if got < *price || got.is_zero() {
        return Err(Reject::Insufficient { price: *price, got });
    }
    let clearing = Chart::clearing_of(*asset);
    let mut draft = Draft::new(EntryKind::Hold, Some(Reference::from_bytes(*payment.as_bytes())));
    for (account, amount) in &sums {
        draft.push(Transfer::hold(*account, clearing, *amount));
    }
    let entry = draft.apply(rows)?;
    for input in inputs {
        let (witness, worth) = (input.witness.clone(), Some(input.worth()));
        rows.credits.put(input.credit, CreditRow::Pending { payment: *payment, witness, worth });
    }
    let row = PaymentRow {
        state: PaymentState::Held,
        resource: resource.clone(),
        tag: *tag,
        asset: *asset,
        merchant: merchant.clone(),
        held: sums.into_iter().collect(),
        credits: inputs.iter().map(|input| input.credit).collect(),
        charged: Amount::ZERO,
        change: Vec::new(),
        at: now,
        pass_until: None,
        tax_code: *tax_code,
        channel: channel.as_ref().map(|(id, _)| *id),
        marks: *marks,
        back: Amount::ZERO,
    };
    if let Some((id, channel)) = channel {
        rows.channels.put(id, channel);
    }
    super::mark::name(rows, *payment, marks, now);
    super::fare::hold(rows, marks, *asset);
    rows.held.put(*payment, row.clone());
    Ok((Answer::Held(Box::new(row)), Some(entry)))
}
