//! `upto`: Permit2 with a ceiling. What was used is moved, and only by the facilitator that the payer has named.

use farthing_channel::Permit2Transfer;
use farthing_channel::permit2::UptoWitness;
use farthing_wire::x402::{Payload, Permit2, Reason, Requirements, SCHEME_UPTO};

use super::permit2::{Terms, Transfer};
use super::word;
use crate::chain::{ChainConfig, of_text};

/// Reads a payment; refuses what is for something else.
pub(super) fn read(
    chain: &ChainConfig,
    requirements: &Requirements,
    payload: &Payload,
    paid: &Permit2,
) -> Result<Terms, Reason> {
    let signed = &paid.permit2_authorization;
    let facilitator = signed.witness.facilitator.ok_or(Reason::UnsupportedPayloadType)?;
    if payload.accepted.scheme != SCHEME_UPTO {
        return Err(Reason::UptoInvalidScheme);
    }
    let ours = requirements.chain_id() == Some(chain.id.number());
    if payload.accepted.network != requirements.network || !ours {
        return Err(Reason::UptoNetworkMismatch);
    }
    let transfer = Permit2Transfer {
        token: of_text(signed.permitted.token),
        amount: word(&signed.permitted.amount),
        spender: of_text(signed.spender),
        nonce: word(&signed.nonce),
        deadline: word(&signed.deadline),
        witness: UptoWitness {
            to: of_text(signed.witness.to),
            facilitator: of_text(facilitator),
            valid_after: word(&signed.witness.valid_after),
        },
    };
    Terms::read(chain, requirements, payload, paid, Transfer::Upto(transfer))
}
