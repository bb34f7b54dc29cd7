//! Payments through escrow on a real chain: what goes in comes out once, to whoever it belongs to, whatever goes wrong between.

use crate::support::anvil::{FUNDS, PRICE, World};
use crate::support::payer::Transfer;
use crate::support::voucher::shop;
use crate::support::{CHAIN, key, payee, payer, submitter, usd};
use farthing_channel::{
    Address, AuthorizationNonce, Domain, EscrowStep, PaymentInfo, SigningKey, Word, escrow,
};
use farthing_engine::{
    Answer, Authorize, CallId, Capture, Command, Funds, Marks, PaymentId, PaymentState, Read, Reject, Void,
};
use farthing_evm::{NotByHand, NotVerified, Said};
use farthing_money::{Amount, Money};
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::{AuthCapture, Payload, Requirements, SchemePayload, SignatureText, Uint};
use serde_json::{Map, json};

/// What the payer signs, and what it is the hash of.
struct Signing {
    info: PaymentInfo,
    transfer: Transfer,
    salt: [u8; 32],
}

impl Signing {
    fn of(offer: &Requirements, from: Address, now: u64, salt: u8) -> Self {
        let terms = offer.extra.escrow_terms().unwrap();
        let salt = [salt; 32];
        let info = PaymentInfo {
            operator: Address::from_bytes(terms.authorizer.0),
            payer: from,
            receiver: offer.pay_to.parse().unwrap(),
            token: offer.asset.parse().unwrap(),
            max_amount: offer.amount.as_str().parse().unwrap(),
            pre_approval_expiry: Word::from(now + 300),
            authorization_expiry: Word::from(terms.capture_deadline),
            refund_expiry: Word::from(terms.refund_deadline),
            min_fee_bps: Word::ZERO,
            max_fee_bps: Word::ZERO,
            fee_receiver: Address::ZERO,
            salt: Word::from_bytes(salt),
        };
        let transfer = Transfer { to: escrow::ESCROW_COLLECTOR, ..Transfer::of(offer, from, now, 0) };
        let mut signing = Self { info, transfer, salt };
        signing.hash();
        signing
    }

    fn hash(&mut self) {
        let nonce: AuthorizationNonce = self.info.nonce(CHAIN, escrow::AUTH_CAPTURE_ESCROW);
        self.transfer.nonce = *nonce.as_bytes();
    }

    fn signed(&self, offer: &Requirements, key: &SigningKey) -> Payload {
        let token = offer.asset.parse().unwrap();
        let domain = Domain::new(offer.extra.name().unwrap(), offer.extra.version(), CHAIN, Some(token));
        let digest = self.transfer.authorization().receive_digest(&domain);
        let payload = self.transfer.signed_with(offer, &key.sign(&digest).to_bytes());
        let SchemePayload::Eip3009(signed) = payload.payload else { panic!("an authorization") };
        let paid = AuthCapture { signed, salt: HexText(self.salt), other: Map::new() };
        Payload { payload: SchemePayload::AuthCapture(paid), ..payload }
    }
}

struct Deal<'a> {
    world: &'a World,
    offer: Requirements,
    payload: Payload,
    payment: PaymentId,
    info: PaymentInfo,
}

impl<'a> Deal<'a> {
    /// A payment that was signed.
    fn new(world: &'a World, salt: u8) -> Self {
        let price = Money::new(Amount::new(PRICE), usd());
        let offer = world.stage.facilitator.escrow_offers(price).remove(0);
        let signing = Signing::of(&offer, payer().address(), world.now(), salt);
        let payload = signing.signed(&offer, &payer());
        let payment = world.stage.facilitator.payment_of(&offer, &payload).unwrap();
        Self { world, offer, payload, payment, info: signing.info }
    }

    fn call(&self, step: EscrowStep, units: u128) -> farthing_engine::Call {
        let facilitator = &self.world.stage.facilitator;
        let made = facilitator.put_into_escrow(&self.offer, &self.payload, Amount::new(PRICE)).unwrap();
        match step {
            EscrowStep::Authorize => made,
            EscrowStep::Capture => facilitator.out_of_escrow(&made, Some(Amount::new(units))).unwrap(),
            EscrowStep::Void => facilitator.out_of_escrow(&made, None).unwrap(),
        }
    }

    fn run(&self, command: &Command) -> Result<Answer, Reject> {
        self.world.stage.desk.run(command)
    }

    fn state(&self) -> Option<PaymentState> {
        self.world.stage.desk.payment(self.payment).unwrap().map(|row| row.state)
    }

    /// Verified, held, and on its way into escrow.
    async fn authorize(&self) {
        let stage = &self.world.stage;
        stage.facilitator.verify(&self.offer, &self.payload).await.unwrap();
        let reserve = stage.chain.reserve(&stage.chain.tokens[0]).id();
        let funds = Funds::Chain { reserve, amount: Amount::new(PRICE) };
        stage.hold(self.payment, funds, Amount::new(PRICE)).unwrap();
        let call = self.call(EscrowStep::Authorize, PRICE);
        let authorize = Authorize { payment: self.payment, call, accounts: vec![reserve], asset: usd() };
        self.run(&Command::Authorize(authorize)).unwrap();
    }

    /// The same, and there.
    async fn escrowed(&self) {
        self.authorize().await;
        self.work().await;
        assert_eq!(self.state(), Some(PaymentState::Escrowed));
    }

    fn capture(&self, units: u128) -> Result<Answer, Reject> {
        let stage = &self.world.stage;
        self.run(&Command::Capture(Capture {
            payment: self.payment,
            call: Some(self.call(EscrowStep::Capture, units)),
            back: self.call(EscrowStep::Void, PRICE),
            charged: Amount::new(units),
            pass_until: None,
            accounts: vec![stage.chain.reserve(&stage.chain.tokens[0]).id()],
            merchant: shop().into(),
            asset: usd(),
            marks: Marks::default(),
        }))
    }

    fn void(&self) {
        let stage = &self.world.stage;
        let accounts = vec![stage.chain.reserve(&stage.chain.tokens[0]).id()];
        let call = self.call(EscrowStep::Void, PRICE);
        self.run(&Command::Void(Void {
            payment: self.payment,
            call,
            accounts,
            asset: usd(),
            marks: Marks::default(),
        }))
        .unwrap();
    }

    /// One block more, with a round before and after it.
    async fn work(&self) {
        self.world.stage.round().await;
        self.world.anvil.mine().await;
        self.world.stage.round().await;
    }

    /// Until nothing is under way.
    async fn quiet(&self) {
        for _ in 0..8 {
            if self.world.stage.desk.calls().unwrap().is_empty() {
                return;
            }
            self.work().await;
        }
        panic!("{:?}", self.world.stage.desk.calls().unwrap());
    }

    /// What the payer, the shop and the escrow have; all of it is what the payer had, and the books say what the shop has.
    async fn stands(&self, shop: u128, escrow: u128) {
        let world = self.world;
        assert_eq!(world.units(payer().address()).await, FUNDS - shop - escrow, "the payer");
        assert_eq!(world.units(payee()).await, shop, "the shop");
        assert_eq!(world.units(escrow::ESCROW_COLLECTOR).await, 0, "the collector");
        let [earned, reserve, _] = world.stage.books();
        let shop = i128::try_from(shop).unwrap();
        assert_eq!((earned, reserve), (shop, shop), "the books");
    }

    /// What the contract has.
    async fn left(&self) -> (bool, u64) {
        use farthing_evm::{Node, Trial};
        let (from, to) = (payee(), escrow::AUTH_CAPTURE_ESCROW);
        let input = escrow::payment_state(self.info.hash(CHAIN, to));
        let answer = self.world.node.call(Trial { from, to, input }).await.unwrap();
        let words: Vec<_> = answer.as_chunks::<32>().0.iter().map(|word| Word::from_bytes(*word)).collect();
        (words[0] != Word::ZERO, words[1].to_u64().unwrap())
    }
}

#[tokio::test]
async fn what_goes_in_comes_out_to_the_shop() {
    let world = World::open().await;
    let deal = Deal::new(&world, 1);
    let (coin, before) = (world.coin().await, world.stage.books()[2]);
    deal.escrowed().await;
    deal.stands(0, PRICE).await;
    assert!(matches!(deal.capture(PRICE), Ok(Answer::Settling(_))));
    deal.quiet().await;
    deal.stands(PRICE, 0).await;
    assert_eq!(deal.state(), Some(PaymentState::Posted));
    assert!(world.stage.is_settled(CallId::of_payment(deal.payment)));
    assert_eq!(world.stage.outcome(CallId::of_void(deal.payment)), None, "nothing was left");
    assert_eq!(world.stage.books()[2] - before, coin - world.coin().await, "gas, to the wei");
    assert_eq!(deal.left().await, (true, 0));
    // The authorization is used, whoever brings it.
    let again = world.stage.facilitator.verify(&deal.offer, &deal.payload).await.unwrap_err();
    assert!(again.to_string().starts_with("invalid_auth_capture_evm_payment_already_collected"), "{again}");
}

#[tokio::test]
async fn what_was_not_used_goes_back() {
    let world = World::open().await;
    let deal = Deal::new(&world, 1);
    deal.escrowed().await;
    deal.capture(137).unwrap();
    deal.quiet().await;
    deal.stands(137, 0).await;
    assert!(world.stage.is_settled(CallId::of_void(deal.payment)));
    // Nobody was served for the second.
    let deal = Deal::new(&world, 2);
    deal.escrowed().await;
    deal.void();
    assert_eq!(deal.capture(PRICE).err(), Some(Reject::NotInEscrow(deal.payment)));
    deal.quiet().await;
    deal.stands(137, 0).await;
    assert_eq!((deal.state(), deal.left().await), (None, (true, 0)));
}

/// Went wrong in the design: what a crash has left in escrow waited for a retry that never came.
#[tokio::test]
async fn what_nobody_asks_for_any_more_goes_back_by_itself() {
    let world = World::open().await;
    let first = Deal::new(&world, 1);
    first.escrowed().await;
    world.stage.hands.pass(590);
    let second = Deal::new(&world, 2);
    second.escrowed().await;
    assert_eq!(first.state(), Some(PaymentState::Escrowed), "its answer may still come");
    world.stage.hands.pass(60);
    let stage = world.stage.restarted();
    stage.round().await;
    assert_eq!((first.state(), second.state()), (None, Some(PaymentState::Escrowed)));
    world.anvil.mine().await;
    stage.round().await;
    first.stands(0, PRICE).await;
    // What is being captured is not given back, however long that takes.
    second.capture(PRICE).unwrap();
    world.stage.hands.pass(3_000);
    world.stage.submitter().run_once().await.unwrap();
    second.quiet().await;
    second.stands(PRICE, 0).await;
}

#[tokio::test]
async fn a_capture_that_comes_too_late_leaves_it_to_the_payer() {
    let world = World::open().await;
    let deal = Deal::new(&world, 1);
    deal.escrowed().await;
    deal.capture(PRICE).unwrap();
    world.anvil.pass(5_000).await;
    world.anvil.mine().await;
    world.stage.round().await;
    let late = Some("invalid_auth_capture_evm_capture_deadline_expired".to_owned());
    assert_eq!((world.stage.failure(CallId::of_payment(deal.payment)), deal.state()), (late, None));
    deal.quiet().await;
    deal.stands(0, 0).await;
    assert_eq!(deal.left().await, (true, 0));
}

/// The payer may take it back when the time is over; then there is nothing to give back any more.
#[tokio::test]
async fn what_the_payer_has_taken_back_is_not_given_back_again() {
    let world = World::open().await;
    let deal = Deal::new(&world, 1);
    deal.escrowed().await;
    world.anvil.pass(5_000).await;
    // The same words as a void, with the payer's function.
    let mut reclaim = escrow::void(&deal.info);
    let function = "reclaim((address,address,address,address,uint120,uint48,uint48,uint48,uint16,uint16,address,uint256))";
    reclaim[..4].copy_from_slice(&farthing_channel::keccak256(function.as_bytes()).as_bytes()[..4]);
    world.anvil.send(payer().address(), Some(escrow::AUTH_CAPTURE_ESCROW), &reclaim).await;
    deal.void();
    deal.quiet().await;
    deal.stands(0, 0).await;
    assert!(world.stage.failure(CallId::of_void(deal.payment)).is_some(), "there was nothing left");
}

/// A token that refuses for a while keeps nothing for ever: what was served is not paid, and the money goes back when it can.
#[tokio::test]
async fn a_void_waits_until_the_token_moves_again() {
    let world = World::open().await;
    let deal = Deal::new(&world, 1);
    deal.escrowed().await;
    world.call_token("pause()", &[]).await;
    deal.capture(PRICE).unwrap();
    world.stage.round().await;
    assert_eq!(deal.state(), None, "refused at once");
    for _ in 0..3 {
        deal.work().await;
        assert_eq!(world.stage.desk.calls().unwrap().len(), 1, "the void waits");
    }
    world.call_token("unpause()", &[]).await;
    deal.quiet().await;
    deal.stands(0, 0).await;
}

/// What is written down as a call is nobody's any more: its payer takes the authorization back before it is carried.
#[tokio::test]
async fn what_never_gets_there_is_given_back_in_the_books() {
    let world = World::open().await;
    let deal = Deal::new(&world, 1);
    deal.authorize().await;
    world.anvil.pass(301).await;
    world.anvil.mine().await;
    world.stage.round().await;
    let late = Some("invalid_auth_capture_evm_authorization_expired".to_owned());
    assert_eq!(world.stage.failure(CallId::of_authorize(deal.payment)), late);
    assert_eq!(deal.state(), None);
    deal.stands(0, 0).await;
}

/// A fork drops the block with the money, while somebody is served for it: it is carried again, and then captured.
#[tokio::test]
async fn a_fork_takes_it_back_and_it_comes_again() {
    let world = World::open().await;
    let deal = Deal::new(&world, 1);
    let before = world.anvil.ask("evm_snapshot", json!([])).await;
    deal.escrowed().await;
    world.anvil.ask("evm_revert", json!([before])).await;
    world.anvil.mine().await;
    deal.capture(137).unwrap();
    // The capture waits for what it takes from.
    world.stage.round().await;
    assert_eq!(deal.left().await, (false, 0));
    assert_eq!(world.stage.desk.calls().unwrap().len(), 2);
    deal.quiet().await;
    deal.stands(137, 0).await;
    assert_eq!(deal.left().await, (true, 0));
}

/// What a payer may change of what it signs.
type Change = fn(&mut Signing);

async fn reason(world: &World, offer: &Requirements, payload: &Payload) -> String {
    match world.stage.facilitator.verify(offer, payload).await {
        Ok(_) => String::new(),
        Err(NotVerified::Invalid(invalid)) => {
            let text = invalid.reason.as_str();
            text.strip_prefix("invalid_auth_capture_evm_").unwrap_or(text).to_owned()
        }
        Err(NotVerified::Unknown(error)) => unreachable!("the node answers: {error}"),
    }
}

#[tokio::test]
async fn what_was_not_agreed_is_refused() {
    let world = World::open().await;
    let deal = Deal::new(&world, 1);
    let (offer, now) = (&deal.offer, world.now());
    assert_eq!(reason(&world, offer, &deal.payload).await, "");
    let signing = || Signing::of(offer, payer().address(), now, 1);
    let changes: [(Change, &str); 9] = [
        (|it| it.transfer.to = payee(), "token_collector_mismatch"),
        (|it| it.transfer.valid_before = 1, "authorization_expired"),
        (|it| it.transfer.valid_before += 100_000, "deadline_ordering"),
        (|it| it.transfer.valid_after = it.transfer.valid_before, "authorization_not_yet_valid"),
        (|it| it.transfer.value = 1, "amount_mismatch"),
        (|it| it.transfer.nonce = [9; 32], "nonce_mismatch"),
        (|it| it.salt = [9; 32], "nonce_mismatch"),
        (|it| it.info.receiver = submitter().address(), "nonce_mismatch"),
        (|it| it.info.operator = payer().address(), "nonce_mismatch"),
    ];
    for (n, (change, expected)) in changes.into_iter().enumerate() {
        let mut it = signing();
        change(&mut it);
        if n > 6 {
            it.hash();
        }
        assert_eq!(reason(&world, offer, &it.signed(offer, &payer())).await, expected, "change {n}");
    }
    assert_eq!(reason(&world, offer, &signing().signed(offer, &key(3))).await, "signature");
    // A stranger's signature is said before what else is wrong with it.
    let mut strangers = signing();
    strangers.transfer.value = 1;
    assert_eq!(reason(&world, offer, &strangers.signed(offer, &key(3))).await, "signature");
    let with = |member: &str, value: serde_json::Value| Requirements {
        extra: offer.extra.clone().with(member, value),
        ..offer.clone()
    };
    for (member, value, expected) in [
        ("captureAuthorizer", json!(payee().to_string()), "operator_not_admitted"),
        ("authCaptureEscrow", json!(payee().to_string()), "extra"),
        ("maxFeeBps", json!(1), "extra"),
        ("captureDeadline", json!(now + 5), "capture_deadline_expired"),
        ("captureDeadline", json!(now + 899), "deadline_ordering"),
        ("refundDeadline", json!(now + 900), "deadline_ordering"),
        ("refundDeadline", json!(1_u64 << 48), "extra"),
    ] {
        assert_eq!(
            reason(&world, &with(member, value.clone()), &deal.payload).await,
            expected,
            "{member} {value}"
        );
    }
    let mut shapeless = deal.payload.clone();
    let SchemePayload::AuthCapture(paid) = &mut shapeless.payload else { panic!("it has a salt") };
    paid.other.insert("saltNonce".into(), json!("0x00"));
    assert_eq!(reason(&world, offer, &shapeless).await, "payload_format");
    let mut other = deal.payload.clone();
    other.accepted.scheme = "exact".into();
    assert_eq!(reason(&world, offer, &other).await, "scheme");
    // More than the payer has.
    let costly = Requirements { amount: Uint::from(Amount::new(FUNDS + 1)), ..offer.clone() };
    let it = Signing::of(&costly, payer().address(), now, 5);
    assert_eq!(reason(&world, &costly, &it.signed(&costly, &payer())).await, "insufficient_balance");
    // For others nobody would capture it.
    let answer = world.stage.facilitator.verify_for_others(offer, &deal.payload).await.unwrap();
    assert_eq!(answer.invalid_reason.as_deref(), Some("invalid_auth_capture_evm_operator_not_admitted"));
    let broken = SignatureText::new(vec![7; 65]).unwrap();
    let SchemePayload::AuthCapture(paid) = &mut shapeless.payload else { panic!("it has a salt") };
    (paid.signed.signature, paid.other) = (broken, Map::new());
    assert_eq!(reason(&world, offer, &shapeless).await, "signature");
}

/// Went wrong: what a payer sent along was taken for what he had signed, so that money was taken out on other terms than it
/// was put there: for less, or by a call that the contract refuses for ever.
#[tokio::test]
async fn a_call_is_made_of_what_was_signed_alone() {
    let world = World::open().await;
    let deal = Deal::new(&world, 1);
    let facilitator = &world.stage.facilitator;
    let into = |offer: &Requirements, units: u128| {
        let lie = Payload { accepted: offer.clone(), ..deal.payload.clone() };
        assert_eq!(facilitator.payment_of(offer, &lie), Some(deal.payment), "the same payment");
        facilitator.put_into_escrow(offer, &lie, Amount::new(units)).map_err(|error| error.reason.to_string())
    };
    let cheap = Requirements { amount: Uint::from(Amount::new(1)), ..deal.offer.clone() };
    let later = deal.offer.extra.clone().with("captureDeadline", json!(world.now() + 9_999));
    let longer = Requirements { extra: later, ..deal.offer.clone() };
    for (offer, units, reason) in
        [(&cheap, 1, "amount"), (&longer, PRICE, "nonce"), (&deal.offer, 1, "amount")]
    {
        let refused = into(offer, units).unwrap_err();
        assert_eq!(refused, format!("invalid_auth_capture_evm_{reason}_mismatch"));
    }
    // What was put there comes out on its own terms.
    deal.escrowed().await;
    let made = into(&deal.offer, PRICE).unwrap();
    assert!(facilitator.out_of_escrow(&made, Some(Amount::new(PRICE + 1))).is_err(), "more than there is");
    let back = facilitator.out_of_escrow(&made, None).unwrap();
    assert!(facilitator.out_of_escrow(&back, None).is_err(), "that puts nothing there");
    deal.capture(PRICE).unwrap();
    deal.quiet().await;
    deal.stands(PRICE, 0).await;
}

/// Went wrong: a return of what a fork had taken back was under way for ever, and the operator could not end it.
#[tokio::test]
async fn what_a_fork_has_taken_for_good_needs_no_return() {
    let world = World::open().await;
    let deal = Deal::new(&world, 1);
    let before = world.anvil.ask("evm_snapshot", json!([])).await;
    deal.escrowed().await;
    let void = CallId::of_void(deal.payment);
    let refused = world.stage.submitter().end_by_hand(void, Said::Failed).await.unwrap_err();
    assert!(matches!(refused, NotByHand::NotUnderWay(_)), "{refused}");
    deal.void();
    let refused = world.stage.submitter().end_by_hand(void, Said::Failed).await.unwrap_err();
    assert!(matches!(refused, NotByHand::Decides(_)), "the money is there: {refused}");
    assert_eq!(deal.left().await, (true, u64::try_from(PRICE).unwrap()));
    world.anvil.ask("evm_revert", json!([before])).await;
    let refused = world.stage.submitter().end_by_hand(void, Said::Failed).await.unwrap_err();
    assert!(matches!(refused, NotByHand::Decides(_)), "it may come back: {refused}");
    world.anvil.pass(5_000).await;
    world.anvil.mine().await;
    for _ in 0..12 {
        deal.work().await;
        world.stage.hands.pass(400);
    }
    assert_eq!(world.stage.desk.calls().unwrap(), []);
    assert!(!world.stage.is_settled(CallId::of_authorize(deal.payment)) && !world.stage.is_settled(void));
    deal.stands(0, 0).await;
}
