//! `POST /v1/swap` (NUT-03): credits for others of the same worth.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use farthing_engine::{Command, Reject, Swap};

use super::extract::Content;
use super::prepare::{sum, tag, within_limits};
use super::{Issuer, IssuerError, body};

pub(super) async fn swap(
    State(issuer): State<Arc<Issuer>>,
    Content(body): Content,
) -> Result<Response, IssuerError> {
    let body::SwapRequest { inputs, outputs } = body::read(&body)?;
    within_limits("inputs", inputs.len())?;
    within_limits("outputs", outputs.len())?;
    let fee = issuer.keyring().fee(&inputs)?;
    let (came, goes) = (sum(inputs.iter().map(|p| p.amount))?, sum(outputs.iter().map(|o| o.amount))?);
    if goes.checked_add(fee) != Some(came) {
        return Err(Reject::Unbalanced { inputs: came, outputs: goes, fee }.into());
    }
    let asked = outputs.clone();
    let inputs = Arc::new(inputs);
    let prepared = match issuer.prepare(Arc::clone(&inputs), outputs).await {
        Err(refused) if refused.is_of_old_keyset() => {
            let signatures = issuer.swapped_before(&inputs, asked, refused).await?;
            return body::write(&body::Signatures { signatures });
        }
        prepared => prepared?,
    };
    let command = Swap {
        tag: tag("swap", &[], &prepared.credits(), &asked),
        inputs: prepared.inputs,
        outputs: prepared.outputs,
        fee: prepared.fee,
        asset: prepared.asset,
    };
    issuer.execute.execute(Command::Swap(command)).await?;
    body::write(&body::Signatures { signatures: prepared.signatures })
}
