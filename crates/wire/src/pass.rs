//! The pass: the signed right to come back without paying again, for programs in `Farthing-Pass`, for browsers in a
//! cookie.

use ed25519_dalek::{SigningKey, VerifyingKey};
use farthing_money::Timestamp;
use serde::{Deserialize, Serialize};

use crate::coded::set_cookie;
use crate::header::{FARE_COOKIE, PASS_COOKIE};
use crate::refund_cookie::is_refund_cookie;
use crate::{JwsError, jws, rfc3339};

/// Where passes are sold, each by its name behind this.
pub const PASSES_PATH: &str = "/.well-known/farthing/passes/";

const TYPE: &str = "farthing-pass";
const FARE_TYPE: &str = "farthing-fare";

/// The scope of a pass that is sold by this name.
pub fn plan_scope(name: &str) -> String {
    ["plan ", name].concat()
}

/// What one payment opens, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// The payment that bought it, hexadecimal.
    pub payment: String,
    /// What it opens, in the gate's words.
    pub scope: String,
    /// When it ends.
    #[serde(with = "rfc3339")]
    pub expires: Timestamp,
    /// Whether the gate looks into its books before it lets it in: its payment may be given back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checked: bool,
    /// What it covers, if it was bought as a pass; otherwise it opens its scope alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bought: Option<Bought>,
}

/// What a pass covers that was bought as one. It says so itself, so that it holds whatever becomes of the plan, and anybody can
/// check it with the public key alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bought {
    /// The plan.
    pub plan: String,
    /// Which places, in patterns such as `/articles/**` and `example.com/articles/**`.
    pub covers: Vec<String>,
    /// Which methods; none is all that change nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// How often, if not as often as one likes: the gate counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
}

/// What single payments count in until together they have paid a pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fare {
    /// Its id, hexadecimal. It says nothing about who pays.
    pub fare: String,
    /// The plan whose pass they pay.
    pub plan: String,
    /// When it ends.
    #[serde(with = "rfc3339")]
    pub expires: Timestamp,
}

impl Fare {
    /// The fare as a header value, signed.
    pub fn sign(&self, key: &SigningKey) -> Result<String, JwsError> {
        jws::sign(FARE_TYPE, self, key)
    }

    /// The fare in a text signed by our key, if it has not ended.
    pub fn verify(text: &str, key: &VerifyingKey, now: Timestamp) -> Result<Self, JwsError> {
        let (fare, _): (Self, _) = jws::verify(FARE_TYPE, text, Some(key))?;
        if fare.expires <= now {
            return Err(JwsError::Ended {
                document: "fare",
                ended: fare.expires.to_string(),
                then: "pay again",
            });
        }
        Ok(fare)
    }

    /// The `Set-Cookie` value that gives a browser a signed fare.
    pub fn set_cookie(&self, signed: &str, secure: bool, now: Timestamp) -> String {
        let name = format!("{FARE_COOKIE}_{}", self.plan);
        set_cookie((&name, signed), "/", self.expires.since(now).secs(), secure)
    }
}

impl Pass {
    /// The pass as a header value, signed.
    pub fn sign(&self, key: &SigningKey) -> Result<String, JwsError> {
        jws::sign(TYPE, self, key)
    }

    /// The pass in a text signed by our key, if it has not ended.
    pub fn verify(text: &str, key: &VerifyingKey, now: Timestamp) -> Result<Self, JwsError> {
        let (pass, _): (Self, _) = jws::verify(TYPE, text, Some(key))?;
        if pass.expires <= now {
            return Err(JwsError::Ended {
                document: "pass",
                ended: pass.expires.to_string(),
                then: "pay again",
            });
        }
        Ok(pass)
    }

    /// The `Set-Cookie` value that gives a browser a signed pass: not for scripts, not for other sites, gone when the
    /// pass ends. `path` is where the pass holds; what cannot stand in a cookie's path becomes `/`.
    pub fn set_cookie(&self, signed: &str, path: &str, secure: bool, now: Timestamp) -> String {
        let plain = |b: u8| b.is_ascii_graphic() && b != b';' && b != b',';
        let path = if path.starts_with('/') && path.bytes().all(plain) { path } else { "/" };
        let path = if self.bought.is_some() { "/" } else { path };
        set_cookie((&self.cookie_name(), signed), path, self.expires.since(now).secs(), secure)
    }

    /// The `Set-Cookie` value that takes the pass away from a browser that keeps it for the whole site.
    pub fn forget_cookie(&self, secure: bool) -> String {
        set_cookie((&self.cookie_name(), ""), "/", 0, secure)
    }

    fn cookie_name(&self) -> String {
        let bought = self.bought.as_ref();
        bought.map_or_else(|| PASS_COOKIE.to_owned(), |bought| format!("{PASS_COOKIE}_{}", bought.plan))
    }
}

/// Whether a cookie of this name is a pass of ours.
pub fn is_pass_cookie(name: &[u8]) -> bool {
    is_named(name, PASS_COOKIE)
}

/// Whether a cookie of this name is ours: a pass, a fare or a payment that may be asked back.
pub fn is_own_cookie(name: &[u8]) -> bool {
    is_pass_cookie(name) || is_named(name, FARE_COOKIE) || is_refund_cookie(name)
}

fn is_named(name: &[u8], own: &str) -> bool {
    name.strip_prefix(own.as_bytes()).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'_'))
}

/// The signed passes in a `Cookie` header, most specific path first, as browsers send them. Not yet verified.
pub fn in_cookies(header: &str) -> impl Iterator<Item = &str> {
    values(header, is_pass_cookie)
}

/// The values that cookies of a name have in a `Cookie` header, in its order.
pub fn values_in_cookies<'a>(header: &'a str, wanted: &'static str) -> impl Iterator<Item = &'a str> {
    values(header, move |name| name == wanted.as_bytes())
}

/// The signed payments that may be asked back, in a `Cookie` header. Not yet verified.
pub fn refunds_in_cookies(header: &str) -> impl Iterator<Item = &str> {
    values(header, is_refund_cookie)
}

/// The signed fares in a `Cookie` header. Not yet verified.
pub fn fares_in_cookies(header: &str) -> impl Iterator<Item = &str> {
    values(header, |name| is_named(name, FARE_COOKIE))
}

fn values(header: &str, is_meant: impl Fn(&[u8]) -> bool) -> impl Iterator<Item = &str> {
    header.split(';').filter_map(move |pair| {
        let (name, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
        (is_meant(name.as_bytes()) && !value.is_empty()).then_some(value)
    })
}

/// A `Cookie` header without our passes and fares, for the upstream; `None` if nothing is left.
pub fn without_passes(header: &str) -> Option<String> {
    let others = |pair: &&str| pair.split_once('=').is_none_or(|(name, _)| !is_own_cookie(name.as_bytes()));
    let kept: Vec<_> =
        header.split(';').map(str::trim).filter(|pair| !pair.is_empty()).filter(others).collect();
    (!kept.is_empty()).then(|| kept.join("; "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Receipt;

    fn pass() -> Pass {
        Pass {
            payment: "ab".into(),
            scope: "GET /a/*".into(),
            expires: Timestamp::from_secs(100),
            checked: false,
            bought: None,
        }
    }

    #[test]
    fn a_pass_ends() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let text = pass().sign(&key).unwrap();
        let at = |secs| Pass::verify(&text, &key.verifying_key(), Timestamp::from_secs(secs));
        assert_eq!(at(99), Ok(pass()));
        assert_eq!(at(100).unwrap_err().code(), "signed-text-ended");
        let other = SigningKey::from_bytes(&[2; 32]).verifying_key();
        let error = Pass::verify(&text, &other, Timestamp::from_secs(0)).unwrap_err();
        assert_eq!(error.code(), "signed-text-key");
        assert_eq!(Receipt::verify(&text, None).unwrap_err().code(), "signed-text-type");
    }

    #[test]
    fn cookies_carry_passes() {
        let now = Timestamp::from_secs(40);
        let cookie = pass().set_cookie("a.b.c", "/a/", true, now);
        assert_eq!(cookie, "farthing_pass=a.b.c; Path=/a/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        let cookie = pass().set_cookie("a.b.c", "/a; Domain=evil", false, now);
        assert_eq!(cookie, "farthing_pass=a.b.c; Path=/; Max-Age=60; HttpOnly; SameSite=Lax");

        let header = "session=1; farthing_pass=a.b.c;farthing_pass=; xfarthing_pass=z; farthing_pass=d";
        assert_eq!(in_cookies(header).collect::<Vec<_>>(), ["a.b.c", "d"]);
        assert_eq!(without_passes(header).as_deref(), Some("session=1; xfarthing_pass=z"));
        assert_eq!(without_passes("farthing_pass=a.b.c"), None);
    }

    #[test]
    fn what_was_bought_has_a_cookie_of_its_own() {
        let bought =
            Bought { plan: "day".into(), covers: vec!["/a/**".into()], methods: Vec::new(), uses: None };
        let pass = Pass { bought: Some(bought), ..pass() };
        let now = Timestamp::from_secs(40);
        let cookie = pass.set_cookie("a.b.c", "/a/", false, now);
        assert_eq!(cookie, "farthing_pass_day=a.b.c; Path=/; Max-Age=60; HttpOnly; SameSite=Lax");
        let fare = Fare { fare: "ab".into(), plan: "day".into(), expires: Timestamp::from_secs(100) };
        let cookie = fare.set_cookie("d.e.f", true, now);
        assert_eq!(cookie, "farthing_fare_day=d.e.f; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");

        assert_eq!(
            pass.forget_cookie(false),
            "farthing_pass_day=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
        );

        let header = "a=1; farthing_pass_day=a.b.c; farthing_fare_day=d.e.f; farthing_refund_ab=g; farthing_passport=x";
        assert_eq!(refunds_in_cookies(header).collect::<Vec<_>>(), ["g"]);
        assert_eq!(in_cookies(header).collect::<Vec<_>>(), ["a.b.c"]);
        assert_eq!(fares_in_cookies(header).collect::<Vec<_>>(), ["d.e.f"]);
        assert_eq!(without_passes(header).as_deref(), Some("a=1; farthing_passport=x"));

        let key = SigningKey::from_bytes(&[1; 32]);
        let verify = |text: &str| Fare::verify(text, &key.verifying_key(), now);
        assert_eq!(verify(&fare.sign(&key).unwrap()), Ok(fare.clone()));
        assert_eq!(verify(&pass.sign(&key).unwrap()).unwrap_err().code(), "signed-text-type");
        let late = Fare::verify(&fare.sign(&key).unwrap(), &key.verifying_key(), fare.expires);
        assert_eq!(late.unwrap_err().code(), "signed-text-ended");
    }

    proptest! {
        #[test]
        fn sign_and_verify_are_inverse(payment: String, scope: String, checked: bool, millis in 1u64..200_000_000_000_000) {
            let key = SigningKey::from_bytes(&[1; 32]);
            let pass = Pass { payment, scope, expires: Timestamp::from_millis(millis), checked, bought: None };
            let text = pass.sign(&key).unwrap();
            let cookie = pass.set_cookie(&text, "/", true, Timestamp::from_millis(0));
            let sent = cookie.split(';').next().unwrap();
            let found = in_cookies(sent).next().unwrap();
            prop_assert_eq!(Pass::verify(found, &key.verifying_key(), Timestamp::from_millis(0)), Ok(pass));
        }

        #[test]
        fn any_cookie_is_no_panic(header: String) {
            let kept = without_passes(&header).unwrap_or_default();
            prop_assert_eq!(in_cookies(&kept).count(), 0);
        }
    }
}
