//! Everything that the wallet knows, in memory, and drafts of how it changes. Only what a vault has committed is here.

use std::collections::BTreeMap;

use farthing_ecash::{KeysetId, Proof, RestoreError, Y};
use farthing_money::{Amount, Timestamp, Unit};

use crate::attempt::{Attempt, Booking, Outputs};
use crate::audit::Audited;
use crate::budget::{Grant, Limits, Rule, Scope, Spent};
use crate::chain::{AccountAddress, ChainId, Token};
use crate::channel::{Channel, ChannelPolicy, RememberedOffer};
use crate::credit::Credit;
use crate::history::{Entry, EntryKind};
use crate::mandate::{Given, Taken};
use crate::merchant::{Signer, StoredPass};
use crate::mint::Mint;
use crate::parked::Parked;
use crate::sealed::Sealed;
use crate::session::Session;
use crate::subscription::{Brought, Subscription};
use crate::vault::{Change, Numbers, Row, RowKey};

/// All rows but the history, by what they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) sealed: Option<Sealed>,
    pub(crate) numbers: Numbers,
    pub(crate) mints: BTreeMap<String, Mint>,
    pub(crate) counters: BTreeMap<KeysetId, u32>,
    pub(crate) credits: BTreeMap<RowKey, Credit>,
    pub(crate) attempts: BTreeMap<RowKey, Attempt>,
    pub(crate) limits: BTreeMap<Unit, Limits>,
    pub(crate) spent: BTreeMap<(Unit, Scope), Amount>,
    pub(crate) rules: BTreeMap<RowKey, Rule>,
    pub(crate) parked: BTreeMap<RowKey, Parked>,
    pub(crate) mandates: BTreeMap<String, Taken>,
    pub(crate) given: BTreeMap<String, Given>,
    pub(crate) passes: BTreeMap<RowKey, StoredPass>,
    pub(crate) signers: BTreeMap<String, Signer>,
    pub(crate) audits: BTreeMap<String, Audited>,
    pub(crate) tokens: BTreeMap<(ChainId, AccountAddress), Token>,
    pub(crate) nodes: BTreeMap<ChainId, String>,
    pub(crate) channels: BTreeMap<RowKey, Channel>,
    pub(crate) channel_policy: ChannelPolicy,
    pub(crate) offers: BTreeMap<RowKey, RememberedOffer>,
    pub(crate) sessions: BTreeMap<RowKey, Session>,
    pub(crate) subscriptions: BTreeMap<RowKey, Subscription>,
}

impl State {
    /// Takes over a change that is durable.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Put(row) => self.put(row),
            Change::Remove(key) => {
                self.credits.remove(&key);
                self.attempts.remove(&key);
                self.passes.remove(&key);
                self.channels.remove(&key);
                self.offers.remove(&key);
                self.sessions.remove(&key);
                self.subscriptions.remove(&key);
                self.rules.remove(&key);
                self.parked.remove(&key);
                self.spent.retain(|(unit, scope), _| RowKey::spent(*unit, scope) != key);
                self.tokens.retain(|_, token| RowKey::token(token.chain, token.address) != key);
                self.nodes.retain(|chain, _| RowKey::node(*chain) != key);
            }
        }
    }

    fn put(&mut self, row: Row) {
        let key = row.key();
        match row {
            Row::Seed(sealed) => self.sealed = Some(sealed),
            Row::Numbers(numbers) => self.numbers = numbers,
            Row::Mint(mint) => {
                self.mints.insert(mint.url.clone(), *mint);
            }
            Row::Counter { keyset, next } => {
                self.counters.insert(keyset, next);
            }
            Row::Credit(credit) => {
                self.credits.insert(key, *credit);
            }
            Row::Attempt(attempt) => {
                self.attempts.insert(key, *attempt);
            }
            Row::Entry(_) => {}
            Row::Limits(limits) => {
                self.limits.insert(limits.unit, *limits);
            }
            Row::Spent(Spent { unit, scope, amount }) => {
                self.spent.insert((unit, scope), amount);
            }
            Row::Rule(rule) => {
                self.rules.insert(key, *rule);
            }
            Row::Parked(parked) => {
                self.parked.insert(key, *parked);
            }
            Row::Mandate(taken) => {
                self.mandates.insert(taken.id().to_owned(), *taken);
            }
            Row::Given(given) => {
                self.given.insert(given.mandate.id.clone(), *given);
            }
            Row::Pass(pass) => {
                self.passes.insert(key, pass);
            }
            Row::Signer(signer) => {
                self.signers.insert(signer.host.clone(), signer);
            }
            Row::Audited(audited) => {
                self.audits.insert(audited.issuer.clone(), *audited);
            }
            Row::Token(token) => {
                self.tokens.insert((token.chain, token.address), *token);
            }
            Row::Channel(channel) => {
                self.channels.insert(key, *channel);
            }
            Row::ChannelPolicy(policy) => self.channel_policy = policy,
            Row::Offer(offer) => {
                self.offers.insert(key, *offer);
            }
            Row::Session(session) => {
                self.sessions.insert(key, *session);
            }
            Row::Subscription(subscription) => {
                self.subscriptions.insert(key, *subscription);
            }
            Row::Node { chain, url } => {
                self.nodes.insert(chain, url);
            }
        }
    }

    /// The free credits of a mint in a unit whose keyset has not ended.
    pub(crate) fn free(&self, mint: &str, unit: Unit, now_secs: u64) -> Vec<&Credit> {
        let expired = |credit: &Credit| {
            let info = self.mints.get(mint).and_then(|mint| mint.info(credit.proof.id));
            info.and_then(|info| info.final_expiry).is_some_and(|end| end > 0 && end <= now_secs)
        };
        let here = self.credits.values().filter(|credit| credit.mint == mint && credit.unit == unit);
        here.filter(|credit| credit.reserved.is_none() && !expired(credit)).collect()
    }

    /// What is free, in all.
    pub(crate) fn free_total(&self, mint: &str, unit: Unit, now_secs: u64) -> u64 {
        self.free(mint, unit, now_secs).iter().fold(0, |sum, credit| sum.saturating_add(credit.amount()))
    }

    /// What was spent in a scope.
    pub(crate) fn spent(&self, unit: Unit, scope: &Scope) -> Amount {
        self.spent.get(&(unit, scope.clone())).copied().unwrap_or_default()
    }

    /// An open attempt.
    pub(crate) fn attempt(&self, id: u64) -> Option<&Attempt> {
        self.attempts.get(&RowKey::attempt(id))
    }

    /// The credits that are set aside for an attempt, as far as they are still here.
    pub(crate) fn inputs(&self, attempt: &Attempt) -> Vec<Proof> {
        let found = attempt.inputs.iter().filter_map(|y| self.credits.get(&RowKey::credit(*y)));
        found.map(|credit| credit.proof.clone()).collect()
    }
}

/// Changes that belong together, with what they would make of the numbers that they touch more than once.
pub(crate) struct Draft<'a> {
    state: &'a State,
    numbers: Numbers,
    counters: BTreeMap<KeysetId, u32>,
    spent: BTreeMap<(Unit, Scope), Amount>,
    changes: Vec<Change>,
    /// The payment that has brought a subscription its pass.
    renewed: Option<u64>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(state: &'a State) -> Self {
        let (counters, spent) = (BTreeMap::new(), BTreeMap::new());
        Self { state, numbers: state.numbers, counters, spent, changes: Vec::new(), renewed: None }
    }

    pub(crate) fn into_changes(mut self) -> Vec<Change> {
        if self.numbers != self.state.numbers {
            self.changes.push(Change::Put(Row::Numbers(self.numbers)));
        }
        let counters = self.counters.into_iter();
        self.changes.extend(counters.map(|(keyset, next)| Change::Put(Row::Counter { keyset, next })));
        let spent = self.spent.into_iter();
        let spent = spent.map(|((unit, scope), amount)| Row::Spent(Spent { unit, scope, amount }));
        self.changes.extend(spent.map(Change::Put));
        self.changes
    }

    pub(crate) fn put(&mut self, row: Row) {
        self.changes.push(Change::Put(row));
    }

    pub(crate) fn put_all(&mut self, rows: impl IntoIterator<Item = Row>) {
        rows.into_iter().for_each(|row| self.put(row));
    }

    pub(crate) fn remove(&mut self, key: RowKey) {
        self.changes.push(Change::Remove(key));
    }

    /// The number of a new attempt.
    pub(crate) fn attempt_number(&mut self) -> u64 {
        let number = self.numbers.attempt;
        self.numbers.attempt = number.saturating_add(1);
        number
    }

    /// The number of a new key for a quote.
    pub(crate) fn quote_key(&mut self) -> u32 {
        let number = self.numbers.quote_key;
        self.numbers.quote_key = number.saturating_add(1);
        number
    }

    /// Moves the number of the next session forward, never back.
    pub(crate) fn advance_sessions(&mut self, next: u32) {
        self.numbers.session = self.numbers.session.max(next);
    }

    /// Uses up counters for outputs of these amounts.
    pub(crate) fn plan(&mut self, keyset: KeysetId, amounts: Vec<u64>) -> Result<Outputs, RestoreError> {
        let here = self.counters.get(&keyset).or_else(|| self.state.counters.get(&keyset));
        let outputs = Outputs { keyset, first: here.copied().unwrap_or_default(), amounts };
        self.counters.insert(keyset, outputs.end()?);
        Ok(outputs)
    }

    /// Takes back the last plan, of which nothing has left this machine: unused counters in a row would end a search by the
    /// words too early.
    pub(crate) fn take_back(&mut self, plan: &Outputs) {
        let here = self.counters.get(&plan.keyset).or_else(|| self.state.counters.get(&plan.keyset));
        if plan.end().is_ok_and(|end| here == Some(&end)) {
            self.counters.insert(plan.keyset, plan.first);
        }
    }

    /// Moves a keyset's counter forward, never back.
    pub(crate) fn advance(&mut self, keyset: KeysetId, next: u32) {
        let here = self.counters.get(&keyset).or_else(|| self.state.counters.get(&keyset));
        if here.copied().unwrap_or_default() < next {
            self.counters.insert(keyset, next);
        }
    }

    /// Charges the budget.
    pub(crate) fn book(&mut self, unit: Unit, booking: &Booking) {
        self.change_spent(unit, booking, |spent, amount| spent.checked_add(amount).unwrap_or(Amount::MAX));
    }

    /// Gives the budget something back of a booking.
    pub(crate) fn unbook(&mut self, unit: Unit, booking: &Booking, amount: u64) {
        let booking = Booking { amount, ..booking.clone() };
        self.change_spent(unit, &booking, |spent, amount| spent.checked_sub(amount).unwrap_or_default());
    }

    /// Gives the budget something back that was booked nobody knows when, nor under which rules: they stay as they are.
    pub(crate) fn unbook_sometime(&mut self, unit: Unit, host: &str, amount: u64) {
        let scopes = [Scope::Host(host.to_owned()), Scope::Total];
        self.change_scopes(unit, scopes, amount, |spent, amount| {
            spent.checked_sub(amount).unwrap_or_default()
        });
    }

    /// Charges the budget with what was granted, and uses up what it uses up.
    pub(crate) fn grant(&mut self, unit: Unit, grant: &Grant) {
        self.book(unit, &grant.booking);
        self.changes.extend(grant.changes());
    }

    fn change_spent(&mut self, unit: Unit, booking: &Booking, change: impl Fn(Amount, Amount) -> Amount) {
        self.change_scopes(unit, booking.scopes.iter().cloned(), booking.amount, change);
    }

    fn change_scopes(
        &mut self,
        unit: Unit,
        scopes: impl IntoIterator<Item = Scope>,
        amount: u64,
        change: impl Fn(Amount, Amount) -> Amount,
    ) {
        for scope in scopes {
            let key = (unit, scope);
            let here = self.spent.get(&key).copied().unwrap_or_else(|| self.state.spent(unit, &key.1));
            self.spent.insert(key, change(here, Amount::from(amount)));
        }
    }

    /// Sets credits aside for an attempt.
    pub(crate) fn reserve(&mut self, credits: &[&Credit], attempt: u64) {
        for credit in credits {
            let credit = Credit { reserved: Some(attempt), ..(*credit).clone() };
            self.put(Row::Credit(Box::new(credit)));
        }
    }

    /// Frees credits that were set aside.
    pub(crate) fn free<'y>(&mut self, ys: impl IntoIterator<Item = &'y Y>) {
        for y in ys {
            if let Some(credit) = self.state.credits.get(&RowKey::credit(*y)) {
                self.put(Row::Credit(Box::new(Credit { reserved: None, ..credit.clone() })));
            }
        }
    }

    /// Forgets credits that are spent.
    pub(crate) fn spend<'y>(&mut self, ys: impl IntoIterator<Item = &'y Y>) {
        for y in ys {
            self.remove(RowKey::credit(*y));
        }
    }

    /// Takes credits in.
    pub(crate) fn take_in(&mut self, proofs: &[Proof], mint: &str, unit: Unit, now: Timestamp) {
        for proof in proofs {
            self.put(Row::Credit(Box::new(Credit::new(proof.clone(), mint, unit, now))));
        }
    }

    /// Writes an attempt.
    pub(crate) fn attempt(&mut self, attempt: Attempt) {
        self.put(Row::Attempt(Box::new(attempt)));
    }

    /// Ends an attempt with an entry of the history.
    pub(crate) fn finish(&mut self, attempt: u64, entry: Option<Entry>) {
        self.remove(RowKey::attempt(attempt));
        let Some(entry) = entry else { return };
        let subscription = self.state.attempt(attempt).and_then(Attempt::subscription);
        if entry.kind == EntryKind::Pay {
            self.paid_in_vain(attempt);
        }
        self.put(Row::Entry(Box::new(Entry { subscription, ..entry })));
    }

    /// A payment for a subscription is over, and has brought this.
    pub(crate) fn renew(&mut self, attempt: &Attempt, brought: Brought) {
        let Some(subscription) = self.subscription_of(attempt) else { return };
        self.renewed = Some(attempt.id);
        self.put(Row::Subscription(Box::new(subscription.renewed(attempt.id, brought))));
    }

    /// A payment was charged, or may have been, and what it paid for has not come: a subscription that it was for stands still until its
    /// owner has looked, so that nothing is paid twice.
    pub(crate) fn paid_in_vain(&mut self, attempt: u64) {
        let Some(open) = self.state.attempt(attempt) else { return };
        let came = open.payment().is_some_and(|payment| payment.delivered) || self.renewed == Some(attempt);
        if let Some(subscription) = self.subscription_of(open).filter(|_| !came) {
            self.put(Row::Subscription(Box::new(subscription.halted(attempt))));
        }
    }

    fn subscription_of(&self, attempt: &Attempt) -> Option<Subscription> {
        let number = attempt.subscription()?;
        self.state.subscriptions.get(&RowKey::subscription(number)).cloned()
    }
}

/// What credits are worth together.
pub(crate) fn worth(proofs: &[Proof]) -> u64 {
    proofs.iter().fold(0, |sum, proof| sum.saturating_add(proof.amount))
}
