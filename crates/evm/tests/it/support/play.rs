//! A play on a chain in memory: a shop, a payer, who sends, and somebody else.

use std::sync::Arc;

use farthing_channel::Address;
use farthing_engine::{Call, CallId, Read};
use farthing_evm::{ChainConfig, Effect, Node, ScriptedNode, SignedTransaction, Transaction};
use farthing_money::{Amount, Money, Timestamp};
use farthing_wire::x402::Requirements;

use super::payer::pay;
use super::{CHAIN, Hands, Stage, chain_with, key, payer, submitter, token_at, usd};

pub const NOW: u64 = 1_000_000;
pub const PRICE: u128 = 1_000;
/// What one call costs on this chain: 60 000 units of gas at 1 gwei and the tip.
pub const GAS: i128 = 60_000 * 1_001_000_000;

pub fn token() -> Address {
    Address::from_bytes([5; 20])
}

pub struct Play {
    pub stage: Stage,
    pub node: Arc<ScriptedNode>,
    pub offer: Requirements,
}

impl Play {
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    pub fn with(change: impl FnOnce(&mut ChainConfig)) -> Self {
        let node = Arc::new(ScriptedNode::new(CHAIN, Timestamp::from_secs(NOW)));
        node.put_token(token(), "USDC", "2");
        node.mint(token(), payer().address(), Amount::new(1_000_000));
        node.fund(submitter().address(), Amount::new(10_u128.pow(18)));
        let mut chain = chain_with(vec![token_at(token())]);
        change(&mut chain);
        let stage = Stage::new(chain, Arc::clone(&node) as Arc<dyn Node>, Hands::at(NOW));
        let offer = stage.facilitator.offers(Money::new(Amount::new(PRICE), usd())).remove(0);
        Self { stage, node, offer }
    }

    /// A payment that the gate wants settled.
    pub fn settle(&self, nonce: u8) -> CallId {
        let payload = pay(&self.offer, &payer(), NOW, nonce);
        self.stage.settle(&self.offer, &payload, Amount::new(PRICE))
    }

    /// A payment that has failed in the newest block, where the token is paused.
    pub async fn failed(&self) -> CallId {
        let id = self.settle(1);
        self.stage.round().await;
        self.node.on(token(), &self.call(1).input[..4], Effect::Refuses("Pausable: paused".into()));
        self.mine_and_look().await;
        assert!(self.stage.failure(id).is_some());
        id
    }

    pub fn call(&self, nonce: u8) -> Call {
        let payload = pay(&self.offer, &payer(), NOW, nonce);
        self.stage.facilitator.call_of(&self.offer, &payload, Amount::new(PRICE)).unwrap()
    }

    pub fn attempts(&self, id: CallId) -> Vec<SignedTransaction> {
        let row = self.stage.desk.call(id).unwrap().unwrap();
        row.attempts.iter().map(|attempt| SignedTransaction::decode(&attempt.signed).unwrap()).collect()
    }

    pub async fn mine_and_look(&self) {
        self.node.mine();
        self.stage.round().await;
    }

    /// So many blocks are made, and each is looked at.
    pub async fn pass(&self, blocks: usize) {
        for _ in 0..blocks {
            self.mine_and_look().await;
        }
    }

    /// So many blocks later all lies deep: nothing is asked any more.
    pub async fn lies_deep_after(&self, blocks: usize) {
        self.pass(blocks).await;
        self.node.take_asked();
        self.mine_and_look().await;
        assert_eq!(self.node.take_asked(), Vec::<&str>::new(), "it lies deep");
    }

    /// The same after a restart: what was only in memory is gone.
    pub fn restarted(&self) -> Self {
        let (stage, node, offer) = (self.stage.restarted(), Arc::clone(&self.node), self.offer.clone());
        Self { stage, node, offer }
    }

    /// Somebody else sends a call with this input.
    pub async fn send_as_other(&self, to: Address, input: Vec<u8>) {
        self.node.send(self.signed_by_other(to, input).await).await.unwrap();
    }

    /// What somebody else would send.
    pub async fn signed_by_other(&self, to: Address, input: Vec<u8>) -> Vec<u8> {
        let key = key(3);
        self.node.fund(key.address(), Amount::new(10_u128.pow(18)));
        let fees = farthing_evm::Fees { most: Amount::new(10_u128.pow(10)), tip: Amount::new(1) };
        let number = self.node.count(key.address(), farthing_evm::Moment::Pending).await.unwrap();
        let transaction =
            Transaction { chain: CHAIN, number, fees, gas: 100_000, to, coin: Amount::ZERO, input };
        let signature = key.sign(&transaction.digest());
        transaction.signed(&signature).unwrap().bytes
    }
}
