//! Quotes that cost nothing to open: their terms stand in the quote's id, sealed with the issuer's key, and a row is written
//! only when one is paid. Nobody fills the disk by asking.

pub(super) mod code;
pub(super) mod evm;

use farthing_engine::{MeltQuoteRow, QuoteId};
use farthing_money::AssetTable;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::seed::mac;

/// The key that seals terms.
pub type TermsKey = Zeroizing<[u8; 32]>;

const SEAL_BYTES: usize = 16;
/// No id of ours is longer.
const HEX_MOST: usize = 512;
/// What ids of the method `code` begin with. They were the first, and their seal does not cover it.
const FIRST: &str = "t1";

/// The melt quote that an id stands for, of whichever method.
pub(super) fn melt(key: &TermsKey, text: &str, assets: &AssetTable) -> Option<(QuoteId, MeltQuoteRow)> {
    code::open(key, text, assets).or_else(|| evm::open_melt(key, text, assets))
}

/// A body with its seal, as an id.
fn sealed(key: &TermsKey, prefix: &str, body: &[u8]) -> String {
    format!("{prefix}{}{}", hex::encode(body), hex::encode(seal_of(key, prefix, body)))
}

/// What an id of ours holds.
struct Unsealed {
    prefix: &'static str,
    bytes: Vec<u8>,
}

/// The bytes of an id with this prefix, if it was sealed here.
fn unsealed(key: &TermsKey, prefix: &'static str, text: &str) -> Option<Unsealed> {
    let bytes = hex::decode(text.strip_prefix(prefix).filter(|hex| hex.len() <= HEX_MOST)?).ok()?;
    let (body, seal) = bytes.split_at_checked(bytes.len().checked_sub(SEAL_BYTES)?)?;
    let genuine = bool::from(seal_of(key, prefix, body).ct_eq(seal));
    genuine.then_some(Unsealed { prefix, bytes })
}

impl Unsealed {
    fn body(&self) -> &[u8] {
        self.bytes.split_at_checked(self.bytes.len().saturating_sub(SEAL_BYTES)).map_or(&[], |(body, _)| body)
    }

    /// The id in the books. The text may differ in case only; the bytes are the quote.
    fn id(&self) -> Option<QuoteId> {
        let prefix = if self.prefix == FIRST { "" } else { self.prefix };
        let digest: [u8; 32] = Sha256::new().chain_update(prefix).chain_update(&self.bytes).finalize().into();
        digest.first_chunk::<16>().copied().map(QuoteId::from_bytes)
    }

    /// The id as it was told.
    fn text(&self) -> String {
        format!("{}{}", self.prefix, hex::encode(&self.bytes))
    }
}

/// The seal of a body. Every kind but the first has a key of its own, so that none is read as another.
fn seal_of(key: &TermsKey, prefix: &str, body: &[u8]) -> [u8; SEAL_BYTES] {
    let digest = if prefix == FIRST {
        mac(key, body)
    } else {
        let own = Zeroizing::new(mac(key, format!("farthing/terms/{prefix}").as_bytes()));
        mac(&own, body)
    };
    digest.first_chunk().copied().unwrap_or_default()
}
