//! Version 1 of x402, which older clients still speak: the offer is the body of the 402, the payment comes in `X-PAYMENT`,
//! and networks have names. It knows `exact` with EIP-3009 only.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    AssetTransferMethod, Eip3009, Extra, Requirements, Resource, SCHEME_EXACT, Uint, X402Error,
    eip155_chain_id, field,
};

/// The version.
pub const VERSION: u64 = 1;

const REQUIRED: &str = "the payment required of x402 version 1";
const PAYLOAD: &str = "a payment payload of x402 version 1";
/// A body can be longer than headers; more is never sent in earnest.
const BODY_BYTES_MOST: usize = 64 * 1024;

/// The networks that version 1 has a name for, and the ids of their chains.
const NETWORKS: [(&str, u64); 23] = [
    ("ethereum", 1),
    ("sepolia", 11_155_111),
    ("abstract", 2_741),
    ("abstract-testnet", 11_124),
    ("base-sepolia", 84_532),
    ("base", 8_453),
    ("avalanche-fuji", 43_113),
    ("avalanche", 43_114),
    ("iotex", 4_689),
    ("sei", 1_329),
    ("sei-testnet", 1_328),
    ("polygon", 137),
    ("polygon-amoy", 80_002),
    ("peaq", 3_338),
    ("story", 1_514),
    ("educhain", 41_923),
    ("skale-base-sepolia", 324_705_682),
    ("megaeth", 4_326),
    ("monad", 143),
    ("stable", 988),
    ("stable-testnet", 2_201),
    ("celo", 42_220),
    ("flare", 14),
];

/// The chain that a name of version 1 stands for.
pub fn chain_id(network: &str) -> Option<u64> {
    NETWORKS.iter().find(|(name, _)| *name == network).map(|(_, id)| *id)
}

/// The name that version 1 has for a chain.
pub fn network_name(chain_id: u64) -> Option<&'static str> {
    NETWORKS.iter().find(|(_, id)| *id == chain_id).map(|(name, _)| *name)
}

/// The body of a 402.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRequiredV1 {
    /// Why what came was not enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The ways to pay.
    pub accepts: Vec<RequirementsV1>,
}

/// One way to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequirementsV1 {
    /// The scheme.
    pub scheme: String,
    /// The network's name, such as `base-sepolia`.
    pub network: String,
    /// How much of the asset.
    pub max_amount_required: Uint,
    /// The address of what is paid for.
    pub resource: String,
    /// A sentence about it; must be there, may be empty.
    #[serde(default)]
    pub description: String,
    /// The media type of the answer; may be empty.
    #[serde(default)]
    pub mime_type: String,
    /// Who is paid.
    pub pay_to: String,
    /// How long a payment may take.
    pub max_timeout_seconds: u64,
    /// The asset's contract.
    pub asset: String,
    /// What the scheme needs beside.
    #[serde(default, deserialize_with = "field::null_is_empty")]
    pub extra: Extra,
    /// Members that are not known here.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A payment in `X-PAYMENT`. Shown by no `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadV1 {
    /// The scheme of the offer that is paid.
    pub scheme: String,
    /// Its network.
    pub network: String,
    /// What pays.
    pub payload: Eip3009,
}

impl fmt::Debug for PayloadV1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, network) = (crate::beginning(&self.scheme), crate::beginning(&self.network));
        f.debug_struct("PayloadV1")
            .field("scheme", &scheme)
            .field("network", &network)
            .finish_non_exhaustive()
    }
}

impl RequirementsV1 {
    /// An offer of version 2 for clients of version 1; `None` if these cannot pay it.
    pub fn of(requirements: &Requirements, resource: &Resource) -> Option<Self> {
        let network = network_name(requirements.chain_id()?)?;
        let simple = requirements.scheme == SCHEME_EXACT
            && requirements.extra.method() == Some(AssetTransferMethod::Eip3009);
        simple.then(|| Self {
            scheme: requirements.scheme.clone(),
            network: network.to_owned(),
            max_amount_required: requirements.amount.clone(),
            resource: resource.url.clone(),
            description: resource.description.clone().unwrap_or_default(),
            mime_type: resource.mime_type.clone().unwrap_or_default(),
            pay_to: requirements.pay_to.clone(),
            max_timeout_seconds: requirements.max_timeout_seconds,
            asset: requirements.asset.clone(),
            extra: requirements.extra.clone(),
            other: Map::new(),
        })
    }
}

impl PaymentRequiredV1 {
    /// The body.
    pub fn to_json(&self) -> Result<String, X402Error> {
        field::to_versioned(VERSION, self, REQUIRED)
    }

    /// Reads a body.
    pub fn from_json(body: &[u8]) -> Result<Self, X402Error> {
        let required: Self = field::from_versioned(VERSION, body, BODY_BYTES_MOST, REQUIRED)?;
        let refuse = |member, expected| Err(X402Error::Member { member, expected });
        if required.accepts.is_empty() {
            return refuse("accepts", "at least one way to pay");
        }
        let texts = |entry: &RequirementsV1| {
            [&entry.scheme, &entry.network, &entry.resource, &entry.pay_to, &entry.asset]
                .iter()
                .all(|text| !text.is_empty())
        };
        if !required.accepts.iter().all(|entry| texts(entry) && entry.max_timeout_seconds > 0) {
            return refuse("accepts", "entries without empty texts and with a time-out above 0");
        }
        Ok(required)
    }
}

impl PayloadV1 {
    /// The value of `X-PAYMENT`.
    pub fn to_header(&self) -> Result<String, X402Error> {
        Ok(field::to_field(&field::to_versioned(VERSION, self, PAYLOAD)?))
    }

    /// Reads a value of `X-PAYMENT` of at most so many bytes.
    pub fn from_header(value: &str, limit: usize) -> Result<Self, X402Error> {
        let json = field::from_field(value, limit, PAYLOAD)?;
        field::from_versioned(VERSION, &json, limit, PAYLOAD)
    }

    /// Whether it says that it pays such an offer: the same scheme on the same chain. The network may also be written as
    /// version 2 writes it.
    pub fn is_for(&self, requirements: &Requirements) -> bool {
        let chain = chain_id(&self.network).or_else(|| eip155_chain_id(&self.network));
        self.scheme == requirements.scheme && chain.is_some() && chain == requirements.chain_id()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::payload::tests::eip3009;
    use super::super::requirements::tests::requirements;
    use super::*;

    type Change = fn(&mut Value);

    fn required() -> PaymentRequiredV1 {
        let resource =
            Resource { description: Some("a page".into()), ..Resource::of("https://shop.example/page") };
        PaymentRequiredV1 {
            error: None,
            accepts: vec![RequirementsV1::of(&requirements(), &resource).unwrap()],
        }
    }

    fn payload() -> PayloadV1 {
        PayloadV1 { scheme: "exact".into(), network: "base-sepolia".into(), payload: eip3009() }
    }

    #[test]
    fn an_offer_has_the_names_of_version_1() {
        let json: Value = serde_json::from_str(&required().to_json().unwrap()).unwrap();
        let expected = json!({"x402Version": 1, "accepts": [{
            "scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "1000", "resource": "https://shop.example/page",
            "description": "a page", "mimeType": "", "payTo": "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", "maxTimeoutSeconds": 300,
            "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "extra": {"name": "USDC", "version": "2"},
        }]});
        assert_eq!(json, expected);
        assert_eq!(PaymentRequiredV1::from_json(json.to_string().as_bytes()), Ok(required()));
    }

    #[test]
    fn what_old_clients_cannot_pay_is_not_offered_to_them() {
        let resource = Resource::of("u");
        let changes: [fn(&mut Requirements); 4] = [
            |r| r.scheme = "upto".into(),
            |r| r.network = "eip155:31337".into(),
            |r| r.network = "solana:5eykt".into(),
            |r| r.extra = Extra::permit2("USDC", "2"),
        ];
        for change in changes {
            let mut other = requirements();
            change(&mut other);
            assert_eq!(RequirementsV1::of(&other, &resource), None, "{other:?}");
        }
    }

    #[test]
    fn a_payment_names_its_chain() {
        assert!(payload().is_for(&requirements()));
        assert!(PayloadV1 { network: "eip155:84532".into(), ..payload() }.is_for(&requirements()));
        for other in ["base", "eip155:8453", "solana", ""] {
            assert!(!PayloadV1 { network: other.into(), ..payload() }.is_for(&requirements()), "{other}");
        }
        assert!(!PayloadV1 { scheme: "upto".into(), ..payload() }.is_for(&requirements()));
        let elsewhere = Requirements { network: "solana:5eykt".into(), ..requirements() };
        assert!(!PayloadV1 { network: "solana".into(), ..payload() }.is_for(&elsewhere));
    }

    #[test]
    fn unsound_texts_are_refused() {
        let good: Value = serde_json::from_str(&required().to_json().unwrap()).unwrap();
        let changes: [(&str, Change); 6] = [
            ("x402-version-unsupported", |j| j["x402Version"] = json!(2)),
            ("x402-malformed", |j| j["accepts"] = json!([])),
            ("x402-malformed", |j| j["accepts"][0]["payTo"] = json!("")),
            ("x402-malformed", |j| j["accepts"][0]["maxTimeoutSeconds"] = json!(0)),
            ("x402-malformed", |j| j["accepts"][0]["maxAmountRequired"] = json!("1.5")),
            ("x402-too-long", |j| j["error"] = json!("x".repeat(BODY_BYTES_MOST))),
        ];
        for (code, change) in changes {
            let mut bad = good.clone();
            change(&mut bad);
            assert_eq!(PaymentRequiredV1::from_json(bad.to_string().as_bytes()).unwrap_err().code(), code);
        }
        let header = payload().to_header().unwrap();
        assert_eq!(PayloadV1::from_header(&header, header.len()), Ok(payload()));
        assert_eq!(PayloadV1::from_header(&header, header.len() - 1).unwrap_err().code(), "x402-too-long");
        assert!(!format!("{:?}", payload()).contains("cdcd"));
    }

    #[test]
    fn names_and_ids_are_inverse() {
        for (name, id) in NETWORKS {
            assert_eq!((chain_id(name), network_name(id)), (Some(id), Some(name)));
        }
    }

    proptest! {
        #[test]
        fn header_and_payload_are_inverse(scheme in "\\PC{0,9}", network in "\\PC{0,9}", nonce: [u8; 32]) {
            let mut signed = eip3009();
            signed.authorization.nonce = super::super::hex_text::HexText(nonce);
            let payload = PayloadV1 { scheme, network, payload: signed };
            prop_assert_eq!(PayloadV1::from_header(&payload.to_header().unwrap(), 16 * 1024), Ok(payload));
        }

        #[test]
        fn any_bytes_are_no_panic(text: String, bytes: Vec<u8>) {
            let _ = (PayloadV1::from_header(&text, 16 * 1024), PaymentRequiredV1::from_json(&bytes));
        }
    }
}
