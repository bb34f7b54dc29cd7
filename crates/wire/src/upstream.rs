//! What the upstream is told about a paid request: `Farthing-Payment`, signed, so that a program behind the gate can
//! tell it from what a payer wrote himself.

use ed25519_dalek::{SigningKey, VerifyingKey};
use farthing_money::{Amount, Span, Timestamp, Unit};
use serde::{Deserialize, Serialize};

use crate::{JwsError, jws, rfc3339};

const TYPE: &str = "farthing-payment";

/// How the request came to be let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Money is held for this very request; it is posted if the upstream succeeds.
    Held,
    /// An earlier payment's pass covers it.
    Pass,
    /// It costs this asker nothing now: a quota, a group, an hour. `payment` names this very request.
    Free,
    /// Nothing was paid. Only the free part of it goes out: a page with the rest is cut, or a range was asked for.
    Teaser,
    /// A step of a session pays for this very request. The note names the session, and is the same for a few seconds.
    Session,
}

/// The note that goes with a paid request to the upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentNote {
    /// The payment's id, hexadecimal: the upstream's own key against doing the work twice.
    pub payment: String,
    /// Whether money is held or a pass covers the request.
    pub standing: Standing,
    /// The price, in minor units.
    pub amount: Amount,
    /// The asset's unit.
    pub unit: Unit,
    /// The URL that the payer asked for.
    pub resource: String,
    /// When this note was written.
    #[serde(with = "rfc3339")]
    pub noted_at: Timestamp,
    /// When the charge was posted; absent while money is only held.
    #[serde(default, with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<Timestamp>,
    /// Until when the pass holds.
    #[serde(default, with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub pass_until: Option<Timestamp>,
}

impl PaymentNote {
    /// The note as a header value, signed.
    pub fn sign(&self, key: &SigningKey) -> Result<String, JwsError> {
        jws::sign(TYPE, self, key)
    }

    /// The note in a text signed by the gate's key and not older than `lifetime`, so that a leaked header is soon
    /// worth nothing.
    pub fn verify(text: &str, key: &VerifyingKey, now: Timestamp, lifetime: Span) -> Result<Self, JwsError> {
        let (note, _): (Self, _) = jws::verify(TYPE, text, Some(key))?;
        let ended = note.noted_at.after(lifetime);
        if ended < now {
            Err(JwsError::Ended {
                document: "payment note",
                ended: ended.to_string(),
                then: "ask the gate again",
            })
        } else {
            Ok(note)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn note() -> PaymentNote {
        PaymentNote {
            payment: "ab".into(),
            standing: Standing::Held,
            amount: Amount::new(10_000),
            unit: "uusd".parse().unwrap(),
            resource: "https://shop.example/article".into(),
            noted_at: Timestamp::from_secs(1_000),
            paid_at: None,
            pass_until: None,
        }
    }

    #[test]
    fn a_note_has_a_stable_shape_and_grows_old() {
        let expected = json!({
            "payment": "ab",
            "standing": "held",
            "amount": "10000",
            "unit": "uusd",
            "resource": "https://shop.example/article",
            "noted_at": "1970-01-01T00:16:40.000Z",
        });
        assert_eq!(serde_json::to_value(note()).unwrap(), expected);

        let key = SigningKey::from_bytes(&[1; 32]);
        let text = note().sign(&key).unwrap();
        let at = |secs| {
            let (now, lifetime) = (Timestamp::from_secs(secs), Span::from_secs(60));
            PaymentNote::verify(&text, &key.verifying_key(), now, lifetime)
        };
        assert_eq!(at(1_060), Ok(note()));
        assert_eq!(at(1_061).unwrap_err().code(), "signed-text-ended");
    }

    proptest! {
        #[test]
        fn sign_and_verify_are_inverse(payment: String, resource: String, amount: u128, held: bool, millis in 0u64..200_000_000_000_000) {
            let at = Timestamp::from_millis(millis);
            let times = (!held).then_some(at);
            let standing = if held { Standing::Held } else { Standing::Pass };
            let amount = Amount::new(amount);
            let note = PaymentNote { payment, resource, amount, standing, noted_at: at, paid_at: times, pass_until: times, ..note() };
            let key = SigningKey::from_bytes(&[1; 32]);
            let text = note.sign(&key).unwrap();
            prop_assert_eq!(PaymentNote::verify(&text, &key.verifying_key(), at, Span::ZERO), Ok(note));
        }
    }
}
