//! Channels on a real chain, by the escrow's stand-in: deposits are judged, carried and overtaken, what is charged is claimed and
//! moved, and what is left goes back.

use crate::support::anvil::{FUNDS, PRICE};
use crate::support::pier::{Pier, signature, text};
use crate::support::{CHAIN, key, payee, payer, submitter, usd};
use farthing_channel::{Address, BATCH_ESCROW};
use farthing_engine::{CallId, ChannelRow, ChannelStep, Outcome, Read};
use farthing_money::Amount;
use farthing_wire::x402::Uint;
use farthing_wire::x402::batch::DepositAuthorization;

#[tokio::test]
async fn a_channel_from_its_deposit_to_its_refund() {
    let pier = Pier::open().await;
    let [offer, _] = pier.offers();
    let deposit = pier.receive(1, 10_000, PRICE, 1);
    let sound = pier.judge(&offer, &deposit).await.unwrap();
    let made = pier.make(&sound);
    pier.pass().await;
    assert!(pier.world.stage.is_settled(made));
    assert_eq!(pier.books(), [10_000, 0, 10_000, 0, 0, 0]);
    assert_eq!(pier.world.units(payer().address()).await, FUNDS - 10_000);
    for _ in 0..3 {
        pier.charge(1, PRICE);
    }
    assert_eq!(pier.worker.run_once().await.unwrap().claimed, 1);
    assert_eq!(pier.pass().await.swept, 1);
    pier.pass().await;
    assert_eq!(pier.books(), [7_000, 0, 7_000, 0, 3_000, 3_000]);
    assert_eq!(pier.world.units(payee()).await, 3_000);

    // What was charged since is claimed with the refund, in one transaction of our own account.
    pier.charge(1, PRICE);
    let row = pier.world.stage.desk.channel(pier.id(1)).unwrap().unwrap();
    let plan = row.books.refund(&row.terms, None).unwrap();
    assert!(plan.claim.is_some());
    let call = pier.world.stage.facilitator.refund_of(&row.terms, &plan).unwrap();
    let id = CallId::from_bytes([8; 32]);
    pier.make_call(id, ChannelStep::Refund(pier.id(1)), call, None);
    pier.pass().await;
    assert!(pier.world.stage.is_settled(id));
    assert_eq!(pier.world.units(payer().address()).await, FUNDS - 4_000);
    let row = pier.world.stage.desk.channel(pier.id(1)).unwrap().unwrap();
    assert_eq!((row.refund, row.books.chain().balance), (None, Amount::new(4_000)));
    pier.world.stage.hands.pass(3_600);
    for _ in 0..3 {
        pier.pass().await;
    }
    assert_eq!(pier.books(), [0, 0, 0, 0, 4_000, 4_000]);
    assert_eq!((pier.world.units(payee()).await, pier.world.units(BATCH_ESCROW).await), (4_000, 0));
}

#[tokio::test]
async fn a_deposit_by_permit2_needs_its_allowance() {
    let pier = Pier::open().await;
    let [_, offer] = pier.offers();
    let deposit = pier.permit(1, 10_000, PRICE, 7);
    assert_eq!(pier.refusal(&offer, &deposit).await, "permit2_allowance_required");
    pier.world.approve().await;
    let made = pier.make(&pier.judge(&offer, &deposit).await.unwrap());
    pier.pass().await;
    assert!(pier.world.stage.is_settled(made));
    assert_eq!(pier.books()[0], 10_000);
    assert_eq!(pier.refusal(&offer, &deposit).await, "deposit_simulation_failed", "its number is used");
}

/// Anybody may carry a payer's deposit. The money is in the channel then, whoever has done it.
#[tokio::test]
async fn a_deposit_that_somebody_else_has_carried_is_settled() {
    for is_sent in [false, true] {
        let pier = Pier::open().await;
        let [offer, _] = pier.offers();
        let sound = pier.judge(&offer, &pier.receive(1, 10_000, PRICE, 1)).await.unwrap();
        let made = pier.make(&sound);
        if is_sent {
            // Ours has a number when a restart comes between, and the node has forgotten it.
            pier.world.stage.round().await;
        }
        let other = key(3).address();
        pier.world.anvil.ask("anvil_dropAllTransactions", serde_json::json!([])).await;
        pier.world.anvil.send(other, Some(BATCH_ESCROW), &sound.call.input).await;
        let stage = pier.world.stage.restarted();
        for _ in 0..3 {
            stage.round().await;
            pier.world.anvil.mine().await;
        }
        stage.round().await;
        let outcome = stage.outcome(made);
        assert!(matches!(outcome, Some(Outcome::Settled { .. })), "{is_sent}: {outcome:?}");
        pier.worker.run_once().await.unwrap();
        assert_eq!(pier.books(), [10_000, 0, 10_000, 0, 0, 0]);
    }
}

/// A channel with money in it that the books do not know is opened by a look, with what its payer says was charged.
#[tokio::test]
async fn a_channel_that_was_filled_by_somebody_else_is_opened() {
    let pier = Pier::open().await;
    let [offer, _] = pier.offers();
    let sound = pier.judge(&offer, &pier.receive(1, 10_000, PRICE, 1)).await.unwrap();
    let chain = &pier.world.stage.chain;
    let accounts = chain.channel_accounts(&chain.tokens[0]);
    let now = pier.world.stage.hands.now();
    let unit = chain.tokens[0].unit_worth();
    let row = ChannelRow::new((CHAIN.number(), sound.terms), (usd(), unit), accounts, now);
    let opens = row.charged_before(Amount::new(500));
    let id = pier.id(1);
    pier.worker.see(id, Some(opens.clone())).await.unwrap();
    assert_eq!(pier.world.stage.desk.channel(id).unwrap(), None, "there is no money in it");
    pier.world.anvil.send(key(3).address(), Some(BATCH_ESCROW), &sound.call.input).await;
    pier.worker.see(id, None).await.unwrap();
    assert_eq!(pier.world.stage.desk.channel(id).unwrap(), None, "nobody has said what was charged");
    pier.worker.see(id, Some(opens)).await.unwrap();
    let row = pier.world.stage.desk.channel(id).unwrap().unwrap();
    assert_eq!((row.books.charged(), row.books.chain().balance), (Amount::new(500), Amount::new(10_000)));
    assert_eq!(pier.books(), [10_000, 0, 9_500, -500, 0, 0], "what is said to be charged is not the payer's");
    pier.charge(1, PRICE);
    assert_eq!(pier.books(), [10_000, 0, 8_500, -500, 0, 1_000]);
}

#[tokio::test]
async fn what_is_no_sound_deposit_is_refused_in_the_references_order() {
    let pier = Pier::open().await;
    let [offer, permit2] = pier.offers();
    let good = || pier.receive(1, 10_000, PRICE, 1);
    pier.judge(&offer, &good()).await.unwrap();
    let mut cases = Vec::new();
    let mut case = |expected: &'static str,
                    change: &dyn Fn(&mut farthing_wire::x402::batch::DepositPayload)| {
        let mut deposit = good();
        change(&mut deposit);
        cases.push((expected, offer.clone(), deposit));
    };
    let nobody = text(Address::ZERO);
    case("channel_id_mismatch", &|deposit| deposit.channel_config.receiver = nobody);
    case("withdraw_delay_out_of_range", &|deposit| deposit.channel_config.withdraw_delay = 1 << 40);
    case("cumulative_exceeds_balance", &|deposit| *deposit = pier.receive(1, 10_000, 10_001, 1));
    case("cumulative_below_claimed", &|deposit| *deposit = pier.receive(1, 10_000, 0, 1));
    case("insufficient_balance", &|deposit| *deposit = pier.receive(1, FUNDS + 1, PRICE, 1));
    let beyond = Uint::from(Amount::MAX).as_str().replace("455", "456");
    case("insufficient_balance", &|deposit| deposit.deposit.amount = beyond.parse().unwrap());
    case("voucher_signature", &|deposit| deposit.voucher.signature = signature(&[1; 65]));
    case("receive_authorization_signature", &|deposit| deposit.deposit.amount = 9_999_u64.into());
    case("voucher_signature", &|deposit| deposit.voucher.max_claimable_amount = 999_u64.into());
    let authorized = |deposit: &mut farthing_wire::x402::batch::DepositPayload, after: u64, before: u64| {
        let DepositAuthorization::Eip3009(receive) = &mut deposit.deposit.authorization else { panic!() };
        (receive.valid_after, receive.valid_before) = (after.into(), before.into());
    };
    let now = pier.world.now();
    case("payload_authorization_valid_before", &|deposit| authorized(deposit, 0, now + 5));
    case("payload_authorization_valid_after", &|deposit| authorized(deposit, now + 1, now + 300));
    // Terms are judged before signatures, and the way before the voucher.
    let mut other = |expected, change: &dyn Fn(&mut farthing_wire::x402::Requirements)| {
        let mut wanted = offer.clone();
        change(&mut wanted);
        let mut deposit = good();
        deposit.voucher.signature = signature(&[1; 65]);
        cases.push((expected, wanted, deposit));
    };
    other("receiver_mismatch", &|offer| offer.pay_to = submitter().address().to_string());
    other("receiver_authorizer_mismatch", &|offer| {
        offer.extra = offer.extra.clone().with("receiverAuthorizer", payee().to_string());
    });
    other("token_mismatch", &|offer| offer.asset = payee().to_string());
    other("withdraw_delay_mismatch", &|offer| offer.extra = offer.extra.clone().with("withdrawDelay", 901));
    other("payload_type", &|offer| *offer = permit2.clone());
    other("missing_eip712_domain", &|offer| offer.extra = offer.extra.clone().with("name", ""));
    for (expected, wanted, deposit) in &cases {
        assert_eq!(pier.refusal(wanted, deposit).await, *expected);
    }
    let by_permit = |change: &dyn Fn(&mut farthing_wire::x402::batch::DepositPermit2)| {
        let mut deposit = pier.permit(1, 10_000, PRICE, 3);
        let DepositAuthorization::Permit2(permit) = &mut deposit.deposit.authorization else { panic!() };
        change(permit);
        deposit
    };
    for (expected, deposit) in [
        ("permit2_invalid_signature", by_permit(&|permit| permit.from = nobody)),
        ("permit2_invalid_spender", by_permit(&|permit| permit.spender = nobody)),
        ("token_mismatch", by_permit(&|permit| permit.permitted.token = nobody)),
        ("permit2_amount_mismatch", by_permit(&|permit| permit.permitted.amount = 1_u64.into())),
        ("permit2_deadline_expired", by_permit(&|permit| permit.deadline = (now + 5).into())),
        ("permit2_invalid_signature", by_permit(&|permit| permit.nonce = 4_u64.into())),
    ] {
        assert_eq!(pier.refusal(&permit2, &deposit).await, expected);
    }
}

/// A payer without an authorizer is asked itself, which may be a contract.
#[tokio::test]
async fn a_signature_is_an_accounts_or_a_contracts() {
    let pier = Pier::open().await;
    let digest = farthing_channel::keccak256(b"a voucher");
    let facilitator = &pier.world.stage.facilitator;
    let signed = payer().sign(&digest).to_bytes();
    assert!(facilitator.is_signed_by(payer().address(), digest, &signed).await.unwrap());
    assert!(!facilitator.is_signed_by(payee(), digest, &signed).await.unwrap());
    assert!(!facilitator.is_signed_by(payer().address(), digest, &[]).await.unwrap());
}

/// Went wrong: a claim of many channels used more gas than one call may, failed, and was made anew for ever.
#[tokio::test]
async fn a_claim_has_as_many_rows_as_its_gas_has_room_for() {
    let pier = Pier::with(|chain| chain.fees.gas_most = 200_000).await;
    let [offer, _] = pier.offers();
    for salt in 1..=9 {
        let deposit = pier.receive(salt, 10_000, PRICE, salt);
        pier.make(&pier.judge(&offer, &deposit).await.unwrap());
        pier.pass().await;
    }
    (1..=9).for_each(|salt| pier.charge(salt, 2 * PRICE));
    let first = pier.worker.run_once().await.unwrap();
    assert!((1..9).contains(&first.claimed) && first.bad == 0, "{first:?}");
    for _ in 0..10 {
        pier.pass().await;
    }
    let claimed = |salt| pier.world.stage.desk.channel(pier.id(salt)).unwrap().unwrap().books.chain().claimed;
    assert!((1..=9).all(|salt| claimed(salt) == Amount::new(2 * PRICE)));
    assert_eq!(pier.books()[4], 18_000);
}

/// Went wrong: whoever took no more channels was not paid for those that were open.
#[tokio::test]
async fn what_is_owed_is_claimed_when_no_more_channels_are_taken() {
    let pier = Pier::open().await;
    let [offer, _] = pier.offers();
    pier.make(&pier.judge(&offer, &pier.receive(1, 10_000, PRICE, 1)).await.unwrap());
    pier.pass().await;
    pier.charge(1, PRICE);
    let stage = pier.world.stage.without_channels();
    let worker = farthing_evm::ChannelWorker::new(std::sync::Arc::clone(stage.facilitator.submitter()));
    assert!(stage.facilitator.channel_offers(usd().money(Amount::new(PRICE))).is_empty());
    worker.run_once().await.unwrap();
    assert_eq!(worker.claim_now(None).await.unwrap().claimed, 1);
}
