//! Whether the money has moved after all. Anyone may carry a payer's authorisation to the chain, so a call of ours that
//! fails, or whose number is used up, may have been overtaken. The contract that counts says whether the authorisation was
//! used; the token's logs say by which transaction.

use farthing_channel::TxHash;
use farthing_engine::CallRow;
use farthing_money::Timestamp;

use crate::authorized::Authorized;
use crate::chain::ChainConfig;
use crate::movement;
use crate::node::{Block, Node, NodeError, Receipt, Trial};

/// How many blocks are searched with one question. Many nodes take no more.
const BLOCKS_AT_ONCE: u64 = 1_000;
/// How many questions there are at most.
const QUESTIONS_MOST: u32 = 40;
/// Clocks differ: so much before the call was asked for is searched as well.
const MARGIN_SECONDS: u64 = 3_600;

/// What became of an authorisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nobody has used it.
    Unused,
    /// A transaction has moved the money, deep enough to count.
    Moved(Receipt),
    /// It is used, and whether that counts is not known yet.
    Shallow,
    /// It was used up and no money moved to whom it should: its payer took it back.
    Cancelled,
}

/// Asks what became of the authorisation that a call carries.
pub(crate) async fn fate(chain: &ChainConfig, node: &dyn Node, row: &CallRow) -> Result<Fate, NodeError> {
    let authorized = Authorized::of_call(chain, &row.call);
    if let Some(authorized) = &authorized {
        let to = authorized.contract();
        let answer = node.call(Trial { from: to, to, input: authorized.question() }).await;
        let answer = match answer {
            Err(error) if error.is_fault() => return Err(error),
            // A contract that does not answer has not counted either.
            answer => answer.unwrap_or_default(),
        };
        if authorized.is_used(&answer) != Some(true) {
            return Ok(Fate::Unused);
        }
    } else if row.attempts.is_empty() {
        // What we send of our own accord nobody else can.
        return Ok(Fate::Unused);
    }
    // Read after the question was answered, so that the block which answers it is among those that are searched.
    let head = node.head().await?;
    let mut to = head.number;
    for _ in 0..QUESTIONS_MOST {
        let from = to.saturating_sub(BLOCKS_AT_ONCE.saturating_sub(1));
        if let Some(receipt) = search(node, authorized.as_ref(), row, (from, to)).await? {
            let deep = depth(head, receipt.block) >= chain.confirmations;
            return Ok(if deep { Fate::Moved(receipt) } else { Fate::Shallow });
        }
        if from == 0 || is_before(node, from, row.at).await? {
            break;
        }
        to = from.saturating_sub(1);
    }
    Ok(if authorized.is_some() { Fate::Cancelled } else { Fate::Unused })
}

/// How many blocks hold what is in this block.
pub(crate) fn depth(head: Block, block: u64) -> u64 {
    head.number.saturating_add(1).saturating_sub(block)
}

/// The transaction in these blocks that moved the money with this very authorisation: its number stands in the call. What
/// needs no authorisation is moved by our own transactions alone.
async fn search(
    node: &dyn Node,
    authorized: Option<&Authorized>,
    row: &CallRow,
    (from, to): (u64, u64),
) -> Result<Option<Receipt>, NodeError> {
    let moves = &row.call.moves;
    for log in node.logs(movement::filter(moves, from, to)).await? {
        if !movement::is_said_by(moves, &log) {
            continue;
        }
        let very = match authorized {
            Some(authorized) => {
                let input = node.input(log.transaction).await?.unwrap_or_default();
                input.windows(32).any(|word| word == authorized.nonce)
            }
            None => row.attempts.iter().any(|own| of_engine_hash(own.transaction) == log.transaction),
        };
        if !very {
            continue;
        }
        let receipt = node.receipt(log.transaction).await?;
        if let Some(receipt) = receipt.filter(|receipt| movement::has_moved(moves, receipt)) {
            return Ok(Some(receipt));
        }
    }
    Ok(None)
}

async fn is_before(node: &dyn Node, number: u64, at: Timestamp) -> Result<bool, NodeError> {
    let least = at.secs().saturating_sub(MARGIN_SECONDS);
    Ok(node.block(number).await?.is_none_or(|block| block.at.secs() < least))
}

/// A hash in the words of the engine.
pub(crate) fn to_engine_hash(hash: TxHash) -> farthing_engine::TransactionId {
    farthing_engine::TransactionId::from_bytes(*hash.as_bytes())
}

/// A hash of the engine's.
pub(crate) fn of_engine_hash(id: farthing_engine::TransactionId) -> TxHash {
    TxHash::from_bytes(*id.as_bytes())
}

#[cfg(test)]
mod tests {
    use farthing_channel::{Address, Authorization, AuthorizationNonce, ChainId, SigningKey, Word, call};
    use farthing_engine::{Attempt, Call, ChainAddress, Movement, Purpose, TransactionId};
    use farthing_money::{Amount, Asset};

    use super::*;
    use crate::chain::{of_engine, to_engine};
    use crate::node::ScriptedNode;
    use crate::transaction::{Fees, SignedTransaction, Transaction};

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn token() -> Address {
        Address::from_bytes([5; 20])
    }

    fn chain(confirmations: u64) -> ChainConfig {
        let coin = Asset::new("ETH", 18, "wei").unwrap();
        let chain = ChainConfig::new(ChainId::new(1), vec![], Address::ZERO, coin, vec![]);
        ChainConfig { confirmations, ..chain }
    }

    /// A chain on which units of the token went from 2 to 3 by this nonce, and the transaction that moved them.
    async fn moved(nonce: u8) -> (ScriptedNode, SignedTransaction) {
        let node = ScriptedNode::new(ChainId::new(1), NOW);
        let key = SigningKey::from_bytes([1; 32]).unwrap();
        let from = Address::from_bytes([2; 20]);
        node.put_token(token(), "T", "1");
        node.mint(token(), from, Amount::new(100));
        node.fund(key.address(), Amount::new(10_u128.pow(18)));
        let authorization = Authorization {
            from,
            to: Address::from_bytes([3; 20]),
            value: Word::from(7),
            valid_after: Word::ZERO,
            valid_before: Word::MAX,
            nonce: AuthorizationNonce::from_bytes([nonce; 32]),
        };
        let input = call::transfer_with_authorization_bytes(&authorization, &[1; 65]);
        let fees = Fees { most: Amount::new(10_u128.pow(10)), tip: Amount::new(1) };
        let transaction =
            Transaction { chain: ChainId::new(1), number: 0, fees, gas: 100_000, to: token(), input };
        let signature = key.sign(&transaction.digest());
        let signed = transaction.signed(&signature).unwrap();
        node.send(signed.bytes.clone()).await.unwrap();
        node.mine();
        (node, signed)
    }

    fn row(to: Address, input: Vec<u8>, attempts: &[TxHash]) -> CallRow {
        let at = |n| ChainAddress::from_bytes([n; 20]);
        let moves = Movement { token: at(5), from: at(2), to: at(3), units: Amount::new(7) };
        let attempt = |hash: &TxHash| Attempt { transaction: to_engine_hash(*hash), signed: vec![], at: NOW };
        CallRow {
            call: Call { chain: 1, to: to_engine(to), input, moves, until: NOW },
            purpose: Purpose::Facilitated,
            at: NOW,
            slot: None,
            attempts: attempts.iter().map(attempt).collect(),
            reopened: false,
            delivered: false,
        }
    }

    async fn of(confirmations: u64, node: &ScriptedNode, row: &CallRow) -> Fate {
        fate(&chain(confirmations), node, row).await.unwrap()
    }

    #[tokio::test]
    async fn an_authorization_has_the_fate_of_its_number() {
        let (node, signed) = moved(9).await;
        let (_, other) = moved(8).await;
        let same = row(token(), signed.transaction.input.clone(), &[]);
        assert!(
            matches!(of(1, &node, &same).await, Fate::Moved(receipt) if receipt.transaction == signed.hash)
        );
        assert_eq!(of(2, &node, &same).await, Fate::Shallow);
        let unused = row(token(), other.transaction.input, &[]);
        assert_eq!(of(1, &node, &unused).await, Fate::Unused, "the same sum between the same two");
        let mut less = same.clone();
        less.call.moves.units = Amount::new(6);
        assert_eq!(of(1, &node, &less).await, Fate::Cancelled, "used, and nothing moved as it should");
        assert_eq!(of_engine(same.call.to), token());
    }

    /// What we pay out needs nobody's authorisation, and no contract counts it.
    #[tokio::test]
    async fn what_we_send_ourselves_has_the_fate_of_our_transactions() {
        let (node, signed) = moved(9).await;
        let input = call::transfer(Address::from_bytes([3; 20]), Word::from(7));
        let ours = row(token(), input.clone(), &[TxHash::from_bytes([1; 32]), signed.hash]);
        assert!(
            matches!(of(1, &node, &ours).await, Fate::Moved(receipt) if receipt.transaction == signed.hash)
        );
        let others = row(token(), input.clone(), &[TxHash::from_bytes([1; 32])]);
        assert_eq!(of(1, &node, &others).await, Fate::Unused);
        assert_eq!(of(1, &node, &row(token(), input, &[])).await, Fate::Unused);
        assert_eq!(of_engine_hash(TransactionId::from_bytes([1; 32])), TxHash::from_bytes([1; 32]));
    }
}
