//! The issuer's side of a keyset: the secret keys, what they sign and what they recognise.
//!
//! Secret numbers are used in constant time only, and everything that belongs to a key is computed once: a swap is
//! little more than its multiplications.

use std::collections::BTreeMap;
use std::fmt;

use farthing_money::Unit;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::key::uncompressed;
use crate::mac::MacSha256;
use crate::{
    BlindSignature, BlindedMessage, Keyset, KeysetError, KeysetId, MAX_SECRET_LENGTH, Proof, PublicKey,
    SecretKey, Y, denomination, dleq, hash_to_curve,
};

/// A keyset with its secret keys, one for each power of two.
pub struct SigningKeyset {
    public: Keyset,
    keys: Vec<SigningKey>,
}

/// A secret key and what can be known before anything is signed.
struct SigningKey {
    secret: SecretKey,
    public: [u8; 65],
    nonce_mac: MacSha256,
}

/// Why nothing was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SignError {
    /// Meant for another keyset.
    #[error("the output names keyset {got}, this one is {expected}; fetch /v1/keys and use an active keyset")]
    Keyset {
        /// The keyset that was asked to sign.
        expected: KeysetId,
        /// The keyset that was named.
        got: KeysetId,
    },
    /// Not a denomination.
    #[error("keyset {id} has no key for the amount {amount}; use the powers of two that /v1/keys lists")]
    Amount {
        /// The keyset.
        id: KeysetId,
        /// The amount.
        amount: u64,
    },
    /// A point that no honest payer can find.
    #[error("the output cannot be signed; blind the secret with another blinding factor")]
    Point,
}

/// Why a credit is not one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// Of another keyset.
    #[error("the credit names keyset {got}, this one is {expected}; the credit belongs elsewhere")]
    Keyset {
        /// The keyset that was asked.
        expected: KeysetId,
        /// The keyset that the credit names.
        got: KeysetId,
    },
    /// Not a denomination.
    #[error("keyset {id} has no key for the amount {amount}: such a credit was never issued")]
    Amount {
        /// The keyset.
        id: KeysetId,
        /// The amount.
        amount: u64,
    },
    /// A secret beyond the limit.
    #[error(
        "the secret has {length} bytes, at most {MAX_SECRET_LENGTH} are accepted; use 64 random hexadecimal digits"
    )]
    SecretLength {
        /// Its length.
        length: usize,
    },
    /// Not signed by this key.
    #[error("the signature of the credit is not this issuer's; the credit is forged or damaged")]
    Signature,
}

impl SignError {
    /// The stable code of this refusal.
    pub fn code(self) -> &'static str {
        match self {
            Self::Keyset { .. } => "output-keyset",
            Self::Amount { .. } => "output-amount",
            Self::Point => "output-point",
        }
    }
}

impl VerifyError {
    /// The stable code of this refusal.
    pub fn code(self) -> &'static str {
        match self {
            Self::Keyset { .. } => "credit-keyset",
            Self::Amount { .. } => "credit-amount",
            Self::SecretLength { .. } => "credit-secret-length",
            Self::Signature => "credit-signature",
        }
    }
}

impl SigningKeyset {
    /// The keys for the amounts 2^0 to 2^(`orders` - 1), all from one seed. The same arguments give the same keyset;
    /// unit and index alone choose the keys, so never use a pair of them for two keysets.
    pub fn derive(
        seed: &[u8; 32],
        unit: Unit,
        index: u32,
        input_fee_ppk: u64,
        final_expiry: Option<u64>,
        orders: u8,
    ) -> Result<Self, KeysetError> {
        if !(1..=64).contains(&orders) {
            return Err(KeysetError::Orders(orders));
        }
        let mac = MacSha256::new(seed)
            .with(b"farthing keyset 1\0")
            .with(unit.as_str().as_bytes())
            .with(&[0])
            .with(&index.to_be_bytes());
        let key = |order: u8| {
            let mac = mac.clone().with(&[order]);
            // One candidate in 2^128 is out of range; the next one is taken then.
            (0..=u8::MAX).find_map(|n| SecretKey::from_bytes(mac.clone().with(&[n]).finish()).ok())
        };
        let keys: Option<Vec<_>> = (0..orders).map(|order| key(order).map(SigningKey::new)).collect();
        let keys = keys.ok_or(KeysetError::Orders(orders))?;
        let published: BTreeMap<_, _> = denomination::powers_of_two(orders)
            .zip(&keys)
            .map(|(amount, key)| (amount, key.secret.public_key()))
            .collect();
        let id = KeysetId::v2(&published, unit, input_fee_ppk, final_expiry);
        let public = Keyset { id, unit, active: true, input_fee_ppk, final_expiry, keys: published };
        Ok(Self { public, keys })
    }

    /// The same keys under a name of version 00, for wallets that know no other.
    #[must_use]
    pub fn with_v1_id(mut self) -> Self {
        self.public.id = KeysetId::v1(&self.public.keys);
        self
    }

    /// The name.
    pub fn id(&self) -> KeysetId {
        self.public.id
    }

    /// What the issuer publishes, as active.
    pub fn public(&self) -> &Keyset {
        &self.public
    }

    /// Signs what the payer blinded, with the proof that the published key did.
    pub fn sign(&self, message: &BlindedMessage) -> Result<BlindSignature, SignError> {
        let BlindedMessage { amount, id, b_ } = *message;
        if id != self.id() {
            return Err(SignError::Keyset { expected: self.id(), got: id });
        }
        let key = self.key(amount).ok_or(SignError::Amount { id, amount })?;
        let coordinates = b_.times_secret(&key.secret);
        let c_ = PublicKey::from_coordinates(&coordinates).ok_or(SignError::Point)?;
        let dleq =
            dleq::prove_prepared(&key.secret, &key.nonce_mac, &key.public, b_, &uncompressed(&coordinates))
                .ok_or(SignError::Point)?;
        Ok(BlindSignature { amount, id, c_, dleq: Some(dleq) })
    }

    /// Whether a credit is ours; answers with the point under which it is spent. Looks at no lock and no list.
    pub fn verify(&self, proof: &Proof) -> Result<Y, VerifyError> {
        let Proof { amount, id, .. } = *proof;
        if id != self.id() {
            return Err(VerifyError::Keyset { expected: self.id(), got: id });
        }
        let length = proof.secret.len();
        if length > MAX_SECRET_LENGTH {
            return Err(VerifyError::SecretLength { length });
        }
        let key = self.key(amount).ok_or(VerifyError::Amount { id, amount })?;
        let y = hash_to_curve(proof.secret.as_bytes());
        // Ours is as good as money to who has sent a wrong one: how far the two agree must not be told by the time.
        let ours = uncompressed(&y.point().times_secret(&key.secret));
        if bool::from(proof.c.uncompressed().ct_eq(&ours)) { Ok(y) } else { Err(VerifyError::Signature) }
    }

    /// A credit whose secret the issuer itself knows, for change that nobody blinded.
    pub fn sign_unblinded(&self, secret: &str, amount: u64) -> Result<Proof, SignError> {
        let id = self.id();
        let key = self.key(amount).ok_or(SignError::Amount { id, amount })?;
        let signature = hash_to_curve(secret.as_bytes()).point().times_secret(&key.secret);
        let c = PublicKey::from_coordinates(&signature).ok_or(SignError::Point)?;
        Ok(Proof::new(amount, id, secret.to_owned(), c))
    }

    fn key(&self, amount: u64) -> Option<&SigningKey> {
        let order = amount.is_power_of_two().then(|| amount.trailing_zeros())?;
        self.keys.get(usize::try_from(order).ok()?)
    }
}

impl SigningKey {
    fn new(secret: SecretKey) -> Self {
        let public = secret.public_key().uncompressed();
        let nonce_mac = dleq::nonce_mac(&secret, &public);
        Self { secret, public, nonce_mac }
    }
}

impl fmt::Debug for SigningKeyset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeyset").field("id", &self.id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{ProofDleq, blind, unblind};

    fn keyset(orders: u8) -> SigningKeyset {
        SigningKeyset::derive(&[1; 32], "uusd".parse().unwrap(), 0, 0, None, orders).unwrap()
    }

    #[test]
    fn all_cores_may_sign_with_one_keyset() {
        fn shared<T: Send + Sync>() {}
        shared::<SigningKeyset>();
    }

    #[test]
    fn every_argument_makes_another_keyset() {
        let make = |seed: u8, unit: &str, index, fee, expiry| {
            SigningKeyset::derive(&[seed; 32], unit.parse().unwrap(), index, fee, expiry, 4).unwrap().id()
        };
        let id = make(1, "uusd", 0, 0, None);
        assert_eq!(id, make(1, "uusd", 0, 0, None));
        for other in [
            make(2, "uusd", 0, 0, None),
            make(1, "usd", 0, 0, None),
            make(1, "uusd", 1, 0, None),
            make(1, "uusd", 0, 1, None),
            make(1, "uusd", 0, 0, Some(9)),
        ] {
            assert_ne!(id, other);
        }
    }

    #[test]
    fn the_number_of_keys_is_bounded() {
        for orders in [0, 65, 255] {
            let made = SigningKeyset::derive(&[1; 32], "uusd".parse().unwrap(), 0, 0, None, orders);
            assert_eq!(made.err(), Some(KeysetError::Orders(orders)));
        }
        assert_eq!(keyset(64).public().keys.keys().next_back(), Some(&(1 << 63)));
        assert_eq!(keyset(64).public().check_id(), Ok(()));
        assert_eq!(keyset(3).with_v1_id().public().check_id(), Ok(()));
    }

    #[test]
    fn forgeries_are_refused() {
        let keyset = keyset(8);
        let good = keyset.sign_unblinded("secret", 8).unwrap();
        assert_eq!(keyset.verify(&good), Ok(good.y()));
        let refused = |change: &dyn Fn(&mut Proof)| {
            let mut bad = good.clone();
            change(&mut bad);
            keyset.verify(&bad).unwrap_err()
        };
        assert_eq!(refused(&|p| p.amount = 16), VerifyError::Signature);
        assert_eq!(refused(&|p| p.secret.push('x')), VerifyError::Signature);
        assert_eq!(refused(&|p| p.c = keyset.public().keys[&1]), VerifyError::Signature);
        for amount in [0, 3, 256, u64::MAX] {
            assert_eq!(refused(&|p| p.amount = amount), VerifyError::Amount { id: keyset.id(), amount });
            assert!(keyset.sign_unblinded("secret", amount).is_err());
        }
        assert_eq!(refused(&|p| p.secret = "s".repeat(1025)), VerifyError::SecretLength { length: 1025 });
        let elsewhere = self::keyset(7).id();
        assert_eq!(
            refused(&|p| p.id = elsewhere),
            VerifyError::Keyset { expected: keyset.id(), got: elsewhere }
        );
        let message = BlindedMessage { amount: 1, id: elsewhere, b_: good.c };
        assert_eq!(
            keyset.sign(&message).unwrap_err(),
            SignError::Keyset { expected: keyset.id(), got: elsewhere }
        );
    }

    #[test]
    fn the_negative_of_a_signature_is_no_signature() {
        let keyset = keyset(1);
        let mut proof = keyset.sign_unblinded("secret", 1).unwrap();
        let mut bytes = proof.c.to_bytes();
        bytes[0] ^= 1;
        proof.c = PublicKey::from_bytes(&bytes).unwrap();
        assert_eq!(keyset.verify(&proof), Err(VerifyError::Signature));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_is_signed_blind_verifies_unblinded(secret in "[a-z0-9]{0,64}", r in 1u64.., order in 0u8..16) {
            let keyset = keyset(16);
            let (amount, id) = (1_u64 << order, keyset.id());
            let r = SecretKey::from_hex(&format!("{r:064x}")).unwrap();
            let message = BlindedMessage { amount, id, b_: blind(secret.as_bytes(), &r).unwrap() };
            let signature = keyset.sign(&message).unwrap();
            prop_assert_eq!(keyset.sign(&message).unwrap(), signature, "signing twice reveals nothing new");
            let key = keyset.public().key(amount).unwrap();
            prop_assert_eq!(signature.check_dleq(key, message.b_), Ok(()));
            let mut proof = Proof::new(amount, id, secret.clone(), unblind(signature.c_, &r, key).unwrap());
            prop_assert_eq!(keyset.verify(&proof), Ok(hash_to_curve(secret.as_bytes())));
            prop_assert_eq!(&proof, &keyset.sign_unblinded(&secret, amount).unwrap());
            proof.dleq = Some(ProofDleq::new(&signature.dleq.unwrap(), &r));
            prop_assert_eq!(proof.check_dleq(key), Ok(()));
        }
    }
}
