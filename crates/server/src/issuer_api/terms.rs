//! Melt quotes that cost nothing to open: their terms stand in the quote's id, sealed with the issuer's key, and a row is
//! written only when one is paid. Nobody fills the disk by asking.

use farthing_engine::{Chart, CodeId, MeltQuoteRow, QuoteId};
use farthing_money::{Amount, AssetTable, Timestamp};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::quote::CODE;
use crate::seed::mac;

/// The key that seals terms.
pub type TermsKey = Zeroizing<[u8; 32]>;

const SEAL_BYTES: usize = 16;
const FIXED_BYTES: usize = 8 + 8 + 32 + 8;
const PREFIX: &str = "t1";

/// The id of a quote with these terms. `salt` tells quotes of equal terms apart.
pub(super) fn seal(key: &TermsKey, row: &MeltQuoteRow, salt: [u8; 8]) -> Option<String> {
    let mut body = Vec::with_capacity(FIXED_BYTES + 16);
    body.extend(row.amount.to_u64()?.to_be_bytes());
    body.extend(row.expires_at.millis().to_be_bytes());
    body.extend(row.code?.as_bytes());
    body.extend(salt);
    body.extend(row.asset.unit().as_str().as_bytes());
    let seal = seal_of(key, &body);
    Some(format!("{PREFIX}{}{}", hex::encode(&body), hex::encode(seal)))
}

/// The quote that an id stands for, if it was sealed here.
pub(super) fn open(key: &TermsKey, text: &str, assets: &AssetTable) -> Option<(QuoteId, MeltQuoteRow)> {
    let bytes = hex::decode(text.strip_prefix(PREFIX).filter(|hex| hex.len() <= 256)?).ok()?;
    let (body, seal) = bytes.split_at_checked(bytes.len().checked_sub(SEAL_BYTES)?)?;
    let expected = seal_of(key, body);
    if !bool::from(expected.ct_eq(seal)) {
        return None;
    }
    let (amount, rest) = body.split_first_chunk::<8>()?;
    let (expires, rest) = rest.split_first_chunk::<8>()?;
    let (code, rest) = rest.split_first_chunk::<32>()?;
    let (_salt, unit) = rest.split_first_chunk::<8>()?;
    let asset = assets.by_unit(std::str::from_utf8(unit).ok()?)?;
    let code = CodeId::from_bytes(*code);
    let row = MeltQuoteRow {
        method: CODE.to_owned(),
        request: code.to_string(),
        asset,
        amount: Amount::from(u64::from_be_bytes(*amount)),
        fee: Amount::ZERO,
        target: Chart::of(asset).codes,
        code: Some(code),
        expires_at: Timestamp::from_millis(u64::from_be_bytes(*expires)),
        paid: None,
        failed: 0,
    };
    // The text may differ in case only; the bytes are the quote.
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    let id = digest.first_chunk::<16>().copied()?;
    Some((QuoteId::from_bytes(id), row))
}

fn seal_of(key: &TermsKey, body: &[u8]) -> [u8; SEAL_BYTES] {
    let digest = mac(key, body);
    digest.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use farthing_money::Asset;
    use proptest::prelude::*;

    use super::*;

    fn assets() -> AssetTable {
        AssetTable::new(vec![Asset::micro("USD").unwrap()]).unwrap()
    }

    fn row(amount: u64) -> MeltQuoteRow {
        let asset = Asset::micro("USD").unwrap();
        let code = CodeId::of_text("gift");
        MeltQuoteRow {
            method: CODE.to_owned(),
            request: code.to_string(),
            asset,
            amount: Amount::from(amount),
            fee: Amount::ZERO,
            target: Chart::of(asset).codes,
            code: Some(code),
            expires_at: Timestamp::from_secs(5),
            paid: None,
            failed: 0,
        }
    }

    proptest! {
        #[test]
        fn seal_and_open_are_inverse(amount: u64, salt: [u8; 8], key: [u8; 32]) {
            let key = Zeroizing::new(key);
            let text = seal(&key, &row(amount), salt).unwrap();
            let (id, opened) = open(&key, &text, &assets()).unwrap();
            prop_assert_eq!(opened, row(amount));
            prop_assert_eq!(open(&key, &text.to_uppercase().replace("T1", "t1"), &assets()).unwrap().0, id);
        }

        #[test]
        fn a_changed_id_is_nobodys(amount: u64, at in 0usize..100, flip in 1u8..) {
            let key = Zeroizing::new([7; 32]);
            let text = seal(&key, &row(amount), [0; 8]).unwrap();
            let mut bytes = hex::decode(&text[2..]).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            let changed = format!("t1{}", hex::encode(bytes));
            prop_assert!(open(&key, &changed, &assets()).is_none());
            prop_assert!(open(&Zeroizing::new([8; 32]), &text, &assets()).is_none());
        }

        #[test]
        fn strange_texts_are_nobodys(text: String) {
            prop_assert!(open(&Zeroizing::new([7; 32]), &text, &assets()).is_none());
        }
    }
}
