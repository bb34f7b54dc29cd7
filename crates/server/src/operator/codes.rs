//! Makes top-up codes: they are shown once, and only their hashes are kept.

use farthing_engine::{CodeId, Command, CreateCodes, sale_reference};
use farthing_money::{Amount, Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Operator, OperatorError};
use crate::random::{Random, RandomError, draw};

/// Codes in one go at the most.
pub const CODES_MOST: usize = 10_000;

/// Top-up codes, shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCodes {
    /// Their texts. Only their hashes are kept.
    pub codes: Vec<String>,
    /// What each buys, in minor units.
    pub amount: Amount,
    /// Of what.
    pub asset: String,
    /// The amount for people.
    pub shown: String,
    /// When they end.
    pub expires_at: Option<Timestamp>,
    /// The name of their sale in the journal, by which it can be taken back.
    pub reference: String,
}

impl Operator {
    /// Makes `count` top-up codes of `amount` each (text such as `5.00 USD`).
    pub async fn create_codes(
        &self,
        amount: &str,
        count: usize,
        lifetime: Option<Span>,
    ) -> Result<NewCodes, OperatorError> {
        let money = self.assets.parse_money(amount)?;
        if count == 0 || count > CODES_MOST {
            return Err(OperatorError::Count(count));
        }
        if money.amount().is_zero() || money.amount().to_u64().is_none() {
            return Err(OperatorError::Amount(money));
        }
        let codes: Vec<String> = (0..count).map(|_| new_code(&self.random)).collect::<Result<_, _>>()?;
        let expires_at = lifetime.map(|span| (self.clock)().after(span));
        let ids: Vec<CodeId> = codes.iter().map(|code| CodeId::of_text(code)).collect();
        let reference = sale_reference(&ids).to_string();
        let command = CreateCodes { codes: ids, amount: money.amount(), asset: money.asset(), expires_at };
        self.execute.execute(Command::CreateCodes(command)).await?;
        let asset = money.asset().code().to_string();
        Ok(NewCodes { codes, amount: money.amount(), asset, shown: money.to_string(), expires_at, reference })
    }
}

/// A code of 100 random bits.
fn new_code(random: &Random) -> Result<String, RandomError> {
    draw(random).map(|bits| farthing_ecash::code::text(&bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::system_random;

    #[test]
    fn codes_are_random_and_readable() {
        let code = new_code(&system_random()).unwrap();
        assert_eq!(code.len(), 26);
        assert!(code.starts_with("FT-"), "{code}");
        assert_ne!(code, new_code(&system_random()).unwrap());
        assert!(!code.contains(['I', 'L', 'O', 'U']), "{code}");
    }
}
