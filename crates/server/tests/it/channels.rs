//! Channels of an installation over a chain in memory: what the gate is told of them, what the operator sees and does, and that every
//! difference between the chain and the books is found.

use std::path::Path;
use std::sync::Arc;

use farthing_channel::{
    AUTHORIZATION_COLLECTOR, Address, BATCH_ESCROW, ChainId, ChannelTerms, ClaimRow, CollectedDeposit, Fees,
    Salt, SigningKey, Transaction, Voucher, batch_call, batch_domain,
};
use farthing_evm::{Moment, Node, ScriptedNode};
use farthing_gate::chain::Chains;
use farthing_gate::chain::channel::{ChannelDesk, Channels};
use farthing_money::{Amount, Asset, Money, Timestamp};
use farthing_server::chains::channel_desk::{ChannelQuery, RefundRequest};
use farthing_server::chains::reconcile::Difference;
use farthing_server::chains::{ChainRoom, abandoned_channels};
use farthing_server::config::{Config, Passphrase};
use farthing_server::installation::Installation;
use farthing_wire::x402::batch::{ChannelOfferText, SCHEME_BATCH};
use serde_json::json;

const CHAIN: ChainId = ChainId::new(84_532);
const TOKEN: &str = r#"
[[chain]]
id = 84532
nodes = ["http://127.0.0.1:9"]
[chain.channels]
withdraw_delay = "15m"
[[token]]
chain = 84532
address = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
symbol = "USDC"
name = "USDC"
version = "2"
counts_as = "USD"
schemes = ["exact", "batch-settlement"]
"#;

struct Port {
    installation: Installation,
    node: Arc<ScriptedNode>,
    room: ChainRoom,
}

impl Port {
    async fn open(folder: &Path) -> Self {
        let installation = opened(folder, TOKEN).await;
        let node = Arc::new(ScriptedNode::new(CHAIN, Timestamp::from_secs(1_000_000)));
        node.put_code(BATCH_ESCROW);
        let shared = Arc::clone(&node);
        let room = ChainRoom::over(&installation, |_| Ok(Arc::clone(&shared) as Arc<dyn Node>));
        Self { room: room.unwrap().unwrap(), installation, node }
    }

    fn channels(&self) -> &dyn Channels {
        Chains::channels(&self.room).unwrap()
    }

    fn desk(&self) -> ChannelDesk {
        let price = Money::new(Amount::new(1_000), Asset::micro("USD").unwrap());
        self.channels().desk(&self.channels().offers(price)[0]).unwrap()
    }

    fn terms(&self) -> ChannelTerms {
        let offer = self.desk().offer;
        ChannelTerms {
            payer: Address::from_bytes([1; 20]),
            payer_authorizer: Address::from_bytes([2; 20]),
            receiver: offer.receiver,
            receiver_authorizer: offer.receiver_authorizer,
            token: offer.token,
            withdraw_delay: offer.withdraw_delay,
            salt: Salt::from_bytes([0; 32]),
        }
    }

    /// Somebody calls the escrow, and a block is made.
    async fn call(&self, input: Vec<u8>) {
        let key = SigningKey::from_bytes([3; 32]).unwrap();
        self.node.fund(key.address(), Amount::new(10_u128.pow(18)));
        let transaction = Transaction {
            chain: CHAIN,
            number: self.node.count(key.address(), Moment::Pending).await.unwrap(),
            fees: Fees { most: Amount::new(10_u128.pow(10)), tip: Amount::new(1) },
            gas: 100_000,
            to: BATCH_ESCROW,
            coin: Amount::ZERO,
            input,
        };
        let signature = key.sign(&transaction.digest());
        self.node.send(transaction.signed(&signature).unwrap().bytes).await.unwrap();
        self.node.mine();
    }

    async fn deposit(&self, amount: u128) {
        let (amount, collector) = (Amount::new(amount), AUTHORIZATION_COLLECTOR);
        let deposit = CollectedDeposit { amount, collector, collector_bytes: vec![1] };
        self.call(batch_call::deposit(&self.terms(), &deposit)).await;
    }

    /// Somebody pays our account through a channel that is none of ours, and claims it.
    async fn claim_for_us(&self, amount: u128) {
        let (key, ceiling) = (SigningKey::from_bytes([3; 32]).unwrap(), Amount::new(amount));
        let own = key.address();
        let terms = ChannelTerms { payer_authorizer: own, receiver_authorizer: own, ..self.terms() };
        let deposit = CollectedDeposit {
            amount: ceiling,
            collector: AUTHORIZATION_COLLECTOR,
            collector_bytes: vec![1],
        };
        self.call(batch_call::deposit(&terms, &deposit)).await;
        let domain = batch_domain(CHAIN);
        let voucher = Voucher { channel: terms.id(&domain), cumulative: ceiling };
        let signature = key.sign(&voucher.batch_digest(&domain)).to_bytes().to_vec();
        let row = ClaimRow { terms, ceiling, signature, total_claimed: ceiling };
        self.call(batch_call::claim(&[row])).await;
    }

    async fn see(&self, charged_before: Option<u128>) {
        let before = charged_before.map(Amount::new);
        self.channels().see(&self.desk(), &self.terms(), before).await.unwrap();
    }

    /// What differs: of what kind, what it should be, and what the books say.
    async fn differences(&self) -> Vec<(String, String, String)> {
        let audits = self.room.audit_channels().await.unwrap();
        assert_eq!(audits.len(), 1);
        let shown = |found: Difference| (found.what, found.expected, found.in_books);
        audits.into_iter().flat_map(|audit| audit.differences).map(shown).collect()
    }
}

async fn opened(folder: &Path, chain: &str) -> Installation {
    let data = json!(folder.join("data"));
    let text = format!("[server]\ndata = {data}\nupstream = \"http://127.0.0.1:9\"\n{chain}");
    let config = Config::read(&text, Path::new("farthing.toml")).unwrap();
    let passphrase = Passphrase::new("words".to_owned(), "this test").unwrap();
    // It stands still, so that what hangs on a tick of it hangs on nothing else.
    let clock = Arc::new(|| Timestamp::from_secs(1_000_000));
    Installation::open(&config, &passphrase, clock).await.unwrap()
}

fn found(what: &str, expected: &str, in_books: &str) -> (String, String, String) {
    (what.to_owned(), expected.to_owned(), in_books.to_owned())
}

#[tokio::test]
async fn the_gate_is_told_what_is_offered_and_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let port = Port::open(folder.path()).await;
    let usd = Asset::micro("USD").unwrap();
    let offers = port.channels().offers(Money::new(Amount::new(1_000), usd));
    assert_eq!((offers.len(), offers[0].scheme.as_str()), (1, SCHEME_BATCH));
    let said = ChannelOfferText::of(&offers[0].extra).unwrap();
    assert_eq!((said.withdraw_delay, said.min_deposit), (900, Some(10_000_u64.into())));
    let own = port.installation.chain_account.as_ref().unwrap().address();
    let desk = port.desk();
    assert_eq!((desk.offer.receiver, desk.offer.receiver_authorizer), (own, own));
    assert_eq!(desk.offer.deposit_least, Some(Amount::new(10_000)));
    assert_eq!(desk.offer.exposure_most, Some(Amount::new(1_000_000)));
    assert_eq!(port.channels().units(&offers[0], usd.money(Amount::new(7))), Some(Amount::new(7)));
    assert!(!port.channels().is_fresh(84_532), "nobody has looked yet");
    let others = port.room.facilitators().offers(Money::new(Amount::new(1_000), usd));
    assert!(port.channels().desk(&others[0]).is_none(), "that one is exact");
}

/// Everything that a reader of the chain could see otherwise than the operator is told.
#[tokio::test]
async fn every_difference_between_chain_and_books_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let port = Port::open(folder.path()).await;
    port.deposit(10_000).await;
    port.see(None).await;
    assert_eq!(port.room.channel_lines().unwrap(), [], "nobody has said what was charged before");
    port.see(Some(3_000)).await;
    assert_eq!(port.differences().await, []);
    let line = &port.room.channel_lines().unwrap()[0];
    assert_eq!(
        (line.state.as_str(), line.balance, line.unclaimed),
        ("open", Amount::new(10_000), Amount::new(3_000))
    );

    port.deposit(500).await;
    assert_eq!(port.differences().await, [found("balance", "10500", "10000")]);
    port.see(None).await;
    assert_eq!(port.differences().await, []);

    port.call(batch_call::initiate_withdraw(&port.terms(), Amount::new(1))).await;
    let differences = port.differences().await;
    assert_eq!((differences.len(), differences[0].0.as_str()), (1, "withdrawal"));
    port.see(None).await;
    let detail = port.room.channel_detail(&line.channel).await.unwrap();
    assert_eq!((detail.line.state.as_str(), detail.agrees), ("withdrawal", Some(true)));

    // An entry by hand leaves the rows as they are, and the account is not what follows from them.
    let settle = |receiver: Address, units: u128, others: u128| {
        let address = |address: Address| farthing_engine::ChainAddress::from_bytes(*address.as_bytes());
        let command = farthing_engine::Command::SeeReceiver(farthing_engine::SeeReceiver {
            receiver: farthing_engine::ReceiverId::of(84_532, address(receiver), address(port.terms().token)),
            settled: Amount::new(units),
            found: Amount::new(others),
            unit: port.desk().unit,
            accounts: port.desk().accounts,
        });
        port.installation.writer.execute(command)
    };
    // What somebody else has claimed for our account is none of a difference until it is moved, and then in the books.
    port.claim_for_us(30).await;
    assert_eq!(port.differences().await, []);
    port.call(batch_call::settle(port.terms().receiver, port.terms().token)).await;
    assert_eq!(port.differences().await, [found("settled", "30", "0"), found("found", "30", "0")]);
    settle(port.terms().receiver, 30, 30).await.unwrap();
    assert_eq!(port.differences().await, []);
    settle(port.terms().receiver, 40, 30).await.unwrap();
    assert_eq!(port.differences().await, [found("settled", "30", "40")]);
    // Went wrong: an account below nothing was taken for an empty one.
    settle(Address::from_bytes([9; 20]), 5, 0).await.unwrap();
    assert_eq!(port.differences().await, [found("settled", "30", "40"), found("account", "-10", "-15")]);
    settle(Address::from_bytes([9; 20]), 5, 5).await.unwrap();
    assert_eq!(port.differences().await, [found("settled", "30", "40"), found("account", "-3030", "-3035")]);
}

#[tokio::test]
async fn the_operator_gives_money_back_once() {
    let folder = tempfile::tempdir().unwrap();
    let port = Port::open(folder.path()).await;
    let unknown = RefundRequest { channel: format!("0x{}", "11".repeat(32)), units: None };
    assert!(
        port.room.refund_channel(&unknown).await.unwrap_err().to_string().contains("there is no channel")
    );
    port.deposit(10_000).await;
    port.see(Some(0)).await;
    let channel = port.room.channel_lines().unwrap()[0].channel.clone();
    let nothing = RefundRequest { channel: channel.clone(), units: Some(Amount::ZERO) };
    assert!(port.room.refund_channel(&nothing).await.is_err());
    let wish = RefundRequest { channel: channel.clone(), units: Some(Amount::new(400)) };
    let (_, units) = port.room.refund_channel(&wish).await.unwrap().refund.unwrap();
    assert_eq!(units, Amount::new(400));
    // Went wrong: within one tick of the clock it had the name of the first, and was said to be made.
    let again = port.room.refund_channel(&wish).await.unwrap_err().to_string();
    assert!(again.contains("channel-busy"), "{again}");
    let detail = port.room.channel_detail(&channel).await.unwrap();
    assert_eq!((detail.line.state.as_str(), detail.calls.len()), ("refund", 1));
    let order = port.room.claim_channels(&ChannelQuery { channel: Some(channel) }).await.unwrap();
    assert_eq!((order.claimed, order.refused), (0, 0), "nothing is owed");
}

/// Nobody claims on a chain that is gone from the configuration.
#[tokio::test]
async fn what_channels_owe_on_a_chain_that_is_gone_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let port = Port::open(folder.path()).await;
    port.deposit(10_000).await;
    port.see(Some(3_000)).await;
    assert!(abandoned_channels(&port.installation).unwrap().is_empty());
    let Port { installation, room, .. } = port;
    drop(room);
    installation.close();
    let without = opened(folder.path(), "").await;
    assert_eq!(abandoned_channels(&without).unwrap(), [(84_532, 1)].into());
    without.close();
    let elsewhere = opened(folder.path(), &TOKEN.replace("84532", "8453")).await;
    let node = Arc::new(ScriptedNode::new(ChainId::new(8_453), Timestamp::from_secs(1_000_000)));
    let room = ChainRoom::over(&elsewhere, |_| Ok(Arc::clone(&node) as Arc<dyn Node>)).unwrap().unwrap();
    let audits = room.audit_channels().await.unwrap();
    let told: Vec<_> = audits.iter().map(|audit| (audit.network.as_str(), audit.differences.len())).collect();
    assert_eq!(told, [("eip155:8453", 0), ("eip155:84532", 1)]);
}
