//! What one command was charged, over all the requests that it led to: its limits hold for the sum, and its report tells it.

use farthing_money::{Asset, Money};
use farthing_wallet::{Outcome, Settled};

/// What was charged so far, one sum for each asset.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    sums: Vec<Money>,
}

impl Tally {
    /// Counts what a request came to. What may yet be charged counts as charged, if it is known how much that is.
    pub fn count(&mut self, outcome: &Outcome) {
        let charged = match outcome {
            Outcome::Paid(paid) | Outcome::Renewed { paid: Some(paid), .. } => Some(paid.charged),
            Outcome::Refused(refused) => match &refused.settled {
                Ok(
                    Settled::Charged { charged: money, .. }
                    | Settled::Taken(money)
                    | Settled::Open(money)
                    | Settled::Unknown(money)
                    | Settled::InChannel(money),
                ) => Some(*money),
                Ok(Settled::Back(_) | Settled::Refunded(_) | Settled::InSession(_)) | Err(_) => None,
            },
            _ => None,
        };
        if let Some(money) = charged {
            self.add(money);
        }
    }

    fn add(&mut self, money: Money) {
        for sum in &mut self.sums {
            if sum.asset() == money.asset()
                && let Ok(both) = sum.checked_add(money)
            {
                *sum = both;
                return;
            }
        }
        // What does not fit into a sum stands beside it.
        self.sums.push(money);
    }

    /// The sums.
    pub fn sums(&self) -> &[Money] {
        &self.sums
    }

    /// The sum of an asset.
    pub fn of(&self, asset: Asset) -> Option<Money> {
        self.sums.iter().find(|sum| sum.asset() == asset).copied()
    }
}

#[cfg(test)]
mod tests {
    use farthing_money::Amount;
    use farthing_wallet::{RefusedPayment, WalletError};

    use super::*;

    fn money(code: &str, amount: u128) -> Money {
        Asset::micro(code).unwrap().money(Amount::new(amount))
    }

    fn refused(settled: Result<Settled, WalletError>) -> Outcome {
        let url = "https://a.example/".to_owned();
        Outcome::Refused(Box::new(RefusedPayment {
            url,
            status: 302,
            problem: None,
            reason: None,
            on_chain: None,
            settled,
        }))
    }

    #[test]
    fn what_was_taken_is_summed_and_what_came_back_is_not() {
        let mut tally = Tally::default();
        let charged = |code, amount| {
            refused(Ok(Settled::Charged { charged: money(code, amount), change: money(code, 5) }))
        };
        for outcome in [
            Outcome::Served { status: 302, by_pass: false },
            charged("USD", 10_000),
            refused(Ok(Settled::Back(money("USD", 7)))),
            charged("EUR", 3),
            refused(Ok(Settled::Taken(money("USD", 200)))),
            refused(Ok(Settled::Open(money("USD", 30)))),
        ] {
            tally.count(&outcome);
        }
        assert_eq!(tally.sums(), [money("USD", 10_230), money("EUR", 3)]);
        assert_eq!(tally.of(Asset::micro("EUR").unwrap()), Some(money("EUR", 3)));
        assert_eq!(tally.of(Asset::micro("CHF").unwrap()), None);
    }
}
