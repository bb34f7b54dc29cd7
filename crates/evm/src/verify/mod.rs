//! Judges a payment by x402: in the order in which the reference judges (npm `@x402/evm` 2.27.0) and with its reasons, so
//! that every client understands a refusal. What can be seen in the payment itself is looked at before any node is asked,
//! and then all questions go out at once.

mod allowable;
mod approval;
mod auth_capture;
mod channel;
mod deposit;
mod exact_eip3009;
mod exact_permit2;
mod permit2;
mod sentence;
mod signed;
mod sponsor;
mod upto;

use farthing_channel::{Address, Word};
use farthing_engine::{Call, Movement, PaymentId};
use farthing_money::{Amount, Timestamp};
use farthing_wire::x402::extension::gas_sponsoring;
use farthing_wire::x402::{
    Payload, Reason, Requirements, SCHEME_AUTH_CAPTURE, SCHEME_EXACT, SCHEME_UPTO, SchemePayload, Uint,
};
use thiserror::Error;

use crate::authorized::Authorized;
use crate::chain::{ChainConfig, of_text, to_engine};
use crate::node::{Node, NodeError, Trial};

pub use channel::SoundVoucher;
pub(crate) use channel::{same_place, state_text, terms_of};
pub use deposit::SoundDeposit;
pub(crate) use deposit::drawn_deposit;

/// The extensions that are understood: an allowance that is signed, and one that is a transaction.
pub(crate) const SPONSORED: &str = sponsor::NAME;
pub(crate) const APPROVED: &str = gas_sponsoring::ERC20_APPROVAL;

/// A payment that would settle now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Who pays.
    pub payer: Address,
    /// Its name, the same however it is written.
    pub payment: PaymentId,
    /// How many units it pays; with `upto` at most.
    pub units: Amount,
    /// How much coin its payer has to be given first, for the gas of his approval.
    pub gift: Amount,
}

/// Why a payment is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}: {message}")]
pub struct Invalid {
    /// The reason as x402's programs know it.
    pub reason: Reason,
    /// The same for people.
    pub message: String,
    /// Who would have paid, as the payment says.
    pub payer: Option<Address>,
}

/// No verified payment.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotVerified {
    /// It is not good.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Nobody could say whether it is: the same payment may be good.
    #[error(transparent)]
    Unknown(#[from] NodeError),
}

/// Whoever judges payments on one chain.
#[derive(Clone, Copy)]
pub struct Judge<'a> {
    /// What is configured.
    pub chain: &'a ChainConfig,
    /// Who is asked.
    pub node: &'a dyn Node,
    /// The account that will send the transaction.
    pub submitter: Address,
}

/// What a payment of any scheme says, read and not judged.
enum Terms {
    Eip3009(Box<exact_eip3009::Terms>),
    Permit2(Box<permit2::Terms>),
    Escrow(Box<auth_capture::Terms>),
}

impl Terms {
    fn read(chain: &ChainConfig, requirements: &Requirements, payload: &Payload) -> Result<Self, Reason> {
        match (requirements.scheme.as_str(), &payload.payload) {
            (SCHEME_EXACT, SchemePayload::Eip3009(paid)) => {
                exact_eip3009::Terms::read(chain, requirements, payload, paid)
                    .map(Box::new)
                    .map(Self::Eip3009)
            }
            (SCHEME_EXACT, SchemePayload::Permit2(paid)) => {
                exact_permit2::read(chain, requirements, payload, paid).map(Box::new).map(Self::Permit2)
            }
            (SCHEME_UPTO, SchemePayload::Permit2(paid)) => {
                upto::read(chain, requirements, payload, paid).map(Box::new).map(Self::Permit2)
            }
            (SCHEME_AUTH_CAPTURE, SchemePayload::AuthCapture(paid)) => {
                auth_capture::Terms::read(chain, requirements, payload, paid).map(Box::new).map(Self::Escrow)
            }
            (SCHEME_AUTH_CAPTURE, _) => Err(Reason::EscrowPayloadFormat),
            (SCHEME_EXACT | SCHEME_UPTO, _) => Err(Reason::UnsupportedPayloadType),
            _ => Err(Reason::InvalidScheme),
        }
    }

    fn authorized(&self, chain: &ChainConfig) -> Authorized {
        match self {
            Self::Eip3009(terms) => terms.authorized(),
            Self::Permit2(terms) => terms.authorized(chain),
            Self::Escrow(terms) => terms.authorized(),
        }
    }
}

impl Judge<'_> {
    /// Judges a payment that has to meet these requirements.
    pub async fn verify(
        &self,
        requirements: &Requirements,
        payload: &Payload,
        now: Timestamp,
    ) -> Result<Verified, NotVerified> {
        let payer = payload.payload.payer().map(of_text);
        let judged = match Terms::read(self.chain, requirements, payload) {
            Ok(Terms::Eip3009(terms)) => terms.judge(self, requirements, now).await,
            Ok(Terms::Permit2(terms)) => terms.judge(self, requirements, now).await,
            Ok(Terms::Escrow(terms)) => terms.judge(self, requirements, now).await,
            Err(reason) => Err(reason.into()),
        };
        judged.map_err(|unsound| unsound.of(payer))
    }
}

/// The name of the payment that a credential makes, without judging it; nothing if it cannot be read.
pub fn payment_of(chain: &ChainConfig, requirements: &Requirements, payload: &Payload) -> Option<PaymentId> {
    let terms = Terms::read(chain, requirements, payload).ok()?;
    Some(terms.authorized(chain).payment(chain))
}

/// The call that settles a payment with so many units: all that it pays, or with `upto` what was used. The payment has
/// been verified before.
pub fn call_of(
    chain: &ChainConfig,
    requirements: &Requirements,
    payload: &Payload,
    units: Amount,
) -> Result<Call, Invalid> {
    let made = Terms::read(chain, requirements, payload).and_then(|terms| match terms {
        Terms::Eip3009(terms) => terms.call(chain, requirements, units),
        Terms::Permit2(terms) => terms.call(chain, requirements, units),
        // No single call settles it: for others nobody would capture what lies there.
        Terms::Escrow(_) => Err(Reason::EscrowOperatorNotAdmitted),
    });
    made.map_err(|reason| Invalid::of(reason, payload.payload.payer().map(of_text)))
}

/// The call that puts a verified payment of `auth-capture` into escrow, all of it.
pub(crate) fn put_into_escrow(
    chain: &ChainConfig,
    requirements: &Requirements,
    payload: &Payload,
    units: Amount,
) -> Result<Call, Invalid> {
    let made = Terms::read(chain, requirements, payload).and_then(|terms| match terms {
        Terms::Escrow(terms) => terms.call(chain, units),
        Terms::Eip3009(_) | Terms::Permit2(_) => Err(Reason::EscrowScheme),
    });
    made.map_err(|reason| Invalid::of(reason, payload.payload.payer().map(of_text)))
}

/// A payment that is not verified, before it is said whose it is.
enum Unsound {
    Reason(Reason, Option<String>),
    Node(NodeError),
}

impl Unsound {
    fn of(self, payer: Option<Address>) -> NotVerified {
        match self {
            Self::Reason(reason, message) => {
                let mut invalid = Invalid::of(reason, payer);
                if let Some(message) = message {
                    invalid.message = format!("{}; the contract says: {message}", invalid.message);
                }
                NotVerified::Invalid(invalid)
            }
            Self::Node(error) => NotVerified::Unknown(error),
        }
    }
}

impl From<Reason> for Unsound {
    fn from(reason: Reason) -> Self {
        Self::Reason(reason, None)
    }
}

impl From<NodeError> for Unsound {
    fn from(error: NodeError) -> Self {
        Self::Node(error)
    }
}

impl Invalid {
    pub(crate) fn of(reason: Reason, payer: Option<Address>) -> Self {
        Self { reason, message: sentence::of(reason).to_owned(), payer }
    }
}

/// The transaction that settles a payment: whom it calls, with what, and what it moves until when.
struct Draft {
    to: Address,
    input: Vec<u8>,
    token: Address,
    payer: Address,
    payee: Address,
    /// The last second at which the contract takes it.
    until: Word,
    /// A transaction of the payer's that may be needed before.
    approval: Option<Vec<u8>>,
}

impl Draft {
    fn call(self, chain: &ChainConfig, units: Amount) -> Call {
        let seconds = self.until.to_u64().unwrap_or(u64::MAX);
        let moves = Movement {
            token: to_engine(self.token),
            from: to_engine(self.payer),
            to: to_engine(self.payee),
            units,
        };
        Call {
            chain: chain.id.number(),
            to: to_engine(self.to),
            input: self.input,
            moves,
            // A time that cannot be counted in milliseconds never comes.
            until: Timestamp::from_secs(seconds.min(u64::MAX / 1000)),
            approval: self.approval,
        }
    }

    fn trial(&self, submitter: Address) -> Trial {
        Trial { from: submitter, to: self.to, input: self.input.clone() }
    }
}

/// A number of x402 as a contract sees it. Both hold 256 bits.
fn word(number: &Uint) -> Word {
    number.as_str().parse().unwrap_or(Word::MAX)
}

/// A time of a payment may not be too near: a transaction needs a moment. The reference takes six seconds.
fn is_too_near(until: Word, now: Timestamp) -> bool {
    until < Word::from(now.secs().saturating_add(6))
}

/// Whether the first second is still to come.
fn is_early(from: Word, now: Timestamp) -> bool {
    from > Word::from_seconds(now)
}

/// What a contract answered, if it answered: that it refuses is an answer as well.
fn settled<T>(asked: Result<T, NodeError>) -> Result<Result<T, NodeError>, NodeError> {
    match asked {
        Err(error) if error.is_fault() => Err(error),
        answer => Ok(answer),
    }
}
