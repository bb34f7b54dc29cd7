//! `POST /v1/melt/{method}` (NUT-05, NUT-08): credits for money elsewhere, with change.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use farthing_ecash::{BlindedMessage, Proof};
use farthing_engine::{Answer, Command, Input, Melt, Output, Reject, RequestTag};
use farthing_money::{Amount, Asset};

use super::extract::{Content, Named};
use super::prepare::{sum, tag, within_limits};
use super::quote::{EVM, Melting};
use super::{Issuer, IssuerError, body, repetition, withdrawal};

pub(super) async fn melt(
    State(issuer): State<Arc<Issuer>>,
    Named(method): Named<String>,
    Content(body): Content,
) -> Result<Response, IssuerError> {
    let request: body::MeltRequest = body::read(&body)?;
    within_limits("inputs", request.inputs.len())?;
    let blanks = request.outputs.unwrap_or_default();
    if !blanks.is_empty() {
        within_limits("outputs", blanks.len())?;
    }
    let method = issuer.method(&method)?;
    let melting = issuer.read_melt_quote(method, &request.quote)?;
    if melting.row.paid.is_some()
        && repetition::melted(&melting.row, melting.id.as_bytes(), &request.inputs, &blanks)
    {
        let found = (melting.text.as_str(), melting.id);
        return body::write(&issuer.melt_with_change(found, &melting.row).await?);
    }
    if method == EVM {
        let paying = withdrawal::Paying { melting, inputs: request.inputs, blanks };
        return body::write(&issuer.withdraw(paying, request.prefer_async).await?);
    }
    let spending = issuer.spend(&melting, request.inputs, blanks).await?;
    let Melting { text, id, row, terms } = melting;
    let command = Melt {
        quote: id,
        terms: terms.map(Box::new),
        tag: spending.tag,
        inputs: spending.inputs,
        change: spending.change,
        fee: spending.fee,
        asset: spending.asset,
        target: row.target,
        code: row.code,
    };
    let answer = issuer.execute.execute(Command::Melt(command)).await?;
    let Answer::MeltQuote(_, row) = answer else {
        return Err(IssuerError::internal("a melt quote was expected of the engine"));
    };
    body::write(&issuer.melt_with_change((&text, id), &row).await?)
}

/// Credits for a melt quote, verified, and the change that they give.
pub(super) struct Spending {
    pub(super) inputs: Vec<Input>,
    pub(super) change: Vec<Output>,
    pub(super) fee: Amount,
    pub(super) asset: Asset,
    pub(super) tag: RequestTag,
}

impl Issuer {
    /// Verifies the credits for a melt quote and signs their change.
    pub(super) async fn spend(
        self: &Arc<Self>,
        melting: &Melting,
        inputs: Vec<Proof>,
        blanks: Vec<BlindedMessage>,
    ) -> Result<Spending, IssuerError> {
        let (id, row) = (melting.id, &melting.row);
        let fee = self.keyring().fee(&inputs)?;
        let came = sum(inputs.iter().map(|proof| proof.amount))?;
        let needed = Amount::try_sum([row.amount, row.fee, fee]).ok_or(Reject::AmountOverflow)?;
        let unbalanced = || {
            let fee = fee.checked_add(row.fee).unwrap_or(fee);
            Reject::Unbalanced { inputs: came, outputs: row.amount, fee }
        };
        let change = came.checked_sub(needed).ok_or_else(unbalanced)?;
        if blanks.is_empty() && !change.is_zero() {
            return Err(unbalanced().into());
        }
        // The locks may be signed over the blank outputs, so these are checked with the inputs; they are signed with their
        // amounts only now that the change is known.
        let verified = self.verify_with_blanks(inputs, blanks.clone(), melting.text.clone()).await?;
        let change = self.sign_blanks(blanks.clone(), change, verified.asset).await?;
        let credits: Vec<_> = verified.inputs.iter().map(|input| input.credit).collect();
        let tag = tag("melt", id.as_bytes(), &credits, &blanks);
        Ok(Spending { inputs: verified.inputs, change, fee, asset: verified.asset, tag })
    }

    async fn sign_blanks(
        self: &Arc<Self>,
        blanks: Vec<BlindedMessage>,
        change: Amount,
        asset: Asset,
    ) -> Result<Vec<Output>, IssuerError> {
        let (keyring, now) = (self.keyring(), self.now());
        let work = move || keyring.sign_change(&blanks, change, asset, now);
        let signed = self.crypto.run(64, work).await;
        let signed = signed??;
        Ok(signed.into_iter().map(|signed| signed.output).collect())
    }
}
