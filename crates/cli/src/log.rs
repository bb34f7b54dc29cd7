//! What a server writes to stderr while it runs. Our own words only: libraries would name payers' addresses.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How much is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Level {
    /// Nothing
    Off,
    /// What went wrong
    Error,
    /// What may go wrong
    Warn,
    /// What changed
    Info,
    /// What became of connections
    Debug,
}

impl Level {
    /// Writes from now on. A second call changes nothing.
    pub fn begin(self) {
        let level = match self {
            Self::Off => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
        };
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_target(false);
        let ours = Targets::new().with_target("farthing", level);
        // The only error is that someone writes already.
        let _ = tracing_subscriber::registry().with(lines).with(ours).try_init();
    }
}
