//! `farthing ledger receipt`: from a receipt, or a payment's id, to the payment and its entries.

use std::fs::File;
use std::io::{self, Read};

use clap::Args;
use farthing_server::operator::PaymentTrail;
use serde_json::{Value, json};

use super::ledger_books::journal_table;
use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::operator::ask;
use crate::output::{Output, View};

/// More than any receipt: a longer file is something else.
const BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug, Args)]
pub struct Trail {
    /// A payment's id, a receipt's text, a file with one, or - for stdin
    #[arg(value_name = "RECEIPT|PAYMENT|FILE|-")]
    what: String,
    #[command(flatten)]
    config: ConfigFile,
}

impl Trail {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let text = self.text()?;
        output.show(&ask(&self.config, async |access| access.trail(text.trim()).await)?)
    }

    /// An id or a signed text as it stands, otherwise what is in the file.
    fn text(&self) -> Result<String, Failure> {
        let is_id = self.what.len() == 64 && self.what.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_signed = self.what.starts_with("eyJ") && self.what.matches('.').count() == 2;
        if is_id || is_signed {
            return Ok(self.what.clone());
        }
        let mut text = String::new();
        let read = match self.what.as_str() {
            "-" => io::stdin().lock().take(BYTES_MAX).read_to_string(&mut text),
            path => File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text)),
        };
        read.map_err(|error| {
            let exit = if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
            let message = format!(
                "expected a payment's id (64 hexadecimal digits), a receipt or a file with one, got {}: {error}",
                self.what
            );
            Failure::new(exit, message)
        })?;
        Ok(text)
    }
}

impl View for PaymentTrail {
    fn json(&self) -> Value {
        json!(self)
    }

    fn text(&self) -> String {
        let mut lines = vec![format!("payment   {}", self.payment)];
        if let Some(receipt) = &self.receipt {
            lines.push(format!(
                "receipt   genuine: {} {} at {}",
                receipt.decimal, receipt.asset, receipt.paid_at
            ));
        }
        match &self.books {
            Some(books) => {
                let tax = books.tax_code.map_or_else(|| "none".to_owned(), |code| code.to_string());
                lines.extend([
                    format!("state     {} at {}", books.state, books.at),
                    format!("for       {}", plain(&books.resource)),
                    format!("hash      {}", books.resource_hash),
                    format!(
                        "money     {} charged, {} set aside, {} back as change ({})",
                        books.charged, books.held, books.change, books.asset
                    ),
                    format!("tax code  {tax}"),
                ]);
            }
            None => lines.push("state     no row: it was released, or its keyset was written off".to_owned()),
        }
        lines.push(journal_table(&self.entries));
        lines.join("\n")
    }
}

/// What strangers wrote cannot move the cursor.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
