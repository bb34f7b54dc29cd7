//! What a channel is made of. Its name on the wire and on the chain is a hash of its terms, so that nobody can change them.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::abi::Arguments;
use crate::address::Address;
use crate::chain_id::ChainId;
use crate::digest::{AuthorizationNonce, keccak256};
use crate::domain::Domain;
use crate::hex_text::chain_hash;
use crate::typed_data::{StructHash, TypeHash};
use crate::word::Word;

chain_hash!(
    /// A channel: the hash of its terms.
    ChannelId
);
chain_hash!(
    /// What tells apart channels, or deposits, that are equal in all else.
    Salt
);

/// x402's escrow of the scheme `batch-settlement`: `0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003`.
pub const BATCH_ESCROW: Address = Address::from_bytes([
    0x40, 0x20, 0x07, 0x4e, 0x9d, 0xf2, 0xce, 0x1d, 0xee, 0x5a, 0x9c, 0x1b, 0x5c, 0x3f, 0x54, 0x1d, 0x02,
    0xa1, 0x00, 0x03,
]);
/// Who takes its deposits by EIP-3009: `0x4020806089470a89826cB9fB1f4059150b550004`.
pub const AUTHORIZATION_COLLECTOR: Address = Address::from_bytes([
    0x40, 0x20, 0x80, 0x60, 0x89, 0x47, 0x0a, 0x89, 0x82, 0x6c, 0xb9, 0xfb, 0x1f, 0x40, 0x59, 0x15, 0x0b,
    0x55, 0x00, 0x04,
]);
/// Who takes its deposits by Permit2: `0x4020425FAf3B746C082C2f942b4E5159887B0005`.
pub const PERMIT2_COLLECTOR: Address = Address::from_bytes([
    0x40, 0x20, 0x42, 0x5f, 0xaf, 0x3b, 0x74, 0x6c, 0x08, 0x2c, 0x2f, 0x94, 0x2b, 0x4e, 0x51, 0x59, 0x88,
    0x7b, 0x00, 0x05,
]);

static TERMS: TypeHash = LazyLock::new(|| {
    keccak256(
        b"ChannelConfig(address payer,address payerAuthorizer,address receiver,address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt)",
    )
});

impl From<ChannelId> for Word {
    fn from(channel: ChannelId) -> Self {
        Self::from_bytes(*channel.as_bytes())
    }
}

impl From<Salt> for Word {
    fn from(salt: Salt) -> Self {
        Self::from_bytes(*salt.as_bytes())
    }
}

/// The domain of x402's `batch-settlement` on a chain.
pub fn batch_domain(chain: ChainId) -> Domain {
    Domain::new("x402 Batch Settlement", Some("1"), chain, Some(BATCH_ESCROW))
}

/// The terms of a channel of x402's `batch-settlement`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChannelTerms {
    /// Whose money is in it.
    pub payer: Address,
    /// Who signs its vouchers; if nobody, the payer.
    pub payer_authorizer: Address,
    /// Who is paid.
    pub receiver: Address,
    /// Who signs claims and refunds for the receiver.
    pub receiver_authorizer: Address,
    /// The token.
    pub token: Address,
    /// How many seconds a payer waits for money that he takes back.
    pub withdraw_delay: u32,
    /// What tells it apart from others that are equal in all else.
    pub salt: Salt,
}

impl ChannelTerms {
    /// Its name: the digest of its terms in the domain of the escrow.
    pub fn id(&self, batch: &Domain) -> ChannelId {
        let hash = self.words().into_iter().fold(StructHash::new(&TERMS), StructHash::word);
        ChannelId::from_bytes(*batch.digest(&hash.finish()).as_bytes())
    }

    /// Who signs its vouchers; `None` if the payer does, in whatever way it signs when a claim comes.
    pub fn voucher_signer(&self) -> Option<Address> {
        (!self.payer_authorizer.is_zero()).then_some(self.payer_authorizer)
    }

    /// Its members as plain bytes, the accounts in the order of the contract's struct: so they go to crates that do not see this
    /// one.
    pub fn parts(&self) -> ([[u8; 20]; 5], u64, [u8; 32]) {
        let accounts =
            [self.payer, self.payer_authorizer, self.receiver, self.receiver_authorizer, self.token];
        (accounts.map(|account| *account.as_bytes()), u64::from(self.withdraw_delay), *self.salt.as_bytes())
    }

    /// The inverse of [`parts`](Self::parts); `None` of a delay that no channel can have.
    pub fn from_parts(parts: ([[u8; 20]; 5], u64, [u8; 32])) -> Option<Self> {
        let (accounts, delay, salt) = parts;
        let [payer, payer_authorizer, receiver, receiver_authorizer, token] =
            accounts.map(Address::from_bytes);
        let withdraw_delay = u32::try_from(delay).ok()?;
        let salt = Salt::from_bytes(salt);
        Some(Self { payer, payer_authorizer, receiver, receiver_authorizer, token, withdraw_delay, salt })
    }

    /// Its members in order, as contracts read them.
    pub(crate) fn words(&self) -> [Word; 7] {
        [
            self.payer.into(),
            self.payer_authorizer.into(),
            self.receiver.into(),
            self.receiver_authorizer.into(),
            self.token.into(),
            u64::from(self.withdraw_delay).into(),
            self.salt.into(),
        ]
    }

    /// The inverse of [`words`](Self::words); `None` of what a channel cannot have.
    pub(crate) fn from_words(words: [Word; 7]) -> Option<Self> {
        let [payer, payer_authorizer, receiver, receiver_authorizer, token, delay, salt] = words;
        Some(Self {
            payer: payer.to_address()?,
            payer_authorizer: payer_authorizer.to_address()?,
            receiver: receiver.to_address()?,
            receiver_authorizer: receiver_authorizer.to_address()?,
            token: token.to_address()?,
            withdraw_delay: u32::try_from(delay.to_u64()?).ok()?,
            salt: Salt::from_bytes(*salt.as_bytes()),
        })
    }
}

/// The nonce of a deposit's authorisation, by which it can go into this channel only.
pub fn deposit_nonce(channel: ChannelId, salt: Salt) -> AuthorizationNonce {
    let arguments = Arguments::new().word(channel).word(salt).encode();
    AuthorizationNonce::from_bytes(*keccak256(&arguments).as_bytes())
}

/// The terms of a channel of MPP's `evm` session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionTerms {
    /// Whose money is in it.
    pub payer: Address,
    /// Who is paid.
    pub payee: Address,
    /// The token.
    pub token: Address,
    /// What tells it apart from others that are equal in all else.
    pub salt: Salt,
    /// Who signs its vouchers; if nobody, the payer.
    pub authorized_signer: Address,
}

impl SessionTerms {
    /// Its name at an escrow of a chain.
    pub fn id(&self, escrow: Address, chain: ChainId) -> ChannelId {
        let arguments = self.arguments().word(escrow).word(chain).encode();
        ChannelId::from_bytes(*keccak256(&arguments).as_bytes())
    }

    /// The nonce of the authorisation that opens it, by which the money can go into such a channel only.
    pub fn opening_nonce(&self) -> AuthorizationNonce {
        AuthorizationNonce::from_bytes(*keccak256(&self.arguments().encode()).as_bytes())
    }

    fn arguments(&self) -> Arguments {
        Arguments::new()
            .word(self.payer)
            .word(self.payee)
            .word(self.token)
            .word(self.salt)
            .word(self.authorized_signer)
    }
}

/// The domain of an escrow of MPP's `evm` session.
pub fn session_domain(escrow: Address, chain: ChainId) -> Domain {
    Domain::new("EVM Payment Channel", Some("1"), chain, Some(escrow))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> ChannelTerms {
        let account = |byte| Address::from_bytes([byte; 20]);
        ChannelTerms {
            payer: account(1),
            payer_authorizer: account(2),
            receiver: account(3),
            receiver_authorizer: account(4),
            token: account(5),
            withdraw_delay: 900,
            salt: Salt::from_bytes([0; 32]),
        }
    }

    #[test]
    fn every_term_makes_another_channel() {
        let (batch, other) = (batch_domain(ChainId::new(1)), Address::ZERO);
        let id = terms().id(&batch);
        for changed in [
            ChannelTerms { payer: other, ..terms() },
            ChannelTerms { payer_authorizer: other, ..terms() },
            ChannelTerms { receiver: other, ..terms() },
            ChannelTerms { receiver_authorizer: other, ..terms() },
            ChannelTerms { token: other, ..terms() },
            ChannelTerms { withdraw_delay: 901, ..terms() },
            ChannelTerms { salt: Salt::from_bytes([1; 32]), ..terms() },
        ] {
            assert_ne!(changed.id(&batch), id, "{changed:?}");
        }
        assert_ne!(terms().id(&batch_domain(ChainId::new(2))), id);
    }

    #[test]
    fn parts_are_in_the_order_of_the_contract_and_no_delay_is_cut() {
        let (accounts, delay, salt) = terms().parts();
        assert_eq!(accounts, [1, 2, 3, 4, 5].map(|byte| [byte; 20]));
        assert_eq!((delay, salt), (900, [0; 32]));
        assert_eq!(ChannelTerms::from_parts((accounts, delay, salt)), Some(terms()));
        assert_eq!(ChannelTerms::from_parts((accounts, (1 << 32) + delay, salt)), None);
    }

    #[test]
    fn a_deposit_is_tied_to_its_channel() {
        let (channel, salt) = (terms().id(&batch_domain(ChainId::new(1))), Salt::from_bytes([7; 32]));
        let nonce = deposit_nonce(channel, salt);
        assert_ne!(nonce, deposit_nonce(ChannelId::from_bytes([7; 32]), salt));
        assert_ne!(nonce, deposit_nonce(channel, Salt::from_bytes([8; 32])));
    }

    #[test]
    fn contracts_have_their_published_addresses() {
        for (contract, text) in [
            (BATCH_ESCROW, "0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003"),
            (AUTHORIZATION_COLLECTOR, "0x4020806089470a89826cB9fB1f4059150b550004"),
            (PERMIT2_COLLECTOR, "0x4020425FAf3B746C082C2f942b4E5159887B0005"),
        ] {
            assert_eq!(contract.to_string(), text);
        }
    }
}
