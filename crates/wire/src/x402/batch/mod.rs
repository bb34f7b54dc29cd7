//! The scheme `batch-settlement` on a chain: channels that are filled once and paid from by vouchers, whose amounts are
//! cumulative. What an offer adds, what a payer sends, what a seller sends to a facilitator, and what is answered.
//!
//! Payers and sellers send it as [`SchemePayload::Other`](super::SchemePayload::Other), whose members stay as they came: what is
//! read here is a view of them, and members that are not known change nothing.

mod answer;
mod offer;
mod payload;
mod settle;
mod state;
mod terms;

pub use answer::{ChannelAnswer, verified, voucher_header};
pub use offer::ChannelOfferText;
pub use payload::{
    BatchError, Deposit, DepositAuthorization, DepositPayload, DepositPermit2, DepositReceive,
    DepositWitness, PayerPayload, RefundPayload, VoucherFields, VoucherPayload,
};
pub use settle::{
    CLAIMS_MOST, ClaimFields, ClaimPayload, ClaimVoucher, FacilitatorPayload, RefundOrder, SettlePayload,
};
pub use state::{ChannelStateText, VoucherStateText};
pub use terms::ChannelConfig;

/// The scheme of paying through a channel.
pub const SCHEME_BATCH: &str = "batch-settlement";

#[cfg(test)]
mod golden;
