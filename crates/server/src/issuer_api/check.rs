//! `POST /v1/checkstate` (NUT-07): which credits are spent.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use farthing_ecash::PublicKey;
use farthing_engine::{CreditId, CreditRow};

use super::extract::Content;
use super::{Issuer, IssuerError, MAX_ITEMS, body};

pub(super) async fn check_state(
    State(issuer): State<Arc<Issuer>>,
    Content(body): Content,
) -> Result<Response, IssuerError> {
    let request: body::CheckRequest = body::read(&body)?;
    body::write(&body::States { states: issuer.states(&request.ys)? })
}

impl Issuer {
    /// The states of credits, in the order asked for.
    pub(super) fn states(&self, ys: &[String]) -> Result<Vec<body::ProofState>, IssuerError> {
        if ys.len() > MAX_ITEMS {
            return Err(IssuerError::too_many("Ys", ys.len(), MAX_ITEMS));
        }
        let ids: Vec<CreditId> = ys.iter().map(|y| credit_id(y)).collect::<Result<_, _>>()?;
        let rows = self.read.credits(&ids)?;
        Ok(ids.iter().zip(rows).map(|(id, row)| shown(*id, row.as_ref())).collect())
    }
}

fn credit_id(y: &str) -> Result<CreditId, IssuerError> {
    let point: PublicKey = y.parse().map_err(|error| IssuerError::malformed(format!("Ys: {error}")))?;
    Ok(CreditId::from_bytes(point.to_bytes()))
}

/// A credit's state as NUT-07 writes it.
pub(super) fn shown(id: CreditId, row: Option<&CreditRow>) -> body::ProofState {
    let (state, witness) = match row {
        None => ("UNSPENT", None),
        Some(CreditRow::Pending { witness, .. }) => ("PENDING", witness.clone()),
        Some(CreditRow::Spent { witness, .. }) => ("SPENT", witness.clone()),
    };
    body::ProofState { y: id.to_string(), state, witness }
}
