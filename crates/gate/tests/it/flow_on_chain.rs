//! Payments on chains through the gate: offered, held, settled between the upstream's answer and its delivery, joined by a
//! retry, and good for one delivery.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support;
use crate::support::bank::{Bank, usd};
use crate::support::chain::{Fate, TestChain, payload};
use crate::support::pay::{Answer, get, rules};
use crate::support::{Server, start, start_service};
use farthing_channel::keccak256;
use farthing_engine::CallId;
use farthing_gate::chain::{ChainRefusal, Chains};
use farthing_gate::serve::Limits;
use farthing_gate::{Body, Gate, Price, Proxy, ProxyConfig, Rule, Rules};
use farthing_money::Amount;
use farthing_wire::mpp::{self, evm};
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::v1::PayloadV1;
use farthing_wire::x402::{
    Eip3009, Payload, PaymentFlow, PaymentRequired, Reason, SchemePayload, SettleResponse,
};
use http::{HeaderValue, Response, StatusCode};
use tokio::sync::{oneshot, watch};

const PAGE: &str = "http://shop.example/paid/x";

struct Shop {
    bank: Arc<Bank>,
    chain: Arc<TestChain>,
    gate: Server,
    _upstream: Server,
}

impl Shop {
    async fn open() -> Self {
        Self::before(support::mirror().await).await
    }

    async fn before(upstream: Server) -> Self {
        let bank = Bank::new();
        let chain = TestChain::new(&bank);
        let mut config = bank.config(rules());
        config.chains = Some(Arc::clone(&chain) as Arc<dyn Chains>);
        let proxy = Proxy::new(ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap()));
        let gate = start_service(Limits::default(), Gate::new(config, proxy.unwrap())).await;
        Self { bank, chain, gate, _upstream: upstream }
    }

    async fn required(&self) -> PaymentRequired {
        let answer = get(self.gate.address, "/paid/x", "").await;
        PaymentRequired::from_header(answer.header("payment-required").unwrap()).unwrap()
    }

    async fn payment(&self, nonce: u8) -> Payload {
        payload(&self.required().await.accepts[0], PAGE, nonce)
    }

    async fn pay(&self, payment: &Payload) -> Answer {
        self.pay_for("/paid/x", payment).await
    }

    async fn pay_for(&self, path: &str, payment: &Payload) -> Answer {
        let field = format!("PAYMENT-SIGNATURE: {}\r\n", payment.to_header().unwrap());
        get(self.gate.address, path, &field).await
    }

    fn call(&self, payment: &Payload) -> CallId {
        CallId::of_payment(self.chain.payment(&payment.accepted, payment).unwrap())
    }
}

/// A payment with what was signed for something else.
async fn payload_of(shop: &Shop, signed: &Eip3009) -> Payload {
    Payload { payload: SchemePayload::Eip3009(signed.clone()), ..shop.payment(1).await }
}

fn response(answer: &Answer) -> SettleResponse {
    SettleResponse::from_header(answer.header("payment-response").unwrap()).unwrap()
}

#[tokio::test]
async fn a_402_offers_chains_beside_credits() {
    let shop = Shop::open().await;
    let answer = get(shop.gate.address, "/paid/x", "Origin: https://reader.example\r\n").await;
    let required = PaymentRequired::from_header(answer.header("payment-required").unwrap()).unwrap();
    assert_eq!((required.resource.url.as_str(), required.accepts.len()), (PAGE, 2));
    assert_eq!(required.accepts[0].amount.amount(), Some(10_000_u64.into()));
    assert_eq!(answer.all("x-cashu").len(), 2);
    let challenges = mpp::Challenge::parse_all(&answer.all("www-authenticate"));
    let methods: Vec<_> = challenges.iter().map(|challenge| challenge.method.as_str()).collect();
    assert_eq!(methods, ["credit", "evm"]);
    let request = evm::Request::of(&challenges[1]).unwrap();
    assert_eq!((request.method_details.chain_id, request.method_details.decimals), (84_532, Some(6)));
    let problem = answer.problem();
    assert_eq!(problem.extra["accepts"][0]["network"], "base-sepolia", "for clients of version 1");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert!(answer.head.len() < 8 * 1024, "{} bytes of headers", answer.head.len());
}

#[tokio::test]
async fn a_payment_is_settled_before_it_is_delivered() {
    let shop = Shop::open().await;
    let payment = shop.payment(1).await;
    let answer = shop.pay(&payment).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!((shop.bank.taken(), shop.chain.settled.load(Ordering::SeqCst)), (10_000, 1));
    let settled = response(&answer);
    assert!(settled.success && settled.transaction == format!("0x{}", shop.call(&payment)));
    assert_eq!(settled.payer.as_deref(), Some("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"));
    assert_eq!(answer.receipt().dialect, "x402");
    assert!(!answer.body.to_ascii_lowercase().contains("payment-signature"), "the upstream sees no money");
    assert!(answer.header("farthing-pass").is_some(), "to come back with");
}

/// An authorization that is on a chain is public: whoever reads it there must not be served for it.
#[tokio::test]
async fn what_was_delivered_opens_nothing_any_more() {
    let shop = Shop::open().await;
    let payment = shop.payment(1).await;
    assert_eq!(shop.pay(&payment).await.status, 200);
    for _ in 0..2 {
        let again = shop.pay(&payment).await;
        assert_eq!((again.status, again.code().as_str()), (402, "payment-used"), "{again:?}");
    }
    let elsewhere = shop.pay_for("/paid/y", &Payload { resource: None, ..payment.clone() }).await;
    assert_eq!(elsewhere.code(), "payment-elsewhere");
    assert_eq!((shop.bank.taken(), shop.chain.settled.load(Ordering::SeqCst)), (10_000, 1));
}

#[tokio::test]
async fn a_payment_for_another_resource_is_refused() {
    let shop = Shop::open().await;
    let payment = shop.payment(1).await;
    let elsewhere = shop.pay_for("/paid/y", &payment).await;
    assert_eq!((elsewhere.status, elsewhere.code().as_str()), (402, "resource-elsewhere"));
    assert_eq!(shop.chain.verified.load(Ordering::SeqCst), 0);
    assert_eq!(shop.pay(&payment).await.status, 200, "it is good where it belongs");
}

#[tokio::test]
async fn only_what_was_offered_is_taken() {
    let shop = Shop::open().await;
    let mut payment = shop.payment(1).await;
    payment.accepted.amount = 9_999_u64.into();
    let answer = shop.pay(&payment).await;
    assert_eq!((answer.status, answer.code().as_str()), (402, "offer-unknown"));
    assert!(answer.header("payment-required").is_some(), "with what would be taken");
}

#[tokio::test]
async fn what_would_not_settle_is_refused_in_the_words_of_x402() {
    let shop = Shop::open().await;
    let refuse = |reason| ChainRefusal::Invalid { reason, message: "no".into() };
    for (refusal, status, code) in [
        (refuse(Reason::InsufficientBalance), 402, "chain-payment-invalid"),
        (refuse(Reason::Permit2AllowanceRequired), 412, "chain-payment-invalid"),
        (ChainRefusal::Unreachable("it is down".into()), 503, "chain-unreachable"),
    ] {
        *shop.chain.refusal.lock().unwrap() = Some(refusal.clone());
        let answer = shop.pay(&shop.payment(1).await).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{answer:?}");
        if let ChainRefusal::Invalid { reason, .. } = refusal {
            let required = answer.header("payment-required").unwrap();
            let error = PaymentRequired::from_header(required).unwrap().error;
            assert_eq!(error.as_deref(), Some(reason.as_str()));
        }
    }
    *shop.chain.refusal.lock().unwrap() = None;
    assert_eq!(shop.pay(&shop.payment(1).await).await.status, 200, "nothing was taken before");
}

#[tokio::test]
async fn what_the_chain_refuses_is_not_delivered() {
    let shop = Shop::open().await;
    let payment = shop.payment(1).await;
    shop.chain.then(Fate::Fails(Reason::TransactionFailed));
    let answer = shop.pay(&payment).await;
    assert_eq!((answer.status, answer.code().as_str()), (402, "not-settled"), "{answer:?}");
    assert!(!answer.body.contains("GET /paid/x"), "the page stays here");
    let failed = response(&answer);
    assert_eq!(
        (failed.success, failed.error_reason.as_deref()),
        (false, Some(Reason::TransactionFailed.as_str()))
    );
    assert_eq!(shop.bank.taken(), 0);
}

/// A time-out of the settlement that is answered with a fresh 402 makes honest clients pay twice.
#[tokio::test]
async fn an_unknown_outcome_is_joined_by_a_retry() {
    let shop = Shop::open().await;
    let payment = shop.payment(1).await;
    shop.chain.then(Fate::Silent);
    shop.chain.then(Fate::Silent);
    for _ in 0..2 {
        let answer = shop.pay(&payment).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "payment-settling"), "{answer:?}");
        assert!(answer.header("retry-after").is_some() && answer.header("payment-required").is_none());
        assert_eq!(response(&answer).error_reason.as_deref(), Some("settlement_pending"));
    }
    let answer = shop.pay(&payment).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains("GET /paid/x") && response(&answer).success);
    assert_eq!(shop.pay(&payment).await.code(), "payment-used");
    assert_eq!((shop.bank.taken(), shop.chain.settled.load(Ordering::SeqCst)), (10_000, 1));
    assert_eq!(shop.chain.verified.load(Ordering::SeqCst), 1, "what is under way is not judged again");
}

#[tokio::test]
async fn an_outcome_that_came_late_is_delivered_once() {
    let shop = Shop::open().await;
    let payment = shop.payment(1).await;
    shop.chain.then(Fate::Silent);
    assert_eq!(shop.pay(&payment).await.status, 503);
    // Nobody waits any more when the chain has it.
    shop.chain.end(shop.call(&payment), Fate::Settles);
    assert_eq!(shop.pay(&payment).await.status, 200);
    assert_eq!(shop.pay(&payment).await.code(), "payment-used");
    assert_eq!(shop.bank.taken(), 10_000);
}

/// A payment that was on its way while the operator changed the price was answered with a fresh 402: paid, and refused.
#[tokio::test]
async fn what_was_paid_is_found_after_its_price_has_changed() {
    let bank = Bank::new();
    let chain = TestChain::new(&bank);
    let (prices, read) = watch::channel(Arc::new(rules()));
    let mut config = bank.config(rules());
    (config.rules, config.chains) = (read, Some(Arc::clone(&chain) as Arc<dyn Chains>));
    let upstream = support::mirror().await;
    let proxy = Proxy::new(ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap()));
    let gate = start_service(Limits::default(), Gate::new(config, proxy.unwrap())).await;
    let shop = Shop { bank, chain, gate, _upstream: upstream };
    let (payment, other) = (shop.payment(1).await, shop.payment(2).await);
    shop.chain.then(Fate::Silent);
    assert_eq!(shop.pay(&payment).await.status, 503);
    let dearer = Price::Paid { amount: usd().money(Amount::new(20_000)) };
    prices.send_replace(Arc::new(Rules::new(vec![Rule::new("/paid/**", dearer).unwrap()]).unwrap()));
    assert_eq!(shop.pay(&other).await.code(), "offer-unknown", "what is new pays the price of the moment");
    let answer = shop.pay(&payment).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(shop.pay(&payment).await.code(), "payment-used");
    assert_eq!((shop.bank.taken(), shop.chain.settled.load(Ordering::SeqCst)), (10_000, 1));
}

#[tokio::test]
async fn nothing_is_settled_for_what_the_upstream_did_not_do() {
    let upstream = start(Limits::default(), async |_| {
        let mut response = Response::new(Body::from("broken"));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    });
    let shop = Shop::before(upstream.await).await;
    let payment = shop.payment(1).await;
    for _ in 0..2 {
        assert_eq!(shop.pay(&payment).await.status, 502);
        assert_eq!((shop.bank.taken(), shop.chain.settled.load(Ordering::SeqCst)), (0, 0));
    }
}

/// What was settled before the upstream was asked is asked for until it was delivered.
#[tokio::test]
async fn settled_first_is_served_until_it_was() {
    let failures = Arc::new(AtomicUsize::new(2));
    let left = Arc::clone(&failures);
    let upstream = start(Limits::default(), move |_| {
        let failing = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        async move {
            let mut response = Response::new(Body::from("the page"));
            match failing {
                Ok(2) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
                Ok(_) => *response.status_mut() = StatusCode::NOT_FOUND,
                Err(_) => {}
            }
            response
        }
    });
    let shop = Shop::before(upstream.await).await;
    let asked = get(shop.gate.address, "/first/x", "").await;
    let required = PaymentRequired::from_header(asked.header("payment-required").unwrap()).unwrap();
    assert_eq!(required.accepts[0].extra.flow(), Some(PaymentFlow::Upfront));
    let payment = payload(&required.accepts[0], "http://shop.example/first/x", 1);
    for status in [502, 404] {
        assert_eq!(shop.pay_for("/first/x", &payment).await.status, status);
        assert_eq!(shop.bank.taken(), 10_000, "settled before");
    }
    let answer = shop.pay_for("/first/x", &payment).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "the page"), "{answer:?}");
    assert!(response(&answer).success);
    assert_eq!(shop.pay_for("/first/x", &payment).await.code(), "payment-used");
    assert_eq!((shop.bank.taken(), shop.chain.settled.load(Ordering::SeqCst)), (10_000, 1));
    // What the chain refuses never reaches the upstream.
    shop.chain.then(Fate::Fails(Reason::TransactionFailed));
    let refused = payload(&required.accepts[0], "http://shop.example/first/x", 2);
    assert_eq!(shop.pay_for("/first/x", &refused).await.code(), "not-settled");
}

/// A tunnel is a delivery: an upgrade that was paid for opened as many connections as anybody liked.
#[tokio::test]
async fn a_tunnel_is_delivered_once() {
    let upstream = start(Limits::default(), async |_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert("upgrade", HeaderValue::from_static("x"));
        response.headers_mut().insert("connection", HeaderValue::from_static("upgrade"));
        response
    });
    let shop = Shop::before(upstream.await).await;
    for (path, nonce) in [("/first/x", 1), ("/paid/x", 2)] {
        let asked = get(shop.gate.address, path, "").await;
        let required = PaymentRequired::from_header(asked.header("payment-required").unwrap()).unwrap();
        let payment = payload(&required.accepts[0], &required.resource.url, nonce);
        let field = format!(
            "Connection: upgrade\r\nUpgrade: x\r\nPAYMENT-SIGNATURE: {}\r\n",
            payment.to_header().unwrap()
        );
        let first = get(shop.gate.address, path, &field).await;
        assert_ne!(first.status, 402, "{path}: {first:?}");
        let again = get(shop.gate.address, path, &field).await;
        assert_eq!((again.status, again.code().as_str()), (402, "payment-used"), "{path}: {again:?}");
    }
}

/// Served for money that the chain took back for good, if the payer had lost the answer before.
#[tokio::test]
async fn what_was_taken_back_for_good_opens_nothing() {
    let shop = Shop::open().await;
    let payment = shop.payment(1).await;
    shop.chain.then(Fate::Silent);
    assert_eq!(shop.pay(&payment).await.status, 503);
    let call = shop.call(&payment);
    shop.chain.end(call, Fate::Settles);
    shop.chain.reopen(call);
    shop.chain.end(call, Fate::Fails(Reason::TransactionFailed));
    let answer = shop.pay(&payment).await;
    assert_eq!((answer.status, answer.code().as_str()), (402, "not-settled"), "{answer:?}");
}

/// What is signed stands on the chain for everybody; the challenge that it answers does not.
#[tokio::test]
async fn what_answered_a_challenge_is_joined_with_the_challenge_alone() {
    let shop = Shop::open().await;
    let asked = get(shop.gate.address, "/paid/x", "").await;
    let challenges = mpp::Challenge::parse_all(&asked.all("www-authenticate"));
    let challenge = challenges.into_iter().find(evm::is_evm_charge).unwrap();
    let mut payment = shop.payment(1).await;
    let SchemePayload::Eip3009(signed) = &mut payment.payload else { panic!("an authorization") };
    signed.authorization.nonce = HexText(*keccak256(&evm::nonce_source(&challenge)).as_bytes());
    let credential = mpp::Credential {
        challenge: challenge.clone(),
        source: None,
        payload: evm::payload_to_json(signed).unwrap(),
    };
    let field = format!("Authorization: {}\r\n", credential.encode().unwrap());
    shop.chain.then(Fate::Silent);
    assert_eq!(get(shop.gate.address, "/paid/x", &field).await.status, 503);
    assert_eq!(shop.pay(&payment).await.code(), "payment-elsewhere");
    assert_eq!(get(shop.gate.address, "/paid/x", &field).await.status, 200);
}

#[tokio::test]
async fn less_than_the_ceiling_is_charged_where_the_upstream_says_so() {
    for (cost, taken) in [
        ("0.004", 4_000),
        ("0.004 USD", 4_000),
        ("0.01", 10_000),
        ("0", 0),
        ("0.02", 10_000),
        ("-1", 10_000),
        ("a lot", 10_000),
        ("", 10_000),
    ] {
        let upstream = start(Limits::default(), move |_| async move {
            let mut response = Response::new(Body::from("metered"));
            response.headers_mut().insert("farthing-cost", HeaderValue::from_static(cost));
            response
        });
        let shop = Shop::before(upstream.await).await;
        let offers = shop.required().await.accepts;
        let answer = shop.pay(&payload(&offers[1], PAGE, 1)).await;
        assert_eq!((answer.status, shop.bank.taken()), (200, taken), "{cost}: {answer:?}");
        assert!(answer.header("farthing-cost").is_none(), "it is between us and the upstream");
        assert_eq!(answer.receipt().amount.value(), taken);
        assert_eq!(shop.chain.settled.load(Ordering::SeqCst), usize::from(taken > 0), "{cost}");
        // Whoever signed for an exact amount pays it.
        assert_eq!(shop.pay(&payload(&offers[0], PAGE, 2)).await.status, 200);
        assert_eq!(shop.bank.taken(), taken + 10_000);
    }
}

#[tokio::test]
async fn sixteen_at_once_are_one_payment() {
    let shop = Arc::new(Shop::open().await);
    let payment = Arc::new(shop.payment(1).await);
    let all = (0..16).map(|_| {
        let (shop, payment) = (Arc::clone(&shop), Arc::clone(&payment));
        tokio::spawn(async move { shop.pay(&payment).await })
    });
    let mut delivered = 0;
    for answer in all.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        match answer.status {
            200 => delivered += 1,
            402 => assert_eq!(answer.code(), "payment-used"),
            409 => assert_eq!(answer.code(), "payment-under-way"),
            _ => panic!("{answer:?}"),
        }
    }
    assert_eq!((delivered, shop.bank.taken(), shop.chain.settled.load(Ordering::SeqCst)), (1, 10_000, 1));
}

/// Went wrong: while one of two requests with the same payment was looked at, the other settled it. The chain then said that
/// the authorization was used, and the answer was a fresh 402, which makes an honest client pay twice.
#[tokio::test]
async fn what_was_settled_while_it_was_looked_at_is_joined() {
    let shop = Arc::new(Shop::open().await);
    let payment = Arc::new(shop.payment(1).await);
    let ((asking, asked), (refuse, refusal)) = (oneshot::channel(), oneshot::channel());
    *shop.chain.slow.lock().unwrap() = Some((asking, refusal));
    let slow = {
        let (shop, payment) = (Arc::clone(&shop), Arc::clone(&payment));
        tokio::spawn(async move { shop.pay(&payment).await })
    };
    asked.await.unwrap();
    assert_eq!(shop.pay(&payment).await.status, 200);
    let (reason, message) = (Reason::NonceAlreadyUsed, "used".into());
    refuse.send(ChainRefusal::Invalid { reason, message }).unwrap();
    assert_eq!(slow.await.unwrap().code(), "payment-used");
    assert_eq!((shop.bank.taken(), shop.chain.settled.load(Ordering::SeqCst)), (10_000, 1));
}

#[tokio::test]
async fn the_same_authorization_otherwise_signed_is_another_request() {
    let shop = Shop::open().await;
    let payment = shop.payment(1).await;
    shop.chain.then(Fate::Silent);
    assert_eq!(shop.pay(&payment).await.status, 503);
    let mut forged = payment.clone();
    let SchemePayload::Eip3009(signed) = &mut forged.payload else { panic!("an authorization") };
    signed.signature = farthing_wire::x402::SignatureText::new(vec![9; 65]).unwrap();
    assert_eq!(shop.pay(&forged).await.code(), "payment-elsewhere", "whoever saw the nonce gets nothing");
}

#[tokio::test]
async fn clients_of_version_1_pay_as_well() {
    let shop = Shop::open().await;
    let SchemePayload::Eip3009(signed) = shop.payment(1).await.payload else { panic!("an authorization") };
    let payment = PayloadV1 { scheme: "exact".into(), network: "base-sepolia".into(), payload: signed };
    let field = format!("X-PAYMENT: {}\r\n", payment.to_header().unwrap());
    let answer = get(shop.gate.address, "/paid/x", &field).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(SettleResponse::from_header(answer.header("x-payment-response").unwrap()).unwrap().success);
    assert_eq!(shop.bank.taken(), 10_000);
}

#[tokio::test]
async fn a_challenge_of_the_method_evm_is_paid() {
    let shop = Shop::open().await;
    let asked = get(shop.gate.address, "/paid/x", "").await;
    let challenges = mpp::Challenge::parse_all(&asked.all("www-authenticate"));
    let challenge = challenges.into_iter().find(evm::is_evm_charge).unwrap();
    let SchemePayload::Eip3009(mut signed) = shop.payment(1).await.payload else {
        panic!("an authorization")
    };
    let credential = |signed: &Eip3009| {
        let payload = evm::payload_to_json(signed).unwrap();
        let credential = mpp::Credential { challenge: challenge.clone(), source: None, payload };
        format!("Authorization: {}\r\n", credential.encode().unwrap())
    };
    let unbound = get(shop.gate.address, "/paid/x", &credential(&signed)).await;
    assert_eq!((unbound.status, unbound.code().as_str()), (402, "challenge-elsewhere"), "{unbound:?}");
    signed.authorization.nonce = HexText(*keccak256(&evm::nonce_source(&challenge)).as_bytes());
    let answer = get(shop.gate.address, "/paid/x", &credential(&signed)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let receipt = mpp::Receipt::decode(answer.header("payment-receipt").unwrap()).unwrap();
    let payment = payload_of(&shop, &signed).await;
    assert_eq!((receipt.method.as_str(), receipt.reference), ("evm", format!("0x{}", shop.call(&payment))));
    assert_eq!(get(shop.gate.address, "/paid/y", &credential(&signed)).await.code(), "challenge-elsewhere");
    assert_eq!(shop.bank.taken(), 10_000);
}

#[tokio::test]
async fn without_chains_nothing_is_offered_and_nothing_taken() {
    let shop = Shop::open().await;
    let payment = shop.payment(1).await;
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = support::pay::gate(&bank, upstream.address).await;
    let field = format!("PAYMENT-SIGNATURE: {}\r\n", payment.to_header().unwrap());
    let answer = get(gate.address, "/paid/x", &field).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "credential-method-unsupported"));
    assert!(answer.header("payment-required").is_none());
}

/// Went wrong: a writer without time for the note that something was delivered made the gate forget it, and the same payment,
/// which is public by then, was served again as often as that happened.
#[tokio::test]
async fn what_was_delivered_is_remembered_until_it_is_written_down() {
    let slot: Arc<std::sync::OnceLock<Arc<Bank>>> = Arc::default();
    let seen = Arc::clone(&slot);
    let upstream = start(Limits::default(), move |_| {
        if let Some(bank) = seen.get() {
            bank.busy.store(1, Ordering::SeqCst);
        }
        async move { Response::new(Body::from("the page")) }
    });
    let shop = Shop::before(upstream.await).await;
    let asked = get(shop.gate.address, "/first/x", "").await;
    let required = PaymentRequired::from_header(asked.header("payment-required").unwrap()).unwrap();
    let payment = payload(&required.accepts[0], "http://shop.example/first/x", 1);
    slot.set(Arc::clone(&shop.bank)).ok().unwrap();
    assert_eq!(shop.pay_for("/first/x", &payment).await.status, 200);
    loop {
        let again = shop.pay_for("/first/x", &payment).await;
        match again.status {
            409 => tokio::task::yield_now().await,
            status => break assert_eq!((status, again.code()), (402, "payment-used".into()), "{again:?}"),
        }
    }
    assert_eq!(shop.bank.taken(), 10_000);
}
