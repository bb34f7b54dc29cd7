//! Refunds between real sockets: what was paid comes back for the asking, once, within its window, and opens nothing any more.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::support;
use crate::support::bank::{Bank, usd};
use crate::support::pay::{Answer, cashu, cent, get, send};
use crate::support::{Server, start_service};
use farthing_ecash::{BlindSignature, BlindedMessage, Proof, SecretKey, Token};
use farthing_engine::{
    Chart, Command, GrantRefund, PaymentId, RATE_TOLD_FROM, Refund, RefundTies, RequestTag,
};
use farthing_gate::serve::Limits;
use farthing_gate::{Covers, Gate, PassScope, Plan, Proxy, ProxyConfig, Refunds, Rule, Rules};
use farthing_money::{Amount, Span};
use farthing_wire::mpp::credit::OutputText;
use farthing_wire::{REFUNDS_PATH, RefundAnswer, RefundRequest};

/// What a page costs: a cent.
const CENT: u128 = 10_000;
const WITHIN: Span = Span::from_secs(600);

fn refunds() -> Refunds {
    Refunds { within: WITHIN, per_payer: 70, rate_most: 100 }
}

async fn gate_with(bank: &Arc<Bank>, upstream: SocketAddr, refunds: Refunds) -> Server {
    let hour = Span::from_secs(3_600);
    let paid = Rule::new("/paid/**", cent()).unwrap().pass(hour, PassScope::Url).refunding(refunds);
    let kept = Rule::new("/kept/**", cent()).unwrap();
    let covers = Covers::parse(&["/paid/**".to_owned()], &[]).unwrap();
    let price = usd().money(Amount::new(100 * CENT));
    let day = Span::from_secs(24 * 3_600);
    let week = Plan::new("week", price, covers.clone(), day).unwrap();
    let day = Plan::new("day", price, covers, day).unwrap().refunding(refunds);
    let rules = Rules::new(vec![paid, kept]).unwrap().selling(vec![day, week]).unwrap();
    let config = ProxyConfig::new(format!("http://{upstream}").parse().unwrap());
    start_service(Limits::default(), Gate::new(bank.config(rules), Proxy::new(config).unwrap())).await
}

async fn gate(bank: &Arc<Bank>, upstream: SocketAddr) -> Server {
    gate_with(bank, upstream, refunds()).await
}

async fn pay(gate: &Server, bank: &Bank, path: &str) -> Answer {
    let paid = get(gate.address, path, &cashu(&bank.token(&[16_384]))).await;
    assert_eq!(paid.status, 200, "{paid:?}");
    paid
}

/// Blank outputs, and what it takes to open them.
struct Purse(Vec<(BlindedMessage, String, SecretKey)>);

impl Purse {
    fn new(bank: &Bank) -> Self {
        Self((0..20).map(|_| bank.blank(0)).collect())
    }

    fn outputs(&self) -> Vec<OutputText> {
        let text = |(blank, _, _): &(BlindedMessage, String, SecretKey)| OutputText {
            amount: blank.amount,
            id: blank.id.to_string(),
            blinded: hex::encode(blank.b_.to_bytes()),
        };
        self.0.iter().map(text).collect()
    }

    fn open(&self, bank: &Bank, answer: &RefundAnswer) -> Vec<Proof> {
        let signatures = serde_json::to_value(&answer.signatures).unwrap();
        let signatures: Vec<BlindSignature> = serde_json::from_value(signatures).unwrap();
        let opened = signatures.iter().zip(&self.0);
        opened.map(|(signature, (_, secret, r))| bank.open(signature, secret, r)).collect()
    }
}

async fn ask(gate: &Server, paid: &Answer, outputs: Vec<OutputText>) -> Answer {
    let receipt = paid.header("farthing-receipt").map(str::to_owned);
    ask_with(gate, &RefundRequest { receipt, outputs, ..RefundRequest::default() }).await
}

async fn ask_with(gate: &Server, request: &RefundRequest) -> Answer {
    ask_at(gate.address, request.clone()).await
}

async fn ask_at(gate: SocketAddr, request: RefundRequest) -> Answer {
    let body = serde_json::to_string(&request).unwrap();
    send(gate, "POST", REFUNDS_PATH, "Content-Type: application/json\r\n", &body).await
}

async fn all_at_once(
    gate: &Server,
    paid: &Answer,
    outputs: impl Iterator<Item = Vec<OutputText>>,
) -> Vec<Answer> {
    let receipt = paid.header("farthing-receipt").map(str::to_owned);
    let mut asking = tokio::task::JoinSet::new();
    for outputs in outputs {
        let request = RefundRequest { receipt: receipt.clone(), outputs, ..RefundRequest::default() };
        asking.spawn(ask_at(gate.address, request));
    }
    asking.join_all().await
}

fn given(answer: &Answer) -> RefundAnswer {
    assert_eq!(answer.status, 200, "{answer:?}");
    RefundAnswer::parse(answer.body.as_bytes()).unwrap()
}

fn payment(paid: &Answer) -> PaymentId {
    paid.receipt().payment.parse().unwrap()
}

fn sum(proofs: &[Proof]) -> u64 {
    proofs.iter().map(|proof| proof.amount).sum()
}

/// What the merchant has: taken, less what went back.
fn earned(bank: &Bank) -> i128 {
    -bank.debit(Chart::of(usd()).merchant("shop").id()).0
}

#[tokio::test]
async fn a_payment_comes_back_as_fresh_credits_and_its_pass_ends() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let asked = get(gate.address, "/paid/1", "").await;
    let told = &asked.problem().extra["refund"];
    assert_eq!((told["within"].as_str(), told["open"].as_bool()), (Some("10m"), Some(true)));
    let page = get(gate.address, "/paid/1", "Accept: text/html\r\n").await;
    assert!(page.body.contains("back within 10m"), "{page:?}");

    let token = bank.token(&[16_384]);
    let paid = get(gate.address, "/paid/1?q=secret", &cashu(&token)).await;
    let until = bank.time().after(WITHIN);
    assert_eq!(paid.receipt().refund_until, Some(until));
    assert_eq!(paid.header("farthing-refund"), Some(format!("until={until}; at={REFUNDS_PATH}").as_str()));
    let pass = format!("Farthing-Pass: {}\r\n", paid.header("farthing-pass").unwrap());
    assert_eq!(get(gate.address, "/paid/1?q=secret", &pass).await.status, 200);
    let again = get(gate.address, "/paid/1?q=secret", &cashu(&token)).await;
    assert_eq!(again.header("farthing-receipt"), paid.header("farthing-receipt"), "a retry has the same");

    let purse = Purse::new(&bank);
    let answer = given(&ask(&gate, &paid, purse.outputs()).await);
    assert_eq!((answer.refunded.amount, answer.kept.amount), (Amount::new(CENT), Amount::ZERO));
    let credits = purse.open(&bank, &answer);
    assert_eq!((u128::from(sum(&credits)), earned(&bank)), (CENT, 0));
    // They are as good as any, and say nothing of where they come from.
    let spent = Token::new(support::bank::MINT, usd().unit(), None, credits).encode();
    assert_eq!(get(gate.address, "/kept/1", &cashu(&spent)).await.status, 200);

    // The same request is answered alike; the pass, the credential and another request get nothing.
    assert_eq!(given(&ask(&gate, &paid, purse.outputs()).await), answer);
    assert_eq!(get(gate.address, "/paid/1?q=secret", &pass).await.status, 402);
    let refused = get(gate.address, "/paid/1?q=secret", &cashu(&token)).await;
    assert_eq!((refused.status, refused.code().as_str()), (402, "payment-refunded"));
    let refused = ask(&gate, &paid, Purse::new(&bank).outputs()).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "payment-refunded"));
    assert_eq!(earned(&bank), i128::try_from(CENT).unwrap());
    let item = bank.item(&format!("GET {}", paid.receipt().resource));
    assert_eq!((item.name.as_str(), item.paid, item.refunded), ("GET http://shop.example/paid/1", 1, 1));
}

#[tokio::test]
async fn sixty_four_at_once_get_it_once() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let paid = pay(&gate, &bank, "/paid/1").await;
    let purses: Vec<_> = (0..64).map(|_| Purse::new(&bank)).collect();
    let asked = all_at_once(&gate, &paid, purses.iter().map(Purse::outputs)).await;
    let good: Vec<_> = asked.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(good.len(), 1);
    assert!(asked.iter().all(|answer| answer.status == 200 || answer.code() == "payment-refunded"));
    assert_eq!(earned(&bank), 0);
    // Sixty-four copies of one request are one, and all are told the same.
    let paid = pay(&gate, &bank, "/paid/2").await;
    let purse = Purse::new(&bank);
    let asked = all_at_once(&gate, &paid, (0..64).map(|_| purse.outputs())).await;
    let first = given(&asked[0]);
    assert!(asked.iter().all(|answer| given(answer) == first));
    assert_eq!((u128::from(sum(&purse.open(&bank, &first))), earned(&bank)), (CENT, 0));
}

#[tokio::test]
async fn without_outputs_it_comes_as_a_token() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let paid = pay(&gate, &bank, "/paid/1").await;
    // By the pass, as a browser has it.
    let pass = paid.header("farthing-pass").map(str::to_owned);
    let request = RefundRequest { pass, ..RefundRequest::default() };
    let first = ask_with(&gate, &request).await;
    let token = given(&first).token.unwrap();
    assert_eq!(ask_with(&gate, &request).await.body, first.body, "a lost answer is given again");
    assert_eq!(earned(&bank), 0);
    assert_eq!(get(gate.address, "/kept/1", &cashu(&token)).await.status, 200);
}

/// Two sums were there, the answer with the first was lost, and asking again brought the second alone: the first could never be
/// fetched.
#[tokio::test]
async fn what_was_in_an_answer_that_was_lost_comes_with_the_next_one() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let paid = pay(&gate, &bank, "/paid/1").await;
    set_aside(&bank, &paid, (1, 3_000));
    let lost = given(&ask(&gate, &paid, Vec::new()).await);
    assert_eq!(lost.refunded.amount, Amount::new(3_000));
    let both = given(&ask(&gate, &paid, Vec::new()).await);
    let token = both.token.unwrap();
    let worth = Token::decode(&token).unwrap().total().unwrap();
    assert_eq!((both.refunded.amount, u128::from(worth), earned(&bank)), (Amount::new(CENT), CENT, 0));
    // What is spent comes no more.
    let paid = pay(&gate, &bank, "/paid/2").await;
    set_aside(&bank, &paid, (1, 3_000));
    let first = given(&ask(&gate, &paid, Vec::new()).await).token.unwrap();
    let id = bank.keyring.active(usd().unit()).unwrap().id;
    let first = Token::decode(&first).unwrap().resolve(&[id]).unwrap();
    bank.charge(&first, 3_000, "elsewhere").unwrap();
    let rest = given(&ask(&gate, &paid, Vec::new()).await);
    assert_eq!(rest.refunded.amount, Amount::new(CENT - 3_000));
    assert_eq!(given(&ask(&gate, &paid, Vec::new()).await), rest);
}

#[tokio::test]
async fn what_is_set_aside_waits_for_whoever_has_the_receipt() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let paid = pay(&gate, &bank, "/kept/1").await;
    assert_eq!((paid.receipt().refund_until, paid.header("farthing-refund")), (None, None));
    let refused = ask(&gate, &paid, Purse::new(&bank).outputs()).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "refund-not-offered"));
    for (step, amount) in [(1, 3_000), (2, 4_000)] {
        set_aside(&bank, &paid, (step, amount));
        let purse = Purse::new(&bank);
        let answer = given(&ask(&gate, &paid, purse.outputs()).await);
        assert_eq!(u128::from(sum(&purse.open(&bank, &answer))), amount);
    }
    assert_eq!(earned(&bank), 3_000);
}

/// What the operator gives back, for whoever comes with the receipt.
fn set_aside(bank: &Arc<Bank>, paid: &Answer, (step, amount): (u8, u128)) {
    let row = bank.payment(payment(paid)).unwrap();
    let grant = GrantRefund {
        payment: payment(paid),
        merchant: row.merchant.clone(),
        asset: usd(),
        marks: row.marks,
        ties: RefundTies::default(),
        amount: Amount::new(amount),
        code: None,
        why: "a blurred picture".into(),
        tag: RequestTag::from_bytes([step; 16]),
    };
    bank.decide(&Command::Refund(Refund::Grant(grant))).unwrap();
}

/// A pass that was sold without a window opened everything to its end although the operator had given all of it back.
#[tokio::test]
async fn a_pass_that_the_operator_gives_back_wholly_ends_without_a_window() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let token = bank.token(&[1_048_576]);
    let bought = get(gate.address, "/.well-known/farthing/passes/week", &cashu(&token)).await;
    let pass = format!("Farthing-Pass: {}\r\n", bought.header("farthing-pass").unwrap());
    set_aside(&bank, &bought, (1, 99 * CENT));
    assert_eq!(get(gate.address, "/paid/7", &pass).await.status, 200, "a part of it ends nothing");
    set_aside(&bank, &bought, (2, CENT));
    assert_eq!(get(gate.address, "/paid/7", &pass).await.status, 402);
    assert_eq!(earned(&bank), 0);
}

#[tokio::test]
async fn a_pass_that_was_bought_ends_with_its_refund() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let token = bank.token(&[1_048_576]);
    let bought = get(gate.address, "/.well-known/farthing/passes/day", &cashu(&token)).await;
    let pass = format!("Farthing-Pass: {}\r\n", bought.header("farthing-pass").unwrap());
    assert_eq!(get(gate.address, "/paid/7", &pass).await.status, 200);
    given(&ask(&gate, &bought, Purse::new(&bank).outputs()).await);
    assert_eq!(get(gate.address, "/paid/7", &pass).await.status, 402);
    assert_eq!(earned(&bank), 0);
}

/// Two days were had for the price of one, as often as a payer could ask back.
#[tokio::test]
async fn a_pass_whose_time_a_later_one_has_does_not_come_back() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let pass = |bought: &Answer| format!("Farthing-Pass: {}\r\n", bought.header("farthing-pass").unwrap());
    let first = pay_day(&gate, &bank, "").await;
    let second = pay_day(&gate, &bank, &pass(&first)).await;
    let refused = ask(&gate, &first, Purse::new(&bank).outputs()).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "refund-extended"));
    bank.wait_secs(24 * 3_600 + 60);
    assert_eq!(get(gate.address, "/paid/7", &pass(&second)).await.status, 200, "both days are paid for");
    assert_eq!(earned(&bank), 200 * i128::try_from(CENT).unwrap());
    // The other way round nothing is left.
    let third = pay_day(&gate, &bank, "").await;
    let fourth = pay_day(&gate, &bank, &pass(&third)).await;
    for bought in [&fourth, &third] {
        given(&ask(&gate, bought, Purse::new(&bank).outputs()).await);
        assert_eq!(get(gate.address, "/paid/7", &pass(bought)).await.status, 402);
    }
    assert_eq!(earned(&bank), 200 * i128::try_from(CENT).unwrap());
}

async fn pay_day(gate: &Server, bank: &Bank, shown: &str) -> Answer {
    let paid = cashu(&bank.token(&[1_048_576]));
    let bought = get(gate.address, "/.well-known/farthing/passes/day", &format!("{shown}{paid}")).await;
    assert_eq!(bought.status, 200, "{bought:?}");
    bought
}

/// How many wanted their money back is told to who has not paid yet: of few it is not, since it would tell of payers.
#[tokio::test]
async fn the_rate_of_an_item_is_shown_once_enough_have_paid() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let given_back = pay(&gate, &bank, "/paid/1").await;
    given(&ask(&gate, &given_back, Purse::new(&bank).outputs()).await);
    let told = async || get(gate.address, "/paid/1", "").await.problem().extra["refund"]["rate"].as_u64();
    for _ in 2..RATE_TOLD_FROM {
        pay(&gate, &bank, "/paid/1").await;
    }
    assert_eq!(told().await, None, "nineteen");
    pay(&gate, &bank, "/paid/1").await;
    assert_eq!(told().await, Some(5));
    let page = get(gate.address, "/paid/1", "Accept: text/html\r\n").await;
    assert!(page.body.contains("Of a hundred who paid lately, 5 asked it back."), "{page:?}");
    assert!(!get(gate.address, "/paid/2", "Accept: text/html\r\n").await.body.contains("Of a hundred"));
}

#[tokio::test]
async fn storms_and_late_comers_are_refused_and_told_so() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let terms = Refunds { within: WITHIN, per_payer: 2, rate_most: 1 };
    let gate = gate_with(&bank, upstream.address, terms).await;
    let paid: Vec<_> = [
        pay(&gate, &bank, "/paid/1").await,
        pay(&gate, &bank, "/paid/1").await,
        pay(&gate, &bank, "/paid/1").await,
    ]
    .into();
    for one in &paid[..2] {
        given(&ask(&gate, one, Purse::new(&bank).outputs()).await);
    }
    let refused = ask(&gate, &paid[2], Purse::new(&bank).outputs()).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "refund-payer-limit"));
    assert!(refused.header("retry-after").is_some());
    // The limit is over by now, and so is the window.
    bank.wait_secs(600);
    let refused = ask(&gate, &paid[2], Purse::new(&bank).outputs()).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "refund-over"));
    for (request, code) in [
        ("{}", "refund-malformed"),
        ("", "refund-malformed"),
        (r#"{"receipt":"a","pass":"b"}"#, "refund-malformed"),
        (r#"{"receipt":"a.b.c"}"#, "refund-unproven"),
    ] {
        let refused = send(gate.address, "POST", REFUNDS_PATH, "", request).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, code), "{request}");
    }
    assert_eq!(get(gate.address, REFUNDS_PATH, "").await.status, 405);
    let leave = "Origin: https://reader.example\r\nAccess-Control-Request-Method: POST\r\n";
    let leave = send(gate.address, "OPTIONS", REFUNDS_PATH, leave, "").await;
    assert_eq!((leave.status, leave.header("access-control-allow-methods")), (204, Some("POST, OPTIONS")));
    assert!(!leave.body.contains("shop"), "{leave:?}");
}
