//! A chain of one token for the gate's stories. It settles, fails or keeps silent as it is told, and does what the room of the
//! chains does with the outcome: it writes it down.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use farthing_channel::{Address, escrow};
use farthing_engine::{
    Attempt, Call, CallId, ChainAddress, Chart, Command, EndCall, Movement, Outcome, PaymentId, Purpose,
    ReopenCall, SendCall, SettledPayment, TransactionId,
};
use farthing_gate::chain::channel::Channels;
use farthing_gate::chain::{ChainFuture, ChainRefusal, Chains, Verified};
use farthing_money::{Amount, Money, Span, Timestamp};
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::{
    AddressText, AuthCapture, Eip3009, Eip3009Authorization, EscrowTerms, Extra, Payload, Reason,
    Requirements, Resource, SCHEME_AUTH_CAPTURE, SchemePayload, SignatureText, Uint,
};
use serde_json::Map;
use tokio::sync::oneshot;

use super::bank::{Bank, usd};
use super::channel::TestChannels;

pub const TOKEN: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
pub const SHOP: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
pub const CHAIN: u64 = 84_532;
pub const RESERVE: &str = "eip155:84532:USDC";
/// What calls of the escrow say, by which they are known here.
const CAPTURE: u8 = 2;
const VOID: u8 = 3;

/// What becomes of a call that somebody waits for.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Settles,
    Fails(Reason),
    Silent,
}

/// The chain, and what it was asked.
pub struct TestChain {
    bank: Arc<Bank>,
    /// One for each wait; when there is none, it settles.
    pub fates: Mutex<VecDeque<Fate>>,
    /// Whether it can be asked.
    pub refusal: Mutex<Option<ChainRefusal>>,
    /// The next judgement: says that it was asked for, and waits for what it is.
    pub slow: Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<ChainRefusal>)>>,
    /// The next wait for the end of a call: says that somebody waits, and settles when it is told to.
    pub waits: Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>,
    /// What it offers instead of its own two.
    pub offers: Mutex<Vec<Requirements>>,
    /// Captures are of a multiple of so many units.
    pub grain: AtomicU64,
    pub verified: AtomicUsize,
    pub settled: AtomicUsize,
    /// Whoever looks after channels there, if anybody does.
    pub channels: OnceLock<Arc<TestChannels>>,
}

impl TestChain {
    pub fn new(bank: &Arc<Bank>) -> Arc<Self> {
        bank.decide(&Command::OpenAccounts(vec![Chart::of(usd()).reserve(RESERVE)])).unwrap();
        Arc::new(Self {
            bank: Arc::clone(bank),
            fates: Mutex::default(),
            refusal: Mutex::default(),
            slow: Mutex::default(),
            waits: Mutex::default(),
            offers: Mutex::default(),
            grain: AtomicU64::new(1),
            verified: AtomicUsize::new(0),
            settled: AtomicUsize::new(0),
            channels: OnceLock::new(),
        })
    }

    pub fn then(&self, fate: Fate) {
        self.fates.lock().unwrap().push_back(fate);
    }

    /// What hangs on a call, as the room of the chains finds it.
    fn named(&self, call: CallId) -> Option<SettledPayment> {
        let row = self.bank.call(call).or_else(|| self.bank.settlement(call).map(|ended| ended.row))?;
        SettledPayment::of(&self.bank.rows, &row).unwrap()
    }

    /// The chain takes an outcome back.
    pub fn reopen(&self, call: CallId) {
        let payment = self.named(call);
        self.bank.decide(&Command::ReopenCall(ReopenCall { call, payment })).unwrap();
    }

    /// A transaction of a call is handed to a node.
    pub fn send(&self, call: CallId) {
        let attempt = Attempt {
            transaction: TransactionId::from_bytes(*call.as_bytes()),
            signed: vec![],
            at: Timestamp::from_secs(1),
        };
        let slot = (ChainAddress::from_bytes([1; 20]), 0);
        let _ = self.bank.decide(&Command::SendCall(SendCall { call, chain: CHAIN, slot, attempt }));
    }

    /// What the chain does with a call, written down as the room of the chains does.
    pub fn end(&self, call: CallId, fate: Fate) -> Option<Outcome> {
        let outcome = match fate {
            Fate::Silent => return None,
            Fate::Settles => {
                self.settled.fetch_add(1, Ordering::SeqCst);
                let transaction = TransactionId::from_bytes(*call.as_bytes());
                Outcome::Settled { transaction, block: 1, log: 0 }
            }
            Fate::Fails(reason) => Outcome::Failed { transaction: None, reason: reason.to_string() },
        };
        // What an escrow has left goes back.
        let made = self.bank.call(call).map(|row| row.call);
        let back = made.filter(|made| made.input[0] >= CAPTURE);
        let back = back.map(|made| Call { input: vec![VOID], ..made });
        self.send(call);
        let end = EndCall { call, outcome: outcome.clone(), payment: self.named(call), gas: None, back };
        self.bank.decide(&Command::EndCall(end)).unwrap();
        if let Some(channels) = self.channels.get() {
            channels.ended(call, &outcome);
        }
        Some(outcome)
    }
}

impl Chains for TestChain {
    fn offers(&self, price: Money) -> Vec<Requirements> {
        let others = self.offers.lock().unwrap().clone();
        if !others.is_empty() {
            return others;
        }
        let exact = Requirements {
            scheme: "exact".into(),
            network: "eip155:84532".into(),
            amount: price.amount().into(),
            asset: TOKEN.into(),
            pay_to: SHOP.into(),
            max_timeout_seconds: 60,
            extra: Extra::eip3009("USDC", "2"),
            other: Map::new(),
        };
        // The real one moves by Permit2; here nothing looks at how it does.
        let upto = Requirements { scheme: "upto".into(), ..exact.clone() };
        vec![exact, upto]
    }

    fn price(&self, _: &Requirements, units: Amount) -> Option<Money> {
        Some(usd().money(units))
    }

    fn decimals(&self, _: &Requirements) -> Option<u8> {
        Some(6)
    }

    fn payment(&self, _: &Requirements, payload: &Payload) -> Result<PaymentId, ChainRefusal> {
        let (SchemePayload::Eip3009(signed) | SchemePayload::AuthCapture(AuthCapture { signed, .. })) =
            &payload.payload
        else {
            panic!("an authorization is expected")
        };
        let authorization = &signed.authorization;
        let (counter, payer) =
            (ChainAddress::from_bytes([2; 20]), ChainAddress::from_bytes(authorization.from.0));
        Ok(PaymentId::of_authorization(CHAIN, counter, payer, &authorization.nonce.0))
    }

    fn verify<'a>(
        &'a self,
        offer: &'a Requirements,
        _: &'a Payload,
    ) -> ChainFuture<'a, Result<Verified, ChainRefusal>> {
        self.verified.fetch_add(1, Ordering::SeqCst);
        if let Some((asked, refusal)) = self.slow.lock().unwrap().take() {
            asked.send(()).unwrap();
            return Box::pin(async move { Err(refusal.await.unwrap()) });
        }
        let refusal = self.refusal.lock().unwrap().clone();
        let most = usd().money(offer.amount.amount().unwrap());
        let reserve = Chart::of(usd()).reserve(RESERVE).id();
        Box::pin(std::future::ready(refusal.map_or(Ok(Verified { reserve, most }), Err)))
    }

    fn call(&self, _: &Requirements, payload: &Payload, charged: Money) -> Result<Call, ChainRefusal> {
        let from = payload.payload.payer().unwrap().0;
        let moves = Movement {
            token: ChainAddress::from_bytes([3; 20]),
            from: ChainAddress::from_bytes(from),
            to: ChainAddress::from_bytes([4; 20]),
            units: charged.amount(),
        };
        let to = moves.token;
        Ok(Call {
            chain: CHAIN,
            to,
            input: vec![1],
            moves,
            until: Timestamp::from_secs(u64::MAX / 1_000),
            approval: None,
        })
    }

    fn escrow_offers(&self, price: Money) -> Vec<Requirements> {
        let terms = EscrowTerms {
            escrow: HexText(*escrow::AUTH_CAPTURE_ESCROW.as_bytes()),
            authorizer: SHOP.parse::<AddressText>().unwrap(),
            capture_deadline: self.bank.time().after(Span::from_secs(3_600)).secs(),
            refund_deadline: self.bank.time().after(Span::from_secs(7_200)).secs(),
        };
        let offer = Requirements {
            scheme: SCHEME_AUTH_CAPTURE.into(),
            network: "eip155:84532".into(),
            amount: price.amount().into(),
            asset: TOKEN.into(),
            pay_to: SHOP.into(),
            max_timeout_seconds: 60,
            extra: Extra::auth_capture("USDC", "2", &terms),
            other: Map::new(),
        };
        vec![offer]
    }

    /// The deadline is in the call, as it is in the real one's.
    fn put_into_escrow(
        &self,
        offer: &Requirements,
        payload: &Payload,
        money: Money,
    ) -> Result<Call, ChainRefusal> {
        let deadline = offer.extra.escrow_terms().unwrap().capture_deadline;
        let input = [&[1][..], &deadline.to_be_bytes()].concat();
        Ok(Call { input, ..self.call(offer, payload, money)? })
    }

    fn out_of_escrow(&self, authorize: &Call, money: Option<Money>) -> Result<Call, ChainRefusal> {
        assert_eq!(authorize.input[0], 1);
        let Some(money) = money else { return Ok(Call { input: vec![VOID], ..authorize.clone() }) };
        let grain = u128::from(self.grain.load(Ordering::SeqCst));
        if !money.amount().value().is_multiple_of(grain) {
            let message = format!("expected a multiple of {grain} units, got {money}");
            return Err(ChainRefusal::Invalid { reason: Reason::EscrowAmountMismatch, message });
        }
        let moves = Movement { units: money.amount(), ..authorize.moves };
        Ok(Call { input: vec![CAPTURE], moves, ..authorize.clone() })
    }

    fn channels(&self) -> Option<&dyn Channels> {
        self.channels.get().map(|channels| &**channels as &dyn Channels)
    }

    fn ended(&self, call: CallId) -> ChainFuture<'_, Option<Outcome>> {
        // What has ended on a channel is not carried out again.
        if let Some(ended) = self.bank.settlement(call)
            && matches!(ended.row.purpose, Purpose::Channel(_))
        {
            return Box::pin(std::future::ready(Some(ended.outcome)));
        }
        if let Some((begun, end)) = self.waits.lock().unwrap().take() {
            return Box::pin(async move {
                begun.send(()).unwrap();
                end.await.unwrap();
                self.end(call, Fate::Settles)
            });
        }
        let fate = self.fates.lock().unwrap().pop_front().unwrap_or(Fate::Settles);
        Box::pin(std::future::ready(self.end(call, fate)))
    }
}

/// A payment of an offer, for a resource. Its signature is not looked at here.
pub fn payload(offer: &Requirements, url: &str, nonce: u8) -> Payload {
    let payer: Address = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".parse().unwrap();
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

/// The same through an escrow.
pub fn payload_of_escrow(offer: &Requirements, url: &str, nonce: u8) -> Payload {
    let payload = payload(offer, url, nonce);
    let SchemePayload::Eip3009(signed) = payload.payload else { panic!("an authorization") };
    let paid = AuthCapture { signed, salt: HexText([nonce; 32]), other: Map::new() };
    Payload { payload: SchemePayload::AuthCapture(paid), ..payload }
}
