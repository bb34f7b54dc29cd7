//! The port behind which the wallet keeps what it must never forget: rows in, rows out, all or nothing.

use std::collections::BTreeMap;
use std::fmt;

use farthing_channel::ChannelId;
use farthing_ecash::{KeysetId, Y};
use farthing_money::Unit;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::attempt::Attempt;
use crate::audit::Audited;
use crate::budget::{Limits, Rule, Scope, Spent};
use crate::chain::{AccountAddress, ChainId, Token};
use crate::channel::{Channel, ChannelPolicy, RememberedOffer};
use crate::credit::Credit;
use crate::history::Entry;
use crate::mandate::{Given, Taken};
use crate::merchant::{Signer, StoredPass};
use crate::mint::Mint;
use crate::parked::Parked;
use crate::sealed::Sealed;
use crate::session::Session;
use crate::subscription::Subscription;

/// One thing that is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Row {
    /// The seed, sealed.
    Seed(Sealed),
    /// The numbers that are given out next.
    Numbers(Numbers),
    /// A mint and its keysets.
    Mint(Box<Mint>),
    /// How far a keyset's derivation is used up.
    Counter {
        /// The keyset.
        keyset: KeysetId,
        /// The next counter that is free.
        next: u32,
    },
    /// A credit.
    Credit(Box<Credit>),
    /// Something that was begun.
    Attempt(Box<Attempt>),
    /// Something that is over.
    Entry(Box<Entry>),
    /// The limits of a unit.
    Limits(Box<Limits>),
    /// What was spent.
    Spent(Spent),
    /// A pass.
    Pass(StoredPass),
    /// The key with which a host signs its receipts.
    Signer(Signer),
    /// What an issuer's statements said when they were last looked at.
    Audited(Box<Audited>),
    /// A token that the owner has named or blocked.
    Token(Box<Token>),
    /// Where a node of a chain can be asked.
    Node {
        /// The chain.
        chain: ChainId,
        /// The address.
        url: String,
    },
    /// A channel.
    Channel(Box<Channel>),
    /// Whether channels are opened without being asked for.
    ChannelPolicy(ChannelPolicy),
    /// An offer that was paid through a channel.
    Offer(Box<RememberedOffer>),
    /// An own rule of the budget.
    Rule(Box<Rule>),
    /// A request that waits for the owner's yes, or has it.
    Parked(Box<Parked>),
    /// A mandate that was taken in.
    Mandate(Box<Taken>),
    /// A mandate that was given.
    Given(Box<Given>),
    /// A session.
    Session(Box<Session>),
    /// A subscription.
    Subscription(Box<Subscription>),
}

/// The numbers that are given out next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    /// For attempts.
    pub attempt: u64,
    /// For the keys that lock quotes (NUT-20).
    pub quote_key: u32,
    /// For the chains of sessions.
    #[serde(default)]
    pub session: u32,
    /// Whether the wallet was made from words that had a wallet before, which has used counters that nobody knows of.
    #[serde(default)]
    pub restored: bool,
}

/// Under which name a row is kept: its kind, a slash, and what is unique in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey(String);

/// One change of a commit.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Writes a row, over an older one of the same key.
    Put(Row),
    /// Forgets a row.
    Remove(RowKey),
}

/// Where the rows are.
pub trait Vault {
    /// All rows but the history.
    fn load(&self) -> Result<Vec<Row>, VaultFault>;

    /// Makes all changes or none; returns when they are durable.
    fn commit(&mut self, changes: &[Change]) -> Result<(), VaultFault>;

    /// The newest entries of the history, newest first.
    fn history(&self, limit: usize) -> Result<Vec<Entry>, VaultFault>;
}

/// What a vault can fail of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VaultFaultKind {
    /// Reading or writing failed.
    Disk,
    /// What was read is damaged.
    Corrupt,
    /// Another program has the folder open.
    InUse,
    /// A write failed before; nothing more is accepted.
    Stopped,
}

/// A failure of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct VaultFault {
    /// Of what kind.
    pub kind: VaultFaultKind,
    /// What happened and what to do.
    pub message: String,
}

impl VaultFault {
    /// A fault with its message.
    pub fn new(kind: VaultFaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self.kind {
            VaultFaultKind::Disk => "vault-disk",
            VaultFaultKind::Corrupt => "vault-corrupt",
            VaultFaultKind::InUse => "vault-in-use",
            VaultFaultKind::Stopped => "vault-stopped",
        }
    }
}

impl RowKey {
    /// What every entry of the history begins with.
    pub const HISTORY: &'static str = "entry/";
    /// What every step of a session begins with that a flow is on its way with.
    pub(crate) const STEP: &'static str = "step/";

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn credit(y: Y) -> Self {
        Self(format!("credit/{y}"))
    }

    pub(crate) fn attempt(id: u64) -> Self {
        Self(format!("attempt/{id:020}"))
    }

    pub(crate) fn pass(pass: &StoredPass) -> Self {
        let StoredPass { origin, scope, .. } = pass;
        match &pass.bundle {
            // Another one does not take its place: both have uses left.
            Some(payment) => Self(format!("pass/{origin} {scope} {payment}")),
            None => Self(format!("pass/{origin} {scope}")),
        }
    }

    pub(crate) fn token(chain: ChainId, address: AccountAddress) -> Self {
        Self(format!("token/{chain}/{address}"))
    }

    pub(crate) fn node(chain: ChainId) -> Self {
        Self(format!("node/{chain}"))
    }

    pub(crate) fn channel(chain: ChainId, channel: ChannelId) -> Self {
        Self(format!("channel/{chain}/{channel}"))
    }

    pub(crate) fn session(id: &str) -> Self {
        Self(format!("session/{id}"))
    }

    pub(crate) fn subscription(number: u64) -> Self {
        Self(format!("subscription/{number:020}"))
    }

    pub(crate) fn step(session: &str, step: u32) -> Self {
        Self(format!("{}{session}/{step}", Self::STEP))
    }

    /// A session that is being opened.
    pub(crate) fn opening(origin: &str) -> Self {
        Self(format!("{}opening/{origin}", Self::STEP))
    }

    pub(crate) fn offer(method: &str, url: &str) -> Self {
        Self(format!("offer/{method} {url}"))
    }

    pub(crate) fn parked(number: u64) -> Self {
        Self(format!("parked/{number:020}"))
    }

    pub(crate) fn spent(unit: Unit, scope: &Scope) -> Self {
        Self(format!("spent/{unit}/{scope}"))
    }

    pub(crate) fn named(kind: &str, name: &str) -> Self {
        Self(format!("{kind}/{name}"))
    }

    pub(crate) fn rule(rule: &Rule) -> Self {
        Self(format!("rule/{}/{}/{}", rule.unit, rule.measure.key(), rule.subject))
    }

    pub(crate) fn counter(keyset: KeysetId) -> Self {
        Self(format!("counter/{keyset}"))
    }
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Row {
    /// Under which name it is kept.
    pub fn key(&self) -> RowKey {
        match self {
            Self::Seed(_) => RowKey("seed/".into()),
            Self::Numbers(_) => RowKey("numbers/".into()),
            Self::Mint(mint) => RowKey(format!("mint/{}", mint.url)),
            Self::Counter { keyset, .. } => RowKey::counter(*keyset),
            Self::Credit(credit) => RowKey::credit(credit.y()),
            Self::Attempt(attempt) => RowKey::attempt(attempt.id),
            Self::Entry(entry) => RowKey(format!("{}{:020}", RowKey::HISTORY, entry.number)),
            Self::Limits(limits) => RowKey(format!("limits/{}", limits.unit)),
            Self::Spent(spent) => RowKey::spent(spent.unit, &spent.scope),
            Self::Pass(pass) => RowKey::pass(pass),
            Self::Signer(signer) => RowKey(format!("signer/{}", signer.host)),
            Self::Audited(audited) => RowKey(format!("audited/{}", audited.issuer)),
            Self::Token(token) => RowKey::token(token.chain, token.address),
            Self::Node { chain, .. } => RowKey::node(*chain),
            Self::Channel(channel) => RowKey::channel(channel.chain(), channel.id()),
            Self::ChannelPolicy(_) => RowKey("channels/".into()),
            Self::Offer(offer) => RowKey::offer(&offer.method, &offer.url),
            Self::Rule(rule) => RowKey::rule(rule),
            Self::Parked(parked) => RowKey::parked(parked.number),
            Self::Mandate(taken) => RowKey::named("mandate", taken.id()),
            Self::Given(given) => RowKey::named("given", &given.mandate.id),
            Self::Session(session) => RowKey::session(&session.id),
            Self::Subscription(subscription) => RowKey::subscription(subscription.number),
        }
    }
}

/// Rows in memory, for tests and simulations. A clone is a copy of what was durable at that moment.
#[derive(Clone, Debug, Default)]
pub struct MemoryVault {
    rows: BTreeMap<RowKey, Row>,
}

impl Vault for MemoryVault {
    fn load(&self) -> Result<Vec<Row>, VaultFault> {
        let rows = self.rows.iter().filter(|(key, _)| !key.0.starts_with(RowKey::HISTORY));
        Ok(rows.map(|(_, row)| row.clone()).collect())
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), VaultFault> {
        for change in changes {
            match change {
                Change::Put(row) => self.rows.insert(row.key(), row.clone()),
                Change::Remove(key) => self.rows.remove(key),
            };
        }
        Ok(())
    }

    fn history(&self, limit: usize) -> Result<Vec<Entry>, VaultFault> {
        let entries = self.rows.values().rev().filter_map(|row| match row {
            Row::Entry(entry) => Some((**entry).clone()),
            _ => None,
        });
        Ok(entries.take(limit).collect())
    }
}
