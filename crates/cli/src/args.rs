//! The command line, as far as every command shares it.

use std::path::PathBuf;

use clap::{Args, Parser};
use farthing_server::config::{Config, environment};

use crate::command::Command;
use crate::exit::Failure;
use crate::locale::Place;

/// Charge a cent, or a thousandth of one, for anything behind HTTP.
#[derive(Debug, Parser)]
#[command(name = "farthing", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub shape: Shape,
    #[command(subcommand)]
    pub command: Command,
}

/// How data is shown.
#[derive(Clone, Debug, Args)]
pub struct Shape {
    /// Show data as JSON even on a terminal
    #[arg(long, global = true, conflicts_with = "text")]
    pub json: bool,
    /// Show data as text even into a pipe
    #[arg(long, global = true)]
    pub text: bool,
    /// Write amounts as people there do, such as de, en-GB or hi-IN; otherwise as the
    /// environment says, on a terminal. Never in JSON
    #[arg(long, global = true, value_name = "TAG")]
    pub locale: Option<Place>,
}

/// Which configuration.
#[derive(Clone, Debug, Args)]
pub struct ConfigFile {
    /// The configuration file; otherwise farthing.toml here, or else farthing/farthing.toml in the XDG config folder
    #[arg(long = "config", value_name = "FILE")]
    pub given: Option<PathBuf>,
}

/// What the configuration is called.
const CONFIG_FILE: &str = "farthing.toml";

impl ConfigFile {
    /// Where it is: as given, or in this folder, or in the user's.
    pub fn path(&self) -> PathBuf {
        let here = PathBuf::from(CONFIG_FILE);
        match &self.given {
            Some(path) => path.clone(),
            None if here.exists() => here,
            None => {
                let users = environment::config_folder().map(|folder| folder.join(CONFIG_FILE));
                users.filter(|path| path.exists()).unwrap_or(here)
            }
        }
    }

    /// The configuration, whole.
    pub fn load(&self) -> Result<Config, Failure> {
        Ok(Config::load(&self.path())?)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
