//! A digest of everything that happened: two runs of a seed must agree in it.

use sha2::{Digest, Sha256};

/// The digest as it grows.
#[derive(Clone, Default)]
pub struct Trace(Sha256);

impl Trace {
    /// Something happened.
    pub fn add(&mut self, what: &[u8]) {
        self.0.update(what.len().to_le_bytes());
        self.0.update(what);
    }

    /// Of everything so far.
    pub fn digest(&self) -> String {
        let bytes: [u8; 32] = self.0.clone().finalize().into();
        let (first, _) = bytes.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        format!("{:016x}", u64::from_be_bytes(*first))
    }
}
