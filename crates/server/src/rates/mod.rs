//! Rates between currencies: asked for at their source, judged, and put into force in the books. What is refused changes
//! nothing: the rates before stay until they are too old, and then nothing is offered in other currencies.

pub mod admin;
mod decimal;
mod ecb;
mod feed;
mod json;
mod judge;
mod listing;
mod source;

use std::sync::{Arc, Mutex, PoisonError};

use farthing_engine::{AcceptRates, Command, Execute, Fault, RateSet, RatesRow, Read, Refusal};
use farthing_money::{AssetTable, Timestamp};
use farthing_store::Clock;
use thiserror::Error;
use tokio::sync::watch;

pub use feed::{Format, FormatError};
pub use judge::RateRefusal;
pub use listing::{RateLine, RateListing};
pub use source::{Source, SourceError};

use crate::config::RatesConfig;

/// Why rates are not in force.
#[derive(Debug, Error)]
pub enum RatesError {
    /// There is no source.
    #[error("expected a section [rates] in the configuration, got none; add one with a source and a format")]
    NotConfigured,
    /// The source does not answer.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What it says cannot be read.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// What it says is not believed.
    #[error(transparent)]
    Refused(#[from] RateRefusal),
    /// The books refuse.
    #[error("the books do not take the rates: {0}")]
    Books(Refusal),
    /// The books cannot be read.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Who asks for rates and knows those in force. Clones share it.
#[derive(Clone)]
pub struct RateDesk {
    config: Option<Arc<RatesConfig>>,
    assets: AssetTable,
    read: Arc<dyn Read>,
    execute: Arc<dyn Execute>,
    clock: Clock,
    in_force: Arc<watch::Sender<Arc<RatesRow>>>,
    last: Arc<Mutex<Last>>,
}

/// How the last question came out.
#[derive(Clone, Debug, Default)]
struct Last {
    asked_at: Option<Timestamp>,
    refusal: Option<String>,
}

impl RateDesk {
    /// With the rates that the books have.
    pub(crate) fn open(
        config: Option<&RatesConfig>,
        assets: &AssetTable,
        (read, execute): (Arc<dyn Read>, Arc<dyn Execute>),
        clock: Clock,
    ) -> Result<Self, Fault> {
        let (in_force, _) = watch::channel(Arc::new(read.rates()?));
        Ok(Self {
            config: config.map(|config| Arc::new(config.clone())),
            assets: assets.clone(),
            read,
            execute,
            clock,
            in_force: Arc::new(in_force),
            last: Arc::default(),
        })
    }

    /// The rates in force, as they change.
    pub fn in_force(&self) -> watch::Receiver<Arc<RatesRow>> {
        self.in_force.subscribe()
    }

    /// Asks the source if it is time, and says in the log what came of it.
    pub(crate) async fn turn(&self) {
        let Some(config) = &self.config else { return };
        let now = (self.clock)();
        let asked_at = self.last().asked_at;
        // A clock that was put back does not keep the source from being asked.
        if asked_at.is_some_and(|at| at <= now && now < at.after(config.every)) {
            return;
        }
        match self.refresh().await {
            Ok(set) => tracing::debug!(at = %set.at, source = set.source, "rates are in force"),
            Err(error) => {
                tracing::error!(%error, "the rates are refused, those before stay until they are too old");
            }
        }
    }

    /// Asks the source now, and puts what it says into force.
    pub async fn refresh(&self) -> Result<RateSet, RatesError> {
        let config = self.config.clone().ok_or(RatesError::NotConfigured)?;
        let result = self.refresh_by(&config).await;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last =
            Last { asked_at: Some((self.clock)()), refusal: result.as_ref().err().map(ToString::to_string) };
        result
    }

    async fn refresh_by(&self, config: &RatesConfig) -> Result<RateSet, RatesError> {
        let set = asked(config, &self.assets, (self.clock)()).await?;
        let known = self.read.rates()?;
        judge::is_not_wild(&set, known.current.as_ref(), config, (self.clock)())?;
        let command = Command::AcceptRates(AcceptRates { set: set.clone() });
        self.execute.execute(command).await.map_err(RatesError::Books)?;
        self.in_force.send_replace(Arc::new(self.read.rates()?));
        Ok(set)
    }

    fn last(&self) -> Last {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What a source says, as far as it is believed without knowing what it said before.
async fn asked(config: &RatesConfig, assets: &AssetTable, now: Timestamp) -> Result<RateSet, RatesError> {
    let bytes = source::fetch(&config.source).await?;
    let feed = feed::read(config.format, &bytes)?;
    Ok(judge::judge(feed, &config.source.name(), assets, config.max_age, now)?)
}

/// What is wrong with the source of a configuration, if anything is: it is asked once.
pub async fn look(config: &RatesConfig, assets: &AssetTable, now: Timestamp) -> Result<RateSet, RatesError> {
    asked(config, assets, now).await
}

#[cfg(test)]
mod tests;
