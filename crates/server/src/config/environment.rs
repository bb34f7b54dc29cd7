//! The environment variables that Farthing reads: all of them, and nowhere else.

use std::env::{self, VarError};
use std::path::PathBuf;

use super::{Passphrase, PassphraseError};

/// An environment variable and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

const PASSPHRASE: &str = "FARTHING_PASSPHRASE";
const XDG_CONFIG_HOME: &str = "XDG_CONFIG_HOME";
const XDG_DATA_HOME: &str = "XDG_DATA_HOME";
const HOME: &str = "HOME";
/// In the order in which they are asked, as POSIX has it.
const LOCALES: [&str; 3] = ["LC_ALL", "LC_MONETARY", "LANG"];

/// All variables.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: PASSPHRASE,
        meaning: "the passphrase that decrypts the issuer's seed; goes before passphrase_file in [issuer]",
    },
    Variable {
        name: XDG_CONFIG_HOME,
        meaning: "the folder with farthing/farthing.toml, read when no --config is given and there is none here",
    },
    Variable {
        name: XDG_DATA_HOME,
        meaning: "the folder with farthing/wallet, the wallet when no --wallet is given",
    },
    Variable {
        name: HOME,
        meaning: "the user's folder: .config and .local/share below it stand in for the two folders of XDG",
    },
    Variable {
        name: "LC_ALL",
        meaning: "how amounts are written on a terminal, such as de_DE.UTF-8; --locale goes before it",
    },
    Variable { name: "LC_MONETARY", meaning: "the same, where LC_ALL is not set" },
    Variable { name: "LANG", meaning: "the same, where neither of them is set" },
];

/// The passphrase of the environment, if there is one.
pub fn passphrase() -> Result<Option<Passphrase>, PassphraseError> {
    match env::var(PASSPHRASE) {
        Ok(text) => Passphrase::new(text, PASSPHRASE).map(Some),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(PassphraseError::NotText(PASSPHRASE.to_owned())),
    }
}

/// The user's folder for configurations: `$XDG_CONFIG_HOME/farthing`, or else `~/.config/farthing`.
pub fn config_folder() -> Option<PathBuf> {
    below(XDG_CONFIG_HOME, ".config")
}

/// The user's folder for what programs keep: `$XDG_DATA_HOME/farthing`, or else `~/.local/share/farthing`.
pub fn data_folder() -> Option<PathBuf> {
    below(XDG_DATA_HOME, ".local/share")
}

/// How amounts are written here: the first of the variables for it that says anything.
pub fn locale() -> Option<String> {
    LOCALES.iter().find_map(|name| env::var(name).ok().filter(|text| !text.is_empty()))
}

/// `farthing` in a folder of the XDG specification, which ignores relative paths.
fn below(variable: &str, fallback: &str) -> Option<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute(variable).or_else(|| absolute(HOME).map(|home| home.join(fallback)));
    folder.map(|folder| folder.join("farthing"))
}
