//! Every reason for which a payment is refused, in the order in which the reference refuses, on a chain in memory.

use std::sync::Arc;

use crate::support::payer::{Permitted, Transfer, pay, sponsored, tampered};
use crate::support::{CHAIN, Hands, Stage, chain_with, key, payer, submitter, token_at, usd};
use farthing_channel::{Address, Word, WrappedSignature, call, permit2};
use farthing_evm::{ChainConfig, Effect, Node, NodeError, NotVerified, ScriptedNode, Verified};
use farthing_money::{Amount, Money, Timestamp};
use farthing_wire::x402::{Extra, Payload, Requirements, SCHEME_UPTO, SchemePayload, Uint};
use serde_json::{Map, json};

const NOW: u64 = 1_000_000;
const PRICE: u128 = 1_000;

fn token() -> Address {
    Address::from_bytes([5; 20])
}

fn factory() -> Address {
    Address::from_bytes([0xfa; 20])
}

/// A payer that is a contract, or will be.
fn wallet() -> Address {
    Address::from_bytes([0xaa; 20])
}

/// What is changed about a payment before it is signed, and why it is refused then.
type Change<'a, T> = (&'a dyn Fn(&mut T), Option<&'a str>);
/// What calls are answered.
type Told<Q> = Vec<(Q, Effect)>;
/// What they lead to.
type Case<Q> = (Told<Q>, &'static str);

struct Play {
    stage: Stage,
    node: Arc<ScriptedNode>,
    /// `exact` by EIP-3009 and by Permit2, and `upto`.
    offers: Vec<Requirements>,
}

fn yes() -> Vec<u8> {
    let mut answer = call::IS_VALID_SIGNATURE.to_vec();
    answer.resize(32, 0);
    answer
}

impl Play {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut ChainConfig)) -> Self {
        let node = Arc::new(ScriptedNode::new(CHAIN, Timestamp::from_secs(NOW)));
        node.put_token(token(), "USDC", "2");
        for account in [payer().address(), wallet()] {
            node.mint(token(), account, Amount::new(1_000_000));
        }
        for proxy in [permit2::EXACT_PROXY, permit2::UPTO_PROXY] {
            node.put_code(proxy);
            node.on(proxy, &[], Effect::Answers(vec![]));
        }
        let allowance = Word::from(1_000_000).as_bytes().to_vec();
        node.on(token(), &call::allowance(payer().address(), permit2::PERMIT2), Effect::Answers(allowance));
        let mut chain = chain_with(vec![token_at(token())]);
        chain.factories = vec![factory()];
        change(&mut chain);
        let stage = Stage::new(chain, Arc::clone(&node) as Arc<dyn Node>, Hands::at(NOW));
        let offers = stage.facilitator.offers(Money::new(Amount::new(PRICE), usd()));
        Self { stage, node, offers }
    }

    async fn judge(&self, offer: &Requirements, payload: &Payload) -> Result<Verified, NotVerified> {
        self.stage.facilitator.verify(offer, payload).await
    }

    /// Why it is refused, or nothing.
    async fn reason(&self, offer: &Requirements, payload: &Payload) -> Option<&'static str> {
        match self.judge(offer, payload).await {
            Ok(_) => None,
            Err(NotVerified::Invalid(invalid)) => {
                assert!(invalid.message.contains("expected"), "{invalid}");
                Some(invalid.reason.as_str())
            }
            Err(NotVerified::Unknown(error)) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn good_payments_are_good() {
    let play = Play::new();
    let mut payments = Vec::new();
    for offer in &play.offers {
        let from = payer().address();
        let payload = match (offer.scheme.as_str(), offer.extra.get("assetTransferMethod")) {
            (_, None) => pay(offer, &payer(), NOW, 1),
            _ => Permitted::of(offer, from, NOW, 1).signed(offer, &payer()),
        };
        let verified = play.judge(offer, &payload).await.unwrap();
        assert_eq!((verified.payer, verified.units), (from, Amount::new(PRICE)));
        assert_eq!(play.stage.facilitator.payment_of(offer, &payload), Some(verified.payment));
        payments.push(verified.payment);
    }
    assert_ne!(payments[0], payments[1], "another counter, another payment");
    assert_eq!(payments[1], payments[2], "the same number of Permit2 is the same payment in either scheme");
}

#[tokio::test]
async fn what_is_for_something_else_is_refused_without_asking() {
    let play = Play::new();
    let [eip3009, by_permit2, upto] = &play.offers[..] else { panic!("three offers") };
    let good = pay(eip3009, &payer(), NOW, 1);
    let permitted = Permitted::of(by_permit2, payer().address(), NOW, 1).signed(by_permit2, &payer());
    let ceiling = Permitted::of(upto, payer().address(), NOW, 1).signed(upto, &payer());
    let accepted = |payload: &Payload, change: &dyn Fn(&mut Requirements)| {
        let mut payload = payload.clone();
        change(&mut payload.accepted);
        payload
    };
    let other_scheme = |accepted: &mut Requirements| accepted.scheme = "deferred".into();
    let other_network = |accepted: &mut Requirements| accepted.network = "eip155:1".into();
    let offer = |change: &dyn Fn(&mut Requirements)| {
        let mut offer = eip3009.clone();
        change(&mut offer);
        offer
    };
    let mut shapeless = good.clone();
    shapeless.payload = SchemePayload::Other(Map::new());
    let cases = [
        (eip3009.clone(), accepted(&good, &other_scheme), "invalid_exact_evm_scheme"),
        (offer(&|offer| offer.scheme = "deferred".into()), good.clone(), "invalid_exact_evm_scheme"),
        (eip3009.clone(), shapeless, "unsupported_payload_type"),
        (
            offer(&|offer| offer.extra = Extra::default()),
            good.clone(),
            "invalid_exact_evm_missing_eip712_domain",
        ),
        (
            offer(&|offer| offer.extra = Extra::eip3009("USDC", "")),
            good.clone(),
            "invalid_exact_evm_missing_eip712_domain",
        ),
        (eip3009.clone(), accepted(&good, &other_network), "invalid_exact_evm_network_mismatch"),
        (
            offer(&|offer| offer.network = "eip155:1".into()),
            accepted(&good, &other_network),
            "invalid_exact_evm_network_mismatch",
        ),
        (by_permit2.clone(), accepted(&permitted, &other_scheme), "unsupported_payload_type"),
        (by_permit2.clone(), accepted(&permitted, &other_network), "invalid_exact_evm_network_mismatch"),
        (upto.clone(), good.clone(), "unsupported_payload_type"),
        (upto.clone(), permitted.clone(), "unsupported_payload_type"),
        (upto.clone(), accepted(&ceiling, &other_scheme), "invalid_upto_evm_scheme"),
        (upto.clone(), accepted(&ceiling, &other_network), "invalid_upto_evm_network_mismatch"),
    ];
    play.node.take_asked();
    for (n, (offer, payload, reason)) in cases.iter().enumerate() {
        assert_eq!(play.reason(offer, payload).await, Some(*reason), "row {n}");
    }
    assert_eq!(play.node.take_asked(), Vec::<&str>::new());
}

#[tokio::test]
async fn what_an_authorization_says_is_checked_without_asking() {
    let play = Play::new();
    let offer = &play.offers[0];
    let changes: [Change<Transfer>; 9] = [
        (&|paid| paid.to = key(3).address(), Some("invalid_exact_evm_recipient_mismatch")),
        (&|paid| paid.valid_before = NOW + 5, Some("invalid_exact_evm_payload_authorization_valid_before")),
        (&|paid| paid.valid_before = NOW - 1, Some("invalid_exact_evm_payload_authorization_valid_before")),
        (&|paid| paid.valid_after = NOW + 1, Some("invalid_exact_evm_payload_authorization_valid_after")),
        (&|paid| paid.value = PRICE + 1, Some("invalid_exact_evm_payload_authorization_value_mismatch")),
        (&|paid| paid.value = PRICE - 1, Some("invalid_exact_evm_payload_authorization_value_mismatch")),
        (
            &|paid| {
                paid.to = key(3).address();
                paid.value = 0;
                paid.valid_before = 0;
            },
            Some("invalid_exact_evm_recipient_mismatch"),
        ),
        (&|paid| paid.valid_before = NOW + 6, None),
        (&|paid| paid.valid_after = NOW - 1, None),
    ];
    for (n, (change, reason)) in changes.iter().enumerate() {
        let mut paid = Transfer::of(offer, payer().address(), NOW, 1);
        change(&mut paid);
        play.node.take_asked();
        assert_eq!(play.reason(offer, &paid.signed(offer, &payer())).await, *reason, "row {n}");
        assert_eq!(play.node.take_asked().is_empty(), reason.is_some(), "row {n}");
    }
    let mut huge = offer.clone();
    huge.amount = format!("1{}", "0".repeat(60)).parse().unwrap();
    let payload = pay(offer, &payer(), NOW, 1);
    assert_eq!(
        play.reason(&huge, &payload).await,
        Some("invalid_exact_evm_payload_authorization_value_mismatch")
    );
}

#[tokio::test]
async fn the_signature_is_looked_at_before_what_it_is_for() {
    let play = Play::new();
    let offer = &play.offers[0];
    let invalid = Some("invalid_exact_evm_signature");
    let good = pay(offer, &payer(), NOW, 1);
    assert_eq!(play.reason(offer, &tampered(&good)).await, invalid);
    let mut to_other = offer.clone();
    to_other.pay_to = key(3).address().to_string();
    assert_eq!(play.reason(&to_other, &tampered(&good)).await, invalid, "the signature comes first");
    assert_eq!(play.reason(&to_other, &good).await, Some("invalid_exact_evm_recipient_mismatch"));
    let paid = Transfer::of(offer, payer().address(), NOW, 1);
    assert_eq!(play.reason(offer, &paid.signed(offer, &key(4))).await, invalid);
    for odd in [&[1_u8; 3][..], &[0; 65], &[7; 64], &[0xff; 200]] {
        assert_eq!(play.reason(offer, &paid.signed_with(offer, odd)).await, invalid);
    }
    let marked = [vec![1; 40], [0x64, 0x92].repeat(16)].concat();
    assert_eq!(
        play.reason(offer, &paid.signed_with(offer, &marked)).await,
        Some("invalid_exact_evm_failed_to_parse_signature")
    );
}

#[tokio::test]
async fn a_wallet_that_is_a_contract_says_itself_what_it_signed() {
    let play = Play::new();
    let offer = &play.offers[0];
    let paid = Transfer::of(offer, wallet(), NOW, 1);
    let question = call::is_valid_signature(&paid.digest(offer), &[9; 100]);
    let payload = paid.signed_with(offer, &[9; 100]);
    let refused = Some("invalid_exact_evm_signature");
    assert_eq!(play.reason(offer, &payload).await, refused, "nobody is there");
    play.node.put_code(wallet());
    play.node.on(wallet(), &question, Effect::Answers(vec![0xff; 32]));
    assert_eq!(play.reason(offer, &payload).await, refused, "no");
    play.node.on(wallet(), &question, Effect::Refuses("no".into()));
    assert_eq!(play.reason(offer, &payload).await, refused, "it fails");
    play.node.on(wallet(), &question, Effect::Answers(yes()));
    assert_eq!(play.reason(offer, &payload).await, None);
    let call = play.stage.facilitator.call_of(offer, &payload, Amount::new(PRICE)).unwrap();
    assert_eq!(call.input, call::transfer_with_authorization_bytes(&paid.authorization(), &[9; 100]));
    // An account that has delegated to a contract (EIP-7702) is asked as well.
    play.node.put_code(payer().address());
    assert_eq!(play.reason(offer, &pay(offer, &payer(), NOW, 2)).await, refused);
    play.node.on(payer().address(), &question[..4], Effect::Answers(yes()));
    assert_eq!(play.reason(offer, &pay(offer, &payer(), NOW, 2)).await, None);
}

#[tokio::test]
async fn a_wallet_that_is_not_there_yet_is_created_by_a_factory_on_the_list() {
    let play = Play::new();
    let offer = &play.offers[0];
    let paid = Transfer::of(offer, wallet(), NOW, 1);
    let wrapped = |factory| {
        let whole = WrappedSignature { factory, factory_call: vec![1, 2, 3], signature: vec![9; 65] };
        paid.signed_with(offer, &whole.to_bytes())
    };
    let (good, bad) = (wrapped(factory()), wrapped(Address::from_bytes([0xfb; 20])));
    assert_eq!(play.reason(offer, &bad).await, Some("eip6492_factory_not_allowed"));
    assert_eq!(
        play.reason(offer, &good).await,
        Some("invalid_exact_evm_transaction_simulation_failed"),
        "Multicall3 is not there, and answers nothing"
    );
    let multicall = play.stage.chain.contracts.multicall;
    play.node.put_code(multicall);
    play.node.on(multicall, &[], Effect::Answers(vec![0; 64]));
    assert_eq!(play.reason(offer, &good).await, None);
    let call = play.stage.facilitator.call_of(offer, &good, Amount::new(PRICE)).unwrap();
    assert_eq!(call.to.as_bytes(), multicall.as_bytes());
    // Once it is there, its own word counts, and a factory that is not on the list is never called.
    play.node.put_code(wallet());
    assert_eq!(play.reason(offer, &good).await, Some("invalid_exact_evm_signature"));
    let question = call::is_valid_signature(&paid.digest(offer), &[9; 65]);
    play.node.on(wallet(), &question, Effect::Answers(yes()));
    assert_eq!(play.reason(offer, &good).await, None);
    assert_eq!(play.reason(offer, &bad).await, None);
    let call = play.stage.facilitator.call_of(offer, &bad, Amount::new(PRICE)).unwrap();
    assert_eq!(call.to.as_bytes(), token().as_bytes());
    let late = Transfer { valid_before: NOW, ..paid.clone() };
    let whole = WrappedSignature { factory: factory(), factory_call: vec![], signature: vec![9; 65] };
    assert_eq!(
        Play::new().reason(offer, &late.signed_with(offer, &whole.to_bytes())).await,
        Some("invalid_exact_evm_payload_authorization_valid_before")
    );
}

#[tokio::test]
async fn what_the_token_says_is_told_apart() {
    let transfer = call::transfer_with_authorization(
        &Transfer::of(&Play::new().offers[0], payer().address(), NOW, 1).authorization(),
        &payer().sign(&farthing_channel::keccak256(b"")),
    );
    let refuse = |sentence: &str| Effect::Refuses(sentence.into());
    let state = || {
        call::authorization_state(
            payer().address(),
            farthing_channel::AuthorizationNonce::from_bytes([1; 32]),
        )
    };
    let answer = |n: u64| Effect::Answers(Word::from(n).as_bytes().to_vec());
    let text = |text: &str| {
        let mut answer = Word::from(32).as_bytes().to_vec();
        answer.extend(Word::from(u64::try_from(text.len()).unwrap()).as_bytes());
        answer.extend(text.as_bytes());
        answer.resize(96, 0);
        Effect::Answers(answer)
    };
    let balance = || call::balance_of(payer().address());
    let cases: Vec<Case<Vec<u8>>> = vec![
        (vec![(state(), refuse("no such function"))], "invalid_exact_evm_eip3009_not_supported"),
        (vec![(state(), Effect::Answers(vec![]))], "invalid_exact_evm_eip3009_not_supported"),
        (vec![(state(), answer(1))], "invalid_exact_evm_nonce_already_used"),
        (vec![(call::name(), text("USD Coin"))], "invalid_exact_evm_token_name_mismatch"),
        (vec![(call::version(), text("1"))], "invalid_exact_evm_token_version_mismatch"),
        (vec![(balance(), answer(999))], "invalid_exact_evm_insufficient_balance"),
        (
            vec![(call::name(), refuse("no")), (call::version(), refuse("no")), (balance(), answer(999))],
            "invalid_exact_evm_insufficient_balance",
        ),
        (vec![(balance(), answer(1_000))], "invalid_exact_evm_transaction_simulation_failed"),
        (vec![(balance(), refuse("no"))], "invalid_exact_evm_transaction_simulation_failed"),
    ];
    for (n, (answers, reason)) in cases.into_iter().enumerate() {
        let play = Play::new();
        play.node.on(token(), &transfer[..4], refuse("Pausable: paused"));
        for (question, answer) in answers {
            play.node.on(token(), &question, answer);
        }
        let offer = &play.offers[0];
        let payload = pay(offer, &payer(), NOW, 1);
        assert_eq!(play.reason(offer, &payload).await, Some(reason), "row {n}");
        if reason.ends_with("simulation_failed") {
            let said = play.judge(offer, &payload).await.unwrap_err().to_string();
            assert!(said.contains("Pausable: paused"), "{said}");
        }
    }
}

#[tokio::test]
async fn an_asset_must_be_a_contract() {
    let play = Play::new();
    for offer in &play.offers {
        let mut nowhere = offer.clone();
        nowhere.asset = Address::from_bytes([0x77; 20]).to_string();
        let payload = match offer.extra.get("assetTransferMethod") {
            None => pay(&nowhere, &payer(), NOW, 1),
            Some(_) => Permitted::of(&nowhere, payer().address(), NOW, 1).signed(&nowhere, &payer()),
        };
        assert_eq!(play.reason(&nowhere, &payload).await, Some("asset_not_deployed_contract"));
    }
}

#[tokio::test]
async fn what_a_permit_says_is_checked_without_asking() {
    let play = Play::new();
    let changes: [Change<Permitted>; 9] = [
        (&|paid| paid.spender = key(3).address(), Some("invalid_permit2_spender")),
        (&|paid| paid.to = key(3).address(), Some("invalid_permit2_recipient_mismatch")),
        (&|paid| paid.deadline = NOW + 5, Some("permit2_deadline_expired")),
        (&|paid| paid.valid_after = NOW + 1, Some("permit2_not_yet_valid")),
        (&|paid| paid.amount = PRICE + 1, Some("permit2_amount_mismatch")),
        (&|paid| paid.amount = PRICE - 1, Some("permit2_amount_mismatch")),
        (&|paid| paid.token = key(3).address(), Some("permit2_token_mismatch")),
        (&|paid| paid.deadline = NOW + 6, None),
        (&|paid| paid.valid_after = NOW, None),
    ];
    for offer in &play.offers[1..] {
        for (n, (change, reason)) in changes.iter().enumerate() {
            let mut paid = Permitted::of(offer, payer().address(), NOW, 1);
            change(&mut paid);
            play.node.take_asked();
            assert_eq!(play.reason(offer, &paid.signed(offer, &payer())).await, *reason, "row {n}");
            assert_eq!(play.node.take_asked().is_empty(), reason.is_some(), "row {n}");
        }
    }
    let upto = &play.offers[2];
    let mut named = Permitted::of(upto, payer().address(), NOW, 1);
    named.facilitator = Some(key(3).address());
    assert_eq!(play.reason(upto, &named.signed(upto, &payer())).await, Some("upto_facilitator_mismatch"));
}

#[tokio::test]
async fn what_permit2_says_is_told_apart() {
    let refuse = |sentence: &str| Effect::Refuses(sentence.into());
    let answer = |n: u64| Effect::Answers(Word::from(n).as_bytes().to_vec());
    let balance = || (token(), call::balance_of(payer().address()));
    let allowance = || (token(), call::allowance(payer().address(), permit2::PERMIT2));
    let used = || (permit2::PERMIT2, call::nonce_bitmap(payer().address(), Word::from(1)));
    let cases: Vec<Case<(Address, Vec<u8>)>> = vec![
        (vec![(balance(), answer(999)), (allowance(), answer(0))], "permit2_insufficient_balance"),
        (vec![(allowance(), answer(999))], "permit2_allowance_required"),
        (vec![(used(), answer(2))], "permit2_invalid_nonce"),
        (vec![(used(), answer(4))], "permit2_simulation_failed"),
        (vec![(balance(), refuse("no")), (allowance(), refuse("no"))], "permit2_simulation_failed"),
    ];
    for (n, (answers, reason)) in cases.into_iter().enumerate() {
        let play = Play::new();
        for proxy in [permit2::EXACT_PROXY, permit2::UPTO_PROXY] {
            play.node.on(proxy, &[], refuse("TRANSFER_FROM_FAILED"));
        }
        for ((to, question), answer) in answers {
            play.node.on(to, &question, answer);
        }
        for offer in &play.offers[1..] {
            let payload = Permitted::of(offer, payer().address(), NOW, 1).signed(offer, &payer());
            assert_eq!(play.reason(offer, &payload).await, Some(reason), "row {n}");
            let bad = play.reason(offer, &tampered(&payload)).await;
            assert_eq!(bad, Some("invalid_permit2_signature"), "the signature comes first");
        }
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_not_paid_through() {
    let elsewhere = Address::from_bytes([0x33; 20]);
    let play = Play::with(|chain| chain.contracts.exact = elsewhere);
    let offer = &play.offers[1];
    let mut paid = Permitted::of(offer, payer().address(), NOW, 1);
    paid.spender = elsewhere;
    assert_eq!(
        play.reason(offer, &paid.signed(offer, &payer())).await,
        Some("permit2_proxy_not_deployed"),
        "a call to nobody answers nothing, which is no success"
    );
}

#[tokio::test]
async fn an_allowance_may_come_with_the_payment() {
    let play = Play::new();
    for offer in &play.offers[1..] {
        let permitted = Permitted::of(offer, payer().address(), NOW, 1).signed(offer, &payer());
        let good = sponsored(permitted.clone(), offer, &payer(), (0, NOW + 300));
        assert_eq!(play.reason(offer, &good).await, None);
        let plain = play.stage.facilitator.call_of(offer, &permitted, Amount::new(PRICE)).unwrap();
        let call = play.stage.facilitator.call_of(offer, &good, Amount::new(PRICE)).unwrap();
        assert_eq!(call.input.len(), plain.input.len() + 5 * 32, "five words more");
        let with = |member: &str, value: serde_json::Value| {
            let mut changed = good.clone();
            changed.extensions["eip2612GasSponsoring"]["info"][member] = value;
            changed
        };
        let other = key(3).address().to_string();
        for (member, value, reason) in [
            ("from", json!(other), Some("eip2612_from_mismatch")),
            ("asset", json!(other), Some("eip2612_asset_mismatch")),
            ("spender", json!(other), Some("eip2612_spender_not_permit2")),
            ("deadline", json!((NOW + 5).to_string()), Some("eip2612_deadline_expired")),
            ("amount", json!("-1"), Some("invalid_eip2612_extension_format")),
            ("version", json!("v1"), Some("invalid_eip2612_extension_format")),
            ("nonce", json!(7), Some("invalid_eip2612_extension_format")),
            ("nonce", json!(""), None),
        ] {
            assert_eq!(play.reason(offer, &with(member, value.clone())).await, reason, "{member}: {value}");
        }
    }
}

#[tokio::test]
async fn a_node_that_does_not_answer_says_nothing_about_a_payment() {
    let play = Play::new();
    let error = NodeError::Slow { node: "n".into(), seconds: 10 };
    for offer in &play.offers {
        let payload = match offer.extra.get("assetTransferMethod") {
            None => pay(offer, &payer(), NOW, 1),
            Some(_) => Permitted::of(offer, payer().address(), NOW, 1).signed(offer, &payer()),
        };
        play.node.set_down(Some(error.clone()));
        assert_eq!(play.judge(offer, &payload).await, Err(NotVerified::Unknown(error.clone())));
        play.node.set_down(None);
        play.node.take_asked();
        assert!(play.judge(offer, &payload).await.is_ok());
        assert!(play.node.take_asked().len() <= 4, "few questions, and all at once");
    }
}

#[tokio::test]
async fn a_call_moves_what_was_signed_and_no_more() {
    let play = Play::new();
    let [eip3009, by_permit2, upto] = &play.offers[..] else { panic!("three offers") };
    let facilitator = &play.stage.facilitator;
    let call = |offer: &Requirements, payload: &Payload, units| {
        facilitator.call_of(offer, payload, Amount::new(units)).map_err(|invalid| invalid.reason.as_str())
    };
    let good = pay(eip3009, &payer(), NOW, 1);
    let made = call(eip3009, &good, PRICE).unwrap();
    assert_eq!((made.chain, made.until), (CHAIN.number(), Timestamp::from_secs(NOW + 299)));
    assert_eq!(made.moves.units, Amount::new(PRICE));
    assert_eq!(
        call(eip3009, &good, PRICE - 1),
        Err("invalid_exact_evm_payload_authorization_value_mismatch")
    );
    let permitted = Permitted::of(by_permit2, payer().address(), NOW, 1).signed(by_permit2, &payer());
    assert_eq!(call(by_permit2, &permitted, PRICE).unwrap().until, Timestamp::from_secs(NOW + 300));
    assert_eq!(call(by_permit2, &permitted, 1), Err("permit2_amount_mismatch"));
    let ceiling = Permitted::of(upto, payer().address(), NOW, 1).signed(upto, &payer());
    let less = call(upto, &ceiling, 1).unwrap();
    assert_eq!((less.moves.units, less.to.as_bytes()), (Amount::new(1), permit2::UPTO_PROXY.as_bytes()));
    assert_eq!(call(upto, &ceiling, PRICE + 1), Err("invalid_upto_evm_payload_settlement_exceeds_amount"));
    for (offer, payload, reason) in [
        (eip3009, &good, "invalid_exact_evm_recipient_mismatch"),
        (by_permit2, &permitted, "invalid_permit2_recipient_mismatch"),
    ] {
        let mut other = offer.clone();
        other.pay_to = key(3).address().to_string();
        assert_eq!(call(&other, payload, PRICE), Err(reason));
    }
    assert_eq!(upto.scheme, SCHEME_UPTO);
    assert_eq!(upto.extra.get("facilitatorAddress").unwrap(), &json!(submitter().address().to_string()));
    let endless = Uint::from(u64::MAX);
    let mut paid = Transfer::of(eip3009, payer().address(), NOW, 1);
    paid.valid_before = endless.to_u64().unwrap();
    assert!(call(eip3009, &paid.signed(eip3009, &payer()), PRICE).unwrap().until > Timestamp::from_secs(NOW));
}
