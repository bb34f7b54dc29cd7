//! What the escrow says of a channel and of a receiver, in the words of the books.
//!
//! Balances are those that enough blocks confirm. That a payer wants his money is taken from the newest block: nothing is
//! served for it from then on.

use farthing_channel::{Address, BATCH_ESCROW, ChannelId, Salt, batch_call};
use farthing_engine::{ChannelTermsRow, OnChain, Tally};
use farthing_money::{Amount, Timestamp};
use futures_util::future::try_join3;

use crate::abi;
use crate::chain::{ChainConfig, TokenConfig, of_engine, to_engine};
use crate::node::{Moment, Node, NodeError, Trial};

/// What a node is not believed that answers in another shape.
const SHAPE: &str = "what the escrow of channels answers";

/// What a receiver has at the escrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AtEscrow {
    /// What was claimed for it, all in all.
    pub(super) claimed: Tally,
    /// What of it was moved.
    pub(super) settled: Tally,
}

/// How a channel stands after this block.
pub(super) async fn channel(
    node: &dyn Node,
    token: &TokenConfig,
    id: ChannelId,
    confirmed: u64,
) -> Result<OnChain, NodeError> {
    let (state, refunds, wish) = try_join3(
        ask(node, batch_call::channels(id), Moment::Block(confirmed)),
        ask(node, batch_call::refund_nonce(id), Moment::Block(confirmed)),
        ask(node, batch_call::pending_withdrawals(id), Moment::Latest),
    )
    .await?;
    let (balance, claimed) = two(&state)?;
    let since = abi::word(&wish, 1).and_then(farthing_channel::Word::to_u64).ok_or_else(|| strange(&wish))?;
    Ok(OnChain {
        balance: token.tally(balance),
        claimed: token.tally(claimed),
        refunds: abi::only_word(&refunds)
            .and_then(farthing_channel::Word::to_u64)
            .ok_or_else(|| strange(&refunds))?,
        withdraw_asked_at: (since != 0).then(|| Timestamp::from_secs(since)),
    })
}

/// What a receiver has after this block.
pub(super) async fn receiver(
    node: &dyn Node,
    token: &TokenConfig,
    receiver: Address,
    confirmed: u64,
) -> Result<AtEscrow, NodeError> {
    let input = batch_call::receivers(receiver, token.address);
    let (claimed, settled) = two(&ask(node, input, Moment::Block(confirmed)).await?)?;
    Ok(AtEscrow { claimed: token.tally(claimed), settled: token.tally(settled) })
}

async fn ask(node: &dyn Node, input: Vec<u8>, moment: Moment) -> Result<Vec<u8>, NodeError> {
    node.call_at(Trial { from: Address::ZERO, to: BATCH_ESCROW, input }, moment).await
}

fn two(answer: &[u8]) -> Result<(Amount, Amount), NodeError> {
    let amount = |place| abi::word(answer, place).and_then(farthing_channel::Word::to_amount);
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
    /// Units with what they are worth in the ledger's asset; what it does not count is left out.
    pub fn tally(&self, units: Amount) -> Tally {
        let exact = self.amount(units);
        let finer = || {
            let step = 10_u128.checked_pow(u32::from(self.decimals.checked_sub(self.asset.scale())?))?;
            units.value().checked_div(step).map(Amount::new)
        };
        Tally { units, worth: exact.or_else(finer).unwrap_or_default() }
    }
}

/// A channel's terms in the words of the engine.
pub fn to_terms_row(chain: &ChainConfig, terms: &farthing_channel::ChannelTerms) -> ChannelTermsRow {
    ChannelTermsRow {
        chain: chain.id.number(),
        payer: to_engine(terms.payer),
        payer_authorizer: to_engine(terms.payer_authorizer),
        receiver: to_engine(terms.receiver),
        receiver_authorizer: to_engine(terms.receiver_authorizer),
        token: to_engine(terms.token),
        withdraw_delay: terms.withdraw_delay,
        salt: *terms.salt.as_bytes(),
    }
}

/// The terms of a row.
pub fn of_terms_row(row: &ChannelTermsRow) -> farthing_channel::ChannelTerms {
    farthing_channel::ChannelTerms {
        payer: of_engine(row.payer),
        payer_authorizer: of_engine(row.payer_authorizer),
        receiver: of_engine(row.receiver),
        receiver_authorizer: of_engine(row.receiver_authorizer),
        token: of_engine(row.token),
        withdraw_delay: row.withdraw_delay,
        salt: Salt::from_bytes(row.salt),
    }
}
