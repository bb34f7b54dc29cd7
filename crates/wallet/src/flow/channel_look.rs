//! Asks a node where a channel stands: what is in it, what was claimed, and whether the payer wants anything back.

use farthing_channel::{BATCH_ESCROW, ChannelId, batch_call};
use farthing_money::Amount;

use super::{Sub, answer_of};
use crate::chain::ChainId;
use crate::error::WalletError;
use crate::http::Event;
use crate::node;
use crate::wallet::Wallet;

/// What the chain says of a channel, in its newest block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) balance: Amount,
    pub(crate) claimed: Amount,
    /// What the payer wants back, and since which second; 0 for nothing.
    pub(crate) wanted: (Amount, u64),
    /// The chain's time.
    pub(crate) time: u64,
}

/// The questions, one after the other.
pub(crate) struct ChannelLook {
    chain: ChainId,
    channel: ChannelId,
    stage: Stage,
}

enum Stage {
    Start,
    Chain,
    Block,
    Channel { time: u64 },
    Wanted { time: u64, balance: Amount, claimed: Amount },
}

impl ChannelLook {
    /// Of a channel on a chain of which a node is named; without one there is nobody to ask.
    pub(crate) fn new(wallet: &Wallet, chain: ChainId, channel: ChannelId) -> Option<Self> {
        wallet.node(chain)?;
        Some(Self { chain, channel, stage: Stage::Start })
    }

    pub(crate) fn next(&mut self, wallet: &Wallet, event: Event) -> Result<Sub<Seen>, WalletError> {
        let url = wallet.node(self.chain).ok_or(WalletError::Misuse("a chain with a node"))?;
        let ask = |call: &[u8]| Sub::Send(node::call_request(url, BATCH_ESCROW, call));
        let answer = |event| answer_of(&node::whom(url), event);
        let amount = |word: farthing_channel::Word| {
            let expected = "what is in a channel";
            word.to_amount()
                .ok_or_else(|| WalletError::bad_answer(&node::whom(url), expected, "more than there can be"))
        };
        let (stage, sub) = match std::mem::replace(&mut self.stage, Stage::Start) {
            Stage::Start => (Stage::Chain, Sub::Send(node::chain_request(url))),
            Stage::Chain => {
                node::check_chain(url, self.chain, &answer(event)?)?;
                (Stage::Block, Sub::Send(node::block_request(url)))
            }
            Stage::Block => {
                let time = node::block_time(url, &answer(event)?)?.secs();
                (Stage::Channel { time }, ask(&batch_call::channels(self.channel)))
            }
            Stage::Channel { time } => {
                let [balance, claimed] = node::two_words(url, &answer(event)?)?;
                let (balance, claimed) = (amount(balance)?, amount(claimed)?);
                let stage = Stage::Wanted { time, balance, claimed };
                (stage, ask(&batch_call::pending_withdrawals(self.channel)))
            }
            Stage::Wanted { time, balance, claimed } => {
                let [wanted, since] = node::two_words(url, &answer(event)?)?;
                let wanted = (amount(wanted)?, since.to_u64().unwrap_or(u64::MAX));
                (Stage::Start, Sub::Done(Seen { balance, claimed, wanted, time }))
            }
        };
        self.stage = stage;
        Ok(sub)
    }
}
