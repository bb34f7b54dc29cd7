//! Payments through an escrow: the money is there before the upstream is asked, and goes to the shop or back, once, whatever
//! breaks between.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::support::bank::Bank;
use crate::support::chain::{Fate, TestChain, payload_of_escrow};
use crate::support::pay::{Answer, cashu, cent, get};
use crate::support::site::Site;
use crate::support::{Server, start_service};
use farthing_engine::{CallId, Outcome, PaymentId, PaymentState};
use farthing_gate::chain::Chains;
use farthing_gate::serve::Limits;
use farthing_gate::{Gate, Proxy, ProxyConfig, Rule, Rules};
use farthing_wire::mpp;
use farthing_wire::x402::{
    Payload, PaymentFlow, PaymentRequired, Reason, Requirements, SettleResponse, Uint,
};
use http::StatusCode;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const PAGE: &str = "http://shop.example/escrow/x";

struct Shop {
    bank: Arc<Bank>,
    chain: Arc<TestChain>,
    site: Site,
    gate: Server,
    _upstream: Server,
}

impl Shop {
    async fn open(site: Site) -> Self {
        let bank = Bank::new();
        let chain = TestChain::new(&bank);
        Self::of(bank, chain, site).await
    }

    /// The same books and the same chain behind a gate that remembers nothing, as after a crash.
    async fn again(&self, site: Site) -> Self {
        Self::of(Arc::clone(&self.bank), Arc::clone(&self.chain), site).await
    }

    async fn of(bank: Arc<Bank>, chain: Arc<TestChain>, site: Site) -> Self {
        let upstream = site.open().await;
        let rule = Rule::new("/escrow/**", cent()).unwrap().settled(PaymentFlow::Escrow);
        let mut config = bank.config(Rules::new(vec![rule]).unwrap());
        config.chains = Some(Arc::clone(&chain) as Arc<dyn Chains>);
        let proxy = Proxy::new(ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap()));
        let gate = start_service(Limits::default(), Gate::new(config, proxy.unwrap())).await;
        Self { bank, chain, site, gate, _upstream: upstream }
    }

    async fn payment(&self, nonce: u8) -> Payload {
        let answer = get(self.gate.address, "/escrow/x", "").await;
        let required = PaymentRequired::from_header(answer.header("payment-required").unwrap()).unwrap();
        payload_of_escrow(&required.accepts[0], PAGE, nonce)
    }

    async fn pay(&self, payment: &Payload) -> Answer {
        get(self.gate.address, "/escrow/x", &field(payment)).await
    }

    /// The same for as long as another request is at it.
    async fn insist(&self, payment: &Payload) -> Answer {
        loop {
            let answer = self.pay(payment).await;
            if answer.status != 409 {
                return answer;
            }
        }
    }

    fn id(&self, payment: &Payload) -> PaymentId {
        self.chain.payment(&payment.accepted, payment).unwrap()
    }

    fn state(&self, payment: &Payload) -> Option<PaymentState> {
        self.bank.payment(self.id(payment)).map(|row| row.state)
    }

    /// How it stands with what puts a payment there, pays it out and gives it back.
    fn calls(&self, payment: &Payload) -> [&'static str; 3] {
        let id = self.id(payment);
        [CallId::of_authorize(id), CallId::of_payment(id), CallId::of_void(id)].map(|call| {
            match self.bank.settlement(call).map(|ended| ended.outcome) {
                _ if self.bank.call(call).is_some() => "under way",
                None => "never",
                Some(Outcome::Settled { .. }) => "settled",
                Some(Outcome::Failed { .. }) => "failed",
            }
        })
    }
}

fn field(payment: &Payload) -> String {
    format!("PAYMENT-SIGNATURE: {}\r\n", payment.to_header().unwrap())
}

fn response(answer: &Answer) -> SettleResponse {
    SettleResponse::from_header(answer.header("payment-response").unwrap()).unwrap()
}

#[tokio::test]
async fn what_is_served_is_captured_before_it_goes_out() {
    let shop = Shop::open(Site::new()).await;
    let asked = get(shop.gate.address, "/escrow/x", "").await;
    let required = PaymentRequired::from_header(asked.header("payment-required").unwrap()).unwrap();
    assert_eq!(required.accepts.len(), 1, "nothing that would settle otherwise");
    assert_eq!(required.accepts[0].extra.flow(), Some(PaymentFlow::Escrow));
    let challenges = mpp::Challenge::parse_all(&asked.all("www-authenticate"));
    let methods: Vec<_> = challenges.iter().map(|challenge| challenge.method.as_str()).collect();
    assert_eq!(methods, ["credit"], "MPP knows no escrow");
    let payment = shop.payment(1).await;
    // The payer has thought about it for a while: his copy brings its own deadlines.
    shop.bank.wait_secs(30);
    let answer = shop.pay(&payment).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "the page"), "{answer:?}");
    let capture = CallId::of_payment(shop.id(&payment));
    assert_eq!(response(&answer).transaction, format!("0x{capture}"));
    assert_eq!((answer.receipt().dialect.as_str(), answer.receipt().amount.value()), ("x402", 10_000));
    assert_eq!((shop.calls(&payment), shop.bank.taken()), (["settled", "settled", "never"], 10_000));
    assert_eq!(shop.insist(&payment).await.code(), "payment-used");
    assert_eq!(shop.site.asked(), 1);
    // Whoever has credits pays with them.
    let answer = get(shop.gate.address, "/escrow/x", &cashu(&shop.bank.token(&[16_384]))).await;
    assert_eq!((answer.status, shop.bank.taken()), (200, 20_000), "{answer:?}");
}

#[tokio::test]
async fn what_the_upstream_did_not_do_goes_back() {
    for (status, answered) in [(500, 502), (404, 404)] {
        let status = StatusCode::from_u16(status).unwrap();
        let shop = Shop::open(Site::new()).await;
        shop.site.answers(status);
        let payment = shop.payment(1).await;
        let answer = shop.pay(&payment).await;
        assert_eq!(answer.status, answered, "{answer:?}");
        assert_eq!(
            answer.body == "the page",
            answered == 404,
            "its own answer, if it is the client's mistake"
        );
        let stands = (shop.calls(&payment), shop.state(&payment), shop.bank.taken());
        assert_eq!(stands, (["settled", "never", "under way"], None, 0));
        for fate in [Fate::Silent, Fate::Settles] {
            shop.chain.end(CallId::of_void(shop.id(&payment)), fate);
            let again = shop.pay(&payment).await;
            assert_eq!((again.status, again.code().as_str()), (402, "escrow-over"), "{again:?}");
        }
        assert_eq!((shop.site.asked(), shop.state(&payment), shop.bank.taken()), (1, None, 0));
    }
}

#[tokio::test]
async fn nobody_is_asked_for_what_is_not_there() {
    let shop = Shop::open(Site::new()).await;
    let payment = shop.payment(1).await;
    shop.chain.then(Fate::Silent);
    let answer = shop.pay(&payment).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "payment-settling"), "{answer:?}");
    assert!(answer.header("payment-required").is_none(), "nothing that makes a client pay twice");
    assert_eq!((shop.state(&payment), shop.site.asked()), (Some(PaymentState::Authorizing), 0));
    shop.chain.then(Fate::Fails(Reason::TransactionFailed));
    let answer = shop.pay(&payment).await;
    assert_eq!((answer.status, answer.code().as_str()), (402, "not-settled"), "{answer:?}");
    assert_eq!((shop.calls(&payment), shop.state(&payment)), (["failed", "never", "never"], None));
    assert_eq!((shop.site.asked(), shop.bank.taken()), (0, 0));
    // It has moved nothing, so it is as good as before.
    assert_eq!(shop.pay(&payment).await.status, 200);
    assert_eq!((shop.site.asked(), shop.bank.taken()), (1, 10_000));
}

#[tokio::test]
async fn what_cannot_be_captured_is_not_delivered_and_goes_back() {
    let shop = Shop::open(Site::new()).await;
    let payment = shop.payment(1).await;
    shop.chain.then(Fate::Settles);
    shop.chain.then(Fate::Fails(Reason::EscrowCaptureDeadlineExpired));
    let answer = shop.pay(&payment).await;
    assert_eq!((answer.status, answer.code().as_str()), (402, "not-settled"), "{answer:?}");
    assert!(!answer.body.contains("the page"), "the page stays here");
    let stands = (shop.calls(&payment), shop.state(&payment), shop.bank.taken());
    assert_eq!(stands, (["settled", "failed", "under way"], None, 0));
}

#[tokio::test]
async fn a_capture_that_comes_late_is_joined() {
    let shop = Shop::open(Site::new()).await;
    let payment = shop.payment(1).await;
    for fate in [Fate::Settles, Fate::Silent, Fate::Silent] {
        shop.chain.then(fate);
    }
    for _ in 0..2 {
        let answer = shop.pay(&payment).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "payment-settling"), "{answer:?}");
        assert_eq!(shop.state(&payment), Some(PaymentState::Settling));
    }
    assert_eq!(shop.pay(&payment).await.status, 200);
    assert_eq!(shop.insist(&payment).await.code(), "payment-used");
    assert_eq!((shop.calls(&payment), shop.bank.taken()), (["settled", "settled", "never"], 10_000));
}

/// The gate is gone while the upstream works; the money lies there. Many ask the next one at once.
#[tokio::test]
async fn after_a_crash_one_of_many_retries_goes_on() {
    let first = Arc::new(Shop::open(Site::waiting()).await);
    let payment = Arc::new(first.payment(1).await);
    let lost = {
        let (first, payment) = (Arc::clone(&first), Arc::clone(&payment));
        tokio::spawn(async move { first.pay(&payment).await })
    };
    first.site.arrived.acquire().await.unwrap().forget();
    assert_eq!(first.state(&payment), Some(PaymentState::Escrowed));
    let next = Arc::new(first.again(Site::new()).await);
    let all = (0..16).map(|_| {
        let (next, payment) = (Arc::clone(&next), Arc::clone(&payment));
        tokio::spawn(async move { next.pay(&payment).await })
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
    assert_eq!((delivered, next.site.asked(), next.bank.taken()), (1, 1, 10_000));
    assert_eq!(next.calls(&payment), ["settled", "settled", "never"]);
    assert_eq!(next.chain.settled.load(Ordering::SeqCst), 2, "put there once, captured once");
    lost.abort();
}

#[tokio::test]
async fn what_was_not_used_goes_back() {
    let priced = (10_000, "never");
    for (cost, (taken, back)) in [
        ("0.004", (4_000, "under way")),
        ("0.004 USD", (4_000, "under way")),
        ("0", (0, "under way")),
        ("0.01", priced),
        ("0.02", priced),
        ("-1", priced),
        ("a lot", priced),
        ("", priced),
        // The token cannot show it.
        ("0.004001", priced),
    ] {
        let shop = Shop::open(Site::new()).await;
        shop.site.costs(cost);
        shop.chain.grain.store(10, Ordering::SeqCst);
        let payment = shop.payment(1).await;
        let answer = shop.pay(&payment).await;
        assert_eq!((answer.status, shop.bank.taken()), (200, taken), "{cost}: {answer:?}");
        assert!(answer.header("farthing-cost").is_none(), "it is between us and the upstream");
        assert_eq!(answer.receipt().amount.value(), taken, "{cost}");
        let paid = if taken == 0 { "never" } else { "settled" };
        assert_eq!(shop.calls(&payment), ["settled", paid, back], "{cost}");
        assert_eq!(shop.state(&payment), Some(PaymentState::Posted));
        assert_eq!(shop.insist(&payment).await.code(), "payment-used");
    }
}

#[tokio::test]
async fn whoever_leaves_in_the_middle_has_paid_and_comes_back_for_the_page() {
    let shop = Shop::open(Site::waiting()).await;
    let payment = shop.payment(1).await;
    let request = format!("GET /escrow/x HTTP/1.1\r\nHost: shop.example\r\n{}\r\n", field(&payment));
    let mut stream = TcpStream::connect(shop.gate.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    shop.site.arrived.acquire().await.unwrap().forget();
    let beside = shop.pay(&payment).await;
    assert_eq!((beside.status, beside.code().as_str()), (409, "payment-under-way"));
    drop(stream);
    shop.site.go.add_permits(10);
    let again = shop.insist(&payment).await;
    assert_eq!((again.status, again.body.as_str()), (200, "the page"), "{again:?}");
    assert_eq!(shop.insist(&payment).await.code(), "payment-used");
    assert_eq!((shop.site.asked(), shop.bank.taken()), (2, 10_000), "asked twice, charged once");
    assert_eq!(shop.calls(&payment), ["settled", "settled", "never"]);
}

/// Went wrong: the copy of the offer that came with the second request was taken for what had been agreed. The same signed
/// payment with a cheaper copy bought the page for less, and with another deadline its money could not be taken out.
#[tokio::test]
async fn what_comes_again_on_other_terms_changes_nothing() {
    let shop = Shop::open(Site::new()).await;
    let payment = shop.payment(1).await;
    let extra = &payment.accepted.extra;
    let deadline = extra.escrow_terms().unwrap().capture_deadline;
    let later = extra.clone().with("captureDeadline", serde_json::json!(deadline + 1));
    let cheaper = Requirements { amount: Uint::from(1_u64), ..payment.accepted.clone() };
    let longer = Requirements { extra: later, ..payment.accepted.clone() };
    let lies = [cheaper, longer].map(|accepted| Payload { accepted, ..payment.clone() });
    shop.chain.then(Fate::Silent);
    assert_eq!(shop.pay(&payment).await.status, 503);
    for state in [PaymentState::Authorizing, PaymentState::Escrowed] {
        let calls = shop.calls(&payment);
        for lie in &lies {
            let answer = shop.pay(lie).await;
            assert_eq!((answer.status, answer.code().as_str()), (402, "payment-terms-changed"), "{answer:?}");
            assert_eq!((shop.calls(&payment), shop.state(&payment)), (calls, Some(state)));
        }
        shop.chain.end(CallId::of_authorize(shop.id(&payment)), Fate::Settles);
    }
    assert_eq!((shop.site.asked(), shop.bank.taken()), (0, 0));
    assert_eq!(shop.pay(&payment).await.status, 200);
    assert_eq!((shop.calls(&payment), shop.bank.taken()), (["settled", "settled", "never"], 10_000));
    let captured = shop.bank.settlement(CallId::of_payment(shop.id(&payment))).unwrap().row.call.moves.units;
    assert_eq!(captured.value(), 10_000);
}
