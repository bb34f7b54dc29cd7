//! Channels at the chain of the gate's stories: the escrow's numbers are set by hand, all that is signed is signed really.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use farthing_channel::seller::{ChannelOffer, ChannelOnChain, RefundPlan, least_deposit};
use farthing_channel::{
    Address, ChainId, ChannelId, ChannelTerms, Digest, Domain, Salt, SigningKey, Voucher, Word, batch_call,
    batch_domain,
};
use farthing_engine::{
    Call, CallId, ChainAddress, ChannelAccounts, ChannelRow, ChannelStep, Chart, Command, MakeChannelCall,
    Movement, Outcome, Purpose, SeeChannel, UnitWorth,
};
use farthing_gate::chain::channel::{ChannelDesk, Channels, SoundDeposit};
use farthing_gate::chain::{ChainFuture, ChainRefusal};
use farthing_money::{Amount, Money, Timestamp};
use farthing_wire::x402::batch::{
    ChannelConfig, ChannelOfferText, Deposit, DepositAuthorization, DepositPayload, DepositReceive,
    PayerPayload, RefundPayload, SCHEME_BATCH, VoucherFields, VoucherPayload,
};
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::{
    AssetTransferMethod, Payload, Reason, Requirements, Resource, SignatureText, Uint,
};
use serde_json::{Map, Value};

use super::bank::{Bank, usd};
use super::chain::{CHAIN, RESERVE, SHOP, TOKEN};

const UNIT: UnitWorth = UnitWorth { worth: 1, units: 1 };
pub const DELAY: u32 = 900;

fn authorizer() -> Address {
    Address::from_bytes([0x90; 20])
}

/// The escrow, and what it was asked.
pub struct TestChannels {
    bank: Arc<Bank>,
    /// What the chain says of each channel.
    pub on_chain: Mutex<HashMap<ChannelId, ChannelOnChain>>,
    /// What refunds come to.
    refunds: Mutex<HashMap<ChannelId, (Amount, Amount)>>,
    pub fresh: AtomicBool,
    pub silent: AtomicBool,
    /// Whether what is deposited is deep enough at once.
    pub confirmed: AtomicBool,
    pub takes_contracts: AtomicBool,
    /// What contracts say of what they are said to have signed.
    pub vouched: AtomicBool,
    pub exposure_most: Mutex<Option<Amount>>,
    pub deposit_refusal: Mutex<Option<Reason>>,
    /// What payers have.
    pub purse: Mutex<Amount>,
    /// What is under way and not in the purse any more.
    pub carried: Mutex<Vec<CallId>>,
    pub looks: AtomicUsize,
    pub judged: AtomicUsize,
    pub setbacks: AtomicU64,
}

impl TestChannels {
    pub fn new(bank: &Arc<Bank>) -> Arc<Self> {
        let accounts = Chart::of(usd()).channels(RESERVE).to_vec();
        bank.decide(&Command::OpenAccounts(accounts)).unwrap();
        Arc::new(Self {
            bank: Arc::clone(bank),
            on_chain: Mutex::default(),
            refunds: Mutex::default(),
            fresh: AtomicBool::new(true),
            silent: AtomicBool::new(false),
            confirmed: AtomicBool::new(true),
            takes_contracts: AtomicBool::new(false),
            vouched: AtomicBool::new(true),
            exposure_most: Mutex::default(),
            deposit_refusal: Mutex::default(),
            purse: Mutex::new(Amount::MAX),
            carried: Mutex::default(),
            looks: AtomicUsize::new(0),
            judged: AtomicUsize::new(0),
            setbacks: AtomicU64::new(0),
        })
    }

    pub fn domain() -> Domain {
        batch_domain(ChainId::new(CHAIN))
    }

    pub fn accounts() -> ChannelAccounts {
        ChannelAccounts::of(&Chart::of(usd()), RESERVE)
    }

    fn desk_now(&self) -> ChannelDesk {
        let offer = ChannelOffer {
            receiver: SHOP.parse().unwrap(),
            receiver_authorizer: authorizer(),
            token: TOKEN.parse().unwrap(),
            withdraw_delay: DELAY,
            deposit_least: Some(Amount::new(20_000)),
            takes_contracts: self.takes_contracts.load(Ordering::SeqCst),
            exposure_most: *self.exposure_most.lock().unwrap(),
        };
        let (domain, accounts) = (Self::domain(), Self::accounts());
        ChannelDesk { chain: CHAIN, domain, offer, asset: usd(), unit: UNIT, accounts }
    }

    /// What the chain says now.
    pub fn chain(&self, channel: ChannelId) -> ChannelOnChain {
        self.on_chain.lock().unwrap().get(&channel).copied().unwrap_or_default()
    }

    /// Somebody puts money into a channel, or takes it out, behind our back.
    pub fn set(&self, channel: ChannelId, balance: u128, claimed: u128) {
        let (balance, claimed) = (Amount::new(balance), Amount::new(claimed));
        let seen = ChannelOnChain { balance, claimed, ..self.chain(channel) };
        self.on_chain.lock().unwrap().insert(channel, seen);
    }

    /// The payer wants its money.
    pub fn withdraw(&self, channel: ChannelId) {
        let seen = ChannelOnChain { withdraw_since: Some(5), ..self.chain(channel) };
        self.on_chain.lock().unwrap().insert(channel, seen);
    }

    /// The watcher sees a channel.
    pub fn watch(&self, terms: &ChannelTerms) {
        self.see_now(terms, None);
    }

    /// Opens a channel with so much in it, in the books as on the chain.
    pub fn open(&self, terms: &ChannelTerms, balance: u128) {
        self.set(terms.id(&Self::domain()), balance, 0);
        self.see_now(terms, Some(Amount::ZERO));
    }

    fn see_now(&self, terms: &ChannelTerms, before: Option<Amount>) {
        let channel = terms.id(&Self::domain());
        let on_chain = self.chain(channel);
        let known = self.bank.channel(channel);
        if known.is_none() && on_chain.balance.is_zero() {
            return;
        }
        // As the server does it.
        let opened = before.map(|before| new_row(*terms, self.bank.time()).charged_before(before));
        let opens = opened.filter(|_| known.is_none()).map(Box::new);
        let ended = known.and_then(|row| row.refund).filter(|call| self.bank.settlement(*call).is_some());
        let (accounts, asset) = (Self::accounts(), usd());
        let see = SeeChannel { channel, on_chain, accounts, asset, refund_ended: ended, opens };
        self.bank.decide(&Command::SeeChannel(see)).unwrap();
    }

    /// Makes a claim of what a channel owes, which is not sent yet.
    pub fn claims(&self, terms: &ChannelTerms) -> CallId {
        let row = self.bank.channel(terms.id(&Self::domain())).unwrap();
        let input = batch_call::claim(&[row.books.claim(terms).unwrap()]);
        let call = Call { input, ..Self::call(3, Amount::ZERO, terms) };
        let (id, step) = (CallId::from_bytes([0xc1; 32]), ChannelStep::Claim);
        let claim = MakeChannelCall { id, call, step, opens: None, charged: Amount::ZERO };
        self.bank.decide(&Command::MakeChannelCall(claim)).unwrap();
        id
    }

    fn call(input: u8, units: Amount, terms: &ChannelTerms) -> Call {
        let address = |address: Address| ChainAddress::from_bytes(*address.as_bytes());
        let to = ChainAddress::from_bytes([6; 20]);
        let moves = Movement { token: address(terms.token), from: address(terms.payer), to, units };
        let until = Timestamp::from_secs(u64::MAX / 1_000);
        Call { chain: CHAIN, to, input: vec![1, input], moves, until, approval: None }
    }

    /// What the escrow does with a call that was carried out.
    pub fn ended(&self, call: CallId, outcome: &Outcome) {
        let Outcome::Settled { .. } = outcome else { return };
        let Some(Purpose::Channel(step)) = self.bank.settlement(call).map(|ended| ended.row.purpose) else {
            return;
        };
        match step {
            ChannelStep::Deposit(channel) if self.confirmed.load(Ordering::SeqCst) => {
                let units = self.bank.settlement(call).unwrap().row.call.moves.units;
                let seen = self.chain(channel);
                let balance = seen.balance.checked_add(units).unwrap();
                self.on_chain.lock().unwrap().insert(channel, ChannelOnChain { balance, ..seen });
            }
            ChannelStep::Refund(channel) => {
                let (amount, claimed) = self.refunds.lock().unwrap()[&channel];
                let seen = self.chain(channel);
                let seen = ChannelOnChain {
                    balance: seen.balance.checked_sub(amount).unwrap(),
                    claimed: seen.claimed.max(claimed),
                    refund_nonce: (seen.refund_nonce.to_u64().unwrap() + 1).into(),
                    ..seen
                };
                self.on_chain.lock().unwrap().insert(channel, seen);
            }
            _ => {}
        }
    }

    fn silence(&self) -> Result<(), ChainRefusal> {
        let silent = self.silent.load(Ordering::SeqCst);
        if silent { Err(ChainRefusal::Unreachable("it is silent".to_owned())) } else { Ok(()) }
    }
}

fn new_row(terms: ChannelTerms, now: Timestamp) -> ChannelRow {
    ChannelRow::new((CHAIN, terms), (usd(), UNIT), TestChannels::accounts(), now)
}

impl Channels for TestChannels {
    fn offers(&self, price: Money) -> Vec<Requirements> {
        let text = ChannelOfferText {
            receiver_authorizer: HexText(*authorizer().as_bytes()),
            withdraw_delay: DELAY.into(),
            min_deposit: least_deposit(price.amount(), None).map(Uint::from),
        };
        let offer = Requirements {
            scheme: SCHEME_BATCH.into(),
            network: "eip155:84532".into(),
            amount: price.amount().into(),
            asset: TOKEN.into(),
            pay_to: SHOP.into(),
            max_timeout_seconds: 60,
            extra: text.to_extra("USDC", "2", AssetTransferMethod::Eip3009),
            other: Map::new(),
        };
        vec![offer]
    }

    fn desk(&self, offer: &Requirements) -> Option<ChannelDesk> {
        (offer.scheme == SCHEME_BATCH).then(|| self.desk_now())
    }

    fn units(&self, _: &Requirements, money: Money) -> Option<Amount> {
        Some(money.amount())
    }

    fn is_fresh(&self, _: u64) -> bool {
        self.fresh.load(Ordering::SeqCst)
    }

    fn setbacks(&self) -> u64 {
        self.setbacks.load(Ordering::SeqCst)
    }

    fn see<'a>(
        &'a self,
        _: &'a ChannelDesk,
        terms: &'a ChannelTerms,
        charged_before: Option<Amount>,
    ) -> ChainFuture<'a, Result<(), ChainRefusal>> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        let answer = self.silence();
        if answer.is_ok() {
            self.see_now(terms, charged_before);
        }
        Box::pin(std::future::ready(answer))
    }

    fn deposit<'a>(
        &'a self,
        _: &'a Requirements,
        deposit: &'a DepositPayload,
        _: &'a Map<String, Value>,
    ) -> ChainFuture<'a, Result<SoundDeposit, ChainRefusal>> {
        self.judged.fetch_add(1, Ordering::SeqCst);
        let refusal = *self.deposit_refusal.lock().unwrap();
        let answer = self.silence().and_then(|()| {
            if let Some(reason) = refusal {
                return Err(ChainRefusal::Invalid { reason, message: "it would fail".to_owned() });
            }
            let terms = farthing_gate::chain::channel_text::terms(&deposit.channel_config).unwrap();
            let call = Self::call(1, deposit.deposit.amount.amount().unwrap(), &terms);
            let carried = self.carried.lock().unwrap().clone();
            Ok(SoundDeposit { call, balance: *self.purse.lock().unwrap(), carried })
        });
        Box::pin(std::future::ready(answer))
    }

    fn refund(&self, _: &ChannelDesk, terms: &ChannelTerms, plan: &RefundPlan) -> Result<Call, ChainRefusal> {
        let claimed = plan.claim.as_ref().map(|claim| claim.total_claimed).unwrap_or_default();
        self.refunds.lock().unwrap().insert(terms.id(&Self::domain()), (plan.amount, claimed));
        Ok(Self::call(2, plan.amount, terms))
    }

    fn is_signed_by<'a>(
        &'a self,
        _: u64,
        _: Address,
        _: Digest,
        _: &'a [u8],
    ) -> ChainFuture<'a, Result<bool, ChainRefusal>> {
        let vouched = self.vouched.load(Ordering::SeqCst);
        Box::pin(std::future::ready(self.silence().map(|()| vouched)))
    }
}

/// A payer with a key of its own for vouchers.
#[derive(Clone)]
pub struct Payer {
    pub key: SigningKey,
    pub terms: ChannelTerms,
    pub url: String,
}

impl Payer {
    /// One that pays for a page through the lane `salt`.
    pub fn new(salt: u8, url: &str) -> Self {
        let key = SigningKey::from_bytes([1 + salt; 32]).unwrap();
        let terms = ChannelTerms {
            payer: Address::from_bytes([0x70; 20]),
            payer_authorizer: key.address(),
            receiver: SHOP.parse().unwrap(),
            receiver_authorizer: authorizer(),
            token: TOKEN.parse().unwrap(),
            withdraw_delay: DELAY,
            salt: Salt::from_bytes([salt; 32]),
        };
        Self { key, terms, url: url.to_owned() }
    }

    pub fn channel(&self) -> ChannelId {
        self.terms.id(&TestChannels::domain())
    }

    pub fn config(&self) -> ChannelConfig {
        ChannelConfig::from_parts(self.terms.parts())
    }

    pub fn signed(&self, total: u128) -> VoucherFields {
        self.signed_in(total, &TestChannels::domain())
    }

    /// A voucher for the escrow of a chain.
    pub fn signed_in(&self, total: u128, domain: &Domain) -> VoucherFields {
        let channel = self.channel();
        let voucher = Voucher { channel, cumulative: Amount::new(total) };
        let signature = self.key.sign(&voucher.batch_digest(domain)).to_bytes();
        VoucherFields {
            channel_id: HexText(*channel.as_bytes()),
            max_claimable_amount: Amount::new(total).into(),
            signature: SignatureText::new(signature.to_vec()).unwrap(),
        }
    }

    pub fn pays(&self, offer: &Requirements, payload: &PayerPayload) -> Payload {
        Payload {
            resource: Some(Resource::of(self.url.as_str())),
            accepted: offer.clone(),
            payload: payload.to_payload().unwrap(),
            extensions: Map::new(),
        }
    }

    pub fn voucher(&self, offer: &Requirements, total: u128) -> Payload {
        self.with(offer, self.signed(total))
    }

    pub fn with(&self, offer: &Requirements, voucher: VoucherFields) -> Payload {
        let channel_config = self.config();
        self.pays(offer, &PayerPayload::Voucher(VoucherPayload { channel_config, voucher }))
    }

    pub fn deposit(&self, offer: &Requirements, (amount, salt): (u128, u8), total: u128) -> Payload {
        let receive = DepositReceive {
            valid_after: Uint::zero(),
            valid_before: Uint::from(4_000_000_000_u64),
            salt: HexText([salt; 32]),
            // Nothing looks at it here.
            signature: SignatureText::new(vec![salt; 65]).unwrap(),
        };
        let deposit = Deposit {
            amount: Amount::new(amount).into(),
            authorization: DepositAuthorization::Eip3009(receive),
        };
        let (channel_config, voucher) = (self.config(), self.signed(total));
        self.pays(offer, &PayerPayload::Deposit(DepositPayload { channel_config, voucher, deposit }))
    }

    pub fn refund(&self, offer: &Requirements, total: u128, amount: Option<u128>) -> Payload {
        let (channel_config, voucher) = (self.config(), self.signed(total));
        let amount = amount.map(|amount| Amount::new(amount).into());
        self.pays(offer, &PayerPayload::Refund(RefundPayload { channel_config, voucher, amount }))
    }
}

/// The number of a refund, for tests that look at it.
pub fn number(word: Word) -> u64 {
    word.to_u64().unwrap()
}
