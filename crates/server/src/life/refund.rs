//! Takes unused top-up codes back: what they are worth is paid outside of the books, by bank or in cash.

use std::collections::BTreeMap;

use farthing_engine::{Answer, CodeId, CodeRow, CodeState, Command, RefundCodes};
use farthing_money::{Amount, Asset};
use serde::{Deserialize, Serialize};

use super::Life;
use crate::operator::{CODES_MOST, OperatorError};

/// What is to be paid for codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodesRefunded {
    /// What this request took back, one sum for each asset: this is to be paid now.
    pub now: Vec<Sum>,
    /// What requests before it took back of the same codes: paid already, unless nobody did.
    pub before: Vec<Sum>,
    /// Each code by its place in the request. Its text is not repeated.
    pub codes: Vec<CodeRefund>,
}

/// So much of an asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// The asset.
    pub asset: String,
    /// In minor units.
    pub amount: Amount,
    /// For people.
    pub shown: String,
}

/// What became of one code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRefund {
    /// Its place in the request, from 1 on.
    pub number: usize,
    /// What became of it.
    pub standing: CodeStanding,
    /// What it is worth, for people.
    pub shown: Option<String>,
}

/// How a code stands after the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodeStanding {
    /// It was taken back by this request.
    Refunded,
    /// It was taken back before.
    RefundedBefore,
    /// It was turned into credits: whoever has those can refund them.
    Used,
    /// Its sale was taken back.
    Withdrawn,
    /// There is no such code.
    Unknown,
    /// It stands twice in the request.
    Repeated,
}

impl CodeStanding {
    /// The words for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refunded => "refunded",
            Self::RefundedBefore => "refunded before",
            Self::Used => "used",
            Self::Withdrawn => "withdrawn",
            Self::Unknown => "unknown",
            Self::Repeated => "repeated",
        }
    }

    fn of(row: Option<&CodeRow>) -> Self {
        match row.map(|row| row.state) {
            None => Self::Unknown,
            Some(CodeState::Unused) => Self::Refunded,
            Some(CodeState::Refunded) => Self::RefundedBefore,
            Some(CodeState::Claimed(_)) => Self::Used,
            Some(CodeState::Void) => Self::Withdrawn,
        }
    }
}

impl Life {
    /// Takes back those of the codes that nobody has used. The same codes again are paid only once.
    ///
    /// A code that was claimed by a quote is used, even if its credits were never fetched: they still can be.
    pub async fn refund_codes(&self, texts: &[String]) -> Result<CodesRefunded, OperatorError> {
        if texts.is_empty() || texts.len() > CODES_MOST {
            return Err(OperatorError::Count(texts.len()));
        }
        let mut codes = Vec::new();
        let mut ids: BTreeMap<CodeId, CodeStanding> = BTreeMap::new();
        let mut by_asset: Vec<(Asset, Vec<CodeId>)> = Vec::new();
        for (text, number) in texts.iter().zip(1..) {
            let id = CodeId::of_text(text);
            let row = self.books.code(id)?;
            let standing =
                if ids.contains_key(&id) { CodeStanding::Repeated } else { CodeStanding::of(row.as_ref()) };
            ids.entry(id).or_insert(standing);
            let shown = row.as_ref().map(|row| row.asset.money(row.amount).to_string());
            codes.push(CodeRefund { number, standing, shown });
            let Some(row) = row else { continue };
            if matches!(standing, CodeStanding::Refunded | CodeStanding::RefundedBefore) {
                match by_asset.iter_mut().find(|(asset, _)| *asset == row.asset) {
                    Some((_, ids)) => ids.push(id),
                    None => by_asset.push((row.asset, vec![id])),
                }
            }
        }
        let (mut now, mut before) = (Vec::new(), Vec::new());
        for (asset, codes) in by_asset {
            let command = Command::RefundCodes(RefundCodes { codes, asset });
            let Answer::Refunded { now: taken, before: earlier } = self.writer.execute(command).await? else {
                return Err(OperatorError::Request("expected the sum of a refund of the engine".to_owned()));
            };
            now.extend(sum(asset, taken));
            before.extend(sum(asset, earlier));
        }
        Ok(CodesRefunded { now, before, codes })
    }
}

fn sum(asset: Asset, amount: Amount) -> Option<Sum> {
    let shown = asset.money(amount).to_string();
    (!amount.is_zero()).then(|| Sum { asset: asset.code().to_string(), amount, shown })
}
