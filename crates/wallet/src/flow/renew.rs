//! Buys the pass of a subscription, if one is due: a payment like any other, with the subscription's own most beside the limits. A
//! payment of it that is open is carried on with; so it is not paid twice.

use farthing_money::{Span, Timestamp};

use super::{Flow, PayFlow, done};
use crate::budget::LimitKind;
use crate::error::WalletError;
use crate::http::{Event, Step};
use crate::outcome::Outcome;
use crate::subscription::{Before, Standing, Subscription, SubscriptionReject};
use crate::unit::at_most;
use crate::wallet::Wallet;

/// Looks after one subscription: at most one pass is bought.
pub struct RenewFlow {
    number: u64,
    margin: Span,
    pay: PayFlow,
    is_begun: bool,
}

impl RenewFlow {
    /// A flow for a subscription, which pays as `pay` does: its request is that of [`Wallet::renewal`].
    pub fn new(wallet: &Wallet, number: u64, pay: PayFlow, margin: Span) -> Result<Self, WalletError> {
        let subscription = wallet.subscription(&number.to_string())?;
        if pay.address().to_string() != subscription.url {
            return Err(WalletError::Misuse("the request of the subscription"));
        }
        // In another asset its own most lets nothing through.
        let pay = pay.giving_way(false).only_in(Some(subscription.max.asset().code()));
        let pay = pay.for_subscription(number, subscription.max, margin);
        Ok(Self { number, margin, pay, is_begun: false })
    }

    fn subscription(&self, wallet: &Wallet) -> Result<Subscription, WalletError> {
        wallet.subscription(&self.number.to_string()).cloned()
    }

    fn end(&self, wallet: &Wallet, outcome: Outcome) -> Result<Step, WalletError> {
        let subscription = self.subscription(wallet)?;
        let url = subscription.url.clone();
        match outcome {
            Outcome::Paid(paid) => {
                if let Some(attempt) = subscription.halted {
                    return Err(SubscriptionReject::Halted { url, attempt }.into());
                }
                let (subscription, paid) = (Box::new(subscription), Some(paid));
                Ok(done(Outcome::Renewed { subscription, standing: Standing::Due, paid }))
            }
            Outcome::Served { status, .. } => Err(SubscriptionReject::NotForSale { url, status }.into()),
            outcome => Ok(done(outcome)),
        }
    }

    /// A price above the subscription's own most is told as such.
    fn told(&self, wallet: &Wallet, error: WalletError) -> WalletError {
        let (WalletError::Budget(reject), Ok(one)) = (&error, self.subscription(wallet)) else {
            return error;
        };
        let is_dearer = reject.asked.amount > at_most(one.max, reject.asked.unit);
        if reject.kind != LimitKind::ThisCall || !is_dearer {
            return error;
        }
        let before = Before(one.last.map(|last| last.charged));
        SubscriptionReject::Dearer { url: one.url, asked: reject.asked, max: one.max, before }.into()
    }
}

fn nothing_due(subscription: Subscription, standing: Standing) -> Step {
    done(Outcome::Renewed { subscription: Box::new(subscription), standing, paid: None })
}

impl Flow for RenewFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        let subscription = self.subscription(wallet)?;
        if !self.is_begun {
            let standing = wallet.standing(&subscription, self.margin, now);
            if let Some(attempt) = subscription.halted {
                return Err(SubscriptionReject::Halted { url: subscription.url, attempt }.into());
            }
            // What was begun is brought to its end, whatever is due now.
            if standing != Standing::Due && !wallet.is_renewing(self.number) {
                return Ok(nothing_due(subscription, standing));
            }
            self.is_begun = true;
        }
        let mut event = event;
        loop {
            match self.pay.next(wallet, std::mem::replace(&mut event, Event::Go), now) {
                // The pass is in the vault; nobody reads its text.
                Ok(Step::Deliver) => {}
                Ok(Step::Done(outcome)) => return self.end(wallet, *outcome),
                Ok(step) => return Ok(step),
                // What was begun has cost nothing, and no other one is due.
                Err(WalletError::Subscription(reject))
                    if matches!(*reject, SubscriptionReject::NotDue { .. }) =>
                {
                    let subscription = self.subscription(wallet)?;
                    let standing = wallet.standing(&subscription, self.margin, now);
                    return Ok(nothing_due(subscription, standing));
                }
                Err(error) => return Err(self.told(wallet, error)),
            }
        }
    }

    fn is_paying(&self) -> bool {
        self.pay.is_paying()
    }
}
