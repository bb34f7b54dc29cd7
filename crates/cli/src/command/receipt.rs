//! `farthing receipt verify`: is this receipt whole, and who signed it? Needs no network.

use std::fs::File;
use std::io::{self, Read};

use clap::{Args, Subcommand};
use ed25519_dalek::VerifyingKey;
use farthing_wire::jws::{key_text, read_key};
use farthing_wire::{JwsError, Receipt as Signed};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::{Output, View};

#[derive(Debug, Subcommand)]
pub enum Receipt {
    /// Check a receipt's signature, offline, and show what it says
    Verify(Verify),
}

#[derive(Debug, Args)]
pub struct Verify {
    /// The file with the receipt, as the field Farthing-Receipt brought it; - is stdin
    #[arg(value_name = "FILE|-")]
    file: String,
    /// The merchant's public key, to check who signed: 64 hexadecimal digits or 43 letters of base64url
    #[arg(long, value_name = "KEY", value_parser = key, allow_hyphen_values = true)]
    key: Option<VerifyingKey>,
}

struct Genuine {
    receipt: Signed,
    signer: VerifyingKey,
    is_key_known: bool,
}

struct Refused<'a>(&'a JwsError);

/// More than any receipt: a longer file is something else.
const BYTES_MAX: u64 = 64 * 1024;

impl Receipt {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Verify(verify) => verify.run(output),
        }
    }
}

impl Verify {
    fn run(&self, output: &Output) -> Result<(), Failure> {
        let text = self.read()?;
        match Signed::verify_signer(text.trim(), self.key.as_ref()) {
            Ok((receipt, signer)) => {
                if self.key.is_none() {
                    output.say(
                        "note: the text is as it was signed; to know that the merchant signed it, give its key with --key",
                    );
                }
                output.show(&Genuine { receipt, signer, is_key_known: self.key.is_some() })
            }
            Err(error) => {
                if output.is_json() {
                    output.show(&Refused(&error))?;
                }
                Err(Failure::new(
                    Exit::Failed,
                    format!("the receipt is not genuine ({}): {error}", error.code()),
                ))
            }
        }
    }

    fn read(&self) -> Result<String, Failure> {
        let mut bytes = Vec::new();
        let read = match self.file.as_str() {
            "-" => io::stdin().lock().take(BYTES_MAX).read_to_end(&mut bytes),
            path => File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes)),
        };
        read.map_err(|error| {
            let exit = if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
            Failure::new(exit, format!("cannot read the receipt from {}: {error}", self.file))
        })?;
        String::from_utf8(bytes)
            .map_err(|_| Failure::new(Exit::Failed, "expected a receipt as text, got other bytes"))
    }
}

/// Reads a public key in either of its spellings.
pub(super) fn key(text: &str) -> Result<VerifyingKey, String> {
    let mut bytes = [0; 32];
    let read = match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) => VerifyingKey::from_bytes(&bytes).ok(),
        Err(_) => read_key(text).ok(),
    };
    read.ok_or_else(|| {
        "expected an Ed25519 public key of 64 hexadecimal digits or 43 letters of base64url".to_owned()
    })
}

impl View for Genuine {
    fn json(&self) -> Value {
        json!({
            "genuine": true,
            "key": key_text(&self.signer),
            "key_checked": self.is_key_known,
            "receipt": self.receipt,
        })
    }

    fn text(&self) -> String {
        let receipt = &self.receipt;
        let method = receipt.method.as_deref().map(|method| format!("{method} ")).unwrap_or_default();
        let signer = if self.is_key_known { "the key that was given" } else { "a key that was not checked" };
        let lines = [
            ("paid", Some(format!("{} {}", receipt.decimal, receipt.asset))),
            ("for", Some(format!("{method}{}", receipt.resource))),
            ("to", receipt.merchant.clone()),
            ("at", Some(receipt.paid_at.to_string())),
            ("open until", receipt.pass_until.map(|until| until.to_string())),
            ("credits of", receipt.issuer.clone()),
            ("dialect", Some(receipt.dialect.clone())),
            ("payment", Some(receipt.payment.clone())),
            ("signed by", Some(format!("{} ({signer})", key_text(&self.signer)))),
        ];
        let line = |(name, value): (&str, Option<String>)| {
            value.map(|value| format!("{name:<11} {}", plain(&value)))
        };
        lines.into_iter().filter_map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Text of strangers on a terminal: control characters would move the cursor.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

impl View for Refused<'_> {
    fn json(&self) -> Value {
        json!({ "genuine": false, "code": self.0.code(), "message": self.0.to_string() })
    }

    fn text(&self) -> String {
        self.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_two_spellings() {
        let right = ed25519_dalek::SigningKey::from_bytes(&[1; 32]).verifying_key();
        assert_eq!(key(&hex::encode(right.as_bytes())), Ok(right));
        assert_eq!(key(&key_text(&right)), Ok(right));
        for bad in ["", "00", &"z".repeat(64), &"A".repeat(44)] {
            assert!(key(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_text_of_strangers_cannot_move_the_cursor() {
        assert_eq!(plain("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
