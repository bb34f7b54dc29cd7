//! What the escrow of channels says while it works. The transaction is put in by whoever carries it out.

use farthing_channel::{Address, BATCH_ESCROW, ChannelId, ChannelTerms, TxHash, Word};
use farthing_money::Amount;

use crate::abi;
use crate::node::Log;

fn said(event: &str, about: &[Word], rest: &[Word]) -> Log {
    let topics = std::iter::once(abi::topic(event)).chain(about.iter().copied()).collect();
    let rest = rest.iter().flat_map(|word| *word.as_bytes()).collect();
    Log { contract: BATCH_ESCROW, topics, rest, transaction: TxHash::from_bytes([0; 32]) }
}

fn words(terms: &ChannelTerms) -> [Word; 7] {
    let ChannelTerms { payer, payer_authorizer, receiver, receiver_authorizer, token, .. } = *terms;
    let [first, second, third, fourth, fifth] =
        [payer, payer_authorizer, receiver, receiver_authorizer, token].map(Word::from);
    [first, second, third, fourth, fifth, u64::from(terms.withdraw_delay).into(), terms.salt.into()]
}

pub(super) fn created(id: ChannelId, terms: &ChannelTerms) -> Log {
    let event = "ChannelCreated(bytes32,(address,address,address,address,address,uint40,bytes32))";
    said(event, &[id.into()], &words(terms))
}

pub(super) fn closed(id: ChannelId, terms: &ChannelTerms) -> Log {
    let event = "ChannelClosed(bytes32,(address,address,address,address,address,uint40,bytes32))";
    said(event, &[id.into()], &words(terms))
}

pub(super) fn deposited(id: ChannelId, sender: Address, units: Amount, balance: Amount) -> Log {
    let event = "Deposited(bytes32,address,uint128,uint128)";
    said(event, &[id.into(), sender.into()], &[units.into(), balance.into()])
}

pub(super) fn claimed(id: ChannelId, sender: Address, more: Amount, total: Amount) -> Log {
    let event = "Claimed(bytes32,address,uint128,uint128)";
    said(event, &[id.into(), sender.into()], &[more.into(), total.into()])
}

pub(super) fn settled(receiver: Address, token: Address, sender: Address, units: Amount) -> Log {
    let about = [receiver.into(), token.into(), sender.into()];
    said("Settled(address,address,address,uint128)", &about, &[units.into()])
}

pub(super) fn refunded(id: ChannelId, sender: Address, units: Amount) -> Log {
    said("Refunded(bytes32,address,uint128)", &[id.into(), sender.into()], &[units.into()])
}

pub(super) fn initiated(id: ChannelId, units: Amount, finalize_after: u64) -> Log {
    let event = "WithdrawInitiated(bytes32,uint128,uint40)";
    said(event, &[id.into()], &[units.into(), finalize_after.into()])
}

pub(super) fn finalized(id: ChannelId, sender: Address, units: Amount) -> Log {
    said("WithdrawFinalized(bytes32,address,uint128)", &[id.into(), sender.into()], &[units.into()])
}
