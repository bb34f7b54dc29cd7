//! The challenge: all offers of a 402 side by side, each dialect in its own headers, so that every payer finds his own
//! and passes over the rest.

use thiserror::Error;

use crate::cashu::{self, PaymentRequest, RequestError};
use crate::header::{CHALLENGE_LIMIT_BYTES, PAYMENT_REQUIRED, WWW_AUTHENTICATE, X_CASHU};
use crate::mpp;
use crate::offer::Offer;
use crate::x402::{PaymentRequired, X402Error};

/// The offers of one 402, in the order of the merchant's preference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// The offers.
    pub offers: Vec<Offer>,
}

/// Why a challenge cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChallengeFieldsError {
    /// A Cashu request that cannot be written.
    #[error(transparent)]
    Cashu(#[from] RequestError),
    /// An MPP challenge that cannot be written.
    #[error(transparent)]
    Mpp(#[from] mpp::ChallengeError),
    /// Requirements of x402 that cannot be written.
    #[error(transparent)]
    X402(#[from] X402Error),
    /// x402 puts all its ways to pay into one field, and clients read no second one.
    #[error("expected one offer of x402 with all its ways to pay, got several")]
    SeveralX402,
    /// More than proxies carry.
    #[error("expected the offers to fit in {limit} bytes of headers, got {got}; list fewer mints or offers")]
    TooLong {
        /// The limit.
        limit: usize,
        /// What the fields would take.
        got: usize,
    },
}

impl Challenge {
    /// The header fields of the 402, names and values, in the order in which they must be sent.
    pub fn to_fields(&self) -> Result<Vec<(&'static str, String)>, ChallengeFieldsError> {
        let mut fields = Vec::new();
        for offer in &self.offers {
            match offer {
                Offer::Cashu(request) => {
                    fields.extend(cashu::challenge_fields(request)?.map(|value| (X_CASHU, value)));
                }
                Offer::Mpp(challenge) => fields.push((WWW_AUTHENTICATE, challenge.to_header()?)),
                Offer::X402(_) if fields.iter().any(|(name, _)| *name == PAYMENT_REQUIRED) => {
                    return Err(ChallengeFieldsError::SeveralX402);
                }
                Offer::X402(required) => fields.push((PAYMENT_REQUIRED, required.to_header()?)),
            }
        }
        // A field takes its name, its value, a colon, a space and a line break.
        let got = fields.iter().map(|(name, value)| name.len().saturating_add(value.len()).saturating_add(4));
        let got = got.fold(0, usize::saturating_add);
        if got > CHALLENGE_LIMIT_BYTES {
            return Err(ChallengeFieldsError::TooLong { limit: CHALLENGE_LIMIT_BYTES, got });
        }
        Ok(fields)
    }

    /// The offers in the header fields of a 402: those that can be read, each once. An offer that came as `creqA` and
    /// as `creqB` is one offer.
    pub fn from_fields<'a>(fields: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut offers: Vec<Offer> = Vec::new();
        for (name, value) in fields {
            let Ok(value) = std::str::from_utf8(value) else { continue };
            let found: Vec<Offer> = if name.eq_ignore_ascii_case(X_CASHU) {
                PaymentRequest::decode_list(value).unwrap_or_default().into_iter().map(Offer::Cashu).collect()
            } else if name.eq_ignore_ascii_case(WWW_AUTHENTICATE) {
                mpp::Challenge::parse_all(&[value]).into_iter().map(Offer::Mpp).collect()
            } else if name.eq_ignore_ascii_case(PAYMENT_REQUIRED) {
                let required = PaymentRequired::from_header(value).ok().map(Box::new);
                required.into_iter().map(Offer::X402).collect()
            } else {
                Vec::new()
            };
            for offer in found {
                if !offers.contains(&offer) {
                    offers.push(offer);
                }
            }
        }
        Self { offers }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::x402::Resource;
    use crate::x402::tests::requirements;

    fn offers() -> Vec<Offer> {
        let request = PaymentRequest {
            amount: Some(10_000),
            unit: Some("uusd".into()),
            mints: vec!["https://mint.example".into()],
            ..PaymentRequest::default()
        };
        let json = json!({"amount": "10000"});
        let draft = mpp::Draft {
            realm: "shop.example",
            method: mpp::METHOD_CREDIT,
            intent: mpp::INTENT_CHARGE,
            request: &json,
            expires: None,
            digest: None,
            header: None,
            opaque: None,
            description: None,
        };
        let required = PaymentRequired {
            resource: Resource::of("https://shop.example/page"),
            accepts: vec![requirements()],
            ..PaymentRequired::default()
        };
        let challenge = mpp::Challenge::issue(&[1; 32], &draft).unwrap();
        vec![Offer::Cashu(request), Offer::Mpp(challenge), Offer::X402(Box::new(required))]
    }

    fn bytes<'a>(fields: &'a [(&'static str, String)]) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        fields.iter().map(|(name, value)| (*name, value.as_bytes()))
    }

    #[test]
    fn every_dialect_is_offered_at_once() {
        let challenge = Challenge { offers: offers() };
        let fields = challenge.to_fields().unwrap();
        let begin: Vec<_> = fields.iter().map(|(name, value)| format!("{name}: {}", &value[..5])).collect();
        assert_eq!(
            begin,
            ["X-Cashu: creqA", "X-Cashu: CREQB", "WWW-Authenticate: Payme", "PAYMENT-REQUIRED: eyJ4N"]
        );
        assert_eq!(Challenge::from_fields(bytes(&fields)), challenge);
        assert_eq!(challenge.offers.iter().map(Offer::dialect).collect::<Vec<_>>(), ["cashu", "mpp", "x402"]);
    }

    #[test]
    fn other_offers_are_passed_over() {
        let fields: [(&str, &[u8]); 5] = [
            ("payment-required", b"e30="),
            ("www-authenticate", b"L402 macaroon=\"a\", invoice=\"b\""),
            ("www-authenticate", b"Payment id=broken"),
            ("x-cashu", b"\xff"),
            ("x-cashu", b"creqAnonsense"),
        ];
        assert_eq!(Challenge::from_fields(fields), Challenge::default());
    }

    #[test]
    fn x402_has_one_field() {
        let twice = vec![offers().remove(2), offers().remove(2)];
        assert_eq!(Challenge { offers: twice }.to_fields(), Err(ChallengeFieldsError::SeveralX402));
    }

    #[test]
    fn too_many_offers_do_not_fit() {
        let mut offers = offers();
        let Offer::Cashu(request) = &mut offers[0] else { panic!("the first offer is Cashu's") };
        request.mints = vec!["https://mint.example/with/a/long/path".into(); 200];
        let error = Challenge { offers }.to_fields().unwrap_err();
        assert!(matches!(error, ChallengeFieldsError::TooLong { .. }), "{error}");
    }

    proptest! {
        #[test]
        fn any_fields_are_no_panic(value: Vec<u8>) {
            let _ = Challenge::from_fields([("X-Cashu", &value[..]), ("WWW-Authenticate", &value[..]), ("Payment-Required", &value[..])]);
        }
    }
}
