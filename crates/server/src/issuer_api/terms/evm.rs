//! Quotes of the method `evm` as the text of their id.

use farthing_channel::Address;
use farthing_engine::{Chart, MeltQuoteRow, MintQuoteRow, QuoteId};
use farthing_ledger::AccountId;
use farthing_money::{Amount, Asset, AssetTable, Timestamp};

use super::{TermsKey, sealed, unsealed};
use crate::issuer_api::destination::{self, Place};
use crate::issuer_api::quote::EVM;

const MINT: &str = "t2";
/// A mint quote that takes transfers, with the time since when.
const INLET: &str = "t4";
const MELT: &str = "t3";
const NO_KEY: [u8; 33] = [0; 33];

/// What a mint quote is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::issuer_api) struct Minted {
    /// In what.
    pub(in crate::issuer_api) asset: Asset,
    /// How much.
    pub(in crate::issuer_api) amount: u64,
    /// When it ends if nothing was paid.
    pub(in crate::issuer_api) expires_at: Timestamp,
    /// The key that must sign the mint request (NUT-20), compressed.
    pub(in crate::issuer_api) pubkey: Option<[u8; 33]>,
    /// When it was opened, if it takes transfers.
    pub(in crate::issuer_api) since: Option<Timestamp>,
}

/// What an id of a mint quote stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::issuer_api) struct Opened {
    /// The id in the books.
    pub(in crate::issuer_api) id: QuoteId,
    /// The quote, unpaid.
    pub(in crate::issuer_api) row: MintQuoteRow,
    /// When it was opened, if it takes transfers.
    pub(in crate::issuer_api) since: Option<Timestamp>,
}

/// The id of a mint quote with these terms. `salt` tells quotes of equal terms apart.
pub(in crate::issuer_api) fn seal_mint(key: &TermsKey, terms: &Minted, salt: [u8; 8]) -> String {
    let mut body = Vec::with_capacity(128);
    body.extend(terms.amount.to_be_bytes());
    body.extend(terms.expires_at.millis().to_be_bytes());
    body.extend(terms.pubkey.unwrap_or(NO_KEY));
    body.extend(salt);
    body.extend(terms.since.map(|since| since.millis().to_be_bytes()).into_iter().flatten());
    body.extend(terms.asset.unit().as_str().as_bytes());
    sealed(key, if terms.since.is_some() { INLET } else { MINT }, &body)
}

/// The mint quote that an id stands for, if it was sealed here. It is paid at a place below this address.
pub(in crate::issuer_api) fn open_mint(
    key: &TermsKey,
    text: &str,
    assets: &AssetTable,
    url: &str,
) -> Option<Opened> {
    let plain = unsealed(key, MINT, text);
    let takes_transfers = plain.is_none();
    let bytes = plain.or_else(|| unsealed(key, INLET, text))?;
    let (amount, rest) = bytes.body().split_first_chunk::<8>()?;
    let (expires, rest) = rest.split_first_chunk::<8>()?;
    let (pubkey, rest) = rest.split_first_chunk::<33>()?;
    let (_salt, rest) = rest.split_first_chunk::<8>()?;
    let (since, unit) = match rest.split_first_chunk::<8>().filter(|_| takes_transfers) {
        Some((since, unit)) => (Some(Timestamp::from_millis(u64::from_be_bytes(*since))), unit),
        None => (None, rest),
    };
    let asset = assets.by_unit(std::str::from_utf8(unit).ok()?)?;
    let expires_at = Timestamp::from_millis(u64::from_be_bytes(*expires));
    let row = MintQuoteRow {
        method: EVM.to_owned(),
        request: format!("{url}/v1/mint/quote/{EVM}/{}/pay", bytes.text()),
        asset,
        amount: Amount::from(u64::from_be_bytes(*amount)),
        paid: Amount::ZERO,
        issued: Amount::ZERO,
        source: Chart::of(asset).deposits,
        code: None,
        pubkey: (*pubkey != NO_KEY).then(|| hex::encode(pubkey)),
        expires_at: Some(expires_at),
        updated_at: Timestamp::default(),
        tag: None,
        payment: None,
        inlet: takes_transfers,
    };
    Some(Opened { id: bytes.id()?, row, since })
}

/// The id of a melt quote with these terms, paid out to a place.
pub(in crate::issuer_api) fn seal_melt(
    key: &TermsKey,
    row: &MeltQuoteRow,
    place: &Place,
    salt: [u8; 8],
) -> Option<String> {
    let mut body = Vec::with_capacity(160);
    body.extend(row.amount.to_u64()?.to_be_bytes());
    body.extend(row.fee.to_u64()?.to_be_bytes());
    body.extend(row.expires_at.millis().to_be_bytes());
    body.extend(place.chain.to_be_bytes());
    body.extend(place.token.as_bytes());
    body.extend(place.to.as_bytes());
    body.extend(row.target.as_bytes());
    body.extend(salt);
    body.extend(row.asset.unit().as_str().as_bytes());
    Some(sealed(key, MELT, &body))
}

/// The melt quote that an id stands for, if it was sealed here.
pub(super) fn open_melt(key: &TermsKey, text: &str, assets: &AssetTable) -> Option<(QuoteId, MeltQuoteRow)> {
    let bytes = unsealed(key, MELT, text)?;
    let (amount, rest) = bytes.body().split_first_chunk::<8>()?;
    let (fee, rest) = rest.split_first_chunk::<8>()?;
    let (expires, rest) = rest.split_first_chunk::<8>()?;
    let (chain, rest) = rest.split_first_chunk::<8>()?;
    let (token, rest) = rest.split_first_chunk::<20>()?;
    let (to, rest) = rest.split_first_chunk::<20>()?;
    let (target, rest) = rest.split_first_chunk::<16>()?;
    let (_salt, unit) = rest.split_first_chunk::<8>()?;
    let asset = assets.by_unit(std::str::from_utf8(unit).ok()?)?;
    let place = Place {
        chain: u64::from_be_bytes(*chain),
        token: Address::from_bytes(*token),
        to: Address::from_bytes(*to),
    };
    let row = MeltQuoteRow {
        method: EVM.to_owned(),
        request: destination::write(&place),
        asset,
        amount: Amount::from(u64::from_be_bytes(*amount)),
        fee: Amount::from(u64::from_be_bytes(*fee)),
        target: AccountId::from_bytes(*target),
        code: None,
        expires_at: Timestamp::from_millis(u64::from_be_bytes(*expires)),
        paid: None,
        failed: 0,
    };
    Some((bytes.id()?, row))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    use super::*;

    fn usd() -> Asset {
        Asset::micro("USD").unwrap()
    }

    fn assets() -> AssetTable {
        AssetTable::new(vec![usd()]).unwrap()
    }

    fn melt(amount: u64, fee: u64, place: &Place) -> MeltQuoteRow {
        MeltQuoteRow {
            method: EVM.to_owned(),
            request: destination::write(place),
            asset: usd(),
            amount: Amount::from(amount),
            fee: Amount::from(fee),
            target: AccountId::from_bytes([9; 16]),
            code: None,
            expires_at: Timestamp::from_secs(5),
            paid: None,
            failed: 0,
        }
    }

    proptest! {
        #[test]
        fn mint_quotes_are_what_was_sealed(
            amount: u64, key: [u8; 32], salt: [u8; 8], signed: bool, since: Option<u32>,
        ) {
            let key = Zeroizing::new(key);
            let pubkey = signed.then_some([2; 33]);
            let since = since.map(|secs| Timestamp::from_secs(secs.into()));
            let terms = Minted { asset: usd(), amount, expires_at: Timestamp::from_secs(5), pubkey, since };
            let text = seal_mint(&key, &terms, salt);
            let opened = open_mint(&key, &text, &assets(), "http://m").unwrap();
            prop_assert_eq!((opened.since, opened.row.inlet), (since, since.is_some()));
            let row = opened.row;
            prop_assert_eq!(row.amount, Amount::from(amount));
            prop_assert_eq!(row.expires_at, Some(terms.expires_at));
            prop_assert_eq!(row.pubkey, pubkey.map(hex::encode));
            prop_assert_eq!(row.request, format!("http://m/v1/mint/quote/evm/{text}/pay"));
        }

        #[test]
        fn melt_quotes_are_what_was_sealed(
            amount: u64, fee: u64, chain: u64, token: [u8; 20], to: [u8; 20], salt: [u8; 8], key: [u8; 32],
        ) {
            let key = Zeroizing::new(key);
            let place = Place { chain, token: Address::from_bytes(token), to: Address::from_bytes(to) };
            let row = melt(amount, fee, &place);
            let text = seal_melt(&key, &row, &place, salt).unwrap();
            prop_assert_eq!(open_melt(&key, &text, &assets()).unwrap().1, row);
        }

        #[test]
        fn a_changed_id_is_nobodys(amount: u64, at in 0usize..100, flip in 1u8..) {
            let key = Zeroizing::new([7; 32]);
            let place = Place { chain: 1, token: Address::ZERO, to: Address::ZERO };
            let text = seal_melt(&key, &melt(amount, 1, &place), &place, [0; 8]).unwrap();
            let mut bytes = hex::decode(&text[2..]).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            let changed = [MELT, &hex::encode(bytes)].concat();
            prop_assert!(open_melt(&key, &changed, &assets()).is_none());
        }
    }

    /// The digits of one kind of quote are no quote of another kind.
    #[test]
    fn no_kind_is_read_as_another() {
        let key = Zeroizing::new([7; 32]);
        let place = Place { chain: 1, token: Address::ZERO, to: Address::ZERO };
        let text = seal_melt(&key, &melt(5, 1, &place), &place, [0; 8]).unwrap();
        for prefix in ["t1", MINT, INLET] {
            let other = text.replacen(MELT, prefix, 1);
            assert!(super::super::melt(&key, &other, &assets()).is_none());
            assert!(open_mint(&key, &other, &assets(), "").is_none());
        }
        assert!(super::super::melt(&key, &text, &assets()).is_some());
    }
}
