//! `sign-in-with-x` of x402: whoever has paid before from an account comes back with a fresh signature of that account.
//!
//! What a payer has signed to pay is public once it is on a chain, and opens nothing here. A sign-in answers a 402 of ours:
//! its message is made anew from the request and compared to the letter, so that one that was signed for another host, page or
//! time is refused. Its nonce is ours alone (a code of the message under a key that no other run of the program has), and
//! is taken once. Which ones were taken is kept in memory: a restart forgets them, and with its new key refuses them all.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use farthing_channel::{Address, Signature, bytes_from_hex, message_digest};
use farthing_engine::{AccessRow, RequestTag};
use farthing_money::{Span, Timestamp};
use farthing_wire::x402::extension::sign_in::{SignIn, SignInInfo};
use farthing_wire::x402::{Reason, X402Error};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

/// How long a 402 may be answered by a sign-in.
const LIFETIME: Span = Span::from_secs(300);
/// Sign-ins that are remembered at one time. Only those of accounts that have paid count.
const USED_MAX: usize = 100_000;
const STATEMENT: &str = "Sign in to come back to what you have paid for.";
const SALT_BYTES: usize = 8;
const CODE_BYTES: usize = 16;

/// A sign-in that is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum SignInRefusal {
    #[error(transparent)]
    Malformed(#[from] X402Error),
    #[error("expected one sign-in, got several; send one")]
    Several,
    #[error("nobody signs in here: expected a payment, or a sign-in where a 402 declares it")]
    NotOffered,
    #[error("the sign-in is for another {what}: expected {expected}; sign the message of this answer")]
    Elsewhere { what: &'static str, expected: String, reason: Reason },
    #[error("the sign-in names another chain: expected one of those that this answer names")]
    Chain,
    #[error("the sign-in is signed in another way: expected eip191")]
    Kind,
    #[error(
        "the sign-in is not of this time ({reason}): sign the message of this answer, within five minutes"
    )]
    Time { reason: Reason },
    #[error(
        "the sign-in was used before, or its message is not one of ours; sign the message of this answer as it is"
    )]
    Nonce,
    #[error(
        "the signature is not the account's: expected one of the whole message (EIP-191) by an account with a key"
    )]
    Signature { reason: Reason },
    #[error("the account has paid for nothing here that still opens it; pay one of the offers")]
    Unpaid,
}

impl SignInRefusal {
    /// The stable code.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::Several | Self::Kind => "sign-in-malformed",
            Self::NotOffered => "sign-in-not-offered",
            Self::Elsewhere { .. } => "sign-in-elsewhere",
            Self::Chain => "sign-in-chain",
            Self::Time { .. } => "sign-in-time",
            Self::Nonce => "sign-in-nonce",
            Self::Signature { .. } => "sign-in-signature",
            Self::Unpaid => "sign-in-unpaid",
        }
    }

    /// As the programs of x402 say it.
    pub(super) fn reason(&self) -> Option<&'static str> {
        let reason = match self {
            Self::Elsewhere { reason, .. } | Self::Time { reason } | Self::Signature { reason } => *reason,
            Self::Chain | Self::Kind => Reason::SiwxUnsupportedChain,
            Self::Nonce => Reason::SiwxNonce,
            Self::Malformed(_) | Self::Several | Self::NotOffered | Self::Unpaid => return None,
        };
        Some(reason.as_str())
    }
}

/// Who has signed in.
#[derive(Clone, Copy, Debug)]
pub(super) enum SignedIn {
    /// Who has paid for this before.
    Paid(AccessRow),
    /// Somebody who has not, where so much is free for each account.
    Account(Address),
}

/// What a sign-in is asked for.
#[derive(Clone, Copy)]
pub(super) struct Door<'a> {
    /// The request's URL.
    pub(super) url: &'a str,
    /// Its method and URL.
    pub(super) tag: RequestTag,
}

/// Makes messages to sign, and takes each once.
pub(super) struct SignIns {
    key: Hmac<Sha256>,
    salts: AtomicU64,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    nonces: HashSet<String>,
    /// When each may be forgotten, the oldest first.
    ends: VecDeque<(Timestamp, String)>,
}

impl SignIns {
    /// For one run of the program.
    pub(super) fn new(secret: &[u8; 32], started_at: Timestamp) -> Option<Self> {
        let begun = Hmac::<Sha256>::new_from_slice(secret).ok()?;
        let begun = begun.chain_update(b"farthing/sign-in/1").chain_update(started_at.millis().to_be_bytes());
        let key = Hmac::<Sha256>::new_from_slice(&begun.finalize().into_bytes()).ok()?;
        Some(Self { key, salts: AtomicU64::new(0), used: Mutex::default() })
    }

    /// A message to sign.
    pub(super) fn offer(&self, door: Door<'_>, now: Timestamp) -> SignInInfo {
        let number = self.salts.fetch_add(1, Ordering::Relaxed);
        // Not the number itself: it would tell how much is asked for here.
        let salt = self.code(&[b"salt", &number.to_be_bytes()], SALT_BYTES);
        self.message(door, now, &salt)
    }

    fn message(&self, door: Door<'_>, issued_at: Timestamp, salt: &str) -> SignInInfo {
        let code = [b"nonce", salt.as_bytes(), &issued_at.millis().to_be_bytes(), door.tag.as_bytes()];
        SignInInfo {
            domain: domain(door.url).to_owned(),
            uri: door.url.to_owned(),
            version: "1".to_owned(),
            nonce: format!("{salt}{}", self.code(&code, CODE_BYTES)),
            issued_at: issued_at.to_string(),
            expiration_time: Some(issued_at.after(LIFETIME).to_string()),
            not_before: None,
            statement: Some(STATEMENT.to_owned()),
            request_id: None,
            resources: Some(vec![door.url.to_owned()]),
        }
    }

    /// Hexadecimal digits of so many bytes; each part is preceded by its length.
    fn code(&self, parts: &[&[u8]], bytes: usize) -> String {
        let code = parts.iter().fold(self.key.clone(), |code, part| {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            code.chain_update(length.to_be_bytes()).chain_update(part)
        });
        hex::encode(code.finalize().into_bytes().get(..bytes).unwrap_or_default())
    }

    /// The account that has signed a message of ours for this door, on one of these networks.
    pub(super) fn judge<'n>(
        &self,
        sign_in: &SignIn,
        door: Door<'_>,
        mut networks: impl Iterator<Item = &'n str>,
        now: Timestamp,
    ) -> Result<Address, SignInRefusal> {
        let info = &sign_in.info;
        let elsewhere = |what, expected: &str, reason| SignInRefusal::Elsewhere {
            what,
            expected: expected.to_owned(),
            reason,
        };
        if info.domain != domain(door.url) {
            return Err(elsewhere("host", domain(door.url), Reason::SiwxDomainMismatch));
        }
        if info.uri != door.url {
            return Err(elsewhere("page", door.url, Reason::SiwxUriMismatch));
        }
        if sign_in.kind != "eip191" {
            return Err(SignInRefusal::Kind);
        }
        if !networks.any(|network| network == sign_in.chain_id) {
            return Err(SignInRefusal::Chain);
        }
        let issued_at: Timestamp =
            info.issued_at.parse().map_err(|_| SignInRefusal::Time { reason: Reason::SiwxIssuedAt })?;
        if issued_at > now {
            return Err(SignInRefusal::Time { reason: Reason::SiwxInFuture });
        }
        if issued_at.after(LIFETIME) <= now {
            return Err(SignInRefusal::Time { reason: Reason::SiwxTooOld });
        }
        // Whatever else is altered is found here, and so is a nonce of another's.
        let salt = info.nonce.get(..SALT_BYTES.saturating_mul(2)).ok_or(SignInRefusal::Nonce)?;
        if *info != self.message(door, issued_at, salt) {
            return Err(SignInRefusal::Nonce);
        }
        signer(sign_in)
    }

    /// Takes a nonce, which may be done once; nothing if so many are taken that one more cannot be remembered.
    pub(super) fn take(&self, nonce: &str, now: Timestamp) -> Option<Result<(), SignInRefusal>> {
        let mut used = self.used();
        while used.ends.front().is_some_and(|(end, _)| *end <= now) {
            if let Some((_, nonce)) = used.ends.pop_front() {
                used.nonces.remove(&nonce);
            }
        }
        if used.nonces.contains(nonce) {
            return Some(Err(SignInRefusal::Nonce));
        }
        if used.nonces.len() >= USED_MAX {
            return None;
        }
        used.nonces.insert(nonce.to_owned());
        // It was issued before now: by then it is too old in any case.
        used.ends.push_back((now.after(LIFETIME), nonce.to_owned()));
        Some(Ok(()))
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        // Every change of it is whole before anything could panic.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host of a URL, with its port if that is unusual.
fn domain(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// The account that has signed the message.
fn signer(sign_in: &SignIn) -> Result<Address, SignInRefusal> {
    let malformed = || SignInRefusal::Signature { reason: Reason::SiwxMalformedSignature };
    let account: Address = sign_in.address.parse().map_err(|_| malformed())?;
    let bytes = bytes_from_hex(&sign_in.signature, 65).map_err(|_| malformed())?;
    let signature = Signature::from_bytes(&bytes).map_err(|_| malformed())?;
    let message = sign_in.message().ok_or(SignInRefusal::Chain)?;
    match signature.recover(&message_digest(message.as_bytes())) {
        Ok(by) if by == account => Ok(account),
        _ => Err(SignInRefusal::Signature { reason: Reason::SiwxSignature }),
    }
}

#[cfg(test)]
mod tests {
    use farthing_channel::SigningKey;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const URL: &str = "https://shop.example:8402/page?a=1";
    const NETWORK: &str = "eip155:84532";

    fn door(url: &str) -> Door<'_> {
        Door { url, tag: RequestTag::of_parts("test", [url.as_bytes()]) }
    }

    fn sign_ins(started_at: Timestamp) -> SignIns {
        SignIns::new(&[1; 32], started_at).unwrap()
    }

    fn signed(info: SignInInfo, key: u8) -> SignIn {
        let key = SigningKey::from_bytes([key; 32]).unwrap();
        let mut sign_in = SignIn {
            info,
            address: key.address().to_string(),
            chain_id: NETWORK.into(),
            kind: "eip191".into(),
            signature_scheme: None,
            signature: String::new(),
        };
        sign_again(&mut sign_in, &key);
        sign_in
    }

    fn sign_again(sign_in: &mut SignIn, key: &SigningKey) {
        let digest = message_digest(sign_in.message().unwrap().as_bytes());
        sign_in.signature = farthing_channel::bytes_to_hex(&key.sign(&digest).to_bytes());
    }

    fn judge(at: &SignIns, sign_in: &SignIn, url: &str, now: Timestamp) -> Result<Address, SignInRefusal> {
        at.judge(sign_in, door(url), [NETWORK].into_iter(), now)
    }

    #[test]
    fn who_signs_our_message_is_known() {
        let at = sign_ins(NOW);
        let info = at.offer(door(URL), NOW);
        assert_eq!((info.domain.as_str(), info.uri.as_str()), ("shop.example:8402", URL));
        assert_ne!(info.nonce, at.offer(door(URL), NOW).nonce, "two 402s in one moment");
        let sign_in = signed(info, 7);
        for late in [0, 299] {
            let now = NOW.after(Span::from_secs(late));
            assert_eq!(judge(&at, &sign_in, URL, now).unwrap().to_string(), sign_in.address);
        }
    }

    #[test]
    fn a_sign_in_is_for_one_door_one_time_and_one_run() {
        let at = sign_ins(NOW);
        let good = signed(at.offer(door(URL), NOW), 7);
        let code = |refused: Result<Address, SignInRefusal>| refused.unwrap_err().code();
        let soon = NOW.after(Span::from_secs(1));
        for (url, expected) in [
            ("https://other.example/page?a=1", "sign-in-elsewhere"),
            ("https://shop.example:8402/page?a=2", "sign-in-elsewhere"),
            ("http://shop.example:8402/page?a=1", "sign-in-elsewhere"),
        ] {
            assert_eq!(code(judge(&at, &good, url, soon)), expected, "{url}");
        }
        assert_eq!(code(judge(&at, &good, URL, NOW.after(LIFETIME))), "sign-in-time");
        assert_eq!(code(judge(&at, &good, URL, Timestamp::from_secs(1))), "sign-in-time", "of the future");
        assert_eq!(code(judge(&sign_ins(soon), &good, URL, soon)), "sign-in-nonce", "of the run before");
        // The same URL by another method.
        let other = Door { url: URL, tag: RequestTag::of_parts("other", []) };
        assert_eq!(at.judge(&good, other, [NETWORK].into_iter(), soon), Err(SignInRefusal::Nonce));
        assert_eq!(at.judge(&good, door(URL), ["eip155:1"].into_iter(), soon), Err(SignInRefusal::Chain));
    }

    #[test]
    fn whatever_is_altered_is_refused() {
        type Change = fn(&mut SignIn);
        let changes: [(Change, &str); 11] = [
            (|s| s.info.nonce.make_ascii_uppercase(), "sign-in-nonce"),
            (|s| s.info.nonce = "é".repeat(20), "sign-in-nonce"),
            (|s| s.info.statement = None, "sign-in-nonce"),
            (|s| s.info.expiration_time = None, "sign-in-nonce"),
            (|s| s.info.not_before = Some("2020-01-01T00:00:00Z".into()), "sign-in-nonce"),
            (|s| s.info.issued_at = NOW.after(Span::from_millis(1)).to_string(), "sign-in-nonce"),
            (|s| s.info.issued_at = "today".into(), "sign-in-time"),
            (|s| s.kind = "eip1271".into(), "sign-in-malformed"),
            (|s| s.chain_id = "eip155:1".into(), "sign-in-chain"),
            (|s| s.signature = "0x".into(), "sign-in-signature"),
            (|s| s.address = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".into(), "sign-in-signature"),
        ];
        let at = sign_ins(NOW);
        let key = SigningKey::from_bytes([7; 32]).unwrap();
        for (index, (change, code)) in changes.into_iter().enumerate() {
            let mut bad = signed(at.offer(door(URL), NOW), 7);
            change(&mut bad);
            if code != "sign-in-signature" && bad.message().is_some() {
                sign_again(&mut bad, &key);
            }
            let refused = judge(&at, &bad, URL, NOW.after(Span::from_secs(1))).unwrap_err();
            assert_eq!(refused.code(), code, "{index}");
            assert!(refused.reason().is_some(), "{index}");
        }
    }

    #[test]
    fn a_nonce_is_taken_once() {
        let at = sign_ins(NOW);
        let nonce = at.offer(door(URL), NOW).nonce;
        assert_eq!(at.take(&nonce, NOW), Some(Ok(())));
        assert_eq!(at.take(&nonce, NOW), Some(Err(SignInRefusal::Nonce)));
        assert_eq!(at.take("another", NOW), Some(Ok(())));
        assert_eq!(at.used().nonces.len(), 2);
        at.take("a third", NOW.after(LIFETIME)).unwrap().unwrap();
        assert_eq!(at.used().nonces.len(), 1, "what is too old need not be remembered");
    }

    #[test]
    fn what_cannot_be_remembered_is_not_taken() {
        let at = sign_ins(NOW);
        for number in 0..USED_MAX {
            assert_eq!(at.take(&number.to_string(), NOW), Some(Ok(())));
        }
        assert_eq!(at.take("one more", NOW), None);
        assert_eq!(at.take("0", NOW), Some(Err(SignInRefusal::Nonce)));
    }
}
