//! MPP: the `Payment` scheme of HTTP authentication, and our own method in it, `credit`.

pub mod accept;
mod challenge;
mod credential;
pub mod credit;
mod parse;
mod quoted;
mod receipt;

pub use challenge::{Challenge, ChallengeError, Draft, SECRET_BYTES_MIN};
pub use credential::{Credential, CredentialTextError};
pub(crate) use parse::schemes;
pub use receipt::{MppReceiptError, Receipt};

/// Our method.
pub const METHOD_CREDIT: &str = "credit";
/// The intent of paying once for one thing.
pub const INTENT_CHARGE: &str = "charge";
