//! Payouts: what merchants have earned is proposed, approved by persons, and sent on a chain, as a top-up code or in a bank
//! file. The engine says what may be done; here it is made, signed for, and written for banks.

pub mod access;
pub mod admin;
pub mod approval;
pub mod bank_file;
pub mod bank_names;
mod destination;
pub mod pain;
mod period;
mod propose;
mod send;
mod view;
pub(crate) mod worker;

use std::sync::Arc;

use farthing_channel::Address;
use farthing_engine::{Execute, Fault, PayoutId, PayoutRow, Read, pages};
use farthing_evm::ChainConfig;
use farthing_money::AssetTable;
use farthing_store::Clock;
use zeroize::Zeroizing;

pub use approval::{ApprovalRequest, sign, statement_key};
pub use bank_file::{FileRequest, NewFile};
pub use propose::ProposeRequest;
pub use send::{BankRequest, CancelRequest, Sent};
pub use view::{ApprovalView, PayoutView};

use crate::config::{MerchantTerms, PayoutsConfig};
use crate::installation::Installation;
use crate::operator::OperatorError;

/// Payouts that are read at once.
const PAGE: usize = 256;

/// Digits of an id that name a payout, if no other begins with them.
const DIGITS_LEAST: usize = 8;

/// The operator's hand on payouts.
#[derive(Clone)]
pub struct Payouts {
    read: Arc<dyn Read>,
    execute: Arc<dyn Execute>,
    assets: AssetTable,
    clock: Clock,
    config: Arc<PayoutsConfig>,
    chains: Arc<[ChainConfig]>,
    /// Our account on chains whose key nobody else has.
    own: Option<Address>,
    /// Makes the texts of top-up codes, the same for the same payout.
    codes: Zeroizing<[u8; 32]>,
    /// These books, as statements name them.
    books: String,
}

impl Payouts {
    /// Of an open installation.
    pub fn new(installation: &Installation) -> Self {
        Self {
            read: Arc::clone(&installation.books),
            execute: Arc::clone(&installation.writer),
            assets: installation.assets.clone(),
            clock: Arc::clone(&installation.clock),
            config: Arc::clone(&installation.payouts),
            chains: installation.chains.clone().into(),
            own: installation.chain_account.as_ref().map(farthing_channel::SigningKey::address),
            codes: installation.payout_codes.clone(),
            books: hex::encode(installation.receipts.verifying_key().as_bytes()),
        }
    }

    /// All payouts, the latest first; only those that are not over, if only they are asked for.
    pub fn list(&self, open: bool) -> Result<Vec<PayoutView>, OperatorError> {
        let mut rows = self.rows()?;
        rows.retain(|(_, row)| !open || !row.state.is_over());
        rows.sort_by_key(|(id, row)| std::cmp::Reverse((row.at, *id)));
        rows.iter().map(|(id, row)| self.view(*id, row)).collect()
    }

    /// One payout.
    pub fn show(&self, text: &str) -> Result<PayoutView, OperatorError> {
        let (id, row) = self.find(text)?;
        self.view(id, &row)
    }

    fn rows(&self) -> Result<Vec<(PayoutId, PayoutRow)>, Fault> {
        let pages: Vec<_> =
            pages(PAGE, |after, limit| self.read.payouts_after(after, limit)).collect::<Result<_, _>>()?;
        Ok(pages.into_iter().flatten().collect())
    }

    /// The payout of this id, or the only one whose id begins so.
    fn find(&self, text: &str) -> Result<(PayoutId, PayoutRow), OperatorError> {
        let good = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if !good || !(DIGITS_LEAST..=64).contains(&text.len()) {
            let message = format!(
                "expected the id of a payout, or its first {DIGITS_LEAST} digits or more, got {text:?}; `farthing payout list` has them"
            );
            return Err(OperatorError::Request(message));
        }
        let mut found = self.rows()?;
        found.retain(|(id, _)| id.to_string().starts_with(text));
        let first = found.pop();
        match (first, found.is_empty()) {
            (Some(payout), true) => Ok(payout),
            (Some(_), false) => Err(OperatorError::Request(format!(
                "several payouts begin with {text}; write more of the id"
            ))),
            (None, _) => Err(OperatorError::Missing(format!(
                "there is no payout {text}; `farthing payout list` has them all"
            ))),
        }
    }

    /// How the configuration of today pays a merchant.
    fn terms(&self, row: &PayoutRow) -> Option<&MerchantTerms> {
        let same =
            |terms: &&MerchantTerms| (&terms.name, terms.asset) == (&row.terms.merchant, row.terms.asset);
        self.config.merchants.iter().find(same)
    }
}

impl std::fmt::Debug for Payouts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Payouts(..)")
    }
}
