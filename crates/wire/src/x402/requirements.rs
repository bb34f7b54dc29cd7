//! One way to pay by x402: a scheme on a network, an amount of an asset, and to whom.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{AddressText, Extra, Uint, X402Error, eip155_chain_id, field};

/// One entry of `accepts`. What it holds beside the known members is kept, because a payer sends it back whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requirements {
    /// The scheme, such as `exact`.
    pub scheme: String,
    /// The network by CAIP-2, such as `eip155:84532`.
    pub network: String,
    /// How much of the asset, in its smallest units; with `upto` at most so much.
    pub amount: Uint,
    /// The asset as the network names it: a contract's address on a chain.
    pub asset: String,
    /// Who is paid, as the network names him.
    pub pay_to: String,
    /// How long a payment may take.
    pub max_timeout_seconds: u64,
    /// What the scheme needs beside.
    #[serde(default, deserialize_with = "field::null_is_empty")]
    pub extra: Extra,
    /// Members that are not known here.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Requirements {
    /// Refuses what the reference's clients would not read.
    pub fn check(&self) -> Result<(), X402Error> {
        let refuse = |member, expected| Err(X402Error::Member { member, expected });
        for (member, text) in [("scheme", &self.scheme), ("asset", &self.asset), ("payTo", &self.pay_to)] {
            if text.is_empty() {
                return refuse(member, "text that is not empty");
            }
        }
        if self.network.len() < 3 || !self.network.contains(':') {
            return refuse("network", "a network by CAIP-2 such as eip155:84532");
        }
        let beyond = self.max_timeout_seconds > crate::json::SAFE_INTEGER;
        if self.max_timeout_seconds == 0 || beyond {
            return refuse("maxTimeoutSeconds", "a number of seconds above 0");
        }
        Ok(())
    }

    /// The chain, if the network is one of Ethereum's kind.
    pub fn chain_id(&self) -> Option<u64> {
        eip155_chain_id(&self.network)
    }

    /// The asset's contract, if the asset is named by an address.
    pub fn asset_address(&self) -> Option<AddressText> {
        self.asset.parse().ok()
    }

    /// Who is paid, if he is named by an address.
    pub fn pay_to_address(&self) -> Option<AddressText> {
        self.pay_to.parse().ok()
    }

    /// Whether the copy that a payer sends back is of these requirements. Values are compared: the spelling of numbers,
    /// the capitals of addresses and the order of members say nothing, and the copy may hold more in `extra`.
    pub fn is_met_by(&self, accepted: &Self) -> bool {
        self.scheme == accepted.scheme
            && self.network == accepted.network
            && self.amount == accepted.amount
            && same_name(&self.asset, &accepted.asset)
            && same_name(&self.pay_to, &accepted.pay_to)
            && self.max_timeout_seconds == accepted.max_timeout_seconds
            && self.other == accepted.other
            && self.extra.is_within(&accepted.extra)
            && self.extra.method() == accepted.extra.method()
            && self.extra.flow() == accepted.extra.flow()
    }
}

/// Whether two names are of one account: addresses have no case, all other names have.
fn same_name(one: &str, other: &str) -> bool {
    one == other || one.parse::<AddressText>().is_ok_and(|one| other.parse() == Ok(one))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::PaymentFlow;
    use super::*;

    pub(crate) fn requirements() -> Requirements {
        Requirements {
            scheme: "exact".into(),
            network: "eip155:84532".into(),
            amount: Uint::from(1_000_u64),
            asset: "0x036CbD53842c5426634e7929541eC2318f3dCF7e".into(),
            pay_to: "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC".into(),
            max_timeout_seconds: 300,
            extra: Extra::eip3009("USDC", "2"),
            other: Map::new(),
        }
    }

    prop_compose! {
        pub(crate) fn any_requirements()(
            scheme in "[a-z]{1,8}", reference in "[a-z0-9]{1,8}", amount: u128, asset in "\\PC{1,10}", pay_to in "0x[0-9a-fA-F]{40}",
            max_timeout_seconds in 1u64..1 << 53, name in "\\PC{0,5}", flow in 0u8..3, other in prop::collection::btree_map("[A-Z]{3,5}", any::<i32>(), 0..3)
        ) -> Requirements {
            let flow = [PaymentFlow::Authorization, PaymentFlow::Upfront, PaymentFlow::Escrow][usize::from(flow)];
            Requirements {
                scheme, network: format!("eip155:{reference}"), amount: farthing_money::Amount::new(amount).into(), asset, pay_to,
                max_timeout_seconds, extra: Extra::permit2(&name, "1").in_flow(flow),
                other: other.into_iter().map(|(name, value)| (name, value.into())).collect(),
            }
        }
    }

    #[test]
    fn an_echo_is_compared_by_value() {
        let wanted = requirements();
        let mut echo: Requirements = serde_json::from_str(
            r#"{"extra":{"version":"2","more":[],"name":"USDC"},"maxTimeoutSeconds":300,"amount":"01000","network":"eip155:84532",
                "payTo":"0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc","asset":"0x036cbd53842c5426634e7929541ec2318f3dcf7e","scheme":"exact"}"#,
        )
        .unwrap();
        assert!(wanted.is_met_by(&echo));
        assert!(!echo.is_met_by(&wanted), "what was offered must be there");
        echo.other.insert("tip".into(), json!(1));
        assert!(!wanted.is_met_by(&echo));
    }

    #[test]
    fn an_echo_of_something_else_is_not_taken() {
        let wanted = requirements();
        let changes: [fn(&mut Requirements); 8] = [
            |r| r.scheme = "upto".into(),
            |r| r.network = "eip155:8453".into(),
            |r| r.amount = Uint::from(999_u64),
            |r| r.asset = "0x036CbD53842c5426634e7929541eC2318f3dCF7f".into(),
            |r| r.pay_to = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BD".into(),
            |r| r.max_timeout_seconds = 301,
            |r| r.extra = Extra::eip3009("USDC", "1"),
            |r| r.extra = Extra::default(),
        ];
        for change in changes {
            let mut echo = requirements();
            change(&mut echo);
            assert!(!wanted.is_met_by(&echo), "{echo:?}");
        }
        let named = Requirements { asset: "USD".into(), ..requirements() };
        assert!(
            !named.is_met_by(&Requirements { asset: "usd".into(), ..requirements() }),
            "only addresses have no case"
        );
    }

    /// An offer by EIP-3009 does not say so, and was taken for the one by Permit2 that a payer sent back: his says more.
    #[test]
    fn what_is_usual_is_not_something_else() {
        let wanted = requirements();
        let permit2 = Requirements { extra: Extra::permit2("USDC", "2"), ..requirements() };
        let upfront = Requirements {
            extra: Extra::eip3009("USDC", "2").in_flow(PaymentFlow::Upfront),
            ..requirements()
        };
        assert!(!wanted.is_met_by(&permit2) && !wanted.is_met_by(&upfront));
        let said = Extra::eip3009("USDC", "2")
            .with("assetTransferMethod", "eip3009")
            .with("paymentFlow", "authorization");
        assert!(wanted.is_met_by(&Requirements { extra: said, ..requirements() }));
    }

    #[test]
    fn what_clients_refuse_is_refused() {
        assert_eq!(requirements().check(), Ok(()));
        let changes: [fn(&mut Requirements); 6] = [
            |r| r.scheme.clear(),
            |r| r.network = "base".into(),
            |r| r.network = ":".into(),
            |r| r.asset.clear(),
            |r| r.pay_to.clear(),
            |r| r.max_timeout_seconds = 0,
        ];
        for change in changes {
            let mut bad = requirements();
            change(&mut bad);
            assert_eq!(bad.check().unwrap_err().code(), "x402-malformed", "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn json_and_requirements_are_inverse(requirements in any_requirements()) {
            let json = serde_json::to_string(&requirements).unwrap();
            let read: Requirements = serde_json::from_str(&json).unwrap();
            prop_assert!(requirements.is_met_by(&read));
            prop_assert_eq!(read, requirements);
        }
    }
}
