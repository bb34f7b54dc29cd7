//! Credits as text: a `cashuA..` or `cashuB..` token, or its raw bytes, with everything that a payee needs (NUT-00).

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE_NO_PAD, URL_SAFE_NO_PAD_INDIFFERENT};
use farthing_money::Unit;
use serde::{Deserialize, Deserializer, de};
use thiserror::Error;

use crate::{KeysetId, MAX_SECRET_LENGTH, Proof, ProofDleq, PublicKey, ShortKeysetId, token_v3, token_v4};

/// Credits on their way from one to another.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The issuer's address, without a slash at the end.
    pub mint: String,
    /// What the amounts count.
    pub unit: Unit,
    /// A word from the sender.
    pub memo: Option<String>,
    /// The credits.
    pub proofs: Vec<TokenProof>,
}

/// A credit in a token, whose keyset may be named by the first 8 bytes only.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenProof {
    /// What it is worth.
    pub amount: u64,
    /// The keyset that signed it.
    pub id: KeysetRef,
    /// The secret.
    pub secret: String,
    /// The issuer's signature of the secret.
    pub c: PublicKey,
    /// What opens the lock, if the secret is one.
    pub witness: Option<String>,
    /// The proof of the signature.
    pub dleq: Option<ProofDleq>,
    /// The ephemeral key of a blinded lock (NUT-28).
    pub p2pk_e: Option<PublicKey>,
}

/// A keyset as a token names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeysetRef {
    /// In full.
    Full(KeysetId),
    /// By the first 8 bytes of a name of version 01.
    Short(ShortKeysetId),
}

/// What is refused before it is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLimits {
    /// Bytes of text (or of a raw token).
    pub bytes: usize,
    /// Credits.
    pub proofs: usize,
    /// Bytes of one secret.
    pub secret: usize,
}

/// Why something is not a token.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Too long.
    #[error("the token has {got} bytes, at most {most} are accepted; send fewer credits at once")]
    Length {
        /// What it has.
        got: usize,
        /// What is accepted.
        most: usize,
    },
    /// Not the beginning of any token.
    #[error("expected a token beginning with cashuB or cashuA (raw: crawB), got {0:?}; copy the whole token")]
    Prefix(String),
    /// Not base64url.
    #[error(
        "the token is not base64url after its first six letters; copy the whole token, without line breaks"
    )]
    Base64,
    /// Not the structure of a token.
    #[error("the token is damaged: {0}")]
    Form(String),
    /// Too many credits.
    #[error("the token has more than {0} credits; send it in several parts")]
    TooManyProofs(usize),
    /// No credit at all.
    #[error("the token has no credits")]
    Empty,
    /// A secret beyond the limit.
    #[error("a secret in the token has {got} bytes, at most {most} are accepted")]
    SecretLength {
        /// What it has.
        got: usize,
        /// What is accepted.
        most: usize,
    },
    /// Credits of several issuers.
    #[error("the token has credits of {0} and of {1}; send one token for each issuer")]
    SeveralMints(String, String),
    /// Not a unit.
    #[error("the token's unit {0:?} is not one; expected one such as sat or uusd")]
    Unit(String),
    /// A short name that fits no known keyset.
    #[error("the token names the keyset {0}.., which this issuer does not have; the token belongs elsewhere")]
    UnknownKeyset(ShortKeysetId),
    /// A short name that fits several.
    #[error(
        "the token names the keyset {0}.., which fits more than one; ask for a token with full keyset ids"
    )]
    AmbiguousKeyset(ShortKeysetId),
}

impl TokenError {
    /// The stable code of this refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Length { .. } => "token-length",
            Self::Prefix(_) => "token-prefix",
            Self::Base64 => "token-base64",
            Self::Form(_) => "token-form",
            Self::TooManyProofs(_) => "token-too-many-credits",
            Self::Empty => "token-empty",
            Self::SecretLength { .. } => "token-secret-length",
            Self::SeveralMints(..) => "token-several-mints",
            Self::Unit(_) => "token-unit",
            Self::UnknownKeyset(_) => "token-unknown-keyset",
            Self::AmbiguousKeyset(_) => "token-ambiguous-keyset",
        }
    }
}

impl Default for TokenLimits {
    fn default() -> Self {
        Self { bytes: 1 << 20, proofs: 1_000, secret: MAX_SECRET_LENGTH }
    }
}

impl Token {
    /// A token of credits, with full keyset ids.
    pub fn new(
        mint: &str,
        unit: Unit,
        memo: Option<String>,
        proofs: impl IntoIterator<Item = Proof>,
    ) -> Self {
        let proofs = proofs.into_iter().map(TokenProof::from).collect();
        Self { mint: mint.trim_end_matches('/').to_owned(), unit, memo, proofs }
    }

    /// Reads a token's text within the usual limits.
    pub fn decode(text: &str) -> Result<Self, TokenError> {
        Self::decode_within(text, &TokenLimits::default())
    }

    /// Reads a token's text: `cashuA..` or `cashuB..`, also with `cashu:` before it.
    pub fn decode_within(text: &str, limits: &TokenLimits) -> Result<Self, TokenError> {
        let text = text.trim_ascii();
        limits.check_length(text.len())?;
        let bare = text.strip_prefix("cashu:").unwrap_or(text);
        let bytes = |body| URL_SAFE_NO_PAD_INDIFFERENT.decode(body).map_err(|_| TokenError::Base64);
        let token = if let Some(body) = bare.strip_prefix("cashuB") {
            token_v4::decode(&bytes(body)?, limits)?
        } else if let Some(body) = bare.strip_prefix("cashuA") {
            token_v3::decode(&bytes(body)?, limits)?
        } else {
            return Err(TokenError::Prefix(text.chars().take(10).collect()));
        };
        token.checked(limits)
    }

    /// Reads a raw token: `crawB` and CBOR.
    pub fn decode_raw(bytes: &[u8], limits: &TokenLimits) -> Result<Self, TokenError> {
        limits.check_length(bytes.len())?;
        let body = bytes
            .strip_prefix(b"crawB")
            .ok_or_else(|| TokenError::Prefix(String::from_utf8_lossy(bytes).chars().take(5).collect()))?;
        token_v4::decode(body, limits)?.checked(limits)
    }

    /// The text of version B. Credits are grouped by keyset.
    pub fn encode(&self) -> String {
        format!("cashuB{}", URL_SAFE_NO_PAD.encode(token_v4::encode(self)))
    }

    /// The raw form of version B.
    pub fn encode_raw(&self) -> Vec<u8> {
        [b"crawB", token_v4::encode(self).as_slice()].concat()
    }

    /// The same with short keyset ids, for a shorter text.
    #[must_use]
    pub fn with_short_ids(mut self) -> Self {
        for proof in &mut self.proofs {
            if let KeysetRef::Full(id @ KeysetId::V2(_)) = proof.id {
                proof.id = KeysetRef::Short(id.short());
            }
        }
        self
    }

    /// What it is worth; `None` if the sum does not fit.
    pub fn total(&self) -> Option<u64> {
        self.proofs.iter().try_fold(0_u64, |sum, proof| sum.checked_add(proof.amount))
    }

    /// The credits with full keyset ids, short ones looked up among the issuer's keysets. Full ones pass as they are.
    pub fn resolve(&self, known: &[KeysetId]) -> Result<Vec<Proof>, TokenError> {
        self.proofs.iter().map(|proof| proof.clone().resolve(known)).collect()
    }

    fn checked(self, limits: &TokenLimits) -> Result<Self, TokenError> {
        if self.proofs.is_empty() {
            return Err(TokenError::Empty);
        }
        let longest = self.proofs.iter().map(|proof| proof.secret.len()).max().unwrap_or_default();
        if longest > limits.secret {
            return Err(TokenError::SecretLength { got: longest, most: limits.secret });
        }
        Ok(self)
    }
}

impl TokenLimits {
    fn check_length(&self, got: usize) -> Result<(), TokenError> {
        if got > self.bytes { Err(TokenError::Length { got, most: self.bytes }) } else { Ok(()) }
    }
}

impl TokenProof {
    fn resolve(self, known: &[KeysetId]) -> Result<Proof, TokenError> {
        let id = match self.id {
            KeysetRef::Full(id) => id,
            KeysetRef::Short(short) => {
                let mut fitting = known.iter().filter(|id| id.short() == short);
                match (fitting.next(), fitting.next()) {
                    (None, _) => return Err(TokenError::UnknownKeyset(short)),
                    (Some(first), Some(second)) if first != second => {
                        return Err(TokenError::AmbiguousKeyset(short));
                    }
                    (Some(id), _) => *id,
                }
            }
        };
        let Self { amount, secret, c, witness, dleq, p2pk_e, .. } = self;
        Ok(Proof { amount, id, secret, c, witness, dleq, p2pk_e })
    }
}

impl From<Proof> for TokenProof {
    fn from(proof: Proof) -> Self {
        let Proof { amount, id, secret, c, witness, dleq, p2pk_e } = proof;
        Self { amount, id: KeysetRef::Full(id), secret, c, witness, dleq, p2pk_e }
    }
}

impl KeysetRef {
    /// From 8 bytes (a name of version 00 or a short one) or 33.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        match <[u8; 8]>::try_from(bytes) {
            Ok(short @ [1, ..]) => Some(Self::Short(ShortKeysetId::from_bytes(short))),
            _ => KeysetId::from_slice(bytes).ok().map(Self::Full),
        }
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Full(id) => id.as_bytes(),
            Self::Short(id) => id.as_bytes(),
        }
    }
}

impl<'de> Deserialize<'de> for KeysetRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = hex::decode(&text).map_err(|_| de::Error::custom("a keyset id is not hexadecimal"))?;
        Self::from_slice(&bytes).ok_or_else(|| de::Error::custom("a keyset id has neither 8 nor 33 bytes"))
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::decode(text)
    }
}

/// Whoever sees a token can spend it: it is shown only where [`Token::encode`] is called.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("mint", &self.mint)
            .field("unit", &self.unit)
            .field("proofs", &self.proofs)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TokenProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenProof")
            .field("amount", &self.amount)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Scalar, SecretKey};

    fn token(proofs: Vec<TokenProof>) -> Token {
        Token { mint: "https://mint.example".to_owned(), unit: "uusd".parse().unwrap(), memo: None, proofs }
    }

    fn point(n: u64) -> PublicKey {
        SecretKey::from_hex(&format!("{:064x}", n.max(1))).unwrap().public_key()
    }

    fn full(version: u8, rest: u8) -> KeysetId {
        let mut bytes = if version == 0 { vec![0; 8] } else { vec![1; 33] };
        *bytes.last_mut().unwrap() = rest;
        KeysetId::from_slice(&bytes).unwrap()
    }

    prop_compose! {
        fn any_proof()(
            amount: u64, version in 0u8..2, rest in 0u8..3, secret in ".{0,40}", n: u64, witness: Option<String>,
            dleq: Option<[[u8; 32]; 3]>, e: Option<u64>,
        ) -> Proof {
            let dleq = dleq.map(|numbers| numbers.map(Scalar::from_bytes)).map(|[e, s, r]| ProofDleq { e, s, r });
            Proof { amount, id: full(version, rest), secret, c: point(n), witness, dleq, p2pk_e: e.map(point) }
        }
    }

    fn sorted(mut token: Token) -> Token {
        token.proofs.sort_by_key(|proof| proof.id);
        token
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn text_and_token_are_inverse(
            proofs in prop::collection::vec(any_proof(), 1..6), memo: Option<String>, mint in "https?://[a-z/]{1,20}",
        ) {
            let token = Token::new(&mint, "uusd".parse().unwrap(), memo, proofs.clone());
            let expected = sorted(token.clone());
            let text = token.encode();
            prop_assert_eq!(&sorted(Token::decode(&text).unwrap()), &expected);
            prop_assert_eq!(&sorted(Token::decode(&format!(" cashu:{text}==\n")).unwrap_or_else(|_| token.clone())), &expected);
            prop_assert_eq!(&sorted(Token::decode_raw(&token.encode_raw(), &TokenLimits::default()).unwrap()), &expected);
            prop_assert_eq!(token.resolve(&[]).unwrap(), proofs);
        }

        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>, text: String) {
            let limits = TokenLimits::default();
            let _ = Token::decode_raw(&[b"crawB", bytes.as_slice()].concat(), &limits);
            let _ = Token::decode(&format!("cashuB{}", URL_SAFE_NO_PAD.encode(&bytes)));
            let _ = Token::decode(&format!("cashuA{}", URL_SAFE_NO_PAD.encode(&text)));
            let _ = Token::decode(&text);
        }

        #[test]
        fn damaged_tokens_are_answered(proof in any_proof(), at: prop::sample::Index, byte: u8) {
            let mut bytes = Token::new("https://m", "sat".parse().unwrap(), None, [proof]).encode_raw();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = Token::decode_raw(&bytes, &TokenLimits::default());
            prop_assert!(Token::decode_raw(&bytes[..at], &TokenLimits::default()).is_err());
        }
    }

    #[test]
    fn short_ids_are_looked_up() {
        let proof = Proof::new(1, full(1, 7), "secret".to_owned(), point(1));
        let short = Token::new("https://m", "sat".parse().unwrap(), None, [proof.clone()]).with_short_ids();
        let read = Token::decode(&short.encode()).unwrap();
        assert_eq!(read, short);
        let KeysetRef::Short(id) = read.proofs[0].id else { panic!("expected a short id") };
        assert_eq!(read.resolve(&[full(0, 7), full(1, 7)]), Ok(vec![proof.clone()]));
        assert_eq!(read.resolve(&[full(1, 7), full(1, 7)]), Ok(vec![proof]));
        assert_eq!(read.resolve(&[full(0, 7)]), Err(TokenError::UnknownKeyset(id)));
        assert_eq!(read.resolve(&[full(1, 7), full(1, 8)]), Err(TokenError::AmbiguousKeyset(id)));
    }

    #[test]
    fn limits_are_kept() {
        let proof = |secret: String| TokenProof::from(Proof::new(1, full(0, 0), secret, point(1)));
        let limits = TokenLimits::default();
        let many = token(vec![proof("s".to_owned()); 1_001]);
        assert_eq!(Token::decode(&many.encode()), Err(TokenError::TooManyProofs(1_000)));
        assert_eq!(token(vec![]).encode().parse::<Token>(), Err(TokenError::Empty));
        let long = token(vec![proof("s".repeat(1_025))]).encode();
        assert_eq!(Token::decode(&long), Err(TokenError::SecretLength { got: 1_025, most: 1_024 }));
        let small = TokenLimits { bytes: 10, ..limits };
        let got = long.len();
        assert_eq!(Token::decode_within(&long, &small), Err(TokenError::Length { got, most: 10 }));
        assert_eq!(Token::decode_raw(b"crawA", &limits), Err(TokenError::Prefix("crawA".to_owned())));
        assert_eq!(Token::decode("cashuB?"), Err(TokenError::Base64));
        assert_eq!(
            Token::decode(&many.encode().replace("cashuB", "cashuC")).unwrap_err().code(),
            "token-prefix"
        );
    }

    #[test]
    fn sums_that_do_not_fit_are_none() {
        let proof = TokenProof::from(Proof::new(u64::MAX, full(0, 0), "s".to_owned(), point(1)));
        assert_eq!(token(vec![proof.clone()]).total(), Some(u64::MAX));
        assert_eq!(token(vec![proof; 2]).total(), None);
    }

    #[test]
    fn tokens_do_not_show_their_secrets() {
        let token = token(vec![Proof::new(1, full(0, 0), "s3cret".to_owned(), point(1)).into()]);
        assert!(!format!("{token:?}").contains("s3cret"));
    }
}
