//! The one secret of an installation: 32 random bytes, encrypted at rest, from which every key is derived.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use farthing_wallet::sealed::{Sealed, SealedError, Unlock, seal};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::config::Passphrase;
use crate::random::{RandomError, draw, system_random};

/// The file in the data folder.
pub const SEED_FILE: &str = "seed.json";

/// The secret. Wiped when dropped; never shown.
pub struct Seed(Zeroizing<[u8; 32]>);

/// What a key is for. Each purpose has a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The issuer's keysets.
    Keysets,
    /// The Ed25519 key of receipts, passes and notes to the upstream.
    Receipts,
    /// The authentication code of challenges.
    Challenges,
    /// The secrets of change that nobody blinded.
    Change,
    /// The terms of quotes that are not written down.
    Terms,
    /// Our own account on chains.
    Chains,
    /// The addresses on chains at which mint quotes take transfers.
    Inlets,
    /// What sellers show to whom we settle for, that it is they who ask.
    Sellers,
    /// The texts of top-up codes that payouts become.
    PayoutCodes,
    /// The texts of top-up codes that refunds become.
    RefundCodes,
}

/// Why there is no seed.
#[derive(Debug, Error)]
pub enum SeedError {
    /// The file cannot be read or written.
    #[error("the seed {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not a seed file.
    #[error("the seed {} is damaged: {reason}; restore it from a backup", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Wrong passphrase.
    #[error("the seed {} stays closed: {source}", path.display())]
    Sealed {
        /// Which.
        path: PathBuf,
        /// Why.
        source: SealedError,
    },
    /// The books are there, the seed is not.
    #[error(
        "the folder has books, but no seed at {0}; restore it from a backup, a new one would orphan every credit"
    )]
    Missing(PathBuf),
    /// The system gives no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl Seed {
    /// A seed that is kept elsewhere than in a folder.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads the seed of a data folder, or makes one if the folder is new.
    pub fn open(folder: &Path, passphrase: &Passphrase, is_new: bool) -> Result<Self, SeedError> {
        let path = folder.join(SEED_FILE);
        match fs::read(&path) {
            Ok(bytes) => Self::unseal(&path, &bytes, passphrase),
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_new => {
                Self::create(&path, passphrase)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SeedError::Missing(path)),
            Err(source) => Err(SeedError::File { path, source }),
        }
    }

    fn unseal(path: &Path, bytes: &[u8], passphrase: &Passphrase) -> Result<Self, SeedError> {
        let damaged = |reason: String| SeedError::Damaged { path: path.to_owned(), reason };
        let sealed: Sealed = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        let opened = sealed
            .open(Unlock::Passphrase(passphrase.as_str()))
            .map_err(|source| SeedError::Sealed { path: path.to_owned(), source })?;
        let seed =
            <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| damaged("it has not 32 bytes".to_owned()))?;
        Ok(Self(Zeroizing::new(seed)))
    }

    fn create(path: &Path, passphrase: &Passphrase) -> Result<Self, SeedError> {
        let seed = Zeroizing::new(random::<32>()?);
        let sealed = seal(seed.as_slice(), Unlock::Passphrase(passphrase.as_str()), &random()?, &random()?)
            .map_err(|source| SeedError::Sealed { path: path.to_owned(), source })?;
        let text = serde_json::to_vec_pretty(&sealed)
            .map_err(|error| SeedError::Damaged { path: path.to_owned(), reason: error.to_string() })?;
        write_durably(path, &text).map_err(|source| SeedError::File { path: path.to_owned(), source })?;
        Ok(Self(seed))
    }

    /// The key for a purpose: HMAC-SHA256 of its name.
    pub fn key(&self, purpose: Purpose) -> Zeroizing<[u8; 32]> {
        let name: &[u8] = match purpose {
            Purpose::Keysets => b"farthing/keysets/1",
            Purpose::Receipts => b"farthing/receipts/1",
            Purpose::Challenges => b"farthing/challenges/1",
            Purpose::Change => b"farthing/change/1",
            Purpose::Terms => b"farthing/terms/1",
            Purpose::Chains => b"farthing/chains/1",
            Purpose::Inlets => b"farthing/inlets/1",
            Purpose::Sellers => b"farthing/sellers/1",
            Purpose::PayoutCodes => b"farthing/payout-codes/1",
            Purpose::RefundCodes => b"farthing/refund-codes/1",
        };
        Zeroizing::new(mac(&self.0, name))
    }
}

/// HMAC-SHA256.
pub(crate) fn mac(key: &[u8; 32], bytes: &[u8]) -> [u8; 32] {
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    Hmac::<Sha256>::new(&block).chain_update(bytes).finalize().into_bytes().into()
}

/// Random bytes of the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], SeedError> {
    Ok(draw(&system_random())?)
}

/// Makes a folder that only its owner may enter, or closes one that is there to all others.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let mut permissions = fs::metadata(path)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        permissions.set_mode(0o700);
        fs::set_permissions(path, permissions)?;
    }
    Ok(())
}

/// Writes a file that only its owner may read: beside its place, synced, then moved there.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("draft");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Passphrase {
        Passphrase::new(text.to_owned(), "here").unwrap()
    }

    #[test]
    fn the_seed_stays_the_same_and_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let first = Seed::open(folder.path(), &words("one"), true).unwrap();
        let again = Seed::open(folder.path(), &words("one"), false).unwrap();
        assert_eq!(first.0, again.0);
        assert_ne!(first.key(Purpose::Keysets), first.key(Purpose::Receipts));
        let closed = Seed::open(folder.path(), &words("two"), false).err().unwrap();
        assert!(matches!(closed, SeedError::Sealed { .. }), "{closed}");
        let file = folder.path().join(SEED_FILE);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains(&hex::encode(*first.0)), "the seed is not stored in clear");
    }

    /// A folder that was made beforehand, by hand or as a container's volume, was left open to everybody.
    #[test]
    fn a_folder_that_is_there_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        private_folder(folder.path()).unwrap();
        assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn books_without_a_seed_get_no_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Seed::open(folder.path(), &words("one"), false).err().unwrap();
        assert!(matches!(missing, SeedError::Missing(_)), "{missing}");
    }

    #[test]
    fn damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(SEED_FILE), "{").unwrap();
        let damaged = Seed::open(folder.path(), &words("one"), false).err().unwrap();
        assert!(matches!(damaged, SeedError::Damaged { .. }), "{damaged}");
    }
}
