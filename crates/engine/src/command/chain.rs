//! What goes to a chain and comes back.

use super::Command;
use crate::payout::PayoutId;
use crate::{CallId, ChannelStep, Chart, Keys, PaymentId, SenderId};

impl Command {
    /// The keys of what happens to channels.
    pub(super) fn channel_keys(&self, keys: &mut Keys) {
        match self {
            Self::MakeChannelCall(command) => {
                keys.call(command.id);
                if let ChannelStep::Deposit(channel) | ChannelStep::Refund(channel) = command.step {
                    keys.channels.push(channel);
                }
            }
            Self::ChargeVoucher(command) => {
                keys.payment(command.payment);
                keys.marks(command.payment, &command.marks);
                keys.channels.push(command.channel);
                keys.accounts.extend(command.accounts.ids());
                command.merchant.keys(keys);
                keys.clearing(command.asset);
            }
            Self::SeeChannel(command) => {
                keys.channels.push(command.channel);
                keys.accounts.extend(command.accounts.ids());
                keys.chart(command.asset);
            }
            Self::SeeReceiver(command) => {
                keys.receivers.push(command.receiver);
                keys.accounts.extend(command.accounts.ids());
            }
            _ => {}
        }
    }

    /// The keys of what goes to a chain and comes back.
    pub(super) fn call_keys(&self, keys: &mut Keys) {
        match self {
            Self::Settle(command) => {
                keys.payment(command.payment);
                keys.call(CallId::of_payment(command.payment));
                keys.marks(command.payment, &command.marks);
                keys.accounts.extend(&command.accounts);
                command.merchant.keys(keys);
                keys.chart(command.asset);
            }
            Self::Authorize(command) => command.keys(keys),
            Self::Capture(command) => command.keys(keys),
            Self::Void(command) => command.keys(keys),
            Self::Deposit(command) => {
                keys.mint_quotes.push(command.quote);
                keys.payment(command.payment);
                keys.call(CallId::of_payment(command.payment));
                keys.accounts.extend([command.reserve, Chart::of(command.asset).deposits]);
                keys.chart(command.asset);
            }
            Self::Withdraw(command) => {
                let payment = PaymentId::of_withdrawal(command.quote, command.failed);
                keys.melt_quotes.push(command.quote);
                keys.payment(payment);
                keys.call(CallId::of_payment(payment));
                keys.spent(&command.inputs);
                keys.signed(&command.change);
                keys.accounts.push(command.target);
                keys.chart(command.asset);
            }
            Self::Facilitate(command) => keys.call(command.id),
            Self::Fund(command) => {
                keys.call(command.id);
                keys.call(command.of);
            }
            Self::SendCall(command) => {
                keys.call(command.call);
                keys.numbers.push(SenderId::of(command.chain, command.slot.0));
            }
            Self::Delivered(call) => keys.call(*call),
            Self::Unwatch(calls) => {
                keys.watched.extend(calls);
                let payments = || calls.iter().map(|call| call.if_of_payment());
                keys.payments.extend(payments());
                keys.refunds.extend(payments());
            }
            Self::EndCall(command) => {
                keys.call(command.call);
                // If it pays a merchant, it has its payout's name.
                keys.payouts.push(PayoutId::of_call(command.call));
                keys.moved.extend(command.outcome.log());
                keys.settled(command.payment.as_ref());
                command.back_keys(keys);
                let gas = command.gas.as_ref().map(|gas| [gas.accounts.purse, gas.accounts.spent]);
                keys.accounts.extend(gas.into_iter().flatten());
            }
            Self::ReopenCall(command) => {
                keys.call(command.call);
                keys.payouts.push(PayoutId::of_call(command.call));
                keys.settled(command.payment.as_ref());
            }
            Self::BookGas(command) => {
                keys.call(command.call);
                keys.accounts.extend([command.gas.accounts.purse, command.gas.accounts.spent]);
            }
            _ => {}
        }
    }
}
