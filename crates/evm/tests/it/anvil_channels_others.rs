//! Channels of the gates of others on a real chain: what they ask for is carried once, and what a payer could ask for against his
//! seller is not.

use std::time::Duration;

use crate::support;
use crate::support::anvil::{FUNDS, PRICE};
use crate::support::drafts::claim;
use crate::support::pier::{Pier, config_text, signature, text};
use crate::support::{CHAIN, payee, payer};
use farthing_channel::{batch_domain, claims_digest};
use farthing_money::Amount;
use farthing_wire::x402::batch::{
    ChannelAnswer, ClaimFields, ClaimPayload, DepositPayload, FacilitatorPayload, PayerPayload, RefundOrder,
    SettlePayload, VoucherFields, VoucherPayload, verified,
};
use farthing_wire::x402::{Payload, Requirements, SettleResponse};
use serde_json::Map;

const PATIENCE: Duration = Duration::from_secs(20);

/// A seller somewhere else, who is paid through channels.
struct Seller {
    pier: Pier,
    offer: Requirements,
}

impl Seller {
    async fn open() -> Self {
        let pier = Pier::open().await;
        let [offer, _] = pier.offers();
        Self { pier, offer }
    }

    fn payload(&self, payload: farthing_wire::x402::SchemePayload) -> Payload {
        Payload { resource: None, accepted: self.offer.clone(), payload, extensions: Map::new() }
    }

    /// Asks for an order to be carried while blocks are made.
    async fn settle(&self, order: &FacilitatorPayload, is_seller: bool) -> SettleResponse {
        let payload = self.payload(order.to_payload().unwrap());
        let facilitator = &self.pier.world.stage.facilitator;
        let asked = facilitator.settle_channel_for_others(&self.offer, (&payload, is_seller), PATIENCE);
        let blocks = async {
            loop {
                self.pier.world.stage.round().await;
                self.pier.world.anvil.mine().await;
            }
        };
        tokio::select! {
            biased;
            answer = asked => answer.unwrap(),
            () = blocks => panic!("blocks have no end"),
        }
    }

    /// Why an order is refused, after `invalid_batch_settlement_evm_`.
    async fn refusal(&self, order: &FacilitatorPayload, is_seller: bool) -> String {
        let answer = self.settle(order, is_seller).await;
        assert!(!answer.success && answer.transaction.is_empty(), "{answer:?}");
        let reason = answer.error_reason.unwrap();
        reason.strip_prefix("invalid_batch_settlement_evm_").unwrap_or(&reason).to_owned()
    }

    fn voucher(&self, salt: u8, total: u128) -> VoucherFields {
        self.pier.drafts().voucher(salt, total)
    }

    fn row(&self, salt: u8, ceiling: u128, total: u128) -> ClaimFields {
        self.pier.drafts().row(salt, ceiling, total)
    }

    fn refund(&self, salt: u8, amount: u128, nonce: u64, claims: Vec<ClaimFields>) -> FacilitatorPayload {
        let refund = self.pier.drafts().refund(salt, amount, nonce, PRICE);
        FacilitatorPayload::Refund(RefundOrder { claims, ..refund })
    }

    fn money(&self) -> FacilitatorPayload {
        let (receiver, token) = (text(payee()), text(self.pier.world.token));
        FacilitatorPayload::Settle(SettlePayload { receiver, token })
    }

    async fn fill(&self, salt: u8) -> DepositPayload {
        let deposit = self.pier.receive(salt, 10_000, PRICE, salt);
        let answer = self.settle(&FacilitatorPayload::Deposit(deposit.clone()), true).await;
        assert!(answer.success, "{answer:?}");
        deposit
    }
}

#[tokio::test]
async fn a_sellers_channel_from_deposit_to_refund() {
    let seller = Seller::open().await;
    let deposit = seller.pier.receive(1, 10_000, PRICE, 1);
    let facilitator = &seller.pier.world.stage.facilitator;
    let asked = seller.payload(PayerPayload::Deposit(deposit.clone()).to_payload().unwrap());
    let sound = facilitator.verify_channel_for_others(&seller.offer, &asked).await.unwrap();
    assert!(sound.is_valid && verified(&sound.extra).unwrap().balance == 0_u64.into(), "{sound:?}");
    let order = FacilitatorPayload::Deposit(deposit);
    let settled = seller.settle(&order, true).await;
    assert_eq!((settled.success, settled.amount.clone()), (true, Some(10_000_u64.into())));
    let state = ChannelAnswer::of(&settled).unwrap().channel_state.unwrap();
    assert_eq!((state.balance, state.total_claimed), (10_000_u64.into(), 0_u64.into()));
    assert_eq!(seller.settle(&order, true).await, settled, "asked again it is the same");

    let voucher = PayerPayload::Voucher(VoucherPayload {
        channel_config: config_text(&seller.pier.terms(1)),
        voucher: seller.voucher(1, 2 * PRICE),
    });
    let asked = seller.payload(voucher.to_payload().unwrap());
    let sound = facilitator.verify_channel_for_others(&seller.offer, &asked).await.unwrap();
    assert!(sound.is_valid && verified(&sound.extra).unwrap().balance == 10_000_u64.into(), "{sound:?}");

    let claim = claim(vec![seller.row(1, 2 * PRICE, 2 * PRICE)]);
    let claimed = seller.settle(&claim, true).await;
    assert!(claimed.success, "{claimed:?}");
    assert_eq!(seller.settle(&claim, true).await.transaction, claimed.transaction);
    let moved = seller.settle(&seller.money(), true).await;
    assert_eq!((moved.success, moved.amount.clone()), (true, Some((2_000_u64).into())));
    assert_eq!(seller.settle(&seller.money(), true).await, moved);
    seller.pier.world.stage.hands.pass(601);
    assert_eq!(
        seller.refusal(&seller.money(), true).await,
        "nothing_to_settle",
        "after a while it is another one"
    );

    let refund = seller.refund(1, 9_000, 0, vec![seller.row(1, 3 * PRICE, 3 * PRICE)]);
    let back = seller.settle(&refund, true).await;
    assert_eq!((back.success, back.amount.clone()), (true, Some(7_000_u64.into())), "at most what is left");
    assert_eq!(seller.settle(&refund, true).await, back);
    assert_eq!(seller.pier.world.units(payer().address()).await, FUNDS - 3_000);
    assert_eq!(seller.refusal(&seller.refund(1, 1, 1, vec![]), true).await, "refund_no_balance");
    assert_eq!(seller.pier.books(), [0; 6], "nothing of it is ours");
}

#[tokio::test]
async fn what_costs_gas_is_done_for_the_seller_alone() {
    let seller = Seller::open().await;
    seller.fill(1).await;
    let refund = seller.refund(1, 10_000, 0, vec![]);
    let claim = claim(vec![seller.row(1, PRICE, PRICE)]);
    // Its own signature does not show who asks: anybody may be the authorizer of a channel that pays this seller.
    let rows = vec![seller.row(1, PRICE, PRICE)];
    let signed = farthing_channel::Claim {
        channel: seller.pier.id(1),
        cumulative: Amount::new(PRICE),
        total_claimed: Amount::new(PRICE),
    };
    let by = support::submitter().sign(&claims_digest(&[signed], &batch_domain(CHAIN)));
    let by_signature = FacilitatorPayload::Claim(ClaimPayload {
        claims: rows,
        claim_authorizer_signature: Some(signature(&by.to_bytes())),
    });
    let deposit = FacilitatorPayload::Deposit(seller.pier.receive(2, 10_000, PRICE, 2));
    let coin = seller.pier.world.coin().await;
    for order in [&refund, &claim, &by_signature, &seller.money(), &deposit] {
        assert_eq!(seller.refusal(order, false).await, "authorizer_not_configured", "{order:?}");
    }
    assert_eq!(seller.pier.world.coin().await, coin, "nothing was sent");
    assert!(seller.settle(&by_signature, true).await.success);
}

/// What costs us gas has to change something, and to be about the account for which it is asked.
#[tokio::test]
async fn what_would_change_nothing_or_is_another_sellers_is_not_sent() {
    let seller = Seller::open().await;
    seller.fill(1).await;
    let (row, coin) = (|total| seller.row(1, PRICE, total), seller.pier.world.coin().await);
    assert_eq!(seller.refusal(&claim(vec![]), true).await, "payload_type");
    assert_eq!(seller.refusal(&claim(vec![row(0)]), true).await, "cumulative_below_claimed");
    assert_eq!(seller.refusal(&claim(vec![row(2_000)]), true).await, "claim_simulation_failed");
    assert_eq!(seller.refusal(&seller.money(), true).await, "nothing_to_settle");
    assert_eq!(seller.refusal(&seller.refund(1, 0, 0, vec![]), true).await, "refund_amount_invalid");
    assert_eq!(seller.refusal(&seller.refund(1, 1, 1, vec![]), true).await, "refund_simulation_failed");
    let mut other = row(PRICE);
    other.voucher.channel.receiver = text(payer().address());
    assert_eq!(seller.refusal(&claim(vec![row(PRICE), other.clone()]), true).await, "receiver_mismatch");
    assert_eq!(seller.refusal(&seller.refund(1, 1, 0, vec![other]), true).await, "receiver_mismatch");
    let elsewhere = SettlePayload { receiver: text(payer().address()), token: text(seller.pier.world.token) };
    assert_eq!(seller.refusal(&FacilitatorPayload::Settle(elsewhere), true).await, "receiver_mismatch");
    assert_eq!(seller.pier.world.coin().await, coin, "nothing was sent");
}

#[tokio::test]
async fn an_order_goes_on_after_a_restart() {
    let seller = Seller::open().await;
    let order = FacilitatorPayload::Deposit(seller.pier.receive(1, 10_000, PRICE, 1));
    let payload = seller.payload(order.to_payload().unwrap());
    let facilitator = &seller.pier.world.stage.facilitator;
    let answer =
        facilitator.settle_channel_for_others(&seller.offer, (&payload, true), Duration::ZERO).await.unwrap();
    assert_eq!(answer.error_reason.as_deref(), Some("settlement_pending"));
    seller.pier.world.stage.round().await;
    let pending =
        facilitator.settle_channel_for_others(&seller.offer, (&payload, true), Duration::ZERO).await.unwrap();
    assert!(!pending.success && !pending.transaction.is_empty(), "{pending:?}");
    let restarted = seller.pier.world.stage.restarted();
    seller.pier.world.anvil.mine().await;
    restarted.round().await;
    let done = restarted
        .facilitator
        .settle_channel_for_others(&seller.offer, (&payload, true), PATIENCE)
        .await
        .unwrap();
    assert_eq!((done.success, &done.transaction), (true, &pending.transaction));
    assert_eq!(seller.pier.world.units(payer().address()).await, FUNDS - 10_000);
}
