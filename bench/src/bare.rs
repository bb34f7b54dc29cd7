//! What nobody who takes a voucher can leave out: verifying one signature by a known key, by libsecp256k1 itself.

use std::time::Duration;

use farthing_channel::SigningKey;
use rustix::time::{ClockId, clock_gettime};
use secp256k1::ecdsa::Signature;
use secp256k1::{Message, PublicKey, SecretKey};

use crate::failure::{Failure, Result};
use crate::stat::micros_each;

/// Whom the figures name as the peer.
pub const VERIFICATION: &str = "one verification by libsecp256k1";
const SIGNATURES: usize = 256;
const TIMES: usize = 16;

/// What this thread has used of a CPU.
pub fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), nanos)
}

/// The microseconds of CPU that one verification takes: the mean of some thousand, of different digests by one key.
pub fn verification_micros() -> Result<f64> {
    let key = SecretKey::from_secret_bytes([7; 32]).map_err(Failure::at("making a key"))?;
    let public = PublicKey::from_secret_key(&key);
    let signed = (0..SIGNATURES).map(|_| signed()).collect::<Result<Vec<_>>>()?;
    let begun = cpu();
    for _ in 0..TIMES {
        for (signature, message) in &signed {
            let signature = std::hint::black_box(signature);
            secp256k1::ecdsa::verify(signature, *message, &public).map_err(Failure::at("verifying"))?;
        }
    }
    Ok(micros_each(cpu().saturating_sub(begun), TIMES * SIGNATURES))
}

/// A digest nobody knows, and a signature of it.
fn signed() -> Result<(Signature, Message)> {
    let mut digest = [0; 32];
    getrandom::fill(&mut digest).map_err(Failure::at("drawing a digest"))?;
    let key = SigningKey::from_bytes([7; 32]).map_err(Failure::at("making a key"))?;
    let bytes = key.sign(&farthing_channel::Digest::from_bytes(digest)).to_bytes();
    let compact =
        bytes.first_chunk::<64>().ok_or_else(|| Failure::new("expected a signature of 65 bytes"))?;
    let signature = Signature::from_compact(compact).map_err(Failure::at("reading a signature"))?;
    Ok((signature, Message::from_digest(digest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verification_takes_some_time() {
        let micros = verification_micros().unwrap();
        assert!(micros > 1.0 && micros < 10_000.0, "{micros}");
    }
}
