//! `/v1/authorize`: the seller's own software asks whether somebody may use a feature, and says afterwards whether it was used.

mod body;
mod refusal;
mod worker;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, Response};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use bytes::Bytes;
use farthing_engine::{UseBy, UseId, UseState};
use farthing_gate::Feature;
use farthing_gate::flow::{Authorized, FeatureDesk, UseAsked, UseTold};
use farthing_money::Timestamp;
use farthing_store::Clock;

use self::body::{AuthorizeRequest, CommitRequest};
use self::refusal::Refusal;
use crate::entitlements::Entitlements;

pub use self::worker::{forget, lapse};
pub(crate) use self::worker::{forget_work, lapse_work};

/// Where the routes are at the gate's own listener.
pub const FEATURES_PATH: &str = "/.well-known/farthing";

/// Bytes of a request at the most: a credential, an entitlement and some words.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// What the routes share.
#[derive(Clone)]
pub struct FeatureApi {
    desk: FeatureDesk,
    entitlements: Entitlements,
    clock: Clock,
}

type Answer = Result<Response<Body>, Refusal>;

impl FeatureApi {
    /// At a gate's desk, with the entitlements that it sells.
    pub fn new(desk: FeatureDesk, entitlements: Entitlements, clock: Clock) -> Self {
        Self { desk, entitlements, clock }
    }

    /// The routes, below `/v1/`.
    pub fn router(self) -> Router {
        Router::new()
            .route("/v1/authorize", post(authorize))
            .route("/v1/authorizations/{id}", get(look))
            .route("/v1/authorizations/{id}/commit", post(commit))
            .route("/v1/authorizations/{id}/release", post(release))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(self)
    }

    /// Whether what was shown entitles somebody to a feature; why not.
    fn entitled(
        &self,
        feature: &Feature,
        request: &AuthorizeRequest,
        now: Timestamp,
    ) -> Result<Result<bool, (&'static str, String)>, Refusal> {
        let Some(text) = &request.entitlement else {
            let missing = || {
                let detail = "expected an entitlement to the feature, got none; buy one, or ask its seller";
                ("entitlement-missing", detail.to_owned())
            };
            return Ok(if feature.needs_entitlement { Err(missing()) } else { Ok(false) });
        };
        let held = self.entitlements.holds(text, request.subject.as_deref(), &feature.name, now)?;
        Ok(held.map(|()| true).map_err(|error| (error.code(), error.to_string())))
    }

    async fn authorize(&self, headers: &HeaderMap, body: &Bytes) -> Answer {
        let key = self.desk.software(headers)?;
        let request: AuthorizeRequest = body::read(body)?;
        let feature = self.desk.features().find(&request.feature);
        let feature = feature.ok_or_else(|| refusal::no_such_feature(&request.feature))?;
        let name = body::idempotency_key(headers)?;
        let subject = request.subject()?;
        let names = self.desk.names((&key, name.as_deref()), &request.print()?, subject)?;
        if let Some(told) = self.desk.known(&names)? {
            return Ok(body::told(&told, (self.clock)()));
        }
        let most = request.most(&feature)?;
        let now = (self.clock)();
        let entitled = match self.entitled(&feature, &request, now)? {
            Ok(entitled) => entitled,
            Err((code, detail)) => return Ok(body::denied(&feature.name, code, &detail, None)),
        };
        if feature.amount().is_none() && feature.quota.is_some() && subject.is_none() && !entitled {
            return Err(refusal::no_subject(&feature.name));
        }
        let AuthorizeRequest { subject, credential, .. } = request;
        let asked = UseAsked { names, feature, subject, most, credential, entitled };
        let name = asked.feature.name.clone();
        match self.desk.authorize(asked).await {
            Authorized::Allowed(told) => Ok(body::told(&told, (self.clock)())),
            Authorized::Denied(denial) => Ok(body::denied(&name, denial.code, &denial.detail, denial.resets)),
            Authorized::Refused(response) => Err(response.into()),
        }
    }

    async fn commit(&self, id: UseId, request: &CommitRequest) -> Answer {
        let told = self.desk.look(id)?;
        let brings = self.brings(&told);
        if brings.is_some() && !self.desk.is_for(&told, request.subject.as_deref()) {
            return Err(refusal::other_subject());
        }
        let issued = match brings {
            Some(Brings::New(feature)) => Some(self.entitlements.draft(&feature.0, feature.1)?),
            Some(Brings::Issued) | None => None,
        };
        let ended = self.desk.commit(id, request.amount, issued).await?;
        let text = match ended.told.row.entitlement {
            Some(entitlement) => self.entitlements.text(entitlement, request.subject.as_deref())?,
            None => None,
        };
        Ok(body::ended(&ended, text.as_deref()))
    }

    /// What entitlement a commit brings: one that is issued with it, or the one that was.
    fn brings(&self, told: &UseTold) -> Option<Brings> {
        let row = &told.row;
        if row.entitlement.is_some() {
            return Some(Brings::Issued);
        }
        if row.state != UseState::Open || !matches!(row.by, UseBy::Payment { .. }) {
            return None;
        }
        let feature = self.desk.features().find(&row.feature)?;
        let lasts = feature.entitles?;
        Some(Brings::New((row.feature.clone(), (self.clock)().after(lasts))))
    }
}

/// What entitlement a commit brings.
enum Brings {
    /// One to a feature, until then.
    New((String, Timestamp)),
    /// The one that was issued when it was committed.
    Issued,
}

async fn authorize(
    State(api): State<FeatureApi>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response<Body> {
    let answer = match body {
        Ok(body) => api.authorize(&headers, &body).await,
        Err(rejection) => Err(refusal::unread(&rejection)),
    };
    answer.into_response()
}

async fn look(State(api): State<FeatureApi>, Path(id): Path<String>, headers: HeaderMap) -> Response<Body> {
    let answer = || -> Answer {
        api.desk.software(&headers)?;
        let told = api.desk.look(body::id(&id)?)?;
        Ok(body::told(&told, (api.clock)()))
    };
    answer().into_response()
}

async fn commit(
    State(api): State<FeatureApi>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response<Body> {
    let asked = || {
        api.desk.software(&headers)?;
        let body = body.map_err(|rejection| refusal::unread(&rejection))?;
        let request = if body.is_empty() { CommitRequest::default() } else { body::read(&body)? };
        request.judge()?;
        Ok((body::id(&id)?, request))
    };
    let answer = match asked() {
        Ok((id, request)) => api.commit(id, &request).await,
        Err(refusal) => Err(refusal),
    };
    answer.into_response()
}

async fn release(
    State(api): State<FeatureApi>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let id = api.desk.software(&headers).map_err(Refusal::from).and_then(|_| body::id(&id));
    let answer = match id {
        Ok(id) => match api.desk.release(id).await {
            Ok(told) => Ok(body::told(&told, (api.clock)())),
            Err(response) => Err(response.into()),
        },
        Err(refusal) => Err(refusal),
    };
    answer.into_response()
}
