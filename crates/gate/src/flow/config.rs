//! What the flow needs to know.

use std::fmt;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use farthing_engine::{Execute, Keyring, Read};
use farthing_money::{Span, Timestamp};
use tokio::sync::watch;

use super::currency::Currencies;
use crate::chain::Chains;
use crate::crypto::Crypto;
use crate::network::Network;
use crate::random::Random;
use crate::rule::Rules;
use crate::session::Sessions;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What a gate is made of. Rules and keyring may change while it serves.
#[derive(Clone)]
pub struct GateConfig {
    /// The prices.
    pub rules: watch::Receiver<Arc<Rules>>,
    /// The issuer's keysets.
    pub keyring: watch::Receiver<Arc<Keyring>>,
    /// Who carries commands out.
    pub execute: Arc<dyn Execute>,
    /// What was paid before.
    pub read: Arc<dyn Read>,
    /// Where signatures are checked.
    pub crypto: Crypto,
    /// The time.
    pub clock: Clock,
    /// Draws visitors' numbers and the keys under which askers are counted.
    pub random: Random,
    /// Which proxies before us are believed about their clients.
    pub trusted_proxies: Vec<Network>,
    /// The gate's own secrets.
    pub secrets: Secrets,
    /// The names by which payers know us.
    pub names: Names,
    /// How offers are written.
    pub offers: OfferStyle,
    /// What payers may pay in beside a price's own asset.
    pub currencies: Currencies,
    /// Who speaks to chains, if any are configured.
    pub chains: Option<Arc<dyn Chains>>,
    /// Sessions, if they are offered.
    pub sessions: Option<Arc<Sessions>>,
}

/// The gate's own secrets. All of them last: retries, passes and receipts outlive a restart.
#[derive(Clone)]
pub struct Secrets {
    /// Binds challenges.
    pub challenge: [u8; 32],
    /// Draws the secrets of change that nobody blinded.
    pub change: [u8; 32],
    /// Signs receipts, passes and notes to the upstream.
    pub signing: SigningKey,
}

/// The names by which payers know us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The merchant, in receipts and in the books (`merchant:<name>`).
    pub merchant: String,
    /// The issuer, in receipts.
    pub issuer: String,
    /// The addresses of the issuer, for wallets.
    pub mints: Vec<String>,
    /// The realm of challenges, usually the host.
    pub realm: String,
    /// The host at which payers reach us, in lower case and without port.
    pub host: String,
    /// Whether payers reach us by `https`, whoever ends TLS; if not known, by how the connection came in.
    pub https: Option<bool>,
}

/// How offers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferStyle {
    /// The encodings of the Cashu request.
    pub x_cashu: XCashu,
    /// How long an MPP challenge holds, price and all.
    pub lifetime: Span,
    /// The extensions of x402.
    pub extensions: Extensions,
}

/// Which extensions of x402 are offered with what is paid on a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extensions {
    /// Whether payers name their payments.
    pub payment_identifier: Demand,
    /// Whether who has paid comes back by signing in.
    pub sign_in: bool,
    /// Whether offers and receipts are signed for who must prove them later.
    pub offer_receipt: bool,
}

/// Whether something is asked of a payer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Demand {
    /// No.
    Off,
    /// The payer may.
    #[default]
    Optional,
    /// The payer must.
    Required,
}

impl Default for Extensions {
    fn default() -> Self {
        Self { payment_identifier: Demand::default(), sign_in: true, offer_receipt: false }
    }
}

/// The encodings of the Cashu request in `X-Cashu`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XCashu {
    /// `creqA`: what most wallets read.
    A,
    /// `creqB`.
    B,
    /// Both, each its own field, `creqA` first: wallets that know only the first read that one.
    #[default]
    Both,
}

impl Default for OfferStyle {
    fn default() -> Self {
        Self { x_cashu: XCashu::default(), lifetime: Span::from_secs(300), extensions: Extensions::default() }
    }
}

impl fmt::Debug for GateConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateConfig")
            .field("names", &self.names)
            .field("offers", &self.offers)
            .finish_non_exhaustive()
    }
}

/// The clock of the machine.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    })
}
