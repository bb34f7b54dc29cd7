//! Features for sale: what a use of each costs, how much of it is free, and what it needs or brings. And whose software may ask.

use std::collections::HashSet;
use std::sync::Arc;

use farthing_money::{Label, Money, Span};

use super::{Per, Price};

/// How long an authorization waits for its end unless a feature says otherwise.
pub const HOLD_DEFAULT: Span = Span::from_secs(300);

/// The longest that one may wait: what is set aside is of use to nobody meanwhile.
pub const HOLD_MOST: Span = Span::from_secs(24 * 3_600);

/// What is free of a feature, for each subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureQuota {
    /// How often in a period.
    pub free: u32,
    /// In which.
    pub per: Per,
}

/// A feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// What a use costs.
    pub price: Price,
    /// What is free of it.
    pub quota: Option<FeatureQuota>,
    /// How long an authorization waits for its end.
    pub hold: Span,
    /// Whether nobody uses it without an entitlement; otherwise one stands for the price.
    pub needs_entitlement: bool,
    /// For how long whoever has paid is entitled to it.
    pub entitles: Option<Span>,
    /// What payers read about it.
    pub description: String,
    /// Under which code the operator's books tax what it earns.
    pub tax_code: Option<Label>,
}

impl Feature {
    /// A feature without anything special.
    pub fn new(name: impl Into<String>, price: Price) -> Self {
        Self {
            name: name.into(),
            price,
            quota: None,
            hold: HOLD_DEFAULT,
            needs_entitlement: false,
            entitles: None,
            description: String::new(),
            tax_code: None,
        }
    }

    /// What a use costs, if it costs anything.
    pub fn amount(&self) -> Option<Money> {
        match self.price {
            Price::Free => None,
            Price::Paid { amount } => Some(amount),
        }
    }
}

/// All features, and whose software may ask for them.
#[derive(Clone, Debug, Default)]
pub struct Features {
    list: Vec<Arc<Feature>>,
    /// The SHA-256 of API keys.
    keys: HashSet<[u8; 32]>,
}

impl Features {
    /// These, each of its own name.
    pub fn new(list: Vec<Feature>) -> Self {
        Self { list: list.into_iter().map(Arc::new).collect(), keys: HashSet::new() }
    }

    /// For software that has one of these keys, by their SHA-256.
    #[must_use]
    pub fn asked_with(self, keys: HashSet<[u8; 32]>) -> Self {
        Self { keys, ..self }
    }

    /// All of them, in the operator's order.
    pub fn list(&self) -> &[Arc<Feature>] {
        &self.list
    }

    /// The feature of a name.
    pub fn find(&self, name: &str) -> Option<Arc<Feature>> {
        self.list.iter().find(|feature| feature.name == name).cloned()
    }

    /// Whether software with a key, by its SHA-256, may ask. What is compared is a hash, so how long it takes says nothing of a key.
    pub fn admits(&self, key: &[u8; 32]) -> bool {
        self.keys.contains(key)
    }
}
