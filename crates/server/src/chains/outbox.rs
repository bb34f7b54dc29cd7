//! What is under way on chains, also on those that are not configured any more, and ending by hand what nobody can decide.

use farthing_channel::{ChainId, TxHash};
use farthing_engine::{CallId, CallRow, Fault, Outcome, PaymentState, Purpose, Read};
use farthing_evm::{NotByHand, Said, hash_text};
use farthing_money::Timestamp;
use serde::{Deserialize, Serialize};

use super::ChainRoom;
use crate::operator::OperatorError;

/// The money of a payment is in escrow: it is captured, or goes back by itself.
const IN_ESCROW: &str = "in escrow";

/// A call that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnderWay {
    /// Its name.
    pub call: String,
    /// Its chain's number.
    pub chain: u64,
    /// What it is for: payment, deposit, withdrawal, payout, others, channel, funding, sweep, escrow or return. One that has put money into
    /// escrow is `in escrow` for as long as that lies there.
    pub purpose: String,
    /// When it was asked for.
    pub since: Timestamp,
    /// The transactions that were made for it, the latest last.
    pub transactions: Vec<String>,
}

impl UnderWay {
    fn of(id: CallId, row: &CallRow) -> Self {
        let purpose = match row.purpose {
            Purpose::Payment(_) => "payment",
            Purpose::Deposit { .. } => "deposit",
            Purpose::Withdrawal { .. } => "withdrawal",
            Purpose::Facilitated => "others",
            Purpose::Channel(_) => "channel",
            Purpose::Funding { .. } => "funding",
            Purpose::Sweep(_) => "sweep",
            Purpose::Authorize(_) => "escrow",
            Purpose::Void(_) => "return",
            Purpose::Payout(_) => "payout",
        };
        let transactions = row.attempts.iter().map(|attempt| hash_text(attempt.transaction)).collect();
        Self {
            call: id.to_string(),
            chain: row.call.chain,
            purpose: purpose.to_owned(),
            since: row.at,
            transactions,
        }
    }
}

/// Every call that is under way, on whatever chain, and what lies in escrow between two calls.
pub fn under_way(books: &dyn Read) -> Result<Vec<UnderWay>, Fault> {
    let mut all: Vec<_> = books.calls()?.iter().map(|(id, row)| UnderWay::of(*id, row)).collect();
    for (payment, row) in books.held()? {
        let id = CallId::of_authorize(payment);
        // While a fork has taken it back its call is under way again.
        if row.state != PaymentState::Escrowed || books.call(id)?.is_some() {
            continue;
        }
        if let Some(ended) = books.settlement(id)? {
            let made = UnderWay::of(id, &ended.row);
            all.push(UnderWay { purpose: IN_ESCROW.to_owned(), since: ended.at, ..made });
        }
    }
    Ok(all)
}

/// What an operator says of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndRequest {
    /// The call's name.
    pub call: String,
    /// The transaction that has moved the money; nothing if it never moves.
    pub settled: Option<String>,
}

/// How a call has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedCall {
    /// Its name.
    pub call: String,
    /// Whether the money has moved.
    pub settled: bool,
    /// By which transaction, if there is one.
    pub transaction: Option<String>,
    /// Why it has not, as payers are told.
    pub reason: Option<String>,
}

impl ChainRoom {
    /// Ends a call by the operator's word, where the chain leaves it open.
    pub async fn end_call(&self, request: &EndRequest) -> Result<EndedCall, OperatorError> {
        let wrong = |what: &str, got: &str| OperatorError::Request(format!("expected {what}, got {got:?}"));
        let id: CallId = request
            .call
            .parse()
            .map_err(|_| wrong("a call's name of 64 hexadecimal digits", &request.call))?;
        let said = match &request.settled {
            Some(text) => {
                let hash: Result<TxHash, _> = text.parse();
                Said::Settled(hash.map_err(|_| wrong("a transaction: 0x and 64 hexadecimal digits", text))?)
            }
            None => Said::Failed,
        };
        let facilitator = self.facilitator_of(id)?;
        let outcome = facilitator.submitter().end_by_hand(id, said).await.map_err(refused)?;
        let call = request.call.clone();
        Ok(match outcome {
            Outcome::Settled { transaction, .. } => {
                let transaction = Some(hash_text(transaction));
                EndedCall { call, settled: true, transaction, reason: None }
            }
            Outcome::Failed { transaction, reason } => {
                let transaction = transaction.map(hash_text);
                EndedCall { call, settled: false, transaction, reason: Some(reason) }
            }
        })
    }

    /// Whoever looks after a call that is under way.
    fn facilitator_of(&self, id: CallId) -> Result<&farthing_evm::Facilitator, OperatorError> {
        let gone = || OperatorError::Missing(NotByHand::NotUnderWay(id).to_string());
        let books = self.facilitators.iter().next().ok_or_else(gone)?.submitter().ports().read.as_ref();
        let chain = books.call(id)?.ok_or_else(gone)?.call.chain;
        let found = self.facilitators.of_chain(chain).map(AsRef::as_ref);
        found.ok_or_else(|| {
            let chain = ChainId::new(chain);
            OperatorError::Request(format!(
                "the call is on {chain}, which is not configured: nobody can look there; put its [[chain]] back first"
            ))
        })
    }
}

fn refused(error: NotByHand) -> OperatorError {
    match error {
        NotByHand::NotUnderWay(_) => OperatorError::Missing(error.to_string()),
        NotByHand::Node(_) | NotByHand::Round(_) => OperatorError::Chain(error.to_string()),
        NotByHand::Books(fault) => OperatorError::Fault(fault),
        error => OperatorError::Request(error.to_string()),
    }
}
