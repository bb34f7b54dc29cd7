//! The room that speaks to chains of the EVM: it judges x402 payments, sends the transactions that settle them, and
//! watches what becomes of those. What is to be sent is read from the engine's outbox and what became of it goes back as
//! a command, so that a crash loses nothing.
//!
//! JSON-RPC and what contracts answer are known here and nowhere else. There is no library of a chain below: one kind of
//! transaction and a dozen questions are less than what it would bring along.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod abi;
mod authorized;
mod chain;
mod channels;
mod escrow;
mod facilitator;
mod inlet;
mod movement;
mod node;
mod purse;
mod resolve;
mod revert;
mod signer;
mod submit;
mod verify;
mod watch;

use std::sync::Arc;

use farthing_money::Timestamp;

pub use chain::{ChainConfig, ChainMistake, Contracts, FeeConfig, RemoteAccount, TokenConfig, Way};
pub use channels::{ChannelConfig, ChannelRound, ChannelWorker, prudent_claim_after, usual_claim_after};
pub use facilitator::{Facilitator, Facilitators, Unsettled, hash_text};
pub use farthing_channel::{Fees, SignedTransaction, Transaction};
pub use inlet::{InletKeys, InletRound, InletToken, InletWatcher, Lying};
pub use node::{
    Asked, BatchEscrow, Block, Collecting, Effect, EscrowAround, EscrowChannel, EscrowReceiver, HttpLimits,
    HttpNode, Log, LogFilter, Moment, Node, NodeError, Receipt, ScriptedNode, Trial,
};
pub use purse::{Purse, PurseStatus, units_of};
pub use revert::Revert;
pub use signer::{Looking, RemoteSigner, SignFault, Signer, Signing};
pub use submit::{NotByHand, Ports, Round, RoundFault, Said, Submitter};
pub use verify::{Invalid, Judge, NotVerified, SoundDeposit, SoundVoucher, Verified, call_of, payment_of};

/// Says what time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
