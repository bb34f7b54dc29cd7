//! Offers that are remembered, so that a voucher goes with the first request. What is remembered is only a guess at the price:
//! it is paid within the same limits, and a seller who asks otherwise says so in his 402.

use farthing_money::{Span, Timestamp};
use farthing_wire::x402::extension::payment_identifier;
use farthing_wire::x402::{Requirements, Resource};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::chain::offer::{self, Answer, ChainOffer};
use crate::state::Draft;
use crate::vault::{Row, RowKey};
use crate::wallet::Wallet;

/// Older guesses are forgotten.
const DAYS: Span = Span::from_secs(7 * 86_400);
/// More are not kept.
const MOST: usize = 256;
/// Longer addresses are not kept.
const URL_MOST: usize = 2_048;

/// An offer of a channel that was paid before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RememberedOffer {
    /// The method of the request.
    pub method: String,
    /// Its address.
    pub url: String,
    /// What was asked for, to the letter.
    pub accepted: Requirements,
    /// What was paid for.
    pub resource: Resource,
    /// Extensions that a payment echoes.
    #[serde(default)]
    pub extensions: Map<String, Value>,
    /// When it was seen.
    pub at: Timestamp,
}

/// The offer for a request, if it is remembered and can still be read.
pub(crate) fn recall(wallet: &Wallet, method: &str, url: &str, now: Timestamp) -> Option<ChainOffer> {
    let kept = wallet.state.offers.get(&RowKey::offer(method, url))?;
    if now.since(kept.at) > DAYS {
        return None;
    }
    let answer = Answer::X402 {
        resource: kept.resource.clone(),
        accepted: Box::new(kept.accepted.clone()),
        extensions: kept.extensions.clone(),
    };
    let chain = kept.accepted.chain_id();
    let offer = offer::read_requirements(wallet, &kept.accepted, chain, answer).ok()?;
    offer.channel.is_some().then_some(offer)
}

/// Writes an offer down, and forgets the oldest where there are many.
pub(crate) fn keep(
    draft: &mut Draft<'_>,
    wallet: &Wallet,
    (method, url): (&str, &str),
    offer: &ChainOffer,
    now: Timestamp,
) {
    let Answer::X402 { resource, accepted, extensions } = &offer.answer else { return };
    if url.len() > URL_MOST {
        return;
    }
    let key = RowKey::offer(method, url);
    let known = wallet.state.offers.get(&key);
    let is_same = known.is_some_and(|kept| kept.accepted == **accepted && kept.resource == *resource);
    if is_same && known.is_some_and(|kept| now.since(kept.at) < Span::from_secs(3_600)) {
        return;
    }
    if known.is_none() && wallet.state.offers.len() >= MOST {
        let oldest = wallet.state.offers.iter().min_by_key(|(_, kept)| kept.at);
        if let Some((oldest, _)) = oldest {
            draft.remove(oldest.clone());
        }
    }
    let named = extensions.iter().filter(|(name, _)| name.as_str() == payment_identifier::NAME);
    draft.put(Row::Offer(Box::new(RememberedOffer {
        method: method.to_owned(),
        url: url.to_owned(),
        accepted: (**accepted).clone(),
        resource: resource.clone(),
        extensions: named.map(|(name, value)| (name.clone(), value.clone())).collect(),
        at: now,
    })));
}
