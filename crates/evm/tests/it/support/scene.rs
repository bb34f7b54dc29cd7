//! A play with somebody who looks for plain transfers to addresses of quotes.

use std::sync::Arc;

use farthing_channel::{Address, SigningKey, Word, call};
use farthing_engine::{Chart, Command, InletRow, MintQuoteRow, OpenInlet, QuoteId, Read};
use farthing_evm::{ChainConfig, InletRound, InletToken, InletWatcher, Submitter};
use farthing_money::{Amount, Span, Timestamp};

use super::desk::Desk;
use super::play::{NOW, Play, token};
use super::{Hands, key as account, payee, usd};

pub const QUOTE: QuoteId = QuoteId::from_bytes([7; 16]);
pub const OTHER: QuoteId = QuoteId::from_bytes([8; 16]);
pub const DAY: u64 = 24 * 3600;

pub fn key(quote: QuoteId) -> SigningKey {
    let [first, ..] = *quote.as_bytes();
    SigningKey::from_bytes([first; 32]).unwrap()
}

pub fn mint_row(amount: u128) -> MintQuoteRow {
    MintQuoteRow {
        method: "evm".into(),
        request: String::new(),
        asset: usd(),
        amount: Amount::new(amount),
        paid: Amount::ZERO,
        issued: Amount::ZERO,
        source: Chart::of(usd()).deposits,
        code: None,
        pubkey: None,
        expires_at: None,
        updated_at: Timestamp::from_secs(NOW),
        tag: None,
        payment: None,
        inlet: true,
    }
}

/// A play with somebody who looks for transfers.
pub struct Scene {
    pub play: Play,
    pub watcher: InletWatcher,
}

impl Scene {
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    pub fn with(change: impl FnOnce(&mut ChainConfig)) -> Self {
        Self::of(Play::with(change))
    }

    pub fn of(play: Play) -> Self {
        let watcher = watcher(play.stage.facilitator.submitter());
        Self { play, watcher }
    }

    /// Tells the address of a quote.
    pub fn open(&self, quote: QuoteId) -> Address {
        self.open_since(quote, 0, vec![])
    }

    pub fn open_since(&self, quote: QuoteId, ago: u64, search: Vec<u64>) -> Address {
        tell(&self.play.stage.desk, &self.play.stage.hands, (quote, ago, search));
        self.watcher.address(quote).unwrap()
    }

    /// Somebody sends units; the block is made.
    pub async fn send(&self, to: Address, units: u128) {
        self.play.node.mint(token(), account(3).address(), Amount::new(units));
        self.play.send_as_other(token(), call::transfer(to, Word::from(Amount::new(units)))).await;
        self.play.node.mine();
    }

    pub async fn look(&self) -> InletRound {
        self.watcher.run_once().await.unwrap()
    }

    /// The same after a crash: what was only in memory is gone.
    pub fn restarted(self) -> Self {
        let stage = self.play.stage.restarted();
        Self::of(Play { stage, ..self.play })
    }

    pub fn paid(&self, quote: QuoteId) -> u128 {
        self.play.stage.desk.mint_quote(quote).unwrap().unwrap().paid.value()
    }

    pub fn inlet(&self, quote: QuoteId) -> InletRow {
        self.play.stage.desk.inlet(quote).unwrap().unwrap()
    }

    /// What we have in the books less what lies on the chain, at the inlets and where it is moved to.
    pub async fn missing(&self) -> i128 {
        let reserve = self.play.stage.chain.reserve(&self.play.stage.chain.tokens[0]).id();
        let lying = self.watcher.lying_there().await.unwrap()[0];
        let own = self.play.node.units(token(), payee());
        let there = own.checked_add(lying.counted).unwrap();
        -self.play.stage.desk.credit_balance(reserve) - i128::try_from(there.value()).unwrap()
    }
}

pub fn watcher(submitter: &Arc<Submitter>) -> InletWatcher {
    let taken = InletToken { token: token(), sweep_least: Amount::new(500) };
    InletWatcher::new(Arc::clone(submitter), vec![taken], Arc::new(|quote| Some(key(quote))))
}

/// Tells the address of a quote that was opened so many seconds ago, with chains to be searched.
pub fn tell(desk: &Desk, hands: &Hands, (quote, ago, search): (QuoteId, u64, Vec<u64>)) {
    let now = hands.now();
    let since = Timestamp::from_secs(now.secs() - ago);
    let until = now.after(Span::from_secs(DAY));
    let terms = Box::new(mint_row(1_000));
    desk.run(&Command::OpenInlet(OpenInlet { quote, terms, since, until, search })).unwrap();
}
