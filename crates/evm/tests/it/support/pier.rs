//! Channels on a real node: offers, deposits that are signed, vouchers, and the worker that looks after them.

use std::sync::Arc;

use farthing_channel::{Address, ChannelId, ChannelTerms, Digest, SigningKey};
use farthing_engine::{Call, CallId, ChannelRow, ChannelStep, Command, MakeChannelCall, Read};
use farthing_evm::{ChainConfig, ChannelConfig, ChannelRound, ChannelWorker, NotVerified, SoundDeposit};
use farthing_money::{Amount, Money, Span};
use farthing_wire::x402::batch::{ChannelConfig as ChannelText, DepositPayload};
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::{Requirements, SignatureText};
use serde_json::Map;

use super::anvil::{PRICE, World};
use super::drafts::Drafts;
use super::{CHAIN, usd};

pub const CONFIG: ChannelConfig = ChannelConfig {
    withdraw_delay: 900,
    deposit_prices: 10,
    exposure_most: Amount::new(100_000),
    claim_from: Amount::new(2_000),
    claim_after: Span::from_secs(3_600),
    settle_from: Amount::new(2_000),
    rows_most: 50,
    takes_contracts: false,
};

/// Who signs the vouchers.
pub fn session() -> SigningKey {
    SigningKey::from_bytes([9; 32]).unwrap()
}

pub fn text(address: Address) -> HexText<20> {
    HexText(*address.as_bytes())
}

pub fn signature(bytes: &[u8]) -> SignatureText {
    SignatureText::new(bytes.to_vec()).unwrap()
}

/// A chain with channels, and everything of ours.
pub struct Pier {
    pub world: World,
    pub worker: ChannelWorker,
}

impl Pier {
    pub async fn open() -> Self {
        Self::with(|_| ()).await
    }

    pub async fn with(change: impl FnOnce(&mut ChainConfig)) -> Self {
        let world = World::with("TestDollar", |chain| {
            chain.channels = Some(CONFIG);
            change(chain);
        });
        let world = world.await;
        let worker = ChannelWorker::new(Arc::clone(world.stage.facilitator.submitter()));
        Self { world, worker }
    }

    /// By EIP-3009 and by Permit2.
    pub fn offers(&self) -> [Requirements; 2] {
        let price = Money::new(Amount::new(PRICE), usd());
        self.world.stage.facilitator.channel_offers(price).try_into().unwrap()
    }

    /// What the payer signs now.
    pub fn drafts(&self) -> Drafts {
        Drafts { token: self.world.token, until: self.world.now() + 300 }
    }

    pub fn terms(&self, salt: u8) -> ChannelTerms {
        self.drafts().terms(salt)
    }

    pub fn id(&self, salt: u8) -> ChannelId {
        self.drafts().id(salt)
    }

    pub fn receive(&self, salt: u8, amount: u128, total: u128, nonce: u8) -> DepositPayload {
        self.drafts().receive(salt, amount, total, nonce)
    }

    pub fn permit(&self, salt: u8, amount: u128, total: u128, nonce: u64) -> DepositPayload {
        self.drafts().permit(salt, amount, total, nonce)
    }

    pub async fn judge(
        &self,
        offer: &Requirements,
        deposit: &DepositPayload,
    ) -> Result<SoundDeposit, NotVerified> {
        self.world.stage.facilitator.judge_deposit(offer, (&Map::new(), deposit)).await
    }

    /// Why a deposit is refused, after `invalid_batch_settlement_evm_`.
    pub async fn refusal(&self, offer: &Requirements, deposit: &DepositPayload) -> String {
        match self.judge(offer, deposit).await {
            Err(NotVerified::Invalid(refused)) => {
                let reason = refused.reason.as_str();
                reason.strip_prefix("invalid_batch_settlement_evm_").unwrap_or(reason).to_owned()
            }
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    /// Asks for a call, as the gate does.
    pub fn make(&self, sound: &SoundDeposit) -> CallId {
        let step = ChannelStep::Deposit(sound.channel);
        let chain = &self.world.stage.chain;
        let accounts = chain.channel_accounts(&chain.tokens[0]);
        let unit = chain.tokens[0].unit_worth();
        let now = self.world.stage.hands.now();
        let row = ChannelRow::new((CHAIN.number(), sound.terms), (usd(), unit), accounts, now);
        let id = CallId::of_parts("test/deposit", [&sound.payment.as_bytes()[..]]);
        self.make_call(id, step, sound.call.clone(), Some(row));
        id
    }

    pub fn make_call(&self, id: CallId, step: ChannelStep, call: Call, opens: Option<ChannelRow>) {
        let charged = match step {
            ChannelStep::Refund(channel) => {
                self.world.stage.desk.channel(channel).unwrap().unwrap().books.charged()
            }
            _ => Amount::ZERO,
        };
        let opens = opens.map(Box::new);
        let made = MakeChannelCall { id, call, step, opens, charged };
        self.world.stage.desk.run(&Command::MakeChannelCall(made)).unwrap();
    }

    /// Charges so much by a voucher.
    pub fn charge(&self, salt: u8, amount: u128) {
        let sign = |digest: &Digest| session().sign(digest).to_bytes();
        self.world.stage.charge_voucher(self.terms(salt), Amount::new(amount), None, sign).unwrap();
    }

    /// Sends what waits, makes a block, and looks at what has come of it.
    pub async fn pass(&self) -> ChannelRound {
        self.world.stage.round().await;
        self.world.anvil.mine().await;
        self.world.stage.round().await;
        self.worker.run_once().await.unwrap()
    }

    pub fn books(&self) -> [i128; 6] {
        self.world.stage.channel_books()
    }
}

pub fn config_text(terms: &ChannelTerms) -> ChannelText {
    ChannelText::from_parts(terms.parts())
}
