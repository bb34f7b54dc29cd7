//! Channels of the gates of others on a chain in memory: what may be said of an order, and what strangers may have done.

use std::time::Duration;

use crate::support::drafts::{Drafts, claim};
use crate::support::pier::{CONFIG, signature, text};
use crate::support::play::{NOW, Play, token};
use crate::support::{payee, payer, usd};
use farthing_channel::{BATCH_ESCROW, Word, call, permit2};
use farthing_engine::Read;
use farthing_evm::Effect;
use farthing_money::{Amount, Money};
use farthing_wire::x402::batch::{
    ClaimFields, ClaimPayload, DepositAuthorization, FacilitatorPayload, RefundOrder, SettlePayload,
};
use farthing_wire::x402::{Payload, Requirements, SettleResponse};
use serde_json::Map;

/// When the deposits' authorizations end.
const UNTIL: u64 = NOW + 300;

/// A seller somewhere else, who is paid through channels.
struct Stall {
    play: Play,
    /// By EIP-3009 and by Permit2.
    offers: [Requirements; 2],
}

fn drafts() -> Drafts {
    Drafts { token: token(), until: UNTIL }
}

/// A deposit by EIP-3009, all of which its voucher allows.
fn receive(salt: u8, amount: u128, nonce: u8) -> FacilitatorPayload {
    FacilitatorPayload::Deposit(drafts().receive(salt, amount, amount, nonce))
}

/// The same by Permit2.
fn permit(salt: u8, amount: u128, nonce: u64) -> FacilitatorPayload {
    FacilitatorPayload::Deposit(drafts().permit(salt, amount, amount, nonce))
}

impl Stall {
    fn open() -> Self {
        let play = Play::with(|chain| chain.channels = Some(CONFIG));
        let allowance = call::allowance(payer().address(), permit2::PERMIT2);
        play.node.on(token(), &allowance[..4], Effect::Answers(Word::MAX.as_bytes().to_vec()));
        let price = Money::new(Amount::new(1), usd());
        let offers = play.stage.facilitator.channel_offers(price).try_into().unwrap();
        Self { play, offers }
    }

    /// Asks for an order to be carried, and does not wait.
    async fn settle(&self, order: &FacilitatorPayload, is_seller: bool) -> SettleResponse {
        let by_permit2 = matches!(order, FacilitatorPayload::Deposit(deposit)
            if matches!(deposit.deposit.authorization, DepositAuthorization::Permit2(_)));
        let offer = &self.offers[usize::from(by_permit2)];
        let (payload, extensions) = (order.to_payload().unwrap(), Map::new());
        let payload = Payload { resource: None, accepted: offer.clone(), payload, extensions };
        let facilitator = &self.play.stage.facilitator;
        facilitator.settle_channel_for_others(offer, (&payload, is_seller), Duration::ZERO).await.unwrap()
    }

    /// Why an order is refused, after `invalid_batch_settlement_evm_`.
    async fn refusal(&self, order: &FacilitatorPayload, is_seller: bool) -> String {
        let answer = self.settle(order, is_seller).await;
        assert!(!answer.success && answer.transaction.is_empty(), "{answer:?}");
        let reason = answer.error_reason.unwrap();
        reason.strip_prefix("invalid_batch_settlement_evm_").unwrap_or(&reason).to_owned()
    }

    /// Sends what waits, and makes a block.
    async fn carry(&self) {
        self.play.stage.round().await;
        self.play.mine_and_look().await;
    }

    fn under_way(&self) -> usize {
        self.play.stage.desk.calls().unwrap().len()
    }
}

/// A payer signed a deposit of ten dollars and one of a cent with one number, showed his seller the large one and had us carry
/// the small one: the seller was told that ten dollars are in the channel.
#[tokio::test]
async fn what_another_deposit_of_the_same_number_came_to_is_not_told() {
    for (small, others) in [
        (receive(1, 10, 7), vec![receive(1, 10_000, 7)]),
        (permit(1, 10, 7), vec![permit(1, 10_000, 7), permit(2, 10, 7)]),
    ] {
        let stall = Stall::open();
        assert_eq!(stall.refusal(&small, true).await, "settlement_pending");
        for other in &others {
            assert_eq!(stall.refusal(other, true).await, "deposit_simulation_failed", "{other:?}");
        }
        assert_eq!(stall.under_way(), 1, "and no gas is burnt for one that cannot be carried");
        stall.carry().await;
        for other in &others {
            assert_eq!(stall.refusal(other, true).await, "deposit_simulation_failed", "{other:?}");
        }
        // Whoever asks for what was done hears it, also when its time is over.
        stall.play.stage.hands.pass(400);
        let told = stall.settle(&small, true).await;
        assert_eq!((told.success, told.amount), (true, Some(10_u64.into())));
    }
}

fn row(salt: u8, ceiling: u128, total: u128) -> ClaimFields {
    drafts().row(salt, ceiling, total)
}

fn refund(amount: u128) -> FacilitatorPayload {
    FacilitatorPayload::Refund(drafts().refund(1, amount, 0, 1))
}

/// An order was known by less than what it does, and another one was told its end.
#[tokio::test]
async fn an_order_of_a_known_name_has_the_same_contents() {
    let stall = Stall::open();
    assert_eq!(stall.refusal(&receive(1, 10_000, 1), true).await, "settlement_pending");
    stall.carry().await;
    let claimed = claim(vec![row(1, 20, 10)]);
    assert_eq!(stall.refusal(&claimed, true).await, "settlement_pending");
    assert_eq!(stall.refusal(&claim(vec![row(1, 30, 10)]), true).await, "claim_simulation_failed");
    stall.carry().await;
    assert!(stall.settle(&claimed, true).await.success);
    assert_eq!(stall.refusal(&refund(5), true).await, "settlement_pending");
    assert_eq!(stall.refusal(&refund(6), true).await, "refund_simulation_failed");
    assert_eq!(stall.refusal(&refund(5), true).await, "settlement_pending");
    assert_eq!(stall.under_way(), 1);
}

/// Anybody could deposit a unit into a channel of his own and have it back, at our cost, as often as he liked.
#[tokio::test]
async fn strangers_have_no_gas_burnt() {
    let stall = Stall::open();
    assert_eq!(stall.refusal(&receive(1, 10_000, 1), true).await, "settlement_pending");
    stall.carry().await;
    let signed = signature(&[1; 65]);
    let by_signature = FacilitatorPayload::Claim(ClaimPayload {
        claims: vec![row(1, 20, 10)],
        claim_authorizer_signature: Some(signed.clone()),
    });
    let FacilitatorPayload::Refund(back) = refund(5) else { panic!("a refund") };
    let back = FacilitatorPayload::Refund(RefundOrder { refund_authorizer_signature: Some(signed), ..back });
    let money = SettlePayload { receiver: text(payee()), token: text(token()) };
    stall.play.node.take_asked();
    for order in [by_signature, back, FacilitatorPayload::Settle(money), receive(1, 10_000, 2), refund(5)] {
        assert_eq!(stall.refusal(&order, false).await, "authorizer_not_configured", "{order:?}");
    }
    assert_eq!((stall.under_way(), stall.play.node.take_asked()), (0, vec![]), "no node is asked either");
}

/// The seller says which deposits are worth their gas.
#[tokio::test]
async fn a_deposit_below_the_sellers_least_is_not_carried() {
    let mut stall = Stall::open();
    let least = serde_json::to_value(&stall.offers[0]).unwrap()["extra"]["minDeposit"].clone();
    assert_eq!(least, "10", "ten prices");
    assert_eq!(stall.refusal(&receive(1, 9, 1), true).await, "deposit_below_min_deposit");
    assert_eq!(stall.refusal(&receive(1, 10, 2), true).await, "settlement_pending");
    // One that names none takes all.
    stall.offers[0].extra = {
        let mut extra = serde_json::to_value(&stall.offers[0].extra).unwrap();
        extra.as_object_mut().unwrap().remove("minDeposit");
        serde_json::from_value(extra).unwrap()
    };
    assert_eq!(stall.refusal(&receive(1, 9, 1), true).await, "settlement_pending");
}

/// A claim of made-up rows had each of them looked at, one after the other.
#[tokio::test]
async fn what_the_escrow_refuses_costs_one_question() {
    let stall = Stall::open();
    stall.play.node.on(BATCH_ESCROW, &[], Effect::Refuses("InvalidSignature()".into()));
    stall.play.node.take_asked();
    let rows = (0..128).map(|salt| row(salt, 10, 10)).collect();
    let made_up = FacilitatorPayload::Claim(ClaimPayload {
        claims: rows,
        claim_authorizer_signature: Some(signature(&[1; 65])),
    });
    assert_eq!(stall.refusal(&made_up, true).await, "claim_simulation_failed");
    assert_eq!(stall.play.node.take_asked(), ["gas"]);
}
