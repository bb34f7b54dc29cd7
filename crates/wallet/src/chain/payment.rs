//! What was signed for a chain: kept until it is known what became of it, because whoever has seen it may carry it to the
//! chain until its time is over.

use farthing_channel::{Address, ChainId, ChannelId, Word};
use farthing_money::{Amount, Timestamp};
use serde::{Deserialize, Serialize};

/// In which way a token moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The token itself takes the signature.
    Eip3009,
    /// Permit2 takes it, which must have an allowance of the token.
    Permit2,
}

/// A payment on a chain that was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainPayment {
    /// What moves, and to whom.
    pub on: OnChain,
    /// The wallet's account.
    pub payer: Address,
    /// In which way.
    pub method: Method,
    /// Good once for each payer (and token).
    pub nonce: Word,
    /// When it is over: from then on nobody can take it any more.
    pub until: Timestamp,
}

/// What moves on a chain, and to whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnChain {
    /// The chain.
    pub chain: ChainId,
    /// The token's contract.
    pub token: Address,
    /// What people call the token.
    pub symbol: String,
    /// Who is paid.
    pub pay_to: Address,
    /// The scheme: `exact`, or `upto` or `batch-settlement` if less may be taken.
    pub scheme: String,
    /// So many of the token's minor units, at the most.
    pub units: Amount,
    /// How many were taken, where that may be fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<Amount>,
    /// The transaction that moved them, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
    /// The channel that pays, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
}

impl OnChain {
    /// Whether less than was signed may be taken.
    pub fn is_ceiling(&self) -> bool {
        self.channel.is_some() || self.scheme == farthing_wire::x402::SCHEME_UPTO
    }
}
