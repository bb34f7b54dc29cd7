//! The wallet's folder: the vault, and beside it the key that opens the seed when no passphrase does.
//!
//! What is sealed are the words: the key file (mode 0600) protects them against copies that leave it behind, a passphrase
//! against whoever cannot guess it. The credits at hand lie in the vault as they are, so that whoever reads the folder
//! can spend those; the folder is its owner's alone.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use farthing_server::config::environment;
use farthing_store::WalletFolder;
use farthing_wallet::{MemoryVault, SealingEntropy, Seed, Unlock, VaultFaultKind, Wallet, WalletError};
use zeroize::Zeroizing;

use super::secret;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Which wallet, and what opens it.
#[derive(Clone, Debug, Args)]
pub struct WalletPlace {
    /// The wallet's folder; farthing/wallet in the XDG data folder otherwise
    #[arg(long = "wallet", value_name = "DIR", global = true)]
    given: Option<PathBuf>,
    /// A file whose first line is the wallet's passphrase; - is stdin
    #[arg(long, value_name = "FILE", global = true)]
    passphrase_file: Option<PathBuf>,
}

const VAULT: &str = "vault";
const KEY: &str = "key";
/// How long a wallet may be in use by another command: they take turns.
const TURN: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl WalletPlace {
    /// The folder.
    pub fn folder(&self) -> Result<PathBuf, Failure> {
        let folder = || environment::data_folder().map(|folder| folder.join("wallet"));
        self.given.clone().or_else(folder).ok_or_else(|| {
            Failure::new(Exit::Usage, "expected a home folder for the wallet, got none in the environment")
                .hint("name the wallet's folder with --wallet DIR")
        })
    }

    /// Whether there is a wallet, as far as can be seen from outside.
    pub fn exists(&self) -> Result<bool, Failure> {
        Ok(self.folder()?.join(VAULT).exists())
    }

    /// Opens the wallet that is there.
    pub async fn open(&self) -> Result<Wallet, Failure> {
        if !self.exists()? {
            return Err(self.none()?);
        }
        let vault = self.vault().await?;
        match Wallet::peek(&vault)? {
            Some(wants_passphrase) => self.unlock(vault, wants_passphrase),
            None => Err(self.none()?),
        }
    }

    /// Opens the wallet that is there, or makes one and shows its words.
    pub async fn open_or_create(&self, output: &Output) -> Result<Wallet, Failure> {
        let vault = self.vault().await?;
        if let Some(wants_passphrase) = Wallet::peek(&vault)? {
            return self.unlock(vault, wants_passphrase);
        }
        let wallet = self.seal(vault, None)?;
        self.show_words(&wallet, output)?;
        Ok(wallet)
    }

    /// Makes a wallet where none is: from these words, or from new ones, which are shown.
    pub async fn create(&self, seed: Option<Seed>, output: &Output) -> Result<Wallet, Failure> {
        let vault = self.vault().await?;
        if Wallet::peek(&vault)?.is_some() {
            return Err(WalletError::WalletExists.into());
        }
        if seed.is_some() {
            return self.seal(vault, seed);
        }
        let wallet = self.seal(vault, None)?;
        self.show_words(&wallet, output)?;
        Ok(wallet)
    }

    /// Opens the wallet that is there; otherwise one with nothing in it, which nobody keeps.
    pub async fn open_or_empty(&self) -> Result<Wallet, Failure> {
        if self.exists()? {
            return self.open().await;
        }
        let entropy = SealingEntropy { salt: [0; 16], nonce: [0; 24] };
        Ok(Wallet::create(MemoryVault::default(), new_seed()?, Unlock::Key(&[0; 32]), &entropy)?)
    }

    /// Whether a passphrase was named.
    pub fn has_passphrase(&self) -> bool {
        self.passphrase_file.is_some()
    }

    fn none(&self) -> Result<Failure, Failure> {
        let message = format!("there is no wallet in {}", self.folder()?.display());
        Ok(Failure::new(Exit::NotFound, message).hint(
            "`farthing wallet init` makes one, and `farthing wallet redeem CODE` makes and fills one; another one is named with --wallet DIR",
        ))
    }

    fn show_words(&self, wallet: &Wallet, output: &Output) -> Result<(), Failure> {
        output.say(format_args!(
            "a new wallet in {}\n\n    {}\n\nwrite these 12 words down: whoever has them has the credits, and without them a lost folder is lost money\n",
            self.folder()?.display(),
            *wallet.seed().words()
        ));
        Ok(())
    }

    /// The vault, once no other command has it.
    async fn vault(&self) -> Result<WalletFolder, Failure> {
        let folder = self.folder()?;
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|error| {
            Failure::new(
                Exit::Failed,
                format!("cannot make the wallet's folder {}: {error}", folder.display()),
            )
        })?;
        let path = folder.join(VAULT);
        let looks = TURN.as_millis() / LOOK_AGAIN.as_millis().max(1);
        for _ in 0..looks {
            match WalletFolder::open(&path) {
                Err(fault) if fault.kind == VaultFaultKind::InUse => tokio::time::sleep(LOOK_AGAIN).await,
                opened => return opened.map_err(|fault| WalletError::from(fault).into()),
            }
        }
        let message = format!("the wallet in {} is still in use by another command", folder.display());
        Err(Failure::new(Exit::Failed, message)
            .hint("wait until it has ended; a second wallet is made with --wallet DIR"))
    }

    fn passphrase(&self) -> Result<Option<Zeroizing<String>>, Failure> {
        self.passphrase_file.as_deref().map(|path| secret::first_line(path, "a passphrase")).transpose()
    }

    fn unlock(&self, vault: WalletFolder, wants_passphrase: bool) -> Result<Wallet, Failure> {
        if wants_passphrase {
            let passphrase = self.passphrase()?.ok_or_else(|| {
                Failure::new(Exit::NotAllowed, "expected the wallet's passphrase, got none")
                    .hint("name a file that holds it with --passphrase-file FILE; - is stdin")
            })?;
            return Ok(Wallet::open(vault, Unlock::Passphrase(&passphrase))?);
        }
        let key = read_key(&self.folder()?.join(KEY))?;
        Ok(Wallet::open(vault, Unlock::Key(&key))?)
    }

    /// Makes a new wallet, or one again from the words of another. The key is durable before anything is sealed with it.
    fn seal(&self, vault: WalletFolder, again: Option<Seed>) -> Result<Wallet, Failure> {
        let make = if again.is_some() { Wallet::restore } else { Wallet::create };
        let seed = again.map_or_else(new_seed, Ok)?;
        let mut entropy = SealingEntropy { salt: [0; 16], nonce: [0; 24] };
        random(&mut entropy.salt)?;
        random(&mut entropy.nonce)?;
        if let Some(passphrase) = self.passphrase()? {
            return Ok(make(vault, seed, Unlock::Passphrase(&passphrase), &entropy)?);
        }
        let path = self.folder()?.join(KEY);
        if !path.exists() {
            let mut key = Zeroizing::new([0; 32]);
            random(key.as_mut())?;
            let text = Zeroizing::new(format!("{}\n", hex::encode(key.as_slice())));
            secret::write_secret(&path, &text)?;
        }
        let key = read_key(&path)?;
        Ok(make(vault, seed, Unlock::Key(&key), &entropy)?)
    }
}

fn read_key(path: &Path) -> Result<Zeroizing<[u8; 32]>, Failure> {
    let is_open = |meta: std::fs::Metadata| meta.permissions().mode() & 0o077 != 0;
    match std::fs::metadata(path).map(is_open) {
        Ok(true) => {
            let message = format!("others may read the wallet's key {}", path.display());
            return Err(Failure::new(Exit::NotAllowed, message)
                .hint(format!("make it yours alone with `chmod 600 {}`", path.display())));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = format!("expected the wallet's key in {}, found none", path.display());
            return Err(Failure::new(Exit::NotFound, message)
                .hint("put the file back, or restore the wallet in another folder from its 12 words"));
        }
        // Whatever else is wrong, reading will say.
        Ok(false) | Err(_) => {}
    }
    let line = secret::first_line(path, "a key")?;
    let mut key = Zeroizing::new([0; 32]);
    hex::decode_to_slice(line.trim(), key.as_mut()).map_err(|_| {
        Failure::new(
            Exit::Failed,
            format!("expected 64 hexadecimal digits in {}, got others", path.display()),
        )
        .hint("restore the wallet in another folder from its 12 words")
    })?;
    Ok(key)
}

fn random(bytes: &mut [u8]) -> Result<(), Failure> {
    getrandom::fill(bytes)
        .map_err(|error| Failure::new(Exit::Failed, format!("the system gives no random bytes: {error}")))
}

/// Random bytes for what is signed once.
pub fn draw() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    random(&mut bytes)?;
    Ok(bytes)
}

fn new_seed() -> Result<Seed, Failure> {
    let mut entropy = [0; 16];
    random(&mut entropy)?;
    Ok(Seed::from_entropy(entropy).map_err(WalletError::from)?)
}
