//! What an axum program mounts by itself: prices before its own routes, and the issuer's routes beside them. The server
//! mounts the same before its proxy.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::HttpBody;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use farthing_evm::NodeError;
use farthing_gate::chain::Chains;
use farthing_gate::chain::statement;
use farthing_gate::crypto::{Crypto, CryptoError};
use farthing_gate::flow::{
    Currencies, GateConfig, GateLayer, Going, Names, OfferStyle, PAYMENTS_PATH, Secrets, XCashu,
};
use farthing_gate::limit::Limiter;
use farthing_gate::{Body, BoxError, Gate, Rules, UpstreamError};
use farthing_money::Span;
use farthing_wire::PASSES_PATH;
use farthing_wire::REFUNDS_PATH;
use farthing_wire::jws::key_text;
use serde_json::json;
use thiserror::Error;
use tokio::sync::watch;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::chains::{ChainRoom, facilitator_api};
use crate::config::{Config, Origin, RequestForms};
use crate::entitlements::{self, Entitlements};
use crate::features::{FEATURES_PATH, FeatureApi};
use crate::installation::Installation;
use crate::issuer_api::{About, Issuer, Places, Trials};
use crate::liabilities;
use crate::operator::Operator;

/// Where the issuer answers below the gate's address. Free of charge, as all of `/.well-known/` is.
pub const ISSUER_PATH: &str = "/.well-known/farthing/mint";

/// Where the gate says who it is: its issuer, its assets, the key of its receipts.
pub const ABOUT_PATH: &str = "/.well-known/farthing.json";

/// Everything of our own is below it.
const OWN_PATH: &str = "/.well-known/farthing/";

/// The journal's signed heads of the latest days, so that others can keep them.
pub const HEADS_PATH: &str = "/.well-known/farthing/heads";

const QUOTE_LIFETIME: Span = Span::from_secs(24 * 3600);

/// Why nothing can be mounted.
#[derive(Debug, Error)]
pub enum MountError {
    /// No threads.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// A chain's nodes cannot be asked at all.
    #[error(transparent)]
    Chain(#[from] NodeError),
    /// There is nobody to look after chains.
    #[error("expected to be mounted within a tokio runtime, got none; call it in an async function")]
    NoRuntime,
}

/// Prices and routes of an open installation.
pub struct Mount {
    /// Puts the prices before a service, such as a router.
    pub layer: GateLayer,
    /// The issuer and the page that says who we are. They go beside what the layer covers, not under it.
    pub routes: Router,
    /// What the seller's software asks, below `/v1/`, for a listener of its own. It is among the routes as well. Drop it where it
    /// is not served: the books are closed once nobody holds them.
    pub features: Router,
}

impl Mount {
    /// With the configuration's prices, which stay as they are, and its chains: what is paid there is sent and watched for as
    /// long as the layer or the routes are there. Within a tokio runtime.
    pub fn new(config: &Config, installation: &Installation, origin: &Origin) -> Result<Self, MountError> {
        let (_, rules) = watch::channel(Arc::new(config.rules.clone()));
        tokio::runtime::Handle::try_current().map_err(|_| MountError::NoRuntime)?;
        let chains = ChainRoom::open(installation)?.map(ChainRoom::at_work);
        let crypto = crypto(config, installation)?;
        Ok(Self::with(config, installation, origin, rules, crypto, chains.as_ref()))
    }

    /// With prices that may change while they are in force, and a place for the cryptography.
    pub fn with(
        config: &Config,
        installation: &Installation,
        origin: &Origin,
        rules: watch::Receiver<Arc<Rules>>,
        crypto: Crypto,
        chains: Option<&ChainRoom>,
    ) -> Self {
        let issuer_url = format!("{origin}{ISSUER_PATH}");
        let port = chains.map(|room| Arc::new(room.clone()) as Arc<dyn Chains>);
        let trials = Trials::new(rules.clone(), config.server.trusted_proxies.clone());
        let own = issuer(config, installation, &issuer_url, crypto.clone(), port.clone(), trials);
        let routes = Router::new()
            .nest(ISSUER_PATH, Arc::new(own).router())
            .route(ABOUT_PATH, get(about_page(config, installation, &issuer_url)))
            .route(HEADS_PATH, get(heads_page).with_state(Operator::new(installation)))
            .merge(entitlements::page::routes(Entitlements::new(installation)))
            .merge(liabilities::routes(Arc::clone(&installation.books)));
        let settle_for = &config.facilitator.settle_for;
        let facilitator = |room| {
            let (limiter, places) = (crypto.limiter(), facilitator_api::Places::default());
            facilitator_api::routes(room, settle_for, limiter, places)
        };
        let routes = routes.merge(chains.map(facilitator).unwrap_or_default());
        let mut gate = gate_config(config, installation, origin, issuer_url, rules, crypto);
        gate.chains = port;
        let layer = GateLayer::new(gate).payments_max(config.server.limits.payments);
        // What is sold by ourselves, and asked back, goes through the same gate. There is nothing behind it.
        let passes = layer.layer(service_fn(async |_: Request<Body>| {
            let mut nothing = Response::new(Body::empty());
            *nothing.status_mut() = StatusCode::NOT_FOUND;
            Ok::<_, Infallible>(nothing)
        }));
        let routes =
            routes.route_service(REFUNDS_PATH, passes.clone()).route_service(PAYMENTS_PATH, passes.clone());
        let routes = routes.route_service(&format!("{PASSES_PATH}{{name}}"), passes);
        let clock = Arc::clone(&installation.clock);
        let features = FeatureApi::new(layer.features(), Entitlements::new(installation), clock).router();
        let routes = routes.nest(FEATURES_PATH, features.clone());
        Self { layer, routes, features }
    }
}

/// A thread for each core, and the configuration's limits on what waits for them and on what clients ask for in vain.
pub fn crypto(config: &Config, installation: &Installation) -> Result<Crypto, CryptoError> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let limits = &config.server.limits;
    let trusted = config.server.trusted_proxies.clone();
    let limiter = Limiter::new(limits.work, Arc::clone(&installation.clock), trusted);
    Ok(Crypto::with_waiting(cores, limits.work_waiting.unwrap_or(0))?.limited(limiter))
}

/// Everything behind a listener: our own routes by their paths, the gate before a service for all else.
#[derive(Clone)]
pub struct Site<S> {
    own: Router,
    gate: Gate<S>,
}

impl Mount {
    /// The whole site, with this service as what is paid for.
    pub fn before<S>(self, service: S) -> Site<S> {
        Site { gate: self.layer.layer(service), own: self.routes }
    }
}

impl<S, B> Service<Request<Body>> for Site<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<UpstreamError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Going;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Going {
        let path = request.uri().path();
        if path == ABOUT_PATH || path.starts_with(OWN_PATH) {
            let own = self.own.clone().oneshot(request.map(axum::body::Body::new));
            Going::new(async move {
                let Ok(answer) = own.await;
                answer.map(Body::boxed)
            })
        } else {
            self.gate.call(request)
        }
    }
}

fn issuer(
    config: &Config,
    installation: &Installation,
    url: &str,
    crypto: Crypto,
    chains: Option<Arc<dyn Chains>>,
    trials: Trials,
) -> Issuer {
    Issuer {
        about: About {
            name: config.issuer.name.clone(),
            description: config.issuer.description.clone(),
            url: url.to_owned(),
            receipt_key: key_text(&installation.receipts.verifying_key()),
            test_funding: config.issuer.test_funding,
        },
        assets: config.assets.clone(),
        execute: Arc::clone(&installation.writer),
        read: Arc::clone(&installation.books),
        keyring: installation.keyring.clone(),
        crypto,
        clock: Arc::clone(&installation.clock),
        random: Arc::clone(&installation.random),
        quote_lifetime: QUOTE_LIFETIME,
        places: Places::default(),
        terms: installation.terms.clone(),
        events: installation.events.clone(),
        chains,
        trials,
        sessions: installation.sessions.clone(),
        merchant: installation.merchant.clone(),
    }
}

/// Answers with the journal's heads, signed with the key of the receipts.
async fn heads_page(State(operator): State<Operator>) -> axum::response::Response {
    match operator.latest_heads() {
        Ok(heads) => Json(json!({ "receipt_key": operator.key_text(), "heads": heads })).into_response(),
        Err(error) => {
            // What is wrong inside is not for strangers.
            tracing::error!(%error, "the journal's heads cannot be read");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// Answers with who we are.
fn about_page(
    config: &Config,
    installation: &Installation,
    issuer_url: &str,
) -> impl Fn() -> std::future::Ready<axum::response::Response> + Clone + Send + Sync + 'static {
    let assets: Vec<_> = config.assets.iter().collect();
    let page = json!({
        "merchant": config.server.merchant,
        "issuer": issuer_url,
        "assets": assets,
        "receipt_key": key_text(&installation.receipts.verifying_key()),
        "statement_key": key_text(&statement::key(&installation.receipts).verifying_key()),
    });
    let books = Arc::clone(&installation.books);
    move || {
        let mut page = page.clone();
        // If it cannot be read, whoever pays is told so.
        if let (Ok(books), Some(page)) = (books.books(), page.as_object_mut()) {
            page.insert("issuer_mode".to_owned(), books.mode.as_str().into());
        }
        std::future::ready(([(header::CONTENT_TYPE, "application/json")], page.to_string()).into_response())
    }
}

fn gate_config(
    config: &Config,
    installation: &Installation,
    origin: &Origin,
    issuer_url: String,
    rules: watch::Receiver<Arc<Rules>>,
    crypto: Crypto,
) -> GateConfig {
    GateConfig {
        rules,
        keyring: installation.keyring.clone(),
        execute: Arc::clone(&installation.writer),
        read: Arc::clone(&installation.books),
        crypto,
        clock: Arc::clone(&installation.clock),
        random: Arc::clone(&installation.random),
        trusted_proxies: config.server.trusted_proxies.clone(),
        secrets: Secrets {
            challenge: *installation.challenges,
            change: *installation.change,
            signing: installation.receipts.clone(),
        },
        names: Names {
            merchant: config.server.merchant.clone(),
            issuer: config.issuer.name.clone(),
            mints: vec![issuer_url],
            realm: config.gate.realm.clone().unwrap_or_else(|| origin.host().to_owned()),
            host: origin.host().to_owned(),
            https: config.server.public_url.as_ref().map(Origin::is_https),
        },
        offers: OfferStyle {
            x_cashu: match config.gate.x_cashu {
                RequestForms::A => XCashu::A,
                RequestForms::B => XCashu::B,
                RequestForms::Both => XCashu::Both,
            },
            lifetime: config.gate.challenge_lifetime,
            extensions: config.x402.extensions,
        },
        currencies: Currencies { rates: installation.rates.in_force(), terms: installation.rates.terms() },
        chains: None,
        sessions: installation.sessions.clone(),
    }
}
