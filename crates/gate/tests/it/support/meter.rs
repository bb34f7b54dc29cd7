//! A gate whose prices are counted, before an upstream that says what a test wants.

use std::net::SocketAddr;
use std::sync::Arc;

use farthing_ecash::{Proof, Token};
use farthing_engine::{CreditId, PaymentId};
use farthing_gate::serve::Limits;
use farthing_gate::{Count, Gate, Meter, Proxy, ProxyConfig, Rule, Rules};
use farthing_money::Amount;
use farthing_wire::MeterField;

use super::bank::{Bank, MINT, usd};
use super::pay::{Answer, cent};
use super::{Server, start_service};

/// A meter that costs so many millionths for so many.
pub fn meter(count: &str, each: u128, per: u64) -> Meter {
    Meter::new(count.parse::<Count>().unwrap(), usd().money(Amount::new(each)), per)
}

/// A gate before an upstream, where everything costs a cent at the most.
pub async fn metered(bank: &Arc<Bank>, upstream: SocketAddr, meter: Meter) -> Server {
    let rules = Rules::new(vec![Rule::new("/**", cent()).unwrap().metered(meter)]).unwrap();
    let config = ProxyConfig::new(format!("http://{upstream}").parse().unwrap());
    start_service(Limits::default(), Gate::new(bank.config(rules), Proxy::new(config).unwrap())).await
}

/// Credits worth 16384, their token, and the payment that they make.
pub fn purse(bank: &Bank) -> (Vec<Proof>, String, PaymentId) {
    let credits = bank.credits(&[8_192, 4_096, 2_048, 1_024, 512, 256, 128, 128]);
    let token = Token::new(MINT, usd().unit(), None, credits.clone()).encode();
    let mut ids: Vec<_> = credits.iter().map(|c| CreditId::from_bytes(c.y().to_bytes())).collect();
    ids.sort_unstable();
    (credits, token, PaymentId::of_credits(&ids))
}

impl Answer {
    /// What was counted, and how that has ended.
    pub fn meter(&self) -> MeterField {
        self.header("farthing-meter").unwrap_or_else(|| panic!("no meter in {self:?}")).parse().unwrap()
    }

    /// What came back as a token.
    pub fn change(&self) -> u64 {
        self.header("x-cashu").map_or(0, |token| Token::decode(token).unwrap().total().unwrap())
    }
}
