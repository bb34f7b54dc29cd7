//! Where a channel stands, in answers and in offers that correct a payer.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::x402::{Bytes32Text, SignatureText, Uint};

/// What is on the chain, and what the seller has charged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelStateText {
    /// The channel.
    pub channel_id: Bytes32Text,
    /// What came in less what went back.
    #[serde(deserialize_with = "digits_or_number")]
    pub balance: Uint,
    /// What was claimed.
    #[serde(deserialize_with = "digits_or_number")]
    pub total_claimed: Uint,
    /// The second since which the payer wants money back; 0 if it does not. A number in JSON.
    #[serde(deserialize_with = "seconds")]
    pub withdraw_requested_at: u64,
    /// The number of the next refund. Text in JSON.
    #[serde(deserialize_with = "digits_or_number")]
    pub refund_nonce: Uint,
    /// What the seller has charged so far; a facilitator does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged_cumulative_amount: Option<Uint>,
}

/// The payer's own last voucher, for a payer that has forgotten it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VoucherStateText {
    /// What it allows in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_max_claimable: Option<Uint>,
    /// Its signature, by which the payer knows it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureText>,
}

/// Facilitators write some of these as text and some as numbers; the reference's sellers read both.
fn digits_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uint, D::Error> {
    read(&Value::deserialize(deserializer)?).ok_or_else(|| serde::de::Error::custom("a whole number"))
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = read(&Value::deserialize(deserializer)?).and_then(|number| number.to_u64());
    number.ok_or_else(|| serde::de::Error::custom("a second since 1970"))
}

fn read(value: &Value) -> Option<Uint> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_u64().map(Uint::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_digits_are_both_read() {
        let id = format!("0x{}", "ab".repeat(32));
        let texts = json!({"channelId": id, "balance": "10000", "totalClaimed": "1", "withdrawRequestedAt": "7", "refundNonce": "3"});
        let numbers = json!({"channelId": id, "balance": 10_000, "totalClaimed": 1, "withdrawRequestedAt": 7, "refundNonce": 3});
        let read = |value: Value| serde_json::from_value::<ChannelStateText>(value);
        assert_eq!(read(texts.clone()).unwrap(), read(numbers).unwrap());
        let written = serde_json::to_value(read(texts.clone()).unwrap()).unwrap();
        assert_eq!((&written["withdrawRequestedAt"], &written["refundNonce"]), (&json!(7), &json!("3")));
        for (member, bad) in [
            ("balance", json!(-1)),
            ("balance", json!(1.5)),
            ("refundNonce", json!("0x1")),
            ("totalClaimed", json!(null)),
            ("withdrawRequestedAt", json!("18446744073709551616")),
            ("channelId", json!("0x01")),
        ] {
            let mut broken = texts.clone();
            broken[member] = bad.clone();
            assert!(read(broken).is_err(), "{member} {bad}");
        }
    }
}
