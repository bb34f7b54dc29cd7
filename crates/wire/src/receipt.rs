//! Our receipt: what was paid for what, when and to whom, signed so that anyone can check it offline.

use ed25519_dalek::{SigningKey, VerifyingKey};
use farthing_money::{Amount, Asset, AssetCode, Money, Timestamp, Unit};
use serde::{Deserialize, Serialize};

use crate::{JwsError, jws, rfc3339};

const TYPE: &str = "farthing-receipt";

/// The signed proof of a payment. It names no payer: there is none to name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The payment's id, hexadecimal.
    pub payment: String,
    /// The URL that was paid for.
    pub resource: String,
    /// The HTTP method of the paid request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The dialect in which it was paid: `cashu`, `mpp`.
    pub dialect: String,
    /// What was charged, in minor units.
    pub amount: Amount,
    /// The asset's code, such as `USD`.
    pub asset: AssetCode,
    /// The asset's unit, such as `uusd`.
    pub unit: Unit,
    /// Decimals of the minor unit.
    pub scale: u8,
    /// The amount for people, such as `0.01`; must say the same as the amount.
    pub decimal: String,
    /// When the charge was posted.
    #[serde(with = "rfc3339")]
    pub paid_at: Timestamp,
    /// Until when the resource stays open.
    #[serde(default, with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub pass_until: Option<Timestamp>,
    /// Until when it can be asked back with this receipt.
    #[serde(default, with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub refund_until: Option<Timestamp>,
    /// Who issued the credits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Who was paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant: Option<String>,
}

impl Receipt {
    /// A receipt of what every one must say; the rest is set by assignment.
    pub fn new(payment: String, resource: String, dialect: &str, money: Money, paid_at: Timestamp) -> Self {
        let asset = money.asset();
        Self {
            payment,
            resource,
            method: None,
            dialect: dialect.to_owned(),
            amount: money.amount(),
            asset: asset.code(),
            unit: asset.unit(),
            scale: asset.scale(),
            decimal: money.to_decimal(),
            paid_at,
            pass_until: None,
            refund_until: None,
            issuer: None,
            merchant: None,
        }
    }

    /// The amount with its asset.
    pub fn money(&self) -> Result<Money, JwsError> {
        let asset = Asset::new(self.asset.as_str(), self.scale, self.unit.as_str())
            .map_err(|error| JwsError::Claims(error.to_string()))?;
        let money = asset.money(self.amount);
        if money.to_decimal() == self.decimal {
            Ok(money)
        } else {
            let (minor, right) = (self.amount, money.to_decimal());
            Err(JwsError::Claims(format!("the amount {minor} is {right}, not {:?}", self.decimal)))
        }
    }

    /// The receipt as a header value, signed.
    pub fn sign(&self, key: &SigningKey) -> Result<String, JwsError> {
        self.money()?;
        jws::sign(TYPE, self, key)
    }

    /// The receipt in a signed text. Give the merchant's key if it is known; without it this shows only that the text
    /// was not changed after someone signed it.
    pub fn verify(text: &str, expected_key: Option<&VerifyingKey>) -> Result<Self, JwsError> {
        Self::verify_signer(text, expected_key).map(|(receipt, _)| receipt)
    }

    /// The same, and the key that signed it.
    pub fn verify_signer(
        text: &str,
        expected_key: Option<&VerifyingKey>,
    ) -> Result<(Self, VerifyingKey), JwsError> {
        let (receipt, key): (Self, _) = jws::verify(TYPE, text, expected_key)?;
        receipt.money()?;
        Ok((receipt, key))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::Pass;

    pub(crate) fn receipt() -> Receipt {
        let money = Asset::micro("USD").unwrap().money(Amount::new(10_000));
        let paid_at = "2026-11-22T09:57:37.943Z".parse().unwrap();
        Receipt::new("ab".repeat(32), "https://shop.example/article".into(), "mpp", money, paid_at)
    }

    #[test]
    fn the_claims_have_a_stable_shape() {
        let mut receipt = receipt();
        receipt.method = Some("GET".into());
        receipt.pass_until = Some("2026-11-23T09:57:37.943Z".parse().unwrap());
        receipt.refund_until = Some("2026-11-22T10:07:37.943Z".parse().unwrap());
        receipt.issuer = Some("Farthing".into());
        let expected = json!({
            "payment": "ab".repeat(32),
            "resource": "https://shop.example/article",
            "method": "GET",
            "dialect": "mpp",
            "amount": "10000",
            "asset": "USD",
            "unit": "uusd",
            "scale": 6,
            "decimal": "0.01",
            "paid_at": "2026-11-22T09:57:37.943Z",
            "pass_until": "2026-11-23T09:57:37.943Z",
            "refund_until": "2026-11-22T10:07:37.943Z",
            "issuer": "Farthing",
        });
        assert_eq!(serde_json::to_value(&receipt).unwrap(), expected);
        let key = SigningKey::from_bytes(&[1; 32]);
        let text = receipt.sign(&key).unwrap();
        assert_eq!(Receipt::verify(&text, Some(&key.verifying_key())), Ok(receipt));
    }

    #[test]
    fn a_receipt_whose_amounts_disagree_is_refused() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let mut receipt = receipt();
        receipt.decimal = "10.00".into();
        assert!(matches!(receipt.sign(&key), Err(JwsError::Claims(_))));
        let text = jws::sign(TYPE, &receipt, &key).unwrap();
        assert!(matches!(Receipt::verify(&text, None), Err(JwsError::Claims(_))));
    }

    #[test]
    fn a_receipt_is_not_a_pass() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let text = receipt().sign(&key).unwrap();
        let error = Pass::verify(&text, &key.verifying_key(), Timestamp::from_millis(0)).unwrap_err();
        assert_eq!(error.code(), "signed-text-type");
    }

    proptest! {
        #[test]
        fn sign_and_verify_are_inverse(amount: u128, millis in 0u64..200_000_000_000_000, resource: String) {
            let key = SigningKey::from_bytes(&[1; 32]);
            let money = Asset::micro("USD").unwrap().money(Amount::new(amount));
            let at = Timestamp::from_millis(millis);
            let mut receipt = Receipt::new("00".into(), resource, "cashu", money, at);
            receipt.pass_until = Some(at);
            if let Ok(text) = receipt.sign(&key) {
                prop_assert_eq!(Receipt::verify(&text, None).unwrap().money(), Ok(money));
                prop_assert_eq!(Receipt::verify(&text, Some(&key.verifying_key())), Ok(receipt));
            } else {
                prop_assert!(false, "every receipt can be signed");
            }
        }
    }
}
