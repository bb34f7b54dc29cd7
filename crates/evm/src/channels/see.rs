//! What the escrow says of a channel and of a receiver, in the words of the books.
//!
//! Balances are those that enough blocks confirm. That a payer wants his money counts from the newest block on, and until enough
//! blocks confirm that he has it: nothing is served for it meanwhile.

use farthing_channel::seller::ChannelOnChain;
use farthing_channel::{Address, BATCH_ESCROW, ChannelId, Word, batch_call};
use farthing_engine::UnitWorth;
use farthing_money::Amount;
use futures_util::future::try_join4;

use crate::abi;
use crate::chain::TokenConfig;
use crate::node::{Moment, Node, NodeError, Trial};

/// What a node is not believed that answers in another shape.
const SHAPE: &str = "what the escrow of channels answers";

/// What a receiver has at the escrow, in the token's units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AtEscrow {
    /// What was claimed for it, all in all.
    pub(crate) claimed: Amount,
    /// What of it was moved.
    pub(crate) settled: Amount,
}

/// How a channel stands at this moment.
pub(crate) async fn channel(
    node: &dyn Node,
    id: ChannelId,
    moment: Moment,
) -> Result<ChannelOnChain, NodeError> {
    let (state, refunds, wish, confirmed_wish) = try_join4(
        ask(node, batch_call::channels(id), moment),
        ask(node, batch_call::refund_nonce(id), moment),
        ask(node, batch_call::pending_withdrawals(id), Moment::Latest),
        ask(node, batch_call::pending_withdrawals(id), moment),
    )
    .await?;
    let (balance, claimed) = two(&state)?;
    let refund_nonce = abi::only_word(&refunds).ok_or_else(|| strange(&refunds))?;
    // Whoever has just taken his money has no wish any more, and is still in the balance that is confirmed.
    let withdraw_since = since(&wish)?.or(since(&confirmed_wish)?);
    Ok(ChannelOnChain { balance, claimed, withdraw_since, refund_nonce })
}

/// Since which second a payer wants his money back, if he does.
fn since(wish: &[u8]) -> Result<Option<u64>, NodeError> {
    let since = abi::word(wish, 1).and_then(Word::to_u64).ok_or_else(|| strange(wish))?;
    Ok((since != 0).then_some(since))
}

/// What a receiver has at this moment.
pub(crate) async fn receiver(
    node: &dyn Node,
    (receiver, token): (Address, Address),
    moment: Moment,
) -> Result<AtEscrow, NodeError> {
    let answer = ask(node, batch_call::receivers(receiver, token), moment).await?;
    let (claimed, settled) = two(&answer)?;
    Ok(AtEscrow { claimed, settled })
}

async fn ask(node: &dyn Node, input: Vec<u8>, moment: Moment) -> Result<Vec<u8>, NodeError> {
    node.call_at(Trial { from: Address::ZERO, to: BATCH_ESCROW, input }, moment).await
}

fn two(answer: &[u8]) -> Result<(Amount, Amount), NodeError> {
    let amount = |place| abi::word(answer, place).and_then(Word::to_amount);
    amount(0).zip(amount(1)).filter(|_| answer.len() == 64).ok_or_else(|| strange(answer))
}

/// An address without a contract answers nothing.
fn strange(answer: &[u8]) -> NodeError {
    NodeError::Lying {
        node: "of the chain".to_owned(),
        expected: format!("{SHAPE} at {BATCH_ESCROW}"),
        got: format!("{} bytes; is the contract there?", answer.len()),
    }
}

impl TokenConfig {
    /// What a unit of the token is worth in the ledger's asset.
    pub fn unit_worth(&self) -> UnitWorth {
        let step = |more: Option<u8>| more.and_then(|more| 10_u128.checked_pow(more.into())).unwrap_or(1);
        let (units, worth) = (self.decimals, self.asset.scale());
        UnitWorth { worth: step(worth.checked_sub(units)), units: step(units.checked_sub(worth)) }
    }
}
