//! Who has the key that transactions are sent with: this program, or another one on a machine of its own. Whoever it is, only
//! exactly the transaction that was asked for, signed by exactly the account that is configured, is ever sent.

mod remote;

use std::pin::Pin;

use farthing_channel::{Address, SigningKey};
use thiserror::Error;

use crate::node::NodeError;
use farthing_channel::{SignedTransaction, Transaction};

pub use remote::RemoteSigner;

/// Why nothing was signed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignFault {
    /// It says nothing, or that it does not sign.
    #[error(
        "expected a signature of the signer at {place}, got none: {cause}; it is asked again, look whether it runs and knows the account"
    )]
    Silent {
        /// Where it should be, without what may be secret.
        place: String,
        /// What happened.
        cause: NodeError,
    },
    /// It has signed something else, or as somebody else.
    #[error(
        "expected exactly the transaction that was asked for, signed by {account}, got {got} from the signer at {place}; nothing is sent, look at the signer"
    )]
    Other {
        /// Where it is.
        place: String,
        /// Whose signature was expected.
        account: Address,
        /// What came.
        got: &'static str,
    },
}

impl SignFault {
    /// What a signer has made of a transaction, if it is that one and signed by that account.
    pub(crate) fn unless_exact(
        place: &str,
        account: Address,
        asked: &Transaction,
        signed: Option<SignedTransaction>,
    ) -> Result<SignedTransaction, Self> {
        let other = |got| Self::Other { place: place.to_owned(), account, got };
        let signed = signed.ok_or_else(|| other("no transaction of its kind"))?;
        if signed.transaction != *asked {
            return Err(other("another transaction"));
        }
        if signed.sender != account {
            return Err(other("the signature of another account"));
        }
        Ok(signed)
    }
}

/// What [`Signer::sign`] returns.
pub type Signing<'a> = Pin<Box<dyn Future<Output = Result<SignedTransaction, SignFault>> + Send + 'a>>;

/// What [`Signer::look`] returns.
pub type Looking<'a> = Pin<Box<dyn Future<Output = Result<(), SignFault>> + Send + 'a>>;

/// Whoever has the key that transactions are sent with: here, or on another machine.
pub trait Signer: Send + Sync + 'static {
    /// The account.
    fn address(&self) -> Address;
    /// Signs a transaction as it is.
    fn sign(&self, transaction: Transaction) -> Signing<'_>;
    /// Where it is, if it is not here.
    fn place(&self) -> Option<&str> {
        None
    }
    /// Whether it would sign now, as far as it says.
    fn look(&self) -> Looking<'_> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Signer for SigningKey {
    fn address(&self) -> Address {
        Self::address(self)
    }

    fn sign(&self, transaction: Transaction) -> Signing<'_> {
        let signature = Self::sign(self, &transaction.digest());
        let signed = transaction.clone().signed(&signature);
        let signed = SignFault::unless_exact("this program", Self::address(self), &transaction, signed);
        Box::pin(std::future::ready(signed))
    }
}
