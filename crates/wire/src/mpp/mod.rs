//! MPP: the `Payment` scheme of HTTP authentication, our own method in it, `credit`, and `evm`, which others know.

pub mod accept;
mod challenge;
mod credential;
pub mod credit;
pub mod credit_session;
pub mod evm;
mod parse;
mod quoted;
mod receipt;
pub mod session;

pub use challenge::{Challenge, ChallengeError, Draft, SECRET_BYTES_MIN};
pub use credential::{Credential, CredentialTextError};
pub(crate) use parse::schemes;
pub use receipt::{MppReceiptError, Receipt};

/// Our method.
pub const METHOD_CREDIT: &str = "credit";
/// The method of paying with an asset on a chain of Ethereum's kind.
pub const METHOD_EVM: &str = "evm";
/// The intent of paying once for one thing.
pub const INTENT_CHARGE: &str = "charge";
/// The intent of paying many times through a channel.
pub const INTENT_SESSION: &str = "session";

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::Value;

    use super::{Challenge, Draft};

    /// A challenge that says nothing but its request.
    pub(crate) fn challenge(method: &str, intent: &str, request: &Value) -> Challenge {
        let draft = Draft {
            realm: "shop.example",
            method,
            intent,
            request,
            expires: None,
            digest: None,
            header: None,
            opaque: None,
            description: None,
        };
        Challenge::issue(&[1; 32], &draft).unwrap()
    }
}
