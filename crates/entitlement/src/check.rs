//! The question that an application asks: may this be used now?

use ed25519_dalek::VerifyingKey;
use farthing_money::{Span, Timestamp};

use crate::{Entitlement, EntitlementError, Feature, Revoked};

/// How far a clock may be wrong without harm.
pub const LEEWAY: Span = Span::from_secs(60);

/// By which key, at what time, for whom.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    key: &'a VerifyingKey,
    now: Timestamp,
    subject: Option<&'a str>,
    revoked: Option<&'a Revoked>,
}

impl<'a> Check<'a> {
    /// By the seller's key, at a time, for whoever has the text.
    pub fn new(key: &'a VerifyingKey, now: Timestamp) -> Self {
        Self { key, now, subject: None, revoked: None }
    }

    /// For whom: what names nobody is good for everybody, what names somebody for nobody else.
    #[must_use]
    pub fn subject(self, subject: &'a str) -> Self {
        Self { subject: Some(subject), ..self }
    }

    /// Beside a list of what was taken back.
    #[must_use]
    pub fn revoked(self, revoked: &'a Revoked) -> Self {
        Self { revoked: Some(revoked), ..self }
    }

    /// The entitlement in a text, if it holds.
    pub fn entitlement(self, text: &str) -> Result<Entitlement, EntitlementError> {
        let (entitlement, now) = (Entitlement::read(text, self.key)?, self.now);
        let (from, until) = (entitlement.not_before, entitlement.until);
        if now.after(LEEWAY) < from {
            return Err(EntitlementError::Early { from, now });
        }
        if now >= until.after(LEEWAY) {
            return Err(EntitlementError::Ended { until, now });
        }
        if !entitlement.is_for(self.subject) {
            let subject =
                self.subject.map_or_else(|| "nobody in particular".to_owned(), farthing_jws::beginning);
            return Err(EntitlementError::Subject(subject));
        }
        if let Some(revoked) = self.revoked {
            revoked.judge(&entitlement)?;
        }
        Ok(entitlement)
    }

    /// A feature of the entitlement in a text, if it holds and has it.
    pub fn feature(self, text: &str, name: &str) -> Result<Feature, EntitlementError> {
        self.entitlement(text)?.feature(name).cloned()
    }
}
