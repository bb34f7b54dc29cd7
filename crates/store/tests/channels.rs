//! A channel's rows in both stores: what is written is there after a restart, and the books sum to zero with it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use farthing_engine::{
    Answer, Call, CallId, ChainAddress, ChannelAccounts, ChannelId, ChannelRow, ChannelStep, ChannelTermsRow,
    ChargeVoucher, Chart, Command, Execute, Funds, HeldVoucher, Hold, MakeChannelCall, Marks, Movement,
    OnChain, PaymentId, Read, ReceiverId, RequestTag, SeeChannel, SeeReceiver, Tally,
};
use farthing_ledger::Audit;
use farthing_money::{Amount, Asset, Timestamp};
use farthing_store::{Fjall, KeyValue, Memory, RowStore, Writer, WriterOptions};

const TOKEN: &str = "eip155:84532:USDC";
const NOW: Timestamp = Timestamp::from_secs(1_000);
const CHANNEL: ChannelId = ChannelId::from_bytes([9; 32]);

fn usd() -> Asset {
    Asset::micro("USD").unwrap()
}

fn tally(amount: u128) -> Tally {
    Tally { units: Amount::new(amount), worth: Amount::new(amount) }
}

fn address(n: u8) -> ChainAddress {
    ChainAddress::from_bytes([n; 20])
}

/// Everything that happens to a channel, once.
fn commands() -> Vec<Command> {
    let (chart, asset) = (Chart::of(usd()), usd());
    let accounts = ChannelAccounts::of(&chart, TOKEN);
    let merchant = chart.merchant("shop");
    let mut opened = chart.accounts();
    opened.extend(chart.channels(TOKEN));
    opened.extend([chart.reserve(TOKEN), merchant.clone()]);
    let terms = ChannelTermsRow {
        chain: 84_532,
        payer: address(1),
        payer_authorizer: address(2),
        receiver: address(3),
        receiver_authorizer: address(4),
        token: address(5),
        withdraw_delay: 900,
        salt: [0; 32],
    };
    let moves = Movement { token: address(5), from: address(1), to: address(6), units: Amount::new(50) };
    let call = Call { chain: 84_532, to: address(6), input: vec![1], moves, until: NOW, approval: None };
    let opens = Some(Box::new(ChannelRow::new(terms, asset, accounts, NOW)));
    let (id, step) = (CallId::from_bytes([1; 32]), ChannelStep::Deposit(CHANNEL));
    let payment = PaymentId::of_voucher(CHANNEL, Amount::ZERO, Amount::new(7));
    let voucher = HeldVoucher {
        channel: CHANNEL,
        base: Amount::ZERO,
        ceiling: tally(7),
        signature: vec![8; 65],
        exposure_most: Amount::MAX,
        accounts,
    };
    let see = |claimed| {
        let on_chain = OnChain { balance: tally(50), claimed: tally(claimed), ..OnChain::default() };
        Command::SeeChannel(SeeChannel { channel: CHANNEL, on_chain, accounts, asset, refund_ended: None })
    };
    vec![
        Command::OpenAccounts(opened),
        Command::MakeChannelCall(MakeChannelCall { id, call, step, opens }),
        see(0),
        Command::Hold(Hold {
            payment,
            funds: Funds::Voucher(Box::new(voucher)),
            price: Amount::new(7),
            asset,
            merchant: merchant.id(),
            resource: "/".into(),
            tag: RequestTag::from_bytes([0; 16]),
            tax_code: None,
            marks: Marks::default(),
        }),
        Command::ChargeVoucher(ChargeVoucher {
            payment,
            channel: CHANNEL,
            accounts,
            merchant: merchant.id(),
            asset,
            charged: tally(6),
            pass_until: None,
        }),
        see(6),
        Command::SeeReceiver(SeeReceiver { receiver: receiver(), settled: tally(6), accounts, asset }),
    ]
}

fn receiver() -> ReceiverId {
    ReceiverId::of(84_532, address(3), address(5))
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
    let row = store.channel(CHANNEL).unwrap().unwrap();
    assert_eq!((row.charged, row.signed, row.signature.len()), (tally(6), Amount::new(7), 65));
    assert_eq!((row.on_chain.balance, row.on_chain.claimed), (tally(50), tally(6)));
    assert_eq!(store.channels_after(None, 10).unwrap(), vec![(CHANNEL, row)]);
    assert_eq!(store.channels_after(Some(CHANNEL), 10).unwrap(), vec![]);
    assert_eq!(store.channel(ChannelId::from_bytes([0; 32])).unwrap(), None);
    assert_eq!(store.receiver(receiver()).unwrap().unwrap().settled, tally(6));
    let voucher = store.payment(PaymentId::of_voucher(CHANNEL, Amount::ZERO, Amount::new(7))).unwrap();
    assert_eq!(voucher.unwrap().voucher.unwrap().cumulative, Amount::new(7));
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
