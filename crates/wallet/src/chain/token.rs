//! A token that the wallet may spend, and what it counts as in limits and history.

use farthing_channel::{Address, ChainId, Domain};
use farthing_money::{Amount, Money, Rounding, Unit};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::unit::asset_of;

/// More decimals than this has no token that anybody pays with.
const DECIMALS_MAX: u8 = 18;
const TEXT_MAX: usize = 64;

/// A token on a chain. Only tokens that are known are ever paid: what one is worth is for the wallet's owner to say, not
/// for a merchant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its chain.
    pub chain: ChainId,
    /// Its contract.
    pub address: Address,
    /// What people call it.
    pub symbol: String,
    /// Its minor units are ten to the power of minus this.
    pub decimals: u8,
    /// The name in the domain of its signatures (EIP-712).
    pub name: String,
    /// The version in that domain.
    pub version: String,
    /// The unit in which limits and history count it: millionths of an asset, such as `uusd`.
    pub counts_as: Unit,
    /// Whether it is never paid, though this program knows it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_blocked: bool,
}

/// Why something is not a token that can be paid with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// No text, or a long one.
    #[error("expected a token's {0} of 1 to {TEXT_MAX} printable characters, got another text")]
    Text(&'static str),
    /// Too many decimals.
    #[error("expected at most {DECIMALS_MAX} decimals of a token, got {0}")]
    Decimals(u8),
    /// An asset that has no millionths here.
    #[error(
        "expected an asset of three letters that the token counts as, such as USD, got {0:?}; limits hold for assets"
    )]
    CountsAs(String),
}

impl TokenError {
    /// The stable code of this refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Text(_) => "chain-token-text",
            Self::Decimals(_) => "chain-token-decimals",
            Self::CountsAs(_) => "chain-token-counts-as",
        }
    }
}

impl Token {
    /// The unit for an asset's code: `USD` is counted in `uusd`.
    pub fn unit_of(code: &str) -> Result<Unit, TokenError> {
        let refused = || TokenError::CountsAs(code.chars().take(12).collect());
        let letters = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
        let unit = format!("u{}", code.to_ascii_lowercase()).parse::<Unit>().ok().filter(|_| letters);
        let micro = |unit: &Unit| asset_of(*unit).is_some_and(|asset| asset.scale() == 6);
        unit.filter(micro).ok_or_else(refused)
    }

    /// Refuses what could not be counted or shown.
    pub fn check(&self) -> Result<(), TokenError> {
        let sound = |text: &str| {
            !text.trim().is_empty() && text.len() <= TEXT_MAX && !text.chars().any(char::is_control)
        };
        for (what, text) in [("symbol", &self.symbol), ("name", &self.name), ("version", &self.version)] {
            if !sound(text) {
                return Err(TokenError::Text(what));
            }
        }
        if self.decimals > DECIMALS_MAX {
            return Err(TokenError::Decimals(self.decimals));
        }
        if asset_of(self.counts_as).is_none_or(|asset| asset.scale() != 6) {
            return Err(TokenError::CountsAs(self.counts_as.to_string()));
        }
        Ok(())
    }

    /// The domain that its holders sign for.
    pub(crate) fn domain(&self) -> Domain {
        Domain::new(&self.name, Some(&self.version), self.chain, Some(self.address))
    }

    /// So many of its minor units, as limits count them: rounded up, because more must never be spent than is counted.
    pub(crate) fn counted(&self, units: Amount) -> Option<u64> {
        self.convert(units, Rounding::Up)?.to_u64()
    }

    /// So many of its minor units, as money that there is: rounded down.
    pub(crate) fn money(&self, units: Amount) -> Option<Money> {
        Some(asset_of(self.counts_as)?.money(self.convert(units, Rounding::Down)?))
    }

    /// The most of its minor units that count as so much.
    pub(crate) fn units_within(&self, counted: Amount) -> Option<Amount> {
        let from = asset_of(self.counts_as)?.scale();
        let ten_to = |scale: u8| 10_u128.checked_pow(u32::from(scale));
        counted.mul_div(ten_to(self.decimals)?, ten_to(from)?, Rounding::Down)
    }

    fn convert(&self, units: Amount, rounding: Rounding) -> Option<Amount> {
        let to = asset_of(self.counts_as)?.scale();
        let ten_to = |scale: u8| 10_u128.checked_pow(u32::from(scale));
        units.mul_div(ten_to(to)?, ten_to(self.decimals)?, rounding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(decimals: u8) -> Token {
        Token {
            chain: ChainId::new(31_337),
            address: Address::from_bytes([7; 20]),
            symbol: "USDC".into(),
            decimals,
            name: "USDC".into(),
            version: "2".into(),
            counts_as: Token::unit_of("USD").unwrap(),
            is_blocked: false,
        }
    }

    #[test]
    fn what_is_spent_rounds_up_and_what_is_there_rounds_down() {
        for (decimals, units, counted, there) in [
            (6, 10_000, 10_000, 10_000),
            (18, 1, 1, 0),
            (18, 1_000_000_000_000, 1, 1),
            (18, 1_000_000_000_001, 2, 1),
            (2, 5, 50_000, 50_000),
            (0, 1, 1_000_000, 1_000_000),
        ] {
            let (token, units) = (token(decimals), Amount::new(units));
            assert_eq!(token.counted(units), Some(counted), "{decimals} decimals");
            assert_eq!(token.money(units).unwrap().amount(), Amount::new(there), "{decimals} decimals");
        }
        assert_eq!(token(0).counted(Amount::MAX), None);
        assert_eq!(token(6).counted(Amount::new(1 << 64)), None, "more than limits can count");
    }

    #[test]
    fn unsound_tokens_are_refused() {
        assert_eq!(token(18).check(), Ok(()));
        let codes = [
            Token { symbol: String::new(), ..token(6) },
            Token { name: "a\nb".into(), ..token(6) },
            Token { version: "1".repeat(65), ..token(6) },
            token(19),
            Token { counts_as: "usd".parse().unwrap(), ..token(6) },
        ]
        .map(|token| token.check().unwrap_err().code());
        assert_eq!(
            codes,
            [
                "chain-token-text",
                "chain-token-text",
                "chain-token-text",
                "chain-token-decimals",
                "chain-token-counts-as"
            ]
        );
        for bad in ["", "US", "USDC", "U$D", "uusd"] {
            assert!(Token::unit_of(bad).is_err(), "{bad}");
        }
    }
}
