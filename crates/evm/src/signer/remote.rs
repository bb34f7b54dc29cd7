//! A signer on another machine, asked by JSON-RPC (`eth_signTransaction`) as web3signer, geth and anvil answer it. The key never
//! comes here; what comes is looked at as if a stranger had sent it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use farthing_channel::{Address, Word, bytes_from_hex, bytes_to_hex};
use http::Uri;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Looking, SignFault, Signer, Signing};
use crate::node::{HttpLimits, NodeError, Place, Rpc};
use farthing_channel::{SignedTransaction, Transaction};

/// The longest transaction that is read.
const BYTES_MOST: usize = 256 * 1024;

/// How long a signer that has said nothing is left alone, so that many calls do not wait for it one after the other.
const PAUSE: Duration = Duration::from_secs(1);

/// An account whose key another program has.
pub struct RemoteSigner {
    rpc: Rpc,
    place: Place,
    account: Address,
    silent: Mutex<Option<(Instant, NodeError)>>,
}

impl RemoteSigner {
    /// The signer at an address that signs for an account.
    pub fn new(address: &Uri, account: Address, limits: HttpLimits) -> Result<Self, NodeError> {
        let place = Place::new(address);
        Ok(Self { rpc: Rpc::new(limits, &place.name)?, place, account, silent: Mutex::new(None) })
    }

    /// How long a signer is waited for: less than a node, since everything else waits with it.
    pub fn limits() -> HttpLimits {
        HttpLimits { connect: Duration::from_secs(2), answer: Duration::from_secs(5), bytes: 1 << 20 }
    }

    fn fault(&self, cause: NodeError) -> SignFault {
        SignFault::Silent { place: self.place.name.clone(), cause }
    }

    /// What it was silent for a moment ago.
    fn silence(&self) -> Option<NodeError> {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.as_ref().filter(|(since, _)| since.elapsed() < PAUSE).map(|(_, cause)| cause.clone())
    }

    async fn ask(&self, method: &'static str, params: &Value) -> Result<Value, SignFault> {
        let answer = self.rpc.ask(&self.place, method, params).await;
        let fault = answer.as_ref().err().filter(|error| error.is_fault());
        *self.silent.lock().unwrap_or_else(PoisonError::into_inner) =
            fault.map(|error| (Instant::now(), error.clone()));
        answer.map_err(|error| self.fault(error))
    }

    async fn ask_to_sign(&self, asked: Transaction) -> Result<SignedTransaction, SignFault> {
        if let Some(cause) = self.silence() {
            return Err(self.fault(cause));
        }
        let answer = self.ask("eth_signTransaction", &json!([described(self.account, &asked)])).await?;
        // Some answer the bytes alone, some the bytes beside what they say.
        let text = answer.as_str().or_else(|| answer.get("raw").and_then(Value::as_str));
        let bytes = text.and_then(|text| bytes_from_hex(text, BYTES_MOST).ok());
        let signed = bytes.and_then(|bytes| SignedTransaction::decode(&bytes));
        let signed = SignFault::unless_exact(&self.place.name, self.account, &asked, signed)?;
        let named = answer.get("tx").and_then(|told| told.get("hash"));
        if named.is_some_and(|named| named.as_str() != Some(signed.hash.to_string().as_str())) {
            let (place, account) = (self.place.name.clone(), self.account);
            return Err(SignFault::Other { place, account, got: "another hash than the transaction has" });
        }
        Ok(signed)
    }

    async fn ask_for_account(&self) -> Result<(), SignFault> {
        let answer = self.ask("eth_accounts", &json!([])).await?;
        let known = |text: &Value| text.as_str().and_then(|text| text.parse().ok()) == Some(self.account);
        if answer.as_array().is_some_and(|accounts| accounts.iter().any(known)) {
            return Ok(());
        }
        let expected = format!("the account {} among those that it signs for", self.account);
        Err(self.fault(self.place.lying(expected, "others")))
    }
}

/// A transaction in the words of JSON-RPC.
fn described(account: Address, asked: &Transaction) -> Value {
    let hex = |number: Word| format!("{number:#x}");
    json!({
        "type": "0x2",
        "chainId": hex(asked.chain.into()),
        "from": account,
        "to": asked.to,
        "nonce": hex(asked.number.into()),
        "gas": hex(asked.gas.into()),
        "maxFeePerGas": hex(asked.fees.most.into()),
        "maxPriorityFeePerGas": hex(asked.fees.tip.into()),
        "value": hex(asked.coin.into()),
        "data": bytes_to_hex(&asked.input),
    })
}

impl Signer for RemoteSigner {
    fn address(&self) -> Address {
        self.account
    }

    fn sign(&self, transaction: Transaction) -> Signing<'_> {
        Box::pin(self.ask_to_sign(transaction))
    }

    fn place(&self) -> Option<&str> {
        Some(&self.place.name)
    }

    fn look(&self) -> Looking<'_> {
        Box::pin(self.ask_for_account())
    }
}

#[cfg(test)]
#[path = "remote_tests.rs"]
mod tests;
