//! HTTP message signatures (RFC 9421) as crawlers make them to say who they are (Web Bot Auth): Ed25519, the tag `web-bot-auth`,
//! and a key that is named by its thumbprint (RFC 7638).

use std::fmt::Write as _;

use ed25519_dalek::{Signature, VerifyingKey};
use farthing_money::{Span, Timestamp};
use serde::Deserialize;
use sfv::{BareItem, Dictionary, FieldType, InnerList, Item, ListEntry, Parser};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::b64;

/// What such a signature is for.
const TAG: &str = "web-bot-auth";
/// Signatures that hold longer than this are not believed.
const LIFETIME_MOST: Span = Span::from_secs(24 * 3_600);
/// How far the signer's clock may be ahead of ours.
const SKEW: Span = Span::from_secs(60);
/// Of a field that is longer, nothing is read.
const FIELD_BYTES_MAX: usize = 4_096;
const COMPONENTS_MAX: usize = 32;
/// The fields of a request.
pub const SIGNATURE_INPUT: &str = "Signature-Input";
/// The signatures themselves.
pub const SIGNATURE: &str = "Signature";
const SIGNATURE_AGENT: &str = "signature-agent";

/// What of a request may be signed.
pub struct Message<'a> {
    /// The method.
    pub method: &'a str,
    /// `https` or `http`.
    pub scheme: &'a str,
    /// The host, in lower case, with its port if that is unusual.
    pub authority: &'a str,
    /// The path.
    pub path: &'a str,
    /// The query without its mark.
    pub query: Option<&'a str>,
    /// The values of a field by its name in lower case, joined as RFC 9421 says; nothing if there is none.
    pub field: &'a dyn Fn(&str) -> Option<String>,
}

/// Who has signed a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBy {
    /// The thumbprint of the key.
    pub keyid: String,
    /// What no other signature of this key has: its nonce, or the signature itself.
    pub once: Vec<u8>,
    /// Until when it holds.
    pub expires: Timestamp,
}

/// Why a signature says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// No signature of a bot.
    #[error("expected a signature with the tag web-bot-auth, got none")]
    None,
    /// The fields cannot be read.
    #[error("the fields Signature-Input and Signature cannot be read, or name what is not there")]
    Malformed,
    /// It does not cover what it must.
    #[error("expected a signature over @authority, and over signature-agent where that is sent")]
    Uncovered,
    /// Its time is over, or has not come.
    #[error("the signature does not hold now: expected created and expires, at most a day apart")]
    Time,
    /// Another algorithm.
    #[error("expected the algorithm ed25519, got another")]
    Algorithm,
    /// Nobody knows the key.
    #[error("nobody knows the key")]
    UnknownKey,
    /// It is wrong.
    #[error("the signature is wrong")]
    Wrong,
}

/// A key of a directory (a JWK set).
#[derive(Clone, Debug, Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    x: String,
}

#[derive(Deserialize)]
struct Directory {
    keys: Vec<Jwk>,
}

/// Why a text is no directory of keys.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// Not JSON of that shape.
    #[error(
        "expected a JWK set such as {{\"keys\":[{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"..\"}}]}}: {0}"
    )]
    Json(#[from] serde_json::Error),
    /// None of the keys can be used.
    #[error("expected an Ed25519 key in the JWK set, got none")]
    Empty,
}

/// The thumbprints and keys of a directory. Keys of other kinds are passed over.
pub fn directory(text: &str) -> Result<Vec<(String, VerifyingKey)>, DirectoryError> {
    let directory: Directory = serde_json::from_str(text)?;
    let ours = directory.keys.iter().filter(|key| key.kty == "OKP" && key.crv == "Ed25519");
    let keys = ours.filter_map(|key| {
        let bytes: [u8; 32] = b64::decode_any(&key.x)?.try_into().ok()?;
        let key = VerifyingKey::from_bytes(&bytes).ok()?;
        Some((thumbprint(&key), key))
    });
    let keys: Vec<_> = keys.collect();
    if keys.is_empty() { Err(DirectoryError::Empty) } else { Ok(keys) }
}

/// The thumbprint of a key (RFC 7638, RFC 8037).
pub fn thumbprint(key: &VerifyingKey) -> String {
    let x = b64::encode(key.as_bytes());
    b64::encode(&Sha256::digest(format!("{{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"{x}\"}}")))
}

/// Who has signed a request as a bot, if the signature is good.
pub fn verify_bot(
    message: &Message<'_>,
    now: Timestamp,
    key_of: impl Fn(&str) -> Option<VerifyingKey>,
) -> Result<SignedBy, SignatureError> {
    let field = |name: &str| {
        let text = (message.field)(name).ok_or(SignatureError::None)?;
        if text.len() > FIELD_BYTES_MAX {
            return Err(SignatureError::Malformed);
        }
        Parser::new(&text).parse::<Dictionary>().map_err(|_| SignatureError::Malformed)
    };
    let (inputs, signatures) = (field("signature-input")?, field("signature")?);
    let is_bots = |entry: &ListEntry| match entry {
        ListEntry::InnerList(list) => text_of(list, "tag").is_some_and(|tag| tag == TAG),
        ListEntry::Item(_) => false,
    };
    let (label, entry) = inputs.iter().find(|(_, entry)| is_bots(entry)).ok_or(SignatureError::None)?;
    let ListEntry::InnerList(input) = entry else { return Err(SignatureError::None) };
    let Some(ListEntry::Item(signature)) = signatures.get(label) else {
        return Err(SignatureError::Malformed);
    };
    let bytes = signature.bare_item.as_byte_sequence().ok_or(SignatureError::Malformed)?;
    let expires = holds(input, now)?;
    if text_of(input, "alg").is_some_and(|alg| alg != "ed25519") {
        return Err(SignatureError::Algorithm);
    }
    let covers = |name: &str| input.items.iter().any(|item| name_of(item) == Some(name));
    if !covers("@authority") || (message.field)(SIGNATURE_AGENT).is_some() && !covers(SIGNATURE_AGENT) {
        return Err(SignatureError::Uncovered);
    }
    let keyid = text_of(input, "keyid").ok_or(SignatureError::Malformed)?;
    let key = key_of(keyid).ok_or(SignatureError::UnknownKey)?;
    verify(message, input, bytes, &key)?;
    let once = text_of(input, "nonce").map_or_else(|| bytes.to_vec(), |nonce| nonce.as_bytes().to_vec());
    Ok(SignedBy { keyid: keyid.to_owned(), once, expires })
}

/// Whether a signature over these components is the key's.
fn verify(
    message: &Message<'_>,
    input: &InnerList,
    signature: &[u8],
    key: &VerifyingKey,
) -> Result<(), SignatureError> {
    let base = base(message, input).ok_or(SignatureError::Malformed)?;
    let signature = Signature::from_slice(signature).map_err(|_| SignatureError::Wrong)?;
    key.verify_strict(base.as_bytes(), &signature).map_err(|_| SignatureError::Wrong)
}

/// Until when it holds, if it does now.
fn holds(input: &InnerList, now: Timestamp) -> Result<Timestamp, SignatureError> {
    let time = |name: &str| {
        let secs = input.params.get(name).and_then(BareItem::as_integer).map(i64::from);
        let secs = secs.and_then(|secs| u64::try_from(secs).ok()).ok_or(SignatureError::Time)?;
        Ok(Timestamp::from_secs(secs))
    };
    let (created, expires) = (time("created")?, time("expires")?);
    let good = created <= now.after(SKEW) && now < expires && expires.since(created) <= LIFETIME_MOST;
    if good { Ok(expires) } else { Err(SignatureError::Time) }
}

/// The text that is signed (RFC 9421, 2.5); nothing if it covers what is not there, or what we cannot make.
fn base(message: &Message<'_>, input: &InnerList) -> Option<String> {
    if input.items.len() > COMPONENTS_MAX {
        return None;
    }
    let mut base = String::new();
    let mut seen = Vec::new();
    for item in &input.items {
        let line = item.serialize();
        let value = component(message, item)?;
        if seen.contains(&line) || value.contains('\n') {
            return None;
        }
        writeln!(base, "{line}: {value}").ok()?;
        seen.push(line);
    }
    let params = vec![ListEntry::InnerList(input.clone())].serialize()?;
    write!(base, "\"@signature-params\": {params}").ok()?;
    Some(base)
}

fn component(message: &Message<'_>, item: &Item) -> Option<String> {
    let name = name_of(item)?;
    let query = message.query.map(|query| format!("?{query}"));
    if let Some(key) = item.params.get("key").filter(|_| item.params.len() == 1 && !name.starts_with('@')) {
        let field = (message.field)(name)?;
        let field = Parser::new(&field).parse::<Dictionary>().ok()?;
        let member = field.get(key.as_string()?.as_str())?;
        return vec![member.clone()].serialize();
    }
    if !item.params.is_empty() {
        return None;
    }
    let (scheme, authority, path) = (message.scheme, message.authority, message.path);
    Some(match name {
        "@method" => message.method.to_owned(),
        "@scheme" => scheme.to_owned(),
        "@authority" => authority.to_owned(),
        "@path" => path.to_owned(),
        "@query" => query.unwrap_or_else(|| "?".to_owned()),
        "@request-target" => format!("{path}{}", query.unwrap_or_default()),
        "@target-uri" => format!("{scheme}://{authority}{path}{}", query.unwrap_or_default()),
        derived if derived.starts_with('@') => return None,
        field => (message.field)(field)?,
    })
}

fn name_of(item: &Item) -> Option<&str> {
    item.bare_item.as_string().map(sfv::StringRef::as_str)
}

fn text_of<'a>(input: &'a InnerList, name: &str) -> Option<&'a str> {
    input.params.get(name).and_then(BareItem::as_string).map(sfv::StringRef::as_str)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};
    use proptest::prelude::*;

    use super::*;

    /// RFC 9421, B.1.4.
    const SECRET: &str = "n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU";
    const PUBLIC: &str = "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs";
    const THUMBPRINT: &str = "poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U";
    const NOW: Timestamp = Timestamp::from_secs(1_735_689_700);

    fn key() -> VerifyingKey {
        directory(&format!(
            "{{\"keys\":[{{\"kty\":\"RSA\"}},{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"{PUBLIC}\"}}]}}"
        ))
        .unwrap()
        .remove(0)
        .1
    }

    fn signer() -> SigningKey {
        SigningKey::from_bytes(&b64::decode_exact(SECRET).unwrap().try_into().unwrap())
    }

    fn message(field: &dyn Fn(&str) -> Option<String>) -> Message<'_> {
        let (method, scheme, authority) = ("POST", "https", "example.com");
        Message { method, scheme, authority, path: "/foo", query: Some("param=Value&Pet=dog"), field }
    }

    /// The signature of RFC 9421, B.2.6.
    #[test]
    fn the_rfc_s_ed25519_signature_is_good() {
        let field = |name: &str| {
            let value = match name {
                "date" => "Tue, 20 Apr 2021 02:07:55 GMT",
                "content-type" => "application/json",
                "content-length" => "18",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let input = r#"("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#;
        let signature =
            "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
        let mut list: sfv::List = Parser::new(input).parse().unwrap();
        let ListEntry::InnerList(list) = list.remove(0) else { unreachable!() };
        let signature = b64::decode_any(signature).unwrap();
        assert_eq!(verify(&message(&field), &list, &signature, &key()), Ok(()));
        let other = |name: &str| if name == "date" { Some("today".to_owned()) } else { field(name) };
        assert_eq!(verify(&message(&other), &list, &signature, &key()), Err(SignatureError::Wrong));
        assert_eq!(verify(&message(&|_| None), &list, &signature, &key()), Err(SignatureError::Malformed));
    }

    #[test]
    fn a_key_has_the_thumbprint_that_the_draft_says() {
        assert_eq!(thumbprint(&key()), THUMBPRINT);
        assert_eq!(signer().verifying_key(), key());
        for bad in
            ["", "{}", "{\"keys\":[]}", "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}]}"]
        {
            assert!(directory(bad).is_err(), "{bad}");
        }
    }

    /// Signs as a crawler does, over these components.
    fn signed(
        components: &str,
        params: &str,
        agent: Option<&str>,
    ) -> impl Fn(&str) -> Option<String> + Clone + use<> {
        let input = format!("({components}){params}");
        let agent = agent.map(str::to_owned);
        let plain = agent.clone();
        let field = move |name: &str| (name == SIGNATURE_AGENT).then(|| plain.clone()).flatten();
        let mut list: sfv::List = Parser::new(&input).parse().unwrap();
        let ListEntry::InnerList(list) = list.remove(0) else { unreachable!() };
        let base = base(&message(&field), &list).unwrap();
        let signature = b64::encode_standard(&signer().sign(base.as_bytes()).to_bytes());
        move |name: &str| match name {
            "signature-input" => Some(format!("other=(\"date\");keyid=\"x\", sig1={input}")),
            "signature" => Some(format!("sig1=:{signature}:")),
            SIGNATURE_AGENT => agent.clone(),
            _ => None,
        }
    }

    fn params(more: &str) -> String {
        format!(
            ";created=1735689600;expires=1735693200;keyid=\"{THUMBPRINT}\";alg=\"ed25519\";nonce=\"n1\"{more}"
        )
    }

    fn judge(field: &dyn Fn(&str) -> Option<String>, now: Timestamp) -> Result<SignedBy, SignatureError> {
        verify_bot(&message(field), now, |keyid| (keyid == THUMBPRINT).then(key))
    }

    #[test]
    fn a_crawler_s_signature_is_believed_for_its_time() {
        let good = params(";tag=\"web-bot-auth\"");
        let agent = Some("\"https://bot.example\"");
        for field in [
            signed("\"@authority\" \"signature-agent\"", &good, agent),
            signed("\"@authority\"", &good, None),
        ] {
            let by = judge(&field, NOW).unwrap();
            let expires = Timestamp::from_secs(1_735_693_200);
            assert_eq!(by, SignedBy { keyid: THUMBPRINT.into(), once: b"n1".to_vec(), expires });
            assert_eq!(judge(&field, expires), Err(SignatureError::Time));
            assert_eq!(judge(&field, Timestamp::from_secs(1_735_689_500)), Err(SignatureError::Time));
        }
        let keyed =
            signed("\"@authority\" \"signature-agent\";key=\"a\"", &good, Some("a=\"https://bot.example\""));
        assert!(judge(&keyed, NOW).is_ok());
    }

    #[test]
    fn forgeries_and_gaps_are_told_apart() {
        let tagged = |more: &str| params(&format!("{more};tag=\"web-bot-auth\""));
        let authority = "\"@authority\"";
        let of = |components: &str, params: &str, agent| {
            judge(&signed(components, params, agent), NOW).unwrap_err()
        };
        assert_eq!(of(authority, &params(""), None), SignatureError::None, "of no bot");
        assert_eq!(of("\"@method\"", &tagged(""), None), SignatureError::Uncovered);
        assert_eq!(of(authority, &tagged(""), Some("\"https://bot.example\"")), SignatureError::Uncovered);
        let with = |from: &str, to: &str| tagged("").replace(from, to);
        assert_eq!(of(authority, &with("1735693200", "1735776001"), None), SignatureError::Time, "too long");
        assert_eq!(of(authority, &with(";expires=1735693200", ""), None), SignatureError::Time);
        assert_eq!(of(authority, &with("ed25519", "hmac-sha256"), None), SignatureError::Algorithm);
        assert_eq!(of(authority, &with(THUMBPRINT, "x"), None), SignatureError::UnknownKey);
        let good = signed(authority, &tagged(""), None);
        for (wanted, from, to) in [
            ("signature-input", "n1", "n2"),
            ("signature-input", "1735693200", "1735693201"),
            ("signature-input", "\"@authority\"", "\"@authority\" \"@path\""),
            ("signature", "=:", "=:AAAA"),
        ] {
            let forged = |name: &str| {
                let value = good(name)?;
                Some(if name == wanted { value.replacen(from, to, 1) } else { value })
            };
            assert_eq!(judge(&forged, NOW).unwrap_err(), SignatureError::Wrong, "{from} {to}");
        }
        let elsewhere = Message { authority: "other.example", ..message(&good) };
        assert_eq!(verify_bot(&elsewhere, NOW, |_| Some(key())), Err(SignatureError::Wrong));
        assert_eq!(judge(&|_| None, NOW), Err(SignatureError::None));
    }

    proptest! {
        #[test]
        fn any_fields_are_no_panic(input: String, signature: String) {
            let field = |name: &str| match name {
                "signature-input" => Some(input.clone()),
                "signature" => Some(signature.clone()),
                _ => None,
            };
            prop_assert!(judge(&field, NOW).is_err());
        }
    }
}
