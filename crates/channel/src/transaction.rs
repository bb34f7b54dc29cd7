//! Transactions as they are signed and sent: those of EIP-1559, which say how much a unit of gas may cost at the most and
//! how much of it is a tip.
//!
//! There is one kind and it is small, so it is written here. What a library would bring besides (every kind of
//! transaction, block and receipt) costs a cold build minutes.

use farthing_money::Amount;

use crate::address::Address;
use crate::chain_id::ChainId;
use crate::digest::{Digest, TxHash, keccak256};
use crate::rlp::Item;
use crate::signature::Signature;
use crate::word::Word;

/// The first byte of such a transaction (EIP-2718).
const KIND: u8 = 2;

/// A transaction before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The chain that takes it.
    pub chain: ChainId,
    /// How many its sender has sent before.
    pub number: u64,
    /// What is paid for its gas.
    pub fees: Fees,
    /// How much gas it may use.
    pub gas: u64,
    /// Whom it calls.
    pub to: Address,
    /// How much of the chain's own coin goes along.
    pub coin: Amount,
    /// What is called; empty for nothing.
    pub input: Vec<u8>,
}

/// What a unit of gas costs, in the chain's smallest units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// At the most, with the tip.
    pub most: Amount,
    /// For whoever makes the block.
    pub tip: Amount,
}

/// A signed transaction, ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedTransaction {
    /// What it says.
    pub transaction: Transaction,
    /// Who signed it.
    pub sender: Address,
    /// Its name on the chain.
    pub hash: TxHash,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for SignedTransaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SignedTransaction({} of {}, {})", self.transaction.number, self.sender, self.hash)
    }
}

impl Transaction {
    /// What its sender signs.
    pub fn digest(&self) -> Digest {
        keccak256(&typed(&Item::List(self.members())))
    }

    /// The transaction with its sender's signature; nothing if the signature is nobody's.
    pub fn signed(self, signature: &Signature) -> Option<SignedTransaction> {
        let sender = signature.recover(&self.digest()).ok()?;
        let mut members = self.members();
        members.push(Item::number(u64::from(signature.v() == 28)));
        members.extend([signature.r(), signature.s()].map(|half| Item::number(Word::from_bytes(*half))));
        let bytes = typed(&Item::List(members));
        let hash = TxHash::from_bytes(*keccak256(&bytes).as_bytes());
        Some(SignedTransaction { transaction: self, sender, hash, bytes })
    }

    /// Whether it does nothing but use up its number.
    pub fn is_blank(&self) -> bool {
        self.input.is_empty() && self.coin.is_zero()
    }

    fn members(&self) -> Vec<Item> {
        vec![
            Item::number(self.chain),
            Item::number(self.number),
            Item::number(self.fees.tip),
            Item::number(self.fees.most),
            Item::number(self.gas),
            Item::Bytes(self.to.as_bytes().to_vec()),
            Item::number(self.coin),
            Item::Bytes(self.input.clone()),
            // No list of what is accessed.
            Item::List(Vec::new()),
        ]
    }
}

fn typed(list: &Item) -> Vec<u8> {
    let mut bytes = vec![KIND];
    bytes.extend(list.encode());
    bytes
}

impl SignedTransaction {
    /// Reads what [`Transaction::signed`] has written; nothing if it is another kind.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (transaction, signature) = Transaction::read(bytes)?;
        transaction.signed(&signature?).filter(|signed| signed.bytes == bytes)
    }
}

impl Transaction {
    /// What a signed transaction says, and its signature, if that is one. Nothing if it is another kind.
    pub fn read(bytes: &[u8]) -> Option<(Self, Option<Signature>)> {
        let Item::List(members) = Item::decode(bytes.strip_prefix(&[KIND])?)? else { return None };
        let [chain, number, tip, most, gas, to, coin, input, accessed, odd, r, s] = members.as_slice() else {
            return None;
        };
        if *accessed != Item::List(Vec::new()) {
            return None;
        }
        let word = |item: &Item| item.to_word();
        let transaction = Self {
            chain: ChainId::new(word(chain)?.to_u64()?),
            number: word(number)?.to_u64()?,
            fees: Fees { most: word(most)?.to_amount()?, tip: word(tip)?.to_amount()? },
            gas: word(gas)?.to_u64()?,
            to: Address::from_bytes(to.bytes()?.try_into().ok()?),
            coin: word(coin)?.to_amount()?,
            input: input.bytes()?.to_vec(),
        };
        let odd = word(odd)?.to_u64().and_then(|odd| u8::try_from(odd).ok()).filter(|odd| *odd < 2);
        let signature = [word(r)?.as_bytes().as_slice(), word(s)?.as_bytes()].concat();
        let signature = odd.and_then(|odd| Signature::from_bytes(&[signature, vec![odd]].concat()).ok());
        Some((transaction, signature))
    }
}

#[cfg(test)]
mod tests {
    use crate::key::SigningKey;
    use proptest::prelude::*;

    use super::*;

    fn transaction() -> Transaction {
        Transaction {
            chain: ChainId::new(84_532),
            number: 7,
            fees: Fees { most: Amount::new(30_000_000_000), tip: Amount::new(1_000_000) },
            gas: 120_000,
            to: "0x036CbD53842c5426634e7929541eC2318f3dCF7e".parse().unwrap(),
            coin: Amount::ZERO,
            input: vec![0xa9, 0x05, 0x9c, 0xbb],
        }
    }

    fn key() -> SigningKey {
        SigningKey::from_bytes([1; 32]).unwrap()
    }

    fn signed(transaction: Transaction) -> SignedTransaction {
        let signature = key().sign(&transaction.digest());
        transaction.signed(&signature).unwrap()
    }

    /// What npm's viem 2 makes of the same transaction and key.
    #[test]
    fn the_bytes_are_those_of_another_program() {
        let signed = signed(transaction());
        assert_eq!(hex::encode(&signed.bytes), include_str!("../tests/fixtures/transaction.hex").trim());
        assert_eq!(signed.sender, key().address());
        assert!(!format!("{signed:?}").contains("a9059cbb"));
    }

    #[test]
    fn what_is_not_written_like_this_is_not_read() {
        let bytes = signed(transaction()).bytes;
        assert!(SignedTransaction::decode(&bytes).is_some());
        for bad in [&bytes[1..], &bytes[..bytes.len() - 1], &[2, 0xc0], &[]] {
            assert_eq!(SignedTransaction::decode(bad), None);
        }
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(number: u64, chain: u64, most: u128, tip: u128, gas: u64, to: [u8; 20], coin: u128, input: Vec<u8>) {
            let fees = Fees { most: Amount::new(most), tip: Amount::new(tip) };
            let (to, coin) = (Address::from_bytes(to), Amount::new(coin));
            let whole = Transaction { chain: ChainId::new(chain), number, fees, gas, to, coin, input };
            let signed = signed(whole);
            prop_assert_eq!(SignedTransaction::decode(&signed.bytes), Some(signed));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = SignedTransaction::decode(&bytes);
            let _ = SignedTransaction::decode(&[&[2][..], &bytes].concat());
        }
    }
}
