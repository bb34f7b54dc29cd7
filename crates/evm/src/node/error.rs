//! What a node may say instead of an answer, and whether another node may know better.

use farthing_channel::bytes_from_hex;
use thiserror::Error;

use crate::revert::Revert;

/// The longest sentence of a node that is repeated to people.
const SENTENCE_MOST: usize = 200;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NodeError {
    /// It cannot be reached.
    #[error(
        "expected a node at {node}, could not reach it: {cause}; look at its address and whether it runs"
    )]
    Unreachable {
        /// Where it should be, without what may be secret.
        node: String,
        /// What happened.
        cause: String,
    },
    /// It takes too long.
    #[error(
        "expected an answer of the node {node} within {seconds} s, got none; try again or use another node"
    )]
    Slow {
        /// Which.
        node: String,
        /// How long was waited.
        seconds: u64,
    },
    /// It has too much to do for us.
    #[error("the node {node} takes no more requests for now: {cause}; try again later or use another node")]
    Busy {
        /// Which.
        node: String,
        /// What it said.
        cause: String,
    },
    /// What it says cannot be: it is of another chain, or answers something else.
    #[error("the node {node} cannot be believed: expected {expected}, got {got}; use another node")]
    Lying {
        /// Which.
        node: String,
        /// What was expected.
        expected: String,
        /// What came.
        got: String,
    },
    /// The contract that was tried refuses.
    #[error("the contract refuses: {0}")]
    Reverted(Revert),
    /// It does not do what it was asked for.
    #[error("the node refuses with {code}: {message}")]
    Refused {
        /// The code of JSON-RPC.
        code: i64,
        /// What it said.
        message: String,
    },
}

impl NodeError {
    /// Whether another node, or the same one later, may answer.
    pub fn is_fault(&self) -> bool {
        !matches!(self, Self::Reverted(_) | Self::Refused { .. })
    }

    /// What a contract said, if a contract refused.
    pub fn revert(&self) -> Option<&Revert> {
        match self {
            Self::Reverted(revert) => Some(revert),
            _ => None,
        }
    }

    /// Whether a transaction came too late: its number is used up.
    pub fn says_number_used(&self) -> bool {
        self.says(&["nonce too low", "nonce is too low", "oldnonce", "invalid nonce"])
    }

    /// Whether a replacement would have to pay more.
    pub fn says_underpriced(&self) -> bool {
        self.says(&["underpriced", "fee too low", "gas price too low", "less than block base fee"])
    }

    /// Whether the sender cannot pay the gas.
    pub fn says_funds_short(&self) -> bool {
        self.says(&["insufficient funds", "insufficient balance for"])
    }

    pub(crate) fn says_known(&self) -> bool {
        self.says(&["already known", "already imported", "known transaction", "alreadyknown"])
    }

    fn says(&self, any: &[&str]) -> bool {
        let Self::Refused { message, .. } = self else { return false };
        let message = message.to_lowercase();
        any.iter().any(|part| message.contains(part))
    }

    /// Reads an error of JSON-RPC. Nodes agree on little: the code 3 and the word `revert` mean that a contract refused.
    pub(crate) fn of_rpc(node: &str, code: i64, message: &str, bytes: Option<&str>) -> Self {
        let message: String = message.chars().take(SENTENCE_MOST).collect();
        let lower = message.to_lowercase();
        let ran = ["revert", "invalid opcode", "out of gas", "stack underflow", "invalid jump"];
        if code == 3 || ran.iter().any(|word| lower.contains(word)) {
            let bytes = bytes.and_then(|text| bytes_from_hex(text, 4096).ok()).unwrap_or_default();
            return Self::Reverted(Revert::new(bytes, message));
        }
        let busy = ["rate limit", "too many requests", "limit exceeded", "capacity"];
        if matches!(code, -32_005 | -32_016 | 429) || busy.iter().any(|word| lower.contains(word)) {
            return Self::Busy { node: node.to_owned(), cause: message };
        }
        Self::Refused { code, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i64, message: &str) -> NodeError {
        NodeError::of_rpc("node", code, message, None)
    }

    #[test]
    fn sentences_of_nodes_are_understood() {
        assert!(of(3, "anything").revert().is_some());
        assert!(of(-32_000, "execution reverted").revert().is_some());
        assert!(of(-32_015, "VM execution error: Reverted 0x").revert().is_some());
        assert!(of(-32_000, "out of gas").revert().is_some());
        assert!(of(-32_000, "nonce too low: next nonce 5, tx nonce 4").says_number_used());
        assert!(of(-32_003, "replacement transaction underpriced").says_underpriced());
        assert!(of(-32_000, "insufficient funds for gas * price + value").says_funds_short());
        assert!(of(-32_000, "already known").says_known());
        for busy in [of(-32_005, "x"), of(-32_000, "Your app has exceeded its compute capacity")] {
            assert!(busy.is_fault(), "{busy:?}");
        }
        let refused = of(-32_601, "the method does not exist");
        assert!(!refused.is_fault() && refused.revert().is_none() && !refused.says_number_used());
    }

    #[test]
    fn long_sentences_are_cut() {
        let NodeError::Refused { message, .. } = of(1, &"é".repeat(1000)) else { panic!("refused") };
        assert_eq!(message.chars().count(), SENTENCE_MOST);
    }
}
