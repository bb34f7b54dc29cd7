//! A chain of one token. It settles, fails or keeps silent as it is told, and does what the room of the chains does with the
//! outcome: it writes it down.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use farthing_channel::Address;
use farthing_engine::{
    Call, CallId, ChainAddress, Chart, Command, EndCall, Execute, Movement, Outcome, PaymentId, QuoteId,
    Read, ReopenCall, SettledPayment, TransactionId,
};
use farthing_gate::chain::{
    Bounds, ChainFuture, ChainRefusal, Chains, CreditTerms, Destination, Inlet, Transfer, Verified,
    Withdrawal,
};
use farthing_money::{Amount, Asset, Money, Timestamp};
use farthing_server::installation::Installation;
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::{
    Eip3009, Eip3009Authorization, Extra, Payload, Reason, Requirements, Resource, SchemePayload,
    SignatureText, Uint,
};
use serde_json::Map;

pub const TOKEN: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
pub const OURS: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
pub const PAYER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
pub const RESERVE: &str = "reserve:eip155:84532:USDC";
const CHAIN: u64 = 84_532;
/// What is kept of a withdrawal.
pub const FEE: u64 = 5;

/// What becomes of a call that somebody waits for.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Settles,
    Fails(Reason),
    Silent,
}

/// What the chain will do, and what it was asked. It outlives restarts of the issuer.
#[derive(Default)]
pub struct Script {
    /// One for each wait; when there is none, it settles.
    pub fates: Mutex<VecDeque<Fate>>,
    /// Whether it can be asked.
    pub refusal: Mutex<Option<ChainRefusal>>,
    pub verified: AtomicUsize,
    /// What has moved on it, by call.
    pub moved: Mutex<BTreeMap<CallId, Movement>>,
}

impl Script {
    pub fn then(&self, fate: Fate) {
        self.fates.lock().unwrap().push_back(fate);
    }

    /// Units that came to us and went from us.
    pub fn units(&self) -> (u128, u128) {
        let ours: Address = OURS.parse().unwrap();
        let moved = self.moved.lock().unwrap();
        let sum = |came: bool| {
            let one = |moves: &&Movement| (moves.to.as_bytes() == ours.as_bytes()) == came;
            moved.values().filter(one).map(|moves| moves.units.value()).sum()
        };
        (sum(true), sum(false))
    }
}

/// The chain, to an open installation.
pub struct TestChain {
    script: Arc<Script>,
    read: Arc<dyn Read>,
    execute: Arc<dyn Execute>,
}

fn address(text: &str) -> ChainAddress {
    ChainAddress::from_bytes(*text.parse::<Address>().unwrap().as_bytes())
}

fn invalid(reason: Reason, message: &str) -> ChainRefusal {
    ChainRefusal::Invalid { reason, message: message.to_owned() }
}

impl TestChain {
    pub async fn open(installation: &Installation, script: &Arc<Script>) -> Self {
        let (read, execute) = (Arc::clone(&installation.books), Arc::clone(&installation.writer));
        let asset = installation.assets.by_unit("uusd").unwrap();
        let reserve = Chart::of(asset).reserve(RESERVE.strip_prefix("reserve:").unwrap());
        execute.execute(Command::OpenAccounts(vec![reserve])).await.unwrap();
        Self { script: Arc::clone(script), read, execute }
    }

    /// What the chain does with a call, written down as the room of the chains does.
    pub async fn end(&self, call: CallId, fate: Fate) -> Option<Outcome> {
        if let Some(ended) = self.read.settlement(call).unwrap() {
            return Some(ended.outcome);
        }
        let row = self.read.call(call).unwrap()?;
        let outcome = match fate {
            Fate::Silent => return None,
            Fate::Settles => {
                let transaction = TransactionId::from_bytes(*call.as_bytes());
                Outcome::Settled { transaction, block: 1, log: 0 }
            }
            Fate::Fails(reason) => Outcome::Failed { transaction: None, reason: reason.to_string() },
        };
        let payment = SettledPayment::of(&*self.read, &row).unwrap();
        let end = EndCall { call, outcome: outcome.clone(), payment, gas: None, back: None };
        self.execute.execute(Command::EndCall(end)).await.unwrap();
        // Of several that end it at once, the first has.
        let ended = self.read.settlement(call).unwrap()?;
        if ended.outcome == outcome && matches!(fate, Fate::Settles) {
            self.script.moved.lock().unwrap().insert(call, row.call.moves);
        }
        Some(ended.outcome)
    }

    /// Ends everything that is in the outbox.
    pub async fn end_all(&self, fate: Fate) {
        for (call, _) in self.read.calls().unwrap() {
            self.end(call, fate).await;
        }
    }

    /// Takes back what a payment had moved.
    pub async fn take_back(&self, payment: PaymentId) {
        let call = CallId::of_payment(payment);
        let row = self.read.settlement(call).unwrap().unwrap().row;
        let payment = SettledPayment::of(&*self.read, &row).unwrap();
        self.execute.execute(Command::ReopenCall(ReopenCall { call, payment })).await.unwrap();
    }

    fn verdict(&self) -> Result<(), ChainRefusal> {
        self.script.refusal.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn reserve(asset: Asset) -> farthing_ledger::AccountId {
        Chart::of(asset).reserve(RESERVE.strip_prefix("reserve:").unwrap()).id()
    }
}

impl Chains for TestChain {
    fn offers(&self, price: Money) -> Vec<Requirements> {
        vec![Requirements {
            scheme: "exact".into(),
            network: "eip155:84532".into(),
            amount: price.amount().into(),
            asset: TOKEN.into(),
            pay_to: OURS.into(),
            max_timeout_seconds: 60,
            extra: Extra::eip3009("USDC", "2"),
            other: Map::new(),
        }]
    }

    fn price(&self, _: &Requirements, _: Amount) -> Option<Money> {
        None
    }

    fn decimals(&self, _: &Requirements) -> Option<u8> {
        Some(6)
    }

    fn payment(&self, _: &Requirements, payload: &Payload) -> Result<PaymentId, ChainRefusal> {
        let SchemePayload::Eip3009(payload) = &payload.payload else {
            return Err(invalid(Reason::UnsupportedPayloadType, "expected an authorization"));
        };
        let payer = ChainAddress::from_bytes(payload.authorization.from.0);
        Ok(PaymentId::of_authorization(CHAIN, address(TOKEN), payer, &payload.authorization.nonce.0))
    }

    fn verify<'a>(
        &'a self,
        offer: &'a Requirements,
        _: &'a Payload,
    ) -> ChainFuture<'a, Result<Verified, ChainRefusal>> {
        self.script.verified.fetch_add(1, SeqCst);
        let asset = Asset::micro("USD").unwrap();
        let most = asset.money(offer.amount.amount().unwrap());
        let verified = Verified { reserve: Self::reserve(asset), most };
        Box::pin(std::future::ready(self.verdict().map(|()| verified)))
    }

    fn call(&self, _: &Requirements, payload: &Payload, charged: Money) -> Result<Call, ChainRefusal> {
        let from = ChainAddress::from_bytes(payload.payload.payer().unwrap().0);
        let moves = Movement { token: address(TOKEN), from, to: address(OURS), units: charged.amount() };
        let until = Timestamp::from_secs(u64::MAX / 1_000);
        Ok(Call { chain: CHAIN, to: moves.token, input: vec![1], moves, until, approval: None })
    }

    fn credit_terms(&self, asset: Asset) -> Option<CreditTerms> {
        let bounds = Bounds { least: Amount::new(10), most: Some(Amount::new(1_000)) };
        let terms = CreditTerms { deposit: bounds, withdrawal: bounds, withdrawal_fee: Amount::from(FEE) };
        (asset.unit().as_str() == "uusd").then_some(terms)
    }

    fn withdrawal(&self, amount: Money, place: &Destination) -> Result<Withdrawal, ChainRefusal> {
        self.verdict()?;
        let token: Address = TOKEN.parse().unwrap();
        if place.token.is_some_and(|named| named != (CHAIN, token)) {
            return Err(invalid(Reason::NetworkMismatch, "expected the token that is configured"));
        }
        if place.to.is_zero() {
            return Err(invalid(Reason::RecipientMismatch, "expected somebody's address, got nobody's"));
        }
        let to = ChainAddress::from_bytes(*place.to.as_bytes());
        let moves = Movement { token: address(TOKEN), from: address(OURS), to, units: amount.amount() };
        let until = Timestamp::from_secs(u64::MAX / 1_000);
        let call = Call { chain: CHAIN, to: moves.token, input: vec![2], moves, until, approval: None };
        Ok(Withdrawal { call, reserve: Self::reserve(amount.asset()) })
    }

    fn inlet(&self, quote: QuoteId, amount: Money) -> Option<Inlet> {
        let [first, ..] = *quote.as_bytes();
        let way = Transfer {
            chain: CHAIN,
            token: TOKEN.parse().unwrap(),
            symbol: "USDC".into(),
            units: amount.amount(),
        };
        Some(Inlet { address: Address::from_bytes([first; 20]), ways: vec![way] })
    }

    fn ended(&self, call: CallId) -> ChainFuture<'_, Option<Outcome>> {
        let fate = self.script.fates.lock().unwrap().pop_front().unwrap_or(Fate::Settles);
        Box::pin(self.end(call, fate))
    }
}

/// A payment of an offer, for a resource. Its signature is not looked at here.
pub fn payload(offer: &Requirements, url: &str, nonce: u8) -> Payload {
    let payer: Address = PAYER.parse().unwrap();
    let authorization = Eip3009Authorization {
        from: HexText(*payer.as_bytes()),
        to: offer.pay_to_address().unwrap(),
        value: offer.amount.clone(),
        valid_after: Uint::zero(),
        valid_before: Uint::from(4_000_000_000_u64),
        nonce: HexText([nonce; 32]),
    };
    let signature = SignatureText::new(vec![nonce; 65]).unwrap();
    Payload {
        resource: Some(Resource::of(url)),
        accepted: offer.clone(),
        payload: SchemePayload::Eip3009(Eip3009 { signature, authorization }),
        extensions: Map::new(),
    }
}
