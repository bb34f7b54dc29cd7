//! `[issuer]`: the issuer of credits and the secret that guards its seed.

use std::path::PathBuf;

use farthing_money::Span;

use super::section::Section;
use super::server::positive;
use super::{Passphrase, PassphraseError};

/// `[issuer]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerConfig {
    /// What wallets call it.
    pub name: String,
    /// What they say about it.
    pub description: String,
    /// Whether credits are given away for nothing, so that wallets can be tested.
    pub test_funding: bool,
    /// The file whose first line decrypts the seed.
    pub passphrase_file: Option<PathBuf>,
    /// How many denominations a keyset has: 1, 2, 4 and so on.
    pub keyset_orders: u8,
    /// Fee in minor units for each thousand inputs.
    pub input_fee_ppk: u32,
    /// How long after its making a keyset's credits are worth something; nothing is for ever.
    pub final_expiry: Option<Span>,
    /// How long an epoch lasts, at whose end it is stated what is owed.
    pub epoch: Span,
}

/// Rows tell the epoch in which credits were issued and spent: shorter ones would tell more of payers than the journal,
/// which counts in hours.
const EPOCH_MIN: Span = Span::from_secs(3_600);
const EPOCH_USUAL: Span = Span::from_secs(86_400);

impl Default for IssuerConfig {
    fn default() -> Self {
        Self {
            name: "Farthing".to_owned(),
            description: String::new(),
            test_funding: false,
            passphrase_file: None,
            keyset_orders: 32,
            input_fee_ppk: 0,
            final_expiry: None,
            epoch: EPOCH_USUAL,
        }
    }
}

impl IssuerConfig {
    /// The passphrase: the environment's (see [`super::environment::passphrase`]), or else the file's.
    pub fn passphrase(
        &self,
        from_environment: Option<Passphrase>,
    ) -> Result<Option<Passphrase>, PassphraseError> {
        match (from_environment, &self.passphrase_file) {
            (Some(passphrase), _) => Ok(Some(passphrase)),
            (None, Some(path)) => Passphrase::from_file(path).map(Some),
            (None, None) => Ok(None),
        }
    }
}

pub(super) fn read(section: Section<'_>) -> IssuerConfig {
    let default = IssuerConfig::default();
    let orders = section.number("keyset_orders", 1..=64).and_then(|orders| u8::try_from(orders).ok());
    let config = IssuerConfig {
        name: section.line("name", 64).unwrap_or(default.name),
        description: section.line("description", 1_024).unwrap_or(default.description),
        test_funding: section.boolean("test_funding").unwrap_or(default.test_funding),
        passphrase_file: section.file("passphrase_file"),
        keyset_orders: orders.unwrap_or(default.keyset_orders),
        input_fee_ppk: section.number("input_fee_ppk", 0..=1_000_000).unwrap_or(default.input_fee_ppk),
        final_expiry: section.parsed("final_expiry", positive),
        epoch: section.parsed("epoch", epoch).unwrap_or(default.epoch),
    };
    section.finish();
    config
}

fn epoch(text: &str) -> Option<Span> {
    positive(text).filter(|span| *span >= EPOCH_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_goes_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        std::fs::write(&path, "from the file\n").unwrap();
        let config = IssuerConfig { passphrase_file: Some(path), ..IssuerConfig::default() };
        let environment = Passphrase::new("from the environment".to_owned(), "a test").unwrap();
        let bytes = |given| config.passphrase(given).unwrap().unwrap().as_str().as_bytes().to_vec();
        assert_eq!(bytes(Some(environment)), b"from the environment");
        assert_eq!(bytes(None), b"from the file");
        assert!(IssuerConfig::default().passphrase(None).unwrap().is_none());
    }
}
