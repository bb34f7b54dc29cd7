//! Whether the money has moved after all. Anyone may carry a payer's authorisation to the chain, so a call of ours that
//! fails, or whose number is used up, may have been overtaken. The contract that counts says whether the authorisation was
//! used; what it has said in its logs tells by which transaction, and whether its payer took it back. Nothing else is proof:
//! payers choose the numbers of their authorisations, and sign the same sum for the same payee as often as they like.

use farthing_channel::TxHash;
use farthing_engine::{Attempt, CallRow, Purpose};
use farthing_money::Timestamp;
use futures_util::future::join_all;

use crate::authorized::{Authorized, Counter};
use crate::chain::{ChainConfig, of_engine};
use crate::channels::BatchStep;
use crate::escrow::EscrowCall;
use crate::movement::{self, Use};
use crate::node::{Block, Log, Node, NodeError, Receipt, Trial};
use farthing_channel::SignedTransaction;

/// How many blocks are searched with the first question. Many nodes take no more; of those that do, more is asked.
const BLOCKS_AT_FIRST: u64 = 1_000;
/// How many stretches of blocks there are at most.
const STRETCHES_MOST: u32 = 100;
/// Clocks differ: so much before the call was asked for is searched as well.
const MARGIN_SECONDS: u64 = 3_600;

/// What became of an authorisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nobody has used it.
    Unused,
    /// A transaction has moved the money, deep enough to count.
    Moved(Moved),
    /// It is used, and whether that counts is not known yet.
    Shallow,
    /// It was used up and no money moved to whom it should: its payer took it back, or used it for something else.
    Cancelled,
    /// It is used, or nobody knows whether, and what has moved was not found.
    Unknown,
}

/// What has moved the money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// By which transaction.
    pub(crate) receipt: Receipt,
    /// Which of its logs says so.
    pub(crate) log: u64,
}

/// Asks what became of the authorisation that a call carries. What needs none has no fate but that of its own transactions.
pub(crate) async fn fate(chain: &ChainConfig, node: &dyn Node, row: &CallRow) -> Result<Fate, NodeError> {
    let Some(authorized) = Authorized::of_call(chain, &row.call) else { return Ok(Fate::Unknown) };
    let to = authorized.contract();
    match node.call(Trial { from: to, to, input: authorized.question() }).await {
        // A contract that does not answer has not counted either.
        Err(NodeError::Reverted(_)) => return Ok(Fate::Unused),
        Err(error) => return Err(error),
        Ok(answer) => match authorized.is_used(&answer) {
            Some(true) => {}
            Some(false) => return Ok(Fate::Unused),
            None => return Ok(Fate::Unknown),
        },
    }
    if of_engine(row.call.moves.from) != authorized.payer {
        return Ok(Fate::Unknown);
    }
    // Read after the question was answered, so that the block which answers it is among those that are searched.
    let head = node.head().await?;
    let search = Search { chain, node, row, authorized, head };
    match authorized.counter {
        Counter::Token(token) if token == of_engine(row.call.moves.token) => search.of_token().await,
        Counter::Token(_) => Ok(Fate::Unknown),
        Counter::Permit2(_) => search.of_permit2().await,
    }
}

/// The log by which a transaction of ours has moved what a call should, if it has.
pub(crate) fn own_log(chain: &ChainConfig, row: &CallRow, receipt: &Receipt) -> Option<u64> {
    // Coin moves without a word, and what moves in channels is seen there: the transaction itself says that it is done, and no
    // other call has that one. A blank one that took its number does nothing.
    let unsaid = matches!(row.purpose, Purpose::Funding { .. } | Purpose::Channel(_));
    if unsaid || BatchStep::of(&row.call).is_some() {
        let sent = |attempt: &&Attempt| of_engine_hash(attempt.transaction) == receipt.transaction;
        let sent =
            row.attempts.iter().find(sent).and_then(|attempt| SignedTransaction::decode(&attempt.signed));
        let done = sent.is_some_and(|sent| receipt.succeeded && !sent.transaction.is_blank());
        return done.then_some(0);
    }
    let moves = &row.call.moves;
    if let Some(escrow) = EscrowCall::of_call(chain, &row.call) {
        return escrow.place(receipt);
    }
    let authorized = Authorized::of_call(chain, &row.call);
    match authorized.and_then(|authorized| movement::of_use(moves, &authorized.nonce, receipt)) {
        Some(Use::Moved(place)) => Some(place),
        _ => movement::place(moves, receipt),
    }
}

/// Whether a receipt still says, with this very log, that a call has moved what it should.
pub(crate) fn still_says(chain: &ChainConfig, row: &CallRow, receipt: &Receipt, log: u64) -> bool {
    let moves = &row.call.moves;
    if row.attempts.iter().any(|attempt| of_engine_hash(attempt.transaction) == receipt.transaction) {
        return own_log(chain, row, receipt) == Some(log);
    }
    let Some(authorized) = Authorized::of_call(chain, &row.call) else { return false };
    match authorized.counter {
        Counter::Token(_) => movement::of_use(moves, &authorized.nonce, receipt) == Some(Use::Moved(log)),
        Counter::Permit2(_) => movement::place(moves, receipt) == Some(log),
    }
}

/// Whether on a receipt's block so many lie that it counts, itself among them, each with the name of the one before. What was
/// said of the newest block may be about another branch: a fork may be shorter, and nodes behind one address may differ.
pub(crate) async fn lies_deep(
    node: &dyn Node,
    receipt: &Receipt,
    confirmations: u64,
) -> Result<bool, NodeError> {
    let last = receipt.block.saturating_add(confirmations.saturating_sub(1));
    let blocks = join_all((receipt.block..=last).map(|number| node.block(number))).await;
    let mut below = None;
    for block in blocks {
        let Some(block) = block? else { return Ok(false) };
        let fits = match below {
            None => block.hash == receipt.block_hash,
            Some(below) => block.parent == below,
        };
        if !fits {
            return Ok(false);
        }
        below = Some(block.hash);
    }
    Ok(true)
}

/// How many blocks hold what is in this block.
pub(crate) fn depth(head: Block, block: u64) -> u64 {
    head.number.saturating_add(1).saturating_sub(block)
}

/// A search for what became of a used authorisation.
struct Search<'a> {
    chain: &'a ChainConfig,
    node: &'a dyn Node,
    row: &'a CallRow,
    authorized: Authorized,
    head: Block,
}

impl Search<'_> {
    /// A token with EIP-3009 says of each number what became of it, once.
    async fn of_token(&self) -> Result<Fate, NodeError> {
        let (moves, nonce) = (&self.row.call.moves, &self.authorized.nonce);
        let mut stretches = Stretches::before(self.head.number);
        while let Some(stretch) = stretches.next() {
            let used = movement::use_filter(movement::USED, moves, nonce, stretch);
            let canceled = movement::use_filter(movement::CANCELED, moves, nonce, stretch);
            let Some(used) = stretches.take(self.node.logs(used).await)? else { continue };
            if let Some(log) = used.last() {
                return self.of_use(log).await;
            }
            let Some(canceled) = stretches.take(self.node.logs(canceled).await)? else { continue };
            if let Some(log) = canceled.last() {
                let counts = self.standing(log.transaction).await?.is_some();
                return Ok(if counts { Fate::Cancelled } else { Fate::Shallow });
            }
            stretches.go_on();
        }
        Ok(Fate::Unknown)
    }

    async fn of_use(&self, log: &Log) -> Result<Fate, NodeError> {
        let Some(receipt) = self.standing(log.transaction).await? else { return Ok(Fate::Shallow) };
        Ok(match movement::of_use(&self.row.call.moves, &self.authorized.nonce, &receipt) {
            Some(Use::Moved(log)) => Fate::Moved(Moved { receipt, log }),
            Some(Use::Other) => Fate::Cancelled,
            Some(Use::Unclear) | None => Fate::Unknown,
        })
    }

    /// Permit2 says nothing of a number that is used, so that only a transaction which carries the permit itself is proof.
    /// That one was taken back is said of any number, also of a used one: it counts if nothing has moved.
    async fn of_permit2(&self) -> Result<Fate, NodeError> {
        let mut taken_back = None;
        let mut stretches = Stretches::before(self.head.number);
        while let Some(stretch) = stretches.next() {
            let moved = self.node.logs(movement::filter(&self.row.call.moves, stretch.0, stretch.1)).await;
            let Some(moved) = stretches.take(moved)? else { continue };
            for log in moved.iter().rev().filter(|log| movement::is_said_by(&self.row.call.moves, log)) {
                if let Some(fate) = self.of_permit(log).await? {
                    return Ok(fate);
                }
            }
            let back = self.node.logs(self.authorized.taken_back_filter(stretch)).await;
            let Some(back) = stretches.take(back)? else { continue };
            let very = back.into_iter().rfind(|log| self.authorized.is_taken_back_by(log));
            taken_back = taken_back.or(very);
            if let Some(log) = &taken_back
                && (stretch.0 == 0 || is_before(self.node, stretch.0, self.row.at).await?)
            {
                let counts = self.standing(log.transaction).await?.is_some();
                return Ok(if counts { Fate::Cancelled } else { Fate::Shallow });
            }
            stretches.go_on();
        }
        Ok(Fate::Unknown)
    }

    async fn of_permit(&self, log: &Log) -> Result<Option<Fate>, NodeError> {
        let moves = &self.row.call.moves;
        let sent = self.node.sent(log.transaction).await?;
        if !sent.is_some_and(|sent| self.authorized.is_permit_in(self.chain, &sent, moves)) {
            return Ok(None);
        }
        let Some(receipt) = self.standing(log.transaction).await? else { return Ok(Some(Fate::Shallow)) };
        Ok(movement::place(moves, &receipt).map(|log| Fate::Moved(Moved { receipt, log })))
    }

    /// The receipt of a transaction that lies deep enough, in a block that is the chain's.
    async fn standing(&self, transaction: TxHash) -> Result<Option<Receipt>, NodeError> {
        let Some(receipt) = self.node.receipt(transaction).await? else { return Ok(None) };
        let deep = depth(self.head, receipt.block) >= self.chain.confirmations;
        if !deep || !receipt.succeeded {
            return Ok(None);
        }
        Ok(lies_deep(self.node, &receipt, self.chain.confirmations).await?.then_some(receipt))
    }
}

/// Stretches of blocks from the newest back, larger ones as long as a node takes them.
struct Stretches {
    /// The last block of the next one; nothing after the first block of all.
    to: Option<u64>,
    size: u64,
    grows: bool,
    left: u32,
}

impl Stretches {
    fn before(head: u64) -> Self {
        Self { to: Some(head), size: BLOCKS_AT_FIRST, grows: true, left: STRETCHES_MOST }
    }

    fn next(&mut self) -> Option<(u64, u64)> {
        self.left = self.left.checked_sub(1)?;
        let to = self.to?;
        Some((to.saturating_sub(self.size.saturating_sub(1)), to))
    }

    /// What was asked for, or nothing if the node takes no stretch that is so long: then half of it is asked for.
    fn take(&mut self, answer: Result<Vec<Log>, NodeError>) -> Result<Option<Vec<Log>>, NodeError> {
        match answer {
            Ok(logs) => Ok(Some(logs)),
            Err(NodeError::Refused { .. } | NodeError::Busy { .. } | NodeError::Slow { .. })
                if self.size > 1 =>
            {
                self.size /= 2;
                self.grows = false;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The last one held nothing.
    fn go_on(&mut self) {
        self.to = self.to.and_then(|to| to.checked_sub(self.size));
        if self.grows {
            self.size = self.size.saturating_mul(2);
        }
    }
}

async fn is_before(node: &dyn Node, number: u64, at: Timestamp) -> Result<bool, NodeError> {
    let least = at.secs().saturating_sub(MARGIN_SECONDS);
    Ok(node.block(number).await?.is_some_and(|block| block.at.secs() < least))
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
    use farthing_engine::{Call, ChainAddress, Movement, TransactionId};
    use farthing_money::{Amount, Asset};

    use super::*;
    use crate::chain::{of_engine, to_engine};
    use crate::node::{Effect, ScriptedNode};
    use farthing_channel::{Fees, Transaction};

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
        let transaction = Transaction {
            chain: ChainId::new(1),
            number: 0,
            fees,
            gas: 100_000,
            to: token(),
            coin: Amount::ZERO,
            input,
        };
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
            call: Call { chain: 1, to: to_engine(to), input, moves, until: NOW, approval: None },
            purpose: Purpose::Facilitated,
            at: NOW,
            slot: None,
            attempts: attempts.iter().map(attempt).collect(),
            reopened: false,
            delivered: false,
            gas: Amount::ZERO,
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
        let moved = of(1, &node, &same).await;
        assert!(
            matches!(&moved, Fate::Moved(moved) if moved.receipt.transaction == signed.hash && moved.log == 1),
            "{moved:?}"
        );
        assert_eq!(of(2, &node, &same).await, Fate::Shallow);
        let unused = row(token(), other.transaction.input, &[]);
        assert_eq!(of(1, &node, &unused).await, Fate::Unused, "the same sum between the same two");
        let mut less = same.clone();
        less.call.moves.units = Amount::new(6);
        assert_eq!(of(1, &node, &less).await, Fate::Cancelled, "used, and nothing moved as it should");
        assert_eq!(of_engine(same.call.to), token());
    }

    /// What we pay out needs nobody's authorisation, and no contract counts it: only our own transactions say what became of
    /// it, and they are not asked for here.
    #[tokio::test]
    async fn what_we_send_ourselves_has_no_fate_of_its_own() {
        let (node, signed) = moved(9).await;
        let input = call::transfer(Address::from_bytes([3; 20]), Word::from(7));
        let ours = row(token(), input, &[signed.hash]);
        assert_eq!(of(1, &node, &ours).await, Fate::Unknown);
        assert_eq!(own_log(&chain(1), &ours, &node.receipt(signed.hash).await.unwrap().unwrap()), Some(1));
        assert_eq!(of_engine_hash(TransactionId::from_bytes([1; 32])), TxHash::from_bytes([1; 32]));
    }

    /// Went wrong: a node that would not answer was taken for a contract that has not counted.
    #[tokio::test]
    async fn only_what_is_said_is_known() {
        let (node, signed) = moved(9).await;
        let same = row(token(), signed.transaction.input.clone(), &[]);
        let refused = NodeError::Refused { code: -32_601, message: "no such method".into() };
        node.fail_next("call", refused.clone());
        assert_eq!(fate(&chain(1), &node, &same).await, Err(refused));
        node.on(token(), &call::authorization_state(same_payer(), nonce(9)), Effect::Answers(vec![]));
        assert_eq!(of(1, &node, &same).await, Fate::Unknown);
    }

    fn same_payer() -> Address {
        Address::from_bytes([2; 20])
    }

    fn nonce(n: u8) -> AuthorizationNonce {
        AuthorizationNonce::from_bytes([n; 32])
    }

    /// Went wrong: a search that came to its end was taken for an answer, and a node that takes only few blocks at once was
    /// never asked for fewer.
    #[tokio::test]
    async fn a_search_goes_back_in_steps_that_a_node_takes() {
        let (node, signed) = moved(9).await;
        for _ in 0..5_000 {
            node.mine();
        }
        let same = row(token(), signed.transaction.input.clone(), &[]);
        let found =
            |fate: Fate| matches!(fate, Fate::Moved(moved) if moved.receipt.transaction == signed.hash);
        node.take_asked();
        assert!(found(of(1, &node, &same).await));
        let asked = node.take_asked();
        assert_eq!(asked.iter().filter(|name| **name == "logs").count(), 5, "1 000, 2 000 and the rest");
        for _ in 0..3 {
            node.fail_next("logs", NodeError::Refused { code: -32_000, message: "range too large".into() });
        }
        assert!(found(of(1, &node, &same).await));
        let asked = node.take_asked();
        assert!(asked.iter().filter(|name| **name == "logs").count() > 50, "125 at once");
        // A node that takes one block at a time does not let us see far enough: nothing is known.
        for _ in 0..9 {
            node.fail_next("logs", NodeError::Refused { code: -32_000, message: "range too large".into() });
        }
        assert_eq!(of(1, &node, &same).await, Fate::Unknown);
        for _ in 0..10 {
            node.fail_next("logs", NodeError::Refused { code: -32_000, message: "no logs here".into() });
        }
        assert!(fate(&chain(1), &node, &same).await.is_err());
    }
}
