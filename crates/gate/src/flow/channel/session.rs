//! The same channels in MPP: a challenge of the intent `session` carries x402's offer, and a credential what x402 would send for it.

use std::borrow::Cow;

use farthing_channel::BATCH_ESCROW;
use farthing_engine::{PaymentId, PaymentRow};
use farthing_money::Timestamp;
use farthing_wire::Credential;
use farthing_wire::mpp::{self, session};
use farthing_wire::x402::batch::SCHEME_BATCH;
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::{Payload, Requirements, SettleResponse};

use super::{ChannelPayment, Shared};
use crate::flow::quote::Quote;
use crate::flow::refusal::Refused;

impl Shared {
    /// What a credential pays, as x402 says it; and why it makes no new payment, if so: its challenge is over.
    pub(super) fn in_words_of_x402<'a>(
        &self,
        quote: &Quote,
        credential: &'a Credential,
        digest: Option<&str>,
    ) -> Result<(Cow<'a, Payload>, Option<Refused>), Refused> {
        match credential {
            Credential::X402(payload) => Ok((Cow::Borrowed(payload), None)),
            Credential::Session { challenge, payload } => {
                let over = self.challenge_of(quote, challenge, digest, (self.config.clock)())?;
                let request = session::Request::of(challenge).map_err(|_| Refused::ChallengeElsewhere)?;
                Ok((Cow::Owned(request.payment(payload.clone())), over.map(Refused::Challenge)))
            }
            other => Err(other.not_offered().into()),
        }
    }

    /// The challenge of a session, if channels are offered; where one stands is in it, if its offer says so.
    pub(in crate::flow) fn session_challenge(
        &self,
        quote: &Quote,
        offers: &[Requirements],
        digest: Option<String>,
        now: Timestamp,
    ) -> Option<String> {
        let offer = offers.iter().find(|offer| offer.scheme == SCHEME_BATCH)?;
        let request = session::Request::of_offer(offer.clone(), HexText(*BATCH_ESCROW.as_bytes()))?;
        let method = (mpp::METHOD_EVM, mpp::INTENT_SESSION);
        self.issue(quote, method, &request.to_json().ok()?, digest, now).ok()?.to_header().ok()
    }

    /// MPP's receipt of a payment through a channel.
    pub(in crate::flow) fn session_receipt(
        &self,
        payment: PaymentId,
        row: &PaymentRow,
        (paid, fresh): (&ChannelPayment, bool),
    ) -> Option<String> {
        let response = self.channel_response(paid, row.asset.money(row.charged), fresh)?;
        receipt_of(payment, row.at, &response)
    }
}

/// MPP's receipt of what x402 would be told.
pub(super) fn receipt_of(payment: PaymentId, at: Timestamp, response: &SettleResponse) -> Option<String> {
    let answer = serde_json::to_value(response).ok()?;
    session::receipt(payment.to_string(), at, answer).encode().ok()
}
