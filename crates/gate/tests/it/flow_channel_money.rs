//! Money in and out of channels through the gate: deposits that count when they are confirmed, refunds, what a payer may owe, and
//! looks at the chain where nobody watches.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::support::chain::Fate;
use crate::support::channel::{Payer, TestChannels, number};
use crate::support::channel_shop::{PAGE, Shop, discloses, reason, response, told, total};
use farthing_channel::{Address, ChannelTerms};
use farthing_gate::chain::channel_text;
use farthing_money::Amount;
use farthing_wire::x402::batch::{DepositPayload, PayerPayload};
use farthing_wire::x402::{Payload, Reason, Requirements};
use http::StatusCode;
use tokio::sync::Semaphore;

const PRICE: u128 = 10_000;
const FUNDS: u128 = 100_000;

fn call(payer: &Payer, payment: &Payload) -> farthing_engine::CallId {
    let PayerPayload::Deposit(deposit): PayerPayload = PayerPayload::read(&payment.payload).unwrap() else {
        panic!("a deposit")
    };
    let deposit: DepositPayload = deposit;
    channel_text::deposit_call(payer.channel(), &deposit)
}

async fn fresh() -> (Shop, Payer, Requirements) {
    let shop = Shop::open().await;
    let offer = shop.offer().await;
    (shop, Payer::new(0, PAGE), offer)
}

#[tokio::test]
async fn a_deposit_opens_a_channel_and_pays() {
    let (shop, payer, offer) = fresh().await;
    let deposit = payer.deposit(&offer, (FUNDS, 1), PRICE);
    let answer = shop.pay(&deposit).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "the page"), "{answer:?}");
    let settled = response(&answer);
    assert_eq!(settled.transaction, format!("0x{}", call(&payer, &deposit)));
    assert_eq!(settled.amount.and_then(|units| units.amount()), Some(Amount::new(FUNDS)));
    let (cost, state) = told(&answer);
    assert_eq!((cost, total(&state), state.balance.amount()), (Some(PRICE), PRICE, Some(Amount::new(FUNDS))));
    assert_eq!(shop.pay(&payer.voucher(&offer, 2 * PRICE)).await.status, 200);
    // More is put into it, with a voucher that needs it.
    let more = payer.deposit(&offer, (FUNDS, 2), 3 * PRICE);
    assert_eq!(shop.pay(&more).await.status, 200);
    assert_eq!(shop.row(payer.channel()).books.chain().balance, Amount::new(2 * FUNDS));
    assert_eq!((shop.bank.taken(), shop.chain.settled.load(Ordering::SeqCst)), (3 * PRICE, 2));
}

/// What is on its way counts for nothing, and the same payment sent again goes on without a second deposit.
#[tokio::test]
async fn a_deposit_counts_when_it_is_confirmed() {
    let (shop, payer, offer) = fresh().await;
    let deposit = payer.deposit(&offer, (FUNDS, 1), PRICE);
    shop.chain.then(Fate::Silent);
    let waiting = shop.pay(&deposit).await;
    assert_eq!((waiting.status, waiting.code().as_str()), (503, "payment-settling"), "{waiting:?}");
    assert_eq!(response(&waiting).error_reason.as_deref(), Some(Reason::SettlementPending.as_str()));
    assert!(waiting.header("retry-after").is_some());
    // A transaction is not enough: the chain has to confirm it.
    shop.channels.confirmed.store(false, Ordering::SeqCst);
    let mined = shop.pay(&deposit).await;
    assert_eq!((mined.status, mined.code().as_str()), (503, "payment-settling"));
    let other = shop.pay(&payer.voucher(&offer, PRICE)).await;
    assert_eq!((other.status, reason(&other).as_str()), (402, "channel_not_found"));
    assert_eq!(other.header("retry-after"), Some("5"));
    assert_eq!((shop.site.asked(), shop.bank.taken()), (0, 0));
    shop.channels.set(payer.channel(), FUNDS, 0);
    assert_eq!(shop.pay(&deposit).await.status, 200);
    let again = shop.pay(&deposit).await;
    assert_eq!(reason(&again), "cumulative_amount_mismatch");
    assert_eq!(
        (shop.channels.judged.load(Ordering::SeqCst), shop.chain.settled.load(Ordering::SeqCst)),
        (1, 1)
    );
    assert_eq!((shop.bank.taken(), shop.charged(payer.channel())), (PRICE, PRICE));
}

#[tokio::test]
async fn a_deposit_that_helps_nobody_is_not_carried() {
    let (shop, payer, offer) = fresh().await;
    let lane = |terms: ChannelTerms| Payer { terms, ..payer.clone() };
    let elsewhere = ChannelTerms { receiver: Address::from_bytes([8; 20]), ..payer.terms };
    for (payment, expected) in [
        (payer.deposit(&offer, (19_999, 1), PRICE), "deposit_below_min_deposit"),
        (payer.deposit(&offer, (FUNDS, 1), 2 * PRICE), "cumulative_amount_mismatch"),
        (payer.deposit(&offer, (FUNDS, 1), PRICE - 1), "cumulative_amount_mismatch"),
        (lane(elsewhere).deposit(&offer, (FUNDS, 1), PRICE), "receiver_mismatch"),
        (payer.deposit(&offer, (u128::MAX, 1), PRICE), "deposit_simulation_failed"),
    ] {
        let refusal =
            (expected == "deposit_simulation_failed").then_some(Reason::BatchDepositSimulationFailed);
        *shop.channels.deposit_refusal.lock().unwrap() = refusal;
        let answer = shop.pay(&payment).await;
        assert_eq!((answer.status, reason(&answer).as_str()), (402, expected), "{answer:?}");
    }
    *shop.channels.deposit_refusal.lock().unwrap() = None;
    assert_eq!((shop.site.asked(), shop.chain.settled.load(Ordering::SeqCst)), (0, 0));
    assert!(shop.bank.channel(payer.channel()).is_none());
    // To one that leaves, nothing is added.
    shop.channels.open(&payer.terms, FUNDS);
    shop.channels.withdraw(payer.channel());
    shop.channels.watch(&payer.terms);
    let leaving = shop.pay(&payer.deposit(&offer, (FUNDS, 1), PRICE)).await;
    assert_eq!(reason(&leaving), "withdrawal_pending");
    assert_eq!(shop.chain.settled.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_deposit_that_fails_pays_nothing_and_may_be_tried_again() {
    let (shop, payer, offer) = fresh().await;
    let deposit = payer.deposit(&offer, (FUNDS, 1), PRICE);
    shop.chain.then(Fate::Fails(Reason::BatchDepositTransactionFailed));
    let failed = shop.pay(&deposit).await;
    assert_eq!((failed.status, failed.code().as_str()), (402, "not-settled"));
    let told = response(&failed).error_reason;
    assert_eq!(told.as_deref(), Some(Reason::BatchDepositTransactionFailed.as_str()));
    assert_eq!(shop.site.asked(), 0);
    // Somebody else has carried it: ours fails, but the money is there.
    shop.chain.then(Fate::Fails(Reason::BatchDepositTransactionFailed));
    shop.channels.set(payer.channel(), FUNDS, 0);
    assert_eq!(shop.pay(&deposit).await.status, 200);
    assert_eq!(shop.pay(&payer.voucher(&offer, 2 * PRICE)).await.status, 200);
    assert_eq!(shop.bank.taken(), 2 * PRICE);
}

/// Went wrong: the same money was deposited into several channels at once, and all but one failed at our gas.
#[tokio::test]
async fn no_money_is_deposited_twice() {
    let (shop, payer, offer) = fresh().await;
    *shop.channels.purse.lock().unwrap() = Amount::new(2 * FUNDS - 1);
    let first = payer.deposit(&offer, (FUNDS, 1), PRICE);
    let second = Payer::new(1, PAGE).deposit(&offer, (FUNDS, 2), PRICE);
    shop.chain.then(Fate::Silent);
    assert_eq!(shop.pay(&first).await.status, 503);
    let refused = shop.pay(&second).await;
    assert_eq!((refused.status, reason(&refused).as_str()), (402, "insufficient_balance"), "{refused:?}");
    assert!(refused.problem().detail.contains("on its way"));
    // What a block has is not in the balance any more, though it is still under way.
    *shop.channels.carried.lock().unwrap() = vec![call(&payer, &first)];
    assert_eq!(shop.pay(&second).await.status, 200);
    assert_eq!(shop.pay(&first).await.status, 200);
    // Nothing is under way now. Somebody else's money is not this payer's.
    *shop.channels.purse.lock().unwrap() = Amount::new(FUNDS);
    shop.chain.then(Fate::Silent);
    assert_eq!(shop.pay(&payer.deposit(&offer, (FUNDS, 3), 2 * PRICE)).await.status, 503);
    let other = Payer::new(2, PAGE);
    let terms = ChannelTerms { payer: Address::from_bytes([0x71; 20]), ..other.terms };
    assert_eq!(shop.pay(&Payer { terms, ..other }.deposit(&offer, (FUNDS, 4), PRICE)).await.status, 200);
    assert_eq!(shop.chain.settled.load(Ordering::SeqCst), 3);
}

/// Neither is in the books when the other is judged.
#[tokio::test]
async fn of_two_deposits_at_once_one_takes_the_money() {
    let (shop, payer, offer) = fresh().await;
    *shop.channels.purse.lock().unwrap() = Amount::new(2 * FUNDS - 1);
    (0..2).for_each(|_| shop.chain.then(Fate::Silent));
    shop.bank.busy.store(1, Ordering::SeqCst);
    let one = payer.deposit(&offer, (FUNDS, 1), PRICE);
    let other = Payer::new(1, PAGE).deposit(&offer, (FUNDS, 2), PRICE);
    let (one, other) = tokio::join!(shop.pay(&one), shop.pay(&other));
    let mut answers = [one.code(), other.code()];
    answers.sort();
    assert_eq!(answers, ["chain-payment-invalid", "payment-settling"], "{one:?} {other:?}");
}

/// Its money is in the channel although nobody was served, and its payer is told so.
#[tokio::test]
async fn a_deposit_stays_when_the_upstream_fails() {
    let (shop, payer, offer) = fresh().await;
    shop.site.answers(StatusCode::INTERNAL_SERVER_ERROR);
    let deposit = payer.deposit(&offer, (FUNDS, 1), PRICE);
    let failed = shop.pay(&deposit).await;
    assert_ne!(failed.status, 200);
    let (cost, state) = told(&failed);
    assert_eq!((cost, total(&state), state.balance.amount()), (Some(0), 0, Some(Amount::new(FUNDS))));
    shop.site.answers(StatusCode::OK);
    assert_eq!(shop.pay(&payer.voucher(&offer, PRICE)).await.status, 200);
    assert_eq!((shop.bank.taken(), shop.chain.settled.load(Ordering::SeqCst)), (PRICE, 1));
}

/// Sixteen times the same deposit at once: one goes to the chain, one is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_deposit_at_once_is_carried_once() {
    let (shop, payer, offer) = fresh().await;
    let (shop, payment) = (Arc::new(shop), payer.deposit(&offer, (FUNDS, 1), PRICE));
    let all: Vec<_> = (0..16)
        .map(|_| {
            let (shop, payment) = (Arc::clone(&shop), payment.clone());
            tokio::spawn(async move { shop.pay(&payment).await })
        })
        .collect();
    let mut served = 0;
    for one in all {
        let answer = one.await.unwrap();
        served += usize::from(answer.status == 200);
        let known = [200, 402, 409, 503].contains(&answer.status);
        assert!(known, "{answer:?}");
    }
    assert_eq!((served, shop.site.asked(), shop.bank.taken()), (1, 1, PRICE));
    assert_eq!(shop.chain.settled.load(Ordering::SeqCst), 1);
    assert_eq!(shop.row(payer.channel()).books.chain().balance, Amount::new(FUNDS));
}

/// A fork takes a deposit back that was paid from: nobody is served for it any more, and the books say what is lost.
#[tokio::test]
async fn a_deposit_that_a_fork_takes_back_pays_nothing_more() {
    let (shop, payer, offer) = fresh().await;
    let deposit = payer.deposit(&offer, (FUNDS, 1), PRICE);
    assert_eq!(shop.pay(&deposit).await.status, 200);
    shop.channels.set(payer.channel(), 0, 0);
    shop.channels.watch(&payer.terms);
    let lost = || shop.bank.debit(TestChannels::accounts().lost).0;
    assert_eq!(lost(), 10_000);
    for total in [PRICE, 2 * PRICE] {
        let refused = shop.pay(&payer.voucher(&offer, total)).await;
        assert_ne!(refused.status, 200, "{refused:?}");
    }
    assert_eq!(shop.site.asked(), 1);
    // It is carried again.
    shop.channels.set(payer.channel(), FUNDS, 0);
    shop.channels.watch(&payer.terms);
    assert_eq!(shop.pay(&payer.voucher(&offer, 2 * PRICE)).await.status, 200);
    assert_eq!((lost(), shop.bank.taken()), (0, 2 * PRICE));
}

#[tokio::test]
async fn a_refund_claims_what_is_owed_and_gives_back_the_rest() {
    let shop = Shop::open().await;
    let (payer, offer) = shop.payer(FUNDS).await;
    assert_eq!(shop.pay(&payer.voucher(&offer, PRICE)).await.status, 200);
    // A part.
    let part = shop.pay(&payer.refund(&offer, PRICE, Some(20_700))).await;
    assert_eq!(part.status, 200, "{part:?}");
    let settled = response(&part);
    assert!(settled.success && settled.transaction.starts_with("0x"));
    assert_eq!(settled.amount.and_then(|units| units.amount()), Some(Amount::new(20_700)));
    let (cost, state) = told(&part);
    assert_eq!((cost, total(&state)), (None, PRICE));
    assert_eq!(state.balance.amount(), Some(Amount::new(FUNDS - 20_700)));
    assert_eq!(state.total_claimed.amount(), Some(Amount::new(PRICE)));
    assert_eq!(part.header("cache-control"), Some("private, no-store"));
    // The channel is good for more.
    assert_eq!(shop.pay(&payer.voucher(&offer, 2 * PRICE)).await.status, 200);
    // All that is left.
    let rest = shop.pay(&payer.refund(&offer, 2 * PRICE, None)).await;
    assert_eq!(rest.status, 200, "{rest:?}");
    let chain = *shop.row(payer.channel()).books.chain();
    assert_eq!(
        (chain.balance, chain.claimed, number(chain.refund_nonce)),
        (Amount::new(2 * PRICE), Amount::new(2 * PRICE), 2)
    );
    let none = shop.pay(&payer.refund(&offer, 2 * PRICE, None)).await;
    assert_eq!((none.status, reason(&none).as_str()), (402, "refund_no_balance"));
    assert_eq!((shop.site.asked(), shop.bank.taken()), (2, 2 * PRICE), "no upstream is asked");
}

#[tokio::test]
async fn a_refund_has_its_rules_too() {
    let shop = Shop::open().await;
    let (payer, offer) = shop.payer(FUNDS).await;
    assert_eq!(shop.pay(&payer.voucher(&offer, PRICE)).await.status, 200);
    let stale = shop.pay(&payer.refund(&offer, 7, None)).await;
    assert_eq!(reason(&stale), "cumulative_amount_mismatch");
    assert!(discloses(&stale), "whoever can sign is told the total");
    let nothing = shop.pay(&payer.refund(&offer, PRICE, Some(0))).await;
    assert_eq!(reason(&nothing), "refund_amount_invalid");
    let unknown = Payer::new(7, PAGE);
    assert_eq!(reason(&shop.pay(&unknown.refund(&offer, 0, None)).await), "channel_not_found");
    // It fails: the channel goes on, and the refund may be asked for again.
    shop.chain.then(Fate::Fails(Reason::BatchRefundTransactionFailed));
    let failed = shop.pay(&payer.refund(&offer, PRICE, None)).await;
    assert_eq!((failed.status, failed.code().as_str()), (402, "not-settled"), "{failed:?}");
    assert_eq!(shop.pay(&payer.voucher(&offer, 2 * PRICE)).await.status, 200);
    assert_eq!(shop.pay(&payer.refund(&offer, 2 * PRICE, None)).await.status, 200);
    assert_eq!(shop.row(payer.channel()).books.chain().balance, Amount::new(2 * PRICE));
}

/// Went wrong: a refund of one unit could be asked for again and again, each at our gas.
#[tokio::test]
async fn a_part_that_goes_back_is_worth_its_transaction() {
    let shop = Shop::open().await;
    let (payer, offer) = shop.payer(FUNDS).await;
    assert_eq!(shop.pay(&payer.voucher(&offer, PRICE)).await.status, 200);
    let small = shop.pay(&payer.refund(&offer, PRICE, Some(19_999))).await;
    assert_eq!((small.status, reason(&small).as_str()), (402, "refund_below_min_deposit"));
    assert!(small.problem().detail.contains("20000"), "{small:?}");
    assert_eq!(shop.pay(&payer.refund(&offer, PRICE, Some(75_000))).await.status, 200);
    // What is left is less than that.
    assert_eq!(shop.pay(&payer.voucher(&offer, 2 * PRICE)).await.status, 200);
    let left = FUNDS - 75_000 - 2 * PRICE;
    let small = shop.pay(&payer.refund(&offer, 2 * PRICE, Some(left - 1))).await;
    assert_eq!(reason(&small), "refund_below_min_deposit");
    assert_eq!(shop.pay(&payer.refund(&offer, 2 * PRICE, Some(left))).await.status, 200);
    assert_eq!(shop.chain.settled.load(Ordering::SeqCst), 2);
}

/// Went wrong: deposit and refund could be repeated as often as a payer liked, and nothing was paid for.
#[tokio::test]
async fn nothing_goes_back_twice_in_a_row_for_nothing() {
    let shop = Shop::open().await;
    let (payer, offer) = shop.payer(FUNDS).await;
    let gives = async |total, amount| {
        let answer = shop.pay(&payer.refund(&offer, total, amount)).await;
        if answer.status != 200 {
            assert_eq!((answer.status, reason(&answer).as_str()), (402, "refund_too_soon"), "{answer:?}");
            assert_eq!(answer.header("retry-after"), Some("60"));
        }
        answer.status == 200
    };
    assert!(!gives(0, None).await, "nothing was paid yet");
    assert_eq!(shop.pay(&payer.voucher(&offer, PRICE)).await.status, 200);
    assert!(gives(PRICE, Some(20_000)).await);
    assert!(!gives(PRICE, Some(20_000)).await, "a part once more");
    // Also when what was charged is claimed: the row knows what was charged by then.
    shop.channels.set(payer.channel(), FUNDS - 20_000, PRICE);
    shop.channels.watch(&payer.terms);
    assert_eq!(shop.pay(&payer.voucher(&offer, 2 * PRICE)).await.status, 200);
    shop.channels.set(payer.channel(), FUNDS - 20_000, 2 * PRICE);
    shop.channels.watch(&payer.terms);
    assert!(gives(2 * PRICE, Some(20_000)).await);
    assert!(gives(2 * PRICE, None).await, "the rest, as nothing came in since");
    // Something comes in, is used for a page that costs nothing, and is wanted back.
    shop.site.answers(StatusCode::INTERNAL_SERVER_ERROR);
    assert_ne!(shop.pay(&payer.deposit(&offer, (FUNDS, 1), 3 * PRICE)).await.status, 200);
    assert!(!gives(2 * PRICE, None).await);
    shop.bank.wait_secs(60);
    assert!(gives(2 * PRICE, None).await);
    assert_eq!(shop.row(payer.channel()).books.left(), Amount::ZERO);
}

#[tokio::test]
async fn a_channel_is_busy_while_its_refund_is_under_way() {
    let shop = Shop::open().await;
    let (payer, offer) = shop.payer(FUNDS).await;
    let refund = payer.refund(&offer, 0, Some(FUNDS / 2));
    shop.bank.wait_secs(60);
    shop.chain.then(Fate::Silent);
    let waiting = shop.pay(&refund).await;
    assert_eq!((waiting.status, waiting.code().as_str()), (503, "payment-settling"));
    for payment in [
        payer.voucher(&offer, PRICE),
        payer.deposit(&offer, (FUNDS, 1), PRICE),
        payer.refund(&offer, 0, None),
    ] {
        let busy = shop.pay(&payment).await;
        assert_eq!((busy.status, reason(&busy).as_str()), (402, "channel_busy"), "{busy:?}");
    }
    // The same again goes on where it is.
    let done = shop.pay(&refund).await;
    assert_eq!((done.status, shop.chain.settled.load(Ordering::SeqCst)), (200, 1));
    assert_eq!(shop.row(payer.channel()).books.chain().balance, Amount::new(FUNDS / 2));
    assert_eq!(shop.pay(&payer.voucher(&offer, PRICE)).await.status, 200);
}

#[tokio::test]
async fn what_a_payer_owes_through_all_its_lanes_is_limited() {
    let mut shop = Shop::open().await;
    let offer = shop.offer().await;
    *shop.channels.exposure_most.lock().unwrap() = Some(Amount::new(3 * PRICE));
    let lanes: Vec<_> = (0..4).map(|salt| Payer::new(salt, PAGE)).collect();
    for lane in &lanes {
        shop.channels.open(&lane.terms, FUNDS);
    }
    for lane in &lanes[..3] {
        assert_eq!(shop.pay(&lane.voucher(&offer, PRICE)).await.status, 200);
    }
    let refused = async |shop: &Shop, lane: &Payer, sum| {
        let answer = shop.pay(&lane.voucher(&offer, sum)).await;
        assert_eq!((answer.status, reason(&answer).as_str()), (402, "exposure_exceeded"), "{answer:?}");
        assert!(answer.header("retry-after").is_some() && !discloses(&answer));
    };
    refused(&shop, &lanes[3], PRICE).await;
    refused(&shop, &lanes[0], 2 * PRICE).await;
    // A deposit does not help either, so that none is carried.
    let deposit = shop.pay(&lanes[3].deposit(&offer, (FUNDS, 1), PRICE)).await;
    assert_eq!(
        (reason(&deposit).as_str(), shop.chain.settled.load(Ordering::SeqCst)),
        ("exposure_exceeded", 0)
    );
    // Somebody else's lanes are not this payer's.
    let terms = ChannelTerms { payer: Address::from_bytes([0x71; 20]), ..lanes[3].terms };
    let other = Payer { terms, ..lanes[3].clone() };
    shop.channels.open(&other.terms, FUNDS);
    assert_eq!(shop.pay(&other.voucher(&offer, PRICE)).await.status, 200);
    // A restart does not forget.
    shop.restart().await;
    refused(&shop, &lanes[3], PRICE).await;
    // What is claimed is not owed.
    shop.channels.set(lanes[1].channel(), FUNDS, PRICE);
    shop.channels.watch(&lanes[1].terms);
    assert_eq!(shop.pay(&lanes[3].voucher(&offer, PRICE)).await.status, 200);
    refused(&shop, &lanes[2], 2 * PRICE).await;
    assert_eq!(shop.bank.taken(), 5 * PRICE);
    // Went wrong: what a fork has taken back was not owed again, once nobody remembered that channel.
    shop.restart().await;
    refused(&shop, &lanes[2], 2 * PRICE).await;
    shop.channels.set(lanes[2].channel(), FUNDS, PRICE);
    shop.channels.watch(&lanes[2].terms);
    shop.channels.set(lanes[1].channel(), FUNDS, 0);
    shop.channels.watch(&lanes[1].terms);
    shop.channels.setbacks.fetch_add(1, Ordering::SeqCst);
    refused(&shop, &lanes[3], 2 * PRICE).await;
}

/// Eight lanes at once, and room for four: what is asked for counts before it is in the books.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_at_once_is_limited_together() {
    let shop = Arc::new(Shop::open().await);
    let offer = shop.offer().await;
    *shop.channels.exposure_most.lock().unwrap() = Some(Amount::new(4 * PRICE));
    let [arrived, go] = [0; 2].map(|permits| Arc::new(Semaphore::new(permits)));
    *shop.bank.holds.lock().unwrap() = Some([Arc::clone(&arrived), Arc::clone(&go)]);
    let lanes: Vec<_> = (0..8).map(|salt| Payer::new(salt, PAGE)).collect();
    let pay = |lane: &Payer| {
        shop.channels.open(&lane.terms, FUNDS);
        let (payment, shop) = (lane.voucher(&offer, PRICE), Arc::clone(&shop));
        tokio::spawn(async move { shop.pay(&payment).await })
    };
    let all: Vec<_> = lanes.iter().map(pay).collect();
    // None of them is in the books when the last one has asked.
    arrived.acquire_many(8).await.unwrap().forget();
    go.add_permits(8);
    let mut served = 0;
    for one in all {
        let answer = one.await.unwrap();
        served += u128::from(answer.status == 200);
        assert!(answer.status == 200 || reason(&answer) == "exposure_exceeded", "{answer:?}");
    }
    assert!((1..=4).contains(&served), "{served} were served");
    assert_eq!(shop.bank.taken(), served * PRICE);
    // Who was refused owes nothing: there is room for the rest, one after the other.
    *shop.bank.holds.lock().unwrap() = None;
    for lane in &lanes {
        served += u128::from(shop.pay(&lane.voucher(&offer, PRICE)).await.status == 200);
    }
    assert_eq!((served, shop.bank.taken()), (4, 4 * PRICE));
}

#[tokio::test]
async fn where_nobody_watches_a_channel_is_looked_at_once_for_many() {
    let shop = Shop::open().await;
    let (payer, offer) = shop.payer(FUNDS).await;
    shop.channels.fresh.store(false, Ordering::SeqCst);
    for n in 1..=3 {
        assert_eq!(shop.pay(&payer.voucher(&offer, n * PRICE)).await.status, 200);
    }
    assert_eq!(shop.channels.looks.load(Ordering::SeqCst), 1);
    // A withdrawal is seen when the look is old, if not before.
    shop.channels.withdraw(payer.channel());
    shop.bank.wait_secs(300);
    assert_eq!(reason(&shop.pay(&payer.voucher(&offer, 4 * PRICE)).await), "withdrawal_pending");
    // If the chain is silent, nobody is served and nobody is to blame.
    shop.bank.wait_secs(300);
    shop.channels.silent.store(true, Ordering::SeqCst);
    let silent = shop.pay(&payer.voucher(&offer, 4 * PRICE)).await;
    assert_eq!((silent.status, silent.code().as_str()), (503, "chain-unreachable"));
    shop.channels.fresh.store(true, Ordering::SeqCst);
    let looks = shop.channels.looks.load(Ordering::SeqCst);
    let _ = shop.pay(&payer.voucher(&offer, 4 * PRICE)).await;
    assert_eq!(shop.channels.looks.load(Ordering::SeqCst), looks, "it is watched again");
}

/// Somebody has opened a channel by himself: his signed word says what was charged before.
#[tokio::test]
async fn a_channel_that_the_books_do_not_know_is_looked_at() {
    let shop = Shop::open().await;
    let (payer, offer) = (Payer::new(0, PAGE), shop.offer().await);
    let empty = shop.pay(&payer.voucher(&offer, PRICE)).await;
    assert_eq!((empty.status, reason(&empty).as_str()), (402, "channel_not_found"));
    assert!(!discloses(&empty));
    shop.channels.set(payer.channel(), FUNDS, 2 * PRICE);
    shop.bank.wait_secs(2);
    let answer = shop.pay(&payer.voucher(&offer, 4 * PRICE)).await;
    assert_eq!((answer.status, total(&told(&answer).1)), (200, 4 * PRICE), "{answer:?}");
    assert_eq!(shop.bank.taken(), PRICE);
    assert_eq!(shop.channels.looks.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_payer_that_is_a_contract_has_to_be_allowed() {
    let shop = Shop::open().await;
    let payer = Payer::new(0, PAGE);
    let terms = ChannelTerms { payer_authorizer: Address::ZERO, ..payer.terms };
    let contract = Payer { terms, ..payer };
    shop.channels.open(&contract.terms, FUNDS);
    let offer = shop.offer().await;
    assert_eq!(reason(&shop.pay(&contract.voucher(&offer, PRICE)).await), "payer_authorizer_required");
    shop.channels.takes_contracts.store(true, Ordering::SeqCst);
    assert_eq!(shop.pay(&contract.voucher(&offer, PRICE)).await.status, 200);
    shop.channels.vouched.store(false, Ordering::SeqCst);
    let denied = shop.pay(&contract.voucher(&offer, 2 * PRICE)).await;
    assert_eq!((reason(&denied).as_str(), discloses(&denied)), ("voucher_signature", false));
    shop.channels.silent.store(true, Ordering::SeqCst);
    assert_eq!(shop.pay(&contract.voucher(&offer, 2 * PRICE)).await.status, 503);
    assert_eq!((shop.bank.taken(), shop.bank.debit(TestChannels::accounts().payers).1), (PRICE, 0));
}
