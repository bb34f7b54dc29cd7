//! What a seller shows who has us carry what its channels need. Anybody may ask a facilitator, each order costs gas, and a payer could
//! ask for its money back before what it owes is claimed: so whoever asks has to show a key of the account that is paid.
//!
//! The key is made of the seed and the account: nothing is written down, and a seller knows its own alone.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use farthing_channel::{Address, bytes_to_hex};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::ChainRoom;
use crate::operator::OperatorError;
use crate::seed::mac;

/// Makes and knows the keys of sellers.
#[derive(Clone)]
pub(super) struct SellerKeys(Arc<Zeroizing<[u8; 32]>>);

/// The account of a seller.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SellerQuery {
    /// Who is paid.
    pub account: String,
}

/// The key of a seller.
#[derive(Clone, Serialize, Deserialize)]
pub struct SellerKey {
    /// Who is paid.
    pub account: String,
    /// What it shows: `Authorization: Bearer <key>`.
    pub key: String,
}

impl SellerKeys {
    pub(super) fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(Arc::new(key))
    }

    fn key(&self, account: Address) -> Zeroizing<String> {
        let text = Zeroizing::new(bytes_to_hex(&mac(&self.0, account.as_bytes())));
        Zeroizing::new(text.trim_start_matches("0x").to_owned())
    }

    /// Whether a request shows the key of this account.
    pub(super) fn is_shown(&self, headers: &HeaderMap, account: Address) -> bool {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        shown.is_some_and(|(_, key)| bool::from(self.key(account).as_bytes().ct_eq(key.trim().as_bytes())))
    }
}

impl ChainRoom {
    /// The key that a seller shows to have us carry what its channels need.
    pub fn seller_key(&self, query: &SellerQuery) -> Result<SellerKey, OperatorError> {
        let account: Address = query.account.parse().map_err(|_| {
            OperatorError::Request(format!("expected an account on a chain, got {:?}", query.account))
        })?;
        Ok(SellerKey { account: account.to_string(), key: self.sellers.key(account).to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seller_shows_its_own_key_and_no_other() {
        let keys = SellerKeys::new(Zeroizing::new([7; 32]));
        let [one, other] = [1, 2].map(|byte| Address::from_bytes([byte; 20]));
        let showing = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            headers
        };
        let key = keys.key(one);
        assert!(keys.is_shown(&showing(&format!("Bearer {}", *key)), one));
        assert!(keys.is_shown(&showing(&format!("bearer  {}", *key)), one));
        assert!(!keys.is_shown(&showing(&format!("Bearer {}", *key)), other));
        for wrong in [
            format!("Basic {}", *key),
            key.to_string(),
            "Bearer ".to_owned(),
            format!("Bearer {}", &key[1..]),
        ] {
            assert!(!keys.is_shown(&showing(&wrong), one), "{wrong}");
        }
        assert!(!keys.is_shown(&HeaderMap::new(), one));
        let elsewhere = SellerKeys::new(Zeroizing::new([8; 32]));
        assert!(!elsewhere.is_shown(&showing(&format!("Bearer {}", *key)), one));
    }
}
