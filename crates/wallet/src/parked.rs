//! What waits for the owner's yes: a payment above what is paid unasked is parked, not denied, and an approval lets the next such request
//! pay up to the price that was seen. It raises no limit, and it is used up in the commit that sets the money aside.

use farthing_money::{Money, Span, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::budget::{Asker, LimitKind, Shown};
use crate::error::WalletError;
use crate::state::Draft;
use crate::vault::{Change, Row, RowKey};
use crate::wallet::Wallet;

/// So long an approval lasts, unless another end is named.
pub const APPROVAL_LASTS: Span = Span::from_secs(86_400);
/// So long something waits for one.
const PARKED_LASTS: Span = Span::from_secs(7 * 86_400);
/// More than this is not kept of a body.
const BODY_BYTES_MAX: usize = 16_384;
/// More than this is not parked at once.
const PARKED_MAX: usize = 100;
/// The fields that are kept: none of them says who asks.
const KEPT_FIELDS: [&str; 3] = ["accept", "accept-language", "content-type"];

/// A request that waits for the owner's yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Its number, never used twice.
    pub number: u64,
    /// When it was parked.
    pub at: Timestamp,
    /// The method of the request.
    pub method: String,
    /// Its address.
    pub url: String,
    /// The SHA-256 of its body, hexadecimal.
    pub body_digest: String,
    /// The body, hexadecimal, if it is small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The fields that are kept.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Whether it had others, which are not kept because they may say who asks.
    #[serde(default)]
    pub has_other_headers: bool,
    /// What was asked for.
    pub price: Money,
    /// Who asked.
    #[serde(default)]
    pub asker: Asker,
    /// The subscription whose pass it buys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renews: Option<Renews>,
    /// The owner's yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
}

/// For which subscription a pass was to be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renews {
    /// Its number.
    pub subscription: u64,
    /// So long before the last pass ends.
    pub margin: Span,
}

/// The owner's yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// When it was said.
    pub at: Timestamp,
    /// Until when it holds; for ever without an end.
    pub until: Option<Timestamp>,
    /// Whether it is good for one payment only.
    pub once: bool,
}

/// A request that is to be parked.
#[derive(Clone, Debug)]
pub struct ToPark<'a> {
    /// The method.
    pub method: &'a str,
    /// The address, in its one form.
    pub url: String,
    /// The body.
    pub body: &'a [u8],
    /// The fields.
    pub headers: &'a [(String, String)],
    /// Who asks.
    pub asker: &'a Asker,
    /// What is asked for.
    pub price: Money,
    /// The subscription whose pass it buys.
    pub renews: Option<Renews>,
}

/// The owner has to be asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{host} asks {price}, and above {above} you want to be asked first; nothing was sent")]
pub struct NeedsYes {
    /// What is asked for.
    pub price: Shown,
    /// What is paid unasked.
    pub above: Shown,
    /// Who would get it.
    pub host: String,
    /// The limit that leaves the least, and what it leaves.
    pub left: Option<(LimitKind, Shown)>,
}

impl Approval {
    /// Whether it holds at a moment. One that seems to lie in the future does not: the clock was put back.
    fn holds(&self, now: Timestamp) -> bool {
        let is_past = self.at <= now.after(Span::from_secs(300));
        is_past && self.until.is_none_or(|until| now < until)
    }
}

impl Parked {
    /// Whether it waits for a yes, and not in vain.
    pub fn waits(&self, now: Timestamp) -> bool {
        self.approval.is_none() && now.since(self.at) < PARKED_LASTS
    }

    /// Whether the yes holds now.
    pub fn is_approved(&self, now: Timestamp) -> bool {
        self.approval.is_some_and(|approval| approval.holds(now))
    }

    /// The body as it was, if all of the request is kept.
    pub fn whole_body(&self) -> Option<Vec<u8>> {
        let body = self.body.as_ref().filter(|_| !self.has_other_headers)?;
        hex::decode(body).ok()
    }

    pub(crate) fn approves(&self, request: (&str, &str, &str), asker: &Asker, now: Timestamp) -> bool {
        self.is(request, asker) && self.is_approved(now)
    }

    fn is(&self, (method, url, body): (&str, &str, &str), asker: &Asker) -> bool {
        self.method == method && self.url == url && self.body_digest == body && self.asker == *asker
    }

    /// What becomes of it when it has let a payment pass.
    pub(crate) fn used(&self) -> Option<Change> {
        let is_once = self.approval.is_some_and(|approval| approval.once);
        is_once.then(|| Change::Remove(RowKey::parked(self.number)))
    }
}

impl Wallet {
    /// What is parked, oldest first: what waits, and what is approved and not used up.
    pub fn parked(&self) -> impl Iterator<Item = &Parked> {
        self.state.parked.values()
    }

    /// Parks a request; the same one again keeps its number and takes the new price. Forgets what is over.
    pub fn park(&mut self, request: &ToPark<'_>, now: Timestamp) -> Result<Parked, WalletError> {
        let digest = hex::encode(Sha256::digest(request.body));
        let same = |parked: &&Parked| {
            let key = (request.method, request.url.as_str(), digest.as_str());
            parked.is(key, request.asker) && !parked.is_approved(now)
        };
        let before = self.state.parked.values().find(same);
        // Asked for by hand as well, what waits still buys what the subscription would buy.
        let renews = before.filter(|parked| parked.waits(now)).and_then(|parked| parked.renews);
        let over = self.state.parked.values().filter(|parked| !parked.waits(now) && !parked.is_approved(now));
        let over: Vec<RowKey> = over.map(|parked| RowKey::parked(parked.number)).collect();
        if before.is_none() && self.state.parked.len().saturating_sub(over.len()) >= PARKED_MAX {
            return Err(WalletError::ParkedFull(PARKED_MAX));
        }
        let mut draft = Draft::new(&self.state);
        let is_kept = |name: &str| KEPT_FIELDS.contains(&name.to_ascii_lowercase().as_str());
        let headers: Vec<_> = request.headers.iter().filter(|(name, _)| is_kept(name)).cloned().collect();
        for key in over {
            draft.remove(key);
        }
        let parked = Parked {
            number: before.map_or_else(|| draft.attempt_number(), |parked| parked.number),
            at: now,
            method: request.method.to_owned(),
            url: request.url.clone(),
            body_digest: digest.clone(),
            body: (request.body.len() <= BODY_BYTES_MAX).then(|| hex::encode(request.body)),
            has_other_headers: headers.len() < request.headers.len(),
            headers,
            price: request.price,
            asker: request.asker.clone(),
            renews: request.renews.or(renews),
            approval: None,
        };
        draft.put(Row::Parked(Box::new(parked.clone())));
        let changes = draft.into_changes();
        self.commit(changes)?;
        Ok(parked)
    }

    /// Says yes to a parked request.
    pub fn approve(&mut self, number: u64, approval: Approval) -> Result<Parked, WalletError> {
        let parked =
            self.state.parked.get(&RowKey::parked(number)).ok_or(WalletError::UnknownParked(number))?;
        let parked = Parked { approval: Some(approval), ..parked.clone() };
        self.commit(vec![Change::Put(Row::Parked(Box::new(parked.clone())))])?;
        Ok(parked)
    }

    /// Says no to a parked request, or takes a yes back.
    pub fn deny(&mut self, number: u64) -> Result<Parked, WalletError> {
        let key = RowKey::parked(number);
        let parked = self.state.parked.get(&key).cloned().ok_or(WalletError::UnknownParked(number))?;
        self.commit(vec![Change::Remove(key)])?;
        Ok(parked)
    }
}
