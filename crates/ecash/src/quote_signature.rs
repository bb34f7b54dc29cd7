//! Signatures that only the owner of a key may turn a paid quote into credits (NUT-20), one quote or many (NUT-29).

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{BlindedMessage, PublicKey, SecretKey};

/// Why a quote stays locked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QuoteSignatureError {
    /// Not a signature of this request by this key.
    #[error(
        "the signature for quote {0} does not fit its key and these outputs; sign quote and outputs in the order sent (NUT-20)"
    )]
    Invalid(String),
    /// None at all.
    #[error("quote {0} is locked to a key; send the signature of quote and outputs by that key (NUT-20)")]
    Missing(String),
    /// One for a quote that needs none.
    #[error("quote {0} is not locked, but a signature came for it; send null in its place")]
    Unexpected(String),
    /// Not as many as quotes.
    #[error(
        "got {signatures} signatures for {quotes} quotes; send one for each, null for those that are not locked"
    )]
    Count {
        /// The quotes.
        quotes: usize,
        /// The signatures.
        signatures: usize,
    },
    /// No quote.
    #[error("the request names no quote; name at least one")]
    NoQuotes,
    /// The same quote twice.
    #[error("the request names quote {0} twice; name each once")]
    Duplicate(String),
}

impl QuoteSignatureError {
    /// The stable code of this refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "quote-signature-invalid",
            Self::Missing(_) => "quote-signature-missing",
            Self::Unexpected(_) => "quote-signature-unexpected",
            Self::Count { .. } => "quote-signature-count",
            Self::NoQuotes => "quote-none",
            Self::Duplicate(_) => "quote-duplicate",
        }
    }
}

/// What is signed: a tag, then the quote and each output's amount and point, every part with its length before it.
pub fn message(quote: &str, outputs: &[BlindedMessage]) -> Vec<u8> {
    let mut message = b"Cashu_MintQuoteSig_v1".to_vec();
    let mut part = |bytes: &[u8]| {
        message.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        message.extend(bytes);
    };
    part(quote.as_bytes());
    for output in outputs {
        let amount: Vec<u8> = output.amount.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        part(&amount);
        part(&output.b_.to_bytes());
    }
    message
}

/// What older wallets sign: the quote and the points in hexadecimal, one after the other, without the amounts.
pub fn message_without_amounts(quote: &str, outputs: &[BlindedMessage]) -> Vec<u8> {
    let points = outputs.iter().map(|output| output.b_.to_string());
    std::iter::once(quote.to_owned()).chain(points).collect::<String>().into_bytes()
}

/// The signature in hexadecimal.
pub fn sign(quote: &str, outputs: &[BlindedMessage], key: &SecretKey) -> String {
    hex::encode(key.sign(&Sha256::digest(message(quote, outputs)).into()))
}

/// The signature in hexadecimal, as issuers from before the tag expect it.
pub fn sign_without_amounts(quote: &str, outputs: &[BlindedMessage], key: &SecretKey) -> String {
    hex::encode(key.sign(&Sha256::digest(message_without_amounts(quote, outputs)).into()))
}

/// Checks one signature; either form of the message will do.
pub fn verify(
    quote: &str,
    outputs: &[BlindedMessage],
    key: PublicKey,
    signature: Option<&str>,
) -> Result<(), QuoteSignatureError> {
    let signature = signature.ok_or_else(|| QuoteSignatureError::Missing(quote.to_owned()))?;
    let invalid = || QuoteSignatureError::Invalid(quote.to_owned());
    let mut bytes = [0; 64];
    hex::decode_to_slice(signature, &mut bytes).map_err(|_| invalid())?;
    let fits = |message: Vec<u8>| key.verify(&Sha256::digest(message).into(), &bytes);
    if fits(message(quote, outputs)) || fits(message_without_amounts(quote, outputs)) {
        Ok(())
    } else {
        Err(invalid())
    }
}

/// Checks the signatures of a batch (NUT-29): each quote once, with its key if it is locked; one place for each signature;
/// every signature covers all outputs.
pub fn verify_batch(
    quotes: &[(&str, Option<PublicKey>)],
    outputs: &[BlindedMessage],
    signatures: Option<&[Option<String>]>,
) -> Result<(), QuoteSignatureError> {
    if quotes.is_empty() {
        return Err(QuoteSignatureError::NoQuotes);
    }
    let mut seen = BTreeSet::new();
    if let Some((twice, _)) = quotes.iter().find(|(quote, _)| !seen.insert(*quote)) {
        return Err(QuoteSignatureError::Duplicate((*twice).to_owned()));
    }
    if let Some(signatures) = signatures.filter(|signatures| signatures.len() != quotes.len()) {
        return Err(QuoteSignatureError::Count { quotes: quotes.len(), signatures: signatures.len() });
    }
    for (n, (quote, key)) in quotes.iter().enumerate() {
        let signature = signatures.and_then(|signatures| signatures.get(n)?.as_deref());
        match (key, signature) {
            (Some(key), signature) => verify(quote, outputs, *key, signature)?,
            (None, Some(_)) => return Err(QuoteSignatureError::Unexpected((*quote).to_owned())),
            (None, None) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeysetId;

    fn key(n: u64) -> SecretKey {
        SecretKey::from_hex(&format!("{n:064x}")).unwrap()
    }

    fn output(amount: u64, n: u64) -> BlindedMessage {
        BlindedMessage { amount, id: KeysetId::V1([0; 8]), b_: key(n).public_key() }
    }

    #[test]
    fn amounts_are_minimal() {
        let zero = message("q", &[output(0, 1)]);
        let large = message("q", &[output(256, 1)]);
        assert_eq!(zero[21..30], [0, 0, 0, 1, b'q', 0, 0, 0, 0]);
        assert_eq!(large[26..32], [0, 0, 0, 2, 1, 0]);
    }

    #[test]
    fn a_signature_covers_quote_amounts_points_and_order() {
        let outputs = [output(1, 1), output(2, 2)];
        let signature = sign("q", &outputs, &key(5));
        let tried = |quote, outputs: &[_], n| verify(quote, outputs, key(n).public_key(), Some(&signature));
        assert_eq!(tried("q", &outputs, 5), Ok(()));
        for refused in [
            tried("p", &outputs, 5),
            tried("q", &outputs, 6),
            tried("q", &outputs[..1], 5),
            tried("q", &[output(2, 2), output(1, 1)], 5),
            tried("q", &[output(2, 1), output(1, 2)], 5),
        ] {
            assert!(matches!(refused, Err(QuoteSignatureError::Invalid(_))));
        }
        let older = sign_without_amounts("q", &outputs, &key(5));
        assert_eq!(verify("q", &outputs, key(5).public_key(), Some(&older)), Ok(()));
        assert_eq!(
            verify("q", &outputs, key(5).public_key(), None),
            Err(QuoteSignatureError::Missing("q".into()))
        );
        assert!(verify("q", &outputs, key(5).public_key(), Some("00")).is_err());
    }

    #[test]
    fn a_batch_needs_a_signature_for_every_locked_quote_and_for_no_other() {
        let outputs = [output(1, 1)];
        let (locked, open) = (("a", Some(key(5).public_key())), ("b", None));
        let good = Some(sign("a", &outputs, &key(5)));
        let tried = |signatures: &[Option<String>]| verify_batch(&[locked, open], &outputs, Some(signatures));
        assert_eq!(tried(&[good.clone(), None]), Ok(()));
        assert_eq!(tried(&[None, None]), Err(QuoteSignatureError::Missing("a".into())));
        assert_eq!(tried(&[good.clone(), good.clone()]), Err(QuoteSignatureError::Unexpected("b".into())));
        assert_eq!(tried(&[good]), Err(QuoteSignatureError::Count { quotes: 2, signatures: 1 }));
        assert_eq!(verify_batch(&[open], &outputs, None), Ok(()));
        assert_eq!(verify_batch(&[locked], &outputs, None), Err(QuoteSignatureError::Missing("a".into())));
        assert_eq!(verify_batch(&[], &outputs, None), Err(QuoteSignatureError::NoQuotes));
        assert_eq!(
            verify_batch(&[open, open], &outputs, None),
            Err(QuoteSignatureError::Duplicate("b".into()))
        );
    }
}
