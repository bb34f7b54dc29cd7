//! What a seller decides about a channel of x402's `batch-settlement`, as rules over what is written down and what came. No
//! clock, no node, no store: what time it is, what the chain says and whom a signature is by are arguments.
//!
//! # The rules, in order
//!
//! Each has the reference's string (npm `@x402/evm` 2.27.0), where the reference has the rule. The order is the reference's too, with
//! one exception: the reference compares totals before it looks at the signature and tells anyone who knows the channel's
//! public terms how much was spent. Here nothing about a channel is said to whoever cannot sign for it. Official clients sign
//! each try, so that they notice no difference.
//!
//! | # | rule | string, after `invalid_batch_settlement_evm_` | the reference's place |
//! |---|---|---|---|
//! | 1 | the channel's id is the hash of its terms | `channel_id_mismatch` | `handleBeforeVerify` |
//! | 2 | the voucher is signed by the payer's authorizer; *ours:* a payer that is a contract has to be allowed, because it is asked again when the claim comes | `voucher_signature`; *ours:* `payer_authorizer_required` | `verifyVoucherLocally` |
//! | 3 | a deposit is not below the least, if that is enforced | `deposit_below_min_deposit` | `handleBeforeVerify` |
//! | 4 | the voucher is exactly what was charged so far and the price; of a refund what was charged | `cumulative_amount_mismatch` | `handleBeforeVerify` |
//! | 5 | receiver, receiver's authorizer, token and delay are the offer's, the delay is one that the escrow takes | `receiver_mismatch`, `receiver_authorizer_mismatch`, `token_mismatch`, `withdraw_delay_mismatch`, `withdraw_delay_out_of_range` | `validateChannelConfig` |
//! | 6 | the channel has money | `channel_not_found` | facilitator's `verifyVoucher` |
//! | 7 | the voucher is covered by the balance and the deposit that comes with it | `cumulative_exceeds_balance` | `verifyVoucherLocally` |
//! | 8 | it is above what was claimed; of a refund not below | `cumulative_below_claimed` | `verifyVoucherLocally` |
//! | 9 | *ours:* no withdrawal is under way: it may overtake the claim | *ours:* `withdrawal_pending` | – |
//! | 10 | *ours:* what is owed by this payer and not claimed stays within a limit | *ours:* `exposure_exceeded` | – |
//! | 11 | nobody else is served through the channel right now | `channel_busy` | `handleAfterVerify` |
//! | 12 | the charge is at most the price that was signed | `charge_exceeds_signed_cumulative` | `handleBeforeSettle` |
//! | 13 | a refund has something to give back, and asks for more than nothing | `refund_no_balance`, `refund_amount_invalid` | `handleEnrichSettlementPayload` |
//! | 14 | *ours:* a part that a payer wants back is at least the least deposit, if there is one: it costs a transaction | *ours:* `refund_below_min_deposit` | – |
//!
//! `tests/vectors/seller.rs` compares these rules with what the reference's seller and facilitator decide of the same, some
//! hundred times. One word differs: of a known channel that is empty, the reference's seller says what rule 7 or 8 says.
//!
//! A seller that knows a channel only from the chain takes the voucher's word for what was charged before (as the reference
//! does), but never less than what was claimed: what was claimed was charged.

mod books;
mod offer;
mod proven;
mod refused;

pub use books::{Asked, ChannelBooks, ChannelOnChain, Corrective, KeptVoucher, RefundPlan};
pub use offer::{ChannelOffer, WITHDRAW_DELAY_LEAST, WITHDRAW_DELAY_MOST, least_deposit, trusted_seconds};
pub use proven::{Presented, Proven};
pub use refused::Refused;

#[cfg(test)]
mod rules_tests;
