//! `[sessions]`: what sessions may be like.

use farthing_gate::SessionLimits;

use super::section::Section;
use super::server::positive;

/// The longest chain: a proof of all of it takes a second of a core.
const STEPS_MOST: u32 = 10_000_000;
/// Each is a row that somebody has paid for.
const OPEN_MOST: u32 = 100_000_000;

/// `[sessions]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionsConfig {
    /// What they may be like. Nobody opens one where none may be open.
    pub limits: SessionLimits,
}

pub(super) fn read(section: Section<'_>) -> SessionsConfig {
    let default = SessionLimits::default();
    let offered = section.boolean("offered").unwrap_or(true);
    let open = section.number("open", 1..=OPEN_MOST).map_or(default.open, u64::from);
    let limits = SessionLimits {
        lifetime: section.parsed("lifetime", positive).unwrap_or(default.lifetime),
        steps: section.number("steps", 1..=STEPS_MOST).unwrap_or(default.steps),
        open: if offered { open } else { 0 },
    };
    section.finish();
    SessionsConfig { limits }
}
