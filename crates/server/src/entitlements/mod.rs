//! Entitlements: the operator issues signed documents, takes them back, and publishes which were taken back.

pub mod access;
pub mod admin;
pub mod page;

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use farthing_engine::{
    EntitlementCommand, EntitlementId, EntitlementRow, Execute, Fault, IssueEntitlement, Read, Refusal, pages,
};
use farthing_entitlement::{Check, Entitlement, EntitlementError, Feature, Revoked, subject_hash};
use farthing_money::{Span, Timestamp};
use farthing_store::Clock;
use serde::{Deserialize, Serialize};

use crate::installation::Installation;
use crate::life::{keys, sweep};
use crate::operator::OperatorError;
use crate::random::{Random, draw};

/// A list of what was taken back is good for so long: whoever has an older one fetches it again.
const LIST_LASTS: Span = Span::from_secs(24 * 3_600);

/// Rows that are read at once.
const PAGE: usize = 500;

/// The entitlements of an installation.
#[derive(Clone)]
pub struct Entitlements {
    execute: Arc<dyn Execute>,
    read: Arc<dyn Read>,
    clock: Clock,
    random: Random,
    key: SigningKey,
    /// Who issues them, as they say it.
    issuer: String,
}

/// What is to be issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueRequest {
    /// The features.
    pub features: Vec<Feature>,
    /// From when on; otherwise from now on.
    pub from: Option<Timestamp>,
    /// Until when.
    pub until: Timestamp,
    /// Whom it is for.
    pub subject: Option<String>,
    /// Whether the document has the subject's hash alone.
    pub hashed: bool,
}

/// What was issued. The text is given out now and kept nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// The signed document.
    pub text: String,
    /// Its id, by which it is taken back.
    pub id: String,
    /// Until when it holds.
    pub until: Timestamp,
}

/// An entitlement that was issued, as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its id.
    pub id: String,
    /// Its features.
    pub features: Vec<Feature>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Until when it holds.
    pub until: Timestamp,
    /// When it was taken back, if it was.
    pub revoked_at: Option<Timestamp>,
}

impl From<EntitlementError> for OperatorError {
    fn from(error: EntitlementError) -> Self {
        Self::Request(error.to_string())
    }
}

impl Entitlements {
    /// Those of an open installation.
    pub fn new(installation: &Installation) -> Self {
        Self {
            execute: Arc::clone(&installation.writer),
            read: Arc::clone(&installation.books),
            clock: Arc::clone(&installation.clock),
            random: Arc::clone(&installation.random),
            key: installation.receipts.clone(),
            issuer: installation.merchant.clone(),
        }
    }

    /// The key that applications check with.
    pub fn key_text(&self) -> String {
        farthing_wire::jws::key_text(&self.key.verifying_key())
    }

    /// Issues one. It is written down before its text is given out.
    pub async fn issue(&self, request: &IssueRequest) -> Result<Issued, OperatorError> {
        // The document counts in seconds.
        let whole = |time: Timestamp| Timestamp::from_secs(time.secs());
        let now = whole((self.clock)());
        let (from, until) = (whole(request.from.unwrap_or(now)), whole(request.until));
        if until <= now {
            return Err(OperatorError::Request(format!(
                "expected an end that is still to come, got {until}; it is {now}"
            )));
        }
        let id = EntitlementId::from_bytes(draw(&self.random)?);
        let subject = request.subject.as_deref();
        let document = Entitlement {
            id: id.to_string(),
            issuer: self.issuer.clone(),
            subject: subject
                .map(|subject| if request.hashed { subject_hash(subject) } else { subject.to_owned() }),
            issued_at: now,
            not_before: from,
            until,
            features: request.features.clone(),
        };
        let text = document.sign(&self.key)?;
        let features = document.features.into_iter().map(|feature| (feature.name, feature.limit)).collect();
        let row = EntitlementRow { features, issued_at: now, until, revoked_at: None };
        self.execute.execute(EntitlementCommand::Issue(IssueEntitlement { id, row }).into()).await?;
        Ok(Issued { text, id: id.to_string(), until })
    }

    /// One to a feature until then, to be written down with what brings it.
    pub(crate) fn draft(&self, feature: &str, until: Timestamp) -> Result<IssueEntitlement, OperatorError> {
        // The document counts in seconds.
        let whole = |time: Timestamp| Timestamp::from_secs(time.secs());
        let id = EntitlementId::from_bytes(draw(&self.random)?);
        let row = EntitlementRow {
            features: vec![(feature.to_owned(), None)],
            issued_at: whole((self.clock)()),
            until: whole(until),
            revoked_at: None,
        };
        Ok(IssueEntitlement { id, row })
    }

    /// The text of one that was written down, for whom it is: the same each time. Nothing if it is forgotten.
    pub(crate) fn text(
        &self,
        id: EntitlementId,
        subject: Option<&str>,
    ) -> Result<Option<String>, OperatorError> {
        let Some(row) = self.read.entitlement(id)? else { return Ok(None) };
        let EntitlementRow { features, issued_at, until, .. } = row;
        let document = Entitlement {
            id: id.to_string(),
            issuer: self.issuer.clone(),
            subject: subject.map(str::to_owned),
            issued_at,
            not_before: issued_at,
            until,
            features: features.into_iter().map(|(name, limit)| Feature { name, limit }).collect(),
        };
        Ok(Some(document.sign(&self.key)?))
    }

    /// Whether a text entitles somebody to a feature now, by what was taken back until now.
    pub(crate) fn holds(
        &self,
        text: &str,
        subject: Option<&str>,
        feature: &str,
        now: Timestamp,
    ) -> Result<Result<(), EntitlementError>, Fault> {
        let key = self.key.verifying_key();
        let check = Check::new(&key, now);
        let check = if let Some(subject) = subject { check.subject(subject) } else { check };
        let held = check.entitlement(text).and_then(|held| held.feature(feature).map(drop).map(|()| held));
        let held = match held {
            Ok(held) => held,
            Err(error) => return Ok(Err(error)),
        };
        let row = held.id.parse().ok().map(|id| self.read.entitlement(id)).transpose()?.flatten();
        let gone = row.is_some_and(|row| row.revoked_at.is_some());
        Ok(if gone { Err(EntitlementError::Revoked(held.id)) } else { Ok(()) })
    }

    /// Takes one back, by its id or by its text.
    pub async fn revoke(&self, named: &str) -> Result<Known, OperatorError> {
        let id = self.id_of(named.trim())?;
        self.execute.execute(EntitlementCommand::Revoke(id).into()).await?;
        let known = self.list()?.into_iter().find(|known| known.id == id.to_string());
        known.ok_or_else(|| OperatorError::Missing(format!("there is no entitlement {id} any more")))
    }

    fn id_of(&self, named: &str) -> Result<EntitlementId, OperatorError> {
        let id = if named.contains('.') {
            Entitlement::read(named, &self.key.verifying_key())?.id
        } else {
            named.to_owned()
        };
        id.parse().map_err(|_| {
            let got: String = id.chars().take(40).collect();
            OperatorError::Request(format!(
                "expected an entitlement or its id of 32 hexadecimal digits, got {got:?}"
            ))
        })
    }

    /// All that are not over, or not forgotten yet.
    pub fn list(&self) -> Result<Vec<Known>, OperatorError> {
        let mut all = Vec::new();
        for page in pages(PAGE, |after, limit| self.read.entitlements_after(after, limit)) {
            all.extend(page?.into_iter().map(|(id, row)| known(id, row)));
        }
        Ok(all)
    }

    /// What was taken back and would otherwise hold, signed.
    pub fn revoked(&self) -> Result<String, OperatorError> {
        let now = (self.clock)();
        let gone = |known: &Known| known.revoked_at.is_some() && known.until > now;
        let ids = self.list()?.into_iter().filter(gone).map(|known| known.id).collect();
        let list = Revoked { issuer: self.issuer.clone(), made_at: now, until: now.after(LIST_LASTS), ids };
        Ok(list.sign(&self.key)?)
    }

    /// Forgets those that are over; says how many they were.
    pub async fn forget(&self) -> Result<usize, Refusal> {
        sweep(
            (&*self.execute, &self.clock),
            |after, limit| self.read.entitlements_after(after, limit),
            |row: &EntitlementRow, now| row.until <= now,
            |over| EntitlementCommand::Forget(keys(over)).into(),
        )
        .await
    }
}

fn known(id: EntitlementId, row: EntitlementRow) -> Known {
    let EntitlementRow { features, issued_at, until, revoked_at } = row;
    let features = features.into_iter().map(|(name, limit)| Feature { name, limit }).collect();
    Known { id: id.to_string(), features, issued_at, until, revoked_at }
}

/// The worker.
pub(crate) async fn forget_work(at: Installation) {
    match Entitlements::new(&at).forget().await {
        Ok(0) => {}
        Ok(rows) => tracing::info!(rows, "entitlements that are over were forgotten"),
        Err(error) => tracing::error!(%error, "entitlements that are over could not be forgotten"),
    }
}
