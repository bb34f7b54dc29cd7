//! Payers without coin on a real chain, with a token that knows nothing but ERC-20: their approval is sent and paid for before
//! the payment, once, whatever crashes, and whoever takes the coin for something else gets no more.

use crate::support::anvil::{FUNDS, PRICE, World, with_words};
use crate::support::payer::{Permitted, approval, approved, approved_with};
use crate::support::{key, payee, submitter};
use farthing_channel::{Address, SigningKey, Word, call, permit2};
use farthing_engine::{CallId, CallRow, Purpose, Read};
use farthing_evm::{ChainConfig, Fees, Moment, Node, NotVerified, TokenConfig, Transaction};
use farthing_money::Amount;
use farthing_wire::x402::{Payload, Requirements};
use serde_json::{Value, json};

/// Of a client's approval: 70 000 units of gas at 2 gwei, and a quarter.
const GIFT: u128 = 175_000_000_000_000;
const GWEI: u128 = 1_000_000_000;

fn sponsoring(chain: &mut ChainConfig) {
    let tokens = chain.tokens.drain(..).map(|token| TokenConfig { eip3009: false, sponsored: true, ..token });
    chain.tokens = tokens.collect();
    chain.sponsor_most = Amount::new(10 * GIFT);
}

/// A payer whom nobody ever gave any coin.
fn poor(n: u8) -> SigningKey {
    SigningKey::from_bytes([n; 32]).unwrap()
}

struct Shop {
    world: World,
    coin: i128,
}

impl Shop {
    async fn open() -> Self {
        Self::with(sponsoring).await
    }

    async fn with(change: impl FnOnce(&mut ChainConfig)) -> Self {
        let world = World::with("PlainToken", change).await;
        for n in [71, 72] {
            world.mint(poor(n).address(), FUNDS).await;
        }
        let coin = world.coin().await;
        Self { world, coin }
    }

    /// `exact` by Permit2.
    fn offer(&self) -> &Requirements {
        &self.world.offers[0]
    }

    fn payment(&self, key: &SigningKey, nonce: u64) -> Payload {
        Permitted::of(self.offer(), key.address(), self.world.now(), nonce).signed(self.offer(), key)
    }

    /// A payment with this approval.
    fn with_approval(&self, key: &SigningKey, nonce: u64, approval: Transaction) -> Payload {
        approved(self.payment(key, nonce), self.offer(), key, approval)
    }

    fn usual(&self, key: &SigningKey, nonce: u64) -> Payload {
        self.with_approval(key, nonce, approval(self.world.token, 0))
    }

    fn settle(&self, payload: &Payload) -> CallId {
        self.world.stage.settle(self.offer(), payload, Amount::new(PRICE))
    }

    async fn verified(&self, payload: &Payload) -> Result<Amount, String> {
        match self.world.stage.facilitator.verify(self.offer(), payload).await {
            Ok(verified) => Ok(verified.gift),
            Err(NotVerified::Invalid(invalid)) => Err(invalid.reason.as_str().to_owned()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Makes a block that costs so much a unit of gas.
    async fn mine_at(&self, gwei: u128) {
        let fee = json!([format!("{:#x}", gwei * GWEI)]);
        self.world.anvil.ask("anvil_setNextBlockBaseFeePerGas", fee).await;
        self.world.anvil.mine().await;
    }

    /// A payment that is good for ever, with an approval that no block takes which costs more than the next one may.
    async fn left_lying(&self, key: &SigningKey) -> Payload {
        let base = self.world.node.head().await.unwrap().base_fee.value();
        let fees = Fees { most: Amount::new(base + base / 8 + 1_000), tip: Amount::new(1_000) };
        let offer = self.offer();
        let permitted = Permitted::of(offer, key.address(), self.world.now(), 1);
        let payload = Permitted { deadline: 4_102_444_800, ..permitted }.signed(offer, key);
        approved(payload, offer, key, Transaction { fees, ..approval(self.world.token, 0) })
    }

    /// The coin that is being given.
    fn gifts(&self) -> Vec<CallRow> {
        let calls = self.world.stage.desk.calls().unwrap().into_iter().map(|(_, row)| row);
        calls.filter(|row| matches!(row.purpose, Purpose::Funding { .. })).collect()
    }

    /// A crash, a round, and a block, until it has ended.
    async fn until_ended(&mut self, id: CallId) {
        for _ in 0..12 {
            self.world.stage = self.world.stage.restarted();
            self.world.stage.round().await;
            if self.world.stage.outcome(id).is_some() {
                return;
            }
            self.world.anvil.mine().await;
        }
        panic!("it has not ended: {:?}", self.world.stage.desk.calls().unwrap());
    }

    /// What has gone from our account is what the books have as gas.
    async fn agrees(&self) -> i128 {
        let gone = self.coin - self.world.coin().await;
        assert_eq!(self.world.stage.books()[2], gone, "gas");
        gone
    }

    async fn has(&self, account: &SigningKey) -> u128 {
        self.world.node.balance(account.address()).await.unwrap().value()
    }

    async fn allowance(&self, account: &SigningKey) -> Word {
        let input = call::allowance(account.address(), permit2::PERMIT2);
        let trial = farthing_evm::Trial { from: payee(), to: self.world.token, input };
        Word::from_bytes(self.world.node.call(trial).await.unwrap().try_into().unwrap())
    }

    /// The payer sends a transaction of its own.
    async fn send(&self, key: &SigningKey, transaction: Transaction) {
        let signature = key.sign(&transaction.digest());
        self.world.node.send(transaction.signed(&signature).unwrap().bytes).await.unwrap();
        self.world.anvil.mine().await;
    }
}

#[tokio::test]
async fn whoever_has_no_coin_pays_all_the_same_whatever_crashes() {
    let mut shop = Shop::open().await;
    let payer = poor(71);
    let payload = shop.usual(&payer, 1);
    assert_eq!(shop.verified(&payload).await, Ok(Amount::new(GIFT)));
    let id = shop.settle(&payload);
    shop.until_ended(id).await;
    assert!(shop.world.stage.is_settled(id), "{:?}", shop.world.stage.outcome(id));
    assert_eq!(shop.world.units(payee()).await, PRICE);
    assert!(shop.allowance(&payer).await > Word::from(u64::MAX));
    assert_eq!(shop.world.node.count(payer.address(), Moment::Latest).await.unwrap(), 1);
    assert_eq!(shop.world.node.count(submitter().address(), Moment::Latest).await.unwrap(), 2);
    assert!(shop.agrees().await > i128::try_from(GIFT).unwrap());
    // What he has allowed is allowed: the next payment needs nothing, also if it brings an approval.
    let again = shop.usual(&payer, 2);
    assert_eq!(shop.verified(&again).await, Ok(Amount::ZERO));
    let again = shop.settle(&again);
    shop.until_ended(again).await;
    assert!(shop.world.stage.is_settled(again));
    assert_eq!(shop.world.node.count(submitter().address(), Moment::Latest).await.unwrap(), 3);
    shop.agrees().await;
}

#[tokio::test]
async fn who_has_coin_is_given_none() {
    let mut shop = Shop::open().await;
    let payer = key(1);
    let payload = shop.usual(&payer, 1);
    assert_eq!(shop.verified(&payload).await, Ok(Amount::ZERO));
    let id = shop.settle(&payload);
    shop.until_ended(id).await;
    assert!(shop.world.stage.is_settled(id), "{:?}", shop.world.stage.outcome(id));
    assert_eq!(shop.world.node.count(submitter().address(), Moment::Latest).await.unwrap(), 1);
    shop.agrees().await;
}

#[tokio::test]
async fn many_payments_with_one_approval_give_once() {
    let mut shop = Shop::open().await;
    let payer = poor(71);
    let all: Vec<_> = (1..=4).map(|nonce| shop.settle(&shop.usual(&payer, nonce))).collect();
    shop.world.stage.round().await;
    assert_eq!(shop.gifts().len(), 1);
    for id in &all {
        shop.until_ended(*id).await;
        assert!(shop.world.stage.is_settled(*id), "{:?}", shop.world.stage.outcome(*id));
    }
    assert_eq!(shop.world.node.count(submitter().address(), Moment::Latest).await.unwrap(), 5);
    assert_eq!(shop.world.units(payee()).await, 4 * PRICE);
    shop.agrees().await;
}

#[tokio::test]
async fn whoever_uses_the_coin_otherwise_is_given_no_more() {
    let mut shop = Shop::open().await;
    let payer = poor(71);
    let id = shop.settle(&shop.usual(&payer, 1));
    for _ in 0..2 {
        shop.world.stage.round().await;
        shop.world.anvil.mine().await;
    }
    assert_eq!(shop.has(&payer).await, GIFT);
    // Something else with the number of the approval, and most of the coin.
    let coin = Amount::new(GIFT / 2);
    let away = Transaction { to: payee(), coin, gas: 21_000, input: vec![], ..approval(shop.world.token, 0) };
    shop.send(&payer, away).await;
    shop.until_ended(id).await;
    assert_eq!(shop.world.stage.failure(id).as_deref(), Some("erc20_approval_broadcast_failed"));
    assert_eq!(shop.world.stage.books()[..2], [0, 0], "nothing was charged");
    let lost = shop.agrees().await;
    // A new approval with the next number: no coin for it, whoever asks.
    let again = shop.with_approval(&payer, 2, approval(shop.world.token, 1));
    assert_eq!(shop.verified(&again).await, Err("erc20_approval_broadcast_failed".to_owned()));
    let again = shop.settle(&again);
    shop.until_ended(again).await;
    assert_eq!(shop.world.stage.failure(again).as_deref(), Some("erc20_approval_broadcast_failed"));
    assert_eq!(shop.agrees().await, lost, "no coin has left");
}

/// Whoever has many accounts could take coin with each of them.
#[tokio::test]
async fn when_much_is_lost_nobody_is_given_any_for_an_hour() {
    let shop = Shop::open().await;
    let thieves: Vec<_> = (100..116).map(poor).collect();
    let mut calls = Vec::new();
    for thief in &thieves {
        shop.world.mint(thief.address(), FUNDS).await;
        calls.push(shop.settle(&shop.usual(thief, 1)));
    }
    for _ in 0..4 {
        shop.world.stage.round().await;
        shop.world.anvil.mine().await;
        for thief in &thieves {
            let input = call::transfer(payee(), Amount::new(FUNDS).into());
            let away = Transaction { input, ..approval(shop.world.token, 0) };
            let signature = thief.sign(&away.digest());
            // Too early it is refused, a second time it is known.
            let _ = shop.world.node.send(away.signed(&signature).unwrap().bytes).await;
        }
        shop.world.anvil.mine().await;
    }
    shop.world.stage.round().await;
    for id in &calls {
        assert_eq!(shop.world.stage.failure(*id).as_deref(), Some("erc20_approval_broadcast_failed"));
    }
    shop.agrees().await;
    let honest = shop.usual(&poor(71), 1);
    assert_eq!(shop.verified(&honest).await, Err("permit2_allowance_required".to_owned()));
    shop.world.stage.hands.pass(3_600);
    let later = shop.usual(&poor(71), 1);
    assert_eq!(shop.verified(&later).await, Ok(Amount::new(GIFT)));
}

/// Went wrong: what was given for payments that do not end was never counted as lost, and many accounts took all the coin.
#[tokio::test]
async fn coin_for_payments_that_do_not_end_has_a_bound_too() {
    let shop = Shop::open().await;
    let thieves: Vec<_> = (100..124).map(poor).collect();
    for thief in &thieves {
        shop.world.mint(thief.address(), FUNDS).await;
    }
    shop.mine_at(1).await;
    let mut calls = Vec::new();
    for thief in &thieves {
        calls.push(shop.settle(&shop.left_lying(thief).await));
    }
    let fees = Fees { most: Amount::new(4 * GWEI), tip: Amount::new(GWEI) };
    let dear = || Transaction { fees, ..approval(shop.world.token, 0) };
    let rich = async |shop: &Shop| {
        let mut rich = 0;
        for thief in &thieves {
            rich += usize::from(shop.has(thief).await > 0);
        }
        rich
    };
    for _ in 0..6 {
        shop.world.stage.round().await;
        shop.mine_at(2).await;
    }
    assert_eq!(rich(&shop).await, 16);
    let honest = shop.with_approval(&poor(71), 1, dear());
    assert_eq!(shop.verified(&honest).await, Err("permit2_allowance_required".to_owned()));
    // They end with the time of the offer, whatever their payers have signed.
    shop.world.stage.hands.pass(301);
    for _ in 0..6 {
        shop.world.stage.round().await;
        shop.mine_at(2).await;
    }
    for id in &calls {
        let failure = shop.world.stage.failure(*id);
        let expected = ["erc20_approval_broadcast_failed", "permit2_allowance_required"];
        assert!(expected.contains(&failure.as_deref().unwrap()), "{failure:?}");
    }
    assert_eq!(rich(&shop).await, 16, "nobody else is given any when they have ended");
    let honest = shop.with_approval(&poor(71), 1, dear());
    assert_eq!(shop.verified(&honest).await, Err("permit2_allowance_required".to_owned()));
    shop.agrees().await;
    shop.world.stage.hands.pass(3_600);
    let later = shop.with_approval(&poor(71), 1, dear());
    assert_eq!(shop.verified(&later).await, Ok(Amount::new(2 * GIFT)));
}

/// Went wrong: coin that came when its payment had failed already was never counted as lost.
#[tokio::test]
async fn coin_that_comes_too_late_is_lost_as_well() {
    let shop = Shop::with(|chain| {
        sponsoring(chain);
        chain.at_once = 64;
    })
    .await;
    let thieves: Vec<_> = (100..116).map(poor).collect();
    for thief in &thieves {
        shop.world.mint(thief.address(), FUNDS).await;
        shop.settle(&shop.usual(thief, 1));
    }
    for _ in 0..2 {
        shop.world.stage.round().await;
    }
    assert!(shop.gifts().iter().all(|gift| !gift.attempts.is_empty()));
    // The clock has gone on, and the chain has not.
    shop.world.stage.hands.pass(301);
    shop.world.stage.round().await;
    let calls = shop.world.stage.desk.calls().unwrap();
    assert_eq!((calls.len(), shop.gifts().len()), (16, 16), "only the coin is under way");
    shop.world.anvil.mine().await;
    shop.world.stage.round().await;
    assert!(shop.world.stage.desk.calls().unwrap().is_empty());
    assert!(shop.has(&thieves[0]).await > 0);
    let honest = shop.usual(&poor(71), 1);
    assert_eq!(shop.verified(&honest).await, Err("permit2_allowance_required".to_owned()));
    shop.agrees().await;
}

/// Went wrong: whoever was to be given coin while the chain asked for too much was never given any.
#[tokio::test]
async fn a_gift_that_a_blank_transaction_has_ended_is_given_later() {
    let mut shop = Shop::open().await;
    let payer = poor(71);
    shop.settle(&shop.usual(&payer, 1));
    shop.world.stage.round().await;
    shop.world.stage.round().await;
    let gifts = shop.gifts();
    assert!(matches!(&gifts[..], [gift] if !gift.attempts.is_empty()), "{gifts:?}");
    shop.world.anvil.ask("anvil_dropAllTransactions", json!([])).await;
    shop.world.stage.hands.pass(301);
    shop.world.anvil.pass(301).await;
    shop.world.anvil.mine().await;
    for _ in 0..6 {
        shop.world.stage.hands.pass(31);
        shop.world.stage.round().await;
        shop.world.anvil.mine().await;
    }
    assert!(shop.world.stage.desk.calls().unwrap().is_empty());
    assert_eq!(shop.has(&payer).await, 0);
    shop.world.stage.hands.set(shop.world.node.head().await.unwrap().at);
    let again = shop.usual(&payer, 2);
    assert_eq!(shop.verified(&again).await, Ok(Amount::new(GIFT)));
    let again = shop.settle(&again);
    shop.until_ended(again).await;
    assert!(shop.world.stage.is_settled(again), "{:?}", shop.world.stage.outcome(again));
    shop.agrees().await;
}

#[tokio::test]
async fn what_a_fork_drops_is_done_again_and_given_once() {
    let mut shop = Shop::open().await;
    let payer = poor(71);
    let before = shop.world.anvil.ask("evm_snapshot", json!([])).await;
    let id = shop.settle(&shop.usual(&payer, 1));
    shop.until_ended(id).await;
    assert!(shop.world.stage.is_settled(id));
    let given = shop.agrees().await;
    shop.world.anvil.ask("evm_revert", json!([before])).await;
    assert_eq!(shop.has(&payer).await, 0);
    for _ in 0..12 {
        shop.world.anvil.pass(1).await;
        shop.world.anvil.mine().await;
    }
    shop.world.stage.round().await;
    assert_eq!(shop.gifts().len(), 1, "opened again");
    shop.until_ended(id).await;
    assert!(shop.world.stage.is_settled(id), "{:?}", shop.world.stage.outcome(id));
    assert_eq!(shop.world.node.count(submitter().address(), Moment::Latest).await.unwrap(), 2);
    assert_eq!(shop.has(&payer).await > 0, given > 0);
    assert_eq!(shop.world.units(payee()).await, PRICE);
}

#[tokio::test]
async fn coin_has_bounds() {
    let shop = Shop::with(|chain| {
        sponsoring(chain);
        chain.sponsor_most = Amount::new(GIFT - 1);
    })
    .await;
    let refused = shop.verified(&shop.usual(&poor(71), 1)).await;
    assert_eq!(refused, Err("erc20_approval_broadcast_failed".to_owned()), "more than we give");
    let mut shop = Shop::with(|chain| {
        sponsoring(chain);
        chain.purse_low = Amount::new(10_u128.pow(23));
    })
    .await;
    let payload = shop.usual(&poor(71), 1);
    assert_eq!(
        shop.verified(&payload).await,
        Err("permit2_allowance_required".to_owned()),
        "the purse is low"
    );
    let id = shop.settle(&payload);
    shop.until_ended(id).await;
    assert_eq!(shop.world.stage.failure(id).as_deref(), Some("permit2_allowance_required"));
    assert_eq!(shop.agrees().await, 0);
}

#[tokio::test]
async fn an_approval_that_nobody_carries_in_time_fails() {
    let mut shop = Shop::open().await;
    let payer = poor(71);
    // Its number lies behind one that does not come any more.
    let id = shop.settle(&shop.with_approval(&payer, 1, approval(shop.world.token, 1)));
    shop.world.stage.round().await;
    assert_eq!(shop.world.stage.outcome(id), None);
    assert!(shop.gifts().is_empty(), "no coin for what cannot be carried out");
    shop.world.stage.hands.pass(301);
    shop.until_ended(id).await;
    assert_eq!(shop.world.stage.failure(id).as_deref(), Some("erc20_approval_broadcast_failed"));
    assert_eq!(shop.agrees().await, 0);
}

/// A payment whose approval is changed in one way.
fn changed(shop: &Shop, change: impl FnOnce(&mut Transaction)) -> Payload {
    let mut transaction = approval(shop.world.token, 0);
    change(&mut transaction);
    shop.with_approval(&poor(71), 1, transaction)
}

/// A payment whose extension has one member of its own.
fn claiming(shop: &Shop, member: &str, value: &Value) -> Payload {
    approved_with(shop.usual(&poor(71), 1), member, value, (shop.offer(), &poor(71)))
}

#[tokio::test]
async fn what_an_approval_says_is_checked() {
    let shop = Shop::open().await;
    let (somebody, token) = (Address::from_bytes([9; 20]), shop.world.token);
    let of_stranger = approved(shop.payment(&poor(71), 1), shop.offer(), &poor(72), approval(token, 0));
    let of_stranger =
        approved_with(of_stranger, "from", &json!(poor(71).address()), (shop.offer(), &poor(71)));
    let approve = |spender, amount| call::approve(spender, amount);
    let refusals = [
        (claiming(&shop, "signedTransaction", &json!("0xzz")), "invalid_erc20_approval_extension_format"),
        (claiming(&shop, "version", &json!("one")), "invalid_erc20_approval_extension_format"),
        (claiming(&shop, "amount", &json!("-1")), "invalid_erc20_approval_extension_format"),
        (
            claiming(&shop, "signedTransaction", &json!(format!("0x{}", "00".repeat(1025)))),
            "invalid_erc20_approval_extension_format",
        ),
        (claiming(&shop, "from", &json!(somebody)), "erc20_approval_from_mismatch"),
        (claiming(&shop, "asset", &json!(somebody)), "erc20_approval_asset_mismatch"),
        (claiming(&shop, "spender", &json!(somebody)), "erc20_approval_spender_not_permit2"),
        (claiming(&shop, "signedTransaction", &json!("0x02c0")), "erc20_approval_tx_parse_failed"),
        (changed(&shop, |it| it.to = somebody), "erc20_approval_tx_wrong_target"),
        (
            changed(&shop, |it| it.input = call::transfer(somebody, Word::MAX)),
            "erc20_approval_tx_wrong_selector",
        ),
        (changed(&shop, |it| it.input = approve(somebody, Word::MAX)), "erc20_approval_tx_wrong_spender"),
        (changed(&shop, |it| it.input.truncate(67)), "erc20_approval_tx_invalid_calldata"),
        (changed(&shop, |it| it.input.push(0)), "erc20_approval_tx_invalid_calldata"),
        (
            changed(&shop, |it| it.input = approve(permit2::PERMIT2, Amount::new(PRICE - 1).into())),
            "erc20_approval_tx_invalid_calldata",
        ),
        (of_stranger, "erc20_approval_tx_signer_mismatch"),
        (
            changed(&shop, |it| it.chain = farthing_channel::ChainId::new(1)),
            "erc20_approval_broadcast_failed",
        ),
        (changed(&shop, |it| it.coin = Amount::new(1)), "erc20_approval_broadcast_failed"),
        (changed(&shop, |it| it.gas = 1_000_001), "erc20_approval_broadcast_failed"),
        (changed(&shop, |it| it.number = 1), "erc20_approval_broadcast_failed"),
        (changed(&shop, |it| it.fees.most = Amount::new(1)), "erc20_approval_broadcast_failed"),
        (changed(&shop, |it| it.fees.tip = Amount::ZERO), "erc20_approval_broadcast_failed"),
        (changed(&shop, |it| it.gas = 200_000), "erc20_approval_broadcast_failed"),
        (changed(&shop, |it| it.fees.most = Amount::new(10 * GWEI)), "erc20_approval_broadcast_failed"),
        (shop.left_lying(&poor(71)).await, "erc20_approval_broadcast_failed"),
        (changed(&shop, |it| it.gas = 25_000), "erc20_approval_tx_failed"),
        (shop.payment(&poor(71), 1), "permit2_allowance_required"),
        (claiming(&shop, "signedTransaction", &json!("")), "permit2_allowance_required"),
    ];
    for (payload, expected) in refusals {
        assert_eq!(shop.verified(&payload).await, Err(expected.to_owned()));
    }
    // Exactly the amount is enough.
    let exactly = changed(&shop, |it| it.input = approve(permit2::PERMIT2, Amount::new(PRICE).into()));
    assert_eq!(shop.verified(&exactly).await, Ok(Amount::new(GIFT)));
}

#[tokio::test]
async fn what_the_chain_says_is_told_apart() {
    let shop = Shop::open().await;
    let broke = poor(73);
    let nothing = shop.usual(&broke, 1);
    assert_eq!(shop.verified(&nothing).await, Err("permit2_insufficient_balance".to_owned()));
    // A number of Permit2 that is used up.
    let input = with_words("invalidateUnorderedNonces(uint256,uint256)", &[Word::ZERO, Word::from(2)]);
    shop.world.anvil.send(key(1).address(), Some(permit2::PERMIT2), &input).await;
    let used = shop.with_approval(&key(1), 1, approval(shop.world.token, 1));
    assert_eq!(shop.verified(&used).await, Err("permit2_invalid_nonce".to_owned()));
    // Code at the payer's account would run when coin comes.
    shop.world.anvil.set_code(poor(72).address(), "0xfe").await;
    assert!(shop.verified(&shop.usual(&poor(72), 1)).await.is_err());
}

#[tokio::test]
async fn without_the_operators_word_no_approval_is_looked_at() {
    let shop = Shop::with(|chain| {
        sponsoring(chain);
        chain.tokens[0].sponsored = false;
    })
    .await;
    let supported = shop.world.stage.facilitator.supported();
    assert_eq!(supported.extensions, ["eip2612GasSponsoring"]);
    let payload = claiming(&shop, "signedTransaction", &json!("0x02c0"));
    assert_eq!(shop.verified(&payload).await, Err("permit2_allowance_required".to_owned()));
    let shop = Shop::open().await;
    let supported = shop.world.stage.facilitator.supported();
    assert_eq!(supported.extensions, ["eip2612GasSponsoring", "erc20ApprovalGasSponsoring"]);
}
