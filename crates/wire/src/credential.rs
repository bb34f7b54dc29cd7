//! The credential: what a payer sends, found among a request's headers. At most one; two are a mistake that must not
//! cost the payer twice, so they are refused and nothing is taken.

use thiserror::Error;

use crate::header::{AUTHORIZATION, CREDENTIAL_LIMIT_BYTES, PAYMENT_AUTHORIZATION, PAYMENT_SCHEME, X_CASHU};
use crate::mpp::credit::{self, CreditError, Payload};
use crate::mpp::{self, CredentialTextError};

const TOKEN_PREFIX: &str = "cashu";

/// What pays. Shown by no `Debug`: it is money.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Cashu NUT-24: a token in `X-Cashu`.
    Cashu {
        /// The token, `cashuB..`, not yet read.
        token: String,
    },
    /// MPP with our method `credit`.
    Credit {
        /// The echoed challenge, not yet verified.
        challenge: Box<mpp::Challenge>,
        /// The token and the outputs for change.
        payload: Payload,
    },
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({})", self.dialect())
    }
}

/// Why the credential of a request is refused. No message repeats it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CredentialError {
    /// Two that differ.
    #[error("expected one credential, got several that differ; nothing was taken, send only one")]
    Several,
    /// Longer than is read.
    #[error(
        "expected {field} of at most {limit} bytes, got {got}; nothing was taken, pay with fewer, larger credits"
    )]
    TooLong {
        /// The header.
        field: &'static str,
        /// The limit.
        limit: usize,
        /// What came.
        got: usize,
    },
    /// A header that is not what it should be.
    #[error("expected {field} to hold {expected}; nothing was taken")]
    Malformed {
        /// The header.
        field: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// A method that we do not offer.
    #[error(
        "expected the method credit with the intent charge, got {method} with {intent}; nothing was taken"
    )]
    Method {
        /// What came.
        method: String,
        /// What came.
        intent: String,
    },
}

impl CredentialError {
    /// The stable code of the refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Several => "credential-several",
            Self::TooLong { .. } => "credential-too-long",
            Self::Malformed { .. } => "credential-malformed",
            Self::Method { .. } => "credential-method-unsupported",
        }
    }
}

impl Credential {
    /// The dialect's name, as receipts write it.
    pub fn dialect(&self) -> &'static str {
        match self {
            Self::Cashu { .. } => "cashu",
            Self::Credit { .. } => "mpp",
        }
    }

    /// The token that pays.
    pub fn token(&self) -> &str {
        match self {
            Self::Cashu { token } => token,
            Self::Credit { payload, .. } => &payload.token,
        }
    }

    /// The credential of a request, given all values of the three headers that may carry one, within the usual limit.
    pub fn from_headers(
        x_cashu: &[&[u8]],
        authorization: &[&[u8]],
        payment_authorization: &[&[u8]],
    ) -> Result<Option<Self>, CredentialError> {
        Self::from_headers_within(CREDENTIAL_LIMIT_BYTES, x_cashu, authorization, payment_authorization)
    }

    /// The same, within a limit of the operator's.
    pub fn from_headers_within(
        limit: usize,
        x_cashu: &[&[u8]],
        authorization: &[&[u8]],
        payment_authorization: &[&[u8]],
    ) -> Result<Option<Self>, CredentialError> {
        let mut found = Vec::new();
        for value in x_cashu {
            read_cashu(value, limit, &mut found)?;
        }
        for value in authorization.iter().filter(|value| is_payment(value)) {
            found.extend(read_payment(AUTHORIZATION, value, limit)?);
        }
        for value in payment_authorization {
            found.extend(read_payment(PAYMENT_AUTHORIZATION, value, limit)?);
        }
        // The same one twice, as some proxies join fields, is one.
        let mut found = found.into_iter();
        let first = found.next();
        if found.all(|other| first.as_ref() == Some(&other)) {
            Ok(first)
        } else {
            Err(CredentialError::Several)
        }
    }
}

/// Whether a value of `Authorization` holds a credential for us: such a value never goes to the upstream, every other
/// does.
pub fn is_payment(authorization: &[u8]) -> bool {
    let text = String::from_utf8_lossy(authorization);
    mpp::schemes(&text).iter().any(|scheme| scheme.is(PAYMENT_SCHEME))
}

fn read_cashu(value: &[u8], limit: usize, found: &mut Vec<Credential>) -> Result<(), CredentialError> {
    let malformed = CredentialError::Malformed { field: X_CASHU, expected: "a token, cashuB.." };
    let value = std::str::from_utf8(value).map_err(|_| malformed.clone())?;
    for token in value.split(',').map(str::trim).filter(|token| !token.is_empty()) {
        if token.len() > limit {
            return Err(CredentialError::TooLong { field: X_CASHU, limit, got: token.len() });
        }
        let sound = token.starts_with(TOKEN_PREFIX) && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !sound {
            return Err(malformed);
        }
        found.push(Credential::Cashu { token: token.to_owned() });
    }
    Ok(())
}

fn read_payment(
    field: &'static str,
    value: &[u8],
    limit: usize,
) -> Result<Option<Credential>, CredentialError> {
    let malformed = |expected| CredentialError::Malformed { field, expected };
    let expected = "`Payment` and base64url of a credential's JSON";
    let text = std::str::from_utf8(value).map_err(|_| malformed(expected))?;
    let credential = match mpp::Credential::decode(text, limit) {
        Ok(None) if text.trim().is_empty() => return Ok(None),
        Ok(credential) => credential.ok_or_else(|| malformed(expected))?,
        Err(CredentialTextError::TooLong { limit, got }) => {
            return Err(CredentialError::TooLong { field, limit, got });
        }
        Err(CredentialTextError::Several) => return Err(CredentialError::Several),
        Err(CredentialTextError::Malformed | CredentialTextError::Json(_)) => {
            return Err(malformed(expected));
        }
    };
    if !credit::is_credit_charge(&credential.challenge) {
        let method = crate::beginning(&credential.challenge.method);
        let intent = crate::beginning(&credential.challenge.intent);
        return Err(CredentialError::Method { method, intent });
    }
    let payload = Payload::from_json(credential.payload)
        .map_err(|_: CreditError| malformed("a payload of token and outputs"))?;
    Ok(Some(Credential::Credit { challenge: Box::new(credential.challenge), payload }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn payment(method: &str, payload: serde_json::Value) -> String {
        let request = json!({});
        let draft = mpp::Draft {
            realm: "r",
            method,
            intent: "charge",
            request: &request,
            expires: None,
            digest: None,
            header: None,
            opaque: None,
            description: None,
        };
        let challenge = mpp::Challenge::issue(&[1; 32], &draft).unwrap();
        mpp::Credential { challenge, source: None, payload }.encode().unwrap()
    }

    fn read(
        x_cashu: &[&str],
        authorization: &[&str],
        other: &[&str],
    ) -> Result<Option<Credential>, CredentialError> {
        fn all<'a>(values: &[&'a str]) -> Vec<&'a [u8]> {
            values.iter().map(|value| value.as_bytes()).collect()
        }
        Credential::from_headers(&all(x_cashu), &all(authorization), &all(other))
    }

    #[test]
    fn one_credential_is_found_where_it_may_stand() {
        let credit = payment("credit", json!({"token": "cashuBx"}));
        assert_eq!(read(&[], &[], &[]), Ok(None));
        assert_eq!(read(&["cashuBx"], &[], &[]), Ok(Some(Credential::Cashu { token: "cashuBx".into() })));
        for (authorization, other) in
            [(&[credit.as_str()][..], &[][..]), (&["Basic eA=="], &[credit.as_str()])]
        {
            let found = read(&[], authorization, other).unwrap().unwrap();
            assert_eq!((found.dialect(), found.token()), ("mpp", "cashuBx"));
        }
    }

    #[test]
    fn logins_are_left_alone() {
        for login in [
            "Basic dXNlcjpw",
            "Bearer abc.def",
            "Digest username=\"a, Payment b\"",
            "AWS4-HMAC-SHA256 x=y",
            "",
        ] {
            assert_eq!(read(&[], &[login], &[]), Ok(None), "{login}");
            assert!(!is_payment(login.as_bytes()), "{login}");
        }
        assert_eq!(Credential::from_headers(&[], &[b"Basic \xff\xfe"], &[]), Ok(None));
        assert!(is_payment(b"pAyMeNt \xff"));
    }

    #[test]
    fn two_that_differ_are_refused() {
        let (a, b) =
            (payment("credit", json!({"token": "cashuBx"})), payment("credit", json!({"token": "cashuBy"})));
        let cases: [(&[&str], &[&str], &[&str]); 6] = [
            (&["cashuBx", "cashuBy"], &[], &[]),
            (&["cashuBx, cashuBy"], &[], &[]),
            (&["cashuBx"], &[&a], &[]),
            (&[], &[&a, &b], &[]),
            (&[], &[&a], &[&b]),
            (&[], &[&format!("{a}, {b}")], &[]),
        ];
        for (x_cashu, authorization, other) in cases {
            let error = read(x_cashu, authorization, other).unwrap_err();
            assert_eq!(error.code(), "credential-several", "{x_cashu:?}");
        }
        assert!(read(&["cashuBx", "cashuBx"], &[], &[]).unwrap().is_some(), "the same twice is one");
        assert!(read(&[], &[&a], &[&a]).unwrap().is_some());
    }

    #[test]
    fn unsound_credentials_are_refused_without_showing_them() {
        let code = |result: Result<Option<Credential>, CredentialError>| {
            let error = result.unwrap_err();
            assert!(!format!("{error} {error:?}").contains("SECRET"));
            error.code()
        };
        assert_eq!(code(read(&["SECRET"], &[], &[])), "credential-malformed");
        assert_eq!(code(read(&["cashuB SECRET"], &[], &[])), "credential-malformed");
        assert_eq!(code(Credential::from_headers(&[b"cashuB\xff"], &[], &[])), "credential-malformed");
        assert_eq!(code(Credential::from_headers(&[], &[b"Payment \xff"], &[])), "credential-malformed");
        assert_eq!(code(read(&[], &["Payment SECRET!"], &[])), "credential-malformed");
        assert_eq!(code(read(&[], &[], &["Basic SECRET"])), "credential-malformed");
        let long = format!("cashuB{}", "x".repeat(CREDENTIAL_LIMIT_BYTES));
        assert_eq!(code(read(&[&long], &[], &[])), "credential-too-long");
        let long = payment("credit", json!({ "token": long }));
        assert_eq!(code(read(&[], &[&long], &[])), "credential-too-long");
        let other = payment("tempo", json!({"token": "SECRET"}));
        assert_eq!(code(read(&[], &[&other], &[])), "credential-method-unsupported");
        let shape = payment("credit", json!({"cash": "SECRET"}));
        assert_eq!(code(read(&[], &[&shape], &[])), "credential-malformed");
        let shown = format!("{:?}", Credential::Cashu { token: "SECRET".into() });
        assert!(!shown.contains("SECRET"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_panic(bytes: Vec<u8>, text: String) {
            let payment = format!("Payment {text}");
            let _ = Credential::from_headers(&[&bytes], &[], &[]);
            let _ = Credential::from_headers(&[], &[&bytes, payment.as_bytes()], &[&bytes]);
        }
    }
}
