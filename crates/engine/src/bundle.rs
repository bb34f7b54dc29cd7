//! Bundles: a pass that opens something a number of times. The number is in its own text; how many of them are taken is counted
//! here, and for a while also for what, so that coming back to the same thing is not another use.

use farthing_money::{Span, Timestamp, byte_id};
use serde::{Deserialize, Serialize};

use crate::PaymentId;

byte_id!(
    /// A use of a bundle: a code of the bundle and of what is opened, that only the gate's secret makes.
    BundleUseId,
    32
);

/// How long an answer may take to begin. A use whose answer has not begun by then never was one.
pub const BUNDLE_USE_WAITS: Span = Span::from_secs(600);

/// For how long it is known after a bundle's end how many uses are taken: a clock may be put back by so much.
pub const BUNDLE_GRACE: Span = Span::from_secs(24 * 3_600);

/// How many uses of a bundle are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleRow {
    /// How many it has.
    pub of: u32,
    /// How many.
    pub taken: u32,
    /// When the pass ends.
    pub ends: Timestamp,
}

impl BundleRow {
    /// Whether it is over, by whatever clock.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.ends.after(BUNDLE_GRACE) <= now
    }
}

/// What a bundle has opened, or is opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleUseRow {
    /// The bundle, by the payment that bought it.
    pub bundle: PaymentId,
    /// How many answers are under way.
    pub under_way: u32,
    /// Whether one has come.
    pub delivered: bool,
    /// Until when coming back is the same use.
    pub until: Timestamp,
}

/// What happens to a use.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each variant is the struct of a similar name")]
pub enum BundleCommand {
    Begin(BeginBundleUse),
    End(EndBundleUse),
    /// Forgets bundles and uses that are over, and gives back uses whose answers never began.
    Forget {
        bundles: Vec<PaymentId>,
        uses: Vec<(BundleUseId, PaymentId)>,
    },
}

/// Takes one use of a bundle, unless the same thing was opened with it just now.
#[derive(Clone, Copy, Debug)]
pub struct BeginBundleUse {
    /// The bundle.
    pub bundle: PaymentId,
    /// How many it has, as it says itself.
    pub of: u32,
    /// When it ends.
    pub ends: Timestamp,
    /// What is opened.
    pub used: BundleUseId,
}

/// An answer has begun, or never will.
#[derive(Clone, Copy, Debug)]
pub struct EndBundleUse {
    /// The bundle.
    pub bundle: PaymentId,
    /// What was opened.
    pub used: BundleUseId,
    /// For how long it stays open, if it was delivered.
    pub delivered: Option<Span>,
}
