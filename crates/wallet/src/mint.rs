//! A mint as the wallet knows it: where it is, and the keysets that it has shown, each checked against its name.

use farthing_ecash::{Keyset, KeysetId, KeysetInfo};
use farthing_money::{Span, Timestamp, Unit};
use serde::{Deserialize, Serialize};

use crate::error::WalletError;

/// For how long a list of keysets is taken as it is.
const FRESH: Span = Span::from_secs(3_600);

/// A mint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mint {
    /// Its address, without a slash at the end.
    pub url: String,
    /// Every keyset that it lists.
    pub keysets: Vec<KeysetInfo>,
    /// The keysets whose keys were fetched; their names were checked.
    pub keys: Vec<Keyset>,
    /// When the list was fetched.
    pub fetched_at: Timestamp,
    /// Keysets of which a lost wallet may have used counters: before one is drawn, they are searched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsearched: Vec<KeysetId>,
    /// Whether sessions of a lost wallet were looked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_no_lost_sessions: bool,
}

impl Mint {
    /// A mint of which nothing is known yet.
    pub fn new(url: &str) -> Self {
        let (keysets, keys, unsearched) = (Vec::new(), Vec::new(), Vec::new());
        let (fetched_at, has_no_lost_sessions) = (Timestamp::default(), false);
        Self { url: url.to_owned(), keysets, keys, fetched_at, unsearched, has_no_lost_sessions }
    }

    /// The keys of a keyset.
    pub fn keyset(&self, id: KeysetId) -> Option<&Keyset> {
        self.keys.iter().find(|keyset| keyset.id == id)
    }

    /// What the list says of a keyset.
    pub fn info(&self, id: KeysetId) -> Option<&KeysetInfo> {
        self.keysets.iter().find(|info| info.id == id)
    }

    /// Whether the list is recent.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.fetched_at <= now && now.since(self.fetched_at) < FRESH
    }

    /// The keyset that signs new credits of a unit: the cheapest, and of those the one that lasts longest.
    pub fn active(&self, unit: Unit) -> Result<&Keyset, WalletError> {
        let active = self.keysets.iter().filter(|info| info.active && info.unit == unit);
        let known = active.filter_map(|info| self.keyset(info.id).map(|keyset| (info, keyset)));
        let best = known.min_by_key(|(info, _)| {
            (info.input_fee_ppk, std::cmp::Reverse(info.final_expiry.unwrap_or(u64::MAX)), info.id)
        });
        best.map(|(_, keyset)| keyset).ok_or_else(|| WalletError::NoKeyset {
            mint: self.url.clone(),
            unit,
            known: self.unit_list(),
        })
    }

    /// Whether a keyset still signs.
    pub fn is_active(&self, id: KeysetId) -> bool {
        self.info(id).is_some_and(|info| info.active)
    }

    /// The units in which it signs.
    pub fn units(&self) -> Vec<Unit> {
        let mut units: Vec<_> =
            self.keysets.iter().filter(|info| info.active).map(|info| info.unit).collect();
        units.sort_unstable();
        units.dedup();
        units
    }

    pub(crate) fn unit_list(&self) -> String {
        let units: Vec<_> = self.units().iter().map(Unit::to_string).collect();
        if units.is_empty() { "none".to_owned() } else { units.join(", ") }
    }

    /// The fee in thousandths for spending a credit of a keyset.
    pub(crate) fn fee_ppk(&self, id: KeysetId) -> u64 {
        self.info(id).map(|info| info.input_fee_ppk).unwrap_or_default()
    }
}
