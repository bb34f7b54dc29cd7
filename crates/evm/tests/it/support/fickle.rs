//! A node that at times knows less than the chain, as one does that is behind another one at the same address.

use std::sync::{Arc, Mutex};

use farthing_channel::{Address, ChainId, TxHash};
use farthing_evm::{Asked, Block, Log, LogFilter, Moment, Node, Receipt, ScriptedNode, Trial};
use farthing_money::Amount;
use futures_util::future::BoxFuture;

type Meanwhile = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

pub struct Fickle {
    inner: Arc<ScriptedNode>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    before_head: Option<Meanwhile>,
    no_logs: bool,
    hidden: Option<u64>,
    hidden_after_logs: Option<u64>,
    receipts_hidden: u32,
    head: Option<Block>,
    block: Option<Block>,
}

impl Fickle {
    pub fn new(inner: Arc<ScriptedNode>) -> Self {
        Self { inner, told: Mutex::default() }
    }

    /// What happens before it is next asked for its newest block.
    pub fn before_head(&self, meanwhile: impl FnOnce() -> BoxFuture<'static, ()> + Send + 'static) {
        self.told.lock().unwrap().before_head = Some(Box::new(meanwhile));
    }

    /// The next question for logs is answered with none.
    pub fn say_no_logs(&self) {
        self.told.lock().unwrap().no_logs = true;
    }

    /// It does not have this block.
    pub fn hide(&self, block: Option<u64>) {
        self.told.lock().unwrap().hidden = block;
    }

    /// It says that this is the newest block, as a node does that is on another branch.
    pub fn say_head(&self, head: Option<Block>) {
        self.told.lock().unwrap().head = head;
    }

    /// It has this block in its place.
    pub fn say_block(&self, block: Option<Block>) {
        self.told.lock().unwrap().block = block;
    }

    /// It does not have the receipts for which it is asked next, so many times.
    pub fn hide_receipts(&self, times: u32) {
        self.told.lock().unwrap().receipts_hidden = times;
    }

    /// The same after the next question for logs.
    pub fn hide_after_logs(&self, block: u64) {
        self.told.lock().unwrap().hidden_after_logs = Some(block);
    }
}

impl Node for Fickle {
    fn chain_id(&self) -> Asked<'_, ChainId> {
        self.inner.chain_id()
    }

    fn head(&self) -> Asked<'_, Block> {
        let meanwhile = self.told.lock().unwrap().before_head.take();
        Box::pin(async move {
            if let Some(meanwhile) = meanwhile {
                meanwhile().await;
            }
            let head = self.told.lock().unwrap().head;
            if let Some(head) = head {
                return Ok(head);
            }
            self.inner.head().await
        })
    }

    fn block(&self, number: u64) -> Asked<'_, Option<Block>> {
        if self.told.lock().unwrap().hidden == Some(number) {
            return Box::pin(async { Ok(None) });
        }
        let told = self.told.lock().unwrap().block.filter(|block| block.number == number);
        if told.is_some() {
            return Box::pin(async move { Ok(told) });
        }
        self.inner.block(number)
    }

    fn call(&self, trial: Trial) -> Asked<'_, Vec<u8>> {
        self.inner.call(trial)
    }

    fn call_at(&self, trial: Trial, moment: Moment) -> Asked<'_, Vec<u8>> {
        self.inner.call_at(trial, moment)
    }

    fn gas(&self, trial: Trial) -> Asked<'_, u64> {
        self.inner.gas(trial)
    }

    fn code_at(&self, address: Address) -> Asked<'_, Vec<u8>> {
        self.inner.code_at(address)
    }

    fn balance(&self, address: Address) -> Asked<'_, Amount> {
        self.inner.balance(address)
    }

    fn count(&self, address: Address, moment: Moment) -> Asked<'_, u64> {
        self.inner.count(address, moment)
    }

    fn tip(&self) -> Asked<'_, Amount> {
        self.inner.tip()
    }

    fn send(&self, signed: Vec<u8>) -> Asked<'_, ()> {
        self.inner.send(signed)
    }

    fn receipt(&self, transaction: TxHash) -> Asked<'_, Option<Receipt>> {
        let mut told = self.told.lock().unwrap();
        if let Some(left) = told.receipts_hidden.checked_sub(1) {
            told.receipts_hidden = left;
            return Box::pin(async { Ok(None) });
        }
        self.inner.receipt(transaction)
    }

    fn logs(&self, filter: LogFilter) -> Asked<'_, Vec<Log>> {
        let mut told = self.told.lock().unwrap();
        if let Some(block) = told.hidden_after_logs.take() {
            told.hidden = Some(block);
        }
        if std::mem::take(&mut told.no_logs) {
            return Box::pin(async { Ok(Vec::new()) });
        }
        self.inner.logs(filter)
    }

    fn sent(&self, transaction: TxHash) -> Asked<'_, Option<Trial>> {
        self.inner.sent(transaction)
    }
}
