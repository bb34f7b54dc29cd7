//! Who may hear where a channel stands: only whoever has signed for it. How much a payer spends is nobody else's to know.

use farthing_channel::{Address, ChainId, ChannelId, ChannelTerms, Digest, Signature, Voucher, batch_domain};
use farthing_wallet::HttpRequest;
use farthing_wire::header;
use farthing_wire::x402::batch::{ChannelAnswer, PayerPayload};
use farthing_wire::x402::{Payload, PaymentRequired, SettleResponse};
use http::Response;

use super::bookkeeper::{Broken, hold};
use super::chain;
use super::depositor::id_of;

const RULE: &str = "only who has signed for a channel hears where it stands";
/// The longest payment that is read.
const LIMIT: usize = 16 << 10;

/// Whether an answer tells more of a channel than whoever asks may hear.
pub fn check<T: AsRef<[u8]>>(asked: &HttpRequest, response: &Response<T>) -> Result<(), Broken> {
    let told = told(response);
    let body = String::from_utf8_lossy(response.body().as_ref());
    hold(told.is_some() || !body.contains("hargedCumulative"), RULE, || {
        "a body tells of a channel".to_owned()
    })?;
    let Some(told) = told else { return Ok(()) };
    let proven = proven(asked);
    hold(proven == Some(told), RULE, || format!("{told} is told to {proven:?} at {}", asked.url))
}

/// The channel that an answer tells of.
fn told<T>(response: &Response<T>) -> Option<ChannelId> {
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let required = text(header::PAYMENT_REQUIRED).and_then(|text| PaymentRequired::from_header(text).ok());
    let mut offers = required.iter().flat_map(|required| &required.accepts);
    let offered = offers.find_map(|offer| offer.extra.channel());
    let settled = text(header::PAYMENT_RESPONSE).and_then(|text| SettleResponse::from_header(text).ok());
    let answered = settled.as_ref().and_then(ChannelAnswer::of).and_then(|answer| answer.channel_state);
    offered.or(answered).map(|state| ChannelId::from_bytes(state.channel_id.0))
}

/// The channel for which a request shows a voucher of its signer.
fn proven(asked: &HttpRequest) -> Option<ChannelId> {
    let (_, text) =
        asked.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(header::PAYMENT_SIGNATURE))?;
    let paid = PayerPayload::read(&Payload::from_header(text, LIMIT).ok()?.payload).ok()?;
    let (terms, voucher) = (ChannelTerms::from_parts(paid.config().parts())?, paid.voucher());
    let id = id_of(&terms);
    let cumulative = voucher.max_claimable_amount.amount()?;
    let digest = Voucher { channel: id, cumulative }.batch_digest(&batch_domain(ChainId::new(chain::ID)));
    let signature = Signature::from_bytes(voucher.signature.as_bytes()).ok()?;
    let signer = terms.voucher_signer().unwrap_or(terms.payer);
    (voucher.channel_id.0 == *id.as_bytes() && is_by(signature, signer, &digest)).then_some(id)
}

/// Whether it is by this account, whichever of the two last bytes it has.
fn is_by(signature: Signature, signer: Address, digest: &Digest) -> bool {
    signature.naming(signer, digest).is_some()
}
