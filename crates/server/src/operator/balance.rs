//! What an account comes to: debits and credits side by side, and their difference as a signed decimal. Debits are
//! positive, as in every export.

use farthing_money::{Amount, Asset, Money};

use super::OperatorError;

/// Debits and credits of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Balance {
    pub(super) debits: Amount,
    pub(super) credits: Amount,
}

impl Balance {
    pub(super) fn debit(&mut self, amount: Amount) -> Result<(), OperatorError> {
        self.debits = self.debits.checked_add(amount).ok_or(OperatorError::Overflow)?;
        Ok(())
    }

    pub(super) fn credit(&mut self, amount: Amount) -> Result<(), OperatorError> {
        self.credits = self.credits.checked_add(amount).ok_or(OperatorError::Overflow)?;
        Ok(())
    }

    pub(super) fn add(&mut self, other: Self) -> Result<(), OperatorError> {
        self.debit(other.debits)?;
        self.credit(other.credits)
    }

    /// The difference alone, on the side that is greater.
    pub(super) fn net(self) -> Self {
        let Self { debits, credits } = self;
        Self {
            debits: debits.checked_sub(credits).unwrap_or_default(),
            credits: credits.checked_sub(debits).unwrap_or_default(),
        }
    }

    pub(super) fn turned(self) -> Self {
        Self { debits: self.credits, credits: self.debits }
    }

    pub(super) fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// `-1.25` when there are more credits than debits.
    pub(super) fn text(self, asset: Asset) -> String {
        let Self { debits, credits } = self.net();
        let sign = if credits.is_zero() { "" } else { "-" };
        let amount = if credits.is_zero() { debits } else { credits };
        format!("{sign}{}", asset.money(amount).to_decimal())
    }

    /// Reads [`Self::text`].
    pub(super) fn read(text: &str, asset: Asset) -> Result<Self, OperatorError> {
        let amount = |text: &str| Money::from_decimal(text, asset).map(|money| money.amount());
        Ok(match text.strip_prefix('-') {
            Some(credits) => Self { credits: amount(credits)?, ..Self::default() },
            None => Self { debits: amount(text)?, ..Self::default() },
        })
    }
}

/// An amount with all the decimals of its asset, so that columns line up and no reader has to guess.
pub(super) fn exact(amount: Amount, scale: u8) -> String {
    let digits = format!("{:0>width$}", amount.value(), width = usize::from(scale).saturating_add(1));
    let (whole, part) = digits.split_at(digits.len().saturating_sub(usize::from(scale)));
    if part.is_empty() { whole.to_owned() } else { format!("{whole}.{part}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_decimal_is_written() {
        for (amount, scale, text) in [
            (0, 0, "0"),
            (5, 0, "5"),
            (0, 6, "0.000000"),
            (1, 6, "0.000001"),
            (12_345_678, 6, "12.345678"),
            (u128::MAX, 18, "340282366920938463463.374607431768211455"),
        ] {
            assert_eq!(exact(Amount::new(amount), scale), text);
        }
    }

    proptest! {
        #[test]
        fn text_and_balance_are_inverse(debits: u64, credits: u64) {
            let asset = Asset::micro("USD").unwrap();
            let (debits, credits) = (Amount::from(debits), Amount::from(credits));
            let balance = Balance { debits, credits }.net();
            prop_assert_eq!(Balance::read(&balance.text(asset), asset).unwrap(), balance);
        }
    }
}
