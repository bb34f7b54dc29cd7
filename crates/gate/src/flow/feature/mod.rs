//! Features for sale: the seller's own software asks whether somebody may use one, and says afterwards whether it was used.
//!
//! An authorization is a use in the books (docs/adr/0029): what it takes is set aside in the same commit, and it is ended by the
//! software, or by the clock. Nothing of it is in memory.

mod authorize;
mod claim;
mod end;
mod offer;

use std::sync::Arc;

use farthing_engine::{PaymentRow, Refusal, Reject, RequestTag, UseBy, UseId, UseReject, UseRow};
use farthing_money::{Amount, Money, Timestamp};
use farthing_wire::Problem;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, Response};

pub use self::end::UseEnded;
use self::offer::use_refused;
use super::quota::api_key;
use super::refusal::Refused;
use super::{GateLayer, Shared};
use crate::body::Body;
use crate::rule::{Feature, Features};
use crate::{problem, random};

/// What the seller's software asks.
#[derive(Clone)]
pub struct FeatureDesk(Arc<Shared>);

/// How a use is known: by codes that only our secret makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UseNames {
    /// Which use. The same software that gives the same name to a request asks for the same use.
    pub id: UseId,
    /// What is asked for.
    pub tag: RequestTag,
    /// Whom it is for, as a code that fits this use alone.
    pub whom: RequestTag,
}

/// What is asked for.
pub struct UseAsked {
    /// How it is known.
    pub names: UseNames,
    /// Which feature.
    pub feature: Arc<Feature>,
    /// Whom it is for, as the seller names them.
    pub subject: Option<String>,
    /// The most that may be charged, in the feature's own asset; otherwise what a use costs.
    pub most: Option<Amount>,
    /// What pays, as payers send it in X-Cashu or in Authorization.
    pub credential: Option<String>,
    /// Whether an entitlement was shown that holds.
    pub entitled: bool,
}

/// The answer to it.
pub enum Authorized {
    /// The feature may be used, once.
    Allowed(Box<UseTold>),
    /// It may not, and no payment changes that.
    Denied(Denial),
    /// It may not for now: pay, ask again, or ask otherwise.
    Refused(Box<Response<Body>>),
}

/// Why no payment helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The stable code.
    pub code: &'static str,
    /// What was expected and what to do.
    pub detail: String,
    /// When it is looked at anew.
    pub resets: Option<Timestamp>,
}

/// A use as it stands.
#[derive(Clone, Debug)]
pub struct UseTold {
    /// Which.
    pub id: UseId,
    /// Its row.
    pub row: UseRow,
    /// Its payment, if one stands behind it and has not gone back.
    pub payment: Option<PaymentRow>,
}

impl UseTold {
    /// The most that may be charged, if money stands behind it.
    pub fn held(&self) -> Option<Money> {
        let UseBy::Payment { most, .. } = self.row.by else { return None };
        self.payment.as_ref().map(|payment| payment.asset.money(most))
    }
}

impl GateLayer {
    /// The desk at which the seller's software asks.
    pub fn features(&self) -> FeatureDesk {
        FeatureDesk(Arc::clone(&self.0))
    }
}

impl FeatureDesk {
    /// The features as they are sold now.
    pub fn features(&self) -> Arc<Features> {
        Arc::clone(self.0.config.rules.borrow().features())
    }

    /// The key of the software that asks, by its SHA-256, if it is one of the seller's.
    pub fn software(&self, headers: &HeaderMap) -> Result<[u8; 32], Box<Response<Body>>> {
        let key = api_key(headers);
        if let Some(key) = key.filter(|key| self.features().admits(key)) {
            return Ok(key);
        }
        let got = if key.is_some() { "one that is not among those of keys_file" } else { "none" };
        let problem =
            Problem::new("api-key-refused", 401, "API key refused", "only the seller's software asks here")
                .expected("an API key of the seller's in Authorization: Bearer or X-Api-Key")
                .got(got)
                .next("add the key's SHA-256 to keys_file in [features]");
        let mut response = problem::answer(&problem);
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        Err(Box::new(response))
    }

    /// How a request is known: by the software's key and the name that it gave, or else by chance.
    pub fn names(
        &self,
        (key, name): (&[u8; 32], Option<&str>),
        asked: &[u8],
        subject: Option<&str>,
    ) -> Result<UseNames, Box<Response<Body>>> {
        let names = || {
            let id = match name {
                Some(name) => self.0.code(b"farthing/use/1", &[key, name.as_bytes()]),
                None => random::draw(&self.0.config.random).ok(),
            };
            let id = UseId::from_bytes(id?);
            let (tag, whom) = (self.0.tag_of(id, asked)?, self.0.whom_of(id, subject)?);
            Some(UseNames { id, tag, whom })
        };
        names().ok_or_else(|| Box::new(use_refused(&Refusal::Reject(Reject::NotLoaded).into())))
    }

    /// Whether a use is for somebody.
    pub fn is_for(&self, told: &UseTold, subject: Option<&str>) -> bool {
        self.0.whom_of(told.id, subject).is_some_and(|whom| whom == told.row.whom)
    }

    /// The use that the same request has got before.
    pub fn known(&self, names: &UseNames) -> Result<Option<UseTold>, Box<Response<Body>>> {
        let found = self.0.told(names.id).and_then(|told| match told {
            Some(told) if told.row.tag != names.tag || told.row.whom != names.whom => {
                Err(Refusal::Reject(UseReject::Elsewhere(names.id).into()))
            }
            told => Ok(told),
        });
        found.map_err(|refusal| Box::new(use_refused(&refusal.into())))
    }

    /// A use by its id.
    pub fn look(&self, id: UseId) -> Result<UseTold, Box<Response<Body>>> {
        let found =
            self.0.told(id).and_then(|told| told.ok_or(Refusal::Reject(UseReject::Unknown(id).into())));
        found.map_err(|refusal| Box::new(use_refused(&refusal.into())))
    }
}

impl Shared {
    fn tag_of(&self, id: UseId, asked: &[u8]) -> Option<RequestTag> {
        self.code(b"farthing/use/asked/1", &[id.as_bytes(), asked]).map(short)
    }

    fn whom_of(&self, id: UseId, subject: Option<&str>) -> Option<RequestTag> {
        let parts: &[&[u8]] = match subject {
            Some(subject) => &[id.as_bytes(), subject.as_bytes()],
            None => &[id.as_bytes()],
        };
        self.code(b"farthing/use/whom/1", parts).map(short)
    }

    fn told(&self, id: UseId) -> Result<Option<UseTold>, Refusal> {
        let Some(row) = self.config.read.feature_use(id)? else { return Ok(None) };
        self.told_of(id, row).map(Some)
    }

    fn told_of(&self, id: UseId, row: UseRow) -> Result<UseTold, Refusal> {
        let payment = match row.by {
            UseBy::Payment { payment, .. } => self.config.read.payment(payment)?,
            UseBy::Nothing | UseBy::Quota { .. } => None,
        };
        // The same credits may pay for something else once they have come back.
        let payment = payment.filter(|payment| payment.marks.behind == Some(id));
        Ok(UseTold { id, row, payment })
    }
}

fn short(code: [u8; 32]) -> RequestTag {
    let mut tag = [0; 16];
    tag.iter_mut().zip(code).for_each(|(to, from)| *to = from);
    RequestTag::from_bytes(tag)
}

/// What a payment for a feature buys, in the books.
fn resource_of(feature: &str) -> String {
    format!("feature {feature}")
}

impl From<Reject> for Refused {
    fn from(reject: Reject) -> Self {
        Self::Engine(Refusal::Reject(reject))
    }
}
