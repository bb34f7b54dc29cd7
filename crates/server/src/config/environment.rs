//! The environment variables that Farthing reads: all of them, and nowhere else.

use std::env::{self, VarError};

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

/// All variables.
pub const VARIABLES: &[Variable] = &[Variable {
    name: PASSPHRASE,
    meaning: "the passphrase that decrypts the issuer's seed; goes before passphrase_file in [issuer]",
}];

/// The passphrase of the environment, if there is one.
pub fn passphrase() -> Result<Option<Passphrase>, PassphraseError> {
    match env::var(PASSPHRASE) {
        Ok(text) => Passphrase::new(text, PASSPHRASE).map(Some),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(PassphraseError::NotText(PASSPHRASE.to_owned())),
    }
}
