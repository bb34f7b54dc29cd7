//! What has moved, as tokens say it: the `Transfer` that a settled call must have caused.

use farthing_channel::{Address, Word};
use farthing_engine::{CallRow, Movement, Purpose};
use farthing_money::Amount;

use crate::abi;
use crate::chain::of_engine;
use crate::node::{Log, LogFilter, Receipt};

/// The event of every ERC-20.
pub(crate) const TRANSFER: &str = "Transfer(address,address,uint256)";

/// What a token with EIP-3009 says when it carries an authorisation out.
pub(crate) const USED: &str = "AuthorizationUsed(address,bytes32)";
/// What it says when its payer takes one back.
pub(crate) const CANCELED: &str = "AuthorizationCanceled(address,bytes32)";

/// How much of the chain's own coin goes along with a call. Only what a payer is given for an approval does.
pub(crate) fn coin_of(row: &CallRow) -> Amount {
    match row.purpose {
        Purpose::Funding { .. } => row.call.moves.units,
        _ => Amount::ZERO,
    }
}

/// Whether a log says exactly this movement.
pub(crate) fn is_said_by(moves: &Movement, log: &Log) -> bool {
    log.contract == of_engine(moves.token)
        && log.topics == topics(moves)
        && abi::only_word(&log.rest) == Some(Word::from(moves.units))
}

/// The place of the log that says this movement, in a receipt that says that it stands.
pub(crate) fn place(moves: &Movement, receipt: &Receipt) -> Option<u64> {
    let logs = receipt.logs.iter().filter(|_| receipt.succeeded);
    logs.enumerate().find(|(_, log)| is_said_by(moves, log)).and_then(|(place, _)| u64::try_from(place).ok())
}

/// What the use of an authorisation has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// What it should: the log at this place says so.
    Moved(u64),
    /// Something else.
    Other,
    /// It cannot be told from what else was moved there.
    Unclear,
}

/// What an authorisation has moved: a token says that it is used, and right after it what it moves. What is moved elsewhere in
/// the same transaction belongs to another one, also what stands right before. A token may say it the other way round:
/// then nothing of the payer's follows, and no other authorisation stands before what was moved.
pub(crate) fn of_use(moves: &Movement, nonce: &[u8; 32], receipt: &Receipt) -> Option<Use> {
    let very = used_topics(USED, moves, nonce);
    let (token, used) = (of_engine(moves.token), abi::topic(USED));
    let is_it = |log: &Log| log.contract == token && log.topics == very;
    let at = receipt.logs.iter().position(is_it).filter(|_| receipt.succeeded)?;
    let of_payer = [abi::topic(TRANSFER), of_engine(moves.from).into()];
    let of_payer_at = |place: usize| {
        let log = receipt.logs.get(place)?;
        (log.contract == token && log.topics.starts_with(&of_payer)).then_some((place, log))
    };
    let is_claimed = |place: usize| {
        let before = place.checked_sub(1).and_then(|before| receipt.logs.get(before));
        before.is_some_and(|log| log.contract == token && log.topics.first() == Some(&used))
    };
    let before = || at.checked_sub(1).filter(|place| !is_claimed(*place)).and_then(of_payer_at);
    match at.checked_add(1).and_then(of_payer_at).or_else(before) {
        Some((place, log)) if is_said_by(moves, log) => u64::try_from(place).ok().map(Use::Moved),
        Some(_) => Some(Use::Other),
        None => Some(if place(moves, receipt).is_none() { Use::Other } else { Use::Unclear }),
    }
}

/// Whether a receipt says that the payer's token has carried any authorisation of his.
pub(crate) fn uses_any(moves: &Movement, receipt: &Receipt) -> bool {
    let of_payer = [abi::topic(USED), of_engine(moves.from).into()];
    receipt.logs.iter().any(|log| log.contract == of_engine(moves.token) && log.topics.starts_with(&of_payer))
}

/// What to search for to find what became of an authorisation of a token in these blocks.
pub(crate) fn use_filter(
    event: &str,
    moves: &Movement,
    nonce: &[u8; 32],
    (from, to): (u64, u64),
) -> LogFilter {
    let topics = used_topics(event, moves, nonce);
    LogFilter { from, to, contract: of_engine(moves.token), topics, third: Vec::new() }
}

fn used_topics(event: &str, moves: &Movement, nonce: &[u8; 32]) -> Vec<Word> {
    vec![abi::topic(event), of_engine(moves.from).into(), Word::from_bytes(*nonce)]
}

/// What to search for to find the movement in these blocks. Tokens do not index amounts.
pub(crate) fn filter(moves: &Movement, from: u64, to: u64) -> LogFilter {
    LogFilter { from, to, contract: of_engine(moves.token), topics: topics(moves), third: Vec::new() }
}

/// What to search for to find what came to any of these accounts in these blocks.
pub(crate) fn arrival_filter(token: Address, accounts: &[Address], (from, to): (u64, u64)) -> LogFilter {
    let third = accounts.iter().map(|account| (*account).into()).collect();
    LogFilter { from, to, contract: token, topics: vec![abi::topic(TRANSFER)], third }
}

/// From whom, to whom and how many units, if a log of a token says so.
pub(crate) fn said_by(log: &Log) -> Option<(Address, Address, Amount)> {
    let [event, from, to] = log.topics[..] else { return None };
    let units = abi::only_word(&log.rest)?.to_amount()?;
    (event == abi::topic(TRANSFER)).then_some((from.to_address()?, to.to_address()?, units))
}

fn topics(moves: &Movement) -> Vec<Word> {
    vec![abi::topic(TRANSFER), of_engine(moves.from).into(), of_engine(moves.to).into()]
}

#[cfg(test)]
mod tests {
    use farthing_channel::{Digest, TxHash};
    use farthing_engine::ChainAddress;

    use super::*;

    #[test]
    fn only_the_very_movement_counts() {
        let at = |n| ChainAddress::from_bytes([n; 20]);
        let moves = Movement { token: at(1), from: at(2), to: at(3), units: Amount::new(5) };
        let log = Log {
            contract: of_engine(at(1)),
            topics: topics(&moves),
            rest: Word::from(5).as_bytes().to_vec(),
            transaction: TxHash::from_bytes([0; 32]),
        };
        let receipt = |succeeded, log| Receipt {
            transaction: TxHash::from_bytes([0; 32]),
            block: 1,
            block_hash: Digest::from_bytes([0; 32]),
            succeeded,
            paid: Amount::ZERO,
            logs: vec![log],
        };
        assert_eq!(place(&moves, &receipt(true, log.clone())), Some(0));
        assert_eq!(place(&moves, &receipt(false, log.clone())), None);
        for other in [
            Movement { token: at(9), ..moves },
            Movement { from: at(9), ..moves },
            Movement { to: at(9), ..moves },
            Movement { units: Amount::new(4), ..moves },
        ] {
            assert!(!is_said_by(&other, &log), "{other:?}");
        }
        assert_eq!(place(&Movement { token: at(9), ..moves }, &receipt(true, log.clone())), None);
        let longer = Log { rest: [log.rest.clone(), vec![0; 32]].concat(), ..log };
        assert!(!is_said_by(&moves, &longer));
    }

    fn log(event: &str, topics: [Word; 2], rest: Vec<u8>) -> Log {
        let [first, second] = topics;
        Log {
            contract: Address::from_bytes([1; 20]),
            topics: vec![abi::topic(event), first, second],
            rest,
            transaction: TxHash::from_bytes([0; 32]),
        }
    }

    #[test]
    fn what_is_moved_belongs_to_the_use_beside_it() {
        let at = |n| Address::from_bytes([n; 20]);
        let of = |n| ChainAddress::from_bytes([n; 20]);
        let moves = Movement { token: of(1), from: of(2), to: of(3), units: Amount::new(5) };
        let used = |nonce: u8| log(USED, [at(2).into(), Word::from_bytes([nonce; 32])], vec![]);
        let transfer = |to: u8, units: u64| {
            log(TRANSFER, [at(2).into(), at(to).into()], Word::from(units).as_bytes().to_vec())
        };
        let other = log("Other(address,address)", [at(2).into(), at(3).into()], vec![]);
        let judge = |logs: Vec<Log>| {
            let receipt = Receipt {
                transaction: TxHash::from_bytes([0; 32]),
                block: 1,
                block_hash: Digest::from_bytes([0; 32]),
                succeeded: true,
                paid: Amount::ZERO,
                logs,
            };
            of_use(&moves, &[9; 32], &receipt)
        };
        assert_eq!(judge(vec![used(9), transfer(3, 5)]), Some(Use::Moved(1)));
        assert_eq!(judge(vec![transfer(3, 5), used(9)]), Some(Use::Moved(0)));
        assert_eq!(
            judge(vec![other.clone(), used(8), transfer(3, 5), used(9), transfer(3, 5)]),
            Some(Use::Moved(4))
        );
        assert_eq!(judge(vec![used(8), transfer(3, 5)]), None, "another one");
        assert_eq!(judge(vec![used(9), transfer(4, 5)]), Some(Use::Other), "to somebody else");
        assert_eq!(
            judge(vec![used(8), transfer(3, 5), other.clone(), used(9), transfer(3, 4)]),
            Some(Use::Other)
        );
        // What stands before belongs to the one before, whatever follows.
        assert_eq!(judge(vec![used(8), transfer(3, 5), used(9), transfer(4, 5)]), Some(Use::Other));
        assert_eq!(judge(vec![used(8), transfer(3, 5), used(9)]), Some(Use::Unclear));
        assert_eq!(judge(vec![used(9)]), Some(Use::Other));
        assert_eq!(judge(vec![used(9), other, transfer(3, 5)]), Some(Use::Unclear));
    }
}
