//! `farthing payout key|approve|sign`: the key of a person, sealed at rest, and what it signs.

use std::path::{Path, PathBuf};

use clap::Args;
use ed25519_dalek::SigningKey;
use farthing_server::payouts::{ApprovalRequest, sign, statement_key};
use farthing_wallet::sealed::{Sealed, Unlock, seal};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::payout::Whole;
use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::operator::ask;
use crate::output::{Output, View};
use crate::payer::secret;

/// A key file, and what opens it.
#[derive(Debug, Args)]
struct KeyFile {
    /// The file of your key, as `farthing payout key` has made it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// A file whose first line is the key's passphrase; - is stdin
    #[arg(long, value_name = "FILE")]
    passphrase_file: PathBuf,
}

#[derive(Debug, Args)]
pub struct Key {
    /// Where the key is written, sealed; never over another file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A file whose first line is the passphrase that seals it; - is stdin
    #[arg(long, value_name = "FILE")]
    passphrase_file: PathBuf,
}

#[derive(Debug, Args)]
#[command(
    long_about = "Approve a payout. What is signed is shown: the merchant, the amount and where it goes. Sign here with your key, or hand in what `farthing payout sign` has made elsewhere."
)]
pub struct Approve {
    /// The payout, by its id or the first digits of it
    #[arg(value_name = "PAYOUT")]
    payout: String,
    /// The file of your key
    #[arg(long, value_name = "FILE", requires = "passphrase_file", required_unless_present = "signature")]
    key: Option<PathBuf>,
    /// A file whose first line is the key's passphrase; - is stdin
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// A signature that was made elsewhere
    #[arg(long, value_name = "HEX", requires = "public_key", conflicts_with = "key")]
    signature: Option<String>,
    /// Whose it is: the person's public key
    #[arg(long, value_name = "HEX", conflicts_with = "key")]
    public_key: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub struct Sign {
    /// The statement, as `farthing payout show` has it; - is stdin
    #[arg(long, value_name = "FILE")]
    statement: PathBuf,
    #[command(flatten)]
    key: KeyFile,
}

impl Key {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let passphrase = secret::first_line(&self.passphrase_file, "a passphrase")?;
        let bytes = Zeroizing::new(random::<32>()?);
        let key = SigningKey::from_bytes(&bytes);
        let unlock = Unlock::Passphrase(&passphrase);
        let sealed = seal(bytes.as_slice(), unlock, &random()?, &random()?)
            .map_err(|error| Failure::new(Exit::Failed, format!("the key cannot be sealed: {error}")))?;
        let text = serde_json::to_string_pretty(&sealed)
            .map_err(|error| Failure::new(Exit::Failed, format!("the key cannot be written: {error}")))?;
        secret::write_secret(&self.out, &format!("{text}\n"))?;
        output.say("keep the file and its passphrase apart; put the public key into the configuration:");
        output.show(&Made(statement_key(&key)))
    }
}

impl Approve {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let request = match (&self.signature, &self.public_key, &self.key, &self.passphrase_file) {
            (Some(signature), Some(key), _, _) => ApprovalRequest {
                payout: self.payout.clone(),
                key: key.clone(),
                signature: signature.clone(),
            },
            (_, _, Some(file), Some(words)) => {
                let key = open(file, words)?;
                let payout = ask(&self.config, async |access| access.payout(&self.payout).await)?;
                output.say(format_args!("you sign:\n{}", payout.statement.trim_end()));
                let signature = sign(&key, &payout.statement);
                ApprovalRequest { payout: payout.id, key: statement_key(&key), signature }
            }
            _ => {
                let message = "expected --key with --passphrase-file, or --signature with --public-key";
                return Err(Failure::new(Exit::Usage, message));
            }
        };
        let payout = ask(&self.config, async |access| access.approve_payout(&request).await)?;
        output.show(&Whole(payout))
    }
}

impl Sign {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        if self.statement == Path::new("-") && self.key.passphrase_file == Path::new("-") {
            let message = "expected the statement or the passphrase on stdin, got both";
            return Err(Failure::new(Exit::Usage, message));
        }
        let statement = secret::text(&self.statement, "a statement")?;
        // Anything else that a person could be made to sign is no payout.
        if !statement.starts_with("farthing payout 1\n") {
            let message = "expected the statement of a payout, which begins with \"farthing payout 1\"";
            return Err(Failure::new(Exit::Usage, message)
                .hint("farthing payout show PAYOUT --json has it as \"statement\""));
        }
        let key = open(&self.key.key, &self.key.passphrase_file)?;
        output.say(format_args!("you sign:\n{}", statement.trim_end()));
        output.show(&Signed { key: statement_key(&key), signature: sign(&key, &statement) })
    }
}

/// Opens a key file.
fn open(path: &Path, passphrase: &Path) -> Result<SigningKey, Failure> {
    let text = secret::text(path, "a key")?;
    let damaged = |why: String| {
        let message = format!("expected a key of `farthing payout key` in {}: {why}", path.display());
        Failure::new(Exit::Usage, message)
    };
    let sealed: Sealed = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    let words = secret::first_line(passphrase, "a passphrase")?;
    let opened = sealed.open(Unlock::Passphrase(&words)).map_err(|error| {
        Failure::new(Exit::NotAllowed, format!("the key {} stays closed: {error}", path.display()))
    })?;
    let bytes = <[u8; 32]>::try_from(opened.as_slice()).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| damaged("it has not 32 bytes".to_owned()))?;
    Ok(SigningKey::from_bytes(&bytes))
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    farthing_server::random::system_random()(&mut bytes)
        .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    Ok(bytes)
}

struct Made(String);

impl View for Made {
    fn json(&self) -> Value {
        json!({ "key": self.0 })
    }

    fn text(&self) -> String {
        format!("[[operator]]\nname = \"..\"\nkey = \"{}\"", self.0)
    }
}

struct Signed {
    key: String,
    signature: String,
}

impl View for Signed {
    fn json(&self) -> Value {
        json!({ "key": self.key, "signature": self.signature })
    }

    fn text(&self) -> String {
        format!("--public-key {} --signature {}", self.key, self.signature)
    }
}
