//! The extensions of x402 at the gate: names of payments, coming back by signing in, signed offers and receipts, and that all
//! of them together leave a 402 small enough for any proxy.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::support;
use crate::support::bank::{Bank, signing_key};
use crate::support::chain::{Fate, TestChain, payload};
use crate::support::pay::{Answer, get, rules, send, signed};
use crate::support::{Server, start_service};
use farthing_channel::SigningKey;
use farthing_engine::CallId;
use farthing_gate::chain::Chains;
use farthing_gate::chain::statement;
use farthing_gate::flow::{Demand, Extensions};
use farthing_gate::serve::Limits;
use farthing_gate::{Gate, Proxy, ProxyConfig};
use farthing_wire::x402::extension::offer_receipt::{self, OfferClaim, ReceiptClaim, Signed};
use farthing_wire::x402::extension::sign_in::{self, SignIn};
use farthing_wire::x402::extension::{gas_sponsoring, payment_identifier};
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::v1::PayloadV1;
use farthing_wire::x402::{
    Extra, Payload, PaymentRequired, Reason, Requirements, SchemePayload, SettleResponse,
};

const PAGE: &str = "http://shop.example/paid/x";
const ID: &str = "pay_7d5d747be160e280";

struct Shop {
    bank: Arc<Bank>,
    chain: Arc<TestChain>,
    gate: Server,
    _upstream: Server,
}

impl Shop {
    async fn open() -> Self {
        Self::with(Extensions { offer_receipt: true, ..Extensions::default() }).await
    }

    async fn with(extensions: Extensions) -> Self {
        let bank = Bank::new();
        let chain = TestChain::new(&bank);
        Self::of(bank, chain, extensions).await
    }

    async fn of(bank: Arc<Bank>, chain: Arc<TestChain>, extensions: Extensions) -> Self {
        let upstream = support::mirror().await;
        let mut config = bank.config(rules());
        config.chains = Some(Arc::clone(&chain) as Arc<dyn Chains>);
        config.offers.extensions = extensions;
        let proxy = Proxy::new(ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap()));
        let gate = start_service(Limits::default(), Gate::new(config, proxy.unwrap())).await;
        Self { bank, chain, gate, _upstream: upstream }
    }

    async fn required(&self, path: &str) -> PaymentRequired {
        required(&get(self.gate.address, path, "").await)
    }

    /// A payment for a page, by the payer of this key.
    async fn payment(&self, path: &str, nonce: u8) -> Payload {
        payload(&self.required(path).await.accepts[0], &format!("http://shop.example{path}"), nonce)
    }

    async fn named(&self, path: &str, nonce: u8, id: &str) -> Payload {
        let mut payment = self.payment(path, nonce).await;
        let info = serde_json::json!({"info": {"required": false, "id": id}});
        payment.extensions.insert(payment_identifier::NAME.into(), info);
        payment
    }

    async fn pay(&self, path: &str, payment: &Payload) -> Answer {
        get(self.gate.address, path, &format!("PAYMENT-SIGNATURE: {}\r\n", payment.to_header().unwrap()))
            .await
    }

    /// Pays from the account of a key.
    async fn paid_by(&self, path: &str, key: &SigningKey, nonce: u8) {
        let mut payment = self.payment(path, nonce).await;
        if let SchemePayload::Eip3009(signed) = &mut payment.payload {
            signed.authorization.from = HexText(*key.address().as_bytes());
        }
        let answer = self.pay(path, &payment).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    async fn sign_in(&self, path: &str, sign_in: &SignIn) -> Answer {
        get(self.gate.address, path, &format!("SIGN-IN-WITH-X: {}\r\n", sign_in.to_header().unwrap())).await
    }
}

fn required(answer: &Answer) -> PaymentRequired {
    PaymentRequired::from_header(answer.header("payment-required").unwrap()).unwrap()
}

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes([n; 32]).unwrap()
}

#[tokio::test]
async fn a_name_is_for_one_payment_at_one_place() {
    let shop = Shop::open().await;
    let first = shop.named("/paid/x", 1, ID).await;
    assert_eq!(shop.pay("/paid/x", &first).await.status, 200);
    let other = shop.named("/paid/x", 2, ID).await;
    let refused = shop.pay("/paid/x", &other).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "payment-name-taken"), "{refused:?}");
    assert!(refused.header("payment-required").is_none(), "no second payment is asked for");
    assert!(refused.header("retry-after").is_none());
    assert_eq!(shop.chain.verified.load(Ordering::SeqCst), 1, "it is found before the chain is asked");
    assert_eq!(shop.pay("/paid/x", &first).await.code(), "payment-used", "as without a name");
    let elsewhere = shop.named("/paid/y", 3, ID).await;
    assert_eq!(shop.pay("/paid/y", &elsewhere).await.status, 200, "another place, another name");
    let renamed = shop.named("/paid/x", 2, "another_name_of_it").await;
    assert_eq!(shop.pay("/paid/x", &renamed).await.status, 200);
    assert_eq!(shop.bank.taken(), 30_000);
}

#[tokio::test]
async fn a_payment_under_its_name_is_joined() {
    let shop = Shop::open().await;
    let payment = shop.named("/paid/x", 1, ID).await;
    shop.chain.then(Fate::Silent);
    assert_eq!(shop.pay("/paid/x", &payment).await.code(), "payment-settling");
    let other = shop.named("/paid/x", 2, ID).await;
    assert_eq!(shop.pay("/paid/x", &other).await.code(), "payment-name-taken");
    assert_eq!(shop.pay("/paid/x", &payment).await.status, 200);
    assert_eq!(shop.bank.taken(), 10_000);
}

#[tokio::test]
async fn what_was_not_settled_leaves_its_name() {
    let shop = Shop::open().await;
    let payment = shop.named("/paid/x", 1, ID).await;
    shop.chain.then(Fate::Fails(Reason::TransactionFailed));
    assert_eq!(shop.pay("/paid/x", &payment).await.code(), "not-settled");
    assert_eq!(shop.pay("/paid/x", &shop.named("/paid/x", 2, ID).await).await.status, 200);
}

/// Two payments that come at once with one name: the books let in one of them.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_at_once_has_the_name() {
    let shop = Shop::open().await;
    for round in 0..8_u8 {
        let id = format!("{ID}_{round}");
        let one = shop.named("/paid/x", 2 * round + 1, &id).await;
        let two = shop.named("/paid/x", 2 * round + 2, &id).await;
        let (one, two) = tokio::join!(shop.pay("/paid/x", &one), shop.pay("/paid/x", &two));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{one:?} {two:?}");
    }
    assert_eq!(shop.bank.taken(), 80_000);
}

#[tokio::test]
async fn a_name_may_be_demanded_and_has_a_form() {
    let shop = Shop::open().await;
    for bad in ["short", "with spaces in its middle", &"a".repeat(129)] {
        let refused = shop.pay("/paid/x", &shop.named("/paid/x", 1, bad).await).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "payment-name-malformed"), "{bad}");
    }
    let strict = Extensions { payment_identifier: Demand::Required, ..Extensions::default() };
    let shop = Shop::with(strict).await;
    let answer = get(shop.gate.address, "/paid/x", "").await;
    assert!(payment_identifier::is_required(&required(&answer).extensions));
    assert!(!answer.problem().extra.contains_key("accepts"), "version 1 cannot name a payment");
    let payment = shop.payment("/paid/x", 1).await;
    let SchemePayload::Eip3009(signed) = payment.payload.clone() else { panic!("an authorization") };
    let v1 = PayloadV1 { scheme: "exact".into(), network: "base-sepolia".into(), payload: signed };
    let v1 = get(shop.gate.address, "/paid/x", &format!("X-PAYMENT: {}\r\n", v1.to_header().unwrap())).await;
    for refused in [shop.pay("/paid/x", &payment).await, v1] {
        assert_eq!((refused.status, refused.code().as_str()), (400, "payment-name-missing"), "{refused:?}");
        assert!(refused.header("payment-required").is_some());
    }
    assert_eq!(shop.pay("/paid/x", &shop.named("/paid/x", 1, ID).await).await.status, 200);
    // Where nobody asks for names, none is looked at.
    let shop = Shop::with(Extensions { payment_identifier: Demand::Off, ..Extensions::default() }).await;
    assert!(!shop.required("/paid/x").await.extensions.contains_key(payment_identifier::NAME));
    assert_eq!(shop.pay("/paid/x", &shop.named("/paid/x", 1, "short").await).await.status, 200);
    assert_eq!(shop.pay("/paid/x", &shop.named("/paid/x", 2, "short").await).await.status, 200);
}

#[tokio::test]
async fn who_has_paid_comes_back_by_signing_in() {
    let shop = Shop::open().await;
    let payer = key(7);
    let unpaid = shop.sign_in("/paid/x", &signed(&shop.required("/paid/x").await, &payer)).await;
    assert_eq!((unpaid.status, unpaid.code().as_str()), (402, "sign-in-unpaid"));
    shop.paid_by("/paid/x", &payer, 1).await;
    for _ in 0..2 {
        let back = shop.sign_in("/paid/x", &signed(&shop.required("/paid/x").await, &payer)).await;
        assert_eq!(back.status, 200, "{back:?}");
        assert!(back.body.contains("farthing-payment: "), "the upstream knows the payment: {}", back.body);
        assert!(!back.body.to_ascii_lowercase().contains("sign-in-with-x"), "and no sign-in");
        assert!(back.header("cache-control").unwrap().contains("private"));
    }
    assert_eq!((shop.bank.taken(), shop.chain.settled.load(Ordering::SeqCst)), (10_000, 1));
    // The same message again, as somebody has it who listened.
    let once = signed(&shop.required("/paid/x").await, &payer);
    assert_eq!(shop.sign_in("/paid/x", &once).await.status, 200);
    let again = shop.sign_in("/paid/x", &once).await;
    assert_eq!((again.status, again.code().as_str()), (402, "sign-in-nonce"));
    assert_eq!(required(&again).error.as_deref(), Some("invalid_siwx_nonce"));
    assert_eq!(again.problem().extra["reason"], "invalid_siwx_nonce");
    // Until the pass is over.
    shop.bank.wait_secs(3_600 * 24 * 365);
    let late = shop.sign_in("/paid/x", &signed(&shop.required("/paid/x").await, &payer)).await;
    assert_eq!(late.code(), "sign-in-unpaid");
}

/// What a payer has signed is public, and so is his account: neither opens anything to others, nor elsewhere.
#[tokio::test]
async fn a_sign_in_opens_nothing_to_others_and_nothing_else() {
    let shop = Shop::open().await;
    let payer = key(7);
    shop.paid_by("/paid/x", &payer, 1).await;
    let fresh = || async { shop.required("/paid/x").await };
    let mut forged = signed(&fresh().await, &key(8));
    assert_eq!(shop.sign_in("/paid/x", &forged).await.code(), "sign-in-unpaid", "another account");
    forged.address = payer.address().to_string();
    assert_eq!(shop.sign_in("/paid/x", &forged).await.code(), "sign-in-signature", "in the payer's name");
    let good = signed(&fresh().await, &payer);
    assert_eq!(shop.sign_in("/paid/y", &good).await.code(), "sign-in-elsewhere", "another page");
    let other = signed(&shop.required("/paid/y").await, &payer);
    assert_eq!(shop.sign_in("/paid/y", &other).await.code(), "sign-in-unpaid", "which was not paid for");
    let twice = format!("SIGN-IN-WITH-X: {0}\r\nSIGN-IN-WITH-X: {0}\r\n", good.to_header().unwrap());
    assert_eq!(get(shop.gate.address, "/paid/x", &twice).await.code(), "sign-in-malformed");
    let broken = get(shop.gate.address, "/paid/x", "SIGN-IN-WITH-X: e30=\r\n").await;
    assert_eq!(broken.code(), "sign-in-malformed");
    shop.bank.wait_secs(300);
    assert_eq!(shop.sign_in("/paid/x", &good).await.code(), "sign-in-time");
    // A rule without a pass knows nobody.
    assert!(!shop.required("/once/x").await.extensions.contains_key(sign_in::NAME));
    assert_eq!(shop.sign_in("/once/x", &good).await.code(), "sign-in-not-offered");
    let posted = send(shop.gate.address, "POST", "/paid/x", "", "body").await;
    assert!(!required(&posted).extensions.contains_key(sign_in::NAME), "what changes things is paid for");
}

#[tokio::test]
async fn a_pass_for_a_rule_is_open_to_its_account_on_all_pages() {
    let shop = Shop::open().await;
    let payer = key(7);
    shop.paid_by("/all/x", &payer, 1).await;
    let back = shop.sign_in("/all/y", &signed(&shop.required("/all/y").await, &payer)).await;
    assert_eq!(back.status, 200, "{back:?}");
    // HEAD tells what GET would deliver.
    let sign_in = signed(&shop.required("/all/y").await, &payer).to_header().unwrap();
    let head = send(shop.gate.address, "HEAD", "/all/y", &format!("SIGN-IN-WITH-X: {sign_in}\r\n"), "").await;
    assert_eq!(head.status, 200);
}

#[tokio::test]
async fn what_the_chain_has_taken_back_opens_nothing() {
    let shop = Shop::open().await;
    let payer = key(7);
    let mut payment = shop.payment("/paid/x", 1).await;
    let SchemePayload::Eip3009(signed_for) = &mut payment.payload else { panic!("an authorization") };
    signed_for.authorization.from = HexText(*payer.address().as_bytes());
    shop.chain.then(Fate::Silent);
    assert_eq!(shop.pay("/paid/x", &payment).await.code(), "payment-settling");
    let come = || async { shop.sign_in("/paid/x", &signed(&shop.required("/paid/x").await, &payer)).await };
    assert_eq!(come().await.code(), "sign-in-unpaid", "nothing has moved yet");
    let call = CallId::of_payment(shop.chain.payment(&payment.accepted, &payment).unwrap());
    shop.chain.end(call, Fate::Settles);
    assert_eq!(come().await.status, 200);
    shop.chain.reopen(call);
    assert_eq!(come().await.code(), "sign-in-unpaid");
}

/// Who sends both is not kept from paying by a sign-in that is good for nothing.
#[tokio::test]
async fn a_payment_beside_a_bad_sign_in_pays() {
    let shop = Shop::open().await;
    let payment = shop.payment("/paid/x", 1).await.to_header().unwrap();
    let both = format!("SIGN-IN-WITH-X: e30=\r\nPAYMENT-SIGNATURE: {payment}\r\n");
    assert_eq!(get(shop.gate.address, "/paid/x", &both).await.status, 200);
    assert_eq!(shop.bank.taken(), 10_000);
}

#[tokio::test]
async fn without_it_nobody_is_remembered() {
    let shop = Shop::with(Extensions { sign_in: false, ..Extensions::default() }).await;
    let payment = shop.payment("/paid/x", 1).await;
    assert_eq!(shop.pay("/paid/x", &payment).await.status, 200);
    let payment = shop.chain.payment(&payment.accepted, &payment).unwrap();
    assert_eq!(shop.bank.marks(payment).access, None);
    assert!(!shop.required("/paid/x").await.extensions.contains_key(sign_in::NAME));
}

#[tokio::test]
async fn offers_and_receipts_are_signed() {
    let shop = Shop::open().await;
    let required = shop.required("/paid/x").await;
    let ours = statement::key(&signing_key());
    let offers = offer_receipt::offers(&required.extensions);
    assert_eq!(offers.len(), required.accepts.len());
    for (index, (offer, accepts)) in (0..).zip(offers.iter().zip(&required.accepts)) {
        let claim = offer.claim().unwrap();
        let until = shop.bank.time().secs() + 60;
        assert_eq!(claim, OfferClaim::of(accepts, PAGE, until));
        // The same key makes the same signature: it is ours.
        assert_eq!(*offer, Signed::jws(&claim, &ours, Some(index)).unwrap());
    }
    let payment = shop.payment("/paid/x", 1).await;
    let answer = shop.pay("/paid/x", &payment).await;
    let settled = SettleResponse::from_header(answer.header("payment-response").unwrap()).unwrap();
    let receipt = offer_receipt::read_receipt(&settled.extensions).unwrap();
    let claim = receipt.claim().unwrap();
    assert_eq!(receipt, Signed::jws(&claim, &ours, None).unwrap());
    let payer = settled.payer.clone().unwrap();
    let (network, url) = (settled.network.clone(), PAGE.to_owned());
    let expected = ReceiptClaim {
        version: 1,
        network,
        resource_url: url,
        payer,
        issued_at: claim.issued_at,
        transaction: None,
    };
    assert_eq!(claim, expected);
    let v1 = SettleResponse::from_header(answer.header("x-payment-response").unwrap()).unwrap();
    assert!(v1.extensions.is_empty());
    // By itself a gate signs nothing of this.
    let shop = Shop::with(Extensions::default()).await;
    assert!(!shop.required("/paid/x").await.extensions.contains_key(offer_receipt::NAME));
    let answer = shop.pay("/paid/x", &shop.payment("/paid/x", 1).await).await;
    let settled = SettleResponse::from_header(answer.header("payment-response").unwrap()).unwrap();
    assert!(settled.extensions.is_empty());
}

fn many(count: usize, extra: fn(usize) -> Extra) -> Vec<Requirements> {
    let chain = TestChain::new(&Bank::new());
    let one = chain.offers(support::bank::usd().money(10_000_u64.into())).remove(0);
    let of = |n: usize| Requirements {
        network: format!("eip155:{}", 8_453 + n / 3),
        extra: extra(n),
        ..one.clone()
    };
    (0..count).map(of).collect()
}

fn either(n: usize) -> Extra {
    if n.is_multiple_of(2) { Extra::eip3009("USD Coin", "2") } else { Extra::permit2("USD Coin", "2") }
}

/// A 402 that is larger than proxies let through never reaches anybody.
#[tokio::test]
async fn however_much_is_offered_a_402_stays_small() {
    let all = Extensions { payment_identifier: Demand::Required, sign_in: true, offer_receipt: true };
    let mut signed = Vec::new();
    for count in [1, 2, 4, 6, 9, 12, 30] {
        let bank = Bank::new();
        let chain = TestChain::new(&bank);
        *chain.offers.lock().unwrap() = many(count, either);
        let shop = Shop::of(bank, chain, all).await;
        for accept in ["", "Accept: text/html\r\nOrigin: https://reader.example\r\n"] {
            let answer = get(shop.gate.address, "/paid/x", accept).await;
            assert!(answer.head.len() < 8 * 1024, "{count} offers: {} bytes of headers", answer.head.len());
            let required = required(&answer);
            assert!(!required.accepts.is_empty() && required.accepts.len() <= count);
            assert!(payment_identifier::is_required(&required.extensions), "what is demanded is said");
            let permit2 = count > 1 && count < 12;
            if permit2 {
                assert_eq!(required.accepts.len(), count);
                assert!(required.extensions.contains_key(gas_sponsoring::EIP2612), "{count}");
            }
            if accept.is_empty() {
                signed.push(offer_receipt::offers(&required.extensions).len());
            }
        }
        // All of them are taken, whether or not there was room to say so.
        let last = payload(&many(count, either)[count - 1], PAGE, 1);
        let SchemePayload::Eip3009(_) = last.payload else { panic!("an authorization") };
        let mut last = last;
        last.extensions.insert(payment_identifier::NAME.into(), serde_json::json!({"info": {"id": ID}}));
        let paid = shop.pay("/paid/x", &last).await;
        assert_eq!(paid.status, 200, "{paid:?}");
    }
    assert_eq!(signed[0], 1, "{signed:?}");
    assert_eq!(*signed.last().unwrap(), 0, "the costly ones go first: {signed:?}");
}
