//! Sessions: credits that were set aside once, and are spent step by step with the links of a hash chain.
//!
//! A step is not a command. Steps are written to the *tape* as they are taken, many in one commit, and the books follow a
//! moment later: a fold reads rows of the tape, charges what they say, and removes them in the same commit.

use farthing_channel::{ChainSalt, Link, Lock, Steps, session_name};
use farthing_money::{Amount, Asset, Label, Span, Timestamp, byte_id};
use serde::{Deserialize, Serialize};

use crate::{ChangeOutput, Input, Output, Payees, RequestTag};

/// So long after its closing a session is known at the least: a payer whose answer was lost, and who is away for some days, asks again
/// and gets the same answer.
pub const CLOSED_KEPT: Span = Span::from_secs(7 * 24 * 3600);

byte_id!(
    /// A session: derived from the chain that it was opened with, so that opening it again is the same session, and whoever can
    /// make the chain again finds it.
    SessionId,
    16
);

impl SessionId {
    /// The session that is opened with a chain.
    pub fn of(chain: &ChainTerms) -> Self {
        Self::from_bytes(session_name(&chain.salt, &chain.anchor, &chain.lock))
    }
}

/// A chain, as its payer names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainTerms {
    /// What goes into each of its hashes.
    pub salt: ChainSalt,
    /// Its link below the first step.
    pub anchor: Link,
    /// What its payer opens to close the session, or to put another chain in its place.
    pub lock: Lock,
    /// What a step is worth, in the asset's units.
    pub step: u64,
    /// How many steps it has.
    pub steps: u32,
}

impl ChainTerms {
    /// What all of its steps are worth.
    pub fn worth(&self) -> Option<Amount> {
        Amount::from(self.step).checked_mul(u128::from(self.steps))
    }
}

/// Whether a session pays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionState {
    /// It pays until it ends.
    Open,
    /// What was left has gone back, as these outputs.
    Closed(Vec<ChangeOutput>),
}

/// A session. Nothing in it says who pays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// In what.
    pub asset: Asset,
    /// How often another chain has been put in the place of the one before.
    pub generation: u32,
    /// The present chain.
    pub chain: ChainTerms,
    /// What was there when the present chain began.
    pub funds: Amount,
    /// Which of its steps are in the books.
    pub taken: Steps,
    /// The link of the highest step that is in the books.
    pub link: Link,
    /// How far it is.
    pub state: SessionState,
    /// The request that last opened it, topped it up or closed it, so that a repetition is answered alike.
    pub tag: RequestTag,
    /// From then on it does not pay any more. What is left waits for its payer.
    pub ends_at: Timestamp,
    /// When it is closed: until then the same closing is answered alike. The hour is enough.
    pub kept_until: Timestamp,
    /// Whether its books were restored from a backup and its payer has shown no more than they know since: he may have before.
    pub restored: bool,
}

impl SessionRow {
    /// Whether it is forgotten. What came back is found by its outputs ever after; whoever would open it again brings credits that
    /// are spent.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.state != SessionState::Open && self.ends_at <= now && self.kept_until <= now
    }

    /// What is left, by the books.
    pub fn left(&self) -> Option<Amount> {
        let spent = Amount::from(self.chain.step).checked_mul(u128::from(self.taken.taken()))?;
        self.funds.checked_sub(spent)
    }
}

/// Steps that were taken together, for one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapeStep {
    /// Of which session.
    pub session: SessionId,
    /// Of which of its chains.
    pub generation: u32,
    /// The first of them.
    pub first: u32,
    /// The last of them.
    pub last: u32,
    /// The link that the last one showed.
    pub link: Link,
    /// Whom the call pays.
    pub payees: Payees,
    /// The tax code of the rule that set the price.
    pub tax_code: Option<Label>,
}

/// A row of the tape: what was written in one commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapeRow {
    /// In the order in which they were taken.
    pub steps: Vec<TapeStep>,
}

/// Opens a session with credits.
#[derive(Clone, Debug)]
pub struct OpenSession {
    /// Which.
    pub session: SessionId,
    /// With which chain.
    pub chain: ChainTerms,
    /// What pays for it.
    pub inputs: Vec<Input>,
    /// In what.
    pub asset: Asset,
    /// Until when it pays.
    pub ends_at: Timestamp,
    /// Whether the books were restored of late, so that this may be an opening that they have lost.
    pub restored: bool,
    /// The request.
    pub tag: RequestTag,
}

/// Puts more credits into a session, and another chain in the place of the present one.
#[derive(Clone, Debug)]
pub struct TopUpSession {
    /// Which.
    pub session: SessionId,
    /// What opens the lock of the present chain.
    pub key: [u8; 32],
    /// The next chain.
    pub chain: ChainTerms,
    /// What pays for it.
    pub inputs: Vec<Input>,
    /// In what.
    pub asset: Asset,
    /// Until when it pays.
    pub ends_at: Timestamp,
    /// Whether the books were restored of late, so that this may be a request that they have lost.
    pub restored: bool,
    /// The request.
    pub tag: RequestTag,
}

/// Closes a session: what is left goes back as credits that nobody can link to it.
#[derive(Clone, Debug)]
pub struct CloseSession {
    /// Which.
    pub session: SessionId,
    /// What opens its lock.
    pub key: [u8; 32],
    /// The change: exactly what is left.
    pub change: Vec<Output>,
    /// In what.
    pub asset: Asset,
    /// The request.
    pub tag: RequestTag,
}

/// Charges what a session's payer has shown before its books were restored, which a link of his proves. What was charged already is not
/// charged again, so that the same command may be repeated.
#[derive(Clone, Debug)]
pub struct CatchUp {
    /// Which.
    pub session: SessionId,
    /// Which of its chains.
    pub generation: u32,
    /// The first step that is charged: the one above the highest that is known.
    pub first: u32,
    /// The last one; before the first, if nothing is lacking.
    pub last: u32,
    /// Its link.
    pub link: Link,
    /// In what.
    pub asset: Asset,
    /// For whom: what the steps were shown for went with the books.
    pub payees: Payees,
    /// With which tax code.
    pub tax_code: Option<Label>,
}

/// Brings rows of the tape into the books: those of their steps that are of one asset, for the same payees and of one tax code. Rows
/// of which nothing is left are removed.
#[derive(Clone, Debug)]
pub struct FoldTape {
    /// Which rows.
    pub rows: Vec<u64>,
    /// The sessions in them.
    pub sessions: Vec<SessionId>,
    /// Of what.
    pub asset: Asset,
    /// For whom.
    pub payees: Payees,
    /// With which tax code.
    pub tax_code: Option<Label>,
}
