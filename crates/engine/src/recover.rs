//! What a start-up does with payments that a crash left on hold: the upstream's success was not recorded, so each is
//! released.

use crate::{Command, PaymentId, PaymentRow, Release};

/// The command that gives a held payment back.
pub fn release_of(payment: PaymentId, row: &PaymentRow) -> Command {
    Command::Release(Release {
        payment,
        credits: row.credits.clone(),
        accounts: row.held.iter().map(|(account, _)| *account).collect(),
        asset: row.asset,
    })
}
