//! The rows that are touched when a payment goes back, wholly or in part.

use super::Command;
use crate::{CallId, Chart, Keys, Marks, Payees, PaymentId, Refund, RefundTies, refund};

impl Command {
    /// The keys of what goes back.
    pub(super) fn refund_keys(&self, keys: &mut Keys) {
        let Self::Refund(command) = self else { return };
        match command {
            Refund::Take(command) => {
                keys.refunded((command.payment, command.marks), &command.merchant, command.ties);
                keys.accounts.extend(refund::accounts(&Chart::of(command.asset)));
                keys.signed(&command.outputs);
                keys.quotas.extend(command.by.map(|(by, _)| by));
            }
            Refund::Grant(command) => {
                keys.refunded((command.payment, command.marks), &command.merchant, command.ties);
                keys.accounts.extend(refund::accounts(&Chart::of(command.asset)));
                keys.codes.extend(command.code);
            }
        }
    }
}

impl Keys {
    fn refunded(&mut self, (payment, marks): (PaymentId, Marks), merchant: &Payees, ties: RefundTies) {
        self.payment(payment);
        self.marks(payment, &marks);
        self.refunds.push(payment);
        self.bundles.push(payment);
        self.refunds.extend(ties.extends);
        self.fares.extend(ties.fare);
        merchant.keys(self);
        // What a chain may still take back is not given back.
        self.call(CallId::of_payment(payment));
    }
}
