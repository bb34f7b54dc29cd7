//! What is free up to a limit: who asks is recognised, one is taken, durably, before the upstream is asked, and given back before
//! the answer says that it failed. Whoever has it comes back with a pass, as after a payment, so that a reload does not count.
//!
//! Nobody is written down. A count has a name that is a code of the rule and of who asks, under a key that was drawn for the
//! first day of the period; once that key is forgotten, no name can be made again. docs/adr/0020 says more.

use farthing_channel::Address;
use farthing_engine::{
    Admission, Answer, Command, Fault, FaultKind, QuotaId, Refusal, Reject, ReturnQuota, TakeQuota,
};
use farthing_money::Timestamp;
use farthing_wire::{QuotaBy, QuotaField, Visitor, header};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use sha2::{Digest, Sha256};

use super::Shared;
use super::quote::Quote;
use super::terms::address_of;
pub(super) use crate::count::GRACE;
use crate::count::{self, KeyPorts};
use crate::network::neighbourhood;
use crate::own_header;
use crate::random;
use crate::rule::{Per, Period, Quota, Rule};

/// How many cookies of visitors are looked at.
const COOKIES_MAX: usize = 4;
const API_KEY: &str = "x-api-key";

/// What is free of a rule, in a quote.
#[derive(Clone, Debug)]
pub(super) struct QuotaTerms {
    pub(super) quota: Quota,
    /// The rule in words: another rule has other counts.
    rule: String,
    /// Why nothing of it was had, and what is left.
    pub(super) refused: Option<Reject>,
}

/// Who is counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counted {
    /// A browser that was here before, or that comes for the first time.
    Visitor(Option<Visitor>),
    Account(Address),
    /// The hash of one of the merchant's own keys.
    Key([u8; 32]),
    Network,
}

/// One that was taken, and what its answer says of it.
#[derive(Clone)]
pub(super) struct Taken {
    quota: QuotaId,
    admitted_by: Option<QuotaId>,
    pub(super) field: QuotaField,
    /// The cookie that the browser gets.
    pub(super) visitor: Option<Visitor>,
}

impl QuotaTerms {
    pub(super) fn new(rule: &Rule, quota: Quota) -> Self {
        Self { quota, rule: rule.without_line(), refused: None }
    }

    /// Where it stands for somebody who had nothing.
    pub(super) fn field(&self, now: Timestamp) -> QuotaField {
        let Quota { free, per, by, .. } = self.quota;
        QuotaField { free, left: self.refused.as_ref().map(|_| 0), by, resets: per.at(now).ends }
    }
}

impl Shared {
    /// Who is counted, by what a request brings; nobody if it says nothing of the kind. Before its cookies are taken out.
    pub(super) fn counted(&self, headers: &HeaderMap, quote: &Quote, now: Timestamp) -> Option<Counted> {
        match quote.quota.as_ref()?.quota.by {
            QuotaBy::Visitor => {
                let cookies = own_header::cookies_named(headers, header::VISITOR_COOKIE).take(COOKIES_MAX);
                let secret = &self.config.secrets.challenge;
                let mut visitors = cookies.filter_map(|text| Visitor::verify(text, secret, now));
                Some(Counted::Visitor(visitors.next()))
            }
            QuotaBy::Key => api_key(headers).map(Counted::Key),
            QuotaBy::Network => Some(Counted::Network),
            // Whoever signs in says so by signing in.
            QuotaBy::Wallet => None,
        }
    }

    /// Takes one for whoever is counted. A refusal of the rules is written into the quote, for the 402 to say.
    pub(super) async fn take_free(
        &self,
        quote: &mut Quote,
        counted: Counted,
        parts: &Parts,
        now: Timestamp,
    ) -> Result<Option<Taken>, Refusal> {
        let Some(terms) = &mut quote.quota else { return Ok(None) };
        let Quota { free, per, newcomers, .. } = terms.quota;
        let period = per.at(now);
        let network = address_of(&self.config, parts).map(neighbourhood);
        let (who, visitor) = match counted {
            Counted::Visitor(known) => {
                let id = known.map_or_else(|| self.draw_id(), |visitor| Ok(visitor.id))?;
                let until = known.map_or(period.ends, |visitor| visitor.until.max(period.ends));
                (id.to_vec(), Some(Visitor { id, until }))
            }
            Counted::Account(account) => (account.as_bytes().to_vec(), None),
            Counted::Key(hash) => (hash.to_vec(), None),
            // Where no accept loop of ours says who asks, nobody is told from anybody.
            Counted::Network => match &network {
                Some(network) => (network.clone(), None),
                None => return Ok(None),
            },
        };
        let key = self.quota_key(period, now).await?;
        let of = (terms.rule.as_str(), per);
        let named = |kind: &str, who: &[u8]| self.quota_id(&key, of, kind, who);
        let by = named("newcomers", network.as_deref().unwrap_or_default())?;
        let is_invented = !matches!(counted, Counted::Network);
        let admission = is_invented.then_some(Admission { by, limit: newcomers });
        let id = named(terms.quota.by.as_str(), &who)?;
        let until = period.ends.after(GRACE);
        let command = Command::from(TakeQuota { quota: id, limit: free, until, admission });
        match self.config.execute.execute(command).await {
            Ok(Answer::Quota(row)) => {
                let left = Some(free.saturating_sub(row.used));
                let field = QuotaField { left, ..terms.field(now) };
                let visitor =
                    visitor.filter(|_| !matches!(counted, Counted::Visitor(known) if known == visitor));
                Ok(Some(Taken { quota: id, admitted_by: row.admitted_by, field, visitor }))
            }
            Ok(_) => Err(Refusal::Reject(Reject::NotLoaded)),
            Err(Refusal::Reject(reject)) => {
                terms.refused = Some(reject);
                Ok(None)
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Gives back what was not had; where that stands then.
    pub(super) async fn return_free(&self, taken: &Taken) -> QuotaField {
        let command = ReturnQuota { quota: taken.quota, admitted_by: taken.admitted_by };
        match self.config.execute.execute(Command::from(command)).await {
            Ok(_) => {
                let left = taken.field.left.map(|left| left.saturating_add(1).min(taken.field.free));
                QuotaField { left, ..taken.field }
            }
            Err(error) => {
                tracing::error!(%error, "what was free and not had cannot be given back");
                taken.field
            }
        }
    }

    fn draw_id<const N: usize>(&self) -> Result<[u8; N], Refusal> {
        random::draw(&self.config.random)
            .map_err(|error| Refusal::Fault(Fault::new(FaultKind::Stopped, error.to_string())))
    }

    /// The key of a period's first day.
    pub(super) async fn quota_key(&self, period: Period, now: Timestamp) -> Result<[u8; 32], Refusal> {
        let config = &self.config;
        let ports = KeyPorts { execute: &*config.execute, read: &*config.read, random: &config.random };
        self.quota_keys.of(ports, period, now).await
    }

    /// The name of a count: nothing of it can be made without the day's key and our own secret.
    pub(super) fn quota_id(
        &self,
        key: &[u8; 32],
        (rule, per): (&str, Per),
        kind: &str,
        who: &[u8],
    ) -> Result<QuotaId, Refusal> {
        let parts = [rule.as_bytes(), per.as_str().as_bytes(), kind.as_bytes(), who];
        let code = self.code(b"farthing/quota/1", &parts).ok_or(Refusal::Reject(Reject::NotLoaded))?;
        count::name(key, code)
    }
}

/// The hash of one of the merchant's own keys, as `Authorization: Bearer` or `X-Api-Key`.
pub(super) fn api_key(headers: &HeaderMap) -> Option<[u8; 32]> {
    let bearer = headers.get_all(AUTHORIZATION).iter().find_map(|value| {
        let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().as_bytes())
    });
    let own = || headers.get(API_KEY).map(|value| value.as_bytes().trim_ascii());
    let key = own().or(bearer).filter(|key| !key.is_empty())?;
    Some(Sha256::digest(key).into())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn keys_are_taken_from_either_field() {
        let of = |fields: &[(&'static str, &'static str)]| {
            let headers = fields.iter().map(|(name, value)| {
                (name.parse::<http::HeaderName>().unwrap(), HeaderValue::from_static(value))
            });
            api_key(&headers.collect())
        };
        let expected = Some(<[u8; 32]>::from(Sha256::digest("k1")));
        assert_eq!(of(&[("authorization", "Bearer k1")]), expected);
        assert_eq!(of(&[("authorization", "bearer  k1 ")]), expected);
        assert_eq!(of(&[("x-api-key", "k1"), ("authorization", "Bearer k2")]), expected);
        for none in [&[("authorization", "Basic azE=")][..], &[("x-api-key", "")], &[]] {
            assert_eq!(of(none), None);
        }
    }
}
