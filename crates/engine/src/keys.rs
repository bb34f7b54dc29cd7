//! Names the rows that commands touch, a few at a time: what goes together is loaded together.

use farthing_money::Asset;

use crate::{CallId, Chart, Input, Keys, Marks, Output, PaymentId, QuoteId, SettledPayment, UseId};

impl Keys {
    pub(crate) fn spent(&mut self, inputs: &[Input]) {
        self.credits.extend(inputs.iter().map(|input| input.credit));
        self.accounts.extend(inputs.iter().map(|input| input.account));
    }

    pub(crate) fn signed(&mut self, outputs: &[Output]) {
        self.outputs.extend(outputs.iter().map(|output| output.output));
        self.accounts.extend(outputs.iter().map(|output| output.account));
    }

    pub(crate) fn inlet(&mut self, quote: QuoteId) {
        self.mint_quotes.push(quote);
        self.inlets.push(quote);
    }

    pub(crate) fn call(&mut self, call: CallId) {
        self.calls.push(call);
        self.settlements.push(call);
        self.watched.push(call);
    }

    pub(crate) fn settled(&mut self, payment: Option<&SettledPayment>) {
        let Some(named) = payment else { return };
        let SettledPayment { payment, accounts, merchant, asset, credits, change, quote, marks } = named;
        self.payment(*payment);
        self.marks(*payment, marks);
        self.accounts.extend(accounts);
        merchant.keys(self);
        self.chart(*asset);
        self.credits.extend(credits);
        self.outputs.extend(change);
        if let Some(quote) = quote {
            self.mint_quotes.push(*quote);
            self.melt_quotes.push(*quote);
            self.accounts.push(Chart::of(*asset).withdrawals);
        }
    }

    pub(crate) fn marks(&mut self, payment: PaymentId, marks: &Marks) {
        self.names.extend(marks.name);
        self.access.extend(marks.access);
        self.fares.extend(marks.fare.map(|share| share.fare));
        if let Some(terms) = marks.refund {
            self.refunds.push(payment);
            self.items.push(terms.item);
        }
        if let Some(extends) = marks.extends {
            self.payments.push(extends.payment);
            self.refunds.push(extends.payment);
        }
    }

    pub(crate) fn feature_use(&mut self, id: UseId) {
        self.open_uses.push(id);
        self.ended_uses.push(id);
    }

    pub(crate) fn payment(&mut self, payment: PaymentId) {
        self.held.push(payment);
        self.payments.push(payment);
    }

    /// Of the chart what a payment that is held, or charged by voucher, goes through. A name is a hash, and there are many payments.
    pub(crate) fn clearing(&mut self, asset: Asset) {
        self.accounts.push(Chart::clearing_of(asset));
    }

    pub(crate) fn chart(&mut self, asset: Asset) {
        self.accounts.extend(Chart::of(asset).shared());
    }
}
