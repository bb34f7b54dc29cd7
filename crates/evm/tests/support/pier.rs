//! Channels on a real node: offers, deposits that are signed, vouchers, and the worker that looks after them.

use std::sync::Arc;

use farthing_channel::{
    AUTHORIZATION_COLLECTOR, Address, AuthorizedDeposit, ChannelId, ChannelTerms, Digest, Domain,
    PERMIT2_COLLECTOR, PermittedDeposit, Salt, SigningKey, Voucher, Word, batch_domain, permit2,
};
use farthing_engine::{Call, CallId, ChannelRow, ChannelStep, Command, MakeChannelCall, Read};
use farthing_evm::{ChainConfig, ChannelConfig, ChannelRound, ChannelWorker, NotVerified, SoundDeposit};
use farthing_money::{Amount, Money, Span};
use farthing_wire::x402::batch::{
    ChannelConfig as ChannelText, Deposit, DepositAuthorization, DepositPayload, DepositPermit2,
    DepositReceive, DepositWitness, VoucherFields,
};
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::{Requirements, SignatureText, TokenPermissions};
use serde_json::Map;

use super::anvil::{PRICE, World};
use super::{CHAIN, payee, payer, submitter, usd};

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

    pub fn terms(&self, salt: u8) -> ChannelTerms {
        ChannelTerms {
            payer: payer().address(),
            payer_authorizer: session().address(),
            receiver: payee(),
            receiver_authorizer: submitter().address(),
            token: self.world.token,
            withdraw_delay: CONFIG.withdraw_delay,
            salt: Salt::from_bytes([salt; 32]),
        }
    }

    pub fn id(&self, salt: u8) -> ChannelId {
        self.terms(salt).id(&batch_domain(CHAIN))
    }

    /// A deposit of so much with a voucher of so much, not signed by anybody yet.
    fn draft(
        &self,
        salt: u8,
        amount: u128,
        total: u128,
        authorization: DepositAuthorization,
    ) -> DepositPayload {
        let (terms, channel) = (self.terms(salt), self.id(salt));
        let digest = Voucher { channel, cumulative: Amount::new(total) }.batch_digest(&batch_domain(CHAIN));
        DepositPayload {
            channel_config: config_text(&terms),
            voucher: VoucherFields {
                channel_id: HexText(*channel.as_bytes()),
                max_claimable_amount: Amount::new(total).into(),
                signature: signature(&session().sign(&digest).to_bytes()),
            },
            deposit: Deposit { amount: Amount::new(amount).into(), authorization },
        }
    }

    /// A deposit by EIP-3009.
    pub fn receive(&self, salt: u8, amount: u128, total: u128, nonce: u8) -> DepositPayload {
        let until = self.world.now() + 300;
        let deposit = AuthorizedDeposit {
            amount: Amount::new(amount),
            valid_after: Word::ZERO,
            valid_before: Word::from(until),
            salt: Salt::from_bytes([nonce; 32]),
        };
        let domain = Domain::new("USDC", Some("2"), CHAIN, Some(self.world.token));
        let authorization = deposit.authorization(payer().address(), self.id(salt));
        assert_eq!(authorization.to, AUTHORIZATION_COLLECTOR);
        let signed = payer().sign(&authorization.receive_digest(&domain)).to_bytes();
        let receive = DepositReceive {
            valid_after: 0_u64.into(),
            valid_before: until.into(),
            salt: HexText([nonce; 32]),
            signature: signature(&signed),
        };
        self.draft(salt, amount, total, DepositAuthorization::Eip3009(receive))
    }

    /// A deposit by Permit2.
    pub fn permit(&self, salt: u8, amount: u128, total: u128, nonce: u64) -> DepositPayload {
        let (until, channel) = (self.world.now() + 300, self.id(salt));
        let deposit = PermittedDeposit {
            amount: Amount::new(amount),
            nonce: Word::from(nonce),
            deadline: Word::from(until),
        };
        let digest = deposit.transfer(self.world.token, channel).digest(&permit2::domain(CHAIN));
        let permit = DepositPermit2 {
            from: text(payer().address()),
            permitted: TokenPermissions { token: text(self.world.token), amount: Amount::new(amount).into() },
            spender: text(PERMIT2_COLLECTOR),
            nonce: nonce.into(),
            deadline: until.into(),
            witness: DepositWitness { channel_id: HexText(*channel.as_bytes()) },
            signature: signature(&payer().sign(&digest).to_bytes()),
        };
        self.draft(salt, amount, total, DepositAuthorization::Permit2(permit))
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
    ChannelText {
        payer: text(terms.payer),
        payer_authorizer: text(terms.payer_authorizer),
        receiver: text(terms.receiver),
        receiver_authorizer: text(terms.receiver_authorizer),
        token: text(terms.token),
        withdraw_delay: terms.withdraw_delay.into(),
        salt: HexText(*terms.salt.as_bytes()),
    }
}
