//! Whose key the vouchers of a channel are by, so that the next one is verified and not recovered, which takes longer.
//!
//! In memory only, and bounded: of two halves the older one is dropped when the younger is full. Whoever is forgotten
//! costs one recovery.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use farthing_channel::{ChannelId, PublicKey};

const HALF_MAX: usize = 16_384;

/// The keys of channels that were paid with lately.
#[derive(Default)]
pub(super) struct Keys(Mutex<Halves>);

#[derive(Default)]
struct Halves {
    young: HashMap<ChannelId, PublicKey>,
    old: HashMap<ChannelId, PublicKey>,
}

impl Keys {
    /// The key of a channel, if it is remembered.
    pub(super) fn get(&self, channel: ChannelId) -> Option<PublicKey> {
        let mut halves = self.halves();
        if let Some(key) = halves.young.get(&channel) {
            return Some(*key);
        }
        let key = halves.old.get(&channel).copied()?;
        halves.put(channel, key);
        Some(key)
    }

    /// Remembers the key of a channel.
    pub(super) fn put(&self, channel: ChannelId, key: PublicKey) {
        self.halves().put(channel, key);
    }

    fn halves(&self) -> MutexGuard<'_, Halves> {
        // Every change of it is whole before anything could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Halves {
    fn put(&mut self, channel: ChannelId, key: PublicKey) {
        if self.young.len() >= HALF_MAX {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(channel, key);
    }
}

#[cfg(test)]
mod tests {
    use farthing_channel::SigningKey;

    use super::*;

    fn channel(n: usize) -> ChannelId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        ChannelId::from_bytes(bytes)
    }

    #[test]
    fn who_pays_is_remembered_and_who_has_left_is_not() {
        let (keys, key) = (Keys::default(), SigningKey::from_bytes([1; 32]).unwrap().public_key());
        for n in 0..4 * HALF_MAX {
            keys.put(channel(n), key);
            assert_eq!(keys.get(channel(0)), Some(key), "it pays all the time");
        }
        assert_eq!(keys.get(channel(1)), None);
        let halves = keys.halves();
        assert!(halves.young.len() + halves.old.len() <= 2 * HALF_MAX);
    }
}
