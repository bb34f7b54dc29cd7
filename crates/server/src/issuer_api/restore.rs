//! `POST /v1/restore` (NUT-09): signatures that were given, given again.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use farthing_ecash::{BlindSignature, BlindedMessage};
use farthing_engine::OutputId;
use rayon::prelude::*;

use super::extract::Content;
use super::{Issuer, IssuerError, MAX_ITEMS, body};

pub(super) async fn restore(
    State(issuer): State<Arc<Issuer>>,
    Content(body): Content,
) -> Result<Response, IssuerError> {
    let body::RestoreRequest { outputs } = body::read(&body)?;
    if outputs.len() > MAX_ITEMS {
        return Err(IssuerError::too_many("outputs", outputs.len(), MAX_ITEMS));
    }
    let pairs = issuer.signed_before(outputs).await?;
    let (outputs, signatures) = pairs
        .into_iter()
        .map(|(output, signature)| {
            (BlindedMessage { amount: signature.amount, id: signature.id, ..output }, signature)
        })
        .unzip();
    body::write(&body::Restored { outputs, signatures })
}

impl Issuer {
    /// Those of the outputs that were signed, with their signatures made again.
    pub(super) async fn signed_before(
        &self,
        outputs: Vec<BlindedMessage>,
    ) -> Result<Vec<(BlindedMessage, BlindSignature)>, IssuerError> {
        let ids: Vec<OutputId> =
            outputs.iter().map(|output| OutputId::from_bytes(output.b_.to_bytes())).collect();
        let rows = self.read.outputs(&ids)?;
        let found: Vec<_> = outputs
            .into_iter()
            .zip(ids.into_iter().zip(rows))
            .filter_map(|(output, (id, row))| row.map(|row| (output, id, row)))
            .collect();
        let keyring = self.keyring();
        let multiplications = found.len() * 3;
        let again = move || -> Result<Vec<_>, _> {
            found
                .par_iter()
                .map(|(output, id, row)| keyring.sign_again(*id, row).map(|signature| (*output, signature)))
                .collect()
        };
        let pairs = self.crypto.run(multiplications, again).await;
        Ok(pairs??)
    }
}
