//! Money that lies in escrow: what a payer agrees to when it is put there, and the calls of the one contract that keeps it
//! (x402's `auth-capture`, version 1.1 of the published contracts). The payer signs an authorization whose nonce is the hash
//! of all of it, so that nothing can be changed afterwards.

use std::sync::LazyLock;

use crate::abi::{Arguments, Row};
use crate::address::Address;
use crate::chain_id::ChainId;
use crate::digest::{AuthorizationNonce, Digest, keccak256};
use crate::typed_data::{StructHash, TypeHash};
use crate::word::Word;

/// The escrow, at one address on every chain that has it: `0xf96815976523E00e65Be8f34cA5e64b4f41EB19c`.
pub const AUTH_CAPTURE_ESCROW: Address = Address::from_bytes([
    0xf9, 0x68, 0x15, 0x97, 0x65, 0x23, 0xe0, 0x0e, 0x65, 0xbe, 0x8f, 0x34, 0xca, 0x5e, 0x64, 0xb4, 0xf4,
    0x1e, 0xb1, 0x9c,
]);
/// What carries payers' authorizations (EIP-3009) into it: `0x8612dfdc421f80336cd14E8EF9cb1E765dB5ab88`.
pub const ESCROW_COLLECTOR: Address = Address::from_bytes([
    0x86, 0x12, 0xdf, 0xdc, 0x42, 0x1f, 0x80, 0x33, 0x6c, 0xd1, 0x4e, 0x8e, 0xf9, 0xcb, 0x1e, 0x76, 0x5d,
    0xb5, 0xab, 0x88,
]);

/// How many words a [`PaymentInfo`] takes in a call.
const WORDS: usize = 12;

static PAYMENT_INFO: TypeHash = LazyLock::new(|| {
    keccak256(
        b"PaymentInfo(address operator,address payer,address receiver,address token,uint120 maxAmount,uint48 preApprovalExpiry,uint48 authorizationExpiry,uint48 refundExpiry,uint16 minFeeBps,uint16 maxFeeBps,address feeReceiver,uint256 salt)",
    )
});

/// What a payer agrees to, under the names that the contract gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PaymentInfo {
    /// Who alone may move the money: x402's `captureAuthorizer`.
    pub operator: Address,
    /// Who pays.
    pub payer: Address,
    /// Who is paid.
    pub receiver: Address,
    /// In which token.
    pub token: Address,
    /// How much at the most, in minor units of the token.
    pub max_amount: Word,
    /// The second since 1970 from which on it can no longer be put into escrow.
    pub pre_approval_expiry: Word,
    /// The second from which on it can no longer be captured, and the payer may take it back: x402's `captureDeadline`.
    pub authorization_expiry: Word,
    /// The second from which on nothing is refunded: x402's `refundDeadline`.
    pub refund_expiry: Word,
    /// The least fee, in ten-thousandths.
    pub min_fee_bps: Word,
    /// The most.
    pub max_fee_bps: Word,
    /// Who gets it: x402's `feeRecipient`.
    pub fee_receiver: Address,
    /// What makes it another one than any other.
    pub salt: Word,
}

impl PaymentInfo {
    /// What the contract calls this payment.
    pub fn hash(&self, chain: ChainId, escrow: Address) -> Digest {
        let terms = self.words().into_iter().fold(StructHash::new(&PAYMENT_INFO), StructHash::word).finish();
        keccak256(&Arguments::new().word(chain).word(escrow).word(terms).encode())
    }

    /// The nonce of the authorization that the payer signs: the same hash as if nobody paid, so that whoever offers can work
    /// it out.
    pub fn nonce(&self, chain: ChainId, escrow: Address) -> AuthorizationNonce {
        let of_nobody = Self { payer: Address::ZERO, ..*self };
        AuthorizationNonce::from_bytes(*of_nobody.hash(chain, escrow).as_bytes())
    }

    /// The payment that a call of the contract is about: its first argument.
    pub fn of_call(input: &[u8]) -> Option<Self> {
        let row = Row(input.get(4..)?);
        let (word, address) = (|place| row.word(place), |place| row.word(place)?.to_address());
        Some(Self {
            operator: address(0)?,
            payer: address(1)?,
            receiver: address(2)?,
            token: address(3)?,
            max_amount: word(4)?,
            pre_approval_expiry: word(5)?,
            authorization_expiry: word(6)?,
            refund_expiry: word(7)?,
            min_fee_bps: word(8)?,
            max_fee_bps: word(9)?,
            fee_receiver: address(10)?,
            salt: word(11)?,
        })
    }

    fn words(&self) -> [Word; WORDS] {
        [
            self.operator.into(),
            self.payer.into(),
            self.receiver.into(),
            self.token.into(),
            self.max_amount,
            self.pre_approval_expiry,
            self.authorization_expiry,
            self.refund_expiry,
            self.min_fee_bps,
            self.max_fee_bps,
            self.fee_receiver.into(),
            self.salt,
        ]
    }

    fn arguments(&self) -> Arguments {
        Arguments::new().words(self.words())
    }
}

/// A function of the contract that moves money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EscrowStep {
    /// From the payer into escrow.
    Authorize,
    /// From escrow to whoever is paid.
    Capture,
    /// From escrow back to the payer: all that is left.
    Void,
}

/// A payment in the text of a function.
macro_rules! function {
    ($name:literal, $rest:literal) => {
        concat!(
            $name,
            "((address,address,address,address,uint120,uint48,uint48,uint48,uint16,uint16,address,uint256)",
            $rest,
            ")"
        )
    };
}

impl EscrowStep {
    /// The text of the function, whose hash begins a call of it.
    const fn function(self) -> &'static str {
        match self {
            Self::Authorize => function!("authorize", ",uint256,address,bytes"),
            Self::Capture => function!("capture", ",uint256,uint256,address"),
            Self::Void => function!("void", ""),
        }
    }

    /// Which one a call is of.
    pub fn of_call(input: &[u8]) -> Option<Self> {
        let is_of = |step: &Self| input.starts_with(&Arguments::new().call(step.function()));
        [Self::Authorize, Self::Capture, Self::Void].into_iter().find(is_of)
    }

    /// How much a call moves: what it says, or all that may be moved if it does not say so.
    pub fn amount_of(self, input: &[u8]) -> Option<Word> {
        match self {
            Self::Authorize | Self::Capture => Row(input.get(4..)?).word(WORDS),
            Self::Void => PaymentInfo::of_call(input).map(|info| info.max_amount),
        }
    }
}

/// Puts all of it into escrow. `signed` is the payer's signature for the collector.
pub fn authorize(info: &PaymentInfo, collector: Address, signed: &[u8]) -> Vec<u8> {
    let arguments = info.arguments().word(info.max_amount).word(collector).bytes(signed);
    arguments.call(EscrowStep::Authorize.function())
}

/// Pays so much of it out, without a fee.
pub fn capture(info: &PaymentInfo, amount: Word) -> Vec<u8> {
    info.arguments()
        .words([amount, Word::ZERO, info.fee_receiver.into()])
        .call(EscrowStep::Capture.function())
}

/// Gives back what is left.
pub fn void(info: &PaymentInfo) -> Vec<u8> {
    info.arguments().call(EscrowStep::Void.function())
}

/// Asks the contract how a payment stands: whether it was ever put into escrow, what can be captured, what can be refunded.
pub fn payment_state(payment: Digest) -> Vec<u8> {
    Arguments::new().word(payment).call("paymentState(bytes32)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> PaymentInfo {
        let at = |n| Address::from_bytes([n; 20]);
        PaymentInfo {
            operator: at(1),
            payer: at(2),
            receiver: at(3),
            token: at(4),
            max_amount: Word::from(1_000),
            pre_approval_expiry: Word::from(10),
            authorization_expiry: Word::from(20),
            refund_expiry: Word::from(30),
            min_fee_bps: Word::ZERO,
            max_fee_bps: Word::ZERO,
            fee_receiver: Address::ZERO,
            salt: Word::MAX,
        }
    }

    #[test]
    fn a_call_says_what_it_is_and_what_it_is_about() {
        for (input, step, amount) in [
            (authorize(&info(), Address::from_bytes([9; 20]), &[7; 65]), EscrowStep::Authorize, 1_000),
            (capture(&info(), Word::from(400)), EscrowStep::Capture, 400),
            (void(&info()), EscrowStep::Void, 1_000),
        ] {
            assert_eq!(EscrowStep::of_call(&input), Some(step));
            assert_eq!(step.amount_of(&input), Some(Word::from(amount)));
            assert_eq!(PaymentInfo::of_call(&input), Some(info()));
            assert_eq!(PaymentInfo::of_call(input[..input.len() - 1].split_at(300).0), None);
        }
        assert_eq!(EscrowStep::of_call(&payment_state(Digest::from_bytes([1; 32]))), None);
        assert_eq!(EscrowStep::of_call(&[]), None);
    }

    #[test]
    fn the_nonce_is_of_nobody_and_of_one_contract_on_one_chain() {
        let (chain, escrow) = (ChainId::new(84_532), AUTH_CAPTURE_ESCROW);
        let nonce = info().nonce(chain, escrow);
        let other = PaymentInfo { payer: Address::from_bytes([8; 20]), ..info() };
        assert_eq!(other.nonce(chain, escrow), nonce);
        assert_ne!(other.hash(chain, escrow), info().hash(chain, escrow));
        assert_ne!(info().nonce(ChainId::new(8_453), escrow), nonce);
        assert_ne!(info().nonce(chain, ESCROW_COLLECTOR), nonce);
        let dearer = PaymentInfo { max_amount: Word::from(1_001), ..info() };
        assert_ne!(dearer.nonce(chain, escrow), nonce);
    }
}
