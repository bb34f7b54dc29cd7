//! What is answered to a voucher, a deposit or a refund, in the `extra` of the settlement; and what a facilitator says of a channel
//! when it has verified.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ChannelStateText;
use crate::x402::{SettleResponse, Uint, X402Error, field};

const WHAT: &str = "what is answered to a voucher";

/// What a settlement adds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelAnswer {
    /// Where the channel stands now. The seller adds what it has charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_state: Option<ChannelStateText>,
    /// What this request has cost, at most the price of the offer. A refund costs nothing and does not say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged_amount: Option<Uint>,
}

impl ChannelAnswer {
    /// Reads it from a settlement; `None` if what it says cannot be read.
    pub fn of(response: &SettleResponse) -> Option<Self> {
        serde_json::from_value(Value::Object(response.extra.clone())).ok()
    }

    /// Puts it into a settlement.
    #[must_use]
    pub fn within(&self, mut response: SettleResponse) -> SettleResponse {
        if let Ok(Value::Object(members)) = serde_json::to_value(self) {
            response.extra.extend(members);
        }
        response
    }
}

/// The value of `PAYMENT-RESPONSE` for a voucher that came alone. No transaction moves it, and the reference's sellers say so
/// by an empty amount beside the empty transaction.
pub fn voucher_header(response: &SettleResponse) -> Result<String, X402Error> {
    /// The response, and an amount that says nothing.
    #[derive(Serialize)]
    struct OfVoucher<'a> {
        amount: &'static str,
        #[serde(flatten)]
        response: &'a SettleResponse,
    }
    if response.amount.is_some() {
        return response.to_header();
    }
    Ok(field::to_field(&field::to_json(&OfVoucher { amount: "", response }, WHAT)?))
}

/// What a facilitator's `/verify` adds: the channel as it stands on the chain, before a deposit that comes along. `None` if it cannot
/// be read.
pub fn verified(extra: &Map<String, Value>) -> Option<ChannelStateText> {
    serde_json::from_value(Value::Object(extra.clone())).ok()
}
