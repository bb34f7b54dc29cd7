//! Money on a chain for credits (NUT-05, method `evm`): a quote names a token and an address, the credits wait with the
//! transfer, and are spent when the chain says that it has moved the money. If it has not they are unspent again, and the
//! quote may be paid anew.

use std::sync::Arc;

use farthing_ecash::{BlindedMessage, Proof};
use farthing_engine::{Answer, CallId, Command, MeltQuoteRow, Mode, Outcome, PaymentId, Reject, Withdraw};
use farthing_gate::chain::Chains;
use farthing_money::{Amount, Asset};

use super::destination::{self, Place};
use super::prepare::tag;
use super::quote::{EVM, LIFETIME_LEAST, Melting, random_bytes, shown_melt};
use super::repetition::credit_ids;
use super::{Issuer, IssuerError, body, terms};

/// The stable code of what chains do not pay out.
const REFUSED: &str = "withdrawal-refused";

/// A melt quote and what is to pay it.
pub(super) struct Paying {
    pub(super) melting: Melting,
    pub(super) inputs: Vec<Proof>,
    pub(super) blanks: Vec<BlindedMessage>,
}

impl Issuer {
    /// A new quote. Nothing is written down.
    pub(super) fn open_withdrawal(
        &self,
        asset: Asset,
        request: &body::MeltQuoteRequest,
    ) -> Result<body::MeltQuote, IssuerError> {
        if self.read.books()?.mode == Mode::Paused {
            return Err(Reject::Paused.into());
        }
        let terms = self.evm_terms(asset)?;
        let amount = request.amount.or_else(|| request.options.as_ref()?.amount);
        let amount = amount.filter(|amount| *amount > 0).ok_or_else(|| {
            IssuerError::malformed("method \"evm\" needs the member \"amount\": a whole number above zero")
        })?;
        let amount = Amount::from(amount);
        if !terms.withdrawal.hold(amount) {
            return Err(IssuerError::out_of_bounds(amount, &terms.withdrawal));
        }
        let wanted = destination::read(&request.request)?;
        let withdrawal = self.chains()?.withdrawal(asset.money(amount), &wanted);
        let withdrawal = withdrawal.map_err(|refusal| IssuerError::of_chain(&refusal, REFUSED))?;
        let place = Place::of(&withdrawal);
        let row = MeltQuoteRow {
            method: EVM.to_owned(),
            request: destination::write(&place),
            asset,
            amount,
            fee: terms.withdrawal_fee,
            target: withdrawal.reserve,
            code: None,
            expires_at: self.now().after(self.quote_lifetime.max(LIFETIME_LEAST)),
            paid: None,
            failed: 0,
        };
        let text = terms::evm::seal_melt(&self.terms, &row, &place, random_bytes(self)?)
            .ok_or_else(|| IssuerError::internal("no quote can be made"))?;
        Ok(shown_melt(&text, &row, false, None))
    }

    fn chains(&self) -> Result<&Arc<dyn Chains>, IssuerError> {
        self.chains.as_ref().ok_or_else(|| IssuerError::unknown_method(EVM, &self.methods().join(", ")))
    }

    /// Pays a quote out, or joins what is under way. Nobody waits for the chain who does not want to.
    pub(super) async fn withdraw(
        self: &Arc<Self>,
        paying: Paying,
        prefer_async: bool,
    ) -> Result<body::MeltQuote, IssuerError> {
        let Melting { id, row, .. } = &paying.melting;
        let payment = PaymentId::of_withdrawal(*id, row.failed);
        let asked = tag("melt", id.as_bytes(), &credit_ids(&paying.inputs), &paying.blanks);
        let (id, text) = (*id, paying.melting.text.clone());
        match self.read.payment(payment)? {
            Some(held) if held.tag == asked => {}
            Some(_) => return Err(Reject::QuoteUnderWay(id).into()),
            None => self.begin(paying).await?,
        }
        if !prefer_async
            && let Some(Outcome::Failed { reason, .. }) =
                self.chains()?.ended(CallId::of_payment(payment)).await
        {
            return Err(IssuerError::withdrawal_failed(&reason));
        }
        let row = self.read_melt_quote(EVM, &text)?.row;
        self.melt_with_change((&text, id), &row).await
    }

    /// Sets the credits aside and asks for the transfer.
    async fn begin(self: &Arc<Self>, paying: Paying) -> Result<(), IssuerError> {
        let Paying { melting, inputs, blanks } = paying;
        let spending = self.spend(&melting, inputs, blanks).await?;
        let Melting { id, row, terms, .. } = melting;
        let place = destination::read(&row.request)?;
        let withdrawal = self.chains()?.withdrawal(row.asset.money(row.amount), &place);
        let withdrawal = withdrawal.map_err(|refusal| IssuerError::of_chain(&refusal, REFUSED))?;
        let command = Withdraw {
            quote: id,
            terms: terms.map(Box::new),
            failed: row.failed,
            inputs: spending.inputs,
            change: spending.change,
            fee: spending.fee,
            asset: spending.asset,
            target: withdrawal.reserve,
            call: withdrawal.call,
            tag: spending.tag,
        };
        match self.execute.execute(Command::Withdraw(command)).await? {
            Answer::Settling(_) | Answer::MeltQuote(..) => Ok(()),
            _ => Err(IssuerError::internal("a withdrawal was expected of the engine")),
        }
    }
}
