//! `PAYMENT-REQUIRED`: all ways to pay a resource by x402, in one field of a 402.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Requirements, Resource, VERSION, X402Error, field};

const WHAT: &str = "the payment required of x402";
/// Node's HTTP stops at 16 KiB for all headers of an answer, and others later; more is never sent in earnest.
const LIMIT_BYTES: usize = 32 * 1024;

/// What a 402 asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequired {
    /// Why the payment that came was not enough, often one of the reasons in [`Reason`](super::Reason).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What is paid for.
    pub resource: Resource,
    /// The ways, in the order of preference; at least one.
    pub accepts: Vec<Requirements>,
    /// Extensions by their names; empty when absent.
    #[serde(default, deserialize_with = "field::null_is_empty", skip_serializing_if = "Map::is_empty")]
    pub extensions: Map<String, Value>,
}

impl PaymentRequired {
    /// The value of `PAYMENT-REQUIRED`.
    pub fn to_header(&self) -> Result<String, X402Error> {
        Ok(field::to_field(&self.to_json()?))
    }

    /// The JSON, as it stands in the header and in answers of other transports.
    pub fn to_json(&self) -> Result<String, X402Error> {
        self.check()?;
        field::to_versioned(VERSION, self, WHAT)
    }

    /// Reads a value of `PAYMENT-REQUIRED`.
    pub fn from_header(value: &str) -> Result<Self, X402Error> {
        let json = field::from_field(value, LIMIT_BYTES, WHAT)?;
        let required: Self = field::from_versioned(VERSION, &json, LIMIT_BYTES, WHAT)?;
        required.check()?;
        Ok(required)
    }

    fn check(&self) -> Result<(), X402Error> {
        self.resource.check()?;
        if self.accepts.is_empty() {
            return Err(X402Error::Member { member: "accepts", expected: "at least one way to pay" });
        }
        self.accepts.iter().try_for_each(Requirements::check)
    }

    /// The requirements whose copy a payer sends back: those that are the same to the letter, or else the first that it
    /// meets.
    pub fn met_by(&self, accepted: &Requirements) -> Option<&Requirements> {
        let same = self.accepts.iter().find(|requirements| *requirements == accepted);
        same.or_else(|| self.accepts.iter().find(|requirements| requirements.is_met_by(accepted)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::requirements::tests::{any_requirements, requirements};
    use super::*;

    pub(crate) fn required() -> PaymentRequired {
        PaymentRequired {
            resource: Resource::of("https://shop.example/page"),
            accepts: vec![requirements()],
            ..PaymentRequired::default()
        }
    }

    type Change = fn(&mut Value);

    fn field(json: &Value) -> String {
        field::to_field(&json.to_string())
    }

    #[test]
    fn the_json_has_a_stable_shape() {
        let expected = concat!(
            r#"{"x402Version":2,"resource":{"url":"https://shop.example/page"},"#,
            r#""accepts":[{"scheme":"exact","network":"eip155:84532","amount":"1000","#,
            r#""asset":"0x036CbD53842c5426634e7929541eC2318f3dCF7e","payTo":"0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC","#,
            r#""maxTimeoutSeconds":300,"extra":{"name":"USDC","version":"2"}}]}"#,
        );
        assert_eq!(required().to_json().unwrap(), expected);
    }

    #[test]
    fn unsound_offers_are_refused() {
        let good: Value = serde_json::from_str(&required().to_json().unwrap()).unwrap();
        assert_eq!(PaymentRequired::from_header(&field(&good)), Ok(required()));
        let changes: [(&str, Change); 13] = [
            ("x402-version-unsupported", |j| j["x402Version"] = json!(1)),
            ("x402-malformed", |j| j["resource"] = json!(null)),
            ("x402-malformed", |j| j["resource"]["url"] = json!("")),
            ("x402-malformed", |j| j["accepts"] = json!([])),
            ("x402-malformed", |j| j["accepts"][0]["amount"] = json!(1000)),
            ("x402-malformed", |j| j["accepts"][0]["amount"] = json!("$0.01")),
            ("x402-malformed", |j| j["accepts"][0]["amount"] = json!("9".repeat(78))),
            ("x402-malformed", |j| j["accepts"][0]["network"] = json!("base")),
            ("x402-malformed", |j| j["accepts"][0]["maxTimeoutSeconds"] = json!(0)),
            ("x402-malformed", |j| j["accepts"][0]["maxTimeoutSeconds"] = json!(-1)),
            ("x402-malformed", |j| j["accepts"][0]["extra"] = json!("none")),
            ("x402-malformed", |j| j["extensions"] = json!([])),
            ("x402-too-long", |j| j["error"] = json!("x".repeat(LIMIT_BYTES))),
        ];
        for (code, change) in changes {
            let mut bad = good.clone();
            change(&mut bad);
            assert_eq!(PaymentRequired::from_header(&field(&bad)).unwrap_err().code(), code);
        }
        for bad in ["", "{}", "e30", "!", "bnVsbA=="] {
            assert!(PaymentRequired::from_header(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_members_are_no_mistake() {
        let mut json: Value = serde_json::from_str(&required().to_json().unwrap()).unwrap();
        json["new"] = json!({"deep": [1]});
        json["error"] = json!(null);
        json["extensions"] = json!(null);
        json["accepts"][0]["new"] = json!(true);
        let read = PaymentRequired::from_header(&field(&json)).unwrap();
        assert_eq!(read.accepts[0].other["new"], json!(true));
        assert_eq!((read.error, read.extensions), (None, Map::new()));
    }

    proptest! {
        #[test]
        fn header_and_required_are_inverse(
            accepts in prop::collection::vec(any_requirements(), 1..4), error: Option<String>, url in "\\PC{1,20}", description: Option<String>,
        ) {
            let resource = Resource { description, ..Resource::of(url) };
            let extensions = Map::from_iter([("e".to_owned(), json!({"info": {}, "schema": {}}))]);
            let required = PaymentRequired { error, resource, accepts, extensions };
            let header = required.to_header().unwrap();
            prop_assert!(crate::header::is_field_value(&header));
            for accepted in &required.accepts {
                prop_assert!(required.met_by(accepted).is_some());
            }
            prop_assert_eq!(PaymentRequired::from_header(&header), Ok(required));
        }

        #[test]
        fn any_bytes_are_no_panic(text: String, bytes: Vec<u8>) {
            let _ = PaymentRequired::from_header(&text);
            prop_assert!(PaymentRequired::from_header(&crate::b64::encode(&bytes)).is_err());
        }
    }
}
