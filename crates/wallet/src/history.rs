//! What happened: one entry for everything that is over.

use farthing_money::{Money, Timestamp};
use serde::{Deserialize, Serialize};

use crate::budget::Asker;
use crate::chain::OnChain;

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A top-up code became credits.
    Redeem,
    /// Credits were bought with money on a chain.
    Buy,
    /// Something was paid.
    Pay,
    /// A payment was refused and the credits came back; or what was signed for a chain ended unused.
    Refused,
    /// Credits were given away as a token.
    Send,
    /// Credits of a token were taken in.
    Receive,
    /// A token that nobody took was taken back.
    Reclaim,
    /// Credits were found again by the words.
    Restore,
    /// Credits became a top-up code, for the operator to take back.
    Refund,
    /// Credits turned out to be spent by someone else with the same words.
    Lost,
    /// Money of the account went into a channel, as its seller says or the chain shows.
    ChannelDeposit,
    /// A seller gave back what was left in a channel, as it says or the chain shows.
    ChannelRefund,
    /// The account took back what was left in a channel without its seller.
    ChannelWithdrawal,
    /// Credits went into a session.
    SessionDeposit,
    /// A session was closed, and this came back.
    SessionClose,
}

/// One thing that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number: that of its attempt.
    pub number: u64,
    /// When it was over.
    pub at: Timestamp,
    /// What it was.
    pub kind: EntryKind,
    /// With whom: a host or a mint.
    pub party: String,
    /// How much.
    pub money: Money,
    /// The address that was paid for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The signed receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    /// What moved on a chain, and to whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_chain: Option<OnChain>,
    /// Who asked for it.
    #[serde(default)]
    pub asker: Asker,
    /// The subscription that it was for, by its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<u64>,
    /// Anything odd about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl EntryKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redeem => "redeem",
            Self::Buy => "buy",
            Self::Pay => "pay",
            Self::Refused => "refused",
            Self::Send => "send",
            Self::Receive => "receive",
            Self::Reclaim => "reclaim",
            Self::Restore => "restore",
            Self::Refund => "refund",
            Self::Lost => "lost",
            Self::ChannelDeposit => "channel-deposit",
            Self::ChannelRefund => "channel-refund",
            Self::ChannelWithdrawal => "channel-withdrawal",
            Self::SessionDeposit => "session-deposit",
            Self::SessionClose => "session-close",
        }
    }
}
