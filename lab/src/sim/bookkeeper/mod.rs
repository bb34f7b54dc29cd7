//! An independent, naive bookkeeper: it watches commands, commits and deliveries, adds everything up in its own way, and
//! says when a promise is broken.

mod broken;
mod channels;
mod credits;
mod deliveries;
mod earnings;
mod free;
mod kept;
mod onchain;
mod payouts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farthing_engine::{
    Answer, CallId, Changes, Command, Outcome, OutputId, PaymentId, PaymentState, Read, Refusal,
};
use farthing_ledger::{Account, AccountId, Audit, Totals};
use farthing_money::{Amount, Asset, Timestamp};

use super::payer::PER_CALL;

pub use broken::{Broken, hold};
pub use deliveries::Served;
pub use kept::Kept;
pub use payouts::Payouts;

use channels::Channels;
use credits::Credits;
use deliveries::Deliveries;
use earnings::Earnings;
use free::{Fares, Quotas};
use onchain::{Onchain, is_onchain, is_trade};

/// Who may be charged by a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Payer {
    /// A wallet, and how often it was made anew from its words.
    Wallet(usize, u32),
    /// Whoever has the token.
    Bearer,
}

/// The bookkeeper. Clones share it.
#[derive(Clone, Default)]
pub struct Bookkeeper(Arc<Mutex<Book>>);

/// What it knows.
#[derive(Default)]
pub struct Book {
    /// Every row that was acknowledged.
    pub kept: Kept,
    /// Credits by keyset.
    pub credits: Credits,
    /// What was served for which payment.
    pub deliveries: Deliveries,
    /// Money on the chain.
    pub onchain: Onchain,
    /// Payment channels.
    pub channels: Channels,
    /// Who earns what, and rates.
    pub earnings: Earnings,
    /// What is free a few times.
    pub quotas: Quotas,
    /// Fares.
    pub fares: Fares,
    /// Payouts.
    pub payouts: Payouts,
    /// Who sent a credential.
    payers: BTreeMap<PaymentId, (Payer, u64)>,
    /// The blank outputs that payers named for their change.
    wanted: BTreeMap<PaymentId, BTreeSet<OutputId>>,
    /// What each was charged, by the day on which it sent the credential first.
    charged: BTreeMap<Payer, BTreeMap<u64, u128>>,
    /// A commit that failed or was cut: there after the restart, or not.
    doubt: Option<Changes>,
    /// Whether the server is being opened.
    opening: bool,
    broken: Option<Broken>,
    /// How many commits there were.
    pub commits: u64,
    /// How many of them a crash or a failure left in doubt.
    pub doubts: u64,
}

impl Bookkeeper {
    /// The book.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Remembers the first promise that was broken.
    pub fn note(&mut self, result: Result<(), Broken>) {
        if let Err(broken) = result {
            self.broken.get_or_insert(broken);
        }
    }

    /// The first promise that was broken, if any.
    pub fn broken(&self) -> Option<Broken> {
        self.broken.clone()
    }

    /// Whoever sends a credential says so.
    pub fn pays(&mut self, payment: PaymentId, payer: Payer, now: Timestamp) {
        self.payers.entry(payment).or_insert((payer, now.secs() / 86_400));
    }

    /// A credential names outputs for its change, or none.
    pub fn wants_change(&mut self, payment: PaymentId, outputs: &[OutputId]) {
        self.wanted.entry(payment).or_default().extend(outputs);
    }

    /// Whether this change is part of a token in the answer, which may be lost with it: the payer named no outputs, or such
    /// as were signed before.
    pub fn is_in_token(&self, payment: PaymentId, output: OutputId) -> bool {
        self.wanted.get(&payment).is_some_and(|wanted| !wanted.contains(&output))
    }

    /// What a payer was charged.
    pub fn charged(&self, payer: Payer) -> u128 {
        self.charged.get(&payer).map_or(0, |days| days.values().sum())
    }

    /// The most that a payer was charged in a day.
    pub fn charged_most_in_a_day(&self, payer: Payer) -> u128 {
        self.charged.get(&payer).and_then(|days| days.values().max()).copied().unwrap_or(0)
    }

    /// Commands that are about to be decided: what their credits are worth.
    pub fn asked(&mut self, commands: &[Command]) {
        for command in commands {
            self.credits.asked(command);
            self.channels.asked(command);
            self.quotas.asked(command);
        }
    }

    /// A commit that did not come back: nobody knows yet.
    pub fn in_doubt(&mut self, changes: &Changes) {
        self.doubts = self.doubts.saturating_add(1);
        self.doubt = Some(changes.clone());
    }

    /// A commit that is durable.
    pub fn committed(&mut self, changes: &Changes) {
        let result = self.take(changes);
        self.note(result);
    }

    fn take(&mut self, changes: &Changes) -> Result<(), Broken> {
        self.commits = self.commits.saturating_add(1);
        hold(self.doubt.is_none(), "after a failed write nothing is written", || {
            "a commit followed one that failed".to_owned()
        })?;
        self.credits.keysets(&self.kept, changes)?;
        self.credits.take(&self.kept, changes)?;
        self.onchain.take(&self.kept, changes, self.opening)?;
        self.channels.take(&self.kept, changes)?;
        self.earnings.take(changes)?;
        self.quotas.take(&self.kept, changes);
        self.payouts.take(&self.kept, changes)?;
        self.payments(changes)?;
        self.fares.agree(changes)?;
        self.kept.apply(changes);
        self.sums(changes)
    }

    /// Payments that were held, charged or released.
    fn payments(&mut self, changes: &Changes) -> Result<(), Broken> {
        for (payment, row) in &changes.payments {
            let Some(row) = row else { continue };
            hold(!self.kept.payments.contains_key(payment), "a payment is charged once", || {
                payment.to_string()
            })?;
            if is_trade(row) {
                continue;
            }
            self.fares.charged(*payment, (self.kept.held.get(payment), row), is_onchain(row))?;
            if is_onchain(row) {
                hold(self.onchain.is_signed(*payment), "nobody is charged who did not pay", || {
                    format!("{payment} was signed by nobody")
                })?;
                continue;
            }
            self.deliveries.charged(*payment)?;
            self.earnings.charged(row)?;
            if row.channel.is_some() {
                self.channels.charged(*payment, row)?;
                continue;
            }
            let payer = self.payers.get(payment).copied();
            let (payer, day) = payer.ok_or_else(|| {
                Broken::new("nobody is charged who did not pay", format!("{payment} was sent by nobody"))
            })?;
            let most = if payer == Payer::Bearer { u128::MAX } else { u128::from(PER_CALL) };
            hold(row.charged.value() <= most, "no budget is exceeded", || {
                format!("{payer:?} was charged {} at once", row.charged)
            })?;
            let charged = self.charged.entry(payer).or_default().entry(day).or_default();
            *charged = charged.saturating_add(row.charged.value());
        }
        let posted: BTreeSet<PaymentId> = changes.payments.iter().map(|(payment, _)| *payment).collect();
        for (payment, row) in &changes.held {
            if let Some(row) = row {
                if !is_trade(row) && !is_onchain(row) {
                    self.deliveries.held(*payment);
                }
            } else if self.channels.was_free(*payment) {
                self.deliveries.charged(*payment)?;
            } else if !posted.contains(payment) {
                self.deliveries.released(*payment, self.opening)?;
            }
        }
        Ok(())
    }

    /// Debits equal credits, and every account says what its rows say.
    fn sums(&self, changes: &Changes) -> Result<(), Broken> {
        let mut sums: BTreeMap<Asset, [u128; 4]> = BTreeMap::new();
        for account in self.kept.accounts.values() {
            let sum = sums.entry(account.asset).or_default();
            sum.iter_mut().zip(numbers(&account.totals)).for_each(|(sum, n)| *sum = sum.saturating_add(n));
        }
        for (asset, [debits, credits, debits_pending, credits_pending]) in &sums {
            hold(debits == credits && debits_pending == credits_pending, "debits equal credits", || {
                format!("{asset:?}: {debits} and {credits}, pending {debits_pending} and {credits_pending}")
            })?;
        }
        for (id, account) in &changes.accounts {
            if let Some(account) = account {
                self.account(*id, account)?;
            }
        }
        Ok(())
    }

    fn account(&self, id: AccountId, account: &Account) -> Result<(), Broken> {
        if account.name.starts_with("credits:") {
            return self.credits.agrees(id, account);
        }
        self.earnings.agrees(&self.kept, account)?;
        Payouts::agrees(&self.kept, account)
    }

    /// Whether the books say that a payment has moved on the chain.
    pub fn is_settled(&self, payment: PaymentId) -> bool {
        let ended = self.kept.settlements.get(&CallId::of_payment(payment));
        matches!(ended.map(|ended| &ended.outcome), Some(Outcome::Settled { .. }))
    }

    /// The upstream is asked for the first time.
    pub fn asks(&mut self, payment: PaymentId) {
        let asked = if self.onchain.knows(payment) {
            self.onchain.asks(payment, &self.kept)
        } else {
            self.deliveries.asks(payment)
        };
        self.note(asked);
    }

    /// The upstream has done what was paid for.
    pub fn succeeded(&mut self, payment: PaymentId) {
        self.onchain.succeeded(payment);
        self.deliveries.succeeded(payment);
    }

    /// The upstream has done something that is free.
    pub fn gave(&mut self) {
        let given = self.quotas.succeeded();
        self.note(given);
    }

    /// Answers that are about to be given: what they say must be kept.
    pub fn answered(&mut self, commands: &[Command], answers: &[Result<Answer, Refusal>]) {
        for (command, answer) in commands.iter().zip(answers) {
            if answer.is_ok() && !self.shows(command) {
                let seen = format!("{command:?}").chars().take(60).collect::<String>();
                self.note(Err(Broken::new("nothing is answered before the commit that it reports", seen)));
            }
        }
    }

    fn shows(&self, command: &Command) -> bool {
        let kept = &self.kept;
        let spent =
            |inputs: &[farthing_engine::Input]| inputs.iter().all(|i| self.credits.is_spent(i.credit));
        let signed = |outputs: &[farthing_engine::Output]| {
            outputs.iter().all(|output| kept.outputs.contains_key(&output.output))
        };
        let paid = |payment| kept.payments.contains_key(payment);
        match command {
            Command::Swap(swap) => spent(&swap.inputs) && signed(&swap.outputs),
            Command::Melt(melt) => spent(&melt.inputs),
            Command::Issue(issue) => signed(&issue.outputs),
            Command::Hold(hold) => kept.held.contains_key(&hold.payment) || paid(&hold.payment),
            Command::Post(post) => paid(&post.payment),
            Command::ChargeVoucher(charge) => paid(&charge.payment) || charge.charged.is_zero(),
            Command::CreateCodes(create) => create.codes.iter().all(|code| kept.codes.contains_key(code)),
            Command::AcceptRates(accept) => {
                let before =
                    |row: &farthing_engine::RatesRow| row.before.iter().any(|(set, _)| *set == accept.set);
                kept.rates.values().any(|row| row.current.as_ref() == Some(&accept.set) || before(row))
            }
            Command::ProposePayout(propose) => kept.payouts.contains_key(&propose.terms.id()),
            Command::SendPayout(send) => {
                kept.payouts.get(&send.payout).is_some_and(|row| row.state.as_str() != "proposed")
            }
            Command::FilePayouts(file) => kept.payout_files.contains_key(&file.file),
            Command::OpenKeyset(open) => kept.keysets.contains_key(&open.keyset.index),
            Command::BookGas(book) => {
                let ended = kept.settlements.get(&book.call);
                ended.is_some_and(|ended| ended.row.gas == book.gas.paid)
            }
            _ => true,
        }
    }

    /// The server is about to be opened.
    pub fn opens(&mut self) {
        self.opening = true;
    }

    /// What a restart finds, before anything is done: what was in doubt is there or not, all else is as it was.
    pub fn found(&mut self, books: &dyn Read) {
        self.resolve(books);
        self.deliveries.restarted();
        self.onchain.restarted(&self.kept);
        self.channels.restarted();
        self.quotas.restarted();
    }

    fn resolve(&mut self, books: &dyn Read) {
        if let Some(changes) = self.doubt.take() {
            let mut with = self.kept.clone();
            with.apply(&changes);
            if with.compare(books).is_ok() {
                let result = self.take(&changes);
                self.note(result);
                return;
            }
        }
        let result = self.kept.compare(books);
        self.note(result);
    }

    /// The server is open: nothing is on hold.
    pub fn opened(&mut self) {
        self.opening = false;
        let is_held = |row: &&farthing_engine::PaymentRow| row.state == PaymentState::Held;
        let held = self.kept.held.values().filter(is_held).count();
        self.note(hold(held == 0, "a start leaves nothing on hold", || {
            format!("{held} payments are on hold")
        }));
    }

    /// Replays the whole journal and compares.
    pub fn audit(&mut self, books: &dyn Read) {
        let result = replay(books).map_err(|error| Broken::new("an audit agrees with the books", error));
        self.note(result);
    }
}

fn replay(books: &dyn Read) -> Result<(), String> {
    let mut audit = Audit::default();
    let head = books.head().map_err(|fault| fault.to_string())?;
    for frame in books.frames(1, usize::MAX).map_err(|fault| fault.to_string())? {
        audit.replay(&frame).map_err(|error| error.to_string())?;
    }
    let accounts = books.accounts().map_err(|fault| fault.to_string())?;
    audit.compare(&accounts, head).map(drop).map_err(|error| error.to_string())
}

fn numbers(totals: &Totals) -> [u128; 4] {
    [totals.debits_posted, totals.credits_posted, totals.debits_pending, totals.credits_pending]
        .map(Amount::value)
}
