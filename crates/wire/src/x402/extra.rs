//! The `extra` of requirements: what a scheme needs beside the amount. Members that are known have types, all others are
//! kept as they came, because a payer must send the whole of it back.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::AddressText;

const NAME: &str = "name";
const VERSION: &str = "version";
const METHOD: &str = "assetTransferMethod";
const FLOW: &str = "paymentFlow";
const FACILITATOR: &str = "facilitatorAddress";

/// How the asset is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssetTransferMethod {
    /// The asset itself checks a signed authorization (EIP-3009).
    Eip3009,
    /// The contract Permit2 checks it, for any asset.
    Permit2,
}

/// When the payment is settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PaymentFlow {
    /// Verified first, settled after the answer was made.
    #[default]
    Authorization,
    /// Settled before the answer is made.
    Upfront,
    /// Settled before and after.
    Escrow,
}

/// The members of `extra`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Extra(Map<String, Value>);

impl AssetTransferMethod {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eip3009 => "eip3009",
            Self::Permit2 => "permit2",
        }
    }
}

impl PaymentFlow {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::Upfront => "upfront",
            Self::Escrow => "escrow",
        }
    }
}

impl Extra {
    /// An asset with EIP-3009: the name and the version of its EIP-712 domain.
    pub fn eip3009(name: &str, version: &str) -> Self {
        Self::default().with(NAME, name).with(VERSION, version)
    }

    /// An asset by Permit2. The name and the version say how a missing allowance can be signed.
    pub fn permit2(name: &str, version: &str) -> Self {
        Self::eip3009(name, version).with(METHOD, AssetTransferMethod::Permit2.as_str())
    }

    /// An asset by Permit2 for the scheme `upto`, which names the one account that may settle.
    pub fn upto(name: &str, version: &str, facilitator: AddressText) -> Self {
        Self::permit2(name, version).with(FACILITATOR, facilitator.to_string())
    }

    /// Says when the payment is settled. Nothing is written of the usual flow, as clients expect.
    #[must_use]
    pub fn in_flow(mut self, flow: PaymentFlow) -> Self {
        if flow == PaymentFlow::Authorization {
            self.0.remove(FLOW);
            self
        } else {
            self.with(FLOW, flow.as_str())
        }
    }

    /// Sets any member.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.0.insert(member.to_owned(), value.into());
        self
    }

    /// Without some members.
    #[must_use]
    pub(super) fn without(&self, members: &[&str]) -> Self {
        let kept = self.0.iter().filter(|(name, _)| !members.contains(&name.as_str()));
        Self(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// Any member.
    pub fn get(&self, member: &str) -> Option<&Value> {
        self.0.get(member)
    }

    /// The name of the asset's EIP-712 domain.
    pub fn name(&self) -> Option<&str> {
        self.text(NAME)
    }

    /// The version of the asset's EIP-712 domain.
    pub fn version(&self) -> Option<&str> {
        self.text(VERSION)
    }

    /// How the asset is moved: by EIP-3009 unless it says otherwise. `None` if it names a way that is not known here.
    pub fn method(&self) -> Option<AssetTransferMethod> {
        match self.0.get(METHOD) {
            None | Some(Value::Null) => Some(AssetTransferMethod::Eip3009),
            Some(named) => {
                let all = [AssetTransferMethod::Eip3009, AssetTransferMethod::Permit2];
                all.into_iter().find(|known| named.as_str() == Some(known.as_str()))
            }
        }
    }

    /// The one account that may settle: of the scheme `upto`.
    pub fn facilitator(&self) -> Option<AddressText> {
        self.text(FACILITATOR)?.parse().ok()
    }

    /// When the payment is settled. `None` if it names a flow that is not known here.
    pub fn flow(&self) -> Option<PaymentFlow> {
        match self.0.get(FLOW) {
            None | Some(Value::Null) => Some(PaymentFlow::Authorization),
            Some(named) => {
                let all = [PaymentFlow::Authorization, PaymentFlow::Upfront, PaymentFlow::Escrow];
                all.into_iter().find(|known| named.as_str() == Some(known.as_str()))
            }
        }
    }

    /// Whether an echo holds all of this, as it is. It may hold more.
    pub fn is_within(&self, echo: &Self) -> bool {
        holds_members(&self.0, &echo.0)
    }

    fn text(&self, member: &str) -> Option<&str> {
        self.0.get(member).and_then(Value::as_str)
    }
}

fn holds_members(wanted: &Map<String, Value>, echo: &Map<String, Value>) -> bool {
    wanted.iter().all(|(name, value)| echo.get(name).is_some_and(|other| holds(value, other)))
}

fn holds(wanted: &Value, echo: &Value) -> bool {
    match (wanted, echo) {
        (Value::Object(wanted), Value::Object(echo)) => holds_members(wanted, echo),
        (wanted, echo) => wanted == echo,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn extra(value: Value) -> Extra {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn known_members_have_types_and_others_stay() {
        let json = json!({"name": "USDC", "version": "2", "assetTransferMethod": "permit2", "paymentFlow": "escrow", "x": [{"y": null}]});
        let read = extra(json.clone());
        assert_eq!((read.name(), read.version()), (Some("USDC"), Some("2")));
        assert_eq!(read.method(), Some(AssetTransferMethod::Permit2));
        assert_eq!(read.flow(), Some(PaymentFlow::Escrow));
        assert_eq!(serde_json::to_value(&read).unwrap(), json);
        let built = Extra::permit2("USDC", "2").in_flow(PaymentFlow::Escrow).with("x", json!([{"y": null}]));
        assert_eq!(built, read);
    }

    #[test]
    fn what_is_not_said_is_usual_and_what_is_not_known_is_none() {
        for usual in [
            json!({}),
            json!({"assetTransferMethod": null, "paymentFlow": null}),
            json!({"assetTransferMethod": "eip3009", "paymentFlow": "authorization"}),
        ] {
            let usual = extra(usual);
            assert_eq!(usual.method(), Some(AssetTransferMethod::Eip3009));
            assert_eq!(usual.flow(), Some(PaymentFlow::Authorization));
        }
        for unknown in [json!("erc7710"), json!("EIP3009"), json!(3009), json!([])] {
            let unknown = extra(json!({"assetTransferMethod": unknown, "paymentFlow": unknown, "name": 1}));
            assert_eq!((unknown.method(), unknown.flow(), unknown.name()), (None, None, None));
        }
        assert_eq!(
            Extra::eip3009("a", "1").in_flow(PaymentFlow::Upfront).in_flow(PaymentFlow::Authorization),
            Extra::eip3009("a", "1")
        );
    }

    #[test]
    fn an_echo_may_say_more_but_not_less() {
        let wanted = extra(json!({"name": "USDC", "a": {"b": 1}, "c": [1, 2]}));
        for good in [
            json!({"name": "USDC", "a": {"b": 1}, "c": [1, 2]}),
            json!({"c": [1, 2], "a": {"z": 2, "b": 1}, "name": "USDC", "new": true}),
        ] {
            assert!(wanted.is_within(&extra(good.clone())), "{good}");
        }
        for bad in [
            json!({}),
            json!({"name": "usdc", "a": {"b": 1}, "c": [1, 2]}),
            json!({"name": "USDC", "a": {}, "c": [1, 2]}),
            json!({"name": "USDC", "a": {"b": 1}, "c": [1, 2, 3]}),
            json!({"name": "USDC", "a": 1, "c": [1, 2]}),
        ] {
            assert!(!wanted.is_within(&extra(bad.clone())), "{bad}");
        }
    }
}
