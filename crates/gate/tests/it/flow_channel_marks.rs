//! What goes with payments through channels as with all others: names, sign-ins, signed receipts, answers that were lost, prices
//! that change, and that forgers pay for the work that they make.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::support;
use crate::support::bank::usd;
use crate::support::channel::Payer;
use crate::support::channel_shop::{PAGE, Shop, offer, reason, required, response, told, total};
use crate::support::pay::{Answer, exchange, get, signed};
use crate::support::site::Site;
use farthing_channel::{ChannelTerms, SigningKey};
use farthing_gate::crypto::Crypto;
use farthing_gate::flow::{Demand, Extensions};
use farthing_gate::limit::{Limiter, WorkLimits};
use farthing_gate::{PassScope, Price, Rule, Rules};
use farthing_money::{Amount, Span};
use farthing_wire::mpp;
use farthing_wire::x402::extension::offer_receipt::{self, OfferClaim};
use farthing_wire::x402::extension::payment_identifier;
use farthing_wire::x402::{Payload, Requirements, SignatureText};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};

const PRICE: u128 = 10_000;
const FUNDS: u128 = 100_000;

fn named(payment: Payload, id: &str) -> Payload {
    let info = serde_json::json!({"info": {"required": false, "id": id}});
    let mut named = payment;
    named.extensions.insert(payment_identifier::NAME.into(), info);
    named
}

#[tokio::test]
async fn a_name_is_for_one_payment() {
    let shop = Shop::open().await;
    let (payer, offer) = shop.payer(FUNDS).await;
    let id = "pay_7d5d747be160e280";
    shop.site.costs("0");
    let free = named(payer.voucher(&offer, PRICE), id);
    assert_eq!(shop.pay(&free).await.status, 200);
    shop.site.costs("0.01");
    let first = named(payer.voucher(&offer, PRICE), id);
    assert_eq!(shop.pay(&first).await.status, 200, "what was free has left its name");
    let other = shop.pay(&named(payer.voucher(&offer, 2 * PRICE), id)).await;
    assert_eq!((other.status, other.code().as_str()), (409, "payment-name-taken"), "{other:?}");
    assert_eq!(
        reason(&shop.pay(&first).await),
        "cumulative_amount_mismatch",
        "the same payment has its name"
    );
    assert_eq!((shop.bank.taken(), shop.site.asked()), (PRICE, 2));
}

/// The channel's payer comes back by signing in, though another key has signed the vouchers.
/// What is paid in one dialect is known in the other: it is one channel.
#[tokio::test]
async fn mpp_and_x402_pay_through_one_channel() {
    let shop = Shop::open().await;
    let (payer, offer) = shop.payer(FUNDS).await;
    let challenge = session(&get(shop.gate.address, "/paid/x", "").await);
    let paid = pays(&shop, "/paid/x", &challenge, &payer.voucher(&offer, PRICE)).await;
    assert_eq!((paid.status, paid.header("payment-response")), (200, None), "{paid:?}");
    let receipt = mpp::Receipt::decode(paid.header("payment-receipt").unwrap()).unwrap();
    let state = &receipt.extra["settlement"]["extra"]["channelState"];
    assert_eq!((receipt.method.as_str(), &receipt.extra["intent"]), ("evm", &"session".into()));
    assert_eq!(state["chargedCumulativeAmount"], PRICE.to_string());
    assert_eq!(shop.pay(&payer.voucher(&offer, 2 * PRICE)).await.status, 200);

    // Another total is put right in a challenge, and the next one is good with the old challenge as well.
    let wrong = pays(&shop, "/paid/x", &challenge, &payer.voucher(&offer, 2 * PRICE + 1)).await;
    let told = mpp::session::Request::of(&session(&wrong)).unwrap().method_details.requirements;
    assert_eq!((wrong.status, total(&told.extra.channel().unwrap())), (402, 2 * PRICE));
    assert!(told.extra.channel_voucher().is_some());
    assert_eq!(pays(&shop, "/paid/x", &challenge, &payer.voucher(&offer, 3 * PRICE)).await.status, 200);

    // For another page, or too late, a challenge is worth nothing, and the voucher still pays.
    let next = payer.voucher(&offer, 4 * PRICE);
    let elsewhere = pays(&shop, "/paid/y", &challenge, &next).await;
    assert_eq!((elsewhere.status, elsewhere.code().as_str()), (402, "challenge-elsewhere"));
    shop.bank.wait_secs(24 * 3_600);
    let late = pays(&shop, "/paid/x", &challenge, &next).await;
    assert_eq!((late.status, late.code().as_str()), (402, "challenge-expired"));
    let charge = mpp::Challenge { intent: mpp::INTENT_CHARGE.into(), ..challenge };
    let charged = pays(&shop, "/paid/x", &charge, &next).await;
    assert_eq!((charged.status, charged.code().as_str()), (402, "credential-malformed"), "no authorization");
    let challenge = session(&late);
    assert_eq!(pays(&shop, "/paid/x", &challenge, &next).await.status, 200);
    assert_eq!((shop.charged(payer.channel()), shop.bank.taken()), (4 * PRICE, 4 * PRICE));

    let back = pays(&shop, "/paid/x", &challenge, &payer.refund(&offer, 4 * PRICE, None)).await;
    let receipt = mpp::Receipt::decode(back.header("payment-receipt").unwrap()).unwrap();
    assert_eq!(
        (back.status, &receipt.extra["settlement"]["amount"]),
        (200, &(FUNDS - 4 * PRICE).to_string().into())
    );
}

/// Where payments have to be named, a session's challenge is the name.
#[tokio::test]
async fn a_session_needs_no_other_name() {
    let named = Extensions { payment_identifier: Demand::Required, ..Extensions::default() };
    let shop = Shop::before(Site::new(), |config| config.offers.extensions = named).await;
    let (payer, offer) = shop.payer(FUNDS).await;
    let voucher = payer.voucher(&offer, PRICE);
    assert_eq!(shop.pay(&voucher).await.status, 400);
    let challenge = session(&get(shop.gate.address, "/paid/x", "").await);
    assert_eq!(pays(&shop, "/paid/x", &challenge, &voucher).await.status, 200);
}

/// The challenge of a session in an answer.
fn session(answer: &Answer) -> mpp::Challenge {
    let challenges = mpp::Challenge::parse_all(&answer.all("www-authenticate"));
    challenges.into_iter().find(mpp::session::is_session).unwrap()
}

/// Pays a challenge with what would pay by x402.
async fn pays(shop: &Shop, path: &str, challenge: &mpp::Challenge, payment: &Payload) -> Answer {
    let payload = serde_json::to_value(&payment.payload).unwrap();
    let credential = mpp::Credential { challenge: challenge.clone(), source: None, payload };
    let field = format!("Authorization: {}\r\n", credential.encode().unwrap());
    get(shop.gate.address, path, &field).await
}

#[tokio::test]
async fn the_payer_of_a_channel_signs_in() {
    let shop = Shop::open().await;
    let account = SigningKey::from_bytes([0x77; 32]).unwrap();
    let payer = Payer::new(0, PAGE);
    let terms = ChannelTerms { payer: account.address(), ..payer.terms };
    let payer = Payer { terms, ..payer };
    shop.channels.open(&payer.terms, FUNDS);
    let required = shop.required().await;
    assert_eq!(shop.pay(&payer.voucher(&offer(&required), PRICE)).await.status, 200);
    let come_back = async |key: &SigningKey| {
        let sign_in = signed(&required, key).to_header().unwrap();
        let field = format!("SIGN-IN-WITH-X: {sign_in}\r\n");
        get(shop.gate.address, "/paid/x", &field).await
    };
    assert_eq!(come_back(&payer.key).await.code(), "sign-in-unpaid");
    assert_eq!(come_back(&account).await.status, 200);
    assert_eq!((shop.bank.taken(), shop.site.asked()), (PRICE, 2));
}

#[tokio::test]
async fn offers_and_receipts_of_channels_are_signed() {
    let extensions = Extensions { offer_receipt: true, sign_in: false, ..Extensions::default() };
    let shop = Shop::before(Site::new(), |config| config.offers.extensions = extensions).await;
    let (payer, offer) = shop.payer(FUNDS).await;
    let signed = offer_receipt::offers(&shop.required().await.extensions);
    let claim = signed[2].claim().unwrap();
    assert_eq!(claim, OfferClaim::of(&offer, PAGE, claim.valid_until));
    let settled = response(&shop.pay(&payer.voucher(&offer, PRICE)).await);
    let receipt = offer_receipt::read_receipt(&settled.extensions).unwrap().claim().unwrap();
    assert_eq!((receipt.payer, receipt.transaction), (payer.terms.payer.to_string(), None));
}

/// A client that was gone before its answer came has paid for it: it gets it once more, for nothing.
#[tokio::test]
async fn an_answer_that_nobody_got_comes_again_once() {
    let shop = Shop::before(Site::waiting(), |_| {}).await;
    let (payer, offer) = shop.payer(FUNDS).await;
    let payment = payer.voucher(&offer, PRICE);
    let mut stream = TcpStream::connect(shop.gate.address).await.unwrap();
    stream.write_all(request(&payment).as_bytes()).await.unwrap();
    shop.site.arrived.acquire().await.unwrap().forget();
    drop(stream);
    shop.site.go.add_permits(100);
    let again = loop {
        let answer = shop.pay(&payment).await;
        if answer.status != 409 {
            break answer;
        }
    };
    assert_eq!((again.status, again.body.as_str(), told(&again).0), (200, "the page", Some(PRICE)));
    assert_eq!(reason(&shop.pay(&payment).await), "cumulative_amount_mismatch");
    assert_eq!((shop.bank.taken(), shop.charged(payer.channel()), shop.site.asked()), (PRICE, PRICE, 2));
}

fn rules_at(price: u128) -> Arc<Rules> {
    let price = Price::Paid { amount: usd().money(Amount::new(price)) };
    let rule = Rule::new("/paid/**", price).unwrap().pass(Span::from_secs(60), PassScope::Url);
    Arc::new(Rules::new(vec![rule]).unwrap())
}

/// At another price a voucher makes no new payment; what it has paid at the old one is known all the same.
#[tokio::test]
async fn a_price_that_has_changed_is_not_paid_by_an_old_offer() {
    let (sender, receiver) = watch::channel(rules_at(PRICE));
    let shop = Shop::before(Site::new(), |config| config.rules = receiver).await;
    let (payer, offer) = shop.payer(FUNDS).await;
    let paid = payer.voucher(&offer, PRICE);
    assert_eq!(shop.pay(&paid).await.status, 200);
    sender.send(rules_at(2 * PRICE)).unwrap();
    assert_eq!(reason(&shop.pay(&paid).await), "cumulative_amount_mismatch");
    let old = shop.pay(&payer.voucher(&offer, 2 * PRICE)).await;
    assert_eq!((old.status, old.code().as_str()), (402, "offer-unknown"));
    let new = support::channel_shop::offer(&required(&old));
    assert_eq!(shop.pay(&payer.voucher(&new, 3 * PRICE)).await.status, 200);
    assert_eq!(shop.bank.taken(), 3 * PRICE);
    // A copy of an offer that never was is none.
    let made_up = Requirements { pay_to: "0x0000000000000000000000000000000000000001".into(), ..new };
    assert_eq!(shop.pay(&payer.voucher(&made_up, 5 * PRICE)).await.code(), "offer-unknown");
}

/// A request for the page with a payment, for a connection that stays open.
fn request(payment: &Payload) -> String {
    let field = payment.to_header().unwrap();
    format!("GET /paid/x HTTP/1.1\r\nHost: shop.example\r\nPAYMENT-SIGNATURE: {field}\r\n\r\n")
}

/// Vouchers that nobody has signed, and channels that nobody has filled, cost their sender's budget; payers are never cut off.
#[tokio::test]
async fn work_in_vain_is_limited_and_payers_are_not() {
    let work = WorkLimits { per_second: 1, burst: 200 };
    let shop = Shop::before(Site::new(), |config| {
        let limiter = Limiter::new(work, config.clock.clone(), Vec::new());
        config.crypto = Crypto::new(2).unwrap().limited(limiter);
    })
    .await;
    let (payer, offer) = shop.payer(1_000 * PRICE).await;
    let mut honest = TcpStream::connect(shop.gate.address).await.unwrap();
    for n in 1..=100 {
        let paid = exchange(&mut honest, &request(&payer.voucher(&offer, n * PRICE))).await;
        assert_eq!(paid.status, 200, "{n}");
        let stale = exchange(&mut honest, &request(&payer.voucher(&offer, 7))).await;
        assert_eq!(reason(&stale), "cumulative_amount_mismatch", "who can sign is no forger");
    }
    let forged = |_: u8| {
        let mut voucher = payer.signed(101 * PRICE);
        voucher.signature = SignatureText::new(vec![7; 65]).unwrap();
        payer.with(&offer, voucher)
    };
    let made_up = |n: u8| Payer::new(10 + n, PAGE).voucher(&offer, PRICE);
    let kinds: [&dyn Fn(u8) -> Payload; 2] = [&forged, &made_up];
    for kind in kinds {
        shop.bank.wait_secs(1_000);
        let mut stream = TcpStream::connect(shop.gate.address).await.unwrap();
        let mut looked_at = 0;
        let cut_off = loop {
            let answer = exchange(&mut stream, &request(&kind(looked_at))).await;
            if answer.status == 429 {
                break answer;
            }
            assert_eq!(answer.status, 402);
            looked_at += 1;
        };
        assert_eq!(cut_off.code(), "rate-limited");
        assert!((40..=60).contains(&looked_at), "{looked_at} were looked at");
    }
    assert_eq!(shop.bank.taken(), 100 * PRICE);
    let next = exchange(&mut honest, &request(&payer.voucher(&offer, 101 * PRICE))).await;
    assert_eq!((next.status, total(&told(&next).1)), (200, 101 * PRICE), "beside them, payers pay");
}

/// Went wrong: copies of one deposit, or of one refund, waited for its block, each in a place among all payments, and all the work
/// was given back: one payer could take every place.
#[tokio::test]
async fn one_request_waits_for_a_block_and_its_copies_come_again() {
    let work = WorkLimits { per_second: 1, burst: 20 };
    let shop = Shop::before(Site::new(), |config| {
        let limiter = Limiter::new(work, config.clock.clone(), Vec::new());
        config.crypto = Crypto::new(2).unwrap().limited(limiter);
    })
    .await;
    let (payer, offer) = (Payer::new(0, PAGE), shop.offer().await);
    let deposit = payer.deposit(&offer, (100 * PRICE, 1), PRICE);
    let refund = payer.refund(&offer, PRICE, None);
    for payment in [deposit, refund] {
        let ((begun, begins), (end, ends)) = (oneshot::channel(), oneshot::channel());
        *shop.chain.waits.lock().unwrap() = Some((begun, ends));
        let first = shop.pay(&payment);
        let copies = async {
            begins.await.unwrap();
            let mut stream = TcpStream::connect(shop.gate.address).await.unwrap();
            let mut told = 0;
            let cut_off = loop {
                let copy = exchange(&mut stream, &request(&payment)).await;
                if copy.status == 429 {
                    break copy;
                }
                let reason = response(&copy).error_reason;
                assert_eq!((copy.status, reason.as_deref()), (503, Some("settlement_pending")), "{copy:?}");
                assert!(copy.header("retry-after").is_some());
                told += 1;
            };
            assert_eq!((cut_off.code().as_str(), told), ("rate-limited", 5), "a copy asks in vain");
            end.send(()).unwrap();
        };
        let (first, ()) = tokio::join!(first, copies);
        assert_eq!(first.status, 200, "{first:?}");
        shop.bank.wait_secs(60);
    }
    assert_eq!(shop.chain.settled.load(Ordering::SeqCst), 2);
}
