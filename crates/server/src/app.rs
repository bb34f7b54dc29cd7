//! The running server: one listener for the gate and the issuer, one socket for the operator, until told to stop.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use farthing_evm::NodeError;
use farthing_gate::Proxy;
use farthing_gate::crypto::CryptoError;
use farthing_gate::proxy::{ProxyConfig, ProxyError, Timeouts};
use farthing_gate::serve::{Limits, serve};
use farthing_gate::tls::{Certificate, TlsError};
use farthing_money::Span;
use farthing_store::Clock;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tower::ServiceExt;

use crate::backup::Source;
use crate::chains::ChainRoom;
use crate::config::{Config, Origin, Passphrase};
use crate::entitlements::{self, Entitlements};
use crate::installation::{Installation, OpenError};
use crate::life::{self, Life};
use crate::mount::{ISSUER_PATH, Mount};
use crate::operator::Operator;
use crate::payouts::{self, Payouts};
use crate::refunds::Refunds;
use crate::reload::Reload;
use crate::{admin_api, backup, mount, rates, refunds, reload, workers};

const CERTIFICATE_WATCH: Duration = Duration::from_secs(5);
const DRAIN: Duration = Duration::from_secs(30);

/// What is known once the server answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The gate's address.
    pub gate: String,
    /// The issuer's address, the `mint` of its tokens.
    pub issuer: String,
    /// The operator's socket.
    pub socket: PathBuf,
    /// Whether wallets may fund themselves for tests.
    pub test_funding: bool,
    /// How many payments a crash had left on hold; they were released.
    pub released: usize,
    /// Where the seller's software asks for features, if it has a listener of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<String>,
}

/// Why the server did not start.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The data folder does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The proxy cannot be made.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// A chain's nodes cannot be asked at all.
    #[error(transparent)]
    Chain(#[from] NodeError),
    /// No threads.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// Opens, binds, answers until `shutdown` resolves, then finishes what is in flight.
///
/// `file` is the configuration's file, whose prices are read again when it changes.
pub async fn run(
    config: Config,
    file: Option<&Path>,
    passphrase: &Passphrase,
    clock: Clock,
    on_ready: impl FnOnce(&Ready),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let doors = Doors::bind(&config).await?;
    let installation = Installation::open(&config, passphrase, clock).await?;
    run_opened(config, file, (doors, installation, Router::new()), on_ready, shutdown).await
}

/// Where requests come in, before anything answers them.
pub(crate) struct Doors {
    listener: TcpListener,
    certificate: Option<Arc<Certificate>>,
    origin: Origin,
    /// The listener of the seller's software, and how it is reached.
    software: Option<(TcpListener, String)>,
}

impl Doors {
    /// Binds what the configuration names.
    pub(crate) async fn bind(config: &Config) -> Result<Self, ServeError> {
        let (listener, bound) = bind(config.server.listen).await?;
        let https = config.server.tls.is_some();
        let origin = config.server.public_url.clone().unwrap_or_else(|| Origin::of(bound, https));
        let software = match config.features.listen {
            Some(address) => {
                let (listener, bound) = bind(address).await?;
                Some((listener, Origin::of(bound, false).to_string()))
            }
            None => None,
        };
        let tls = config.server.tls.as_ref();
        let certificate = tls.map(|tls| Certificate::load(&tls.cert, &tls.key)).transpose()?;
        Ok(Self { listener, certificate, origin, software })
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let error = |source| ServeError::Listen { address: address.to_string(), source };
    let listener = TcpListener::bind(address).await.map_err(error)?;
    let bound = listener.local_addr().map_err(error)?;
    Ok((listener, bound))
}

/// The same with an installation that is open, and more routes of our own.
pub(crate) async fn run_opened(
    config: Config,
    file: Option<&Path>,
    (doors, installation, more): (Doors, Installation, Router),
    on_ready: impl FnOnce(&Ready),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let Doors { listener, certificate, origin, software } = doors;
    let socket = admin_api::bind(&config.server.data).map_err(|source| {
        let address = admin_api::socket_path(&config.server.data).display().to_string();
        ServeError::Listen { address, source }
    })?;
    let (rules, watched) = watch::channel(Arc::new(config.rules.clone()));
    let crypto = mount::crypto(&config, &installation)?;
    let chains = ChainRoom::open(&installation)?;
    let mut mount = Mount::with(&config, &installation, &origin, watched, crypto, chains.as_ref());
    mount.routes = mount.routes.merge(more);
    let features = mount.features.clone();
    let site = mount.before(Proxy::new(proxy_config(&config))?);
    let ready = Ready {
        gate: origin.to_string(),
        issuer: format!("{origin}{ISSUER_PATH}"),
        socket: absolute(&admin_api::socket_path(&config.server.data)),
        test_funding: config.issuer.test_funding,
        released: installation.released,
        features: software.as_ref().map(|(_, address)| address.clone()),
    };
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(answer_operator(socket, operator_routes(&config, &installation, chains.as_ref())));
    workers::start(&mut tasks, &installation);
    match software {
        Some((listener, _)) => drop(tasks.spawn(answer_software(listener, features, limits(&config)))),
        // They hold the writer, which ends when nobody does.
        None => drop(features),
    }
    if let Some(chains) = &chains {
        chains.start(&mut tasks);
    }
    if let Some(file) = file {
        let (file, read) = (file.to_owned(), config.watched_files());
        let (rates, writer) = (installation.rates.clone(), Arc::clone(&installation.writer));
        tasks.spawn(reload::watch(Reload { file, read, rules, rates, writer }));
    }
    let acceptor = certificate.as_ref().map(Certificate::acceptor).transpose()?;
    if let Some(certificate) = certificate {
        tasks.spawn(certificate.watch(CERTIFICATE_WATCH));
    }
    on_ready(&ready);
    serve(listener, acceptor, site, limits(&config), shutdown).await;
    tasks.shutdown().await;
    // The socket's file goes with its server, so that the command line opens the folder itself from now on.
    if let Err(error) = std::fs::remove_file(&ready.socket) {
        tracing::warn!(%error, "the operator's socket cannot be removed");
    }
    // Whoever holds the writer keeps it from ending.
    drop(chains);
    close(installation).await;
    Ok(())
}

/// What the operator asks over the socket.
fn operator_routes(config: &Config, installation: &Installation, chains: Option<&ChainRoom>) -> Router {
    let backup = Source::of(installation, &config.server.data).map(backup::router).unwrap_or_default();
    admin_api::router(Operator::new(installation))
        .merge(backup)
        .merge(life::admin::router(Life::new(installation)))
        .merge(entitlements::admin::router(Entitlements::new(installation)))
        .merge(crate::chains::admin::router(chains.cloned(), Arc::clone(&installation.books)))
        .merge(rates::admin::router(installation.rates.clone()))
        .merge(payouts::admin::router(Payouts::new(installation)))
        .merge(refunds::admin::router(Refunds::new(installation)))
}

/// A path that means the same from any folder.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Waits for the last commit, but not for ever: payments whose upstream never answers are released at the next start.
async fn close(installation: Installation) {
    let closed = tokio::task::spawn_blocking(move || installation.close());
    if tokio::time::timeout(DRAIN, closed).await.is_err() {
        tracing::warn!("some payments were still on hold at the end; the next start releases them");
    }
}

/// Answers the seller's software until the server ends. Whatever is cut off by that is found again by its name.
async fn answer_software(listener: TcpListener, routes: Router, limits: Limits) {
    let service = tower::service_fn(move |request: http::Request<farthing_gate::Body>| {
        routes.clone().oneshot(request.map(axum::body::Body::new))
    });
    serve(listener, None, service, limits, std::future::pending()).await;
}

async fn answer_operator(socket: UnixListener, routes: Router) {
    if let Err(error) = axum::serve(socket, routes).await {
        tracing::error!(%error, "the operator's socket has closed");
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        connections: config.server.max_connections,
        head: duration(config.server.timeouts.header),
        idle: duration(config.server.timeouts.idle),
        ..Limits::default()
    }
}

fn duration(span: Span) -> Duration {
    Duration::from_millis(span.millis())
}

fn proxy_config(config: &Config) -> ProxyConfig {
    let timeouts = &config.server.timeouts;
    let defaults = ProxyConfig::new(config.server.upstream.uri());
    ProxyConfig {
        timeouts: Timeouts {
            connect: duration(timeouts.connect),
            answer: duration(timeouts.head),
            silence: duration(timeouts.idle),
            ..defaults.timeouts
        },
        trusted_proxies: config.server.trusted_proxies.clone(),
        ..defaults
    }
}
