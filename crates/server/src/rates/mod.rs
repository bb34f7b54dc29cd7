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
mod tally;

use std::sync::{Arc, Mutex, PoisonError};

use farthing_engine::{AcceptRates, Command, Execute, Fault, FaultKind, RateSet, RatesRow, Read, Refusal};
use farthing_gate::flow::CurrencyTerms;
use farthing_money::{Asset, AssetTable, Span, Timestamp};
use farthing_store::Clock;
use thiserror::Error;
use tokio::sync::watch;

pub use feed::{Format, FormatError};
pub use judge::RateRefusal;
pub use listing::{RateLine, RateListing};
pub use source::{Source, SourceError};
pub use tally::RateTally;

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
    /// It was asked by a configuration that holds no more.
    #[error("the configuration has changed while {0} was asked, and what it says was dropped; ask again")]
    Overtaken(String),
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
    config: Arc<Mutex<Option<Arc<RatesConfig>>>>,
    terms: Arc<watch::Sender<Arc<CurrencyTerms>>>,
    assets: AssetTable,
    read: Arc<dyn Read>,
    execute: Arc<dyn Execute>,
    clock: Clock,
    in_force: Arc<watch::Sender<Arc<RatesRow>>>,
    last: Arc<Mutex<Last>>,
    /// Held from the last look at the configuration until rates are in force, and while that changes: so none come into force of a
    /// source that is named no more.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// How the last question came out, and all of them since the start.
#[derive(Clone, Debug, Default)]
struct Last {
    asked_at: Option<Timestamp>,
    refusal: Option<String>,
    tally: RateTally,
}

impl RateDesk {
    /// With the rates that the books have.
    pub(crate) fn open(
        (config, accepts): (Option<&RatesConfig>, &[Asset]),
        assets: &AssetTable,
        (read, execute): (Arc<dyn Read>, Arc<dyn Execute>),
        clock: Clock,
    ) -> Result<Self, Fault> {
        let (in_force, _) = watch::channel(Arc::new(read.rates()?));
        let (terms, _) = watch::channel(Arc::new(terms_of(config, accepts, assets)));
        Ok(Self {
            config: Arc::new(Mutex::new(config.map(|config| Arc::new(config.clone())))),
            terms: Arc::new(terms),
            assets: assets.clone(),
            read,
            execute,
            clock,
            in_force: Arc::new(in_force),
            last: Arc::default(),
            turn: Arc::default(),
        })
    }

    /// The rates in force, as they change.
    pub fn in_force(&self) -> watch::Receiver<Arc<RatesRow>> {
        self.in_force.subscribe()
    }

    /// On which terms they are used, as those change.
    pub fn terms(&self) -> watch::Receiver<Arc<CurrencyTerms>> {
        self.terms.subscribe()
    }

    /// Goes on by another configuration. Rates that are in force stay, as far as the new one believes them; another source is
    /// asked as soon as anybody looks. What payers were told before counts as a price that has changed. When this ends nothing comes into
    /// force any more that the old one has judged.
    pub async fn reload(&self, config: Option<&RatesConfig>, accepts: &[Asset]) {
        let _turn = self.turn.lock().await;
        let new = config.map(|config| Arc::new(config.clone()));
        let is_other = {
            let mut known = self.config.lock().unwrap_or_else(PoisonError::into_inner);
            let is_other = *known != new;
            // The same one stays itself: who is asking meanwhile goes by that.
            if is_other {
                *known = new;
            }
            is_other
        };
        if is_other {
            self.last.lock().unwrap_or_else(PoisonError::into_inner).asked_at = None;
        }
        self.terms.send_replace(Arc::new(terms_of(config, accepts, &self.assets)));
    }

    fn config(&self) -> Option<Arc<RatesConfig>> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the source if it is time, and says in the log what came of it.
    pub(crate) async fn turn(&self) {
        let Some(config) = self.config() else { return };
        let now = (self.clock)();
        let asked_at = self.last().asked_at;
        // A clock that was put back does not keep the source from being asked.
        if asked_at.is_some_and(|at| at <= now && now < at.after(config.every)) {
            return;
        }
        match self.refresh().await {
            Ok(set) => tracing::debug!(at = %set.at, source = set.source, "rates are in force"),
            Err(error @ RatesError::Overtaken(_)) => tracing::info!(%error, "the rates are asked for anew"),
            Err(error) => {
                tracing::error!(%error, "the rates are refused, those before stay until they are too old");
            }
        }
    }

    /// Asks the source now, and puts what it says into force, unless the configuration names another one meanwhile.
    pub async fn refresh(&self) -> Result<RateSet, RatesError> {
        let desk = self.clone();
        to_its_end(async move { desk.ask().await }).await
    }

    async fn ask(&self) -> Result<RateSet, RatesError> {
        let config = self.config().ok_or(RatesError::NotConfigured)?;
        let said = source::fetch(&config.source).await.map_err(RatesError::Source);
        let _turn = self.turn.lock().await;
        if !self.goes_by(&config) {
            return Err(RatesError::Overtaken(config.source.name()));
        }
        let result = match said {
            Ok(said) => self.judge(&config, &said).await,
            Err(error) => Err(error),
        };
        self.remember(&config, &result);
        result
    }

    /// Puts into force what somebody says, if it is believed, as if it came from the source.
    pub async fn take(&self, said: &[u8]) -> Result<RateSet, RatesError> {
        let (desk, said) = (self.clone(), said.to_vec());
        to_its_end(async move {
            let _turn = desk.turn.lock().await;
            let config = desk.config().ok_or(RatesError::NotConfigured)?;
            let result = desk.judge(&config, &said).await;
            desk.remember(&config, &result);
            result
        })
        .await
    }

    fn goes_by(&self, config: &Arc<RatesConfig>) -> bool {
        self.config().is_some_and(|known| Arc::ptr_eq(&known, config))
    }

    /// How a question came out. Of another configuration's it says nothing about when to ask by this one.
    fn remember(&self, config: &Arc<RatesConfig>, result: &Result<RateSet, RatesError>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if self.goes_by(config) {
            last.asked_at = Some((self.clock)());
        }
        last.refusal = result.as_ref().err().map(ToString::to_string);
        last.tally.count(result.as_ref().err());
    }

    async fn judge(&self, config: &RatesConfig, said: &[u8]) -> Result<RateSet, RatesError> {
        let set = read(config, &self.assets, said, (self.clock)())?;
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

/// Whoever stops waiting leaves nothing half done: what is in line for the books is in force once it is there.
async fn to_its_end(
    work: impl Future<Output = Result<RateSet, RatesError>> + Send + 'static,
) -> Result<RateSet, RatesError> {
    tokio::spawn(work).await.unwrap_or_else(|_| {
        let message = "taking rates has broken off; ask for them again";
        Err(Fault::new(FaultKind::Stopped, message).into())
    })
}

/// What of a configuration the gate goes by. Assets that came into it since the start have no keyset yet, so nobody can pay in them.
fn terms_of(config: Option<&RatesConfig>, accepts: &[Asset], assets: &AssetTable) -> CurrencyTerms {
    let is_known = |asset: &&Asset| assets.by_unit(asset.unit().as_str()) == Some(**asset);
    CurrencyTerms {
        accepts: accepts.iter().filter(is_known).copied().collect(),
        spread: config.map_or(0, |config| config.spread),
        max_age: config.map_or(Span::ZERO, |config| config.max_age),
    }
}

/// What somebody says, as far as it is believed without knowing what was said before. Whatever the bytes are, there is an answer.
pub fn read(
    config: &RatesConfig,
    assets: &AssetTable,
    said: &[u8],
    now: Timestamp,
) -> Result<RateSet, RatesError> {
    let feed = feed::read(config.format, said)?;
    Ok(judge::judge(feed, &config.source.name(), assets, config.max_age, now)?)
}

/// What is wrong with the source of a configuration, if anything is: it is asked once.
pub async fn look(config: &RatesConfig, assets: &AssetTable, now: Timestamp) -> Result<RateSet, RatesError> {
    let said = source::fetch(&config.source).await?;
    read(config, assets, &said, now)
}

#[cfg(test)]
mod tests;
