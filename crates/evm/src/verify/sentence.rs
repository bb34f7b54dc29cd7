//! The reasons of x402 for people: what was expected, and what to do next.

use farthing_wire::x402::Reason;

/// A sentence for a reason.
pub(super) fn of(reason: Reason) -> &'static str {
    payment(reason)
        .or_else(|| permit2(reason))
        .or_else(|| approval(reason))
        .or_else(|| escrow(reason))
        .or_else(|| channel(reason))
        .unwrap_or("the payment is not taken; ask for the offers again")
}

fn payment(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::UnsupportedPayloadType => {
            "expected a payment in the shape of its scheme; use a current client of x402"
        }
        Reason::InvalidScheme | Reason::UptoInvalidScheme => {
            "expected the scheme that was offered, got another; pay one of the offers as it is"
        }
        Reason::NetworkMismatch | Reason::UptoNetworkMismatch => {
            "expected a payment on the chain that was offered, got one on another; pay one of the offers as it is"
        }
        Reason::MissingEip712Domain => {
            "expected the token's name and version in extra; the seller has to put them into its offer"
        }
        Reason::AssetNotDeployed => {
            "expected the contract of a token at the asset's address, got none; look at the offer"
        }
        Reason::RecipientMismatch => {
            "expected a payment to payTo, got one to somebody else; pay the offer as it is"
        }
        Reason::InvalidSignature => {
            "expected the payer's signature, got another's; sign again with the payer's key"
        }
        Reason::SignatureUnreadable => {
            "expected a signature, got something else; send it as the wallet made it"
        }
        Reason::ValidBeforeExpired => {
            "expected an authorization that is good for six more seconds, got one that ends before; sign a new one"
        }
        Reason::ValidAfterInFuture => {
            "expected an authorization that is good now, got one for later; look at your clock"
        }
        Reason::AuthorizationValueMismatch => {
            "expected an authorization of exactly the amount, got another sum; sign the amount of the offer"
        }
        Reason::AuthorizationValue => "expected a sum below 2^128; sign the amount of the offer",
        Reason::FactoryNotAllowed => {
            "expected a wallet that is there, or one that a factory on our list creates; deploy the wallet first"
        }
        Reason::TokenNameMismatch => {
            "expected the name that the token has; the seller has to correct its offer"
        }
        Reason::TokenVersionMismatch => {
            "expected the version that the token has; the seller has to correct its offer"
        }
        Reason::Eip3009NotSupported => {
            "expected a token with authorizations (EIP-3009), got one without; pay by permit2 if that is offered"
        }
        Reason::NonceAlreadyUsed => {
            "expected an authorization that was not used, got a used one; sign a new one"
        }
        Reason::InsufficientBalance | Reason::Permit2InsufficientBalance => {
            "expected that the payer has the amount, it has less; fund it and sign again"
        }
        Reason::SimulationFailed => {
            "expected that the token moves the amount, it refuses; ask whoever issues the token"
        }
        _ => return None,
    })
}

fn escrow(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::EscrowPayloadFormat => {
            "expected an authorization, its signature and a salt, got something else; use a current client of x402"
        }
        Reason::EscrowScheme => {
            "expected the scheme that was offered, got another; pay one of the offers as it is"
        }
        Reason::EscrowNetworkMismatch => {
            "expected a payment on the chain that was offered, got one on another; pay one of the offers as it is"
        }
        Reason::EscrowExtra => {
            "expected the escrow, its operator and its deadlines in extra, and no fee; pay the offer as it is"
        }
        Reason::EscrowOperatorNotAdmitted => {
            "expected us as the only one who moves what is in escrow; we settle this scheme for nobody else"
        }
        Reason::EscrowDeadlineOrdering => {
            "expected a capture deadline that leaves time to answer and to capture, got one before; ask for the offers again"
        }
        Reason::EscrowCaptureDeadlineExpired => "the time for the capture is over; ask for the offers again",
        Reason::EscrowAuthorizationExpired => {
            "expected an authorization that is good for six more seconds, got one that ends before; sign a new one"
        }
        Reason::EscrowNotYetValid => {
            "expected an authorization that is good now, got one for later; look at your clock"
        }
        Reason::EscrowCollectorMismatch => {
            "expected an authorization to the escrow's collector, got one to somebody else; use a current client of x402"
        }
        Reason::EscrowSignature => {
            "expected the payer's signature, got another's; sign again with the payer's key"
        }
        Reason::EscrowFactoryNotAllowed => {
            "expected a wallet that is there, or one that a factory on our list creates; deploy the wallet first"
        }
        Reason::EscrowAmountMismatch => {
            "expected an authorization of exactly the amount, got another sum; sign the amount of the offer"
        }
        Reason::EscrowNonceMismatch => {
            "expected the hash of what was offered as the nonce, got another; pay the offer as it is"
        }
        Reason::EscrowInsufficientBalance => {
            "expected that the payer has the amount, it has less; fund it and sign again"
        }
        Reason::EscrowAlreadyCollected => {
            "expected an authorization that was not used, got a used one; sign a new one"
        }
        Reason::EscrowCollectionFailed | Reason::EscrowSimulationFailed => {
            "expected that the token goes into escrow, it does not; ask whoever issues the token"
        }
        _ => return None,
    })
}

fn permit2(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::Permit2InvalidSpender => {
            "expected x402's proxy as spender, got another; use a current client of x402"
        }
        Reason::Permit2RecipientMismatch => {
            "expected a payment to payTo, got one to somebody else; pay the offer as it is"
        }
        Reason::UptoFacilitatorMismatch => {
            "expected us as the facilitator that the payer names, got another; sign the offer's facilitatorAddress"
        }
        Reason::Permit2DeadlineExpired => {
            "expected a deadline at least six seconds from now, got one before; sign a new payment"
        }
        Reason::Permit2NotYetValid => {
            "expected a payment that is good now, got one for later; look at your clock"
        }
        Reason::Permit2AmountMismatch => {
            "expected exactly the amount of the offer, got another sum; sign that amount"
        }
        Reason::Permit2TokenMismatch => "expected the token of the offer, got another; sign for that token",
        Reason::Permit2InvalidSignature => {
            "expected the payer's signature, got another's; sign again with the payer's key"
        }
        Reason::Permit2AllowanceRequired => {
            "expected that the payer allows Permit2 to take the token; approve it once, or sign the allowance as well"
        }
        Reason::Permit2ProxyNotDeployed => {
            "expected x402's proxy on this chain, it is not there; pay in another way"
        }
        Reason::Permit2InvalidNonce => {
            "expected a number that was not used, got a used one; sign a new payment"
        }
        Reason::Permit2InvalidAmount => {
            "expected a sum above nothing and below 2^128; sign the amount of the offer"
        }
        Reason::Permit2SimulationFailed => {
            "expected that Permit2 moves the amount, it refuses; ask whoever issues the token"
        }
        Reason::UptoSettlementExceedsAmount => "expected a sum within what was signed, got more; charge less",
        Reason::Eip2612InvalidFormat => {
            "expected an allowance in the shape of eip2612GasSponsoring; use a current client"
        }
        Reason::Eip2612FromMismatch => {
            "expected an allowance of the payer, got another's; sign it with the payer's key"
        }
        Reason::Eip2612AssetMismatch => {
            "expected an allowance of the token of the offer, got another's; sign that one"
        }
        Reason::Eip2612SpenderNotPermit2 => {
            "expected an allowance for Permit2, got one for another; sign that one"
        }
        Reason::Eip2612DeadlineExpired => {
            "expected an allowance that is good for six more seconds, got one that ends before; sign a new one"
        }
        _ => return None,
    })
}

fn approval(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::ApprovalInvalidFormat => {
            "expected an approval in the shape of erc20ApprovalGasSponsoring; use a current client"
        }
        Reason::ApprovalFromMismatch | Reason::ApprovalSignerMismatch => {
            "expected an approval that the payer has signed, got another's; sign it with the payer's key"
        }
        Reason::ApprovalAssetMismatch | Reason::ApprovalWrongTarget => {
            "expected an approval of the token of the offer, got another's; sign that one"
        }
        Reason::ApprovalSpenderNotPermit2 | Reason::ApprovalWrongSpender => {
            "expected an approval for Permit2, got one for another; sign that one"
        }
        Reason::ApprovalWrongSelector | Reason::ApprovalInvalidCalldata => {
            "expected a call of approve(Permit2, at least the amount) and nothing else, got another; sign that one"
        }
        Reason::ApprovalInvalidSignature | Reason::ApprovalParseFailed => {
            "expected a signed transaction of EIP-1559, got something else; send it as the wallet made it"
        }
        Reason::ApprovalFailed => {
            "expected that the token takes the approval with the gas that it names, it does not; approve it yourself"
        }
        Reason::ApprovalBroadcastFailed => {
            "expected an approval that this chain takes next, and a payment that ends with the offer: its number, fees that outlast the next block, and coin for its gas within what we give, once; sign both anew, or approve it yourself"
        }
        _ => return None,
    })
}

fn channel(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::BatchPayloadType => {
            "expected a deposit, a voucher or a refund in the shape of batch-settlement, got another; use a current client of x402"
        }
        Reason::BatchScheme => {
            "expected the scheme batch-settlement, got another; pay one of the offers as it is"
        }
        Reason::BatchNetworkMismatch => {
            "expected a channel on the chain that was offered, got one on another; pay one of the offers as it is"
        }
        Reason::BatchMissingEip712Domain => {
            "expected the token's name and version in extra; the seller has to put them into its offer"
        }
        Reason::BatchPayloadAuthorizationValidBefore | Reason::BatchPermit2DeadlineExpired => {
            "expected a deposit that is good for six more seconds, got one that ends before; sign a new one"
        }
        Reason::BatchPayloadAuthorizationValidAfter => {
            "expected a deposit that is good now, got one for later; look at your clock"
        }
        Reason::BatchReceiveAuthorizationSignature | Reason::BatchPermit2InvalidSignature => {
            "expected the payer's signature of the deposit, got another's; sign again with the payer's key"
        }
        Reason::BatchErc3009AuthorizationRequired => {
            "expected a deposit by EIP-3009, got another; deposit as the offer says"
        }
        Reason::BatchPermit2InvalidSpender => {
            "expected the escrow's collector as spender, got another; use a current client of x402"
        }
        Reason::BatchPermit2AmountMismatch | Reason::BatchEip2612AmountMismatch => {
            "expected exactly the amount of the deposit, got another sum; sign that amount"
        }
        Reason::BatchPermit2AllowanceRequired => {
            "expected that the payer allows Permit2 to take the token; approve it once, or sign the allowance as well"
        }
        Reason::BatchErc20ApprovalUnavailable => {
            "no approvals are carried for deposits; approve Permit2 yourself"
        }
        Reason::BatchEip6492FactoryNotAllowed => {
            "expected a wallet that is there, or one that a factory on our list creates; deploy the wallet first"
        }
        Reason::BatchInsufficientBalance => {
            "expected that the payer has the deposit, it has less; fund it and sign again"
        }
        Reason::BatchDepositSimulationFailed => {
            "expected that the escrow takes the deposit, it refuses; sign a new one"
        }
        Reason::BatchAuthorizerNotConfigured => {
            "expected a signature of the receiver's authorizer, got none; sign it, or ask the operator for the key that lets us sign"
        }
        Reason::BatchAuthorizerAddressMismatch => {
            "expected channels whose receiverAuthorizer is our account, or a signature of it; send the signature"
        }
        Reason::BatchNothingToSettle => "nothing is claimed that was not moved; claim first",
        Reason::BatchRefundNoBalance => "nothing is left in the channel to give back",
        _ => return of_seller(reason),
    })
}

/// What a seller's rules refuse as well is said as they say it.
fn of_seller(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::BatchChannelIdMismatch => {
            "the channel's id is not the hash of its terms on this chain; work it out anew"
        }
        Reason::BatchReceiverMismatch => {
            "the channel pays another receiver than the offer; open one for the offer's payTo"
        }
        Reason::BatchReceiverAuthorizerMismatch => {
            "the channel has another receiverAuthorizer than the offer; open one with the offer's"
        }
        Reason::BatchTokenMismatch => {
            "the channel holds another token than the offer; open one for the offer's asset"
        }
        Reason::BatchWithdrawDelayMismatch | Reason::BatchWithdrawDelayOutOfRange => {
            "expected the withdrawDelay of the offer, from 900 to 2592000 seconds; open a channel with that"
        }
        Reason::BatchVoucherSignature => {
            "the voucher is not signed by the channel's payerAuthorizer; sign it with that key"
        }
        Reason::BatchChannelNotFound => "the channel has no money on the chain; deposit first",
        Reason::BatchCumulativeExceedsBalance => "the voucher exceeds the channel's balance; deposit more",
        Reason::BatchCumulativeBelowClaimed => {
            "the voucher is not above what was claimed of the channel; take the total from the chain"
        }
        _ => return None,
    })
}
