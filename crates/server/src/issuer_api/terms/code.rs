//! Melt quotes of the method `code` as the text of their id.

use farthing_engine::{Chart, CodeId, MeltQuoteRow, QuoteId};
use farthing_money::{Amount, AssetTable, Timestamp};

use super::{FIRST, TermsKey, sealed, unsealed};
use crate::issuer_api::quote::CODE;

const FIXED_BYTES: usize = 8 + 8 + 32 + 8;

/// The id of a quote with these terms. `salt` tells quotes of equal terms apart.
pub(in crate::issuer_api) fn seal(key: &TermsKey, row: &MeltQuoteRow, salt: [u8; 8]) -> Option<String> {
    let mut body = Vec::with_capacity(FIXED_BYTES + 16);
    body.extend(row.amount.to_u64()?.to_be_bytes());
    body.extend(row.expires_at.millis().to_be_bytes());
    body.extend(row.code?.as_bytes());
    body.extend(salt);
    body.extend(row.asset.unit().as_str().as_bytes());
    Some(sealed(key, FIRST, &body))
}

/// The quote that an id stands for, if it was sealed here.
pub(super) fn open(key: &TermsKey, text: &str, assets: &AssetTable) -> Option<(QuoteId, MeltQuoteRow)> {
    let bytes = unsealed(key, FIRST, text)?;
    let body = bytes.body();
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
    Some((bytes.id()?, row))
}

#[cfg(test)]
mod tests {
    use farthing_money::Asset;
    use proptest::prelude::*;
    use zeroize::Zeroizing;

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
