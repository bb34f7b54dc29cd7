//! An operator's question: over the socket of the server that runs, or in the folder if none does.

use farthing_gate::flow::system_clock;
use farthing_server::access::{Access, AccessError};
use farthing_server::config::Config;

use crate::args::ConfigFile;
use crate::exit::Failure;
use crate::runtime;

/// Asks whoever has the books of a configuration's file.
pub fn ask<T>(
    config: &ConfigFile,
    question: impl AsyncFnOnce(&Access) -> Result<T, AccessError>,
) -> Result<T, Failure> {
    ask_those_of(&config.load()?, question)
}

/// Asks whoever has the books of a configuration.
pub fn ask_those_of<T>(
    config: &Config,
    question: impl AsyncFnOnce(&Access) -> Result<T, AccessError>,
) -> Result<T, Failure> {
    runtime::block_on(async {
        let access = Access::open(config, system_clock()).await?;
        let answer = question(&access).await;
        access.close().await;
        Ok(answer?)
    })
}
