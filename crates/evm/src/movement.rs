//! What has moved, as tokens say it: the `Transfer` that a settled call must have caused.

use farthing_channel::Word;
use farthing_engine::Movement;

use crate::abi;
use crate::chain::of_engine;
use crate::node::{Log, LogFilter, Receipt};

/// The event of every ERC-20.
pub(crate) const TRANSFER: &str = "Transfer(address,address,uint256)";

/// Whether a log says exactly this movement.
pub(crate) fn is_said_by(moves: &Movement, log: &Log) -> bool {
    log.contract == of_engine(moves.token)
        && log.topics == topics(moves)
        && abi::only_word(&log.rest) == Some(Word::from(moves.units))
}

/// Whether a receipt says this movement, and that it stands.
pub(crate) fn has_moved(moves: &Movement, receipt: &Receipt) -> bool {
    receipt.succeeded && receipt.logs.iter().any(|log| is_said_by(moves, log))
}

/// What to search for to find the movement in these blocks. Tokens do not index amounts.
pub(crate) fn filter(moves: &Movement, from: u64, to: u64) -> LogFilter {
    LogFilter { from, to, contract: of_engine(moves.token), topics: topics(moves) }
}

fn topics(moves: &Movement) -> Vec<Word> {
    vec![abi::topic(TRANSFER), of_engine(moves.from).into(), of_engine(moves.to).into()]
}

#[cfg(test)]
mod tests {
    use farthing_channel::{Digest, TxHash};
    use farthing_engine::ChainAddress;
    use farthing_money::Amount;

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
        assert!(has_moved(&moves, &receipt(true, log.clone())));
        assert!(!has_moved(&moves, &receipt(false, log.clone())));
        for other in [
            Movement { token: at(9), ..moves },
            Movement { from: at(9), ..moves },
            Movement { to: at(9), ..moves },
            Movement { units: Amount::new(4), ..moves },
        ] {
            assert!(!is_said_by(&other, &log), "{other:?}");
        }
        let longer = Log { rest: [log.rest.clone(), vec![0; 32]].concat(), ..log };
        assert!(!is_said_by(&moves, &longer));
    }
}
