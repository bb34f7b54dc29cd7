//! Mint quotes of the method `trial`: a newcomer gets credits for nothing, at the merchant's expense.
//!
//! Nobody can prove that he is new. So newcomers are counted by their networks, under names that nobody can read, and all of them
//! together have an end. A quote belongs to a key (NUT-20), and its id is made of it: who has lost the answer asks again and gets the same.

use axum::response::Response;
use farthing_ecash::PublicKey;
use farthing_engine::{Answer, Chart, Command, MintQuoteRow, OpenTrial, QuoteId, TrialCount};
use farthing_gate::count::{self, CountKeys, GRACE, KeyPorts};
use farthing_gate::rule::Trial;
use farthing_gate::{Network, Rules};
use farthing_money::{Amount, Asset};
use tokio::sync::watch;

use super::{Issuer, IssuerError, body};
use crate::seed::mac;

/// The method that trials are.
pub(super) const TRIAL: &str = "trial";
/// What the path of a request for one ends with.
const PATH: &str = "/v1/mint/quote/trial";

/// What newcomers get, as the prices say it now.
pub struct Trials {
    rules: Option<watch::Receiver<std::sync::Arc<Rules>>>,
    trusted: Vec<Network>,
    keys: CountKeys,
}

/// The neighbourhood that a request for a trial comes from.
#[derive(Clone, Default)]
pub(super) struct AskedFrom(pub(super) Option<Vec<u8>>);

impl Trials {
    /// By these prices; `trusted` are the proxies that are believed about who asks.
    pub fn new(rules: watch::Receiver<std::sync::Arc<Rules>>, trusted: Vec<Network>) -> Self {
        Self { rules: Some(rules), trusted, keys: CountKeys::default() }
    }

    /// None for anybody.
    pub fn none() -> Self {
        Self { rules: None, trusted: Vec::new(), keys: CountKeys::default() }
    }

    pub(super) fn given(&self) -> Option<Trial> {
        self.rules.as_ref()?.borrow().trial()
    }

    /// From where a request for a trial comes; nothing for all other requests, where nobody looks.
    pub(super) fn from(&self, request: &axum::extract::Request) -> Option<AskedFrom> {
        let is_asked = request.uri().path().ends_with(PATH);
        let of = || {
            farthing_gate::network::neighbourhood_of(request.extensions(), request.headers(), &self.trusted)
        };
        is_asked.then(|| AskedFrom(of()))
    }
}

impl Issuer {
    /// The methods of mint quotes: those of both ways, and trials if there are any.
    pub(super) fn mint_method(&self, name: &str) -> Result<&'static str, IssuerError> {
        if name == TRIAL && self.trials.given().is_some() { Ok(TRIAL) } else { self.method(name) }
    }

    /// Opens the quote of a trial, which is paid. Whoever asks with the same key again gets the same quote.
    pub(super) async fn open_trial(
        &self,
        asset: Asset,
        amount: Option<u64>,
        (pubkey, from): (Option<PublicKey>, AskedFrom),
    ) -> Result<Response, IssuerError> {
        let trial = self.trials.given().ok_or_else(|| self.no_trial())?;
        if trial.amount.asset() != asset {
            let expected = trial.amount.asset().unit();
            return Err(IssuerError::malformed(format!(
                "trials are of the unit {expected}, got {}",
                asset.unit()
            )));
        }
        if amount.is_some_and(|amount| Amount::from(amount) != trial.amount.amount()) {
            return Err(IssuerError::malformed(format!(
                "a trial is of {}; leave the amount out",
                trial.amount
            )));
        }
        let pubkey = pubkey.ok_or_else(|| {
            IssuerError::malformed(
                "method \"trial\" needs the member \"pubkey\" (NUT-20): the same key gets the same trial",
            )
        })?;
        let (now, pubkey) = (self.now(), pubkey.to_string());
        let period = trial.per.at(now);
        let ports = KeyPorts { execute: &*self.execute, read: &*self.read, random: &self.random };
        let key = self.trials.keys.of(ports, period, now).await?;
        // Where no accept loop of ours says who asks, nobody is told from anybody.
        let count = |kind: &str, who: &[u8]| {
            let per = trial.per.as_str();
            count::name(
                &key,
                mac(&self.terms, &[format!("farthing/trial/1/{per}/{kind}/").as_bytes(), who].concat()),
            )
        };
        let quote = mac(&self.terms, format!("farthing/trial/1/quote/{}/{pubkey}", asset.unit()).as_bytes());
        let quote = QuoteId::from_bytes(quote.first_chunk().copied().unwrap_or_default());
        let row = MintQuoteRow {
            method: TRIAL.to_owned(),
            request: String::new(),
            asset,
            amount: trial.amount.amount(),
            paid: Amount::ZERO,
            issued: Amount::ZERO,
            source: Chart::of(asset).marketing,
            code: None,
            pubkey: Some(pubkey),
            expires_at: None,
            updated_at: now,
            tag: None,
            payment: None,
            inlet: false,
        };
        let command = OpenTrial {
            quote,
            row,
            network: TrialCount {
                count: count("network", &from.0.unwrap_or_default())?,
                limit: trial.newcomers,
            },
            all: TrialCount { count: count("all", &[])?, limit: trial.most },
            until: period.ends.after(GRACE),
        };
        match self.execute.execute(Command::OpenTrial(command)).await? {
            Answer::MintQuote(id, row) => body::write(&self.shown_mint(&id.to_string(), id, &row)),
            _ => Err(IssuerError::internal("a mint quote was expected of the engine")),
        }
    }

    fn no_trial(&self) -> IssuerError {
        IssuerError::unknown_method(TRIAL, &self.methods().join(", "))
    }
}
