//! The part of paying that asks the budget: on whose behalf, within which run, under which mandate; and what waits until others that are
//! under way have ended, because something may come back of them.

use farthing_money::{Amount, Money, Span, Timestamp, Unit};

use super::super::quote::{Told, quote};
use super::{PayFlow, Stage};
use crate::attempt::{Attempt, AttemptKind, Booking, Payment};
use crate::budget::{Asker, Asking, Call, Consent, Grant, Run, Scope};
use crate::error::WalletError;
use crate::http::{HttpResponse, Step};
use crate::offer::{Choice, Chosen};
use crate::outcome::Quote;
use crate::select::select;
use crate::session::Session;
use crate::state::Draft;
use crate::unit::{at_least, at_most, money};
use crate::wallet::Wallet;

/// So long is waited for others that are under way.
pub(super) const LOOK_AGAIN: Span = Span::from_millis(20);

/// How a payment is spent.
#[derive(Clone, Debug, Default)]
pub(super) struct Spending {
    /// Who asks.
    asker: Asker,
    /// What the command that it is part of may cost in all.
    run: Option<Run>,
    /// The only mandate under which it may be paid.
    mandate: Option<String>,
    /// The owner's yes, up to a price.
    given: Option<Money>,
    /// The subscription that it is for.
    subscription: Option<ForPass>,
    /// Whether it gives way to a subscription that is due.
    pub(super) gives_way: bool,
    /// Whether other flows of this program pay at the same time.
    pub(super) is_among_others: bool,
}

/// A subscription whose pass is bought.
#[derive(Clone, Copy, Debug)]
struct ForPass {
    number: u64,
    /// What a pass of it may cost.
    max: Money,
    /// So long before the last one ends.
    margin: Span,
}

/// What is done again when others have ended.
pub(super) enum Later {
    /// An offer of a 402 is chosen.
    Choose(HttpResponse),
    /// Credits are set aside.
    Reserve(Box<Chosen>),
}

impl PayFlow {
    /// The same flow, on behalf of a tool or for a task.
    #[must_use]
    pub fn asked_by(mut self, asker: Asker) -> Self {
        self.spending.asker = asker;
        self
    }

    /// The same flow as part of a run that may cost so much in all.
    #[must_use]
    pub fn within_run(mut self, run: Option<Run>) -> Self {
        self.spending.run = run;
        self
    }

    /// The same flow, which pays under one mandate or not at all.
    #[must_use]
    pub fn under_mandate(mut self, id: Option<String>) -> Self {
        self.spending.mandate = id;
        self
    }

    /// The same flow, to whose price the owner has said yes, up to so much.
    #[must_use]
    pub fn agreed_up_to(mut self, given: Option<Money>) -> Self {
        self.spending.given = given;
        self
    }

    /// The same flow, which buys the pass of a subscription.
    pub(crate) fn for_subscription(mut self, number: u64, max: Money, margin: Span) -> Self {
        self.spending.subscription = Some(ForPass { number, max, margin });
        self
    }

    /// The same flow, which ends with [`Outcome::RenewFirst`](crate::Outcome::RenewFirst) where it would pay for what a subscription opens
    /// whose pass has ended.
    #[must_use]
    pub fn giving_way(mut self, gives_way: bool) -> Self {
        self.spending.gives_way = gives_way;
        self
    }

    /// The same flow while other flows of this program pay: what they have set aside may come back, so a limit or a lack of credits is
    /// final only when none of them has anything under way.
    #[must_use]
    pub fn among_others(mut self) -> Self {
        self.spending.is_among_others = true;
        self
    }

    /// Whether a payment that was begun before may be carried on with. The other limits were charged when it began, under what its
    /// subscription allowed then; this call may be another one, which allows less.
    pub(super) fn check_again(
        &self,
        wallet: &Wallet,
        unit: Unit,
        payment: &Payment,
    ) -> Result<(), WalletError> {
        let own =
            self.spending.subscription.filter(|pass| payment.booking.subscription() == Some(pass.number));
        let call = match own {
            Some(_) => self.call_within(unit, Some(Amount::MAX)),
            None => self.call(unit),
        };
        let asked = Amount::from(payment.booking.amount.max(payment.price));
        Ok(wallet.limits(unit).check_call(call, asked)?)
    }

    pub(super) fn call(&self, unit: Unit) -> Call {
        // A limit in another asset lets nothing of this one through.
        self.call_within(unit, self.spending.subscription.map(|pass| at_most(pass.max, unit)))
    }

    /// With what a subscription allows beside the most of the call.
    fn call_within(&self, unit: Unit, own: Option<Amount>) -> Call {
        let max = self.request.max.map(|max| at_most(max, unit));
        let max = own.into_iter().chain(max).min();
        let spent = Amount::try_sum(self.charged.iter().map(|money| at_least(*money, unit)));
        Call { max, spent: spent.unwrap_or(Amount::MAX) }
    }

    fn with_asking<T>(&self, unit: Unit, then: impl FnOnce(&Asking<'_>) -> T) -> T {
        let (url, digest) = (self.address.to_string(), self.body_digest());
        let request = (self.request.method.as_str(), url.as_str(), digest.as_str());
        then(&Asking {
            address: &self.address,
            asker: &self.spending.asker,
            call: self.call(unit),
            run: self.spending.run,
            subscription: self.spending.subscription.map(|pass| pass.number),
            mandate: self.spending.mandate.as_deref(),
            consent: Some(Consent { given: self.spending.given, request }),
        })
    }

    /// Whether so much may be put into a session for calls like this one: a payment of its own, with a limit of its own where the user
    /// names one. What a run may cost is counted with its calls. The owner's yes to this call is left to it.
    pub(super) fn grant_deposit(
        &self,
        wallet: &mut Wallet,
        unit: Unit,
        (amount, most): (u64, Option<Money>),
        price: u64,
        now: Timestamp,
    ) -> Result<Grant, WalletError> {
        let step = self.grant_first(wallet, unit, price, now)?;
        let call = Call { max: most.map(|most| at_most(most, unit)), spent: Amount::ZERO };
        self.with_asking(unit, |asking| {
            let asking = Asking { call, run: None, subscription: None, ..*asking };
            let grant = wallet.grant(unit, &asking, (amount, amount), now)?;
            let used = grant.used.clone().filter(|used| step.used.as_ref() != Some(used));
            Ok(Grant { used, ..grant })
        })
    }

    /// Whether a call of a session may cost so much, and what is booked for it; nothing where this session does not serve this call,
    /// because what was put in was counted under other rules.
    pub(super) fn grant_in(
        &self,
        wallet: &mut Wallet,
        session: &Session,
        price: u64,
        now: Timestamp,
    ) -> Result<Option<Grant>, WalletError> {
        let before = session.bookings().next();
        let mandate = before.and_then(Booking::mandate);
        if self.spending.mandate.is_some() && self.spending.mandate.as_deref() != mandate {
            return Ok(None);
        }
        let weighed = self.with_asking(session.unit, |asking| {
            let asking = Asking { mandate, ..*asking };
            wallet.grant_step(session.unit, &asking, price, now)
        });
        match weighed {
            Ok(grant) => {
                let under = before.map(Booking::under).unwrap_or_default();
                Ok(Some(grant).filter(|grant| grant.booking.under() == under))
            }
            // Another one may stand.
            Err(WalletError::Mandate(_)) if mandate.is_some() && self.spending.mandate.is_none() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a session that is opened now could pay so much for this call.
    pub(super) fn grant_first(
        &self,
        wallet: &mut Wallet,
        unit: Unit,
        price: u64,
        now: Timestamp,
    ) -> Result<Grant, WalletError> {
        self.with_asking(unit, |asking| wallet.grant_step(unit, asking, price, now))
    }

    /// The owner's yes was used up for this call: should that have to be begun again, because it was not charged, it holds on.
    pub(super) fn keep_yes(&mut self, unit: Unit, price: u64) -> Result<(), WalletError> {
        self.spending.given = Some(money(unit, price)?);
        Ok(())
    }

    /// What a call of a session counts in a run.
    pub(super) fn in_run(&self, booking: &Booking) -> Option<Booking> {
        let run = self.spending.run?;
        Some(Booking { scopes: vec![Scope::Run(run.number)], ..booking.clone() })
    }

    /// What a run may cost in all.
    pub(super) fn run_max(&self, unit: Unit) -> Option<u64> {
        self.spending.run.map(|run| at_most(run.max, unit).to_u64().unwrap_or(u64::MAX))
    }

    /// Nothing is signed for a subscription that was halted meanwhile, or is not due.
    fn check_due(&self, wallet: &Wallet, now: Timestamp) -> Result<(), WalletError> {
        let pass = self.spending.subscription;
        pass.map_or(Ok(()), |pass| wallet.check_due(pass.number, pass.margin, now))
    }

    /// Whether `amount`, the worst case of something that costs `price`, may be spent.
    pub(super) fn grant(
        &self,
        wallet: &mut Wallet,
        unit: Unit,
        amounts: (u64, u64),
        now: Timestamp,
    ) -> Result<Grant, WalletError> {
        self.check_due(wallet, now)?;
        self.with_asking(unit, |asking| wallet.grant(unit, asking, amounts, now))
    }

    /// The same, with nothing written down.
    pub(super) fn weigh(
        &self,
        wallet: &Wallet,
        unit: Unit,
        amounts: (u64, u64),
        now: Timestamp,
    ) -> Result<Grant, WalletError> {
        self.check_due(wallet, now)?;
        self.with_asking(unit, |asking| wallet.weigh(unit, asking, amounts, now))
    }

    /// What would be done about a choice, with nothing written down.
    pub(super) fn quote(
        &self,
        wallet: &Wallet,
        choice: Choice,
        now: Timestamp,
    ) -> Result<Quote, WalletError> {
        let deposit = match &choice {
            Choice::Chain(offer) => self.deposit_for(wallet, offer, now),
            Choice::Credits(_) => None,
        };
        let (unit, price) = match &choice {
            Choice::Credits(chosen) => (chosen.unit, chosen.price),
            Choice::Chain(offer) => (offer.unit(), offer.price),
        };
        // Credits that are worth more than the limits allow are changed first, so that the price alone is set aside.
        let whole = self.whole_cost(wallet, &choice, now).unwrap_or(price);
        let amount = if self.weigh(wallet, unit, (price, whole), now).is_ok() { whole } else { price };
        let (verdict, limits) =
            self.with_asking(unit, |asking| wallet.foresee(unit, asking, (price, amount), now))?;
        let told = Told { deposit, set_aside: money(unit, amount)?, limits, verdict };
        quote(self.address.to_string(), choice, told)
    }

    /// What would be set aside.
    fn whole_cost(&self, wallet: &Wallet, choice: &Choice, now: Timestamp) -> Option<u64> {
        match choice {
            Choice::Credits(chosen) => {
                let free = wallet.state.free(&chosen.mint, chosen.unit, now.secs());
                let amounts: Vec<u64> = free.iter().map(|credit| credit.amount()).collect();
                let places = select(&amounts, chosen.price)?;
                places.iter().try_fold(0_u64, |sum, place| sum.checked_add(*amounts.get(*place)?))
            }
            Choice::Chain(offer) => self.exposure_of(wallet, offer, now),
        }
    }

    /// A payment that an earlier run began counts in this one as well: this one brings what it pays for.
    pub(super) fn join_run(&self, wallet: &mut Wallet, id: u64) -> Result<(), WalletError> {
        let attempt = wallet.state.attempt(id).cloned().ok_or(WalletError::UnknownAttempt(id))?;
        let (Some(run), AttemptKind::Pay(payment)) = (self.spending.run, &attempt.kind) else {
            return Ok(());
        };
        let scope = Scope::Run(run.number);
        if payment.booking.scopes.contains(&scope) {
            return Ok(());
        }
        wallet.check_run(attempt.unit, run, payment.booking.amount)?;
        let mut payment = payment.clone();
        let mut draft = Draft::new(&wallet.state);
        draft.book(attempt.unit, &Booking { scopes: vec![scope.clone()], ..payment.booking.clone() });
        payment.booking.scopes.push(scope);
        draft.attempt(Attempt { kind: AttemptKind::Pay(payment), ..attempt });
        let changes = draft.into_changes();
        wallet.commit(changes)
    }

    /// Waits instead of failing, if what others have set aside may come back.
    pub(super) fn or_later(
        &mut self,
        wallet: &Wallet,
        error: WalletError,
        later: impl FnOnce() -> Later,
    ) -> Result<Option<Step>, WalletError> {
        let may_pass = matches!(error, WalletError::Budget(_) | WalletError::FundsShort(_));
        if !self.spending.is_among_others || !may_pass || !wallet.has_more_under_way() {
            return Err(error);
        }
        self.stage = Stage::Later(later());
        Ok(Some(Step::Wait(LOOK_AGAIN)))
    }

    /// Others may have ended meanwhile.
    pub(super) fn later(&mut self, wallet: &mut Wallet, now: Timestamp) -> Result<Option<Step>, WalletError> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Later(Later::Choose(answer)) => self.choose(wallet, &answer, now),
            Stage::Later(Later::Reserve(chosen)) => self.reserve(wallet, chosen, false, now),
            _ => Err(WalletError::Misuse("something to do later")),
        }
    }
}
