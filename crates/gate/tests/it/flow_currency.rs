//! A price in euros is paid in dollars: what is offered, what is taken and what the merchants get, in every dialect, when rates
//! change, grow old or come from the future.

use std::sync::Arc;

use crate::support;
use crate::support::bank::{Bank, MINT, cents, eur, usd};
use crate::support::chain::{TestChain, payload};
use crate::support::pay::{Answer, cashu, get};
use crate::support::{Server, start_service};
use farthing_channel::keccak256;
use farthing_ecash::Token;
use farthing_engine::{Chart, Command, ExchangeAccounts, Quotation, RateSet, RatesRow};
use farthing_gate::chain::Chains;
use farthing_gate::flow::{Currencies, CurrencyTerms};
use farthing_gate::serve::Limits;
use farthing_gate::{Gate, Meter, Price, Proxy, ProxyConfig, Rule, Rules, Share};
use farthing_money::{Amount, Span};
use farthing_wire::cashu::PaymentRequest;
use farthing_wire::mpp::{self, credit, evm};
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::{PaymentRequired, SchemePayload};
use tokio::sync::watch;

/// A shop whose prices are in euros and whose payers have dollars.
struct Shop {
    bank: Arc<Bank>,
    rates: watch::Sender<Arc<RatesRow>>,
    terms: watch::Sender<Arc<CurrencyTerms>>,
    _upstream: Server,
    gate: Server,
}

fn set(bank: &Bank, dollars: u128) -> RateSet {
    let quotation = Quotation { code: usd().code(), numerator: dollars, denominator: 10_000 };
    RateSet { base: eur().code(), at: bank.time(), source: "bank".to_owned(), quotations: vec![quotation] }
}

fn terms(spread: u32) -> CurrencyTerms {
    CurrencyTerms { accepts: vec![usd()], spread, max_age: Span::from_secs(86_400) }
}

fn rules(price: u128) -> Rules {
    let price = Price::Paid { amount: eur().money(Amount::new(price)) };
    let author = Share { merchant: "author".to_owned(), share: 70 };
    let shared = Rule::new("/paid/**", price).unwrap().shared(vec![author]);
    let own = Rule::new("/own/**", price).unwrap().accepting(Vec::new());
    let meter = Meter::new("bytes".parse().unwrap(), eur().money(Amount::new(7)), 1);
    let counted = Rule::new("/counted/**", Price::Paid { amount: eur().money(Amount::new(10_000)) });
    Rules::new(vec![shared, own, counted.unwrap().metered(meter)]).unwrap()
}

impl Shop {
    /// A euro is 1.10 dollars, and two per cent more are paid.
    async fn open() -> Self {
        Self::with(|_| None).await
    }

    /// The same with a chain, if there is one.
    async fn with(chain: impl FnOnce(&Arc<Bank>) -> Option<Arc<TestChain>>) -> Self {
        let (bank, upstream) = (Bank::of(&[eur(), usd()]), support::mirror().await);
        let mut accounts = vec![Chart::of(eur()).merchant("author")];
        accounts.extend(ExchangeAccounts::between(eur(), usd()));
        bank.decide(&Command::OpenAccounts(accounts)).unwrap();
        let row = RatesRow { current: Some(set(&bank, 11_000)), ..RatesRow::default() };
        let (rates, in_force) = watch::channel(Arc::new(row));
        let mut config = bank.config(rules(10_000));
        let (terms, watched) = watch::channel(Arc::new(terms(20_000)));
        config.currencies = Currencies { rates: in_force, terms: watched };
        config.chains = chain(&bank).map(|chain| chain as Arc<dyn Chains>);
        let proxy = Proxy::new(ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap()));
        let gate = start_service(Limits::default(), Gate::new(config, proxy.unwrap())).await;
        Self { bank, rates, terms, _upstream: upstream, gate }
    }

    async fn get(&self, path: &str, headers: &str) -> Answer {
        get(self.gate.address, path, headers).await
    }

    fn dollars(&self, amounts: &[u64]) -> String {
        Token::new(MINT, usd().unit(), None, self.bank.credits_in(usd(), amounts)).encode()
    }

    /// New rates, as the books would have them.
    fn change(&self, dollars: u128) {
        let now = self.bank.time();
        let new = set(&self.bank, dollars);
        self.rates.send_modify(|row| {
            let mut before = row.before.clone();
            before.extend(row.current.clone().map(|set| (set, now)));
            *row = Arc::new(RatesRow { current: Some(new.clone()), accepted_at: now, before });
        });
    }

    /// What the author, the shop, and spread and roundings have got.
    fn earned(&self) -> (i128, i128, i128) {
        let got = |account: farthing_ledger::Account| -self.bank.debit(account.id()).0;
        let (euros, dollars) = (Chart::of(eur()), Chart::of(usd()));
        (got(euros.merchant("author")), got(euros.merchant("shop")), got(dollars.exchange_earned()))
    }
}

/// Prices by unit.
type Offered<T> = Vec<(String, T)>;

/// The prices of a 402 in each dialect of credits.
fn offered(answer: &Answer) -> (Offered<u64>, Offered<u128>) {
    let requests = answer.all("x-cashu").into_iter().map(|text| PaymentRequest::decode(text).unwrap());
    let cashu = requests.map(|request| (request.unit.unwrap(), request.amount.unwrap())).collect();
    let challenges = mpp::Challenge::parse_all(&answer.all("www-authenticate"));
    let credit = challenges.iter().map(|challenge| credit::Request::of(challenge).unwrap());
    (cashu, credit.map(|request| (request.currency.to_string(), request.amount.value())).collect())
}

fn credential(challenge: &Answer, unit: &str, token: &str) -> String {
    let challenges = mpp::Challenge::parse_all(&challenge.all("www-authenticate"));
    let of_unit =
        |challenge: &&mpp::Challenge| credit::Request::of(challenge).unwrap().currency.as_str() == unit;
    let challenge = challenges.iter().find(of_unit).unwrap().clone();
    let payload = credit::Payload { token: token.to_owned(), outputs: None }.to_json().unwrap();
    let credential = mpp::Credential { challenge, source: None, payload };
    format!("Authorization: {}\r\n", credential.encode().unwrap())
}

#[tokio::test]
async fn a_price_is_offered_in_what_is_accepted_and_the_own_asset_comes_first() {
    let shop = Shop::open().await;
    let answer = shop.get("/paid/x", "").await;
    let (cashu, credit) = offered(&answer);
    // 0.01 EUR at 1.10 and two per cent are 0.01122 USD.
    assert_eq!(cashu[0], ("ueur".to_owned(), 10_000));
    assert_eq!(cashu.last(), Some(&("uusd".to_owned(), 11_220)));
    assert_eq!(credit, [("ueur".to_owned(), 10_000), ("uusd".to_owned(), 11_220)]);
    let problem = answer.problem();
    assert_eq!(problem.extra["price"]["unit"], "ueur");
    let price = &problem.extra["prices"][0];
    assert_eq!(
        (price["amount"].as_str(), price["asset"].as_str(), price["rate"].as_str(), price["source"].as_str()),
        (Some("11220"), Some("USD"), Some("1.1"), Some("bank"))
    );
    let page = shop.get("/paid/x", "Accept: text/html\r\n").await;
    assert!(page.body.contains("0.01 EUR") && page.body.contains("or 0.01122 USD"), "{page:?}");
    let german = "Accept: text/html\r\nAccept-Language: de-DE, en;q=0.5\r\n";
    let page = shop.get("/paid/x", german).await;
    assert!(page.body.contains("0,01\u{a0}EUR") && page.body.contains("or 0,01122\u{a0}USD"), "{page:?}");
    assert_eq!(page.header("vary"), Some("accept, accept-language"));
    let own = offered(&shop.get("/own/x", "").await);
    assert_eq!(own.1, [("ueur".to_owned(), 10_000)], "a rule may accept less than the gate");
}

#[tokio::test]
async fn dollars_pay_a_price_in_euros_and_change_is_dollars() {
    let shop = Shop::open().await;
    let answer = shop.get("/paid/x", &cashu(&shop.dollars(&[16_384]))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let change = Token::decode(answer.header("x-cashu").unwrap()).unwrap();
    assert_eq!((change.unit, change.total()), (usd().unit(), Some(16_384 - 11_220)));
    assert_eq!(shop.earned(), (7_000, 3_000, 220));
    let receipt = answer.receipt();
    assert_eq!((receipt.amount.value(), receipt.unit), (11_220, usd().unit()));
    // The other dialect, and the own asset as ever.
    let challenge = shop.get("/paid/y", "").await;
    let pay = credential(&challenge, "uusd", &shop.dollars(&[8_192, 2_048, 512, 256, 128, 64, 16, 4]));
    assert_eq!(shop.get("/paid/y", &pay).await.status, 200);
    assert_eq!(shop.earned(), (14_000, 6_000, 440));
    let euros = shop.bank.credits_in(eur(), &[8_192, 1_024, 512, 256, 16]);
    let euros = Token::new(MINT, eur().unit(), None, euros).encode();
    assert_eq!(shop.get("/paid/z", &cashu(&euros)).await.status, 200);
    assert_eq!(shop.earned(), (21_000, 9_000, 440));
    // In each ledger by itself nothing is made or lost.
    let (euro, dollar) = (Chart::of(eur()), Chart::of(usd()));
    assert_eq!(shop.bank.debit(euro.exchange(usd()).id()).0, 20_000);
    assert_eq!(shop.bank.debit(dollar.exchange(eur()).id()).0, -22_000);
}

#[tokio::test]
async fn what_was_told_is_kept_to_while_its_challenge_lasts() {
    let shop = Shop::open().await;
    let told = shop.get("/paid/x", "").await;
    let token = || shop.dollars(&[8_192, 2_048, 512, 256, 128, 64, 16, 4]);
    shop.change(12_000);
    assert_eq!(offered(&shop.get("/paid/y", "").await).1[1].1, 12_240);
    // Both dialects take the price that was told before.
    assert_eq!(shop.get("/paid/x", &credential(&told, "uusd", &token())).await.status, 200);
    assert_eq!(shop.get("/paid/y", &cashu(&token())).await.status, 200);
    assert_eq!(shop.earned(), (14_000, 6_000, 440), "merchants have what the price says");
    // After its lifetime it is not taken any more.
    shop.bank.pass_time(Span::from_secs(301));
    let over = shop.get("/paid/z", &cashu(&token())).await;
    assert_eq!((over.status, over.code().as_str()), (400, "insufficient"), "{over:?}");
    let told = shop.get("/paid/z", &credential(&told, "uusd", &token())).await;
    assert_eq!(told.status, 402, "{told:?}");
}

#[tokio::test]
async fn a_lower_rate_is_anybodys_and_a_challenge_is_its_own() {
    let shop = Shop::open().await;
    let told = shop.get("/paid/x", "").await;
    shop.change(10_000);
    // Who was told more and pays by challenge pays that; who pays without one pays the lowest that was told.
    let exact = shop.dollars(&[8_192, 2_048, 512, 256, 128, 64, 16, 4]);
    let answer = shop.get("/paid/x", &credential(&told, "uusd", &exact)).await;
    assert_eq!((answer.status, answer.header("x-cashu")), (200, None), "{answer:?}");
    let answer = shop.get("/paid/y", &cashu(&shop.dollars(&[16_384]))).await;
    assert_eq!(Token::decode(answer.header("x-cashu").unwrap()).unwrap().total(), Some(16_384 - 10_200));
}

#[tokio::test]
async fn without_rates_that_hold_the_own_asset_alone_is_offered() {
    let shop = Shop::open().await;
    let alone = [("ueur".to_owned(), 10_000)];
    shop.bank.pass_time(Span::from_secs(86_401));
    let answer = shop.get("/paid/x", "").await;
    assert_eq!(offered(&answer).1, alone, "too old");
    assert!(!answer.problem().extra.contains_key("prices"));
    shop.bank.pass_time(Span::from_secs(600));
    let refused = shop.get("/paid/x", &cashu(&shop.dollars(&[16_384]))).await;
    assert!(refused.status >= 400, "{refused:?}");
    assert_eq!(shop.earned(), (0, 0, 0));
    // New rates are offered at once; a clock that falls back by days makes them rates of the future.
    shop.change(11_000);
    assert_eq!(offered(&shop.get("/paid/x", "").await).1.len(), 2);
    shop.bank.now.fetch_sub(3 * 86_400_000, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(offered(&shop.get("/paid/x", "").await).1, alone, "of the future");
    shop.rates.send_replace(Arc::default());
    assert_eq!(offered(&shop.get("/paid/x", "").await).1, alone, "none at all");
}

#[tokio::test]
async fn credits_of_a_unit_that_is_not_offered_are_refused() {
    let shop = Shop::open().await;
    // Cents are another unit than the one that is offered.
    let foreign = Token::new(MINT, cents().unit(), None, shop.bank.credits_in(usd(), &[16_384])).encode();
    let refused = shop.get("/paid/x", &cashu(&foreign)).await;
    assert!(refused.status >= 400, "{refused:?}");
    assert_eq!(shop.earned(), (0, 0, 0));
}

/// What is accepted, the spread and the age of rates may change while the gate is open, as prices do.
#[tokio::test]
async fn terms_change_while_the_gate_is_open() {
    let shop = Shop::open().await;
    let units = |answer: &Answer| offered(answer).0;
    let all = units(&shop.get("/paid/x", "").await);
    assert_eq!(all.last(), Some(&("uusd".to_owned(), 11_220)), "{all:?}");
    shop.terms.send_replace(Arc::new(terms(50_000)));
    let dearer = units(&shop.get("/paid/x", "").await);
    assert_eq!(dearer.last(), Some(&("uusd".to_owned(), 11_550)), "{dearer:?}");
    shop.terms.send_replace(Arc::new(CurrencyTerms { accepts: Vec::new(), ..terms(50_000) }));
    let own = units(&shop.get("/paid/x", "").await);
    assert!(own.iter().all(|(unit, _)| unit == "ueur"), "{own:?}");
}

#[tokio::test]
async fn what_is_counted_in_euros_is_charged_in_dollars() {
    let shop = Shop::open().await;
    let answer =
        shop.get("/counted/x", &format!("{}TE: trailers\r\n", cashu(&shop.dollars(&[16_384])))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let (body, trailers) = answer.body.split_once("\r\n0\r\n").unwrap();
    let (size, _) = body.split_once("\r\n").unwrap();
    let bytes = u128::from_str_radix(size, 16).unwrap();
    let said = Answer::of(&format!("HTTP/1.1 200 OK\r\n{trailers}"));
    // Seven millionths of a euro a byte, at 1.10 with two per cent, rounded up once.
    let cost = bytes * 7;
    let paid = (cost * 11_220).div_ceil(10_000);
    assert_eq!(said.receipt().amount.value(), paid, "{said:?}");
    assert_eq!(u128::from(said.change()), 16_384 - paid);
    let (_, shop_got, kept) = shop.earned();
    assert_eq!(shop_got, i128::try_from(cost).unwrap());
    assert!(kept > 0, "the spread is earned");
}

/// MPP's method `evm` has a challenge for each asset that a token counts as, the price's own first; each is paid by itself, and the
/// merchants have what the price says.
#[tokio::test]
async fn the_method_evm_is_offered_in_every_asset() {
    let shop = Shop::with(|bank| Some(TestChain::new(bank))).await;
    let asked = shop.get("/paid/x", "").await;
    let challenges = mpp::Challenge::parse_all(&asked.all("www-authenticate"));
    let of_evm: Vec<_> = challenges.into_iter().filter(evm::is_evm_charge).collect();
    let amounts: Vec<u128> =
        of_evm.iter().map(|one| evm::Request::of(one).unwrap().amount.amount().unwrap().value()).collect();
    assert_eq!(amounts, [10_000, 11_220], "euros, then dollars");
    let required = PaymentRequired::from_header(asked.header("payment-required").unwrap()).unwrap();
    let offer = required.accepts.iter().find(|offer| offer.amount == Amount::new(11_220).into()).unwrap();
    let SchemePayload::Eip3009(mut signed) = payload(offer, &required.resource.url, 7).payload else {
        panic!("an authorization is expected")
    };
    let challenge = of_evm.into_iter().nth(1).unwrap();
    signed.authorization.nonce = HexText(*keccak256(&evm::nonce_source(&challenge)).as_bytes());
    let credential =
        mpp::Credential { challenge, source: None, payload: evm::payload_to_json(&signed).unwrap() };
    let headers = format!("Authorization: {}\r\n", credential.encode().unwrap());
    let paid = shop.get("/paid/x", &headers).await;
    assert_eq!(paid.status, 200, "{paid:?}");
    let (author, own, _) = shop.earned();
    assert_eq!((author, own), (7_000, 3_000), "all of the price, in euros");
}
