//! Why a payment is not taken, in the words that other programs of x402 know: the strings of the reference's
//! facilitators and sellers. They go over the wire; our own refusals keep codes of their own.

use std::fmt;

use thiserror::Error;

/// Makes the enum and its strings from one list, so that none is forgotten.
macro_rules! reasons {
    ($($name:ident = $text:literal,)*) => {
        /// A reason by its string on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = concat!("`", $text, "`")] $name,)*
        }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The string on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    // `exact` and in general.
    UnsupportedPayloadType = "unsupported_payload_type",
    InvalidScheme = "invalid_exact_evm_scheme",
    NetworkMismatch = "invalid_exact_evm_network_mismatch",
    MissingEip712Domain = "invalid_exact_evm_missing_eip712_domain",
    AssetNotDeployed = "asset_not_deployed_contract",
    RecipientMismatch = "invalid_exact_evm_recipient_mismatch",
    InvalidSignature = "invalid_exact_evm_signature",
    SignatureUnreadable = "invalid_exact_evm_failed_to_parse_signature",
    ValidBeforeExpired = "invalid_exact_evm_payload_authorization_valid_before",
    ValidAfterInFuture = "invalid_exact_evm_payload_authorization_valid_after",
    AuthorizationValue = "invalid_exact_evm_authorization_value",
    AuthorizationValueMismatch = "invalid_exact_evm_payload_authorization_value_mismatch",
    UndeployedSmartWallet = "invalid_exact_evm_payload_undeployed_smart_wallet",
    FactoryNotAllowed = "eip6492_factory_not_allowed",
    SmartWalletDeploymentFailed = "smart_wallet_deployment_failed",
    TokenNameMismatch = "invalid_exact_evm_token_name_mismatch",
    TokenVersionMismatch = "invalid_exact_evm_token_version_mismatch",
    Eip3009NotSupported = "invalid_exact_evm_eip3009_not_supported",
    NonceAlreadyUsed = "invalid_exact_evm_nonce_already_used",
    InsufficientBalance = "invalid_exact_evm_insufficient_balance",
    SimulationFailed = "invalid_exact_evm_transaction_simulation_failed",
    TransactionFailed = "invalid_exact_evm_transaction_failed",
    TransferEventMismatch = "invalid_exact_evm_transfer_event_mismatch",
    InvalidTransactionState = "invalid_transaction_state",
    SettlementPending = "settlement_pending",
    // Permit2.
    Permit2InvalidSpender = "invalid_permit2_spender",
    Permit2RecipientMismatch = "invalid_permit2_recipient_mismatch",
    Permit2DeadlineExpired = "permit2_deadline_expired",
    Permit2NotYetValid = "permit2_not_yet_valid",
    Permit2AmountMismatch = "permit2_amount_mismatch",
    Permit2TokenMismatch = "permit2_token_mismatch",
    Permit2InvalidSignature = "invalid_permit2_signature",
    Permit2AllowanceRequired = "permit2_allowance_required",
    Permit2SimulationFailed = "permit2_simulation_failed",
    Permit2InsufficientBalance = "permit2_insufficient_balance",
    Permit2ProxyNotDeployed = "permit2_proxy_not_deployed",
    Permit2InvalidAmount = "permit2_invalid_amount",
    Permit2InvalidDestination = "permit2_invalid_destination",
    Permit2InvalidOwner = "permit2_invalid_owner",
    Permit2PaymentTooEarly = "permit2_payment_too_early",
    Permit2InvalidNonce = "permit2_invalid_nonce",
    Permit2Eip2612AmountMismatch = "permit2_2612_amount_mismatch",
    // `upto`, which shares those of Permit2.
    UptoInvalidScheme = "invalid_upto_evm_scheme",
    UptoNetworkMismatch = "invalid_upto_evm_network_mismatch",
    UptoSettlementExceedsAmount = "invalid_upto_evm_payload_settlement_exceeds_amount",
    UptoTransactionFailed = "invalid_upto_evm_transaction_failed",
    UptoAmountExceedsPermitted = "upto_amount_exceeds_permitted",
    UptoFacilitatorMismatch = "upto_facilitator_mismatch",
    UptoUnauthorizedFacilitator = "upto_unauthorized_facilitator",
    // `auth-capture`.
    EscrowPayloadFormat = "invalid_auth_capture_evm_payload_format",
    EscrowScheme = "invalid_auth_capture_evm_scheme",
    EscrowNetworkMismatch = "invalid_auth_capture_evm_network_mismatch",
    EscrowExtra = "invalid_auth_capture_evm_extra",
    EscrowOperatorNotAdmitted = "invalid_auth_capture_evm_operator_not_admitted",
    EscrowOperatorMismatch = "invalid_auth_capture_evm_operator_mismatch",
    EscrowMethodMismatch = "invalid_auth_capture_evm_payload_method_mismatch",
    EscrowDeadlineOrdering = "invalid_auth_capture_evm_deadline_ordering",
    EscrowCaptureDeadlineExpired = "invalid_auth_capture_evm_capture_deadline_expired",
    EscrowAuthorizationExpired = "invalid_auth_capture_evm_authorization_expired",
    EscrowNotYetValid = "invalid_auth_capture_evm_authorization_not_yet_valid",
    EscrowCollectorMismatch = "invalid_auth_capture_evm_token_collector_mismatch",
    EscrowSignature = "invalid_auth_capture_evm_signature",
    EscrowFactoryNotAllowed = "invalid_auth_capture_evm_erc6492_factory_not_allowed",
    EscrowAmountMismatch = "invalid_auth_capture_evm_amount_mismatch",
    EscrowNonceMismatch = "invalid_auth_capture_evm_nonce_mismatch",
    EscrowInsufficientBalance = "invalid_auth_capture_evm_insufficient_balance",
    EscrowAlreadyCollected = "invalid_auth_capture_evm_payment_already_collected",
    EscrowCollectionFailed = "invalid_auth_capture_evm_token_collection_failed",
    EscrowSimulationFailed = "invalid_auth_capture_evm_simulation_failed",
    // An allowance signed by EIP-2612.
    Eip2612InvalidFormat = "invalid_eip2612_extension_format",
    Eip2612FromMismatch = "eip2612_from_mismatch",
    Eip2612AssetMismatch = "eip2612_asset_mismatch",
    Eip2612SpenderNotPermit2 = "eip2612_spender_not_permit2",
    Eip2612DeadlineExpired = "eip2612_deadline_expired",
    // An allowance as a signed transaction.
    ApprovalInvalidFormat = "invalid_erc20_approval_extension_format",
    ApprovalFromMismatch = "erc20_approval_from_mismatch",
    ApprovalAssetMismatch = "erc20_approval_asset_mismatch",
    ApprovalSpenderNotPermit2 = "erc20_approval_spender_not_permit2",
    ApprovalWrongTarget = "erc20_approval_tx_wrong_target",
    ApprovalWrongSelector = "erc20_approval_tx_wrong_selector",
    ApprovalWrongSpender = "erc20_approval_tx_wrong_spender",
    ApprovalInvalidCalldata = "erc20_approval_tx_invalid_calldata",
    ApprovalSignerMismatch = "erc20_approval_tx_signer_mismatch",
    ApprovalInvalidSignature = "erc20_approval_tx_invalid_signature",
    ApprovalParseFailed = "erc20_approval_tx_parse_failed",
    ApprovalFailed = "erc20_approval_tx_failed",
    ApprovalBroadcastFailed = "erc20_approval_broadcast_failed",
    // `batch-settlement`, of facilitators and of sellers.
    BatchChannelNotFound = "invalid_batch_settlement_evm_channel_not_found",
    BatchTokenMismatch = "invalid_batch_settlement_evm_token_mismatch",
    BatchVoucherSignature = "invalid_batch_settlement_evm_voucher_signature",
    BatchCumulativeExceedsBalance = "invalid_batch_settlement_evm_cumulative_exceeds_balance",
    BatchCumulativeBelowClaimed = "invalid_batch_settlement_evm_cumulative_below_claimed",
    BatchInsufficientBalance = "invalid_batch_settlement_evm_insufficient_balance",
    BatchDepositTransactionFailed = "invalid_batch_settlement_evm_deposit_transaction_failed",
    BatchClaimTransactionFailed = "invalid_batch_settlement_evm_claim_transaction_failed",
    BatchSettleTransactionFailed = "invalid_batch_settlement_evm_settle_transaction_failed",
    BatchScheme = "invalid_batch_settlement_evm_scheme",
    BatchNetworkMismatch = "invalid_batch_settlement_evm_network_mismatch",
    BatchMissingEip712Domain = "invalid_batch_settlement_evm_missing_eip712_domain",
    BatchPayloadAuthorizationValidBefore = "invalid_batch_settlement_evm_payload_authorization_valid_before",
    BatchPayloadAuthorizationValidAfter = "invalid_batch_settlement_evm_payload_authorization_valid_after",
    BatchReceiveAuthorizationSignature = "invalid_batch_settlement_evm_receive_authorization_signature",
    BatchErc3009AuthorizationRequired = "invalid_batch_settlement_evm_erc3009_authorization_required",
    BatchRefundTransactionFailed = "invalid_batch_settlement_evm_refund_transaction_failed",
    BatchPayloadType = "invalid_batch_settlement_evm_payload_type",
    BatchWithdrawDelayOutOfRange = "invalid_batch_settlement_evm_withdraw_delay_out_of_range",
    BatchChannelIdMismatch = "invalid_batch_settlement_evm_channel_id_mismatch",
    BatchChannelIdInvalid = "invalid_batch_settlement_evm_channel_id_invalid",
    BatchReceiverMismatch = "invalid_batch_settlement_evm_receiver_mismatch",
    BatchReceiverAuthorizerMismatch = "invalid_batch_settlement_evm_receiver_authorizer_mismatch",
    BatchWithdrawDelayMismatch = "invalid_batch_settlement_evm_withdraw_delay_mismatch",
    BatchAuthorizerAddressMismatch = "invalid_batch_settlement_evm_authorizer_address_mismatch",
    BatchAuthorizerNotConfigured = "invalid_batch_settlement_evm_authorizer_not_configured",
    BatchDepositSimulationFailed = "invalid_batch_settlement_evm_deposit_simulation_failed",
    BatchDepositBelowMinDeposit = "invalid_batch_settlement_evm_deposit_below_min_deposit",
    BatchEip6492FactoryNotAllowed = "invalid_batch_settlement_evm_eip6492_factory_not_allowed",
    BatchSmartWalletDeploymentFailed = "invalid_batch_settlement_evm_smart_wallet_deployment_failed",
    BatchClaimSimulationFailed = "invalid_batch_settlement_evm_claim_simulation_failed",
    BatchSettleSimulationFailed = "invalid_batch_settlement_evm_settle_simulation_failed",
    BatchNothingToSettle = "invalid_batch_settlement_evm_nothing_to_settle",
    BatchRefundPayload = "invalid_batch_settlement_evm_refund_payload",
    BatchRefundSimulationFailed = "invalid_batch_settlement_evm_refund_simulation_failed",
    BatchRpcReadFailed = "invalid_batch_settlement_evm_rpc_read_failed",
    BatchPermit2AuthorizationRequired = "invalid_batch_settlement_evm_permit2_authorization_required",
    BatchPermit2InvalidSpender = "invalid_batch_settlement_evm_permit2_invalid_spender",
    BatchPermit2AmountMismatch = "invalid_batch_settlement_evm_permit2_amount_mismatch",
    BatchPermit2DeadlineExpired = "invalid_batch_settlement_evm_permit2_deadline_expired",
    BatchPermit2InvalidSignature = "invalid_batch_settlement_evm_permit2_invalid_signature",
    BatchPermit2AllowanceRequired = "invalid_batch_settlement_evm_permit2_allowance_required",
    BatchEip2612AmountMismatch = "invalid_batch_settlement_evm_eip2612_amount_mismatch",
    BatchEip2612OwnerMismatch = "invalid_batch_settlement_evm_eip2612_owner_mismatch",
    BatchEip2612AssetMismatch = "invalid_batch_settlement_evm_eip2612_asset_mismatch",
    BatchEip2612SpenderMismatch = "invalid_batch_settlement_evm_eip2612_spender_mismatch",
    BatchEip2612DeadlineExpired = "invalid_batch_settlement_evm_eip2612_deadline_expired",
    BatchErc20ApprovalUnavailable = "invalid_batch_settlement_evm_erc20_approval_unavailable",
    BatchCumulativeAmountMismatch = "invalid_batch_settlement_evm_cumulative_amount_mismatch",
    BatchChannelBusy = "invalid_batch_settlement_evm_channel_busy",
    BatchVerificationStateUnavailable = "invalid_batch_settlement_evm_verification_state_unavailable",
    BatchChargeExceedsSignedCumulative = "invalid_batch_settlement_evm_charge_exceeds_signed_cumulative",
    BatchMissingChannel = "invalid_batch_settlement_evm_missing_channel",
    BatchRefundNoBalance = "invalid_batch_settlement_evm_refund_no_balance",
    BatchRefundAmountInvalid = "invalid_batch_settlement_evm_refund_amount_invalid",
    // Of our own sellers, in its manner.
    BatchPayerAuthorizerRequired = "invalid_batch_settlement_evm_payer_authorizer_required",
    BatchWithdrawalPending = "invalid_batch_settlement_evm_withdrawal_pending",
    BatchExposureExceeded = "invalid_batch_settlement_evm_exposure_exceeded",
    BatchRefundBelowMinDeposit = "invalid_batch_settlement_evm_refund_below_min_deposit",
    BatchRefundTooSoon = "invalid_batch_settlement_evm_refund_too_soon",
    // Sellers.
    ExtensionEchoMismatch = "extension_echo_mismatch",
    // `sign-in-with-x`.
    SiwxDomainMismatch = "invalid_siwx_domain_mismatch",
    SiwxUriMismatch = "invalid_siwx_uri_mismatch",
    SiwxIssuedAt = "invalid_siwx_issued_at",
    SiwxTooOld = "invalid_siwx_issued_at_too_old",
    SiwxInFuture = "invalid_siwx_issued_at_in_future",
    SiwxExpirationTime = "invalid_siwx_expiration_time",
    SiwxExpired = "invalid_siwx_expired",
    SiwxNotBefore = "invalid_siwx_not_before",
    SiwxNotYetValid = "invalid_siwx_not_yet_valid",
    SiwxNonce = "invalid_siwx_nonce",
    SiwxChainId = "invalid_siwx_chain_id",
    SiwxUnsupportedChain = "invalid_siwx_unsupported_chain",
    SiwxMalformedSignature = "invalid_siwx_malformed_signature",
    SiwxSignature = "invalid_siwx_signature",
    SiwxVerifierError = "invalid_siwx_verifier_error",
}

/// A reason that the reference does not give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected a reason that x402's programs know, got another; read it as a failure of the payment")]
pub struct UnknownReason;

impl std::str::FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == text).ok_or(UnknownReason)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Reason {
    /// Whether the outcome is open: what was sent may still settle, and the same payment sent again must join it.
    pub fn is_pending(self) -> bool {
        self == Self::SettlementPending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_string_names_one_reason() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(*reason));
            assert!(
                reason
                    .as_str()
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            );
        }
        assert_eq!("SETTLEMENT_PENDING".parse::<Reason>(), Err(UnknownReason));
    }

    /// What the packages of version 2.27.0 hold as constants, listed by a program that read them. Of `auth-capture` they have
    /// the client alone, which refuses nothing: its reasons are those of the scheme's specification.
    #[test]
    fn the_references_strings_are_all_here() {
        let mut listed: Vec<&str> = include_str!("../../tests/vectors/x402-reasons.txt").lines().collect();
        listed.retain(|line| !line.starts_with('#'));
        let mut ours: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        ours.retain(|reason| !reason.starts_with("invalid_auth_capture_evm_"));
        let own = [
            Reason::BatchPayerAuthorizerRequired,
            Reason::BatchWithdrawalPending,
            Reason::BatchExposureExceeded,
            Reason::BatchRefundBelowMinDeposit,
            Reason::BatchRefundTooSoon,
        ];
        ours.retain(|reason| !own.iter().any(|own| own.as_str() == *reason));
        ours.sort_unstable();
        assert_eq!(ours, listed);
    }
}
