//! Payments by voucher through the gate: offered, verified, held, charged what they cost; nothing is said to strangers, and
//! nothing is charged twice.

use std::sync::atomic::Ordering;

use crate::support::channel::{Payer, TestChannels};
use crate::support::channel_shop::{PAGE, Shop, discloses, offer, reason, required, response, told, total};
use crate::support::pay::{Answer, get};
use crate::support::site::Site;
use farthing_channel::{ChainId, ChannelTerms, Salt, batch_domain};
use farthing_engine::PaymentId;
use farthing_money::Amount;
use farthing_wire::x402::batch::{PayerPayload, SCHEME_BATCH, VoucherFields, VoucherPayload};
use farthing_wire::x402::{Payload, SignatureText, Uint};
use http::StatusCode;

const PRICE: u128 = 10_000;
const FUNDS: u128 = 100_000;

#[tokio::test]
async fn a_402_offers_channels_after_all_else() {
    let shop = Shop::open().await;
    let answer = get(shop.gate.address, "/paid/x", "").await;
    let offers = required(&answer).accepts;
    let schemes: Vec<_> = offers.iter().map(|offer| offer.scheme.as_str()).collect();
    assert_eq!(schemes, ["exact", "upto", SCHEME_BATCH]);
    assert!(answer.head.len() < 8 * 1024, "{} bytes of headers", answer.head.len());
    assert_eq!(answer.problem().extra["accepts"].as_array().unwrap().len(), 1, "version 1 knows none");
    // What is settled first is not known to have been answered: no channel pays it.
    let first = required(&get(shop.gate.address, "/first/x", "").await);
    assert!(first.accepts.iter().all(|offer| offer.scheme != SCHEME_BATCH));
    let payer = Payer::new(0, "http://shop.example/first/x");
    let refused = shop.pay(&payer.voucher(&offers[2], PRICE)).await;
    assert_eq!((refused.status, refused.code().as_str()), (402, "offer-unknown"));
}

#[tokio::test]
async fn vouchers_pay_one_after_the_other_and_no_chain_is_asked() {
    let shop = Shop::open().await;
    let (payer, offer) = shop.payer(FUNDS).await;
    for n in 1..=3 {
        let answer = shop.pay(&payer.voucher(&offer, n * PRICE)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "the page"), "{answer:?}");
        let settled = response(&answer);
        assert!(settled.success && settled.transaction.is_empty() && settled.amount.is_none());
        assert_eq!(settled.payer, Some(payer.terms.payer.to_string()));
        let (cost, state) = told(&answer);
        assert_eq!((cost, total(&state)), (Some(PRICE), n * PRICE));
        assert_eq!(state.balance.amount(), Some(Amount::new(FUNDS)));
        assert_eq!(answer.receipt().dialect, "x402");
        assert!(answer.header("farthing-pass").is_some(), "to come back with");
    }
    assert_eq!((shop.bank.taken(), shop.site.asked()), (3 * PRICE, 3));
    assert_eq!(shop.channels.looks.load(Ordering::SeqCst), 0);
    let claim = shop.row(payer.channel()).books.claim(&payer.terms).unwrap();
    assert_eq!((claim.ceiling, claim.total_claimed), (Amount::new(3 * PRICE), Amount::new(3 * PRICE)));
}

/// One round trip: who knows the price asks for no offer.
#[tokio::test]
async fn a_voucher_needs_no_402_before_it() {
    let shop = Shop::open().await;
    let (payer, offer) = shop.payer(FUNDS).await;
    let other = Payer { url: "http://shop.example/paid/never-asked-for".to_owned(), ..payer };
    assert_eq!(shop.pay(&other.voucher(&offer, PRICE)).await.status, 200);
    let mut cheaper = other.voucher(&offer, 2 * PRICE);
    cheaper.accepted.amount = Uint::from(9_999_u64);
    let refused = shop.pay(&cheaper).await;
    assert_eq!((refused.code().as_str(), discloses(&refused)), ("offer-unknown", false));
}

#[tokio::test]
async fn what_it_has_cost_is_charged_and_the_next_total_builds_on_that() {
    let shop = Shop::open().await;
    let (payer, offer) = shop.payer(FUNDS).await;
    shop.site.costs("0.0025 USD");
    let answer = shop.pay(&payer.voucher(&offer, PRICE)).await;
    let (cost, state) = told(&answer);
    assert_eq!((answer.status, cost, total(&state)), (200, Some(2_500), 2_500));
    assert!(answer.header("farthing-cost").is_none());
    // Nothing: the same voucher pays for the next request.
    shop.site.costs("0");
    let free = shop.pay(&payer.voucher(&offer, 2_500 + PRICE)).await;
    assert_eq!((free.status, told(&free).0), (200, Some(0)));
    // More than was offered is not charged.
    shop.site.costs("1");
    let dear = shop.pay(&payer.voucher(&offer, 2_500 + PRICE)).await;
    assert_eq!((dear.status, told(&dear).0), (200, Some(PRICE)));
    assert_eq!((shop.bank.taken(), shop.charged(payer.channel())), (2_500 + PRICE, 2_500 + PRICE));
}

/// A voucher that nobody has signed gets the same refusal whatever the channel is like.
#[tokio::test]
async fn nothing_is_said_of_a_channel_to_who_cannot_sign_for_it() {
    let shop = Shop::open().await;
    let (payer, offer) = shop.payer(FUNDS).await;
    assert_eq!(shop.pay(&payer.voucher(&offer, PRICE)).await.status, 200);
    let stranger = Payer { key: Payer::new(9, PAGE).key, ..payer.clone() };
    let garbage =
        |total| VoucherFields { signature: SignatureText::new(vec![7; 65]).unwrap(), ..payer.signed(total) };
    let mut bodies = Vec::new();
    for payment in [
        stranger.voucher(&offer, 2 * PRICE),
        stranger.voucher(&offer, PRICE),
        stranger.voucher(&offer, 7),
        payer.with(&offer, garbage(2 * PRICE)),
        payer.with(&offer, garbage(9 * FUNDS)),
        payer.with(
            &offer,
            VoucherFields { max_claimable_amount: "9".repeat(60).parse().unwrap(), ..payer.signed(1) },
        ),
        // Of another amount, of another chain.
        payer.with(&offer, VoucherFields { max_claimable_amount: 3_u64.into(), ..payer.signed(2 * PRICE) }),
        payer.with(&offer, payer.signed_in(2 * PRICE, &batch_domain(ChainId::new(8_453)))),
        stranger.refund(&offer, PRICE, None),
        stranger.deposit(&offer, (FUNDS, 1), 2 * PRICE),
    ] {
        let answer = shop.pay(&payment).await;
        assert_eq!((answer.status, reason(&answer).as_str()), (402, "voucher_signature"), "{answer:?}");
        assert!(!discloses(&answer));
        bodies.push((answer.code(), answer.problem().detail));
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    // Of a channel that is not there, the same.
    let nobody = Payer { key: stranger.key, ..Payer::new(5, PAGE) };
    assert_eq!(reason(&shop.pay(&nobody.voucher(&offer, PRICE)).await), "voucher_signature");
    assert_eq!((shop.charged(payer.channel()), shop.channels.looks.load(Ordering::SeqCst)), (PRICE, 0));
}

#[tokio::test]
async fn vouchers_for_others_are_refused() {
    let shop = Shop::open().await;
    let (payer, offer) = shop.payer(FUNDS).await;
    let lane =
        Payer { terms: ChannelTerms { salt: Salt::from_bytes([3; 32]), ..payer.terms }, ..payer.clone() };
    // The id of one channel, the terms of another.
    let config = lane.config();
    let swapped = VoucherPayload { channel_config: config, voucher: payer.signed(PRICE) };
    let answer = shop.pay(&payer.pays(&offer, &PayerPayload::Voucher(swapped))).await;
    assert_eq!(reason(&answer), "channel_id_mismatch");
    // Another merchant's channel, token, authorizer, delay: signed for, and of no use here.
    let other = |terms: ChannelTerms| Payer { terms, ..payer.clone() };
    let address = farthing_channel::Address::from_bytes([8; 20]);
    for (terms, expected) in [
        (ChannelTerms { receiver: address, ..payer.terms }, "receiver_mismatch"),
        (ChannelTerms { token: address, ..payer.terms }, "token_mismatch"),
        (ChannelTerms { receiver_authorizer: address, ..payer.terms }, "receiver_authorizer_mismatch"),
        (ChannelTerms { withdraw_delay: 901, ..payer.terms }, "withdraw_delay_mismatch"),
    ] {
        let answer = shop.pay(&other(terms).voucher(&offer, PRICE)).await;
        assert_eq!((answer.status, reason(&answer).as_str()), (402, expected));
    }
    let nobody = ChannelTerms { payer_authorizer: farthing_channel::Address::ZERO, ..payer.terms };
    let answer = shop.pay(&other(nobody).voucher(&offer, PRICE)).await;
    assert_eq!(reason(&answer), "payer_authorizer_required");
    assert_eq!(answer.code(), "channel-payer-authorizer");
    assert_eq!((shop.site.asked(), shop.channels.looks.load(Ordering::SeqCst)), (0, 0));
}

/// What a payer that has lost count needs, and no more than once round.
#[tokio::test]
async fn who_signs_for_another_total_is_told_the_right_one() {
    let shop = Shop::open().await;
    let (payer, offer_of) = shop.payer(FUNDS).await;
    let first = shop.pay(&payer.voucher(&offer_of, 7)).await;
    assert_eq!(reason(&first), "cumulative_amount_mismatch", "less than the price");
    for n in 1..=2 {
        assert_eq!(shop.pay(&payer.voucher(&offer_of, n * PRICE)).await.status, 200);
    }
    let elsewhere = Payer { url: "http://shop.example/paid/y".to_owned(), ..payer.clone() };
    for stale in [1, PRICE, 2 * PRICE, 4 * PRICE, u128::MAX] {
        let answer = shop.pay(&elsewhere.voucher(&offer_of, stale)).await;
        assert_eq!((answer.status, answer.code().as_str()), (402, "voucher-total"), "{stale}");
        let required = required(&answer);
        assert_eq!(
            required.error.as_deref(),
            Some("invalid_batch_settlement_evm_cumulative_amount_mismatch")
        );
        assert!(answer.head.len() < 8 * 1024);
        // It is the first one, so that clients find it.
        let corrected = &required.accepts[0];
        let state = corrected.extra.channel().unwrap();
        let known = corrected.extra.channel_voucher().unwrap();
        assert_eq!(
            (total(&state), known.signed_max_claimable),
            (2 * PRICE, Some(Amount::new(2 * PRICE).into()))
        );
        assert_eq!(known.signature, Some(payer.signed(2 * PRICE).signature), "the payer's own");
        // The offer that it copies is taken with all that.
        let next = total(&state) + PRICE;
        if stale == u128::MAX {
            assert_eq!(shop.pay(&elsewhere.voucher(&offer(&required), next)).await.status, 200);
        }
    }
    assert_eq!(shop.charged(payer.channel()), 3 * PRICE);
}

/// A claim shows its voucher to everybody: who sends such a one again may be anybody, and was told what the payer spends, with
/// the newest voucher.
#[tokio::test]
async fn a_voucher_that_was_claimed_tells_nobody_what_was_charged_since() {
    let shop = Shop::open().await;
    let (payer, offer) = shop.payer(FUNDS).await;
    for n in 1..=3 {
        assert_eq!(shop.pay(&payer.voucher(&offer, n * PRICE)).await.status, 200);
    }
    shop.channels.set(payer.channel(), FUNDS, 2 * PRICE);
    shop.channels.watch(&payer.terms);
    let elsewhere = Payer { url: "http://shop.example/paid/y".to_owned(), ..payer.clone() };
    for public in
        [payer.voucher(&offer, PRICE), payer.voucher(&offer, 2 * PRICE), elsewhere.voucher(&offer, PRICE)]
    {
        let answer = shop.pay(&public).await;
        assert_eq!(reason(&answer), "cumulative_amount_mismatch");
        let extra = &required(&answer).accepts[0].extra;
        assert_eq!(extra.channel().unwrap().charged_cumulative_amount, None, "the chain says the rest");
        assert_eq!(extra.channel_voucher(), None);
    }
    // Who has forgotten what was charged asks the chain, and signs for more than anybody has read there.
    let answer = shop.pay(&payer.voucher(&offer, 2 * PRICE + 1)).await;
    let extra = &required(&answer).accepts[0].extra;
    assert_eq!(total(&extra.channel().unwrap()), 3 * PRICE);
    assert!(extra.channel_voucher().is_some());
}

/// Went wrong: a claim can be read before it is confirmed, and until then its voucher told whoever read it what was charged since.
#[tokio::test]
async fn a_voucher_whose_claim_is_on_its_way_tells_nobody_either() {
    let mut shop = Shop::open().await;
    let (payer, offer) = shop.payer(FUNDS).await;
    for n in 1..=2 {
        assert_eq!(shop.pay(&payer.voucher(&offer, n * PRICE)).await.status, 200);
    }
    let claim = shop.channels.claims(&payer.terms);
    let public = payer.voucher(&offer, 2 * PRICE);
    let elsewhere = Payer { url: "http://shop.example/paid/y".to_owned(), ..payer.clone() };
    let state = |answer: &Answer| {
        assert_eq!(reason(answer), "cumulative_amount_mismatch");
        let extra = &required(answer).accepts[0].extra;
        (extra.channel().unwrap().charged_cumulative_amount.is_some(), extra.channel_voucher().is_some())
    };
    let of_public = async |shop: &Shop| state(&shop.pay(&elsewhere.voucher(&offer, 2 * PRICE)).await);
    assert_eq!(of_public(&shop).await, (true, true), "no node was told yet");
    shop.chain.send(claim);
    assert_eq!(of_public(&shop).await, (false, false));
    // Those that are in no claim were read by nobody.
    assert_eq!(state(&shop.pay(&elsewhere.voucher(&offer, PRICE)).await), (true, true));
    assert_eq!(state(&shop.pay(&payer.voucher(&offer, 2 * PRICE + 1)).await), (true, true));
    // Nor does a start deliver what it has paid for once more.
    shop.restart().await;
    assert_eq!(state(&shop.pay(&public).await), (false, false));
    assert_eq!((shop.bank.taken(), shop.site.asked()), (2 * PRICE, 2));
}

#[tokio::test]
async fn the_edges_of_what_an_amount_can_be_are_taken_rightly() {
    let shop = Shop::open().await;
    let offer = shop.offer().await;
    // As much as the books count: their totals are sums of all that ever moved.
    let (payer, most) = (Payer::new(0, PAGE), u128::MAX / 4);
    shop.channels.set(payer.channel(), most, 0);
    let answer = shop.pay(&payer.voucher(&offer, most)).await;
    assert_eq!((answer.status, shop.charged(payer.channel())), (200, most), "{answer:?}");
    assert_eq!((shop.bank.taken(), told(&answer).0), (PRICE, Some(PRICE)));
    assert_ne!(shop.pay(&payer.voucher(&offer, most)).await.status, 200, "never twice");
    assert_eq!(reason(&shop.pay(&payer.voucher(&offer, most + PRICE)).await), "cumulative_exceeds_balance");
    // Beyond that it is refused, nothing wraps and nothing is charged.
    let beyond = Payer::new(1, PAGE);
    shop.channels.set(beyond.channel(), u128::MAX / 2, 0);
    for total in [u128::MAX, u128::MAX - 1, 1 << 127] {
        assert_eq!(shop.pay(&beyond.voucher(&offer, total)).await.status, 402);
    }
    assert_eq!((shop.bank.taken(), shop.site.asked()), (PRICE, 1));
}

#[tokio::test]
async fn a_withdrawal_stops_service_at_once() {
    let shop = Shop::open().await;
    let (payer, offer) = shop.payer(FUNDS).await;
    assert_eq!(shop.pay(&payer.voucher(&offer, PRICE)).await.status, 200);
    shop.channels.withdraw(payer.channel());
    shop.channels.watch(&payer.terms);
    let refused = shop.pay(&payer.voucher(&offer, 2 * PRICE)).await;
    assert_eq!((refused.status, reason(&refused).as_str()), (402, "withdrawal_pending"));
    assert!(refused.header("retry-after").is_some() && !discloses(&refused));
    assert_eq!((shop.charged(payer.channel()), shop.site.asked()), (PRICE, 1));
}

#[tokio::test]
async fn a_voucher_beyond_the_balance_is_refused() {
    let shop = Shop::open().await;
    let (payer, offer) = shop.payer(PRICE + 5_000).await;
    assert_eq!(shop.pay(&payer.voucher(&offer, PRICE)).await.status, 200);
    let refused = shop.pay(&payer.voucher(&offer, 2 * PRICE)).await;
    assert_eq!((refused.status, reason(&refused).as_str()), (402, "cumulative_exceeds_balance"));
    assert_eq!(refused.header("retry-after"), None, "waiting does not help");
    // Its payer has put more in by himself, and nobody has seen it: then the chain is asked, but not by each request.
    shop.channels.set(payer.channel(), 2 * PRICE, 0);
    let refused = shop.pay(&payer.voucher(&offer, 2 * PRICE)).await;
    assert_eq!(reason(&refused), "cumulative_exceeds_balance");
    shop.channels.silent.store(true, Ordering::SeqCst);
    shop.bank.wait_secs(2);
    let refused = shop.pay(&payer.voucher(&offer, 2 * PRICE)).await;
    assert_eq!(reason(&refused), "cumulative_exceeds_balance", "a watcher is there and nobody else to ask");
    shop.channels.silent.store(false, Ordering::SeqCst);
    shop.bank.wait_secs(2);
    assert_eq!(shop.pay(&payer.voucher(&offer, 2 * PRICE)).await.status, 200);
    assert_eq!(shop.channels.looks.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn the_same_voucher_is_charged_once_and_opens_one_thing() {
    let shop = Shop::open().await;
    let (payer, offer) = shop.payer(FUNDS).await;
    let payment = payer.voucher(&offer, PRICE);
    assert_eq!(shop.pay(&payment).await.status, 200);
    let again = shop.pay(&payment).await;
    // Whoever begins anew signs what it has signed before, and is told where its channel stands.
    assert_eq!((again.status, reason(&again).as_str()), (402, "cumulative_amount_mismatch"));
    assert_eq!(total(&required(&again).accepts[0].extra.channel().unwrap()), PRICE);
    // For another resource, its total is over.
    let elsewhere = Payer { url: "http://shop.example/paid/y".to_owned(), ..payer.clone() };
    let refused = shop.pay(&elsewhere.voucher(&offer, PRICE)).await;
    assert_eq!(reason(&refused), "cumulative_amount_mismatch");
    let posted = shop.send(("POST", "/paid/x", "another body"), &payment).await;
    assert_eq!(reason(&posted), "cumulative_amount_mismatch");
    assert_eq!((shop.bank.taken(), shop.site.asked()), (PRICE, 1));
}

/// What was charged right before a crash may not have reached its payer: it comes once more, and costs nothing.
#[tokio::test]
async fn an_answer_that_a_crash_has_lost_is_delivered_once_more() {
    let mut shop = Shop::open().await;
    let (payer, offer) = shop.payer(FUNDS).await;
    let payment = payer.voucher(&offer, PRICE);
    assert_eq!(shop.pay(&payment).await.status, 200);
    shop.restart().await;
    let again = shop.pay(&payment).await;
    assert_eq!(
        (again.status, told(&again).0, total(&told(&again).1)),
        (200, Some(PRICE), PRICE),
        "{again:?}"
    );
    assert_eq!(reason(&shop.pay(&payment).await), "cumulative_amount_mismatch");
    // Not if the voucher may be public by now.
    let claimed = payer.voucher(&offer, 2 * PRICE);
    assert_eq!(shop.pay(&claimed).await.status, 200);
    shop.restart().await;
    shop.channels.set(payer.channel(), FUNDS, 2 * PRICE);
    shop.channels.watch(&payer.terms);
    assert_eq!(reason(&shop.pay(&claimed).await), "cumulative_amount_mismatch");
    assert_eq!(shop.bank.taken(), 2 * PRICE);
}

#[tokio::test]
async fn what_the_upstream_fails_to_do_costs_nothing() {
    let shop = Shop::open().await;
    let (payer, offer) = shop.payer(FUNDS).await;
    for (status, expected) in [(StatusCode::INTERNAL_SERVER_ERROR, 502), (StatusCode::NOT_FOUND, 404)] {
        shop.site.answers(status);
        let failed = shop.pay(&payer.voucher(&offer, PRICE)).await;
        assert!(failed.status == expected || failed.status == status.as_u16(), "{failed:?}");
        assert!(failed.header("payment-response").is_none());
        assert!(!shop.row(payer.channel()).is_busy());
    }
    assert_eq!((shop.bank.taken(), shop.bank.debit(TestChannels::accounts().payers).1), (0, 0));
    shop.site.answers(StatusCode::OK);
    assert_eq!(shop.pay(&payer.voucher(&offer, PRICE)).await.status, 200, "the same voucher");
}

/// A crash between hold and charge: nothing was charged, and the channel is free after the next start.
#[tokio::test]
async fn what_a_crash_leaves_on_hold_is_given_back() {
    let mut shop = Shop::before(Site::waiting(), |_| {}).await;
    let (payer, offer) = shop.payer(FUNDS).await;
    let (site, payment) = (shop.site.clone(), payer.voucher(&offer, PRICE));
    let id = PaymentId::of_voucher(payer.channel(), Amount::ZERO, Amount::new(PRICE));
    tokio::select! {
        _ = shop.pay(&payment) => panic!("the upstream waits"),
        permit = site.arrived.acquire() => permit.unwrap().forget(),
    }
    assert!(shop.row(payer.channel()).is_busy());
    let row = shop.bank.payment(id).unwrap();
    shop.bank.restart(id, &row);
    shop.restart().await;
    assert_eq!((shop.bank.taken(), shop.row(payer.channel()).is_busy()), (0, false));
    shop.site.go.add_permits(2);
    assert_eq!(shop.pay(&payment).await.status, 200, "it is good for the same again");
    assert_eq!(shop.bank.taken(), PRICE);
}

/// Sixteen at once on one channel: one is served, and nobody is charged twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixteen_at_once_on_one_channel_one_is_served() {
    let shop = std::sync::Arc::new(Shop::before(Site::waiting(), |_| {}).await);
    let (payer, offer) = shop.payer(FUNDS).await;
    let pay = |n: usize| {
        let url = format!("http://shop.example/paid/{n}");
        let payment = Payer { url, ..payer.clone() }.voucher(&offer, PRICE);
        let shop = std::sync::Arc::clone(&shop);
        tokio::spawn(async move { shop.pay(&payment).await })
    };
    let mut all: Vec<_> = (0..16).map(pay).collect();
    // The one that is served is still at it when all others have their answers.
    let mut refused: Vec<Answer> = Vec::new();
    while refused.len() < 15 {
        let (answer, _, left) = first(all).await;
        refused.push(answer);
        all = left;
    }
    for answer in &refused {
        assert_eq!((answer.status, reason(answer).as_str()), (402, "channel_busy"), "{answer:?}");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    shop.site.go.add_permits(1);
    assert_eq!(all.remove(0).await.unwrap().status, 200);
    assert_eq!((shop.bank.taken(), shop.site.asked(), shop.charged(payer.channel())), (PRICE, 1, PRICE));
}

/// The first of several tasks that has ended, and the others.
async fn first(
    mut tasks: Vec<tokio::task::JoinHandle<Answer>>,
) -> (Answer, usize, Vec<tokio::task::JoinHandle<Answer>>) {
    let (answer, place) = std::future::poll_fn(|cx| {
        for (place, task) in tasks.iter_mut().enumerate() {
            if let std::task::Poll::Ready(answer) = std::pin::Pin::new(task).poll(cx) {
                return std::task::Poll::Ready((answer.unwrap(), place));
            }
        }
        std::task::Poll::Pending
    })
    .await;
    drop(tasks.remove(place));
    (answer, place, tasks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_lanes_are_served_at_once() {
    let shop = std::sync::Arc::new(Shop::before(Site::waiting(), |_| {}).await);
    let offer = shop.offer().await;
    let lanes: Vec<Payer> = (0..16).map(|salt| Payer::new(salt, PAGE)).collect();
    let all: Vec<_> = lanes
        .iter()
        .map(|payer| {
            shop.channels.open(&payer.terms, FUNDS);
            let (payment, shop): (Payload, _) = (payer.voucher(&offer, PRICE), std::sync::Arc::clone(&shop));
            tokio::spawn(async move { shop.pay(&payment).await })
        })
        .collect();
    shop.site.arrived.acquire_many(16).await.unwrap().forget();
    shop.site.go.add_permits(16);
    for one in all {
        assert_eq!(one.await.unwrap().status, 200);
    }
    assert_eq!((shop.bank.taken(), shop.site.asked()), (16 * PRICE, 16));
}
