//! Why a voucher is not taken, with a code of ours and the string that x402's programs know.

use farthing_money::Amount;
use thiserror::Error;

/// A refusal. Nothing was charged and nothing was written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Refused {
    /// The id is not the hash of the terms.
    #[error("the channel's id is not the hash of its terms on this chain; work it out anew")]
    ChannelIdMismatch,
    /// The terms pay somebody else.
    #[error("the channel pays another receiver than the offer; open one for the offer's payTo")]
    ReceiverMismatch,
    /// Somebody else signs for the receiver.
    #[error("the channel has another receiverAuthorizer than the offer; open one with the offer's")]
    ReceiverAuthorizerMismatch,
    /// Another token.
    #[error("the channel holds another token than the offer; open one for the offer's asset")]
    TokenMismatch,
    /// Another delay.
    #[error("the channel has another withdrawDelay than the offer; open one with the offer's")]
    WithdrawDelayMismatch,
    /// A delay that the escrow does not take.
    #[error("expected a withdrawDelay of 900 to 2592000 seconds; offer and open one within")]
    WithdrawDelayOutOfRange,
    /// Not signed by whom the terms name.
    #[error("the voucher is not signed by the channel's payerAuthorizer; sign it with that key")]
    VoucherSignature,
    /// Nobody but the payer itself signs, and the payer may be a contract that changes its mind.
    #[error(
        "expected a channel whose payerAuthorizer is an account, got one without; open one that names the key that signs vouchers"
    )]
    PayerAuthorizerRequired,
    /// Too small a deposit.
    #[error("the deposit is below the offer's minDeposit; deposit at least that")]
    DepositBelowMinimum,
    /// The total is not what was charged and the price.
    #[error(
        "expected a voucher for exactly what was charged so far and the price; take the total from the new offer and sign again"
    )]
    CumulativeAmountMismatch,
    /// There is no such channel on the chain.
    #[error("the channel has no money on the chain, or its deposit is not confirmed yet; deposit first")]
    ChannelNotFound,
    /// More than there is.
    #[error("the voucher exceeds the channel's balance; deposit more")]
    CumulativeExceedsBalance,
    /// Less than what was claimed.
    #[error("the voucher is not above what was claimed of the channel; take the total from the chain")]
    CumulativeBelowClaimed,
    /// The payer takes the money out.
    #[error("a withdrawal from the channel is under way; finish it, or pay through another channel")]
    WithdrawalPending,
    /// The seller would wait for too much.
    #[error(
        "more is owed through this payer's channels than the seller waits for; try again after its next claim"
    )]
    ExposureExceeded,
    /// A request is under way.
    #[error(
        "another request is served through this channel right now; try again, or open a second channel with another salt"
    )]
    ChannelBusy,
    /// More than was signed.
    #[error("the charge is more than the voucher allows; charge at most the price that was offered")]
    ChargeExceedsSigned,
    /// Nothing is left.
    #[error("nothing is left in the channel to give back")]
    RefundNoBalance,
    /// Nothing is asked for.
    #[error("expected a refund of more than nothing, or none named for everything")]
    RefundAmountInvalid,
    /// A part that is not worth the transaction that moves it.
    #[error(
        "expected a refund of everything that is left, or of at least {least} units; ask for more, or name no amount"
    )]
    RefundBelowLeast {
        /// The least part, in units of the token: what a deposit has to be.
        least: Amount,
    },
    /// Nothing was paid since the last time.
    #[error(
        "nothing was charged through the channel since money went into it or out of it; wait a minute, or pay for something first"
    )]
    RefundTooSoon,
}

impl Refused {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::ChannelIdMismatch,
        Self::ReceiverMismatch,
        Self::ReceiverAuthorizerMismatch,
        Self::TokenMismatch,
        Self::WithdrawDelayMismatch,
        Self::WithdrawDelayOutOfRange,
        Self::VoucherSignature,
        Self::PayerAuthorizerRequired,
        Self::DepositBelowMinimum,
        Self::CumulativeAmountMismatch,
        Self::ChannelNotFound,
        Self::CumulativeExceedsBalance,
        Self::CumulativeBelowClaimed,
        Self::WithdrawalPending,
        Self::ExposureExceeded,
        Self::ChannelBusy,
        Self::ChargeExceedsSigned,
        Self::RefundNoBalance,
        Self::RefundAmountInvalid,
        Self::RefundBelowLeast { least: Amount::ZERO },
        Self::RefundTooSoon,
    ];

    /// The stable code of this refusal.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ChannelIdMismatch => "channel-id",
            Self::ReceiverMismatch => "channel-receiver",
            Self::ReceiverAuthorizerMismatch => "channel-receiver-authorizer",
            Self::TokenMismatch => "channel-token",
            Self::WithdrawDelayMismatch => "channel-delay",
            Self::WithdrawDelayOutOfRange => "channel-delay-range",
            Self::VoucherSignature => "voucher-signature",
            Self::PayerAuthorizerRequired => "channel-payer-authorizer",
            Self::DepositBelowMinimum => "channel-deposit-small",
            Self::CumulativeAmountMismatch => "voucher-total",
            Self::ChannelNotFound => "channel-empty",
            Self::CumulativeExceedsBalance => "voucher-uncovered",
            Self::CumulativeBelowClaimed => "voucher-claimed",
            Self::WithdrawalPending => "channel-withdrawal",
            Self::ExposureExceeded => "channel-exposure",
            Self::ChannelBusy => "channel-busy",
            Self::ChargeExceedsSigned => "charge-beyond-voucher",
            Self::RefundNoBalance => "channel-refund-empty",
            Self::RefundAmountInvalid => "channel-refund-amount",
            Self::RefundBelowLeast { .. } => "channel-refund-small",
            Self::RefundTooSoon => "channel-refund-soon",
        }
    }

    /// The string in answers of x402: the reference's where it has one, else one in its manner.
    pub fn reason(self) -> &'static str {
        match self {
            Self::ChannelIdMismatch => "invalid_batch_settlement_evm_channel_id_mismatch",
            Self::ReceiverMismatch => "invalid_batch_settlement_evm_receiver_mismatch",
            Self::ReceiverAuthorizerMismatch => "invalid_batch_settlement_evm_receiver_authorizer_mismatch",
            Self::TokenMismatch => "invalid_batch_settlement_evm_token_mismatch",
            Self::WithdrawDelayMismatch => "invalid_batch_settlement_evm_withdraw_delay_mismatch",
            Self::WithdrawDelayOutOfRange => "invalid_batch_settlement_evm_withdraw_delay_out_of_range",
            Self::VoucherSignature => "invalid_batch_settlement_evm_voucher_signature",
            Self::PayerAuthorizerRequired => "invalid_batch_settlement_evm_payer_authorizer_required",
            Self::DepositBelowMinimum => "invalid_batch_settlement_evm_deposit_below_min_deposit",
            Self::CumulativeAmountMismatch => "invalid_batch_settlement_evm_cumulative_amount_mismatch",
            Self::ChannelNotFound => "invalid_batch_settlement_evm_channel_not_found",
            Self::CumulativeExceedsBalance => "invalid_batch_settlement_evm_cumulative_exceeds_balance",
            Self::CumulativeBelowClaimed => "invalid_batch_settlement_evm_cumulative_below_claimed",
            Self::WithdrawalPending => "invalid_batch_settlement_evm_withdrawal_pending",
            Self::ExposureExceeded => "invalid_batch_settlement_evm_exposure_exceeded",
            Self::ChannelBusy => "invalid_batch_settlement_evm_channel_busy",
            Self::ChargeExceedsSigned => "invalid_batch_settlement_evm_charge_exceeds_signed_cumulative",
            Self::RefundNoBalance => "invalid_batch_settlement_evm_refund_no_balance",
            Self::RefundAmountInvalid => "invalid_batch_settlement_evm_refund_amount_invalid",
            Self::RefundBelowLeast { .. } => "invalid_batch_settlement_evm_refund_below_min_deposit",
            Self::RefundTooSoon => "invalid_batch_settlement_evm_refund_too_soon",
        }
    }

    /// Whether the very same request may succeed later.
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::ChannelNotFound
                | Self::WithdrawalPending
                | Self::ExposureExceeded
                | Self::ChannelBusy
                | Self::RefundTooSoon
        )
    }
}
