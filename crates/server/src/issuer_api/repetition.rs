//! The answer to a request that was carried out before (NUT-19), for when it can no longer be carried out: the keyset
//! that signed has retired or expired since, and the payer who never got the answer would lose the money.
//!
//! Nothing is signed here that was not signed before, and only for the very same inputs and outputs.

use farthing_ecash::{BlindSignature, BlindedMessage, Proof};
use farthing_engine::{CreditId, CreditRow, MeltQuoteRow, MintQuoteRow, RequestTag};

use super::prepare::tag;
use super::{Issuer, IssuerError};

/// The names of credits, whether or not they are ours.
pub(super) fn credit_ids(inputs: &[Proof]) -> Vec<CreditId> {
    inputs.iter().map(|input| CreditId::from_bytes(input.y().to_bytes())).collect()
}

/// Whether this request minted all of these quotes.
pub(super) fn minted(rows: &[&MintQuoteRow], tag: RequestTag) -> bool {
    !rows.is_empty() && rows.iter().all(|row| row.tag == Some(tag))
}

/// Whether these inputs and blank outputs paid this melt quote.
pub(super) fn melted(row: &MeltQuoteRow, quote: &[u8], inputs: &[Proof], blanks: &[BlindedMessage]) -> bool {
    row.paid.as_ref().is_some_and(|(by, _)| *by == tag("melt", quote, &credit_ids(inputs), blanks))
}

impl Issuer {
    /// The signatures of a swap that was carried out; otherwise the refusal stands.
    pub(super) async fn swapped_before(
        &self,
        inputs: &[Proof],
        outputs: Vec<BlindedMessage>,
        refused: IssuerError,
    ) -> Result<Vec<BlindSignature>, IssuerError> {
        let credits = credit_ids(inputs);
        let this = tag("swap", &[], &credits, &outputs);
        let rows = self.read.credits(&credits)?;
        let is_spent =
            |row: &Option<CreditRow>| matches!(row, Some(CreditRow::Spent { tag, .. }) if *tag == this);
        if !rows.iter().all(is_spent) {
            return Err(refused);
        }
        self.signatures_again(outputs).await
    }

    /// The signatures of outputs that were all signed.
    pub(super) async fn signatures_again(
        &self,
        outputs: Vec<BlindedMessage>,
    ) -> Result<Vec<BlindSignature>, IssuerError> {
        let asked = outputs.len();
        let pairs = self.signed_before(outputs).await?;
        if pairs.len() != asked {
            return Err(IssuerError::internal("signatures that were given are missing from the books"));
        }
        Ok(pairs.into_iter().map(|(_, signature)| signature).collect())
    }
}
