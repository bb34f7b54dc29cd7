//! What a merchant says about a payment over its own account's signature (x402's extension `offer-receipt`): what it
//! asks, and that it has delivered. Their texts are hashed as they stand on the wire.

use std::sync::LazyLock;

use crate::chain_id::ChainId;
use crate::digest::{Digest, keccak256};
use crate::domain::Domain;
use crate::typed_data::{StructHash, TypeHash};
use crate::word::Word;

static OFFER: TypeHash = LazyLock::new(|| {
    keccak256(
        b"Offer(uint256 version,string resourceUrl,string scheme,string network,string asset,string payTo,string amount,uint256 validUntil)",
    )
});
static RECEIPT: TypeHash = LazyLock::new(|| {
    keccak256(
        b"Receipt(uint256 version,string network,string resourceUrl,string payer,uint256 issuedAt,string transaction)",
    )
});

/// What a merchant asks for a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OfferStatement<'a> {
    /// Of the form; 1.
    pub version: u64,
    /// What is paid for.
    pub resource_url: &'a str,
    /// The scheme, such as `exact`.
    pub scheme: &'a str,
    /// The chain (CAIP-2).
    pub network: &'a str,
    /// The token.
    pub asset: &'a str,
    /// Who is paid.
    pub pay_to: &'a str,
    /// How many minor units, in decimal digits.
    pub amount: &'a str,
    /// The second since 1970 until which it holds.
    pub valid_until: u64,
}

/// What a merchant confirms after it has delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReceiptStatement<'a> {
    /// Of the form; 1.
    pub version: u64,
    /// The chain (CAIP-2).
    pub network: &'a str,
    /// What was paid for.
    pub resource_url: &'a str,
    /// Who has paid.
    pub payer: &'a str,
    /// The second since 1970 of its signing.
    pub issued_at: u64,
    /// The transaction, or nothing if it is nobody's business.
    pub transaction: &'a str,
}

impl OfferStatement<'_> {
    /// What the merchant signs. Its domain is the same for all chains.
    pub fn digest(&self) -> Digest {
        static DOMAIN: LazyLock<Domain> =
            LazyLock::new(|| Domain::new("x402 offer", Some("1"), ChainId::new(1), None));
        let hash = StructHash::new(&OFFER)
            .word(Word::from(self.version))
            .text(self.resource_url)
            .text(self.scheme)
            .text(self.network)
            .text(self.asset)
            .text(self.pay_to)
            .text(self.amount)
            .word(Word::from(self.valid_until));
        DOMAIN.digest(&hash.finish())
    }
}

impl ReceiptStatement<'_> {
    /// What the merchant signs. Its domain is the same for all chains.
    pub fn digest(&self) -> Digest {
        static DOMAIN: LazyLock<Domain> =
            LazyLock::new(|| Domain::new("x402 receipt", Some("1"), ChainId::new(1), None));
        let hash = StructHash::new(&RECEIPT)
            .word(Word::from(self.version))
            .text(self.network)
            .text(self.resource_url)
            .text(self.payer)
            .word(Word::from(self.issued_at))
            .text(self.transaction);
        DOMAIN.digest(&hash.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_of_an_offer_counts() {
        let offer = OfferStatement {
            version: 1,
            resource_url: "a",
            scheme: "b",
            network: "c",
            asset: "d",
            pay_to: "e",
            amount: "1",
            valid_until: 1,
        };
        for other in [
            OfferStatement { version: 2, ..offer },
            OfferStatement { resource_url: "z", ..offer },
            OfferStatement { scheme: "z", ..offer },
            OfferStatement { network: "z", ..offer },
            OfferStatement { asset: "z", ..offer },
            OfferStatement { pay_to: "z", ..offer },
            OfferStatement { amount: "01", ..offer },
            OfferStatement { valid_until: 2, ..offer },
        ] {
            assert_ne!(other.digest(), offer.digest(), "{other:?}");
        }
    }

    #[test]
    fn every_member_of_a_receipt_counts() {
        let receipt = ReceiptStatement {
            version: 1,
            network: "a",
            resource_url: "b",
            payer: "c",
            issued_at: 1,
            transaction: "",
        };
        for other in [
            ReceiptStatement { version: 2, ..receipt },
            ReceiptStatement { network: "z", ..receipt },
            ReceiptStatement { resource_url: "z", ..receipt },
            ReceiptStatement { payer: "z", ..receipt },
            ReceiptStatement { issued_at: 2, ..receipt },
            ReceiptStatement { transaction: "0x", ..receipt },
        ] {
            assert_ne!(other.digest(), receipt.digest(), "{other:?}");
        }
    }
}
