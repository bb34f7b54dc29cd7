//! Uses of features: authorized, then committed or given back. A row says which feature it was and what stands behind it; whom it
//! was for is nowhere, only a code that fits this use alone.

use farthing_money::{Amount, Span, Timestamp, byte_id};
use serde::{Deserialize, Serialize};

use crate::{
    Command, EntitlementId, Fault, Hold, IssueEntitlement, PaymentId, Post, QuotaId, Read, Release,
    RequestTag, ReturnQuota, TakeQuota, release_of_row,
};

byte_id!(
    /// A use of a feature: random, or a code of the name that who asked gave to his request, so that the same request is the same use.
    UseId,
    32
);

/// How long a use is remembered after it has ended: a request that was sent again finds its answer.
pub const USE_KEPT: Span = Span::from_secs(24 * 3_600);

/// How far a use is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UseState {
    /// It may go on; what it takes is set aside.
    Open,
    /// It was had, and what it took is charged or counted.
    Committed,
    /// It was not had, and what it took went back.
    Released,
}

/// What stands behind a use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UseBy {
    /// It costs this asker nothing.
    Nothing,
    /// One of what is free up to a limit.
    Quota {
        /// Whose.
        quota: QuotaId,
        /// The count of newcomers that let the asker in.
        admitted_by: Option<QuotaId>,
        /// How many were left after it.
        left: u32,
    },
    /// Money that is set aside.
    Payment {
        /// By which payment.
        payment: PaymentId,
        /// The most that may be charged.
        most: Amount,
    },
}

/// A use of a feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseRow {
    /// Which feature.
    pub feature: String,
    /// What was asked for, as a code: the same id with another is refused.
    pub tag: RequestTag,
    /// Whom it is for, as a code that fits this use alone.
    pub whom: RequestTag,
    /// How far it is.
    pub state: UseState,
    /// What stands behind it.
    pub by: UseBy,
    /// When it was authorized.
    pub opened_at: Timestamp,
    /// When it is over if nobody ends it before.
    pub lapses: Timestamp,
    /// When it ended, if it has.
    pub ended_at: Option<Timestamp>,
    /// The entitlement that it has brought.
    pub entitlement: Option<EntitlementId>,
}

impl UseRow {
    /// Whether it is over and nobody has ended it.
    pub fn has_lapsed(&self, now: Timestamp) -> bool {
        self.state == UseState::Open && self.lapses <= now
    }

    /// Whether nobody asks for it any more.
    pub fn may_be_forgotten(&self, now: Timestamp) -> bool {
        self.ended_at.is_some_and(|ended| ended.after(USE_KEPT) <= now)
    }
}

/// What a use takes when it is authorized.
#[derive(Clone, Debug)]
pub enum Claim {
    /// Nothing.
    Nothing,
    /// One of what is free up to a limit.
    Quota(TakeQuota),
    /// Money: its price is the most that may be charged.
    Payment(Box<Hold>),
}

/// Lets a feature be used, once, and sets aside what that takes.
#[derive(Clone, Debug)]
pub struct AuthorizeUse {
    /// Which use.
    pub id: UseId,
    /// Which feature.
    pub feature: String,
    /// What was asked for.
    pub tag: RequestTag,
    /// Whom it is for.
    pub whom: RequestTag,
    /// When it is over if nobody ends it before.
    pub lapses: Timestamp,
    /// What it takes.
    pub claim: Claim,
}

/// The feature was used: what was set aside is charged, or counted for good.
#[derive(Clone, Debug)]
pub struct CommitUse {
    /// Which use.
    pub id: UseId,
    /// Charges its payment, if one stands behind it.
    pub post: Option<Box<Post>>,
    /// The entitlement that it brings.
    pub entitlement: Option<IssueEntitlement>,
}

/// What goes back when a use is given up.
#[derive(Clone, Debug)]
pub enum GivenBack {
    /// Nothing.
    Nothing,
    /// One of what is free.
    Quota(ReturnQuota),
    /// Money.
    Payment(Box<Release>),
}

/// The feature was not used: what was set aside goes back.
#[derive(Clone, Debug)]
pub struct ReleaseUse {
    /// Which use.
    pub id: UseId,
    /// What goes back.
    pub back: GivenBack,
}

/// What happens to uses.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each variant is the struct of the same name")]
pub enum UseCommand {
    Authorize(AuthorizeUse),
    Commit(CommitUse),
    Release(ReleaseUse),
    /// Forgets those that nobody asks for any more. The others are left as they are.
    Forget(Vec<UseId>),
}

impl From<UseCommand> for Command {
    fn from(command: UseCommand) -> Self {
        Self::Use(command)
    }
}

impl ReleaseUse {
    /// The command that gives up a use, as its rows say.
    pub fn of(read: &dyn Read, id: UseId, row: &UseRow) -> Result<Self, Fault> {
        let back = match row.by {
            UseBy::Nothing => GivenBack::Nothing,
            UseBy::Quota { quota, admitted_by, .. } => GivenBack::Quota(ReturnQuota { quota, admitted_by }),
            // Nothing is held any more if it has ended meanwhile, which the command will say.
            UseBy::Payment { payment, .. } => match read.payment(payment)? {
                Some(row) => GivenBack::Payment(Box::new(release_of_row(payment, &row))),
                None => GivenBack::Nothing,
            },
        };
        Ok(Self { id, back })
    }
}
