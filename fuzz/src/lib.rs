//! What is done with strangers' bytes, one function for each target of `fuzz_targets/`: read them, write again what was
//! read, and see that it is the same. A panic is a finding; so are too much memory and too much time.

mod answers;
mod asker;
mod books;
mod chain;
mod ecash;
mod gate;
mod issuer;
mod money;
mod mpp;
mod rates;
mod request;
mod session;
mod shop;
mod signed;
mod wallet;
mod world;
mod x402;

pub use answers::upstream_answers;
pub use asker::{bot_signatures, visitor_cookies};
pub use books::rows;
pub use chain::chain_texts;
pub use ecash::{cashu_json, secrets, tokens};
pub use gate::{config, headers, price_rules};
pub use issuer::{issuer_api, socket};
pub use money::money;
pub use mpp::{mpp_challenges, mpp_credentials};
pub use rates::rate_feeds;
pub use request::payment_requests;
pub use signed::signed_texts;
pub use wallet::{wallet_answers, wallet_texts};
pub use x402::{x402_offers, x402_payments};

use std::fmt::Debug;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Cuts the input into the parts that a target asks for.
struct Cut<'a>(&'a [u8]);

impl<'a> Cut<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// The bytes up to the next zero, which is dropped.
    fn part(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let (part, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        part
    }

    fn text(&mut self) -> &'a str {
        std::str::from_utf8(self.part()).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn standard_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// What is read from JSON is read again from what is written.
fn json_again<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_vec(&read).expect("what was read can be written");
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(read, again);
    Some(read)
}
