//! Payers of sessions: what they know of their chains. A payer's number is a digit, and so is a step.

use farthing_channel::{ChainSecret, bytes_to_hex};
use farthing_wire::SessionStep;

/// How long every chain is.
const STEPS: u32 = 9;

/// A payer's chain.
pub struct Chain(ChainSecret);

impl Chain {
    pub fn of(payer: u8) -> Self {
        Self(ChainSecret::from_bytes([payer; 32]))
    }

    /// What opens its lock.
    pub fn key(&self) -> String {
        hex(&self.0.key())
    }

    /// The members of a request that name it; how many steps it has, and what they are worth, are said beside them.
    pub fn members(&self) -> String {
        let (salt, lock) = (self.0.salt(), self.0.lock());
        let [salt, anchor, lock] = [hex(salt.as_bytes()), self.link(0), hex(lock.as_bytes())];
        format!(r#""salt":"{salt}","anchor":"{anchor}","lock":"{lock}""#)
    }

    /// What shows a step, in a request.
    pub fn link(&self, step: u8) -> String {
        hex(&self.shown(step))
    }

    /// What shows a step of a session, in the header of a call.
    pub fn header(&self, session: &str, step: u8) -> String {
        let session = u128::from_str_radix(session, 16).unwrap_or_default().to_be_bytes();
        SessionStep { session, step: step.into(), link: self.shown(step), steps: None }.encode()
    }

    fn shown(&self, step: u8) -> [u8; 32] {
        *self.0.link(STEPS, step.into()).expect("a digit is a step").as_bytes()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes_to_hex(bytes).trim_start_matches("0x").to_owned()
}
