//! What a start-up does with payments that a crash left on hold: the upstream's success was not recorded, so each is
//! released. Those whose success was recorded are being settled on a chain, and only the chain's answer ends them.

use crate::{Command, PaymentId, PaymentRow, PaymentState, Release};

/// Whether a start gives a payment back that it finds on hold.
pub fn is_given_back(row: &PaymentRow) -> bool {
    row.state == PaymentState::Held
}

/// The command that gives a held payment back.
pub fn release_of(payment: PaymentId, row: &PaymentRow) -> Command {
    Command::Release(Release {
        payment,
        credits: row.credits.clone(),
        accounts: row.held.iter().map(|(account, _)| *account).collect(),
        asset: row.asset,
        channel: row.channel,
        marks: row.marks,
    })
}
