//! Writes down what a held payment has come to. No money moves: the row says what a start charges if there is no other end.

use farthing_money::Amount;

use super::Decision;
use super::melt::change_outputs;
use crate::books::{output_sums, total};
use crate::{Answer, Meter, PaymentRow, PaymentState, Reject, Rows};

pub(crate) fn meter(rows: &mut Rows, command: &Meter) -> Decision {
    let Meter { payment, charged, change } = command;
    if let Some(row) = rows.payments.get(payment)? {
        return Ok((Answer::Posted(Box::new(row.clone())), None));
    }
    let row = rows.held.get(payment)?.filter(|row| row.state == PaymentState::Held);
    let row = row.ok_or(Reject::PaymentNotHeld(*payment))?.clone();
    if *charged <= row.charged {
        // It never falls; what comes late is known already.
        return Ok((Answer::Held(Box::new(row)), None));
    }
    if row.credits.is_empty() && row.channel.is_none() {
        // What a chain has to move is charged by its call alone.
        return Err(Reject::NotOnChain(*payment));
    }
    if row.channel.is_none() {
        super::check_outputs(rows, change)?;
        let held = Amount::try_sum(row.held.iter().map(|(_, amount)| *amount));
        let held = held.ok_or(Reject::AmountOverflow)?;
        let back = total(&output_sums(change)?)?;
        if charged.checked_add(back) != Some(held) {
            return Err(Reject::Unbalanced { inputs: held, outputs: back, fee: *charged });
        }
    }
    let row = PaymentRow { charged: *charged, change: change_outputs(change), ..row };
    rows.held.put(*payment, row.clone());
    Ok((Answer::Held(Box::new(row)), None))
}
