//! The one TOML file: read whole, every mistake reported at once with its line, column and a hint.
//!
//! [`Config::read`] is pure; [`Config::load`] reads the file and looks whether the files that it names are there.
//! Nothing is bound or opened before the configuration is whole.

mod assets;
mod cases;
mod chains;
mod channels;
pub mod environment;
mod features;
mod gate;
mod issuer;
mod key_words;
mod keys;
mod meter;
mod mistake;
mod origin;
mod passes;
mod passphrase;
mod payouts;
mod people;
mod prices;
mod quota;
mod rates;
mod refunds;
mod section;
mod server;
mod sessions;
mod source;
mod spelling;
mod split;
mod teaser;
#[cfg(test)]
mod tests;
mod trial;
mod watched;
mod x402;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use farthing_gate::Rules;
use farthing_money::AssetTable;
use thiserror::Error;

pub use chains::{ChainSection, CreditSale, FacilitatorConfig};
pub use features::FeaturesConfig;
pub use gate::{GateConfig, RequestForms};
pub use issuer::IssuerConfig;
pub use keys::{KeyNote, keys};
pub use mistake::Mistake;
pub use origin::{Origin, OriginError};
pub use passphrase::{Passphrase, PassphraseError};
pub use payouts::{Debtor, Every, MerchantTerms, PayoutWay, PayoutsConfig};
pub use people::PeopleConfig;
pub use rates::RatesConfig;
pub use server::{LimitConfig, ServerConfig, TimeoutConfig, TlsConfig};
pub use sessions::SessionsConfig;
pub use watched::Watched;
pub use x402::X402Config;

use section::Section;
use source::{NamedFile, Source};

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where requests come in and what stands behind.
    pub server: ServerConfig,
    /// The issuer of credits.
    pub issuer: IssuerConfig,
    /// What money is counted in.
    pub assets: AssetTable,
    /// What costs how much.
    pub rules: Rules,
    /// Where rates between currencies come from.
    pub rates: Option<RatesConfig>,
    /// How the 402 looks.
    pub gate: GateConfig,
    /// What sessions may be like.
    pub sessions: SessionsConfig,
    /// The extensions of x402.
    pub x402: X402Config,
    /// Where payers may pay with tokens.
    pub chains: Vec<ChainSection>,
    /// For whom else we settle there.
    pub facilitator: FacilitatorConfig,
    /// How merchants are paid.
    pub payouts: PayoutsConfig,
    /// Of whom the merchant knows.
    pub people: PeopleConfig,
    /// How the seller's own software asks for features.
    pub features: FeaturesConfig,
    /// The files that it was made of, none if it was no file.
    watched: Vec<Watched>,
}

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It has mistakes.
    #[error("{}", lines(.0))]
    Mistakes(Vec<Mistake>),
}

fn lines(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl Config {
    /// Reads the text of a file called `path`; relative paths in it are relative to that file's folder.
    pub fn read(text: &str, path: &Path) -> Result<Self, Vec<Mistake>> {
        Self::read_with_files(text, path).map(|(config, _)| config)
    }

    /// Reads a file and looks whether the files that it names can be read.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let unreadable = |source| LoadError::Unreadable { path: path.to_owned(), source };
        let mut watched = vec![Watched::before_reading(path)];
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let (config, files) = Self::read_with_files(&text, path).map_err(LoadError::Mistakes)?;
        let named = config.people.files().chain(config.features.file());
        watched.extend(named.map(Watched::before_reading));
        let mut mistakes: Vec<Mistake> = files.iter().filter_map(|file| missing(file, path)).collect();
        if !mistakes.is_empty() {
            return Err(LoadError::Mistakes(mistakes));
        }
        let people = people::load(&config.people, path, &mut mistakes);
        let rules = config.rules.clone().knowing(people);
        let rules = features::load(&config.features, rules, path, &mut mistakes);
        if mistakes.is_empty() {
            Ok(Self { rules, watched, ..config })
        } else {
            Err(LoadError::Mistakes(mistakes))
        }
    }

    /// The files that prices, and who pays which, were read from: this one, and those of keys and networks that it names.
    pub fn watched_files(&self) -> Vec<Watched> {
        self.watched.clone()
    }

    fn read_with_files(text: &str, path: &Path) -> Result<(Self, Vec<NamedFile>), Vec<Mistake>> {
        let source = Source::new(text, path);
        let (document, torn) = source.parse();
        let config = document.as_ref().and_then(|document| read_sections(&source, document.as_table(), torn));
        let files = source.finish()?;
        // Whatever cannot be read leaves a mistake behind, so that a file without mistakes is a configuration; a test
        // tries it with hostile texts.
        config.map(|config| (config, files)).ok_or_else(Vec::new)
    }
}

fn read_sections(source: &Source<'_>, table: &toml_edit::Table, torn: bool) -> Option<Config> {
    let root = Section::root(source, table);
    let server = server::read(root.section("server", "[server]"), source, torn);
    let issuer = issuer::read(root.section("issuer", "[issuer]"));
    let assets = assets::read(root.sections("asset", "[[asset]]"), torn);
    let chains = chains::read(&root, &assets, torn);
    let rules = prices::read(&root, source, (&assets, &chains), torn);
    let rates = rates::read(root.section("rates", "[rates]"), source, torn);
    let gate = gate::read(root.section("gate", "[gate]"), &assets);
    needs_rates(&root, source, rates.is_some() || torn);
    let sessions = sessions::read(root.section("sessions", "[sessions]"));
    let rules = passes::read(&root, rules, &assets, torn);
    let (features, rules) = features::read(&root, source, (rules, &assets), torn);
    let rules = trial::read(root.section("trial", "[trial]"), rules, &assets, torn);
    let x402 = x402::read(root.section("x402", "[x402]"));
    let facilitator = chains::read_facilitator(root.section("facilitator", "[facilitator]"), &chains.read);
    let payouts = payouts::read(&root, &assets, &chains, torn);
    let people = people::read(&root, source, torn);
    people::judge(&root, &people);
    root.finish();
    let (rules, chains) = (rules?, chains.read);
    Some(Config {
        server: server?,
        issuer,
        assets,
        rules,
        rates,
        gate,
        sessions,
        x402,
        chains,
        facilitator,
        payouts,
        people,
        features,
        watched: Vec::new(),
    })
}

/// What is accepted in other assets needs rates.
fn needs_rates(root: &Section<'_>, source: &Source<'_>, has_rates: bool) {
    if has_rates || root.has("rates") {
        return;
    }
    let sections = root.sections("price", "[[price]]").into_iter().chain([root.section("gate", "[gate]")]);
    if let Some(section) = sections.into_iter().find(|section| section.has("accepts")) {
        let hint = "add [rates] with a source, or leave accepts out";
        let message = "accepts: expected a section [rates] to know what other assets are worth, got none";
        source.mistake(section.at(), message.to_owned(), Some(hint.to_owned()));
    }
}

fn missing(file: &NamedFile, config: &Path) -> Option<Mistake> {
    let opened = File::open(&file.path).and_then(|opened| opened.metadata());
    let reason = match opened {
        Ok(metadata) if metadata.is_file() => return None,
        Ok(_) => "it is not a file".to_owned(),
        Err(error) => error.to_string(),
    };
    Some(Mistake {
        file: config.to_owned(),
        line: file.line,
        column: file.column,
        message: format!(
            "{}: expected a file that can be read, got {}: {reason}",
            file.key,
            file.path.display()
        ),
        hint: Some("paths are relative to the configuration's folder".to_owned()),
    })
}
