//! The operations, each a state machine: what to send next, what came back, what to write down in between.

mod ask_back;
mod audit;
mod channel_call;
mod channel_fees;
mod channel_find;
mod channel_look;
mod channel_moved;
mod channel_refund;
mod channel_see;
mod channel_told;
mod exact;
mod exchange;
mod holdings;
mod in_channel;
mod keys;
mod leftovers;
mod on_chain;
mod order;
mod paid;
mod pay;
mod quote;
mod receive;
mod recover;
mod redeem;
mod refund;
mod renew;
mod restore;
mod search;
mod send;
mod session_close;
mod session_find;
mod session_look;
mod session_put;
mod session_top_up;
mod settle;
mod settle_chain;

use farthing_money::Timestamp;

pub use ask_back::AskBackFlow;
pub use audit::AuditFlow;
pub use channel_call::{ChannelCall, ChannelCallFlow};
pub use channel_find::ChannelFindFlow;
pub use channel_refund::ChannelRefundFlow;
pub use channel_see::ChannelSeeFlow;
pub(crate) use exact::funds_short;
pub use holdings::HoldingsFlow;
pub use order::OrderFlow;
pub use pay::{PayFlow, PayRequest};
pub use quote::QuoteFlow;
pub use receive::ReceiveFlow;
pub use recover::{ReclaimFlow, RecoverFlow};
pub use redeem::RedeemFlow;
pub use refund::RefundFlow;
pub use renew::RenewFlow;
pub use restore::RestoreFlow;
pub use send::SendFlow;
pub use session_close::SessionCloseFlow;
pub use session_find::SessionFindFlow;
pub use session_top_up::SessionTopUpFlow;

use crate::error::WalletError;
use crate::http::{Event, HttpRequest, HttpResponse, Step};
use crate::outcome::Outcome;
use crate::wallet::Wallet;

/// An operation under way.
pub trait Flow {
    /// Takes what happened, writes down what must not be lost, and says what to do next.
    ///
    /// After an error the flow is over; what was begun stays written down.
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError>;

    /// Whether the last request carried a credential. Where its answer leads by a redirect must not be gone: whoever has
    /// taken the money would be asked what else there is to pay.
    fn is_paying(&self) -> bool {
        false
    }
}

/// What a part of a flow says.
pub(crate) enum Sub<T> {
    /// Send this.
    Send(HttpRequest),
    /// The part is over.
    Done(T),
}

impl<T> Sub<T> {
    /// The same, with another end.
    pub(crate) fn map<U>(self, end: impl FnOnce(T) -> U) -> Sub<U> {
        match self {
            Self::Send(request) => Sub::Send(request),
            Self::Done(value) => Sub::Done(end(value)),
        }
    }
}

/// The answer, or why there is none.
pub(crate) fn answer_of(whom: &str, event: Event) -> Result<HttpResponse, WalletError> {
    let whom = || whom.to_owned();
    match event {
        Event::Answer(answer) => Ok(answer),
        Event::NotSent(reason) => Err(WalletError::Unreachable { whom: whom(), reason }),
        Event::NoAnswer(reason) => Err(WalletError::Unknown { whom: whom(), reason }),
        Event::Go | Event::Receipt(_) => Err(WalletError::Misuse("an answer")),
    }
}

pub(crate) fn done(outcome: Outcome) -> Step {
    Step::Done(Box::new(outcome))
}
