//! Payments of every kind on a real chain: what settles moves exactly what it should, and what does not is refused with
//! the reference's reason.

use std::sync::Arc;

use crate::support;
use crate::support::anvil::{FUNDS, PRICE, World, with_words};
use crate::support::payer::{Permitted, Transfer, pay, sponsored};
use crate::support::{Stage, key, payee, payer};
use farthing_channel::{Address, Word, WrappedSignature};
use farthing_evm::{NotVerified, TokenConfig};
use farthing_money::Amount;
use farthing_wire::x402::{Payload, Requirements};

/// What the facilitator says of a payment: nothing if it is good.
async fn reason(stage: &Stage, offer: &Requirements, payload: &Payload) -> Option<&'static str> {
    match stage.facilitator.verify(offer, payload).await {
        Ok(_) => None,
        Err(NotVerified::Invalid(invalid)) => Some(invalid.reason.as_str()),
        Err(NotVerified::Unknown(error)) => unreachable!("the node answers: {error}"),
    }
}

/// Verified, settled, and counted: on the chain and in the books.
async fn settles(world: &World, offer: &Requirements, payload: &Payload, units: u128) {
    let stage = &world.stage;
    assert_eq!(reason(stage, offer, payload).await, None);
    let (before, coin) = (world.units(payee()).await, world.coin().await);
    let books = stage.books();
    let id = stage.settle(offer, payload, Amount::new(units));
    stage.round().await;
    world.anvil.mine().await;
    stage.round().await;
    assert!(stage.is_settled(id), "{:?}", stage.outcome(id));
    assert_eq!(world.units(payee()).await, before + units);
    let [earned, reserve, gas] = stage.books();
    let units = i128::try_from(units).unwrap();
    assert_eq!((earned, reserve), (books[0] + units, books[1] + units));
    assert_eq!(gas - books[2], coin - world.coin().await, "what gas has cost, to the wei");
    assert!(gas > books[2]);
}

#[tokio::test]
async fn exact_by_eip3009() {
    let world = World::open().await;
    let offer = &world.offers[0];
    let payload = pay(offer, &payer(), world.now(), 1);
    settles(&world, offer, &payload, PRICE).await;
    assert_eq!(world.units(payer().address()).await, FUNDS - PRICE);
    let again = reason(&world.stage, offer, &payload).await;
    assert_eq!(again, Some("invalid_exact_evm_nonce_already_used"), "once");
    settles(&world, offer, &pay(offer, &payer(), world.now(), 2), PRICE).await;
}

#[tokio::test]
async fn exact_by_permit2() {
    let world = World::open().await;
    let offer = &world.offers[1];
    let payload = Permitted::of(offer, payer().address(), world.now(), 7).signed(offer, &payer());
    let missing = reason(&world.stage, offer, &payload).await;
    assert_eq!(missing, Some("permit2_allowance_required"));
    world.approve().await;
    settles(&world, offer, &payload, PRICE).await;
    assert_eq!(reason(&world.stage, offer, &payload).await, Some("permit2_invalid_nonce"));
}

#[tokio::test]
async fn exact_by_permit2_with_its_allowance() {
    let world = World::open().await;
    for (n, offer) in world.offers[1..].iter().enumerate() {
        let nonce = u64::try_from(n).unwrap();
        let payload =
            Permitted::of(offer, payer().address(), world.now(), 300 + nonce).signed(offer, &payer());
        let payload = sponsored(payload, offer, &payer(), (nonce, world.now() + 300));
        settles(&world, offer, &payload, PRICE).await;
    }
}

#[tokio::test]
async fn upto_moves_what_was_used() {
    let world = World::open().await;
    world.approve().await;
    let offer = &world.offers[2];
    let payload = Permitted::of(offer, payer().address(), world.now(), 7).signed(offer, &payer());
    settles(&world, offer, &payload, 137).await;
    assert_eq!(world.units(payer().address()).await, FUNDS - 137);
    assert_eq!(reason(&world.stage, offer, &payload).await, Some("permit2_invalid_nonce"));
}

/// The wallet that the factory makes for the payer, there or not.
async fn wallet(world: &World, factory: Address) -> (Address, Vec<u8>) {
    use farthing_evm::{Node, Trial};
    let words = [Word::from(payer().address()), Word::from(1)];
    let input = with_words("addressOf(address,bytes32)", &words);
    let answer = world.node.call(Trial { from: payee(), to: factory, input }).await.unwrap();
    let address = Word::from_bytes(answer.try_into().unwrap()).to_address().unwrap();
    (address, with_words("deploy(address,bytes32)", &words))
}

#[tokio::test]
async fn a_wallet_that_is_a_contract_pays() {
    let world = World::open().await;
    let factory = world.anvil.deploy("SmartWalletFactory", &[]).await;
    let (wallet, deploy) = wallet(&world, factory).await;
    world.anvil.send(key(4).address(), Some(factory), &deploy).await;
    world.mint(wallet, FUNDS).await;
    let offer = &world.offers[0];
    let paid = Transfer::of(offer, wallet, world.now(), 1);
    let signature = payer().sign(&paid.digest(offer)).to_bytes();
    // As a key signs, and as many wallets wrap it.
    settles(&world, offer, &paid.signed_with(offer, &signature), PRICE).await;
    let second = Transfer::of(offer, wallet, world.now(), 2);
    let signature = payer().sign(&second.digest(offer)).to_bytes();
    let mut wrapped = [Word::ZERO, Word::from(64), Word::from(65)].map(|word| *word.as_bytes()).concat();
    wrapped.extend(signature);
    wrapped.resize(wrapped.len().next_multiple_of(32), 0);
    settles(&world, offer, &second.signed_with(offer, &wrapped), PRICE).await;
    let strangers = key(3).sign(&Transfer::of(offer, wallet, world.now(), 3).digest(offer)).to_bytes();
    let forged = Transfer::of(offer, wallet, world.now(), 3).signed_with(offer, &strangers);
    assert_eq!(reason(&world.stage, offer, &forged).await, Some("invalid_exact_evm_signature"));
}

#[tokio::test]
async fn a_wallet_that_is_not_there_yet_pays() {
    let world = World::open().await;
    let factory = world.anvil.deploy("SmartWalletFactory", &[]).await;
    let (wallet, deploy) = wallet(&world, factory).await;
    world.mint(wallet, FUNDS).await;
    let offer = world.offers[0].clone();
    let now = world.now();
    let payment = |nonce, factory_call: &[u8]| {
        let paid = Transfer::of(&offer, wallet, now, nonce);
        let signature = payer().sign(&paid.digest(&offer)).to_bytes().to_vec();
        let whole = WrappedSignature { factory, factory_call: factory_call.to_vec(), signature };
        paid.signed_with(&offer, &whole.to_bytes())
    };
    let good = payment(1, &deploy);
    assert_eq!(reason(&world.stage, &offer, &good).await, Some("eip6492_factory_not_allowed"));
    let mut chain = (*world.stage.chain).clone();
    chain.factories = vec![factory];
    let stage = Stage::new(chain, Arc::clone(&world.stage.node), world.stage.hands.clone());
    let world = World { stage, ..world };
    assert_eq!(
        reason(&world.stage, &offer, &payment(1, &[1, 2, 3, 4])).await,
        Some("invalid_exact_evm_transaction_simulation_failed"),
        "the factory creates nothing"
    );
    settles(&world, &offer, &good, PRICE).await;
    let paid = Transfer::of(&offer, wallet, world.now(), 2);
    let signature = payer().sign(&paid.digest(&offer)).to_bytes().to_vec();
    let again = WrappedSignature { factory, factory_call: deploy, signature }.to_bytes();
    settles(&world, &offer, &paid.signed_with(&offer, &again), PRICE).await;
}

#[tokio::test]
async fn what_does_not_pay_is_refused() {
    let world = World::open().await;
    let offer = &world.offers[0];
    let (from, now) = (payer().address(), world.now());
    let whole = Transfer::of(offer, from, now, 1);
    let changed = |change: &dyn Fn(&mut Transfer)| {
        let mut paid = whole.clone();
        change(&mut paid);
        paid.signed(offer, &payer())
    };
    for (payload, expected) in [
        (
            changed(&|paid| paid.valid_before = now + 5),
            "invalid_exact_evm_payload_authorization_valid_before",
        ),
        (changed(&|paid| paid.valid_after = now + 60), "invalid_exact_evm_payload_authorization_valid_after"),
        (changed(&|paid| paid.to = key(3).address()), "invalid_exact_evm_recipient_mismatch"),
        (changed(&|paid| paid.value -= 1), "invalid_exact_evm_payload_authorization_value_mismatch"),
        (whole.signed(offer, &key(3)), "invalid_exact_evm_signature"),
        (
            Transfer::of(offer, key(3).address(), now, 1).signed(offer, &key(3)),
            "invalid_exact_evm_insufficient_balance",
        ),
    ] {
        assert_eq!(reason(&world.stage, offer, &payload).await, Some(expected));
    }
    let mut misnamed = offer.clone();
    misnamed.extra = farthing_wire::x402::Extra::eip3009("USD Coin", "2");
    let payload = pay(&misnamed, &payer(), now, 1);
    assert_eq!(
        reason(&world.stage, &misnamed, &payload).await,
        Some("invalid_exact_evm_token_name_mismatch")
    );
    let mut older = offer.clone();
    older.extra = farthing_wire::x402::Extra::eip3009("USDC", "1");
    let payload = pay(&older, &payer(), now, 1);
    assert_eq!(
        reason(&world.stage, &older, &payload).await,
        Some("invalid_exact_evm_token_version_mismatch")
    );
    assert_eq!(world.units(payee()).await, 0);
}

#[tokio::test]
async fn what_the_token_does_not_move_is_refused_and_given_back() {
    let world = World::open().await;
    let (offer, permit2_offer) = (&world.offers[0], &world.offers[1]);
    world.approve().await;
    let payload = pay(offer, &payer(), world.now(), 1);
    let permitted =
        Permitted::of(permit2_offer, payer().address(), world.now(), 1).signed(permit2_offer, &payer());
    let account = [Word::from(payer().address())];
    for (off, on, words) in
        [("pause()", "unpause()", &[][..]), ("blacklist(address)", "unBlacklist(address)", &account[..])]
    {
        world.call_token(off, words).await;
        let refused = reason(&world.stage, offer, &payload).await;
        assert_eq!(refused, Some("invalid_exact_evm_transaction_simulation_failed"), "{off}");
        let refused = reason(&world.stage, permit2_offer, &permitted).await;
        assert_eq!(refused, Some("permit2_simulation_failed"), "{off}");
        world.call_token(on, words).await;
    }
    // Between verifying and settling.
    let id = world.stage.settle(offer, &payload, Amount::new(PRICE));
    world.call_token("pause()", &[]).await;
    world.stage.round().await;
    assert_eq!(world.stage.failure(id).as_deref(), Some("invalid_exact_evm_transaction_failed"));
    assert_eq!(world.stage.books(), [0, 0, 0], "nothing was sent");
}

#[tokio::test]
async fn a_token_without_authorizations_is_paid_by_permit2_alone() {
    let world = World::with("PlainToken", |chain| {
        let token = chain.tokens.remove(0);
        chain.tokens = vec![TokenConfig { decimals: 18, name: "Plain".into(), ..token }];
    })
    .await;
    let units = PRICE * 10_u128.pow(12);
    world.mint(payer().address(), units).await;
    let [eip3009, by_permit2, _] = &world.offers[..] else { unreachable!("three offers") };
    assert_eq!(eip3009.amount.as_str(), units.to_string());
    let refused = reason(&world.stage, eip3009, &pay(eip3009, &payer(), world.now(), 1)).await;
    assert_eq!(refused, Some("invalid_exact_evm_eip3009_not_supported"));
    world.approve().await;
    let payload = Permitted::of(by_permit2, payer().address(), world.now(), 1).signed(by_permit2, &payer());
    assert_eq!(reason(&world.stage, by_permit2, &payload).await, None);
    let settle = async || {
        let facilitator = &world.stage.facilitator;
        facilitator.settle_for_others(by_permit2, &payload, std::time::Duration::ZERO).await.unwrap()
    };
    assert_eq!(settle().await.error_reason.as_deref(), Some("settlement_pending"));
    world.stage.round().await;
    world.anvil.mine().await;
    world.stage.round().await;
    assert_eq!(world.units(payee()).await, units);
    assert!(settle().await.success);
    assert_eq!(settle().await.error_reason.as_deref(), Some("permit2_invalid_nonce"), "it is told once");
}

#[tokio::test]
async fn a_token_that_moves_less_is_found_out() {
    let world = World::with("LyingToken", |_| ()).await;
    let offer = &world.offers[0];
    let payload = pay(offer, &payer(), world.now(), 1);
    assert_eq!(reason(&world.stage, offer, &payload).await, None, "nobody sees it before");
    let id = world.stage.settle(offer, &payload, Amount::new(PRICE));
    world.stage.round().await;
    world.anvil.mine().await;
    world.stage.round().await;
    assert_eq!(world.stage.failure(id).as_deref(), Some("invalid_exact_evm_transfer_event_mismatch"));
    assert_eq!(world.stage.books()[..2], [0, 0]);
    assert_eq!(world.units(payee()).await, PRICE - 1);
}

/// A withdrawal: our own tokens, sent by ourselves.
#[tokio::test]
async fn what_we_pay_out_needs_no_signature_but_ours() {
    use farthing_engine::{Call, CallId, ChainAddress, Command, Facilitate, Movement};
    let world = World::open().await;
    let me = world.stage.submitter().address();
    world.mint(me, 500).await;
    let engine = |address: Address| ChainAddress::from_bytes(*address.as_bytes());
    let pay_out = |name: u8, units: u128| {
        let moves = Movement {
            token: engine(world.token),
            from: engine(me),
            to: engine(payee()),
            units: Amount::new(units),
        };
        let input = farthing_channel::call::transfer(payee(), Amount::new(units).into());
        let until = farthing_money::Timestamp::from_secs(world.now() + 1_000);
        let call = Call {
            chain: support::CHAIN.number(),
            to: engine(world.token),
            input,
            moves,
            until,
            approval: None,
        };
        let id = CallId::from_bytes([name; 32]);
        world.stage.desk.run(&Command::Facilitate(Facilitate { id, call })).unwrap();
        id
    };
    let (first, second, too_much) = (pay_out(1, 200), pay_out(2, 300), pay_out(3, 501));
    world.stage.round().await;
    world.anvil.mine().await;
    world.stage.round().await;
    assert!(world.stage.is_settled(first) && world.stage.is_settled(second));
    assert_eq!(world.units(payee()).await, 500);
    let reason = world.stage.failure(too_much);
    assert_eq!(reason.as_deref(), Some("invalid_exact_evm_insufficient_balance"));
}
