//! `sign-in-with-x`: who has paid before proves with a signed message (EIP-4361) that he is the one, and need not pay
//! again. The proof comes in the header `SIGN-IN-WITH-X`. Signatures, times and nonces are checked elsewhere.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::{X402Error, eip155_chain_id, field};
use super::{document_schema, of_type};

/// The extension's name.
pub const NAME: &str = "sign-in-with-x";

const WHAT: &str = "a sign-in of x402";
const LIMIT_BYTES: usize = 16 * 1024;

/// What the message says, apart from who signs it on which chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignInInfo {
    /// The host that asks, with its port if that is unusual.
    pub domain: String,
    /// The address of the resource.
    pub uri: String,
    /// The version of the message: `1`.
    pub version: String,
    /// Used once; at least eight letters and digits.
    pub nonce: String,
    /// When it was asked, RFC 3339.
    pub issued_at: String,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_time: Option<String>,
    /// When it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// A sentence for the signer, of one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// The asker's own mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What it opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<String>>,
}

/// The proof. Shown by no `Debug`: whoever has it is let in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignIn {
    /// What was signed.
    #[serde(flatten)]
    pub info: SignInInfo,
    /// Who signed, as the message writes him.
    pub address: String,
    /// The network by CAIP-2.
    pub chain_id: String,
    /// How it was signed: `eip191` on chains of Ethereum's kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// A hint how to check it, such as `eip1271`. Nothing depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_scheme: Option<String>,
    /// The signature.
    pub signature: String,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("domain", &crate::beginning(&self.info.domain)).finish_non_exhaustive()
    }
}

/// What an offer declares: the message to sign, and the networks on which it may be signed.
pub fn declare(info: &SignInInfo, networks: &[&str]) -> Value {
    let chains: Vec<Value> =
        networks.iter().map(|network| json!({"chainId": network, "type": "eip191"})).collect();
    let text = |name| (name, of_type("string"));
    let time = |name| (name, json!({"type": "string", "format": "date-time"}));
    let members = [
        text("domain"),
        text("address"),
        text("statement"),
        ("uri", json!({"type": "string", "format": "uri"})),
        text("version"),
        text("chainId"),
        text("type"),
        text("nonce"),
        time("issuedAt"),
        time("expirationTime"),
        time("notBefore"),
        text("requestId"),
        ("resources", json!({"type": "array", "items": {"type": "string", "format": "uri"}})),
        text("signature"),
    ];
    let required =
        ["domain", "address", "uri", "version", "chainId", "type", "nonce", "issuedAt", "signature"];
    json!({"info": info, "supportedChains": chains, "schema": document_schema(members, &required)})
}

impl SignIn {
    /// The value of `SIGN-IN-WITH-X`.
    pub fn to_header(&self) -> Result<String, X402Error> {
        Ok(field::to_field(&field::to_json(self, WHAT)?))
    }

    /// Reads a value of `SIGN-IN-WITH-X`.
    pub fn from_header(value: &str) -> Result<Self, X402Error> {
        let json = field::from_field(value, LIMIT_BYTES, WHAT)?;
        let read: Self = field::from_json(&json, LIMIT_BYTES, WHAT)?;
        read.check()?;
        Ok(read)
    }

    /// A line break in a member could make one message look like another.
    fn check(&self) -> Result<(), X402Error> {
        let info = &self.info;
        let must = [
            &info.domain,
            &info.uri,
            &info.version,
            &info.nonce,
            &info.issued_at,
            &self.address,
            &self.chain_id,
        ];
        let may = [&info.expiration_time, &info.not_before, &info.statement, &info.request_id]
            .into_iter()
            .flatten();
        let mut all = must.into_iter().chain(may).chain(info.resources.iter().flatten());
        if all.any(|text| text.contains(['\n', '\r'])) {
            return Err(X402Error::Member { member: "sign-in-with-x", expected: "texts of one line" });
        }
        Ok(())
    }

    /// The text that was signed, by EIP-4361; `None` on networks that are not of Ethereum's kind.
    pub fn message(&self) -> Option<String> {
        let chain_id = eip155_chain_id(&self.chain_id)?.to_string();
        let info = &self.info;
        let mut text =
            format!("{} wants you to sign in with your Ethereum account:\n{}\n\n", info.domain, self.address);
        if let Some(statement) = &info.statement {
            text.push_str(statement);
            text.push('\n');
        }
        text.push('\n');
        let lines = [
            ("URI", Some(&info.uri)),
            ("Version", Some(&info.version)),
            ("Chain ID", Some(&chain_id)),
            ("Nonce", Some(&info.nonce)),
            ("Issued At", Some(&info.issued_at)),
            ("Expiration Time", info.expiration_time.as_ref()),
            ("Not Before", info.not_before.as_ref()),
            ("Request ID", info.request_id.as_ref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}: {}", value?)));
        let resources = info.resources.iter().flatten().map(|resource| format!("- {resource}"));
        let head = info.resources.as_ref().map(|_| "Resources:".to_owned());
        text.push_str(&lines.chain(head).chain(resources).collect::<Vec<_>>().join("\n"));
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sign_in() -> SignIn {
        let info = SignInInfo {
            domain: "shop.example".into(),
            uri: "https://shop.example/page".into(),
            version: "1".into(),
            nonce: "0123456789abcdef".into(),
            issued_at: "2026-11-22T09:57:37.943Z".into(),
            ..SignInInfo::default()
        };
        SignIn {
            info,
            address: "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266".into(),
            chain_id: "eip155:84532".into(),
            kind: "eip191".into(),
            signature_scheme: None,
            signature: "0xcdcdcd".into(),
        }
    }

    #[test]
    fn a_sign_in_is_not_shown_and_has_one_meaning() {
        let good = sign_in();
        assert_eq!(SignIn::from_header(&good.to_header().unwrap()), Ok(good.clone()));
        assert!(!format!("{good:?}").contains("cdcd"));
        let changes: [fn(&mut SignIn); 6] = [
            |s| s.info.domain = "a\nb".into(),
            |s| s.info.statement = Some("x\n\nURI: other".into()),
            |s| s.info.resources = Some(vec!["u\r".into()]),
            |s| s.address = "0x\n".into(),
            |s| s.info.request_id = Some("\n".into()),
            |s| s.info.nonce = "\n".into(),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut bad = sign_in();
            change(&mut bad);
            assert_eq!(
                SignIn::from_header(&bad.to_header().unwrap()).unwrap_err().code(),
                "x402-malformed",
                "{index}"
            );
        }
        assert!(SignIn::from_header("e30=").is_err());
        assert_eq!(SignIn::from_header(&"A".repeat(LIMIT_BYTES + 4)).unwrap_err().code(), "x402-too-long");
        let solana = SignIn { chain_id: "solana:5eykt".into(), ..sign_in() };
        assert_eq!(solana.message(), None);
    }

    #[test]
    fn an_offer_names_the_networks() {
        let declared = declare(&sign_in().info, &["eip155:84532", "eip155:8453"]);
        assert_eq!(declared["supportedChains"][1], json!({"chainId": "eip155:8453", "type": "eip191"}));
        assert_eq!(declared["info"]["issuedAt"], "2026-11-22T09:57:37.943Z");
        assert!(declared["info"].get("statement").is_none());
    }

    proptest! {
        #[test]
        fn header_and_sign_in_are_inverse(domain in "\\PC{0,9}", statement in prop::option::of("\\PC{0,9}"), resources in prop::option::of(prop::collection::vec("\\PC{0,9}", 0..3)), signature: String) {
            let mut sign_in = sign_in();
            sign_in.info = SignInInfo { domain, statement, resources, ..sign_in.info };
            sign_in.signature = signature;
            prop_assert_eq!(SignIn::from_header(&sign_in.to_header().unwrap()), Ok(sign_in));
        }

        #[test]
        fn any_bytes_are_no_panic(text: String, bytes: Vec<u8>) {
            let _ = SignIn::from_header(&text);
            prop_assert!(SignIn::from_header(&crate::b64::encode(&bytes)).is_err());
        }
    }
}
