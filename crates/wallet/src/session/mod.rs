//! Sessions: credits that go into a hash chain once, and pay for many calls of one site with a link each.
//!
//! What is put in counts as spent, like a payment, in the commit that sets the credits aside; what comes back when the session is
//! closed is given back. A call of a session asks the limits of a single call and the mandate, and is counted once more only
//! in a run that has a limit of its own. A session serves those calls alone that the same rules and the same mandate meet as what was put in.
//!
//! Before a link is shown a row says that no link above a mark ever was. A wallet that lost its count asks the issuer where the
//! session stands, and believes nothing above the mark: whoever shows a link shows all below it. What it knows to be charged it says, since
//! the issuer may have been restored from a backup.

pub(crate) mod api;
mod live;
pub(crate) mod row;

pub(crate) use live::{Live, Taken};
pub(crate) use row::{LADDER, Shown, steps_for};
pub use row::{Session, SessionDeposit, SessionPart, SessionPut};
