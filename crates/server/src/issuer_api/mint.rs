//! `POST /v1/mint/{method}` and `/batch` (NUT-04, NUT-20, NUT-29): credits for paid quotes.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use farthing_ecash::{BlindedMessage, PublicKey, quote_signature};
use farthing_engine::{Command, Issue, IssuePart, MintQuoteRow, QuoteId, Reject, RequestTag};
use farthing_money::{Amount, Timestamp};

use super::extract::{Content, Named};
use super::prepare::{tag, within_limits};
use super::quote::Minting;
use super::{Issuer, IssuerError, QUOTES_MOST, body, repetition};

pub(super) async fn mint(
    State(issuer): State<Arc<Issuer>>,
    Named(method): Named<String>,
    Content(body): Content,
) -> Result<Response, IssuerError> {
    let body::MintRequest { quote, outputs, signature } = body::read(&body)?;
    within_limits("outputs", outputs.len())?;
    let Minting { id, row, .. } = issuer.read_mint_quote(issuer.mint_method(&method)?, &quote)?;
    if let Some(key) = key_of(&row)? {
        quote_signature::verify(&quote, &outputs, key, signature.as_deref())?;
    }
    let amount = super::prepare::sum(outputs.iter().map(|output| output.amount))?;
    let tag = mint_tag([&id], &outputs);
    if repetition::minted(&[&row], tag) {
        return answer_again(&issuer, outputs).await;
    }
    check_paid(id, &row, amount, issuer.now())?;
    let part = IssuePart { quote: id, pubkey: row.pubkey, amount, source: row.source };
    issue(&issuer, vec![part], outputs, tag).await
}

pub(super) async fn mint_batch(
    State(issuer): State<Arc<Issuer>>,
    Named(method): Named<String>,
    Content(body): Content,
) -> Result<Response, IssuerError> {
    let request: body::BatchMintRequest = body::read(&body)?;
    within_limits("outputs", request.outputs.len())?;
    within_limits("quotes", request.quotes.len())?;
    if request.quotes.len() > QUOTES_MOST {
        return Err(IssuerError::too_many("quotes", request.quotes.len(), QUOTES_MOST));
    }
    let method = issuer.mint_method(&method)?;
    let found = |quote: &String| {
        let Minting { id, row, .. } = issuer.read_mint_quote(method, quote)?;
        Ok((id, row))
    };
    let rows: Vec<(QuoteId, MintQuoteRow)> =
        request.quotes.iter().map(found).collect::<Result<_, IssuerError>>()?;
    let keys: Vec<_> = rows.iter().map(|(_, row)| key_of(row)).collect::<Result<_, _>>()?;
    let locked: Vec<_> = request.quotes.iter().map(String::as_str).zip(keys).collect();
    quote_signature::verify_batch(&locked, &request.outputs, request.signatures.as_deref())?;
    if let Some(amounts) = &request.quote_amounts
        && amounts.len() != rows.len()
    {
        return Err(IssuerError::malformed(format!(
            "quote_amounts has {} members, quotes has {}; give one amount for each quote",
            amounts.len(),
            rows.len()
        )));
    }
    let tag = mint_tag(rows.iter().map(|(id, _)| id), &request.outputs);
    if repetition::minted(&rows.iter().map(|(_, row)| row).collect::<Vec<_>>(), tag) {
        return answer_again(&issuer, request.outputs).await;
    }
    for (quote, row) in &rows {
        check_paid(*quote, row, row.amount, issuer.now())?;
    }
    let part = |(n, (quote, row)): (usize, (QuoteId, MintQuoteRow))| {
        let named =
            request.quote_amounts.as_ref().and_then(|amounts| amounts.get(n)).copied().map(Amount::from);
        // Once issued, a quote has nothing left: a repetition asks for what it was paid with.
        let left = row.paid.checked_sub(row.issued).filter(|left| !left.is_zero()).unwrap_or(row.paid);
        IssuePart { quote, pubkey: row.pubkey, amount: named.unwrap_or(left), source: row.source }
    };
    let parts = rows.into_iter().enumerate().map(part).collect();
    issue(&issuer, parts, request.outputs, tag).await
}

/// Refuses quotes that nothing was paid for: they may be written down nowhere.
fn check_paid(quote: QuoteId, row: &MintQuoteRow, needed: Amount, now: Timestamp) -> Result<(), Reject> {
    if !row.paid.is_zero() {
        return Ok(());
    }
    if row.expires_at.is_some_and(|end| end <= now) {
        return Err(Reject::QuoteExpired(quote));
    }
    Err(Reject::QuoteNotPaid { quote, paid: Amount::ZERO, needed })
}

fn key_of(row: &MintQuoteRow) -> Result<Option<PublicKey>, IssuerError> {
    let key = row.pubkey.as_ref().map(|key| key.parse()).transpose();
    key.map_err(|_| IssuerError::internal("a quote's key cannot be read"))
}

fn mint_tag<'a>(quotes: impl IntoIterator<Item = &'a QuoteId>, outputs: &[BlindedMessage]) -> RequestTag {
    let quotes: Vec<u8> = quotes.into_iter().flat_map(|quote| *quote.as_bytes()).collect();
    tag("mint", &quotes, &[], outputs)
}

async fn answer_again(issuer: &Issuer, outputs: Vec<BlindedMessage>) -> Result<Response, IssuerError> {
    let signatures = issuer.signatures_again(outputs).await?;
    body::write(&body::Signatures { signatures })
}

async fn issue(
    issuer: &Arc<Issuer>,
    parts: Vec<IssuePart>,
    outputs: Vec<BlindedMessage>,
    tag: RequestTag,
) -> Result<Response, IssuerError> {
    let given = super::prepare::sum(outputs.iter().map(|output| output.amount))?;
    let drawn = Amount::try_sum(parts.iter().map(|part| part.amount)).ok_or(Reject::AmountOverflow)?;
    if given != drawn {
        return Err(Reject::Unbalanced { inputs: drawn, outputs: given, fee: Amount::ZERO }.into());
    }
    let prepared = issuer.prepare(Arc::default(), outputs).await?;
    let command = Issue { parts, outputs: prepared.outputs, asset: prepared.asset, tag };
    issuer.execute.execute(Command::Issue(command)).await?;
    body::write(&body::Signatures { signatures: prepared.signatures })
}
