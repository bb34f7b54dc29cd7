//! Our MPP method `credit` with the intent `session`: credits go in once, and calls are paid with links of a hash chain
//! ([`crate::SessionStep`]). What it means is on the page docs/sessions.md; here it is text.

use farthing_money::{Amount, Timestamp, Unit};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::credit::{CreditError, MethodDetails, OutputText, ReceiptExtra, SignatureText};
use super::{Challenge, INTENT_SESSION, METHOD_CREDIT, Receipt};
use crate::SessionStanding;

/// How calls are paid: by links of a hash chain.
pub const PROTOCOL: &str = "farthing/hash-chain";

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// What this call costs, in minor units.
    pub amount: Amount,
    /// The unit in which it is counted, such as `uusd`.
    pub currency: Unit,
    /// What a session is opened with where nothing better is known: a hundred calls like this one.
    pub suggested_deposit: Amount,
    /// The issuers whose credits are taken.
    pub mints: Vec<String>,
    /// What people need to read the amount, and how a session is made.
    pub method_details: SessionDetails,
}

/// The part of a [`Request`] that is the method's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionDetails {
    /// How people read the amount.
    #[serde(flatten)]
    pub money: MethodDetails,
    /// How calls are paid: [`PROTOCOL`].
    pub session_protocol: String,
    /// How many steps a chain has at the most.
    pub steps: u32,
    /// How long a session pays, in seconds.
    pub lifetime: u64,
}

/// A chain, as a payer names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainText {
    /// What goes into each of its hashes, hexadecimal.
    pub salt: String,
    /// Its link below the first step, hexadecimal.
    pub anchor: String,
    /// The hash of its key, hexadecimal.
    pub lock: String,
    /// What a step is worth.
    pub step: u64,
    /// How many there are.
    pub steps: u32,
}

/// The step that pays for the call.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepText {
    /// Its number.
    pub step: u32,
    /// Its link, hexadecimal.
    pub link: String,
}

/// What a credential carries. Shown by no `Debug` but for its kind: it is money.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase")]
pub enum Payload {
    /// A session is opened, and pays for this call.
    Open {
        /// The credits, `cashuB..`.
        token: String,
        /// The chain.
        chain: ChainText,
        /// What pays for this call.
        #[serde(flatten)]
        step: StepText,
    },
    /// A session pays for this call.
    Voucher {
        /// Its name, hexadecimal.
        session: String,
        /// What pays for this call.
        #[serde(flatten)]
        step: StepText,
    },
    /// More credits go into a session, which then pays for this call.
    TopUp {
        /// Its name, hexadecimal.
        session: String,
        /// What opens the lock of the present chain, hexadecimal.
        key: String,
        /// The credits, `cashuB..`.
        token: String,
        /// The next chain.
        chain: ChainText,
        /// What pays for this call.
        #[serde(flatten)]
        step: StepText,
    },
    /// A session is closed. Nothing is asked of the upstream.
    Close {
        /// Its name, hexadecimal.
        session: String,
        /// What opens its lock, hexadecimal.
        key: String,
        /// Blank outputs for what is left.
        #[serde(default)]
        outputs: Vec<OutputText>,
    },
}

impl Payload {
    /// The payload of a credential.
    pub fn from_json(payload: Value) -> Result<Self, CreditError> {
        let expected = "a payload of the action open, voucher, topUp or close, with all that this takes";
        serde_json::from_value(payload).map_err(|_| CreditError::Shape { expected })
    }

    /// As the payload of a credential.
    pub fn to_json(&self) -> Result<Value, CreditError> {
        serde_json::to_value(self).map_err(|_| CreditError::Shape { expected: "a payload" })
    }

    /// The credits that go in.
    pub fn token(&self) -> Option<&str> {
        match self {
            Self::Open { token, .. } | Self::TopUp { token, .. } => Some(token),
            Self::Voucher { .. } | Self::Close { .. } => None,
        }
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open { .. } => "Open(..)",
            Self::Voucher { .. } => "Voucher(..)",
            Self::TopUp { .. } => "TopUp(..)",
            Self::Close { .. } => "Close(..)",
        })
    }
}

/// Whether a challenge is of this method and intent, before its request is read.
pub fn is_credit_session(challenge: &Challenge) -> bool {
    challenge.method == METHOD_CREDIT && challenge.intent == INTENT_SESSION
}

impl Request {
    /// As the request of a challenge.
    pub fn to_json(&self) -> Result<Value, CreditError> {
        serde_json::to_value(self).map_err(|_| CreditError::Shape { expected: "a request" })
    }

    /// The request of a challenge of this method and intent.
    pub fn of(challenge: &Challenge) -> Result<Self, CreditError> {
        if !is_credit_session(challenge) {
            let (method, intent) = (crate::beginning(&challenge.method), crate::beginning(&challenge.intent));
            return Err(CreditError::Method { method, intent });
        }
        let expected = "a request of amount, currency, suggestedDeposit, mints and methodDetails";
        serde_json::from_value(challenge.request_json()?).map_err(|_| CreditError::Shape { expected })
    }
}

/// The receipt of what a session did: by its name, with where it stands, and with the change of one that was closed.
pub fn receipt(
    session: String,
    standing: SessionStanding,
    change: Vec<SignatureText>,
    timestamp: Timestamp,
) -> Result<Receipt, CreditError> {
    let mut receipt = Receipt::success(METHOD_CREDIT, session, timestamp);
    receipt.extra.insert("intent".to_owned(), INTENT_SESSION.into());
    for (name, value) in
        [("generation", standing.generation), ("high", standing.high), ("left", standing.left)]
    {
        receipt.extra.insert(name.to_owned(), value.into());
    }
    ReceiptExtra { change, farthing: None }.put(&mut receipt)?;
    Ok(receipt)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::challenge;
    use super::*;

    fn request() -> Value {
        json!({
            "amount": "10000",
            "currency": "uusd",
            "suggestedDeposit": "1000000",
            "mints": ["https://mint.example"],
            "methodDetails": {
                "decimals": 6,
                "asset": "USD",
                "sessionProtocol": "farthing/hash-chain",
                "steps": 1000,
                "lifetime": 2_592_000,
            },
        })
    }

    #[test]
    fn the_request_has_a_stable_shape() {
        let read = Request::of(&challenge("credit", "session", &request())).unwrap();
        assert_eq!(read.to_json().unwrap(), request());
        assert_eq!(read.method_details.session_protocol, PROTOCOL);
        let error = Request::of(&challenge("credit", "charge", &request())).unwrap_err();
        assert!(matches!(error, CreditError::Method { .. }), "{error}");
        assert!(Request::of(&challenge("credit", "session", &json!({"amount": "1"}))).is_err());
    }

    #[test]
    fn each_action_has_a_stable_shape_and_is_not_printed() {
        let chain = json!({"salt": "aa", "anchor": "bb", "lock": "cc", "step": 10, "steps": 3});
        for (payload, token) in [
            (json!({"action": "open", "token": "cashuB1", "chain": chain, "step": 1, "link": "dd"}), true),
            (json!({"action": "voucher", "session": "ee", "step": 2, "link": "dd"}), false),
            (
                json!({"action": "topUp", "session": "ee", "key": "ff", "token": "cashuB1", "chain": chain, "step": 1, "link": "dd"}),
                true,
            ),
            (
                json!({"action": "close", "session": "ee", "key": "ff", "outputs": [{"amount": 0, "id": "01", "B_": "02"}]}),
                false,
            ),
        ] {
            let read = Payload::from_json(payload.clone()).unwrap();
            assert_eq!((read.to_json().unwrap(), read.token().is_some()), (payload, token));
            assert!(!format!("{read:?}").contains("ff"));
        }
        for bad in
            [json!({}), json!({"action": "voucher", "session": "ee", "step": 2}), json!({"action": "refund"})]
        {
            assert!(Payload::from_json(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_receipt_says_where_the_session_stands() {
        let standing = SessionStanding { generation: 1, high: 17, left: 83 };
        let receipt = receipt("ab".into(), standing, Vec::new(), Timestamp::from_secs(1)).unwrap();
        let read = Receipt::decode(&receipt.encode().unwrap()).unwrap();
        assert_eq!((read.reference.as_str(), &read.extra["intent"]), ("ab", &json!("session")));
        assert_eq!((&read.extra["high"], &read.extra["left"]), (&json!(17), &json!(83)));
        assert!(!read.extra.contains_key("change"));
    }
}
