//! Who has how many of the places at which addresses are looked at. A place costs us calls to nodes for a day and more, and
//! costs who asks for it nothing: so nobody gets more than a share. Kept in memory alone, by the limits' number of an address.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use farthing_gate::limit::Client;
use farthing_money::Timestamp;

/// How many places there are.
pub(super) const PLACES: usize = 4_096;
/// How many of them one client may have.
pub(super) const SHARE: usize = 256;

/// Who asks; nobody where clients are not limited.
#[derive(Clone, Debug, Default)]
pub(in crate::issuer_api) struct Asker(pub(in crate::issuer_api) Option<Client>);

/// Until when clients have places.
#[derive(Debug, Default)]
pub struct Places(Mutex<HashMap<u64, Vec<Timestamp>>>);

impl Places {
    /// Whether a client may have another place, until then.
    pub(super) fn take(&self, asker: &Asker, until: Timestamp, now: Timestamp) -> bool {
        let Some(client) = &asker.0 else { return true };
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() > PLACES {
            clients.retain(|_, ends| ends.iter().any(|end| *end > now));
        }
        let ends = clients.entry(client.number()).or_default();
        ends.retain(|end| *end > now);
        let has_room = ends.len() < SHARE;
        if has_room {
            ends.push(until);
        }
        has_room
    }
}
