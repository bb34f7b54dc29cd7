//! Signatures of contracts that are not on the chain yet (ERC-6492): the signature comes wrapped with the call that would
//! create its signer.

use std::fmt;

use thiserror::Error;

use crate::abi::{Arguments, Row};
use crate::address::Address;

/// What such a signature ends in.
const MARK: [u8; 32] = [
    0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64,
    0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92,
];

/// A signature with the call that would create its signer.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedSignature {
    /// Who creates the signer. A stranger's word: call only factories that are on a list.
    pub factory: Address,
    /// What the factory is called with.
    pub factory_call: Vec<u8>,
    /// The signature itself, for the signer to judge.
    pub signature: Vec<u8>,
}

/// Why bytes that end in the mark are not a wrapped signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WrappedSignatureError {
    /// The part before the mark is not what it should be.
    #[error(
        "the signature ends as one of a wallet that is not deployed yet (ERC-6492), but no factory, call and signature stand \
         before; send it as the wallet made it"
    )]
    Form,
}

impl WrappedSignatureError {
    /// The stable code of this refusal.
    pub fn code(self) -> &'static str {
        match self {
            Self::Form => "signature-wrapping",
        }
    }
}

impl WrappedSignature {
    /// Reads a signature of any kind: `None` if it is not wrapped.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, WrappedSignatureError> {
        let Some(arguments) = bytes.strip_suffix(&MARK) else { return Ok(None) };
        Self::from_arguments(Row(arguments)).map(Some).ok_or(WrappedSignatureError::Form)
    }

    fn from_arguments(row: Row<'_>) -> Option<Self> {
        let factory = row.word(0)?.to_address()?;
        let (factory_call, signature) = (row.bytes(1)?.to_vec(), row.bytes(2)?.to_vec());
        Some(Self { factory, factory_call, signature })
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let arguments = Arguments::new().word(self.factory).bytes(&self.factory_call).bytes(&self.signature);
        let mut bytes = arguments.encode();
        bytes.extend(MARK);
        bytes
    }
}

impl fmt::Debug for WrappedSignature {
    /// Not the signature, which may be worth money.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrappedSignature({}, ..)", self.factory)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_signatures_are_not_wrapped() {
        for bytes in [&[][..], &[1; 65], &MARK[1..]] {
            assert_eq!(WrappedSignature::read(bytes), Ok(None));
        }
    }

    #[test]
    fn what_only_ends_like_one_is_refused() {
        let whole = WrappedSignature {
            factory: Address::from_bytes([1; 20]),
            factory_call: vec![2; 5],
            signature: vec![3; 65],
        };
        let bytes = whole.to_bytes();
        assert_eq!(format!("{whole:?}"), format!("WrappedSignature({}, ..)", whole.factory));
        assert_eq!(WrappedSignature::read(&bytes), Ok(Some(whole)));
        assert_eq!(WrappedSignature::read(&MARK), Err(WrappedSignatureError::Form));
        assert_eq!(WrappedSignature::read(&bytes[32..]), Err(WrappedSignatureError::Form));
        let mut no_address = bytes;
        no_address[0] = 1;
        assert_eq!(WrappedSignature::read(&no_address), Err(WrappedSignatureError::Form));
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(factory: [u8; 20], factory_call: Vec<u8>, signature: Vec<u8>) {
            let wrapped = WrappedSignature { factory: Address::from_bytes(factory), factory_call, signature };
            prop_assert_eq!(WrappedSignature::read(&wrapped.to_bytes()), Ok(Some(wrapped)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes: Vec<u8>, marked: bool) {
            if marked {
                bytes.extend(MARK);
            }
            prop_assert_eq!(WrappedSignature::read(&bytes) == Ok(None), !marked);
        }
    }
}
