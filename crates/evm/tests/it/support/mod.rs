//! A stage for all tests of this room: books in memory, a clock that is told what time it is, payers who sign.

pub mod anvil;
pub mod desk;
pub mod drafts;
pub mod fickle;
pub mod payer;
pub mod pier;
pub mod play;
pub mod scene;
pub mod voucher;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use farthing_channel::{Address, ChainId, SigningKey};
use farthing_engine::{Call, CallId, Command, Funds, Marks, Outcome, PaymentId, Settle};
use farthing_evm::{ChainConfig, Clock, Facilitator, Node, Ports, Submitter, TokenConfig};
use farthing_money::{Amount, Asset, Span, Timestamp};
use farthing_wire::x402::{Payload, Requirements};

use desk::Desk;
use voucher::shop;

/// The accounts of anvil's words, which everybody knows.
pub const KEYS: [&str; 5] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
];

pub const CHAIN: ChainId = ChainId::new(84_532);

pub fn key(n: usize) -> SigningKey {
    SigningKey::from_hex(KEYS[n]).unwrap()
}

/// Who sends, who pays, who is paid.
pub fn submitter() -> SigningKey {
    key(0)
}

pub fn payer() -> SigningKey {
    key(1)
}

pub fn payee() -> Address {
    key(2).address()
}

pub fn usd() -> Asset {
    Asset::micro("USD").unwrap()
}

pub fn coin() -> Asset {
    Asset::new("ETH", 18, "wei").unwrap()
}

pub fn token_at(address: Address) -> TokenConfig {
    TokenConfig::dollar(address, "USDC", "USDC", "2", usd())
}

pub fn chain_with(tokens: Vec<TokenConfig>) -> ChainConfig {
    let node = "http://127.0.0.1:1".parse().unwrap();
    ChainConfig::new(CHAIN, vec![node], payee(), coin(), tokens)
}

/// A clock that stands still until it is told.
#[derive(Clone)]
pub struct Hands(Arc<AtomicU64>);

impl Hands {
    pub fn at(secs: u64) -> Self {
        Self(Arc::new(AtomicU64::new(secs * 1000)))
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    pub fn pass(&self, seconds: u64) {
        self.0.fetch_add(Span::from_secs(seconds).millis(), Ordering::SeqCst);
    }

    pub fn set(&self, at: Timestamp) {
        self.0.store(at.millis(), Ordering::SeqCst);
    }

    pub fn clock(&self) -> Clock {
        let hands = self.clone();
        Arc::new(move || hands.now())
    }
}

/// Everything that settles, on any node.
pub struct Stage {
    pub chain: Arc<ChainConfig>,
    pub hands: Hands,
    pub desk: Arc<Desk>,
    pub facilitator: Arc<Facilitator>,
    pub node: Arc<dyn Node>,
}

impl Stage {
    pub fn new(chain: ChainConfig, node: Arc<dyn Node>, hands: Hands) -> Self {
        let desk = Desk::open(&chain, hands.clock());
        Self::on(Arc::new(chain), node, hands, desk)
    }

    fn on(chain: Arc<ChainConfig>, node: Arc<dyn Node>, hands: Hands, desk: Arc<Desk>) -> Self {
        let ports = Ports {
            chain: Arc::clone(&chain),
            node: Arc::clone(&node),
            signer: Arc::new(submitter()),
            read: Arc::new((**desk).clone()) as Arc<dyn farthing_engine::Read>,
            execute: Arc::clone(&desk) as Arc<dyn farthing_engine::Execute>,
            clock: hands.clock(),
        };
        let facilitator = Arc::new(Facilitator::new(Arc::new(Submitter::new(ports))));
        Self { chain, hands, desk, facilitator, node }
    }

    /// The same books after a restart: all that was only in memory is gone.
    pub fn restarted(&self) -> Self {
        let (chain, node) = (Arc::clone(&self.chain), Arc::clone(&self.node));
        Self::on(chain, node, self.hands.clone(), Arc::clone(&self.desk))
    }

    /// The same books after a restart with a configuration that takes no channels.
    pub fn without_channels(&self) -> Self {
        let chain = ChainConfig { channels: None, ..(*self.chain).clone() };
        let node = Arc::clone(&self.node);
        Self::on(Arc::new(chain), node, self.hands.clone(), Arc::clone(&self.desk))
    }

    pub fn submitter(&self) -> &Submitter {
        self.facilitator.submitter()
    }

    /// One round, which must get to its end.
    pub async fn round(&self) -> farthing_evm::Round {
        self.submitter().run_once().await.unwrap()
    }

    /// What the gate does: holds a verified payment, and asks for it to be settled.
    pub fn settle(&self, requirements: &Requirements, payload: &Payload, units: Amount) -> CallId {
        let payment = self.facilitator.payment_of(requirements, payload).unwrap();
        let call = self.facilitator.call_of(requirements, payload, units).unwrap();
        self.settle_call(payment, call, requirements.amount.amount().unwrap())
    }

    pub fn settle_call(&self, payment: PaymentId, call: Call, ceiling: Amount) -> CallId {
        let reserve = self.chain.reserve(&self.chain.tokens[0]).id();
        let charged = call.moves.units;
        self.hold(payment, Funds::Chain { reserve, amount: ceiling }, charged).unwrap();
        self.desk
            .run(&Command::Settle(Settle {
                payment,
                call: Some(call),
                charged,
                pass_until: None,
                accounts: vec![reserve],
                merchant: shop().into(),
                asset: usd(),
                marks: Marks::default(),
            }))
            .unwrap();
        CallId::of_payment(payment)
    }

    /// How a call has ended, if it has.
    pub fn outcome(&self, id: CallId) -> Option<Outcome> {
        use farthing_engine::Read;
        self.desk.settlement(id).unwrap().map(|row| row.outcome)
    }

    pub fn is_settled(&self, id: CallId) -> bool {
        matches!(self.outcome(id), Some(Outcome::Settled { .. }))
    }

    /// Why it has failed.
    pub fn failure(&self, id: CallId) -> Option<String> {
        match self.outcome(id) {
            Some(Outcome::Failed { reason, .. }) => Some(reason),
            _ => None,
        }
    }

    /// What the shop has earned, what we have of the token, and what gas has cost, as the books say it.
    pub fn books(&self) -> [i128; 3] {
        let reserve = self.chain.reserve(&self.chain.tokens[0]).id();
        let gas = self.chain.gas_accounts().spent;
        [self.desk.credit_balance(shop()), -self.desk.credit_balance(reserve), -self.desk.credit_balance(gas)]
    }
}
