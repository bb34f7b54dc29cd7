//! The issuer over HTTP: a Cashu mint (NUT-00 to 07, 09 to 12, 14, 17, 19, 20, 29) on our own engine.
//!
//! Every request takes the same way: read the body within limits, check it, verify and sign on any core, then one
//! command to the writer, then the answer. Signatures that were given are given again to the same request (NUT-19).

mod body;
mod check;
mod deposit;
mod destination;
mod error;
mod events;
mod extract;
mod info;
mod invoice;
mod keys;
mod limit;
mod melt;
mod mint;
mod prepare;
mod quote;
mod repetition;
mod restore;
mod session;
mod socket;
mod swap;
mod terms;
mod trial;
mod withdrawal;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get, post};
use farthing_engine::{Execute, Keyring, Read};
use farthing_gate::Sessions;
use farthing_gate::chain::Chains;
use farthing_gate::crypto::Crypto;
use farthing_money::{AssetTable, Span, Timestamp};
use farthing_store::Clock;
use tokio::sync::watch;

use crate::random::Random;

pub use deposit::places::Places;
pub use error::IssuerError;
pub use events::{Event, Events};
pub use socket::Subscriptions;
pub use terms::TermsKey;
pub use trial::Trials;

/// Inputs, outputs or states in one request at the most.
pub const MAX_ITEMS: usize = 1000;

/// Quotes in one batch at the most (NUT-29).
pub const QUOTES_MOST: usize = 100;

/// Bytes of a request body at the most: room for a thousand inputs with witnesses.
pub const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;

/// What the issuer says of itself (NUT-06).
#[derive(Clone, Debug)]
pub struct About {
    /// Its name.
    pub name: String,
    /// A sentence about it.
    pub description: String,
    /// Its address, the `mint` of its tokens.
    pub url: String,
    /// Its Ed25519 key in base64url, with which receipts are signed.
    pub receipt_key: String,
    /// Whether wallets may fund themselves for tests by the `bolt11` method.
    pub test_funding: bool,
}

/// Everything that the issuer's routes share.
pub struct Issuer {
    /// What it says of itself.
    pub about: About,
    /// What money is counted in.
    pub assets: AssetTable,
    /// The writer.
    pub execute: Arc<dyn Execute>,
    /// Committed rows.
    pub read: Arc<dyn Read>,
    /// The keysets.
    pub keyring: watch::Receiver<Arc<Keyring>>,
    /// Where cryptography runs.
    pub crypto: Crypto,
    /// What time it is.
    pub clock: Clock,
    /// Draws the ids of quotes.
    pub random: Random,
    /// How long a quote may wait for its payment.
    pub quote_lifetime: Span,
    /// Seals the terms of quotes that are not written down.
    pub terms: TermsKey,
    /// What changed, for who listens.
    pub events: Events,
    /// Who has how many addresses looked at.
    pub places: Places,
    /// Chains on which credits are bought and sold; none without chains.
    pub chains: Option<Arc<dyn Chains>>,
    /// What newcomers get for nothing.
    pub trials: Trials,
    /// Sessions, if they are offered.
    pub sessions: Option<Arc<Sessions>>,
    /// The merchant whom steps pay of which nobody knows any more what they were shown for.
    pub merchant: String,
}

impl Issuer {
    /// The keysets as they are now.
    fn keyring(&self) -> Arc<Keyring> {
        self.keyring.borrow().clone()
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The routes, without a prefix.
    pub fn router(self: Arc<Self>) -> Router {
        // Browsers pay here from pages of other origins; they may read refusals of the limits as well.
        let pay = Router::new()
            .route(
                "/v1/mint/quote/{method}/{quote}/pay",
                get(deposit::pay).post(deposit::pay).options(error::method_not_allowed),
            )
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .layer(from_fn_with_state(Arc::clone(&self), limit::watch))
            .layer(from_fn(deposit::pages::open));
        Router::new()
            .route("/v1/info", get(info::info))
            .route("/v1/keys", get(keys::active_keys))
            .route("/v1/keys/{id}", get(keys::keys))
            .route("/v1/keysets", get(keys::keysets))
            .route("/v1/swap", post(swap::swap))
            .route("/v1/mint/quote/{method}", post(quote::open_mint))
            .route("/v1/mint/quote/{method}/check", post(quote::check_mint))
            .route("/v1/mint/quote/{method}/{quote}", get(quote::mint_quote))
            .route("/v1/mint/{method}", post(mint::mint))
            .route("/v1/mint/{method}/batch", post(mint::mint_batch))
            .route("/v1/melt/quote/{method}", post(quote::open_melt))
            .route("/v1/melt/quote/{method}/{quote}", get(quote::melt_quote))
            .route("/v1/melt/{method}", post(melt::melt))
            .route("/v1/checkstate", post(check::check_state))
            .route("/v1/restore", post(restore::restore))
            .route("/v1/sessions", post(session::open))
            .route("/v1/sessions/{session}", get(session::look).post(session::own_up))
            .route("/v1/sessions/{session}/top-up", post(session::top_up))
            .route("/v1/sessions/{session}/close", post(session::close))
            .route("/v1/ws", any(socket::socket))
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .layer(from_fn_with_state(Arc::clone(&self), limit::watch))
            .merge(pay)
            .fallback(error::not_found)
            .method_not_allowed_fallback(error::method_not_allowed)
            .with_state(self)
    }
}
