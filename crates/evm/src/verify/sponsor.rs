//! The extension `eip2612GasSponsoring`: a payer who has not allowed Permit2 anything yet signs the allowance as well, and
//! we carry it in the same transaction.

use farthing_channel::{Address, Permit, Signature};
use farthing_money::Timestamp;
use farthing_wire::x402::{AddressText, Reason, SignatureText, Uint};
use serde_json::{Map, Value};

use super::{is_too_near, word};
use crate::chain::of_text;

/// The extension's name.
pub(super) const NAME: &str = "eip2612GasSponsoring";

/// The allowance of a payment, as it came.
pub(super) struct Sponsored(Option<Allowance>);

struct Allowance {
    from: Address,
    asset: Address,
    permit: Permit,
    signature: Option<Signature>,
}

impl Sponsored {
    /// The allowance of a payment. One that lacks a member is none, as the reference has it.
    pub(super) fn read(extensions: &Map<String, Value>) -> Option<Self> {
        let info = extensions.get(NAME)?.get("info")?;
        let members = ["from", "asset", "spender", "amount", "nonce", "deadline", "signature", "version"];
        let there = |name: &str| match info.get(name) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(_) => true,
        };
        members.iter().all(|name| there(name)).then(|| Self(allowance(info)))
    }

    /// Why it is refused.
    pub(super) fn refusal(
        &self,
        payer: Address,
        token: Address,
        permit2: Address,
        now: Timestamp,
    ) -> Option<Reason> {
        let Some(Allowance { from, asset, permit, .. }) = &self.0 else {
            return Some(Reason::Eip2612InvalidFormat);
        };
        if *from != payer {
            Some(Reason::Eip2612FromMismatch)
        } else if *asset != token {
            Some(Reason::Eip2612AssetMismatch)
        } else if permit.spender != permit2 {
            Some(Reason::Eip2612SpenderNotPermit2)
        } else if is_too_near(permit.deadline, now) {
            Some(Reason::Eip2612DeadlineExpired)
        } else {
            None
        }
    }

    /// What is carried. A signature that is no account's cannot be, and then the transfer is tried without.
    pub(super) fn permit(&self) -> Option<(Permit, Signature)> {
        let allowance = self.0.as_ref()?;
        Some((allowance.permit, allowance.signature?))
    }
}

fn allowance(info: &Value) -> Option<Allowance> {
    let text = |name: &str| info.get(name).and_then(Value::as_str);
    let address = |name: &str| text(name)?.parse::<AddressText>().ok().map(of_text);
    let number = |name: &str| text(name)?.parse::<Uint>().ok().map(|number| word(&number));
    is_numbered(text("version")?).then_some(())?;
    let signature: SignatureText = text("signature")?.parse().ok()?;
    let permit = Permit {
        owner: address("from")?,
        spender: address("spender")?,
        value: number("amount")?,
        nonce: number("nonce")?,
        deadline: number("deadline")?,
    };
    let signature = Signature::from_bytes(signature.as_bytes()).ok();
    Some(Allowance { from: permit.owner, asset: address("asset")?, permit, signature })
}

/// Whether a version is numbers with points between.
pub(super) fn is_numbered(version: &str) -> bool {
    let numbered = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    version.split('.').all(numbered)
}
