//! The two servers that are attacked.

use std::net::SocketAddr;
use std::sync::Arc;

use farthing_gate::serve::Limits;
use farthing_gate::{Gate, PassScope, Price, Proxy, ProxyConfig, Rule, Rules};
use farthing_money::{Amount, Span};

use crate::support::bank::{Bank, usd};
use crate::support::naive::naive;
use crate::support::pay::cent;
use crate::support::{Server, start_service};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum House {
    Naive,
    Ours,
}

/// The naive one first: an attack that fails there tests nothing.
pub const HOUSES: [House; 2] = [House::Naive, House::Ours];

impl House {
    /// Before an upstream, with the same prices: 10,000 millionths, 5,000,000 for what is dear, 1 on the cheap host.
    pub async fn open(self, bank: &Arc<Bank>, upstream: SocketAddr) -> Server {
        match self {
            Self::Naive => naive(bank, upstream).await,
            Self::Ours => {
                let config = ProxyConfig::new(format!("http://{upstream}").parse().unwrap());
                let gate = Gate::new(bank.config(rules()), Proxy::new(config).unwrap());
                start_service(Limits::default(), gate).await
            }
        }
    }

    /// Whether an attack should succeed here.
    pub fn falls(self) -> bool {
        self == Self::Naive
    }
}

pub fn rules() -> Rules {
    let price = |amount| Price::Paid { amount: usd().money(Amount::new(amount)) };
    let rule = |path: &str, price| Rule::new(path, price).unwrap().host("*").unwrap();
    Rules::new(vec![
        rule("/paid/**", cent()),
        rule("/once/**", cent()).pass(Span::ZERO, PassScope::Url),
        rule("/dear/**", price(5_000_000)),
        Rule::new("/paid/**", price(1)).unwrap().host("cheap.example").unwrap(),
    ])
    .unwrap()
}
