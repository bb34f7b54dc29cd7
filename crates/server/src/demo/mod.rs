//! The demo: a small site of our own, the gate in front of it, its issuer and one top-up code, all in one folder, so that
//! anyone can see a paid request on a machine without network.

mod chat;
mod export;
mod film;
mod folder;
mod site;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use farthing_store::Clock;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::access::{Access, AccessError};
use crate::app::{self, Ready, ServeError};
use crate::config::{Config, LoadError};
use crate::installation::{OpenError, passphrase};
use crate::seed::SeedError;

use export::Software;
pub use folder::CONFIG_FILE;
use folder::Folder;

/// What the demo's top-up code buys.
pub const CODE_AMOUNT: &str = "1.00 USD";

/// What is known once the demo answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoReady {
    /// What the server says.
    #[serde(flatten)]
    pub server: Ready,
    /// The configuration that it runs with.
    pub config: PathBuf,
    /// The files of the site behind the gate.
    pub site: PathBuf,
    /// A top-up code of [`CODE_AMOUNT`].
    pub code: String,
    /// Whether the address that was asked for was taken, so that another one serves.
    pub is_other_address: bool,
}

/// Why there is no demo.
#[derive(Debug, Error)]
pub enum DemoError {
    /// A file of the folder cannot be written.
    #[error("the demo's folder: {}: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder has a configuration that no demo made.
    #[error("expected a new folder or that of an earlier demo, got one with a configuration of its own: {}", .0.display())]
    Foreign(PathBuf),
    /// The site has no port.
    #[error("the demo's site cannot listen: {0}")]
    Site(io::Error),
    /// No random bytes for the passphrase.
    #[error(transparent)]
    Random(#[from] SeedError),
    /// Our own configuration is wrong.
    #[error(transparent)]
    Config(#[from] LoadError),
    /// The data folder does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The server does not run.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The code cannot be made.
    #[error(transparent)]
    Access(#[from] AccessError),
}

/// Runs the demo in a folder until `shutdown` resolves.
///
/// If the address is taken, any free port serves instead.
pub async fn run(
    folder: &Path,
    listen: SocketAddr,
    clock: Clock,
    on_ready: impl FnOnce(&DemoReady),
    shutdown: impl Future<Output = ()>,
) -> Result<(), DemoError> {
    let folder = Folder::make(folder)?;
    let site = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.map_err(DemoError::Site)?;
    let upstream = site.local_addr().map_err(DemoError::Site)?;
    let mut site_task = tokio::task::JoinSet::new();
    let software = Software::new(folder.software_key()?);
    site_task.spawn(site::serve(site, folder.site(), Arc::clone(&software)));
    let demo = Demo { folder, upstream, clock, software };
    let mut on_ready = Some(on_ready);
    let mut shutdown = std::pin::pin!(shutdown);
    let taken = |error: &DemoError| {
        matches!(error, DemoError::Serve(ServeError::Listen { source, .. })
            if source.kind() == io::ErrorKind::AddrInUse && listen.port() != 0)
    };
    match demo.serve(listen, false, &mut on_ready, shutdown.as_mut()).await {
        Err(error) if taken(&error) => {
            let any = SocketAddr::new(listen.ip(), 0);
            demo.serve(any, true, &mut on_ready, shutdown).await
        }
        ended => ended,
    }
}

struct Demo {
    folder: Folder,
    upstream: SocketAddr,
    clock: Clock,
    software: Arc<Software>,
}

impl Demo {
    /// Serves at an address; what is ready is told once.
    async fn serve(
        &self,
        listen: SocketAddr,
        is_other_address: bool,
        on_ready: &mut Option<impl FnOnce(&DemoReady)>,
        shutdown: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), DemoError> {
        self.folder.configure(listen, self.upstream)?;
        let file = self.folder.config();
        let config = Config::load(&file)?;
        let passphrase = passphrase(&config.issuer)?;
        let (send, ready) = oneshot::channel();
        let tell = |ready: &Ready| {
            // The receiver waits below.
            let _ = send.send(ready.clone());
        };
        let served = app::run(config.clone(), Some(&file), &passphrase, self.clock.clone(), tell, shutdown);
        let mut served = std::pin::pin!(served);
        let known = tokio::select! {
            ended = &mut served => return Ok(ended?),
            Ok(ready) = ready => ready,
        };
        self.software.found(&known.gate);
        let told = self.tell(&config, listen, known, is_other_address);
        let ready = tokio::select! {
            ended = &mut served => return Ok(ended?),
            ready = told => ready?,
        };
        if let Some(on_ready) = on_ready.take() {
            on_ready(&ready);
        }
        Ok(served.await?)
    }

    /// Writes the port into the configuration and makes the code, as an operator would.
    async fn tell(
        &self,
        config: &Config,
        listen: SocketAddr,
        server: Ready,
        is_other_address: bool,
    ) -> Result<DemoReady, DemoError> {
        let port = server.gate.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let bound = SocketAddr::new(listen.ip(), port.unwrap_or(listen.port()));
        if bound != listen {
            self.folder.configure(bound, self.upstream)?;
        }
        let access = Access::open(config, self.clock.clone()).await?;
        let codes = access.create_codes(CODE_AMOUNT, 1, None).await?;
        Ok(DemoReady {
            server,
            config: self.folder.config(),
            site: self.folder.site(),
            code: codes.codes.into_iter().next().unwrap_or_default(),
            is_other_address,
        })
    }
}
