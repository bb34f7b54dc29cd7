//! What payers sign for a chain: addresses, numbers, hashes, signatures of every kind.

use farthing_channel::{
    Address, ChainId, Signature, TxHash, Word, WrappedSignature, bytes_from_hex, bytes_to_hex, keccak256,
};

use crate::{Cut, json_again};

/// The longest signature that is looked at.
const SIGNATURE_MAX: usize = 8_192;

/// Whatever can be read is written again as the same; what recovers a key is verified by that key.
pub fn chain_texts(bytes: &[u8]) {
    let mut cut = Cut(bytes);
    let text = cut.text();
    if let Ok(address) = text.parse::<Address>() {
        assert_eq!(address.to_string().to_lowercase(), text.to_lowercase());
        assert_eq!(Word::from(address).to_address(), Some(address));
    }
    if let Ok(word) = text.parse::<Word>() {
        assert_eq!(word.to_string().parse(), Ok(word));
        assert_eq!(format!("{word:#x}").parse(), Ok(word));
        assert!(word.to_amount().is_none_or(|amount| Word::from(amount) == word));
    }
    if let Ok(chain) = text.parse::<ChainId>() {
        assert_eq!(chain.to_string(), text);
    }
    if let Ok(hash) = text.parse::<TxHash>() {
        assert_eq!(hash.to_string(), text.to_lowercase());
    }
    if let Ok(bytes) = bytes_from_hex(text, SIGNATURE_MAX) {
        assert_eq!(bytes_to_hex(&bytes), text.to_lowercase());
        signature(&bytes);
    }
    signature(cut.0);
    json_again::<Address>(bytes);
    json_again::<Word>(bytes);
    json_again::<Signature>(bytes);
}

fn signature(bytes: &[u8]) {
    if let Ok(signature) = Signature::from_bytes(bytes) {
        assert_eq!(signature.to_string().parse(), Ok(signature));
        let digest = keccak256(bytes);
        if let Ok(key) = signature.recover_key(&digest) {
            assert!(key.verify(&digest, &signature));
            assert_eq!(signature.recover(&digest), Ok(key.address()));
        }
    }
    if let Ok(Some(wrapped)) = WrappedSignature::read(bytes) {
        assert_eq!(WrappedSignature::read(&wrapped.to_bytes()), Ok(Some(wrapped)));
    }
}
