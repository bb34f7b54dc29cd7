//! Why an operation of the wallet did not come to its end, and what a program should conclude from it.

use farthing_channel::buyer::BuyerRefused;
use farthing_ecash::{DenominationError, DleqError, KeysetError, RestoreError, TokenError};
use farthing_money::{Amount, Money, Unit};
use thiserror::Error;

use crate::address::AddressError;
use crate::budget::BudgetReject;
use crate::chain::{ChainId, TokenError as ChainTokenError};
use crate::mandate::MandateReject;
use crate::parked::NeedsYes;
use crate::sealed::SealedError;
use crate::subscription::SubscriptionReject;
use crate::vault::VaultFault;
use crate::words::WordsError;

/// What a caller can do about an error, for exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// What was asked for makes no sense as it was written.
    Usage,
    /// Nobody answered, and nothing was spent.
    Unreachable,
    /// There are not enough credits.
    FundsShort,
    /// A limit says no.
    Budget,
    /// What happened is unknown; it is safe to run the same again.
    Unknown,
    /// There is no such thing.
    NotFound,
    /// Anything else.
    Failed,
}

/// Why an operation did not come to its end.
#[derive(Debug, Error)]
pub enum WalletError {
    /// The wallet's folder.
    #[error(transparent)]
    Vault(#[from] VaultFault),
    /// The words.
    #[error(transparent)]
    Words(#[from] WordsError),
    /// The sealed seed.
    #[error(transparent)]
    Sealed(#[from] SealedError),
    /// An address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A limit.
    #[error(transparent)]
    Budget(Box<BudgetReject>),
    /// The owner has to be asked.
    #[error(transparent)]
    Ask(Box<NeedsYes>),
    /// A mandate.
    #[error(transparent)]
    Mandate(Box<MandateReject>),
    /// Nothing is parked under this number.
    #[error("nothing is parked under the number {0}; `farthing wallet parked` lists what is")]
    UnknownParked(u64),
    /// Too much is parked.
    #[error(
        "{0} requests are parked already; say yes or no to some of them first (`farthing wallet parked`)"
    )]
    ParkedFull(usize),
    /// A token's text.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A token on a chain.
    #[error(transparent)]
    ChainToken(#[from] ChainTokenError),
    /// A keyset.
    #[error("{mint} shows a keyset that cannot be used: {source}")]
    Keyset {
        /// The mint.
        mint: String,
        /// Why.
        source: Box<KeysetError>,
    },
    /// An amount that the keyset has no credits for.
    #[error(transparent)]
    Denomination(#[from] DenominationError),
    /// A secret that cannot be derived.
    #[error(transparent)]
    Derivation(#[from] RestoreError),
    /// There is no wallet yet.
    #[error("there is no wallet here; make one with `farthing wallet init`")]
    NoWallet,
    /// There is one already.
    #[error("there is a wallet here already; use it, or choose another folder")]
    WalletExists,
    /// A mint that was never used here.
    #[error(
        "the token is of {0}, which this wallet does not know; receive it again and allow that mint, if you trust it"
    )]
    UnknownMint(String),
    /// No such attempt.
    #[error("there is no open attempt {0}; `farthing wallet history` lists them")]
    UnknownAttempt(u64),
    /// The mint has no active keyset for a unit.
    #[error("{mint} issues no credits in {unit}; it has {known}")]
    NoKeyset {
        /// The mint.
        mint: String,
        /// What was asked for.
        unit: Unit,
        /// What it has.
        known: String,
    },
    /// The mint has several units and none was chosen.
    #[error("{mint} issues credits in {known}; say which one you want")]
    WhichUnit {
        /// The mint.
        mint: String,
        /// What it has.
        known: String,
    },
    /// Not enough.
    #[error(transparent)]
    FundsShort(Box<FundsShort>),
    /// A 402 whose offers are none of ours.
    #[error("{url} asks for money, but not in a way that this wallet can pay: {reasons}")]
    NoOffer {
        /// What was asked for.
        url: String,
        /// Why each offer is not taken.
        reasons: String,
    },
    /// The issuer publishes nothing about what it owes.
    #[error("{0} publishes no statements of what it owes; ask it why, or look at the address")]
    NoStatements(String),
    /// The mint says no.
    #[error("{mint} refuses: {detail} (code {code})")]
    Refused {
        /// The mint.
        mint: String,
        /// Its words.
        detail: String,
        /// Its code, 0 if it gave none.
        code: u64,
    },
    /// The seller gives nothing back.
    #[error("{seller} gives nothing back: {detail}")]
    NotGivenBack {
        /// The seller.
        seller: String,
        /// Its words, with its code.
        detail: String,
    },
    /// The credits are part of another transaction at the mint.
    #[error("{0} says that the credits are set aside right now; nothing is lost, try again in a moment")]
    Pending(String),
    /// The credits are gone.
    #[error("{0} says that the credits are spent already")]
    Spent(String),
    /// An answer that is not what it should be.
    #[error("expected {expected} from {whom}, got {got}; nothing is lost, try again later")]
    BadAnswer {
        /// Who answered.
        whom: String,
        /// What should have come.
        expected: &'static str,
        /// What came.
        got: String,
    },
    /// A signature that the published key did not make.
    #[error("{mint} signed with another key than it published: {source}; its credits are not taken")]
    Dleq {
        /// The mint.
        mint: String,
        /// What is wrong.
        source: DleqError,
    },
    /// Nothing was sent.
    #[error("{whom} cannot be reached: {reason}; try again later")]
    Unreachable {
        /// Who.
        whom: String,
        /// Why.
        reason: String,
    },
    /// Something was sent and no answer came.
    #[error(
        "{whom} did not answer ({reason}); what happened is written down, run the same command again to find out"
    )]
    Unknown {
        /// Who.
        whom: String,
        /// Why.
        reason: String,
    },
    /// A backup that cannot be read.
    #[error("line {line} of the backup: expected {expected}")]
    Backup {
        /// Where, from 1.
        line: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// A rule of channels.
    #[error(transparent)]
    Channel(#[from] BuyerRefused),
    /// No such channel.
    #[error("there is no channel {0}; `farthing wallet channels list` lists them")]
    UnknownChannel(String),
    /// No such session.
    #[error("there is no session {0}; `farthing wallet sessions list` lists them")]
    UnknownSession(String),
    /// A subscription.
    #[error(transparent)]
    Subscription(Box<SubscriptionReject>),
    /// The issuer has no sessions.
    #[error("{0} offers no sessions; pay without --session")]
    NoSessions(String),
    /// The issuer says of a session what cannot be.
    #[error(
        "{whom} says that the session stands at {said}, and this wallet has shown no more than {known}; nothing is shown until that is clear: ask it why, or close the session"
    )]
    SessionDoubt {
        /// The issuer.
        whom: String,
        /// What it says.
        said: String,
        /// What is known here.
        known: String,
    },
    /// The chain has to be asked and nobody can be.
    #[error(
        "no node of {0} is named, and this needs one; `farthing wallet token add --chain .. --address .. --rpc URL` names one"
    )]
    NoNode(ChainId),
    /// The account has no coin for gas.
    #[error(
        "the transaction may cost {cost} of the smallest units of the coin of {chain}, and the account has {coin}; send some to the address that `farthing wallet address` shows"
    )]
    NoCoin {
        /// The chain.
        chain: ChainId,
        /// What it may cost.
        cost: Amount,
        /// What there is.
        coin: Amount,
    },
    /// The chain did not do what was asked of it.
    #[error("{0}")]
    NotOnChain(String),
    /// A flow was driven wrongly: a bug of the caller.
    #[error("the flow expected {0}; please report this")]
    Misuse(&'static str),
}

/// There is not enough to pay with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{asked} is needed, {have} is there{whose}; top up with `farthing wallet redeem CODE`")]
pub struct FundsShort {
    /// What is needed.
    pub asked: Money,
    /// What there is.
    pub have: Money,
    /// Of which mints, for the message.
    pub whose: String,
}

impl From<BudgetReject> for WalletError {
    fn from(reject: BudgetReject) -> Self {
        Self::Budget(Box::new(reject))
    }
}

impl From<MandateReject> for WalletError {
    fn from(reject: MandateReject) -> Self {
        Self::Mandate(Box::new(reject))
    }
}

impl From<SubscriptionReject> for WalletError {
    fn from(reject: SubscriptionReject) -> Self {
        Self::Subscription(Box::new(reject))
    }
}

impl WalletError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Vault(error) => error.code(),
            Self::Words(error) => error.code(),
            Self::Sealed(error) => error.code(),
            Self::Address(error) => error.code(),
            Self::Budget(error) => error.code(),
            Self::Ask(_) => "budget-ask",
            Self::Mandate(error) => error.code(),
            Self::UnknownParked(_) => "wallet-unknown-parked",
            Self::ParkedFull(_) => "wallet-parked-full",
            Self::Token(error) => error.code(),
            Self::ChainToken(error) => error.code(),
            Self::Keyset { source, .. } => source.code(),
            Self::Denomination(error) => error.code(),
            Self::Derivation(error) => error.code(),
            Self::NoWallet => "wallet-missing",
            Self::WalletExists => "wallet-exists",
            Self::UnknownMint(_) => "wallet-unknown-mint",
            Self::UnknownAttempt(_) => "wallet-unknown-attempt",
            Self::NoKeyset { .. } => "mint-no-keyset",
            Self::WhichUnit { .. } => "mint-which-unit",
            Self::FundsShort(_) => "wallet-funds-short",
            Self::NoOffer { .. } => "wallet-no-offer",
            Self::NoStatements(_) => "mint-no-statements",
            Self::Refused { .. } => "mint-refused",
            Self::NotGivenBack { .. } => "wallet-not-given-back",
            Self::Pending(_) => "wallet-credits-pending",
            Self::Spent(_) => "wallet-credits-spent",
            Self::BadAnswer { .. } => "wallet-bad-answer",
            Self::Dleq { source, .. } => source.code(),
            Self::Unreachable { .. } => "wallet-unreachable",
            Self::Unknown { .. } => "wallet-outcome-unknown",
            Self::Backup { .. } => "backup-malformed",
            Self::Channel(refused) => refused.code(),
            Self::UnknownChannel(_) => "wallet-unknown-channel",
            Self::UnknownSession(_) => "wallet-unknown-session",
            Self::Subscription(reject) => reject.code(),
            Self::NoSessions(_) => "wallet-no-sessions",
            Self::SessionDoubt { .. } => "wallet-session-doubt",
            Self::NoNode(_) => "wallet-no-node",
            Self::NoCoin { .. } => "wallet-no-coin",
            Self::NotOnChain(_) => "wallet-not-on-chain",
            Self::Misuse(_) => "wallet-misuse",
        }
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Words(_)
            | Self::Address(_)
            | Self::Token(_)
            | Self::ChainToken(_)
            | Self::WhichUnit { .. }
            | Self::Backup { .. } => ErrorKind::Usage,
            Self::Unreachable { .. } => ErrorKind::Unreachable,
            Self::FundsShort(_) | Self::NoCoin { .. } => ErrorKind::FundsShort,
            Self::Budget(_) | Self::Ask(_) | Self::ParkedFull(_) => ErrorKind::Budget,
            Self::Mandate(error) => match **error {
                MandateReject::Malformed(_) => ErrorKind::Usage,
                MandateReject::Unknown(_) => ErrorKind::NotFound,
                _ => ErrorKind::Budget,
            },
            Self::Subscription(reject) => reject.kind(),
            Self::Unknown { .. } | Self::Pending(_) | Self::BadAnswer { .. } => ErrorKind::Unknown,
            Self::NoWallet
            | Self::UnknownParked(_)
            | Self::UnknownChannel(_)
            | Self::UnknownSession(_)
            | Self::UnknownAttempt(_)
            | Self::NoStatements(_) => ErrorKind::NotFound,
            _ => ErrorKind::Failed,
        }
    }

    pub(crate) fn bad_answer(whom: &str, expected: &'static str, got: impl Into<String>) -> Self {
        Self::BadAnswer { whom: whom.to_owned(), expected, got: got.into() }
    }
}
