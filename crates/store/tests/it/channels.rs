//! A channel's rows in both stores: what is written is there after a restart, and the books sum to zero with it.

use std::sync::Arc;

use farthing_channel::seller::{ChannelOffer, ChannelOnChain, Presented, Proven};
use farthing_channel::{
    Address, ChainId, ChannelId, ChannelTerms, Salt, SigningKey, Voucher, Word, batch_domain,
};
use farthing_engine::{
    Answer, Call, CallId, ChainAddress, ChannelAccounts, ChannelRow, ChannelStep, ChargeVoucher, Chart,
    Command, Execute, Funds, HeldVoucher, Hold, MakeChannelCall, Marks, Movement, PaymentId, Read,
    ReceiverId, RequestTag, SeeChannel, SeeReceiver, UnitWorth,
};
use farthing_ledger::Audit;
use farthing_money::{Amount, Asset, Timestamp};
use farthing_store::{Fjall, KeyValue, Memory, RowStore, Writer, WriterOptions};

const TOKEN: &str = "eip155:84532:USDC";
const NOW: Timestamp = Timestamp::from_secs(1_000);
const CHAIN: ChainId = ChainId::new(84_532);
const UNIT: UnitWorth = UnitWorth { worth: 1, units: 1 };

fn usd() -> Asset {
    Asset::micro("USD").unwrap()
}

fn address(n: u8) -> ChainAddress {
    ChainAddress::from_bytes([n; 20])
}

fn key() -> SigningKey {
    SigningKey::from_bytes([1; 32]).unwrap()
}

fn terms() -> ChannelTerms {
    ChannelTerms {
        payer: Address::from_bytes([1; 20]),
        payer_authorizer: key().address(),
        receiver: Address::from_bytes([3; 20]),
        receiver_authorizer: Address::from_bytes([4; 20]),
        token: Address::from_bytes([5; 20]),
        withdraw_delay: 900,
        salt: Salt::from_bytes([0; 32]),
    }
}

fn channel() -> ChannelId {
    terms().id(&batch_domain(CHAIN))
}

fn voucher(total: u128) -> Proven {
    let (batch, channel, ceiling) = (batch_domain(CHAIN), channel(), Amount::new(total));
    let signature = key().sign(&Voucher { channel, cumulative: ceiling }.batch_digest(&batch)).to_bytes();
    Presented { terms: terms(), channel, ceiling, signature: &signature }.prove(&batch, None).unwrap()
}

fn see(claimed: u128) -> Command {
    let (balance, claimed) = (Amount::new(50), Amount::new(claimed));
    Command::SeeChannel(SeeChannel {
        channel: channel(),
        on_chain: ChannelOnChain { balance, claimed, withdraw_since: None, refund_nonce: Word::ZERO },
        accounts: ChannelAccounts::of(&Chart::of(usd()), TOKEN),
        asset: usd(),
        refund_ended: None,
        opens: None,
    })
}

/// Everything that happens to a channel, once.
fn commands() -> Vec<Command> {
    let (chart, asset) = (Chart::of(usd()), usd());
    let accounts = ChannelAccounts::of(&chart, TOKEN);
    let merchant = chart.merchant("shop");
    let mut opened = chart.accounts();
    opened.extend(chart.channels(TOKEN));
    opened.extend([chart.reserve(TOKEN), merchant.clone()]);
    let moves = Movement { token: address(5), from: address(1), to: address(6), units: Amount::new(50) };
    let call =
        Call { chain: CHAIN.number(), to: address(6), input: vec![1], moves, until: NOW, approval: None };
    let row = ChannelRow::new((CHAIN.number(), terms()), (asset, UNIT), accounts, NOW);
    let (opens, id) = (Some(Box::new(row)), CallId::from_bytes([1; 32]));
    let (step, charged) = (ChannelStep::Deposit(channel()), Amount::ZERO);
    let ChannelTerms { receiver: paid, receiver_authorizer, token, withdraw_delay, .. } = terms();
    let offer = ChannelOffer {
        receiver: paid,
        receiver_authorizer,
        token,
        withdraw_delay,
        deposit_least: None,
        takes_contracts: false,
        exposure_most: None,
    };
    let (price, owed_elsewhere) = (Amount::new(7), Amount::ZERO);
    let held = HeldVoucher { voucher: voucher(7), price, offer, owed_elsewhere, accounts };
    let payment = PaymentId::of_voucher(channel(), Amount::ZERO, price);
    vec![
        Command::OpenAccounts(opened),
        Command::MakeChannelCall(MakeChannelCall { id, call, step, opens, charged }),
        see(0),
        Command::Hold(Hold {
            payment,
            funds: Funds::Voucher(Box::new(held)),
            price: Amount::new(7),
            asset,
            merchant: merchant.id().into(),
            resource: "/".into(),
            tag: RequestTag::from_bytes([0; 16]),
            tax_code: None,
            marks: Marks::default(),
        }),
        Command::ChargeVoucher(ChargeVoucher {
            payment,
            channel: channel(),
            accounts,
            merchant: merchant.id().into(),
            asset,
            charged: Amount::new(6),
            pass_until: None,
            marks: Marks::default(),
        }),
        see(6),
        Command::SeeReceiver(SeeReceiver {
            receiver: receiver(),
            settled: Amount::new(6),
            found: Amount::ZERO,
            unit: UNIT,
            accounts,
        }),
    ]
}

fn receiver() -> ReceiverId {
    ReceiverId::of(CHAIN.number(), address(3), address(5))
}

async fn run<B: KeyValue>(store: &RowStore<B>) {
    let clock = Arc::new(|| NOW);
    let (writer, thread) =
        Writer::start(store.clone(), WriterOptions::default(), clock, Box::new(|_| {})).unwrap();
    for command in commands() {
        let name = format!("{command:?}");
        let answer = writer.execute(command).await.unwrap_or_else(|refusal| panic!("{refusal}: {name}"));
        assert!(matches!(answer, Answer::Done | Answer::Call(_) | Answer::Held(_) | Answer::Posted(_)));
    }
    drop(writer);
    thread.join();
}

fn check<B: KeyValue>(store: &RowStore<B>) {
    let row = store.channel(channel()).unwrap().unwrap();
    let kept = row.books.corrective();
    assert_eq!((kept.charged, kept.voucher.unwrap().ceiling), (Amount::new(6), Amount::new(7)));
    assert_eq!((kept.chain.balance, kept.chain.claimed), (Amount::new(50), Amount::new(6)));
    assert_eq!(store.channels_after(None, 10).unwrap(), vec![(channel(), row)]);
    assert_eq!(store.channels_after(Some(channel()), 10).unwrap(), vec![]);
    assert_eq!(store.channel(ChannelId::from_bytes([0; 32])).unwrap(), None);
    assert_eq!(store.receiver(receiver()).unwrap().unwrap().settled, Amount::new(6));
    let paid = store.payment(PaymentId::of_voucher(channel(), Amount::ZERO, Amount::new(7))).unwrap();
    assert_eq!(paid.unwrap().channel, Some(channel()));
    let mut audit = Audit::default();
    for frame in store.frames(1, usize::MAX).unwrap() {
        audit.replay(&frame).unwrap();
    }
    let balance = audit.compare(&store.accounts().unwrap(), Read::head(store).unwrap()).unwrap();
    assert!(balance.balances() && balance.settled());
}

#[tokio::test]
async fn life_of_a_channel_in_memory() {
    let store = RowStore::open(Memory::default()).unwrap();
    run(&store).await;
    check(&store);
}

#[tokio::test]
async fn life_of_a_channel_on_disk_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = RowStore::open(Fjall::open(folder.path()).unwrap()).unwrap();
    run(&store).await;
    drop(store);
    check(&RowStore::open(Fjall::open(folder.path()).unwrap()).unwrap());
}
