//! An open installation: books, seed, keysets and the writer. What a crash left on hold is released here.
//!
//! [`Installation::open`] opens a data folder; [`Installation::over`] does the part that does not depend on where the
//! rows are kept, so that a simulation starts as the real program does.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ed25519_dalek::SigningKey;
use farthing_channel::{Address, SigningKey as SigningKeyOnChains};
use farthing_engine::{
    Chart, Command, ExchangeAccounts, Execute, Fault, Keyring, KeyringReject, KeysetRow, Read, Record,
    Refusal, end_of, is_given_back, release_of,
};
use farthing_evm::ChainConfig;
use farthing_gate::{SessionLimits, Sessions};
use farthing_ledger::{Account, AccountId, AccountKind};
use farthing_money::{Asset, AssetTable, Span};
use farthing_store::{
    Clock, Fjall, Freeze, RowStore, TapeThread, TapeWriter, Writer, WriterOptions, WriterThread,
};
use thiserror::Error;
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::chains;
use crate::config::{
    ChainSection, Config, CreditSale, IssuerConfig, Passphrase, PassphraseError, PayoutWay, PayoutsConfig,
    environment,
};
use crate::issuer_api::Events;
use crate::keysets::Keysets;
use crate::random::{Random, system_random};
use crate::rates::RateDesk;
use crate::seed::{Purpose, Seed, SeedError, private_folder};

/// The folder of the books in a data folder.
pub const BOOKS_FOLDER: &str = "books";

/// What an installation is opened over.
pub struct Parts {
    /// Committed rows.
    pub books: Arc<dyn Read>,
    /// The writer of these rows.
    pub writer: Arc<dyn Execute>,
    /// The secret from which every key is derived.
    pub seed: Seed,
    /// What changed: the writer tells its observer.
    pub events: Events,
    /// What time it is.
    pub clock: Clock,
    /// Draws codes and ids.
    pub random: Random,
}

/// An open installation. One program at a time has it; clones share it.
#[derive(Clone)]
pub struct Installation {
    /// Committed rows.
    pub books: Arc<dyn Read>,
    /// The writer.
    pub writer: Arc<dyn Execute>,
    /// The keysets, as they are now.
    pub keyring: watch::Receiver<Arc<Keyring>>,
    /// Who opens and retires them.
    pub keysets: Arc<Keysets>,
    /// What money is counted in.
    pub assets: AssetTable,
    /// The merchant's name, as its accounts carry it.
    pub merchant: String,
    /// Signs receipts, passes and notes to the upstream.
    pub receipts: SigningKey,
    /// Authenticates challenges.
    pub challenges: Zeroizing<[u8; 32]>,
    /// Makes the secrets of change that nobody blinded.
    pub change: Zeroizing<[u8; 32]>,
    /// Seals the terms of quotes that are not written down.
    pub terms: Zeroizing<[u8; 32]>,
    /// What changed, for who listens.
    pub events: Events,
    /// What time it is.
    pub clock: Clock,
    /// Draws codes and ids.
    pub random: Random,
    /// How long an epoch lasts, at whose end it is stated what is owed.
    pub epoch: Span,
    /// The chains that payers may pay on.
    pub chains: Vec<ChainConfig>,
    /// For which of their tokens credits are bought and sold.
    pub credit_sales: Vec<CreditSale>,
    /// Our own account on them; none without chains.
    pub chain_account: Option<SigningKeyOnChains>,
    /// Derives the keys of addresses at which mint quotes take transfers.
    pub inlets: Zeroizing<[u8; 32]>,
    /// Derives what sellers show, for whom we settle.
    pub sellers: Zeroizing<[u8; 32]>,
    /// Rates between currencies.
    pub rates: RateDesk,
    /// How merchants are paid.
    pub payouts: Arc<PayoutsConfig>,
    /// Makes the texts of top-up codes that payouts become.
    pub payout_codes: Zeroizing<[u8; 32]>,
    /// Makes the texts of top-up codes that refunds become.
    pub refund_codes: Zeroizing<[u8; 32]>,
    /// How many payments a crash had left on hold.
    pub released: usize,
    /// All rows, for a backup; none where they are not in a folder.
    pub rows: Option<Arc<dyn Freeze>>,
    /// Sessions; none where nobody writes their tape.
    pub sessions: Option<Arc<Sessions>>,
    thread: Arc<Mutex<Option<WriterThread>>>,
    tape: Arc<Mutex<Option<TapeThread>>>,
}

/// Why a data folder does not open.
#[derive(Debug, Error)]
pub enum OpenError {
    /// No passphrase was given.
    #[error(
        "the seed needs a passphrase: set passphrase_file in [issuer], or the environment variable FARTHING_PASSPHRASE"
    )]
    NoPassphrase,
    /// The passphrase cannot be read.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The folder cannot be made.
    #[error("the data folder {}: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The seed stays closed.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The books cannot be read or written.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The keysets do not fit the books.
    #[error(transparent)]
    Keyring(#[from] KeyringReject),
    /// The seed makes no key for chains.
    #[error("the seed makes no account on chains: {0}; please report this")]
    Account(String),
    /// The books refuse what an opening needs.
    #[error("the books refuse to open: {0}")]
    Refused(Refusal),
    /// The configuration counts an asset otherwise than the books do.
    #[error(
        "the books count {unit} with {recorded} decimals, the configuration says {configured}; an asset never changes, name a new unit"
    )]
    AssetChanged {
        /// The unit.
        unit: String,
        /// Decimals in the books.
        recorded: u8,
        /// Decimals in the configuration.
        configured: u8,
    },
}

/// The passphrase that the environment or the configuration names.
pub fn passphrase(config: &IssuerConfig) -> Result<Passphrase, OpenError> {
    config.passphrase(environment::passphrase()?)?.ok_or(OpenError::NoPassphrase)
}

impl Installation {
    /// Opens the folder that the configuration names, making it if there is none.
    pub async fn open(config: &Config, passphrase: &Passphrase, clock: Clock) -> Result<Self, OpenError> {
        let folder: &Path = &config.server.data;
        private_folder(folder).map_err(|source| OpenError::Folder { path: folder.to_owned(), source })?;
        let rows = Arc::new(Fjall::open(&folder.join(BOOKS_FOLDER))?);
        let books = RowStore::open(Arc::clone(&rows))?;
        let seed = Seed::open(folder, passphrase, books.keysets()?.is_empty())?;
        let events = Events::default();
        let options = WriterOptions::default();
        let (writer, thread) = Writer::start(books.clone(), options, Arc::clone(&clock), events.observer())?;
        let (tape, tape_thread) = TapeWriter::start(books.clone())?;
        let (books, writer) = (Arc::new(books), Arc::new(writer));
        let parts = Parts { books, writer, seed, events, clock, random: system_random() };
        let mut opened = Self::over(config, parts).await?;
        opened.rows = Some(rows);
        opened.open_sessions(Arc::new(tape), config.sessions.limits).await?;
        *opened.tape.lock().unwrap_or_else(PoisonError::into_inner) = Some(tape_thread);
        *opened.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(opened)
    }

    /// Opens what these rows are: the accounts and keysets that the configuration asks for, and nothing left on hold.
    pub async fn over(config: &Config, parts: Parts) -> Result<Self, OpenError> {
        let Parts { books, writer, seed, events, clock, random } = parts;
        same_assets(&books.keysets()?, &config.assets)?;
        let account = (!config.chains.is_empty()).then(|| chain_account(&seed)).transpose()?;
        let own = account.as_ref().map_or(Address::ZERO, SigningKeyOnChains::address);
        let chains = chains::configured(&config.chains, own);
        open_books(&*writer, config, &chains).await?;
        let key = seed.key(Purpose::Keysets);
        let keysets = Keysets::new(key, config, Arc::clone(&books), Arc::clone(&writer));
        keysets.rotate(clock()).await?;
        let both = (Arc::clone(&books), Arc::clone(&writer));
        let asked = (config.rates.as_ref(), &config.gate.accepts[..]);
        let rates = RateDesk::open(asked, &config.assets, both, Arc::clone(&clock))?;
        let mut held = books.held()?;
        held.retain(|(_, row)| is_given_back(row));
        for (payment, row) in &held {
            let channel = row.channel.map(|channel| books.channel(channel)).transpose()?.flatten();
            let ended = execute(&*writer, end_of(*payment, row, channel.as_ref())).await;
            if let Err(OpenError::Refused(refusal)) = ended {
                // Such as change on outputs that its payer has had signed for something else meanwhile.
                tracing::error!(%refusal, %payment, "what was metered cannot be charged; all of it goes back");
                execute(&*writer, release_of(*payment, row)).await?;
            } else {
                ended?;
            }
        }
        Ok(Self {
            books,
            writer,
            keyring: keysets.keyring(),
            keysets: Arc::new(keysets),
            assets: config.assets.clone(),
            merchant: config.server.merchant.clone(),
            receipts: SigningKey::from_bytes(&seed.key(Purpose::Receipts)),
            challenges: seed.key(Purpose::Challenges),
            change: seed.key(Purpose::Change),
            terms: seed.key(Purpose::Terms),
            events,
            clock,
            random,
            epoch: config.issuer.epoch,
            chains,
            credit_sales: config.chains.iter().flat_map(ChainSection::sales).copied().collect(),
            chain_account: account,
            inlets: seed.key(Purpose::Inlets),
            sellers: seed.key(Purpose::Sellers),
            rates,
            payouts: Arc::new(config.payouts.clone()),
            payout_codes: seed.key(Purpose::PayoutCodes),
            refund_codes: seed.key(Purpose::RefundCodes),
            released: held.len(),
            rows: None,
            sessions: None,
            thread: Arc::default(),
            tape: Arc::default(),
        })
    }

    /// Brings what a crash left on the tape into the books, and offers sessions from then on.
    pub async fn open_sessions(
        &mut self,
        record: Arc<dyn Record>,
        limits: SessionLimits,
    ) -> Result<(), OpenError> {
        let (read, execute) = (Arc::clone(&self.books), Arc::clone(&self.writer));
        let sessions = Arc::new(Sessions::new(read, execute, record, limits)?);
        sessions.fold().await.map_err(|refusal| match refusal {
            Refusal::Fault(fault) => OpenError::Fault(fault),
            refusal => OpenError::Refused(refusal),
        })?;
        self.sessions = Some(sessions);
        Ok(())
    }

    /// The merchant's account of an asset.
    pub fn merchant_account(&self, asset: Asset) -> AccountId {
        Chart::of(asset).merchant(&self.merchant).id()
    }

    /// Waits for the last commit. Other holders of the writer must be gone, clones of this too.
    pub fn close(self) {
        let Self { writer, keysets, sessions, thread, tape, rows, rates, .. } = self;
        drop((writer, keysets, sessions, rates));
        let tape = tape.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(tape) = tape {
            tape.join();
        }
        let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.join();
        }
        if let Some(rows) = rows {
            rows.rest();
        }
    }
}

pub(crate) async fn execute(writer: &dyn Execute, command: Command) -> Result<(), OpenError> {
    writer.execute(command).await.map(drop).map_err(|refusal| match refusal {
        Refusal::Fault(fault) => OpenError::Fault(fault),
        refusal => OpenError::Refused(refusal),
    })
}

fn same_assets(known: &[KeysetRow], assets: &AssetTable) -> Result<(), OpenError> {
    for recorded in known.iter().map(|row| row.asset) {
        if let Some(configured) = assets.by_unit(recorded.unit().as_str())
            && configured != recorded
        {
            let unit = recorded.unit().to_string();
            return Err(OpenError::AssetChanged {
                unit,
                recorded: recorded.scale(),
                configured: configured.scale(),
            });
        }
    }
    Ok(())
}

/// The key of our own account on chains.
fn chain_account(seed: &Seed) -> Result<SigningKeyOnChains, OpenError> {
    // One in 2^128 seeds has none.
    SigningKeyOnChains::from_bytes(*seed.key(Purpose::Chains))
        .map_err(|error| OpenError::Account(error.to_string()))
}

async fn open_books(writer: &dyn Execute, config: &Config, chains: &[ChainConfig]) -> Result<(), OpenError> {
    let accounts = config.assets.iter().flat_map(|asset| Chart::of(asset).accounts());
    let accounts = accounts.chain(accounts_of(config)).chain(chains::accounts(chains));
    let accounts = accounts.chain(payout_accounts(&config.payouts));
    execute(writer, Command::OpenAccounts(accounts.collect())).await
}

/// The accounts that the prices need: those of whoever earns, and those of exchanges.
pub(crate) fn accounts_of(config: &Config) -> Vec<Account> {
    let mut merchants = config.rules.merchants();
    merchants.insert(&config.server.merchant);
    let of = |asset| merchants.iter().map(move |merchant| Chart::of(asset).merchant(merchant));
    let mut accounts: Vec<Account> = config.assets.iter().flat_map(of).collect();
    if config.rates.is_some() {
        // What is paid in another asset than the price's goes through these.
        let others = |asset: Asset| config.assets.iter().filter(move |other| *other != asset);
        let pairs = config.assets.iter().flat_map(|one| others(one).map(move |other| (one, other)));
        accounts.extend(pairs.flat_map(|(one, other)| ExchangeAccounts::between(one, other)));
        accounts.sort_by_key(Account::id);
        accounts.dedup_by_key(|account| account.id());
    }
    accounts
}

/// The accounts of merchants that are paid, and of the bank that some of them are paid from.
fn payout_accounts(payouts: &PayoutsConfig) -> Vec<Account> {
    let mut accounts = Vec::new();
    for terms in &payouts.merchants {
        let chart = Chart::of(terms.asset);
        accounts.push(chart.merchant(&terms.name));
        if matches!(terms.way, PayoutWay::Bank { .. }) {
            accounts.push(chart.own(&payouts.bank, AccountKind::Asset));
        }
    }
    accounts
}
