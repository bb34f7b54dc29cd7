//! Why a contract refuses, in the words that other programs of x402 know. Tokens say it in sentences or in errors of
//! their own, Permit2 and the proxies in errors that have names.

use std::fmt;

use farthing_wire::x402::Reason;

use crate::abi;

/// What a contract said when it refused.
#[derive(Clone, PartialEq, Eq)]
pub struct Revert {
    bytes: Vec<u8>,
    message: String,
}

/// The errors that have names, by what their hash begins with.
const ERRORS: [(&str, Cause); 31] = [
    ("Permit2612AmountMismatch()", Cause::Reason(Reason::Permit2Eip2612AmountMismatch)),
    ("InvalidAmount()", Cause::Reason(Reason::Permit2InvalidAmount)),
    ("InvalidAmount(uint256)", Cause::Reason(Reason::Permit2InvalidAmount)),
    ("InvalidDestination()", Cause::Reason(Reason::Permit2InvalidDestination)),
    ("InvalidOwner()", Cause::Reason(Reason::Permit2InvalidOwner)),
    ("PaymentTooEarly()", Cause::Reason(Reason::Permit2PaymentTooEarly)),
    ("InvalidSignature()", Cause::Signature),
    ("InvalidSigner()", Cause::Signature),
    ("InvalidContractSignature()", Cause::Signature),
    ("SignatureExpired(uint256)", Cause::Signature),
    ("InvalidNonce()", Cause::Used),
    ("AmountExceedsPermitted()", Cause::Reason(Reason::UptoAmountExceedsPermitted)),
    ("UnauthorizedFacilitator()", Cause::Reason(Reason::UptoUnauthorizedFacilitator)),
    ("ERC20InsufficientBalance(address,uint256,uint256)", Cause::Balance),
    ("ERC20InsufficientAllowance(address,uint256,uint256)", Cause::Allowance),
    ("ERC3009ConsumedAuthorization(address,bytes32)", Cause::Used),
    ("ERC3009InvalidAuthorizationTime(uint256,uint256)", Cause::Late),
    ("ERC3009InvalidSignature()", Cause::Signature),
    ("PaymentAlreadyCollected(bytes32)", Cause::Reason(Reason::EscrowAlreadyCollected)),
    ("AfterPreApprovalExpiry(uint48,uint48)", Cause::Late),
    ("AfterAuthorizationExpiry(uint48,uint48)", Cause::Reason(Reason::EscrowCaptureDeadlineExpired)),
    ("InvalidExpiries(uint48,uint48,uint48)", Cause::Reason(Reason::EscrowDeadlineOrdering)),
    ("ExceedsMaxAmount(uint256,uint256)", Cause::Reason(Reason::EscrowAmountMismatch)),
    ("ZeroAmount()", Cause::Reason(Reason::EscrowAmountMismatch)),
    ("AmountOverflow(uint256,uint256)", Cause::Reason(Reason::EscrowAmountMismatch)),
    ("TokenCollectionFailed()", Cause::Reason(Reason::EscrowCollectionFailed)),
    ("InvalidSender(address,address)", Cause::Reason(Reason::EscrowOperatorMismatch)),
    ("AuthorizationExpired()", Cause::Late),
    ("AuthorizationNotYetValid()", Cause::Early),
    ("AuthorizationAlreadyUsed()", Cause::Used),
    ("AuthorizationUsedOrCanceled()", Cause::Used),
];

/// What refusals have in common, however they are worded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Late,
    Early,
    Used,
    Balance,
    Allowance,
    Signature,
    Reason(Reason),
}

impl Revert {
    /// From the bytes that the contract returned and the sentence that the node made of it.
    pub fn new(bytes: Vec<u8>, message: impl Into<String>) -> Self {
        Self { bytes, message: message.into() }
    }

    /// The contract's own sentence (`Error(string)`), or the node's.
    pub fn sentence(&self) -> String {
        let own = self.bytes.strip_prefix(&abi::selector("Error(string)")).and_then(abi::only_text);
        own.unwrap_or_else(|| self.message.clone())
    }

    /// Why a transfer by EIP-3009 failed, as the reference says it.
    pub fn of_transfer(&self) -> Reason {
        match self.cause() {
            Some(Cause::Late) => Reason::ValidBeforeExpired,
            Some(Cause::Early) => Reason::ValidAfterInFuture,
            Some(Cause::Used) => Reason::NonceAlreadyUsed,
            Some(Cause::Balance) => Reason::InsufficientBalance,
            Some(Cause::Signature) => Reason::InvalidSignature,
            _ => Reason::TransactionFailed,
        }
    }

    /// Why a transfer by Permit2 failed, as the reference says it.
    pub fn of_permit2(&self) -> Reason {
        match self.cause() {
            Some(Cause::Late) => Reason::Permit2DeadlineExpired,
            Some(Cause::Early) => Reason::Permit2PaymentTooEarly,
            Some(Cause::Used) => Reason::Permit2InvalidNonce,
            Some(Cause::Balance) => Reason::Permit2InsufficientBalance,
            Some(Cause::Allowance) => Reason::Permit2AllowanceRequired,
            Some(Cause::Signature) => Reason::Permit2InvalidSignature,
            Some(Cause::Reason(reason)) => reason,
            None => Reason::TransactionFailed,
        }
    }

    /// Why a call of the escrow failed, as the scheme's specification says it.
    pub fn of_escrow(&self) -> Reason {
        match self.cause() {
            Some(Cause::Late) => Reason::EscrowAuthorizationExpired,
            Some(Cause::Early) => Reason::EscrowNotYetValid,
            Some(Cause::Used) => Reason::EscrowAlreadyCollected,
            Some(Cause::Balance) => Reason::EscrowInsufficientBalance,
            Some(Cause::Signature) => Reason::EscrowSignature,
            Some(Cause::Reason(reason)) => reason,
            Some(Cause::Allowance) | None => Reason::EscrowSimulationFailed,
        }
    }

    fn cause(&self) -> Option<Cause> {
        if let Some(found) = ERRORS.iter().find(|(text, _)| self.bytes.starts_with(&abi::selector(text))) {
            return Some(found.1);
        }
        let sentence = self.sentence().to_lowercase();
        let says = |parts: &[&str]| parts.iter().all(|part| sentence.contains(part));
        if says(&["authorization", "expired"]) || says(&["authorization", "valid before"]) {
            Some(Cause::Late)
        } else if says(&["authorization", "not", "valid"]) {
            Some(Cause::Early)
        } else if says(&["authorization", "used"]) {
            Some(Cause::Used)
        } else if says(&["transfer", "exceeds", "balance"]) || says(&["insufficient", "balance"]) {
            Some(Cause::Balance)
        } else if says(&["exceeds", "allowance"]) || says(&["insufficient", "allowance"]) {
            Some(Cause::Allowance)
        } else if says(&["invalid", "signature"]) {
            Some(Cause::Signature)
        } else {
            None
        }
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence())
    }
}

impl fmt::Debug for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revert({})", self.sentence())
    }
}

#[cfg(test)]
mod tests {
    use farthing_channel::Word;

    use super::*;

    /// What `require(false, sentence)` returns.
    pub(crate) fn error_of(sentence: &str) -> Vec<u8> {
        let mut bytes = abi::selector("Error(string)").to_vec();
        bytes.extend(Word::from(32).as_bytes());
        bytes.extend(Word::from(u64::try_from(sentence.len()).unwrap()).as_bytes());
        bytes.extend(sentence.as_bytes());
        bytes
    }

    #[test]
    fn sentences_of_tokens_have_reasons() {
        for (sentence, reason) in [
            ("FiatTokenV2: authorization is expired", Reason::ValidBeforeExpired),
            ("FiatTokenV2: authorization is not yet valid", Reason::ValidAfterInFuture),
            ("FiatTokenV2: authorization is used or canceled", Reason::NonceAlreadyUsed),
            ("ERC20: transfer amount exceeds balance", Reason::InsufficientBalance),
            ("FiatTokenV2: invalid signature", Reason::InvalidSignature),
            ("Pausable: paused", Reason::TransactionFailed),
            ("Blacklistable: account is blacklisted", Reason::TransactionFailed),
        ] {
            let revert = Revert::new(error_of(sentence), "execution reverted");
            assert_eq!(revert.of_transfer(), reason, "{sentence}");
            assert_eq!(revert.sentence(), sentence);
            assert_eq!(Revert::new(vec![], sentence).of_transfer(), reason, "only the node's sentence");
        }
    }

    #[test]
    fn errors_with_names_have_reasons() {
        for (error, of_transfer, of_permit2) in [
            ("InvalidNonce()", Reason::NonceAlreadyUsed, Reason::Permit2InvalidNonce),
            ("SignatureExpired(uint256)", Reason::InvalidSignature, Reason::Permit2InvalidSignature),
            ("AmountExceedsPermitted()", Reason::TransactionFailed, Reason::UptoAmountExceedsPermitted),
            ("UnauthorizedFacilitator()", Reason::TransactionFailed, Reason::UptoUnauthorizedFacilitator),
            (
                "ERC3009ConsumedAuthorization(address,bytes32)",
                Reason::NonceAlreadyUsed,
                Reason::Permit2InvalidNonce,
            ),
            ("Something()", Reason::TransactionFailed, Reason::TransactionFailed),
        ] {
            let revert = Revert::new(abi::selector(error).to_vec(), "execution reverted");
            assert_eq!((revert.of_transfer(), revert.of_permit2()), (of_transfer, of_permit2), "{error}");
        }
    }
}
