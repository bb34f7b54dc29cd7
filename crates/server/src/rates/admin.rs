//! The operator's requests about rates: over the socket if a server runs, in the open folder otherwise.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::Method;

use super::{RateDesk, RateListing, RatesError};
use crate::access::{Access, AccessError, ask, get as get_from};
use crate::operator::OperatorError;

/// The routes.
pub(crate) fn router(desk: RateDesk) -> Router {
    Router::new().route("/rates", get(list)).route("/rates/refresh", post(refresh)).with_state(desk)
}

async fn list(State(desk): State<RateDesk>) -> Result<Json<RateListing>, OperatorError> {
    Ok(Json(desk.listing()?))
}

async fn refresh(State(desk): State<RateDesk>) -> Result<Json<RateListing>, OperatorError> {
    desk.refresh().await?;
    Ok(Json(desk.listing()?))
}

impl From<RatesError> for OperatorError {
    fn from(error: RatesError) -> Self {
        match error {
            RatesError::Fault(fault) => Self::Fault(fault),
            RatesError::Books(refusal) => refusal.into(),
            error => Self::Request(error.to_string()),
        }
    }
}

impl Access {
    /// The rates in force.
    pub async fn rates(&self) -> Result<RateListing, AccessError> {
        match self {
            Self::Socket(path) => get_from(path, "/rates").await,
            Self::Folder(installation) => Ok(installation.rates.listing().map_err(OperatorError::from)?),
        }
    }

    /// Asks the source for rates now.
    pub async fn refresh_rates(&self) -> Result<RateListing, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/rates/refresh", None::<&()>).await,
            Self::Folder(installation) => {
                installation.rates.refresh().await.map_err(OperatorError::from)?;
                Ok(installation.rates.listing().map_err(OperatorError::from)?)
            }
        }
    }
}
