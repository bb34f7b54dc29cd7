//! A gate that is paid through channels, before an upstream that does what a test says.

use std::sync::Arc;

use farthing_channel::ChannelId;
use farthing_engine::ChannelRow;
use farthing_gate::chain::Chains;
use farthing_gate::flow::GateConfig;
use farthing_gate::serve::Limits;
use farthing_gate::{Gate, Proxy, ProxyConfig};
use farthing_wire::x402::batch::{ChannelAnswer, ChannelStateText, SCHEME_BATCH};
use farthing_wire::x402::{Payload, PaymentRequired, Requirements, SettleResponse};

use super::bank::Bank;
use super::chain::TestChain;
use super::channel::{Payer, TestChannels};
use super::pay::{Answer, get, rules, send};
use super::site::Site;
use super::{Server, start_service};

pub const HOST: &str = "http://shop.example";
pub const PAGE: &str = "http://shop.example/paid/x";

pub struct Shop {
    pub bank: Arc<Bank>,
    pub chain: Arc<TestChain>,
    pub channels: Arc<TestChannels>,
    pub gate: Server,
    pub site: Site,
    upstream: Server,
}

impl Shop {
    pub async fn open() -> Self {
        Self::before(Site::new(), |_| {}).await
    }

    pub async fn before(site: Site, change: impl FnOnce(&mut GateConfig)) -> Self {
        let bank = Bank::new();
        let chain = TestChain::new(&bank);
        let channels = TestChannels::new(&bank);
        assert!(chain.channels.set(Arc::clone(&channels)).is_ok());
        let upstream = site.open().await;
        let gate = Self::gate(&bank, &chain, &upstream, change).await;
        Self { bank, chain, channels, gate, site, upstream }
    }

    async fn gate(
        bank: &Arc<Bank>,
        chain: &Arc<TestChain>,
        upstream: &Server,
        change: impl FnOnce(&mut GateConfig),
    ) -> Server {
        let mut config = bank.config(rules());
        config.chains = Some(Arc::clone(chain) as Arc<dyn Chains>);
        change(&mut config);
        let proxy = Proxy::new(ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap()));
        start_service(Limits::default(), Gate::new(config, proxy.unwrap())).await
    }

    /// The same books behind a new gate: what was in memory is forgotten.
    pub async fn restart(&mut self) {
        self.bank.wait_secs(1);
        self.gate = Self::gate(&self.bank, &self.chain, &self.upstream, |_| {}).await;
    }

    pub async fn required(&self) -> PaymentRequired {
        required(&get(self.gate.address, "/paid/x", "").await)
    }

    /// The way to pay through a channel.
    pub async fn offer(&self) -> Requirements {
        offer(&self.required().await)
    }

    /// A payer whose channel has so much, and the offer.
    pub async fn payer(&self, balance: u128) -> (Payer, Requirements) {
        let payer = Payer::new(0, PAGE);
        self.channels.open(&payer.terms, balance);
        (payer, self.offer().await)
    }

    pub async fn pay(&self, payment: &Payload) -> Answer {
        let url = payment.resource.as_ref().unwrap().url.clone();
        self.pay_for(url.strip_prefix(HOST).unwrap(), payment).await
    }

    pub async fn pay_for(&self, path: &str, payment: &Payload) -> Answer {
        self.send(("GET", path, ""), payment).await
    }

    pub async fn send(&self, (method, path, body): (&str, &str, &str), payment: &Payload) -> Answer {
        let field = format!("PAYMENT-SIGNATURE: {}\r\n", payment.to_header().unwrap());
        send(self.gate.address, method, path, &field, body).await
    }

    pub fn row(&self, channel: ChannelId) -> ChannelRow {
        self.bank.channel(channel).unwrap()
    }

    /// What was charged through a channel.
    pub fn charged(&self, channel: ChannelId) -> u128 {
        self.row(channel).books.charged().value()
    }
}

pub fn required(answer: &Answer) -> PaymentRequired {
    PaymentRequired::from_header(answer.header("payment-required").unwrap()).unwrap()
}

pub fn offer(required: &PaymentRequired) -> Requirements {
    required.accepts.iter().find(|offer| offer.scheme == SCHEME_BATCH).unwrap().clone()
}

pub fn response(answer: &Answer) -> SettleResponse {
    SettleResponse::from_header(answer.header("payment-response").unwrap()).unwrap()
}

/// What an answer says of a channel: what this has cost, and what was charged in all.
pub fn told(answer: &Answer) -> (Option<u128>, ChannelStateText) {
    let told = ChannelAnswer::of(&response(answer)).unwrap();
    let cost = told.charged_amount.and_then(|units| units.amount());
    (cost.map(farthing_money::Amount::value), told.channel_state.unwrap())
}

pub fn total(state: &ChannelStateText) -> u128 {
    state.charged_cumulative_amount.as_ref().unwrap().amount().unwrap().value()
}

/// Why a payment was refused, in the words of x402.
pub fn reason(answer: &Answer) -> String {
    let reason = required(answer).error.unwrap();
    reason.strip_prefix("invalid_batch_settlement_evm_").unwrap_or(&reason).to_owned()
}

/// Whether an answer says where a channel stands.
pub fn discloses(answer: &Answer) -> bool {
    let required = required(answer);
    let offers = required.accepts.iter();
    let told =
        offers.filter(|offer| offer.extra.channel().is_some() || offer.extra.channel_voucher().is_some());
    told.count() > 0 || answer.header("payment-response").is_some()
}
