//! What a start-up does with payments that a crash left on hold. The upstream's success was not recorded, so each is released,
//! but for what was metered: so much was used, and is charged. Those whose success was recorded are being settled on a chain, and
//! only the chain's answer ends them. Those behind a use of a feature wait for whoever uses it, across a start, until the use lapses.

use crate::{ChannelRow, ChargeVoucher, Command, Output, PaymentId, PaymentRow, PaymentState, Post, Release};

/// Whether a start ends a payment that it finds on hold.
pub fn is_given_back(row: &PaymentRow) -> bool {
    row.state == PaymentState::Held && row.marks.behind.is_none()
}

/// The command that ends a payment which a start finds on hold: it charges what was metered, or gives all back. The channel is
/// that of the row, if it has one.
pub fn end_of(payment: PaymentId, row: &PaymentRow, channel: Option<&ChannelRow>) -> Command {
    if row.charged.is_zero() {
        return release_of(payment, row);
    }
    match (channel, row.channel) {
        (Some(known), Some(channel)) => Command::ChargeVoucher(ChargeVoucher {
            payment,
            channel,
            accounts: known.accounts,
            merchant: row.merchant.clone(),
            asset: row.asset,
            charged: row.charged,
            pass_until: None,
            marks: row.marks,
        }),
        (None, None) if !row.credits.is_empty() => Command::Post(Post {
            payment,
            credits: row.credits.clone(),
            accounts: row.held.iter().map(|(account, _)| *account).collect(),
            merchant: row.merchant.clone(),
            asset: row.asset,
            charged: row.charged,
            change: row
                .change
                .iter()
                .map(|c| Output { output: c.output, account: c.account, amount: c.amount })
                .collect(),
            pass_until: None,
            marks: row.marks,
        }),
        _ => release_of(payment, row),
    }
}

/// The command that gives a held payment back.
pub fn release_of(payment: PaymentId, row: &PaymentRow) -> Command {
    Command::Release(release_of_row(payment, row))
}

/// What gives a held payment back.
pub(crate) fn release_of_row(payment: PaymentId, row: &PaymentRow) -> Release {
    Release {
        payment,
        credits: row.credits.clone(),
        accounts: row.held.iter().map(|(account, _)| *account).collect(),
        asset: row.asset,
        channel: row.channel,
        marks: row.marks,
    }
}
