//! What x402's escrow of `batch-settlement` says in a transaction's logs. Whether the log is the escrow's own, and whether
//! its block stays, is for whoever fetched it.

use farthing_money::Amount;

use crate::abi::Row;
use crate::address::Address;
use crate::digest::keccak256;
use crate::terms::{ChannelId, ChannelTerms};
use crate::word::Word;

/// An event of the escrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchEvent {
    /// A channel that was empty and unclaimed has got money; may come again for the same channel.
    Created(ChannelId, ChannelTerms),
    /// A channel of which nothing was ever claimed is empty.
    Closed(ChannelId, ChannelTerms),
    /// Money came in.
    Deposited {
        /// Into which channel.
        channel: ChannelId,
        /// Who sent the transaction.
        sender: Address,
        /// How much.
        amount: Amount,
        /// The channel's balance afterwards.
        balance: Amount,
    },
    /// A voucher was claimed.
    Claimed {
        /// Of which channel.
        channel: ChannelId,
        /// Who sent the transaction.
        sender: Address,
        /// How much more than before.
        amount: Amount,
        /// All that was claimed of the channel.
        total: Amount,
    },
    /// A receiver was sent what it had claimed.
    Settled {
        /// Who.
        receiver: Address,
        /// In which token.
        token: Address,
        /// Who sent the transaction.
        sender: Address,
        /// How much.
        amount: Amount,
    },
    /// The receiver's side gave money back.
    Refunded {
        /// Of which channel.
        channel: ChannelId,
        /// Who sent the transaction.
        sender: Address,
        /// How much.
        amount: Amount,
    },
    /// The payer wants money back: claim what is signed before this second, and serve nobody through this channel.
    WithdrawInitiated {
        /// Of which channel.
        channel: ChannelId,
        /// How much.
        amount: Amount,
        /// The first second since 1970 at which it can be taken.
        finalize_after: u64,
    },
    /// The payer has taken it.
    WithdrawFinalized {
        /// Of which channel.
        channel: ChannelId,
        /// Who sent the transaction.
        sender: Address,
        /// How much: at most what was asked for.
        amount: Amount,
    },
}

/// The events as they are declared; their hashes are the first topics.
const CREATED: &str = "ChannelCreated(bytes32,(address,address,address,address,address,uint40,bytes32))";
const CLOSED: &str = "ChannelClosed(bytes32,(address,address,address,address,address,uint40,bytes32))";
const DEPOSITED: &str = "Deposited(bytes32,address,uint128,uint128)";
const CLAIMED: &str = "Claimed(bytes32,address,uint128,uint128)";
const SETTLED: &str = "Settled(address,address,address,uint128)";
const REFUNDED: &str = "Refunded(bytes32,address,uint128)";
const WITHDRAW_INITIATED: &str = "WithdrawInitiated(bytes32,uint128,uint40)";
const WITHDRAW_FINALIZED: &str = "WithdrawFinalized(bytes32,address,uint128)";
const ALL: [&str; 8] =
    [CREATED, CLOSED, DEPOSITED, CLAIMED, SETTLED, REFUNDED, WITHDRAW_INITIATED, WITHDRAW_FINALIZED];

fn topic(event: &str) -> Word {
    Word::from_bytes(*keccak256(event.as_bytes()).as_bytes())
}

impl BatchEvent {
    /// The first topics of all events.
    pub fn topics() -> [Word; 8] {
        ALL.map(topic)
    }

    /// The first topic of [`WithdrawInitiated`](Self::WithdrawInitiated), which somebody should always listen for.
    pub fn withdraw_initiated_topic() -> Word {
        topic(WITHDRAW_INITIATED)
    }

    /// The event in a log; `None` if it is none of the escrow's.
    pub fn read(topics: &[Word], bytes: &[u8]) -> Option<Self> {
        let (first, indexed) = topics.split_first()?;
        let event = ALL.into_iter().find(|event| topic(event) == *first)?;
        let row = Row(bytes);
        let amount = |place| row.word(place)?.to_amount();
        match (event, indexed) {
            (CREATED, [channel]) => Some(Self::Created(channel_of(channel), terms_of(row)?)),
            (CLOSED, [channel]) => Some(Self::Closed(channel_of(channel), terms_of(row)?)),
            (DEPOSITED, [channel, sender]) => Some(Self::Deposited {
                channel: channel_of(channel),
                sender: sender.to_address()?,
                amount: amount(0)?,
                balance: amount(1)?,
            }),
            (CLAIMED, [channel, sender]) => Some(Self::Claimed {
                channel: channel_of(channel),
                sender: sender.to_address()?,
                amount: amount(0)?,
                total: amount(1)?,
            }),
            (SETTLED, [receiver, token, sender]) => Some(Self::Settled {
                receiver: receiver.to_address()?,
                token: token.to_address()?,
                sender: sender.to_address()?,
                amount: amount(0)?,
            }),
            (REFUNDED, [channel, sender]) => Some(Self::Refunded {
                channel: channel_of(channel),
                sender: sender.to_address()?,
                amount: amount(0)?,
            }),
            (WITHDRAW_INITIATED, [channel]) => Some(Self::WithdrawInitiated {
                channel: channel_of(channel),
                amount: amount(0)?,
                finalize_after: row.word(1)?.to_u64()?,
            }),
            (WITHDRAW_FINALIZED, [channel, sender]) => Some(Self::WithdrawFinalized {
                channel: channel_of(channel),
                sender: sender.to_address()?,
                amount: amount(0)?,
            }),
            _ => None,
        }
    }
}

fn channel_of(topic: &Word) -> ChannelId {
    ChannelId::from_bytes(*topic.as_bytes())
}

fn terms_of(row: Row<'_>) -> Option<ChannelTerms> {
    let mut words = [Word::ZERO; 7];
    for (place, word) in words.iter_mut().enumerate() {
        *word = row.word(place)?;
    }
    ChannelTerms::from_words(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_log_is_read_or_refused(which in 0usize..9, words in prop::collection::vec(any::<[u8; 32]>(), 0..4), bytes: Vec<u8>) {
            let first = BatchEvent::topics().get(which).copied().unwrap_or(Word::ZERO);
            let topics: Vec<Word> = std::iter::once(first).chain(words.into_iter().map(Word::from_bytes)).collect();
            let _ = (BatchEvent::read(&topics, &bytes), BatchEvent::read(&topics[1..], &bytes));
        }
    }
}
