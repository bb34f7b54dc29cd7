//! `POST /v1/melt/{method}` (NUT-05, NUT-08): credits for money elsewhere, with change.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use farthing_engine::{Answer, Command, Melt, Output, Reject};
use farthing_money::Amount;

use super::extract::{Content, Named};
use super::prepare::{sum, tag, within_limits};
use super::quote::Melting;
use super::{Issuer, IssuerError, body, repetition};

pub(super) async fn melt(
    State(issuer): State<Arc<Issuer>>,
    Named(method): Named<String>,
    Content(body): Content,
) -> Result<Response, IssuerError> {
    let body::MeltRequest { quote, inputs, outputs } = body::read(&body)?;
    within_limits("inputs", inputs.len())?;
    let blanks = outputs.unwrap_or_default();
    if !blanks.is_empty() {
        within_limits("outputs", blanks.len())?;
    }
    let Melting { text, id, row, terms } = issuer.read_melt_quote(issuer.method(&method)?, &quote)?;
    if row.paid.is_some() && repetition::melted(&row, id.as_bytes(), &inputs, &blanks) {
        return body::write(&issuer.melt_with_change(&text, &row).await?);
    }
    let fee = issuer.keyring().fee(&inputs)?;
    let came = sum(inputs.iter().map(|proof| proof.amount))?;
    let needed = row.amount.checked_add(fee).ok_or(Reject::AmountOverflow)?;
    let change =
        came.checked_sub(needed).ok_or(Reject::Unbalanced { inputs: came, outputs: row.amount, fee })?;
    if blanks.is_empty() && !change.is_zero() {
        return Err(Reject::Unbalanced { inputs: came, outputs: row.amount, fee }.into());
    }
    let asked = blanks.clone();
    // The locks may be signed over the blank outputs, so these are checked with the inputs; they are signed with their
    // amounts only now that the change is known.
    let verified = issuer.verify_with_blanks(inputs, blanks.clone(), quote).await?;
    let signed = issuer.sign_blanks(blanks, change, verified.asset).await?;
    let credits: Vec<_> = verified.inputs.iter().map(|input| input.credit).collect();
    let command = Melt {
        quote: id,
        terms: terms.map(Box::new),
        tag: tag("melt", id.as_bytes(), &credits, &asked),
        inputs: verified.inputs,
        change: signed,
        fee,
        asset: verified.asset,
        target: row.target,
        code: row.code,
    };
    let answer = issuer.execute.execute(Command::Melt(command)).await?;
    let Answer::MeltQuote(_, row) = answer else {
        return Err(IssuerError::internal("a melt quote was expected of the engine"));
    };
    body::write(&issuer.melt_with_change(&text, &row).await?)
}

impl Issuer {
    async fn sign_blanks(
        self: &Arc<Self>,
        blanks: Vec<farthing_ecash::BlindedMessage>,
        change: Amount,
        asset: farthing_money::Asset,
    ) -> Result<Vec<Output>, IssuerError> {
        let (keyring, now) = (self.keyring(), self.now());
        let work = move || keyring.sign_change(&blanks, change, asset, now);
        let signed = self.crypto.run(64, work).await;
        let signed = signed??;
        Ok(signed.into_iter().map(|signed| signed.output).collect())
    }
}
