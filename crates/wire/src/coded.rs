//! An id with its end and a code that only a secret makes: the short form of what a browser keeps for us in a cookie.

use farthing_money::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::b64;

const TIME_BYTES: usize = 8;
const CODE_BYTES: usize = 16;

/// What the cookie is for: the same id in another one has another code.
#[derive(Clone, Copy)]
pub(crate) struct Domain(pub(crate) &'static [u8]);

impl Domain {
    /// The text of an id that ends then, in whole seconds; nothing if the secret is none.
    pub(crate) fn write<const N: usize>(
        self,
        secret: &[u8; 32],
        id: &[u8; N],
        end: Timestamp,
    ) -> Option<String> {
        let end = end.secs().to_be_bytes();
        let code = self.code(secret, id, end)?.finalize().into_bytes();
        let bytes: Vec<u8> = id.iter().copied().chain(end).chain(code.into_iter().take(CODE_BYTES)).collect();
        Some(b64::encode(&bytes))
    }

    /// The id of a text and its end, if we have written it and it has not ended.
    pub(crate) fn read<const N: usize>(
        self,
        secret: &[u8; 32],
        text: &str,
        now: Timestamp,
    ) -> Option<([u8; N], Timestamp)> {
        if text.len() > 2_usize.checked_mul(N.checked_add(TIME_BYTES)?.checked_add(CODE_BYTES)?)? {
            return None;
        }
        let bytes = b64::decode_exact(text)?;
        let (id, rest) = bytes.split_first_chunk::<N>()?;
        let (end, sent) = rest.split_first_chunk::<TIME_BYTES>()?;
        let sent: [u8; CODE_BYTES] = sent.try_into().ok()?;
        self.code(secret, id, *end)?.verify_truncated_left(&sent).ok()?;
        let end = Timestamp::from_secs(u64::from_be_bytes(*end));
        (end > now).then_some((*id, end))
    }

    fn code(self, secret: &[u8; 32], id: &[u8], end: [u8; TIME_BYTES]) -> Option<Hmac<Sha256>> {
        let code = Hmac::<Sha256>::new_from_slice(secret).ok()?;
        Some(code.chain_update(self.0).chain_update(id).chain_update(end))
    }
}

/// A `Set-Cookie` value: not for scripts, and not with what other sites send.
pub(crate) fn set_cookie((name, value): (&str, &str), path: &str, max_age_secs: u64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={value}; Path={path}; Max-Age={max_age_secs}; HttpOnly; SameSite=Lax{secure}")
}
