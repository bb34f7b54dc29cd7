//! `exact` by Permit2: for tokens that look at no signatures themselves. x402's proxy moves the whole amount.

use farthing_channel::Permit2Transfer;
use farthing_channel::permit2::ExactWitness;
use farthing_wire::x402::{Payload, Permit2, Reason, Requirements, SCHEME_EXACT};

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
    if payload.accepted.scheme != SCHEME_EXACT {
        return Err(Reason::UnsupportedPayloadType);
    }
    let ours = requirements.chain_id() == Some(chain.id.number());
    if payload.accepted.network != requirements.network || !ours {
        return Err(Reason::NetworkMismatch);
    }
    let signed = &paid.permit2_authorization;
    let transfer = Permit2Transfer {
        token: of_text(signed.permitted.token),
        amount: word(&signed.permitted.amount),
        spender: of_text(signed.spender),
        nonce: word(&signed.nonce),
        deadline: word(&signed.deadline),
        witness: ExactWitness {
            to: of_text(signed.witness.to),
            valid_after: word(&signed.witness.valid_after),
        },
    };
    Terms::read(chain, requirements, payload, paid, Transfer::Exact(transfer))
}
